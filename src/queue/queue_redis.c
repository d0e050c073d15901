/* SPDX-License-Identifier: Apache-2.0 */
/* queue_redis.c - the Redis adapter: puts its parts together (queue_redis.h lists them), and its messages.
 *
 * There is no lease to renew: an entry stays held until it is settled by its id, whoever does that.  So what
 * another process held is resumed without a word to the server. */
#include "queue/queue_redis.h"

#include <stdlib.h>
#include <string.h>

#include "base/backoff.h"
#include "base/clock.h"
#include "base/mem.h"

static const double retry_first_s = 0.1, retry_most_s = 5;

static struct queue_redis *redis_of(const struct queue *queue)
{
	return container_of(queue, struct queue_redis, face);
}

static struct redis_message *message_of(struct queue_message *message)
{
	return container_of(message, struct redis_message, face);
}

void redis_arm(struct queue_redis *queue, ev_timer *timer, double delay_s)
{
	struct ev_loop *loop = queue->face.env.loop;

	ev_timer_stop(loop, timer);
	ev_timer_set(timer, delay_s, 0.);
	ev_timer_start(loop, timer);
}

void redis_eval(struct queue_redis *queue, const char *script, size_t argc, const char *const *argv, const size_t *argl,
	redis_done_fn *done, void *arg)
{
	enum { BEFORE = 3 + REDIS_KEYS + 1 };
	const char **words = xcalloc(BEFORE + argc, sizeof(*words));
	size_t *lengths = xcalloc(BEFORE + argc, sizeof(*lengths));
	size_t count = 0;

	words[count++] = "EVAL";
	words[count++] = script;
	words[count++] = "6";
	_Static_assert(REDIS_KEYS == 6, "the number of keys");
	for (size_t i = 0; i < REDIS_KEYS; i++)
		words[count++] = queue->keys[i];
	words[count++] = queue->first_argument;
	for (size_t i = 0; i < argc; i++)
		words[count++] = argv[i];
	for (size_t i = 0; i < count; i++)
		lengths[i] = argl != NULL && i >= BEFORE ? argl[i - BEFORE] : strlen(words[i]);
	redis_command(queue->hand, (int)count, words, lengths, done, arg);
	free(words);
	free(lengths);
}

/* -- trouble ---------------------------------------------------------------------------------------- */

double redis_trouble_note(struct queue_redis *queue, struct redis_trouble *trouble, const struct error *err)
{
	double wait_s = backoff_s(++trouble->failures, retry_first_s, retry_most_s, random_unit());
	struct queue_figures *figures = &queue->face.figures;

	figures->failures++;
	figures->degraded = true;
	figures->error = *err;
	if (trouble->failures == 1 && error_may_pass(err->kind))
		log_warn(&queue->face.log, "%s failed: %s; trying until it works", trouble->doing, err->text);
	else if (trouble->failures == 1)
		log_error(&queue->face.log, "%s is refused: %s; trying until it works", trouble->doing, err->text);
	return wait_s;
}

void redis_trouble_over(struct queue_redis *queue, struct redis_trouble *trouble)
{
	queue->face.figures.degraded = false;
	queue->face.figures.error = (struct error){ 0 };
	if (trouble->failures > 0)
		log_info(&queue->face.log, "%s works again", trouble->doing);
	trouble->failures = 0;
}

/* -- messages --------------------------------------------------------------------------------------- */

/* The end of its hold is not known by a time. */
struct redis_message *redis_message_create(struct queue_redis *queue, const char *id, const char *body,
	size_t body_bytes, unsigned deliveries)
{
	struct redis_message *message = xnew(struct redis_message);
	int64_t now_ms = clock_steady_ms();

	message->id = xstrdup(id);
	message->body = body != NULL ? xstrndup(body, body_bytes) : NULL;
	message->face = (struct queue_message){
		.queue = &queue->face, .id = message->id, .receipt = message->id, .body = message->body,
		.body_bytes = body_bytes, .deliveries = deliveries, .received_ms = now_ms, .hidden_until_ms = now_ms,
	};
	list_init(&message->link);
	list_append(&queue->messages, &message->all);
	if (table_find(&queue->held, id) == NULL)
		table_add(&queue->held, &message->by_id, message->id);
	queue->face.figures.held++;
	return message;
}

void redis_message_detach(struct redis_message *message)
{
	struct queue_redis *queue = redis_of(message->face.queue);

	list_remove(&message->link);
	list_remove(&message->all);
	table_remove(&queue->held, &message->by_id);
	queue->face.figures.held--;
}

