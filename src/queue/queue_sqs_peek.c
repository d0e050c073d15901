/* SPDX-License-Identifier: Apache-2.0 */
/* queue_sqs_peek.c - a look at messages: received for a few seconds, and shown again at once.
 *
 * SQS has no other way to look.  Each receive counts towards the redrive policy, and on FIFO queues the
 * groups that it touches wait meanwhile; that is for the caller to say.  Messages of one receive are
 * released in one call, so that no group is half shown.  What can't be released shows by itself when
 * its seconds are over. */
#include <stdlib.h>
#include <string.h>

#include "base/backoff.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/random.h"
#include "queue/queue_sqs.h"

enum {
	LIMIT_PEEK_MESSAGES = 1000,
	PEEK_HIDDEN_S = 5,              /* and a second more for each call after the first */
	PEEK_WAIT_S = 1,                /* a long poll asks all of SQS's servers, a short one only some */
	PEEK_GRACE_S = 10,
	PEEK_TRIES = 2,
	RELEASE_TRIES = 4,
};
static const double release_first_s = 0.2, release_max_s = 1;

struct sqs_seen {
	struct table_link link;         /* sqs_peek.by_id */
	struct sqs_peek *peek;
	const char *receipt;            /* the newest; lent by docs */
	unsigned receive;               /* the number of the receive that brought it */
	double hidden_until_s;          /* monotonic */
	bool shown;                     /* nothing is left to do for it */
};

struct sqs_peek {
	struct sqs_errand errand;
	unsigned max, count, receives, hidden_s;
	struct queue_peeked *messages;
	struct sqs_seen *seen;          /* the same ones, by position */
	struct table by_id;
	json_t *docs;                   /* the replies, which lend all texts */
	size_t releasing[SQS_BATCH], releasing_count;   /* positions */
	unsigned tries;                 /* of this release */
	struct error error;             /* of a receive */
	queue_peek_fn *done;
};

static void peek_dispose(struct sqs_errand *errand)
{
	struct sqs_peek *peek = container_of(errand, struct sqs_peek, errand);

	table_finish(&peek->by_id);
	json_decref(peek->docs);
	free(peek->messages);
	free(peek->seen);
	free(peek);
}

/* The errand ends last: it holds what the caller is shown. */
static void peek_end(struct sqs_peek *peek)
{
	struct sqs_errand *errand = &peek->errand;
	struct list *link = &errand->link;

	/* The caller may destroy the queue, which then must not find this. */
	ev_timer_stop(errand->queue->face.env.loop, &errand->timer);
	list_remove(link);
	peek->done(errand->arg, peek->messages, peek->count, peek->error.kind != ERROR_NONE ? &peek->error : NULL);
	errand->dispose(errand);
}

/* -- showing them again ----------------------------------------------------------------------------- */

/* The messages of the first receive that has some left. */
static void gather(struct sqs_peek *peek)
{
	double now_s = clock_monotonic_s();

	peek->releasing_count = 0;
	for (size_t i = 0; i < peek->count && peek->releasing_count < SQS_BATCH; i++) {
		struct sqs_seen *seen = &peek->seen[i];

		if (seen->shown || seen->hidden_until_s <= now_s)
			continue;
		if (peek->releasing_count > 0 && peek->seen[peek->releasing[0]].receive != seen->receive)
			continue;
		peek->releasing[peek->releasing_count++] = i;
	}
}

static void release(struct sqs_peek *peek);

/* Returns how many of the call are still hidden, and why in *why.  A dead handle hides nothing any more. */
static size_t note_released(struct sqs_peek *peek, const struct aws_reply *reply, const struct error *err,
	struct error *why)
{
	struct sqs_answer answers[SQS_BATCH];
	size_t hidden = 0;

	if (err == NULL)
		sqs_batch_parse(reply->doc, peek->releasing_count, answers);
	for (size_t i = 0; i < peek->releasing_count; i++) {
		struct sqs_seen *seen = &peek->seen[peek->releasing[i]];

		seen->shown = err == NULL && (answers[i].outcome == SQS_DONE || answers[i].outcome == SQS_LOST);
		if (seen->shown)
			continue;
		hidden++;
		*why = err != NULL ? *err : answers[i].error;
	}
	return hidden;
}

static void on_released(void *arg, const struct aws_reply *reply, const struct error *err)
{
	struct sqs_peek *peek = arg;
	struct error why;
	size_t hidden = note_released(peek, reply, err, &why);

	peek->errand.call = NULL;
	if (hidden > 0 && error_may_pass(why.kind) && ++peek->tries < RELEASE_TRIES) {
		sqs_arm(peek->errand.queue, &peek->errand.timer,
			backoff_s(peek->tries, release_first_s, release_max_s, random_unit()));
		return;
	}
	if (hidden > 0)
		log_warn(&peek->errand.queue->face.log, "%zu messages that were looked at stay hidden for up to %u s: %s",
			hidden, peek->hidden_s, why.text);
	for (size_t i = 0; i < peek->releasing_count; i++)
		peek->seen[peek->releasing[i]].shown = true;
	peek->tries = 0;
	release(peek);
}

