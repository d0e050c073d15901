/* SPDX-License-Identifier: Apache-2.0 */
/* queue_redis_taker.c - items out of the list, into our hands.
 *
 * The script takes as many as there are and fit; when it finds fewer, a call waits on a connection of its own
 * for the next, which the script then admits.  The beat runs the script now and then even when nothing fits: it
 * says that we live, takes over from those who don't, and finds what somebody began to take and did not. */
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "queue/queue_redis.h"

static const double at_once_s = 0;

static void go_on(struct redis_taker *taker);

static struct queue_redis *queue_of(struct redis_taker *taker)
{
	return container_of(taker, struct queue_redis, taker);
}

static void figures_update(struct redis_taker *taker)
{
	queue_of(taker)->face.figures.receiving = taker->taking + taker->listening;
}

/* -- ending ----------------------------------------------------------------------------------------- */

static bool has_ended(struct redis_taker *taker)
{
	return !taker->taking && !taker->listening && taker->untaking == 0 &&
		!redis_settler_is_busy(&queue_of(taker)->settler);
}

static void on_turn(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct redis_taker *taker = container_of(timer, struct redis_taker, turn);
	queue_done_fn *done = taker->stop_done;

	(void)loop, (void)revents;
	if (done == NULL || !has_ended(taker))
		return;
	taker->stop_done = NULL;
	done(taker->stop_arg, NULL);
}

void redis_taker_poke(struct redis_taker *taker)
{
	if (taker->stop_done != NULL && has_ended(taker))
		redis_arm(queue_of(taker), &taker->turn, at_once_s);
}

/* -- failing ---------------------------------------------------------------------------------------- */

/* Whatever the script may have given to that name is left to whoever takes over from it, which is us most likely. */
static void rename_owner(struct redis_taker *taker)
{
	memcpy(taker->former, taker->owner, sizeof(taker->former));
	random_id(taker->owner);
}

static void failed(struct redis_taker *taker, const struct error *err)
{
	double wait_s = redis_trouble_note(queue_of(taker), &taker->trouble, err);

	taker->client_id = 0;
	/* The script comes next: it finds what was taken by half, and makes what a new server lacks. */
	taker->asked = 1;
	if (!ev_is_active(&taker->rest) && !taker->stopped)
		redis_arm(queue_of(taker), &taker->rest, wait_s);
}

static void on_rest(struct ev_loop *loop, ev_timer *timer, int revents)
{
	(void)loop, (void)revents;
	go_on(container_of(timer, struct redis_taker, rest));
}

/* -- the script ------------------------------------------------------------------------------------- */

static bool is_text(const redisReply *reply)
{
	return reply->type == REDIS_REPLY_STRING;
}

/* What we hold already was taken over from our former name. */
static size_t understand(struct queue_redis *queue, const redisReply *reply, struct queue_message **messages)
{
	size_t count = 0;

	for (size_t i = 1; i + 2 < reply->elements; i += 3) {
		const redisReply *const *at = (const redisReply *const *)&reply->element[i];

		if (!is_text(at[0]) || !is_text(at[1]) || !is_text(at[2]) || table_find(&queue->held, at[0]->str) != NULL)
			continue;
		messages[count++] = &redis_message_create(queue, at[0]->str, at[2]->str, (size_t)at[2]->len,
			(unsigned)strtoul(at[1]->str, NULL, 10))->face;
	}
	return count;
}

/* True: we are still there. */
static bool hand_over(struct queue_redis *queue, struct queue_message **messages, size_t count)
{
	struct redis_taker *taker = &queue->taker;
	bool gone = false;

	taker->room -= count < taker->room ? (unsigned)count : taker->room;
	queue->face.figures.received += count;
	if (count == 0)
		return true;
	queue->gone = &gone;
	queue->face.events.received(queue->face.events.arg, messages, count);
	if (gone)
		return false;
	queue->gone = NULL;
	return true;
}

static bool take_answer(struct redis_taker *taker, const redisReply *reply)
{
	struct queue_redis *queue = queue_of(taker);
	struct queue_message **messages;
	size_t count, items = reply->elements / 3;
	bool alive;

	if (reply->element[0]->type == REDIS_REPLY_INTEGER && reply->element[0]->integer > 0)
		log_error(&queue->face.log, "%lld items are over %d bytes; they are in %s now", reply->element[0]->integer,
			LIMIT_REDIS_ITEM_BYTES, queue->keys[REDIS_KEY_DEAD]);
	messages = xcalloc(items + 1, sizeof(struct queue_message *));
	count = understand(queue, reply, messages);
	/* Fewer than were asked for: there are no more. */
	taker->asked = items < taker->asked && reply->element[0]->integer == 0 ? 0 : taker->asked;
	queue->face.figures.empty_receives += items == 0;
	alive = hand_over(queue, messages, count);
	free(messages);
	return alive;
}

static void on_taken(void *arg, const struct redisReply *reply, const struct error *err)
{
	struct redis_taker *taker = arg;
	static const struct error odd = { .kind = ERROR_TEMPORARY, .text = "the script's answer is none of ours" };

	taker->taking = false;
	figures_update(taker);
	if (err == NULL && (reply->type != REDIS_REPLY_ARRAY || reply->elements == 0))
		err = &odd;
	if (err != NULL) {
		rename_owner(taker);
		failed(taker, err);
		redis_taker_poke(taker);
		return;
	}
	redis_trouble_over(queue_of(taker), &taker->trouble);
	taker->former[0] = '\0';
	queue_of(taker)->face.figures.last_receive_s = clock_monotonic_s();
	if (!take_answer(taker, reply))
		return;
	go_on(taker);
}

