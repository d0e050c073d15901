/* SPDX-License-Identifier: Apache-2.0 */
/* queue_redis_errand.c - what is asked by hand: one script, or command, each; the probe too. */
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "queue/queue_redis.h"

struct errand {
	struct list link;               /* queue_redis.errands */
	struct queue_redis *queue;
	union {
		queue_done_fn *done;
		queue_sent_fn *sent;
		queue_peek_fn *peeked;
		queue_depth_fn *depth;
		queue_redrive_fn *redriven;
	};
	queue_progress_fn *progress;
	void *arg;
	size_t count;                   /* messages to be sent */
	uint64_t moved;
	int64_t left;                   /* to be moved; -1: not known yet */
};

static struct errand *errand_create(struct queue *face, void *arg)
{
	struct errand *errand = xnew(struct errand);

	errand->queue = container_of(face, struct queue_redis, face);
	errand->arg = arg;
	errand->left = -1;
	list_append(&errand->queue->errands, &errand->link);
	return errand;
}

/* Out of the list, as whom it tells may destroy the queue. */
static struct errand *errand_end(void *arg)
{
	struct errand *errand = arg;

	list_remove(&errand->link);
	return errand;
}

void redis_errands_cancel(struct queue_redis *queue)
{
	while (!list_empty(&queue->errands))
		free(errand_end(list_first(&queue->errands, struct errand, link)));
}

static int64_t number_at(const redisReply *reply, size_t i)
{
	return reply->type == REDIS_REPLY_ARRAY && i < reply->elements && reply->element[i]->type == REDIS_REPLY_INTEGER
		? reply->element[i]->integer : -1;
}

/* -- probe ------------------------------------------------------------------------------------------ */

static void on_probed(void *arg, const struct redisReply *reply, const struct error *err)
{
	struct errand *errand = errand_end(arg);

	(void)reply;
	errand->done(errand->arg, err);
	free(errand);
}

/* Whether we may use the keys, they are what they should be, and the server is new enough. */
void redis_probe(struct queue *face, queue_done_fn *done, void *arg)
{
	struct errand *errand = errand_create(face, arg);

	errand->done = done;
	redis_eval(errand->queue, errand->queue->kind->measure, 0, NULL, NULL, on_probed, errand);
}

/* -- send ------------------------------------------------------------------------------------------- */

static void on_sent(void *arg, const struct redisReply *reply, const struct error *err)
{
	struct errand *errand = errand_end(arg);

	(void)reply;
	errand->sent(errand->arg, err == NULL ? errand->count : 0, err);
	free(errand);
}

void redis_send(struct queue *face, const struct queue_outgoing *messages, size_t count, queue_sent_fn *done, void *arg)
{
	struct errand *errand = errand_create(face, arg);
	struct queue_redis *queue = errand->queue;
	const char **argv = xcalloc(count + 2, sizeof(*argv));

	errand->sent = done;
	errand->count = count;
	argv[0] = face->conf->pop == CONF_POP_LEFT ? "RPUSH" : "LPUSH";
	argv[1] = queue->keys[REDIS_KEY_LIST];
	for (size_t i = 0; i < count; i++)
		argv[i + 2] = messages[i].body;
	if (queue->kind->send != NULL)
		redis_eval(queue, queue->kind->send, count, argv + 2, NULL, on_sent, errand);
	else
		redis_command(queue->hand, (int)count + 2, argv, NULL, on_sent, errand);
	free(argv);
}

/* -- peek ------------------------------------------------------------------------------------------- */

enum { PLACE_BYTES = 24 };

