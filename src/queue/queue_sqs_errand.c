/* SPDX-License-Identifier: Apache-2.0 */
/* queue_sqs_errand.c - calls that concern no held message: asking whether the queue answers, and
 * sending by hand. */
#include <stdlib.h>
#include <string.h>

#include "base/backoff.h"
#include "base/mem.h"
#include "base/random.h"
#include "queue/queue_sqs.h"

enum { SEND_TRIES = 5 };
static const double send_first_s = 0.2, send_max_s = 5;

struct sqs_errand {
	struct list link;               /* queue_sqs.errands */
	struct queue_sqs *queue;
	struct aws_call *call;
	ev_timer timer;                 /* until the next try, or until the answer may be told */
	void *arg;
	queue_done_fn *probed;          /* of a probe */
	queue_sent_fn *sent;            /* of a send, as the rest */
	json_t *input;
	json_t *entries[SQS_BATCH];     /* those that are not sent yet, by position; lent by input */
	size_t count, done;
	unsigned tries;
	struct error error;
};

static void errand_free(struct sqs_errand *errand)
{
	ev_timer_stop(errand->queue->face.env.loop, &errand->timer);
	aws_call_cancel(errand->call);
	list_remove(&errand->link);
	for (size_t i = 0; i < errand->count; i++)
		json_decref(errand->entries[i]);
	json_decref(errand->input);
	free(errand);
}

void sqs_errands_cancel(struct queue_sqs *queue)
{
	while (!list_empty(&queue->errands))
		errand_free(list_first(&queue->errands, struct sqs_errand, link));
}

static struct sqs_errand *errand_create(struct queue_sqs *queue, void *arg)
{
	struct sqs_errand *errand = xnew(struct sqs_errand);

	errand->queue = queue;
	errand->arg = arg;
	list_append(&queue->errands, &errand->link);
	return errand;
}

/* -- probe ---------------------------------------------------------------------------------------- */

/* What the attributes say that an operator should know; none of it stops us. */
static void remark(const struct queue_sqs *queue, const struct sqs_attributes *attributes)
{
	const struct log *log = &queue->face.log;

	if (attributes->fifo != queue->address.fifo)
		log_warn(log, "its name says that it is %s, its attributes say that it isn't",
			queue->address.fifo ? "a FIFO queue" : "a standard queue");
	if (attributes->max_receives == 1)
		log_warn(log, "its redrive policy allows one receive: a message whose receive is lost on the way "
			"goes to the dead-letter queue unseen");
	if (attributes->max_receives == 0 && queue->face.conf->malformed == CONF_MALFORMED_DEAD_LETTER)
		log_warn(log, "malformed messages are left to its redrive policy, and it has none");
	log_debug(log, "visibility timeout %lld s, redrive after %lld receives, %lld visible, %lld in flight",
		(long long)attributes->visibility_s, (long long)attributes->max_receives,
		(long long)attributes->visible, (long long)attributes->hidden);
}

static void on_probed(void *arg, const struct aws_reply *reply, const struct error *err)
{
	struct sqs_errand *errand = arg;
	queue_done_fn *probed = errand->probed;
	void *probed_arg = errand->arg;
	struct sqs_attributes attributes;

	errand->call = NULL;
	if (err == NULL) {
		sqs_attributes_parse(reply->doc, &attributes);
		remark(errand->queue, &attributes);
	}
	errand_free(errand);
	probed(probed_arg, err);
}

void sqs_probe(struct queue *face, queue_done_fn *done, void *arg)
{
	struct queue_sqs *queue = container_of(face, struct queue_sqs, face);
	struct sqs_errand *errand = errand_create(queue, arg);

	ev_init(&errand->timer, NULL);
	errand->probed = done;
	errand->call = sqs_call(queue, "GetQueueAttributes", sqs_attributes_input(queue->address.url), 0, false,
		on_probed, errand);
}

/* -- send ----------------------------------------------------------------------------------------- */

static void send_end(struct sqs_errand *errand)
{
	queue_sent_fn *sent = errand->sent;
	void *arg = errand->arg;
	struct error err = errand->error;
	size_t done = errand->done;
	bool all = errand->done == errand->count;

	errand_free(errand);
	sent(arg, done, all ? NULL : &err);
}