static void release(struct sqs_peek *peek)
{
	struct sqs_entry entries[SQS_BATCH];

	gather(peek);
	if (peek->releasing_count == 0) {
		peek_end(peek);
		return;
	}
	for (size_t i = 0; i < peek->releasing_count; i++)
		entries[i] = (struct sqs_entry){ .receipt = peek->seen[peek->releasing[i]].receipt };
	peek->errand.call = sqs_call(peek->errand.queue, "ChangeMessageVisibilityBatch",
		sqs_visibility_input(peek->errand.queue->address.url, entries, peek->releasing_count),
		(struct sqs_patience){ .tries = 1 }, on_released, peek);
}

/* -- looking ---------------------------------------------------------------------------------------- */

static void look(struct sqs_peek *peek);

/* One that came before has a newer receipt now and is not shown twice. */
static bool take(struct sqs_peek *peek, const struct sqs_received *received, double until_s)
{
	struct table_link *link = table_find(&peek->by_id, received->id);
	struct sqs_seen *seen = link != NULL ? container_of(link, struct sqs_seen, link) : &peek->seen[peek->count];
	bool news = link == NULL;

	if (news && peek->count == peek->max)
		return false;
	seen->receipt = received->receipt;
	seen->receive = peek->receives;
	seen->hidden_until_s = until_s;
	if (!news) {
		peek->messages[seen - peek->seen].deliveries = received->deliveries;
		return false;
	}
	peek->messages[peek->count++] = (struct queue_peeked){
		.id = received->id, .group = received->group, .body = received->body, .body_bytes = received->body_bytes,
		.deliveries = received->deliveries, .sent_ms = received->sent_ms,
	};
	table_add(&peek->by_id, &seen->link, received->id);
	return true;
}

static void on_seen(void *arg, const struct aws_reply *reply, const struct error *err)
{
	struct sqs_peek *peek = arg;
	struct sqs_received received[SQS_BATCH];
	double until_s = clock_monotonic_s() + peek->hidden_s;
	size_t broken, n, news = 0;

	peek->errand.call = NULL;
	if (err != NULL) {
		peek->error = *err;
		release(peek);
		return;
	}
	json_array_append(peek->docs, reply->doc);
	n = sqs_receive_parse(reply->doc, received, &broken);
	for (size_t i = 0; i < n; i++)
		news += take(peek, &received[i], until_s);
	if (news > 0 && peek->count < peek->max)
		look(peek);
	else
		release(peek);
}

static void look(struct sqs_peek *peek)
{
	struct queue_sqs *queue = peek->errand.queue;
	unsigned left = peek->max - peek->count;
	char attempt_id[RANDOM_ID_BYTES];
	struct sqs_receive receive = {
		.max = left < SQS_BATCH ? left : SQS_BATCH, .wait_s = PEEK_WAIT_S, .visibility_s = peek->hidden_s,
	};

	peek->receives++;
	if (queue->address.fifo) {
		random_id(attempt_id);
		receive.attempt_id = attempt_id;
	}
	peek->errand.call = sqs_call(queue, "ReceiveMessage", sqs_receive_input(queue->address.url, &receive),
		(struct sqs_patience){
			.tries = PEEK_TRIES, .timeout_ms = (PEEK_WAIT_S + PEEK_GRACE_S) * 1000, .long_poll = true,
		}, on_seen, peek);
}

static void on_step(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct sqs_peek *peek = container_of(timer, struct sqs_peek, errand.timer);

	(void)loop;
	(void)revents;
	if (peek->receives == 0 && peek->max > 0)
		look(peek);
	else
		release(peek);
}

void sqs_peek(struct queue *face, unsigned max, queue_peek_fn *done, void *arg)
{
	struct queue_sqs *queue = container_of(face, struct queue_sqs, face);
	struct sqs_peek *peek = xnew(struct sqs_peek);

	peek->max = max < LIMIT_PEEK_MESSAGES ? max : LIMIT_PEEK_MESSAGES;
	peek->hidden_s = PEEK_HIDDEN_S + peek->max / SQS_BATCH;
	peek->messages = xcalloc(peek->max + 1, sizeof(*peek->messages));
	peek->seen = xcalloc(peek->max + 1, sizeof(*peek->seen));
	peek->docs = json_array();
	peek->done = done;
	sqs_errand_init(&peek->errand, queue, arg, on_step, peek_dispose);
	sqs_arm(queue, &peek->errand.timer, 0);
}