void redis_message_dispose(struct redis_message *message)
{
	free(message->id);
	free(message->body);
	free(message);
}

static struct queue_message *resume(struct queue *face, const struct job_message_ref *ref)
{
	return &redis_message_create(redis_of(face), ref->id, NULL, 0, ref->deliveries)->face;
}

static void forget(struct queue_message *face)
{
	struct redis_message *message = message_of(face);

	if (message->settling)
		panic("queue %s: message %s is forgotten while it is settled", queue_name(face->queue), message->id);
	redis_message_detach(message);
	redis_message_dispose(message);
}

/* The id is the handle, so a newer message of the same id brings nothing new. */
static void supersede(struct queue_message *held, struct queue_message *newer)
{
	held->deliveries = newer->deliveries;
	forget(newer);
}

static void update(struct queue_message *held, const char *receipt, int64_t hidden_until_ms)
{
	(void)held, (void)receipt, (void)hidden_until_ms;
}

static void drop_body(struct queue_message *face)
{
	xreplace(&message_of(face)->body, NULL);
	face->body = NULL;
}

static void settle(struct queue_message *face, enum queue_verdict verdict, queue_done_fn *done, void *arg)
{
	struct redis_message *message = message_of(face);

	if (message->settling)
		panic("queue %s: message %s is settled twice", queue_name(face->queue), message->id);
	message->settling = true;
	message->verdict = verdict;
	message->done = done;
	message->done_arg = arg;
	redis_settler_add(&redis_of(face->queue)->settler, message);
}

static void give_back(struct queue *face, struct queue_message **messages, size_t count)
{
	(void)face;
	for (size_t i = 0; i < count; i++)
		settle(messages[i], QUEUE_RETURN, NULL, NULL);
}

/* -- the table -------------------------------------------------------------------------------------- */

static bool ordered(const struct queue *face)
{
	(void)face;
	return false;
}

static void start(struct queue *face)
{
	redis_taker_start(&redis_of(face)->taker);
}

static void set_room(struct queue *face, unsigned room)
{
	redis_taker_set_room(&redis_of(face)->taker, room);
}

static void stop(struct queue *face, queue_done_fn *done, void *arg)
{
	redis_taker_stop(&redis_of(face)->taker, done, arg);
}

static void destroy(struct queue *face)
{
	struct queue_redis *queue = redis_of(face);

	if (queue->gone != NULL)
		*queue->gone = true;
	redis_destroy(queue->hand);
	redis_destroy(queue->ear);
	redis_taker_finish(&queue->taker);
	redis_settler_finish(&queue->settler);
	redis_errands_cancel(queue);
	while (!list_empty(&queue->messages)) {
		struct redis_message *message = list_first(&queue->messages, struct redis_message, all);

		redis_message_detach(message);
		redis_message_dispose(message);
	}
	table_finish(&queue->held);
	for (size_t i = 0; i < REDIS_KEYS; i++)
		free(queue->keys[i]);
	free(queue->first_argument);
	free(queue);
}

static struct queue *create(const struct conf_queue *conf, const struct queue_env *env,
	const struct queue_events *events, struct error *err)
{
	struct queue_redis *queue = xnew(struct queue_redis);

	queue_init(&queue->face, &queue_redis_impl, conf, env, events);
	list_init(&queue->messages);
	list_init(&queue->errands);
	queue->kind = conf->type == CONF_QUEUE_REDIS_STREAM ? &redis_stream_kind : &redis_list_kind;
	queue->first_argument = queue->kind->first_argument(conf);
	for (size_t i = 0; i < REDIS_KEYS; i++)
		queue->keys[i] = queue->kind->key_of(conf, (enum redis_key)i);
	redis_taker_init(&queue->taker);
	redis_settler_init(&queue->settler);
	queue->hand = redis_create(env->loop, &queue->face.log, conf->url, err);
	queue->ear = queue->hand != NULL ? redis_create(env->loop, &queue->face.log, conf->url, err) : NULL;
	if (queue->ear == NULL) {
		destroy(&queue->face);
		return NULL;
	}
	return &queue->face;
}

const struct queue_impl queue_redis_impl = {
	.create = create,
	.destroy = destroy,
	.ordered = ordered,
	.probe = redis_probe,
	.start = start,
	.set_room = set_room,
	.stop = stop,
	.resume = resume,
	.supersede = supersede,
	.update = update,
	.drop_body = drop_body,
	.settle = settle,
	.give_back = give_back,
	.forget = forget,
	.send = redis_send,
	.peek = redis_peek,
	.depth = redis_measure,
	.redrive = redis_redrive,
};