/* An item of a list that waits has no id yet; its place in the line stands for one. */
static void tell_peeked(const struct errand *errand, const redisReply *reply)
{
	size_t each = errand->queue->kind->tells_ids ? 2 : 1;
	size_t count = reply->type == REDIS_REPLY_ARRAY ? reply->elements / each : 0;
	struct queue_peeked *messages = xcalloc(count + 1, sizeof(*messages));
	char (*places)[PLACE_BYTES] = xcalloc(count + 1, PLACE_BYTES);

	for (size_t i = 0; i < count; i++) {
		const redisReply *body = reply->element[each * i + each - 1];

		snprintf(places[i], PLACE_BYTES, "%zu", i + 1);
		messages[i] = (struct queue_peeked){
			.id = each == 2 ? reply->element[each * i]->str : places[i],
			.body = body->str, .body_bytes = (size_t)body->len,
		};
	}
	errand->peeked(errand->arg, messages, count, NULL);
	free(messages);
	free(places);
}

static void on_peeked(void *arg, const struct redisReply *reply, const struct error *err)
{
	struct errand *errand = errand_end(arg);

	if (err != NULL)
		errand->peeked(errand->arg, NULL, 0, err);
	else
		tell_peeked(errand, reply);
	free(errand);
}

void redis_peek(struct queue *face, unsigned max, queue_peek_fn *done, void *arg)
{
	struct errand *errand = errand_create(face, arg);
	char count[16], longest[16], most[16];

	errand->peeked = done;
	snprintf(count, sizeof(count), "%u", max);
	snprintf(longest, sizeof(longest), "%d", LIMIT_REDIS_ITEM_BYTES);
	snprintf(most, sizeof(most), "%d", LIMIT_REDIS_TAKE_BYTES);
	redis_eval(errand->queue, errand->queue->kind->peek, 3, (const char *[]){ count, longest, most }, NULL, on_peeked, errand);
}

/* -- depth ------------------------------------------------------------------------------------------ */

static void on_measured(void *arg, const struct redisReply *reply, const struct error *err)
{
	struct errand *errand = errand_end(arg);
	struct queue_depth depth = { .visible = -1, .hidden = -1, .oldest_age_ms = -1 };

	if (err == NULL) {
		depth.visible = number_at(reply, 0);
		depth.hidden = number_at(reply, 1);
		depth.oldest_age_ms = number_at(reply, 3);
		snprintf(depth.dead_letter, sizeof(depth.dead_letter), "%s", errand->queue->keys[REDIS_KEY_DEAD]);
	}
	errand->depth(errand->arg, err == NULL ? &depth : NULL, err);
	free(errand);
}

void redis_measure(struct queue *face, queue_depth_fn *done, void *arg)
{
	struct errand *errand = errand_create(face, arg);

	errand->depth = done;
	redis_eval(errand->queue, errand->queue->kind->measure, 0, NULL, NULL, on_measured, errand);
}

/* -- redrive ---------------------------------------------------------------------------------------- */

static void move_some(struct errand *errand);

/* No more than there were when it began: what dies again meanwhile is not moved for ever. */
static void on_moved(void *arg, const struct redisReply *reply, const struct error *err)
{
	struct errand *errand = arg;
	int64_t moved = err == NULL ? number_at(reply, 0) : 0;

	if (moved > 0) {
		errand->moved += (uint64_t)moved;
		errand->left = errand->left >= 0 ? errand->left - moved : number_at(reply, 1);
	}
	if (moved > 0 && errand->left > 0) {
		move_some(errand);
		if (errand->progress != NULL)
			errand->progress(errand->arg, errand->moved, (int64_t)errand->moved + errand->left);
		return;
	}
	errand_end(errand);
	errand->redriven(errand->arg, errand->moved, err);
	free(errand);
}

static void move_some(struct errand *errand)
{
	char count[16];

	snprintf(count, sizeof(count), "%d",
		errand->left >= 0 && errand->left < REDIS_TAKE_MAX ? (int)errand->left : REDIS_TAKE_MAX);
	redis_eval(errand->queue, errand->queue->kind->redrive, 1, (const char *[]){ count }, NULL, on_moved, errand);
}

void redis_redrive(struct queue *face, queue_progress_fn *progress, queue_redrive_fn *done, void *arg)
{
	struct errand *errand = errand_create(face, arg);

	errand->redriven = done;
	errand->progress = progress;
	move_some(errand);
}
