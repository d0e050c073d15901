/* SPDX-License-Identifier: Apache-2.0 */
/* queue_impl.h - what an adapter fills in (queue.h says what each call promises).
 *
 * An adapter embeds struct queue first in its own struct and struct queue_message in its messages.
 * queue.c only looks the table up: whatever is counted, paced or logged is the adapter's. */
#ifndef QUEUE_QUEUE_IMPL_H
#define QUEUE_QUEUE_IMPL_H

#include "queue/queue.h"

struct queue {
	const struct queue_impl *impl;
	const struct conf_queue *conf;  /* lent; outlives the queue */
	struct queue_env env;
	struct queue_events events;
	struct log log;                 /* "queue NAME" */
	struct queue_figures figures;
};

struct queue_impl {
	struct queue *(*create)(const struct conf_queue *conf, const struct queue_env *env,
		const struct queue_events *events, struct error *err);
	void (*destroy)(struct queue *queue);
	bool (*ordered)(const struct queue *queue);
	void (*probe)(struct queue *queue, queue_done_fn *done, void *arg);
	void (*start)(struct queue *queue);
	void (*set_room)(struct queue *queue, unsigned room);
	void (*stop)(struct queue *queue, queue_done_fn *done, void *arg);
	struct queue_message *(*resume)(struct queue *queue, const struct job_message_ref *ref);
	void (*supersede)(struct queue_message *held, struct queue_message *newer);
	void (*update)(struct queue_message *held, const char *receipt, int64_t hidden_until_ms);
	void (*drop_body)(struct queue_message *message);
	void (*settle)(struct queue_message *message, enum queue_verdict verdict, queue_done_fn *done, void *arg);
	void (*give_back)(struct queue *queue, struct queue_message **messages, size_t count);
	void (*forget)(struct queue_message *message);
	void (*send)(struct queue *queue, const struct queue_outgoing *messages, size_t count,
		queue_sent_fn *done, void *arg);
	void (*peek)(struct queue *queue, unsigned max, queue_peek_fn *done, void *arg);
	void (*depth)(struct queue *queue, queue_depth_fn *done, void *arg);
	void (*redrive)(struct queue *queue, queue_progress_fn *progress, queue_redrive_fn *done, void *arg);
};

extern const struct queue_impl queue_redis_impl, queue_sqs_impl, queue_store_impl;

/* For an adapter's create. */
void queue_init(struct queue *queue, const struct queue_impl *impl, const struct conf_queue *conf,
	const struct queue_env *env, const struct queue_events *events);

#endif
