/* SPDX-License-Identifier: Apache-2.0 */
/* queue_sqs_send.c - sending by hand: up to ten messages in one call, each entry's answer checked, and
 * what could not be sent is sent again. */
#include <stdlib.h>

#include "base/backoff.h"
#include "base/mem.h"
#include "base/random.h"
#include "queue/queue_sqs.h"

enum { SEND_TRIES = 5 };
static const double send_first_s = 0.2, send_max_s = 5;

struct sqs_sending {
	struct sqs_errand errand;       /* its timer: until the next try, or until the answer may be told */
	queue_sent_fn *sent;
	struct sqs_outgoing messages[SQS_BATCH];        /* ours; without a body: it is sent */
	size_t count, done;
	unsigned tries;
	struct error error;
};

static void let_go(struct sqs_outgoing *message)
{
	free((char *)message->body);
	free((char *)message->group);
	free((char *)message->dedup);
	*message = (struct sqs_outgoing){ 0 };
}

static void sending_dispose(struct sqs_errand *errand)
{
	struct sqs_sending *sending = container_of(errand, struct sqs_sending, errand);

	for (size_t i = 0; i < sending->count; i++)
		let_go(&sending->messages[i]);
	free(sending);
}

static void send_end(struct sqs_sending *sending)
{
	queue_sent_fn *sent = sending->sent;
	void *arg = sending->errand.arg;
	struct error err = sending->error;
	size_t done = sending->done;
	bool all = sending->done == sending->count;

	sqs_errand_end(&sending->errand);
	sent(arg, done, all ? NULL : &err);
}

/* Marks what was sent; keeps the first error of what was not.  True when something is left that may
 * still be sent. */
static bool take_sent(struct sqs_sending *sending, const size_t *positions, const struct sqs_answer *answers, size_t n)
{
	bool left = false;

	sending->error = (struct error){ 0 };
	for (size_t i = 0; i < n; i++) {
		if (answers[i].outcome == SQS_DONE) {
			let_go(&sending->messages[positions[i]]);
			sending->done++;
			continue;
		}
		if (sending->error.kind == ERROR_NONE) {
			sending->error = answers[i].error;
			error_prefix(&sending->error, "message %zu of %zu", positions[i] + 1, sending->count);
			error_set_code(&sending->error, answers[i].error.code);
		}
		left = left || answers[i].outcome == SQS_AGAIN;
	}
	return left;
}

static size_t unsent(const struct sqs_sending *sending, size_t *positions)
{
	size_t n = 0;

	for (size_t i = 0; i < sending->count; i++) {
		if (sending->messages[i].body != NULL)
			positions[n++] = i;
	}
	return n;
}

static void on_sent(void *arg, const struct aws_reply *reply, const struct error *err)
{
	struct sqs_sending *sending = arg;
	struct sqs_answer answers[SQS_BATCH];
	size_t positions[SQS_BATCH], n = unsent(sending, positions);
	bool left;

	sending->errand.call = NULL;
	if (err != NULL) {
		sending->error = *err;
		left = error_may_pass(err->kind);
	} else {
		sqs_batch_parse(reply->doc, n, answers);
		left = take_sent(sending, positions, answers, n);
	}
	if (sending->done < sending->count && left && ++sending->tries < SEND_TRIES) {
		sqs_arm(sending->errand.queue, &sending->errand.timer,
			backoff_s(sending->tries, send_first_s, send_max_s, random_unit()));
		return;
	}
	send_end(sending);
}

/* Those that are left, numbered anew: the ids of a call are positions. */
static void send_left(struct sqs_sending *sending)
{
	size_t positions[SQS_BATCH], n = unsent(sending, positions);
	struct queue_sqs *queue = sending->errand.queue;
	struct sqs_outgoing left[SQS_BATCH];
	struct sqs_input input;

	for (size_t i = 0; i < n; i++)
		left[i] = sending->messages[positions[i]];
	input = sqs_send_input(queue->address.url, left, n);
	if (input.text == NULL) {
		error_set(&sending->error, ERROR_INVALID, "a message is not valid UTF-8");
		send_end(sending);
		return;
	}
	sending->errand.call = sqs_call(queue, "SendMessageBatch", input, (struct sqs_patience){ 0 }, on_sent, sending);
}

static void on_send_time(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct sqs_sending *sending = container_of(timer, struct sqs_sending, errand.timer);

	(void)loop;
	(void)revents;
	if (sending->count > 0)
		send_left(sending);
	else
		send_end(sending);
}

void sqs_send(struct queue *face, const struct queue_outgoing *messages, size_t count, queue_sent_fn *done, void *arg)
{
	struct queue_sqs *queue = container_of(face, struct queue_sqs, face);
	struct sqs_sending *sending = xnew(struct sqs_sending);

	if (count > SQS_BATCH)
		panic("queue %s: %zu messages in one send", queue_name(face), count);
	for (size_t i = 0; i < count; i++)
		sending->messages[i] = (struct sqs_outgoing){
			xstrdup(messages[i].body), xstrdup(messages[i].group), xstrdup(messages[i].dedup),
		};
	sqs_errand_init(&sending->errand, queue, arg, on_send_time, sending_dispose);
	sending->sent = done;
	sending->count = count;
	sqs_arm(queue, &sending->errand.timer, 0);
}
