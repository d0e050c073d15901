/* SPDX-License-Identifier: Apache-2.0 */
/* queue_sqs_poller.c - receives: long polls of up to ten.
 *
 * One poll is open while the queue is idle.  Each round of polls that came back full adds one, as far
 * as the holder has room, and an empty one takes their number back to one: those that are open when
 * a backlog ends are calls for nothing, so they grow with the backlog.  All open polls together never
 * ask for more than there is room for.  While messages flow, room for less than ten waits a moment to
 * grow, because a receive is billed as one call whether it asks for one message or for ten.
 *
 * Failures and empty answers that come too soon are paced.  An open poll is never aborted, as SQS
 * may just be handing out messages on it - except when it has outlived every timeout below it,
 * which would mean that we had stopped receiving without a sign. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/random.h"
#include "queue/queue_sqs.h"

enum { POLL_TRIES = 2, POLL_GRACE_S = 10, WATCHDOG_GRACE_S = 30 };
static const double thin_wait_s = 0.5;
static const double quick_pause_s = 0.2, quick_pause_max_s = 5, short_poll_pause_max_s = 1;

static void pump_in(struct sqs_poller *poller, double delay_s)
{
	sqs_arm(poller->queue, &poller->pump, delay_s);
}

static void poll_close(struct sqs_poll *poll)
{
	struct sqs_poller *poller = poll->poller;

	ev_timer_stop(poller->queue->face.env.loop, &poll->watchdog);
	list_remove(&poll->link);
	poller->open--;
	poller->open_want -= poll->want;
	poller->queue->face.figures.receiving = poller->open;
	free(poll);
}

/* -- what a receive brought ------------------------------------------------------------------------- */

static void on_failure(struct sqs_poller *poller, const struct error *err)
{
	sqs_trouble_note(poller->queue, &poller->trouble, err);
	poller->target = 1;
	poller->flowing = false;
	poller->not_before_s = clock_monotonic_s() + sqs_trouble_delay_s(&poller->trouble);
}

/* Some servers don't wait when a limit is reached, emulators may not wait at all.  Polls that were open side by
 * side and come back together say so once. */
static void pace_empty(struct sqs_poller *poller, double took_s)
{
	double wait_s = poller->queue->wait_s;
	double now_s = clock_monotonic_s();
	double max_s = wait_s < 1 ? short_poll_pause_max_s : quick_pause_max_s;
	double pause_s = quick_pause_s;

	if (wait_s >= 1 && took_s > wait_s / 2) {
		poller->quick_empties = 0;
		return;
	}
	if (now_s < poller->not_before_s)
		return;
	for (unsigned i = 0; i < poller->quick_empties && pause_s < max_s; i++)
		pause_s *= 2;
	poller->quick_empties++;
	poller->not_before_s = now_s + (pause_s < max_s ? pause_s : max_s);
}

static void adapt(struct sqs_poller *poller, unsigned want, size_t count, double took_s)
{
	poller->flowing = count >= want;
	if (poller->flowing) {
		poller->quick_empties = 0;
		if (++poller->full_in_a_row >= poller->target && poller->target < LIMIT_SQS_POLLS) {
			poller->target++;
			poller->full_in_a_row = 0;
		}
		return;
	}
	poller->full_in_a_row = 0;
	if (count == 0) {
		poller->target = 1;
		poller->queue->face.figures.empty_receives++;
		pace_empty(poller, took_s);
	} else
		poller->quick_empties = 0;
}

static bool is_spoilt(const struct queue_sqs *queue, const struct sqs_received *received)
{
	if (sqs_body_intact(received))
		return false;
	log_warn(&queue->face.log, "message %s arrived with another body than its MD5 %s says; it goes back%s",
		received->id, received->md5, queue->address.fifo ? " with the later ones of its group" : "");
	return true;
}

/* Whether an earlier message of the same FIFO group goes back: this one must not run before it. */
static bool follows_spoilt(const struct queue_sqs *queue, const struct sqs_received *received, const bool *back,
	size_t i)
{
	for (size_t j = 0; j < i && queue->address.fifo && received[i].group != NULL; j++) {
		if (back[j] && received[j].group != NULL && strcmp(received[j].group, received[i].group) == 0)
			return true;
	}
	return false;
}

