/* SPDX-License-Identifier: Apache-2.0 */
/* redis_holder.c - see redis_holder.h. */
#include "redis_holder.h"

#include <hiredis/hiredis.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

struct redis_server server;
struct ev_loop *loop;
static struct redis *side;      /* the producer's and the auditor's own connection */

void on_late(struct ev_loop *at, ev_timer *timer, int revents)
{
	(void)at, (void)timer, (void)revents;
	fail_msg("nothing happened for %d s", LATE_S);
}

/* -- what the producer and the auditor do -------------------------------------------------------------- */

static void on_said(void *arg, const struct redisReply *reply, const struct error *err)
{
	struct said *said = arg;

	said->told = true;
	said->failed = err != NULL;
	if (err != NULL)
		return;
	said->number = reply->integer;
	said->text = xstrdup(reply->str != NULL ? reply->str : "");
	for (size_t i = 0; i < reply->elements; i++) {
		char *more = xasprintf("%s%s ", said->text, reply->element[i]->str);

		free(said->text);
		said->text = more;
	}
}

struct said say(int argc, const char *const *argv)
{
	struct said said = { 0 };

	do {
		said = (struct said){ 0 };
		redis_command(side, argc, argv, NULL, on_said, &said);
		RUN_UNTIL(said.told);
	} while (said.failed);
	return said;
}

long long number(struct said said)
{
	free(said.text);
	return said.number;
}

void assert_says(struct said said, const char *want)
{
	assert_string_equal(said.text, want);
	free(said.text);
}

/* -- holders ------------------------------------------------------------------------------------------ */

static void on_received(void *arg, struct queue_message **messages, size_t count)
{
	struct holder *holder = arg;

	holder->batches++;
	for (size_t i = 0; i < count; i++)
		holder->held[holder->count++] = messages[i];
}

void on_done(void *arg, const struct error *err)
{
	struct holder *holder = arg;

	holder->done++;
	if (err != NULL)
		holder->error = *err;
}

void on_stopped(void *arg, const struct error *err)
{
	assert_null(err);
	((struct holder *)arg)->stopped = true;
}

static void open_queue(struct holder *holder)
{
	struct queue_events events = { .received = on_received, .arg = holder };
	struct queue_env env = { .loop = loop, .log = &holder->log };
	struct error err;

	log_init(&holder->log, NULL, "holder");
	holder->queue = queue_create(&holder->conf, &env, &events, &err);
	assert_non_null(holder->queue);
}

void begin(struct holder *holder, const char *list, enum conf_pop pop)
{
	*holder = (struct holder){
		.loop = loop, .conf = { .name = (char *)"q", .type = CONF_QUEUE_REDIS, .url = server.unix_url,
			.list = (char *)list, .pop = pop },
	};
	open_queue(holder);
}

void begin_stream(struct holder *holder, const char *stream, bool deleted)
{
	*holder = (struct holder){
		.loop = loop, .conf = { .name = (char *)"q", .type = CONF_QUEUE_REDIS_STREAM, .url = server.unix_url,
			.list = (char *)stream, .group = (char *)"g", .field = (char *)"body", .delete_settled = deleted },
	};
	open_queue(holder);
}

void take_up_to(struct holder *holder, unsigned room)
{
	queue_set_room(holder->queue, room);
	queue_start(holder->queue);
}

void end(struct holder *holder)
{
	queue_destroy(holder->queue);
	holder->queue = NULL;
	free(holder->texts);
}

void assert_bodies(const struct holder *holder, size_t from, const char *const *want, size_t count)
{
	assert_int_equal(holder->count - from, count);
	for (size_t i = 0; i < count; i++) {
		assert_string_equal(holder->held[from + i]->body, want[i]);
		assert_int_equal(holder->held[from + i]->body_bytes, strlen(want[i]));
	}
}

void settle_all(struct holder *holder, enum queue_verdict verdict)
{
	holder->done = 0;
	for (size_t i = 0; i < holder->count; i++)
		queue_settle(holder->held[i], verdict, on_done, holder);
	RUN_UNTIL(holder->done == holder->count);
}

void silence_all(const char *workers)
{
	struct said said = SAY("HKEYS", workers);
	char *rest = NULL;

	for (char *name = strtok_r(said.text, " ", &rest); name != NULL; name = strtok_r(NULL, " ", &rest))
		number(SAY("HSET", workers, name, "1"));
	free(said.text);
}

void on_sent(void *arg, size_t sent, const struct error *err)
{
	struct holder *holder = arg;

	assert_null(err);
	holder->sent = sent;
}

void on_peeked(void *arg, const struct queue_peeked *messages, size_t count, const struct error *err)
{
	struct holder *holder = arg;

	assert_null(err);
	holder->seen = count;
	for (size_t i = 0; i < count; i++) {
		char *more = xasprintf("%s%s=%s ", i > 0 ? holder->texts : "", messages[i].id, messages[i].body);

		free(holder->texts);
		holder->texts = more;
	}
}

void on_measured(void *arg, const struct queue_depth *depth, const struct error *err)
{
	assert_null(err);
	((struct holder *)arg)->depth = *depth;
}

void on_redriven(void *arg, uint64_t moved, const struct error *err)
{
	assert_null(err);
	((struct holder *)arg)->moved = moved;
}

int redis_set_up(void **state)
{
	struct log log;
	struct error err;

	(void)state;
	log_set_level(LOG_LEVEL_ERROR);
	log_init(&log, NULL, "side");
	redis_server_init(&server, false, false);
	redis_server_start(&server, NULL);
	loop = ev_loop_new(EVFLAG_AUTO);
	side = redis_create(loop, &log, server.unix_url, &err);
	number(SAY("PING"));
	return 0;
}

int redis_tear_down(void **state)
{
	(void)state;
	redis_destroy(side);
	ev_loop_destroy(loop);
	redis_server_finish(&server);
	return 0;
}