/* Marks what was sent; keeps the first error of what was not.  True when something is left that may
 * still be sent. */
static bool take_sent(struct sqs_errand *errand, const size_t *positions, const struct sqs_answer *answers, size_t n)
{
	bool left = false;

	errand->error = (struct error){ 0 };
	for (size_t i = 0; i < n; i++) {
		if (answers[i].outcome == SQS_DONE) {
			json_decref(errand->entries[positions[i]]);
			errand->entries[positions[i]] = NULL;
			errand->done++;
			continue;
		}
		if (errand->error.kind == ERROR_NONE) {
			errand->error = answers[i].error;
			error_prefix(&errand->error, "message %zu of %zu", positions[i] + 1, errand->count);
			error_set_code(&errand->error, answers[i].error.code);
		}
		left = left || answers[i].outcome == SQS_AGAIN;
	}
	return left;
}

static size_t unsent(const struct sqs_errand *errand, size_t *positions)
{
	size_t n = 0;

	for (size_t i = 0; i < errand->count; i++) {
		if (errand->entries[i] != NULL)
			positions[n++] = i;
	}
	return n;
}

static void on_sent(void *arg, const struct aws_reply *reply, const struct error *err)
{
	struct sqs_errand *errand = arg;
	struct sqs_answer answers[SQS_BATCH];
	size_t positions[SQS_BATCH], n = unsent(errand, positions);
	bool left;

	errand->call = NULL;
	if (err != NULL) {
		errand->error = *err;
		left = error_may_pass(err->kind);
	} else {
		sqs_batch_parse(reply->doc, n, answers);
		left = take_sent(errand, positions, answers, n);
	}
	if (errand->done < errand->count && left && ++errand->tries < SEND_TRIES) {
		sqs_arm(errand->queue, &errand->timer,
			backoff_s(errand->tries, send_first_s, send_max_s, random_unit()));
		return;
	}
	send_end(errand);
}

/* The entries that are left, numbered anew: the ids of a call are positions. */
static void send_left(struct sqs_errand *errand)
{
	size_t positions[SQS_BATCH], n = unsent(errand, positions);
	json_t *list = json_array();

	for (size_t i = 0; i < n; i++) {
		json_object_set_new(errand->entries[positions[i]], "Id", json_sprintf("%zu", i));
		json_array_append(list, errand->entries[positions[i]]);
	}
	json_object_set_new(errand->input, "Entries", list);
	errand->call = sqs_call(errand->queue, "SendMessageBatch", json_incref(errand->input), 0, false, on_sent, errand);
}

static void on_send_time(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct sqs_errand *errand = container_of(timer, struct sqs_errand, timer);

	(void)loop;
	(void)revents;
	if (errand->input != NULL && errand->count > 0)
		send_left(errand);
	else
		send_end(errand);
}

void sqs_send(struct queue *face, const struct queue_outgoing *messages, size_t count, queue_sent_fn *done, void *arg)
{
	struct queue_sqs *queue = container_of(face, struct queue_sqs, face);
	struct sqs_errand *errand = errand_create(queue, arg);
	struct sqs_outgoing outgoing[SQS_BATCH];

	if (count > SQS_BATCH)
		panic("queue %s: %zu messages in one send", queue_name(face), count);
	for (size_t i = 0; i < count; i++)
		outgoing[i] = (struct sqs_outgoing){ messages[i].body, messages[i].group, messages[i].dedup };
	ev_timer_init(&errand->timer, on_send_time, 0., 0.);
	errand->sent = done;
	errand->input = sqs_send_input(queue->address.url, outgoing, count);
	errand->count = count;
	if (errand->input != NULL) {
		for (size_t i = 0; i < count; i++)
			errand->entries[i] = json_incref(json_array_get(json_object_get(errand->input, "Entries"), i));
	} else
		error_set(&errand->error, ERROR_INVALID, "a message is not valid UTF-8");
	sqs_arm(queue, &errand->timer, 0);
}