static void take(struct redis_taker *taker)
{
	char room[16], nonce[RANDOM_ID_BYTES], silence[16], longest[16], most[16];
	const char *argv[] = { taker->owner, taker->former, room, nonce, silence, longest, most };

	taker->asked = taker->stopped ? 0 : taker->room < REDIS_TAKE_MAX ? taker->room : REDIS_TAKE_MAX;
	random_id(nonce);
	nonce[16] = '\0';
	snprintf(room, sizeof(room), "%u", taker->asked);
	snprintf(silence, sizeof(silence), "%d", REDIS_SILENT_MS);
	snprintf(longest, sizeof(longest), "%d", LIMIT_REDIS_ITEM_BYTES);
	snprintf(most, sizeof(most), "%d", LIMIT_REDIS_TAKE_BYTES);
	taker->taking = true;
	figures_update(taker);
	redis_eval(queue_of(taker), queue_of(taker)->kind->take, sizeof(argv) / sizeof(*argv), argv, NULL, on_taken, taker);
}

/* -- waiting ---------------------------------------------------------------------------------------- */

static void on_untaken(void *arg, const struct redisReply *reply, const struct error *err)
{
	struct redis_taker *taker = arg;

	(void)reply;
	taker->untaking--;
	if (err != NULL)
		log_debug(&queue_of(taker)->face.log, "an item waits for the next who takes: %s", err->text);
	redis_taker_poke(taker);
}

/* We have no use for it now, others may. */
static void untake(struct redis_taker *taker)
{
	taker->untaking++;
	redis_eval(queue_of(taker), queue_of(taker)->kind->untake, 1, (const char *[]){ taker->owner }, NULL, on_untaken, taker);
}

static void on_client_id(void *arg, const struct redisReply *reply, const struct error *err)
{
	struct redis_taker *taker = arg;

	if (err == NULL && reply->type == REDIS_REPLY_INTEGER)
		taker->client_id = reply->integer;
}

static void on_heard(void *arg, const struct redisReply *reply, const struct error *err)
{
	struct redis_taker *taker = arg;

	taker->listening = false;
	figures_update(taker);
	if (err != NULL) {
		failed(taker, err);
		redis_taker_poke(taker);
		return;
	}
	queue_of(taker)->face.figures.last_receive_s = clock_monotonic_s();
	taker->asked = 0;
	if (reply->type != REDIS_REPLY_NIL) {
		if (taker->room == 0 || taker->stopped)
			untake(taker);
		else
			taker->asked = 1;
	} else {
		queue_of(taker)->face.figures.empty_receives++;
	}
	go_on(taker);
}

static void listen_for_next(struct redis_taker *taker)
{
	struct queue_redis *queue = queue_of(taker);

	taker->listening = true;
	figures_update(taker);
	if (taker->client_id == 0)
		redis_command(queue->ear, 2, (const char *[]){ "CLIENT", "ID" }, NULL, on_client_id, taker);
	queue->kind->listen(queue, on_heard, taker);
}

/* -- one after the other ---------------------------------------------------------------------------- */

/* asked: the script is to run before we wait, as there seems to be more. */
static void go_on(struct redis_taker *taker)
{
	if (taker->stopped) {
		redis_taker_poke(taker);
		return;
	}
	if (!taker->started || taker->taking || ev_is_active(&taker->rest) || taker->room == 0)
		return;
	if (taker->asked > 0)
		take(taker);
	else if (!taker->listening)
		listen_for_next(taker);
}

static void on_beat(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct redis_taker *taker = container_of(timer, struct redis_taker, beat);

	(void)loop, (void)revents;
	if (!taker->taking && !ev_is_active(&taker->rest))
		take(taker);
}

void redis_taker_start(struct redis_taker *taker)
{
	if (taker->started)
		return;
	taker->started = true;
	taker->asked = 1;
	ev_timer_start(queue_of(taker)->face.env.loop, &taker->beat);
	if (!taker->stopped)
		take(taker);
}

void redis_taker_set_room(struct redis_taker *taker, unsigned room)
{
	bool began = taker->room == 0 && room > 0;

	taker->room = room;
	if (began && !taker->taking)
		taker->asked = 1;
	if (began)
		go_on(taker);
}

static void on_unblocked(void *arg, const struct redisReply *reply, const struct error *err)
{
	(void)arg, (void)reply, (void)err;
}

/* Who waits is told to stop waiting; if that fails, it ends by itself soon. */
void redis_taker_stop(struct redis_taker *taker, queue_done_fn *done, void *arg)
{
	struct queue_redis *queue = queue_of(taker);
	char id[24];

	taker->stopped = true;
	taker->stop_done = done;
	taker->stop_arg = arg;
	ev_timer_stop(queue->face.env.loop, &taker->rest);
	if (taker->listening && taker->client_id != 0) {
		snprintf(id, sizeof(id), "%lld", taker->client_id);
		redis_command(queue->hand, 3, (const char *[]){ "CLIENT", "UNBLOCK", id }, NULL, on_unblocked, taker);
	}
	redis_taker_poke(taker);
}

void redis_taker_init(struct redis_taker *taker)
{
	random_id(taker->owner);
	taker->trouble.doing = "taking items";
	ev_timer_init(&taker->beat, on_beat, REDIS_BEAT_S, REDIS_BEAT_S);
	ev_init(&taker->rest, on_rest);
	ev_init(&taker->turn, on_turn);
}

void redis_taker_finish(struct redis_taker *taker)
{
	struct ev_loop *loop = queue_of(taker)->face.env.loop;

	ev_timer_stop(loop, &taker->beat);
	ev_timer_stop(loop, &taker->rest);
	ev_timer_stop(loop, &taker->turn);
}
