/* SPDX-License-Identifier: Apache-2.0 */
/* queue.c - finds the adapter for a call.  See queue.h and queue_impl.h. */
#include "queue/queue_impl.h"

static const struct queue_impl *const impls[CONF_QUEUE_TYPES] = {
	[CONF_QUEUE_SQS] = &queue_sqs_impl,
	[CONF_QUEUE_REDIS] = &queue_redis_impl,
	[CONF_QUEUE_REDIS_STREAM] = &queue_redis_impl,
	[CONF_QUEUE_STORE] = &queue_store_impl,
};

void queue_init(struct queue *queue, const struct queue_impl *impl, const struct conf_queue *conf,
	const struct queue_env *env, const struct queue_events *events)
{
	queue->impl = impl;
	queue->conf = conf;
	queue->env = *env;
	queue->events = *events;
	log_init(&queue->log, env->log, "queue %s", conf->name);
}

struct queue *queue_create(const struct conf_queue *conf, const struct queue_env *env,
	const struct queue_events *events, struct error *err)
{
	return impls[conf->type]->create(conf, env, events, err);
}

void queue_destroy(struct queue *queue)
{
	if (queue != NULL)
		queue->impl->destroy(queue);
}

const char *queue_name(const struct queue *queue)
{
	return queue->conf->name;
}

bool queue_ordered(const struct queue *queue)
{
	return queue->impl->ordered(queue);
}

void queue_probe(struct queue *queue, queue_done_fn *done, void *arg)
{
	queue->impl->probe(queue, done, arg);
}

void queue_start(struct queue *queue)
{
	queue->impl->start(queue);
}

void queue_set_room(struct queue *queue, unsigned room)
{
	queue->impl->set_room(queue, room);
}

void queue_stop(struct queue *queue, queue_done_fn *done, void *arg)
{
	queue->impl->stop(queue, done, arg);
}

struct queue_message *queue_resume(struct queue *queue, const struct job_message_ref *ref)
{
	return queue->impl->resume(queue, ref);
}

void queue_supersede(struct queue_message *held, struct queue_message *newer)
{
	held->queue->impl->supersede(held, newer);
}

void queue_update(struct queue_message *held, const char *receipt, int64_t hidden_until_ms)
{
	held->queue->impl->update(held, receipt, hidden_until_ms);
}

void queue_message_drop_body(struct queue_message *message)
{
	message->queue->impl->drop_body(message);
}

void queue_settle(struct queue_message *message, enum queue_verdict verdict, queue_done_fn *done, void *arg)
{
	message->queue->impl->settle(message, verdict, done, arg);
}

void queue_return(struct queue_message **messages, size_t count)
{
	if (count > 0)
		messages[0]->queue->impl->give_back(messages[0]->queue, messages, count);
}

void queue_forget(struct queue_message *message)
{
	if (message != NULL)
		message->queue->impl->forget(message);
}

void queue_figures(const struct queue *queue, struct queue_figures *figures)
{
	*figures = queue->figures;
}

void queue_send(struct queue *queue, const struct queue_outgoing *messages, size_t count,
	queue_sent_fn *done, void *arg)
{
	queue->impl->send(queue, messages, count, done, arg);
}

void queue_peek(struct queue *queue, unsigned max, queue_peek_fn *done, void *arg)
{
	queue->impl->peek(queue, max, done, arg);
}

void queue_depth(struct queue *queue, queue_depth_fn *done, void *arg)
{
	queue->impl->depth(queue, done, arg);
}

void queue_redrive(struct queue *queue, queue_progress_fn *progress, queue_redrive_fn *done, void *arg)
{
	queue->impl->redrive(queue, progress, done, arg);
}
