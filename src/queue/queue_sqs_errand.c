/* SPDX-License-Identifier: Apache-2.0 */
/* queue_sqs_errand.c - calls that concern no held message, and the two that read the queue's attributes:
 * whether it answers, and how much is in it. */
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "queue/queue_sqs.h"

void sqs_errand_init(struct sqs_errand *errand, struct queue_sqs *queue, void *arg,
	void (*on_step)(struct ev_loop *, ev_timer *, int), void (*dispose)(struct sqs_errand *))
{
	errand->queue = queue;
	errand->arg = arg;
	errand->dispose = dispose;
	ev_init(&errand->timer, on_step);
	list_append(&queue->errands, &errand->link);
}

void sqs_errand_end(struct sqs_errand *errand)
{
	ev_timer_stop(errand->queue->face.env.loop, &errand->timer);
	aws_call_cancel(errand->call);
	list_remove(&errand->link);
	errand->dispose(errand);
}

void sqs_errands_cancel(struct queue_sqs *queue)
{
	while (!list_empty(&queue->errands))
		sqs_errand_end(list_first(&queue->errands, struct sqs_errand, link));
}

/* A question about the queue's attributes: one of the two is set. */
struct sqs_question {
	struct sqs_errand errand;
	queue_done_fn *probed;
	queue_depth_fn *measured;
};

static void question_dispose(struct sqs_errand *errand)
{
	free(container_of(errand, struct sqs_question, errand));
}

static void ask(struct queue *face, aws_reply_fn *on_reply, queue_done_fn *probed, queue_depth_fn *measured,
	void *arg)
{
	struct queue_sqs *queue = container_of(face, struct queue_sqs, face);
	struct sqs_question *question = xnew(struct sqs_question);

	question->probed = probed;
	question->measured = measured;
	sqs_errand_init(&question->errand, queue, arg, NULL, question_dispose);
	question->errand.call = sqs_call(queue, "GetQueueAttributes", sqs_attributes_input(queue->address.url),
		(struct sqs_patience){ 0 }, on_reply, question);
}

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
	struct sqs_question *question = arg;
	queue_done_fn *probed = question->probed;
	void *probed_arg = question->errand.arg;
	struct sqs_attributes attributes;

	question->errand.call = NULL;
	if (err == NULL) {
		sqs_attributes_parse(reply->doc, &attributes);
		remark(question->errand.queue, &attributes);
	}
	sqs_errand_end(&question->errand);
	probed(probed_arg, err);
}

void sqs_probe(struct queue *face, queue_done_fn *done, void *arg)
{
	ask(face, on_probed, done, NULL, arg);
}

/* The age of the oldest message is a metric of CloudWatch and no attribute of the queue. */
static void on_measured(void *arg, const struct aws_reply *reply, const struct error *err)
{
	struct sqs_question *question = arg;
	queue_depth_fn *measured = question->measured;
	void *measured_arg = question->errand.arg;
	struct queue_depth depth = { .visible = -1, .hidden = -1, .delayed = -1, .oldest_age_ms = -1 };
	struct sqs_attributes attributes;

	question->errand.call = NULL;
	if (err == NULL) {
		sqs_attributes_parse(reply->doc, &attributes);
		depth.visible = attributes.visible;
		depth.hidden = attributes.hidden;
		depth.delayed = attributes.delayed;
		depth.max_receives = attributes.max_receives > 0 ? (unsigned)attributes.max_receives : 0;
		snprintf(depth.dead_letter, sizeof(depth.dead_letter), "%s", attributes.dead_letter);
	}
	sqs_errand_end(&question->errand);
	measured(measured_arg, &depth, err);
}

void sqs_depth(struct queue *face, queue_depth_fn *done, void *arg)
{
	ask(face, on_measured, NULL, done, arg);
}