/* Returns how many are fit to be handed on. */
static size_t take_messages(struct queue_sqs *queue, const json_t *doc, size_t *count, size_t *spoilt,
	struct queue_message **messages)
{
	struct sqs_received received[SQS_BATCH];
	bool back[SQS_BATCH];
	size_t good = 0, n = sqs_receive_parse(doc, received, spoilt);

	*count = n + *spoilt;
	if (*spoilt > 0)
		log_warn(&queue->face.log, "a receive brought %zu entries without id or receipt handle; they stay "
			"in the queue", *spoilt);
	for (size_t i = 0; i < n; i++) {
		struct sqs_message *message = sqs_message_create(queue, &received[i]);

		sqs_message_hidden_for(message, message->received_s, queue->visibility_s);
		back[i] = is_spoilt(queue, &received[i]);
		*spoilt += back[i];
		back[i] = back[i] || follows_spoilt(queue, received, back, i);
		if (back[i])
			sqs_settle(message, QUEUE_RETURN, NULL, NULL);
		else {
			sqs_lease_schedule(&queue->lease, message);
			messages[good++] = &message->face;
		}
	}
	return good;
}

static void on_messages(struct sqs_poller *poller, const json_t *doc, unsigned want, double took_s)
{
	struct queue_sqs *queue = poller->queue;
	struct queue_message *messages[SQS_BATCH];
	size_t count, spoilt, good = take_messages(queue, doc, &count, &spoilt, messages);
	struct error err;

	queue->face.figures.last_receive_s = clock_monotonic_s();
	queue->face.figures.received += good;
	adapt(poller, want, count, took_s);
	if (spoilt > 0 && good == 0) {
		error_set(&err, ERROR_TEMPORARY, "no message of a receive was fit to be taken, %zu of %zu were damaged",
			spoilt, count);
		on_failure(poller, &err);
	} else {
		queue->face.figures.failures += spoilt;
		sqs_trouble_note(queue, &poller->trouble, NULL);
	}
	poller->room -= good < poller->room ? (unsigned)good : poller->room;
	pump_in(poller, 0);
	if (good > 0)
		queue->face.events.received(queue->face.events.arg, messages, good);
}

static void on_reply(void *arg, const struct aws_reply *reply, const struct error *err)
{
	struct sqs_poll *poll = arg;
	struct sqs_poller *poller = poll->poller;
	unsigned want = poll->want;
	double took_s = clock_monotonic_s() - poll->started_s;

	poll_close(poll);
	if (err == NULL) {
		on_messages(poller, reply->doc, want, took_s);
		return;
	}
	on_failure(poller, err);
	pump_in(poller, 0);
}

static void on_watchdog(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct sqs_poll *poll = container_of(timer, struct sqs_poll, watchdog);
	struct sqs_poller *poller = poll->poller;
	struct error err;

	(void)loop;
	(void)revents;
	error_set(&err, ERROR_TEMPORARY, "a receive was still open after %.0fs, past every timeout; it is given up",
		clock_monotonic_s() - poll->started_s);
	error_set_code(&err, "Watchdog");
	aws_call_cancel(poll->call);
	poll_close(poll);
	on_failure(poller, &err);
	pump_in(poller, 0);
}

/* -- how many, and when ------------------------------------------------------------------------------- */

static void poll_open(struct sqs_poller *poller, unsigned want)
{
	struct queue_sqs *queue = poller->queue;
	struct sqs_poll *poll = xnew(struct sqs_poll);
	unsigned timeout_s = queue->wait_s + POLL_GRACE_S;
	char attempt_id[RANDOM_ID_BYTES];
	struct sqs_receive receive = { .max = want, .wait_s = queue->wait_s, .visibility_s = queue->visibility_s };

	poll->poller = poller;
	poll->want = want;
	poll->started_s = clock_monotonic_s();
	list_append(&poller->polls, &poll->link);
	poller->open++;
	poller->open_want += want;
	queue->face.figures.receiving = poller->open;
	ev_timer_init(&poll->watchdog, on_watchdog, 0., 0.);
	sqs_arm(queue, &poll->watchdog, POLL_TRIES * timeout_s + WATCHDOG_GRACE_S);
	/* The same id in the repeats of this call: SQS then hands out the same messages, should only its
	 * answer have been lost.  Never in another poll, which would reset their visibility. */
	if (queue->address.fifo) {
		random_id(attempt_id);
		receive.attempt_id = attempt_id;
	}
	poll->call = sqs_call(queue, "ReceiveMessage", sqs_receive_input(queue->address.url, &receive),
		(struct sqs_patience){ .tries = POLL_TRIES, .timeout_ms = timeout_s * 1000, .long_poll = true },
		on_reply, poll);
}

/* Whether to wait for more room instead of asking for want; arms the timer then. */
static bool is_thin(struct sqs_poller *poller, unsigned want, double now_s)
{
	if (want == SQS_BATCH || !poller->flowing || want >= poller->queue->face.conf->max_in_flight) {
		poller->thin_since_s = 0;
		return false;
	}
	if (poller->thin_since_s <= 0)
		poller->thin_since_s = now_s;
	if (now_s - poller->thin_since_s >= thin_wait_s) {
		poller->thin_since_s = 0;
		return false;
	}
	pump_in(poller, poller->thin_since_s + thin_wait_s - now_s + 0.001);
	return true;
}

static void pump(struct sqs_poller *poller)
{
	double now_s = clock_monotonic_s();

	if (!poller->started || poller->stopping)
		return;
	if (poller->not_before_s - now_s > 0.001) {
		pump_in(poller, poller->not_before_s - now_s);
		return;
	}
	while (poller->open < poller->target && poller->room > poller->open_want) {
		unsigned want = poller->room - poller->open_want;

		if (want > SQS_BATCH)
			want = SQS_BATCH;
		if (is_thin(poller, want, now_s))
			break;
		poll_open(poller, want);
	}
}

/* What was settled should reach SQS before the process that settled it leaves; a failing SQS is not
 * waited for. */
static bool is_settling(const struct queue_sqs *queue)
{
	const struct sqs_batch *batch;

	if (sqs_lane_is_busy(&queue->deletes) || sqs_lane_is_busy(&queue->releases))
		return true;
	list_each(batch, &queue->batches, link) {
		if (sqs_batch_is_awaited(batch) && queue->lease.trouble.failures == 0)
			return true;
	}
	return false;
}

static void on_pump(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct sqs_poller *poller = container_of(timer, struct sqs_poller, pump);
	queue_done_fn *stopped = poller->stopped;

	(void)loop;
	(void)revents;
	pump(poller);
	if (poller->stopping && poller->open == 0 && stopped != NULL && !is_settling(poller->queue)) {
		poller->stopped = NULL;
		stopped(poller->stopped_arg, NULL);
	}
}

void sqs_poller_start(struct sqs_poller *poller)
{
	poller->started = true;
	pump_in(poller, 0);
}

void sqs_poller_set_room(struct sqs_poller *poller, unsigned room)
{
	poller->room = room;
	if (poller->started && room > poller->open_want && poller->open < poller->target)
		pump_in(poller, 0);
}

void sqs_poller_poke(struct sqs_poller *poller)
{
	if (poller->stopping)
		pump_in(poller, 0);
}

void sqs_poller_stop(struct sqs_poller *poller, queue_done_fn *done, void *arg)
{
	poller->stopping = true;
	poller->stopped = done;
	poller->stopped_arg = arg;
	pump_in(poller, 0);
}

void sqs_poller_init(struct sqs_poller *poller, struct queue_sqs *queue)
{
	poller->queue = queue;
	poller->target = 1;
	poller->trouble.doing = "receiving";
	list_init(&poller->polls);
	ev_timer_init(&poller->pump, on_pump, 0., 0.);
}

void sqs_poller_finish(struct sqs_poller *poller)
{
	struct sqs_poll *poll, *next;

	list_each_safe(poll, next, &poller->polls, link) {
		aws_call_cancel(poll->call);
		poll_close(poll);
	}
	ev_timer_stop(poller->queue->face.env.loop, &poller->pump);
}
