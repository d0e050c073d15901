/* SPDX-License-Identifier: Apache-2.0 */
/* redis.c - see redis.h.
 *
 * Commands wait until the connection is ready, then go out at once and are answered in order.  One that
 * has its outcome moves to the finished ones and is told from a watcher of our own, so whoever is told may send,
 * or destroy everything. */
#include "net/redis.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/backoff.h"
#include "base/clock.h"
#include "base/list.h"
#include "base/mem.h"
#include "base/random.h"
#include "net/redis_codec.h"
#include "net/redis_sentinel.h"
#include "net/redis_url.h"
#include "net/stream.h"

enum redis_state {
	REDIS_IDLE,             /* not connected, nothing to say */
	REDIS_CONNECTING,
	REDIS_GREETING,         /* AUTH and SELECT are under way */
	REDIS_READY,
	REDIS_RESTING,          /* waits before it connects again */
	REDIS_STATES
};

static const char *const names[REDIS_STATES] = {
	[REDIS_IDLE] = "idle", [REDIS_CONNECTING] = "connecting", [REDIS_GREETING] = "greeting",
	[REDIS_READY] = "ready", [REDIS_RESTING] = "resting",
};

static const unsigned moves[REDIS_STATES] = {
	[REDIS_IDLE] = 1u << REDIS_CONNECTING,
	[REDIS_CONNECTING] = 1u << REDIS_GREETING | 1u << REDIS_RESTING,
	[REDIS_GREETING] = 1u << REDIS_READY | 1u << REDIS_RESTING,
	[REDIS_READY] = 1u << REDIS_IDLE | 1u << REDIS_RESTING,
	[REDIS_RESTING] = 1u << REDIS_IDLE,
};

static const double rest_first_s = 0.1, rest_most_s = 30;

struct redis {
	struct ev_loop *loop;
	struct log log;
	struct redis_url url;
	SSL_CTX *tls;
	enum redis_state state;
	size_t sentinel;                /* of url.sentinels: who knew the master last */
	struct redis_sentinel *search;  /* while connecting, until the master is known */
	struct redis_switches *switches;        /* of the Sentinel that knew, while there is a stream */
	struct stream *stream;          /* NULL while idle, resting and searching */
	struct redis_codec *codec;      /* the same */
	struct list waiting;            /* redis_command::link; for a connection */
	struct list sent;               /* for their answers, in order */
	struct list finished;           /* to be told in this turn */
	struct list refused;            /* to be told in the next turn */
	size_t pending;                 /* commands on all lists */
	unsigned greetings;             /* answers still to come to AUTH and SELECT */
	bool authenticating;            /* the next of them is AUTH's */
	uint64_t queued;                /* bytes given to the stream so far */
	bool answered;                  /* this connection has been of use */
	unsigned failures;              /* connections in a row that were not */
	bool complained;                /* the log knows that it is away */
	struct error why;               /* what ended the last connection */
	double greeted_by_s;            /* deadline of the greeting */
	char *subscription;             /* SUBSCRIBE, hiredis's; NULL: this takes commands */
	size_t subscription_bytes;
	redis_heard_fn *heard;
	void *heard_arg;
	bool *gone;                     /* set when it is destroyed inside heard() */
	double rest_most_s;
	ev_timer rest;
	ev_timer deadline;              /* runs while commands are pending */
	ev_timer tell;                  /* never started, only fed */
	ev_idle soon;
};

struct redis_command {
	struct list link;
	char *text;                     /* hiredis's */
	size_t text_bytes;
	uint64_t from;                  /* position of its first byte in the stream */
	double deadline_s;
	redisReply *reply;
	struct error err;
	redis_done_fn *done;
	void *arg;
};

static void move(struct redis *redis, enum redis_state state)
{
	if (!(moves[redis->state] & 1u << state))
		panic("redis: from %s to %s", names[redis->state], names[state]);
	log_debug(&redis->log, "%s: %s", redis->url.name, names[state]);
	redis->state = state;
}

/* Outcomes */

static void command_destroy(struct redis_command *command)
{
	list_remove(&command->link);
	redisFreeCommand(command->text);
	freeReplyObject(command->reply);
	free(command);
}

static void finish(struct redis *redis, struct redis_command *command)
{
	list_remove(&command->link);
	list_append(&redis->finished, &command->link);
	ev_feed_event(redis->loop, &redis->tell, EV_CUSTOM);
}

static void fail(struct redis *redis, struct redis_command *command, enum error_kind kind, const struct error *why)
{
	error_set(&command->err, kind, "%s: %s", redis->url.name, why->text);
	error_set_code(&command->err, why->code);
	finish(redis, command);
}

static void on_tell(struct ev_loop *loop, ev_timer *tell, int revents)
{
	struct redis *redis = container_of(tell, struct redis, tell);
	struct redis_command *command = list_first(&redis->finished, struct redis_command, link);

	(void)revents;
	if (command == NULL)
		return;
	list_remove(&command->link);
	redis->pending--;
	if (!list_empty(&redis->finished))
		ev_feed_event(loop, tell, EV_CUSTOM);
	if (command->err.kind != ERROR_NONE)
		command->done(command->arg, NULL, &command->err);
	else
		command->done(command->arg, command->reply, NULL);
	command_destroy(command);
}

static void on_soon(struct ev_loop *loop, ev_idle *soon, int revents)
{
	struct redis *redis = container_of(soon, struct redis, soon);

	(void)revents;
	ev_idle_stop(loop, soon);
	list_splice(&redis->finished, &redis->refused);
	ev_feed_event(loop, &redis->tell, EV_CUSTOM);
}

/* The connection */

static void connect_now(struct redis *redis);
static void set_deadline(struct redis *redis, double wait_s);

static void complain(struct redis *redis, double rest_s)
{
	if (redis->complained) {
		log_debug(&redis->log, "%s: %s; next try in %.1fs", redis->url.name, redis->why.text, rest_s);
		return;
	}
	redis->complained = true;
	log_warn(&redis->log, "%s: %s; next try in %.1fs", redis->url.name, redis->why.text, rest_s);
}

/* Of those that the connection took with it, only the ones that had left may have been done.  The others wait
 * for the next connection, unless this one never was of use.  Returns how many are lost. */
static size_t fail_sent(struct redis *redis)
{
	uint64_t gone = redis->stream != NULL ? stream_sent(redis->stream) : 0;
	struct redis_command *command, *next;
	size_t lost = 0;

	list_each_safe(command, next, &redis->sent, link) {
		if (gone > command->from) {
			fail(redis, command, ERROR_AMBIGUOUS, &redis->why);
			lost++;
		} else if (redis->answered) {
			list_remove(&command->link);
			list_append(&redis->waiting, &command->link);
		} else {
			fail(redis, command, ERROR_TEMPORARY, &redis->why);
			lost++;
		}
	}
	return lost;
}

static void fail_waiting(struct redis *redis)
{
	struct redis_command *command, *next;

	list_each_safe(command, next, &redis->waiting, link)
		fail(redis, command, redis->why.kind, &redis->why);
}

static void disconnect(struct redis *redis)
{
	redis_sentinel_cancel(redis->search);
	redis->search = NULL;
	redis_switches_destroy(redis->switches);
	redis->switches = NULL;
	stream_close(redis->stream);
	redis->stream = NULL;
	redis_codec_destroy(redis->codec);
	redis->codec = NULL;
}

/* The connection is of no use any more.  A server that closes a quiet connection is no failure: the next
 * command connects again. */
static void on_broken(struct redis *redis, const struct error *why)
{
	bool ready = redis->state == REDIS_READY;
	double rest_s;
	size_t lost;

	redis->why = *why;
	lost = fail_sent(redis);
	if (!ready)
		fail_waiting(redis);
	disconnect(redis);
	redis->failures = redis->answered ? 0 : redis->failures + 1;
	if (ready && redis->answered && lost == 0 && redis->subscription == NULL) {
		move(redis, REDIS_IDLE);
		if (!list_empty(&redis->waiting))
			connect_now(redis);
		return;
	}
	move(redis, REDIS_RESTING);
	rest_s = backoff_s(redis->failures > 0 ? redis->failures : 1, rest_first_s, redis->rest_most_s, random_unit());
	complain(redis, rest_s);
	ev_timer_set(&redis->rest, rest_s, 0.);
	ev_timer_start(redis->loop, &redis->rest);
}

static void on_rest(struct ev_loop *loop, ev_timer *rest, int revents)
{
	struct redis *redis = container_of(rest, struct redis, rest);

	(void)loop;
	(void)revents;
	move(redis, REDIS_IDLE);
	if (!list_empty(&redis->waiting) || redis->subscription != NULL)
		connect_now(redis);
}

/* Hands a command to the stream; its answer is due within the timeout from now. */
static void send_command(struct redis *redis, struct redis_command *command)
{
	static const struct error full = { .text = "too much is waiting to be sent" };

	if (!stream_send(redis->stream, command->text, command->text_bytes)) {
		fail(redis, command, ERROR_TEMPORARY, &full);
		return;
	}
	command->from = redis->queued;
	redis->queued += command->text_bytes;
	command->deadline_s = clock_monotonic_s() + REDIS_TIMEOUT_S;
	list_remove(&command->link);
	list_append(&redis->sent, &command->link);
}

static void become_ready(struct redis *redis)
{
	struct redis_command *command, *next;

	move(redis, REDIS_READY);
	if (redis->subscription != NULL)
		stream_send(redis->stream, redis->subscription, redis->subscription_bytes);
	list_each_safe(command, next, &redis->waiting, link)
		send_command(redis, command);
}

static void greet(struct redis *redis, int argc, const char *const *argv)
{
	size_t size;
	char *text = redis_codec_command(argc, argv, NULL, &size);

	if (stream_send(redis->stream, text, size)) {
		redis->queued += size;
		redis->greetings++;
	}
	explicit_bzero(text, size);
	redisFreeCommand(text);
}

static void on_opened(void *arg)
{
	struct redis *redis = arg;
	const struct redis_url *url = &redis->url;
	char database[16];

	move(redis, REDIS_GREETING);
	redis->greeted_by_s = clock_monotonic_s() + REDIS_TIMEOUT_S;
	redis->authenticating = url->password != NULL;
	if (url->user != NULL)
		greet(redis, 3, (const char *[]){ "AUTH", url->user, url->password });
	else if (url->password != NULL)
		greet(redis, 2, (const char *[]){ "AUTH", url->password });
	if (url->database > 0) {
		snprintf(database, sizeof(database), "%u", url->database);
		greet(redis, 2, (const char *[]){ "SELECT", database });
	}
	if (url->sentinel_count > 0)
		greet(redis, 1, (const char *[]){ "ROLE" });
	if (redis->greetings == 0)
		become_ready(redis);
	else if (!ev_is_active(&redis->deadline))
		set_deadline(redis, REDIS_TIMEOUT_S);
}

/* False: what the sentinels named is no master yet, or no longer.  A user who may not ask is believed. */
static bool is_master(const redisReply *role, struct error *why)
{
	if (role->type == REDIS_REPLY_ERROR || (role->type == REDIS_REPLY_ARRAY && role->elements > 0 &&
	    role->element[0]->type == REDIS_REPLY_STRING && strcmp(role->element[0]->str, "master") == 0))
		return true;
	error_set(why, ERROR_TEMPORARY, "the server that the sentinels name is not the master");
	return false;
}

/* False: the server does not want us. */
static bool take_greeting(struct redis *redis, const redisReply *reply, struct error *why)
{
	bool auth = redis->authenticating;

	redis->authenticating = false;
	if (redis->greetings == 1 && redis->url.sentinel_count > 0) {
		if (!is_master(reply, why))
			return false;
	} else if (reply->type == REDIS_REPLY_ERROR) {
		redis_codec_error(reply, why);
		/* A server without AUTH repeats what it was given, so its text stays out of ours. */
		if (auth && why->kind != ERROR_TEMPORARY) {
			char code[LIMIT_ERROR_CODE_BYTES];

			memcpy(code, why->code, sizeof(code));
			error_set(why, ERROR_REFUSED, "the server does not accept user and password (%s)", code);
			error_set_code(why, code);
		} else if (why->kind == ERROR_INVALID) {
			why->kind = ERROR_REFUSED;
		}
		return false;
	}
	if (--redis->greetings == 0)
		become_ready(redis);
	return true;
}

static void become_useful(struct redis *redis)
{
	if (!redis->answered && redis->complained)
		log_info(&redis->log, "%s: connected again", redis->url.name);
	redis->answered = true;
	redis->why = (struct error){ 0 };
	redis->complained = false;
	redis->failures = 0;
}

static bool is_text(const redisReply *reply, const char *text)
{
	return reply->type == REDIS_REPLY_STRING && strcmp(reply->str, text) == 0;
}

/* ["subscribe", channel, number] or ["message", channel, text].  *gone: heard() has destroyed redis. */
static bool take_heard(struct redis *redis, const redisReply *reply, bool *gone, struct error *why)
{
	bool message;

	if (reply->type == REDIS_REPLY_ERROR) {
		redis_codec_error(reply, why);
		return false;
	}
	message = reply->type == REDIS_REPLY_ARRAY && reply->elements == 3 && is_text(reply->element[0], "message") &&
		reply->element[1]->type == REDIS_REPLY_STRING && reply->element[2]->type == REDIS_REPLY_STRING;
	if (!message && !(reply->type == REDIS_REPLY_ARRAY && reply->elements == 3 &&
		is_text(reply->element[0], "subscribe"))) {
		error_set(why, ERROR_TEMPORARY, "the server answered what was not asked");
		return false;
	}
	become_useful(redis);
	/* cppcheck-suppress autoVariables ; reset below, or redis is gone */
	redis->gone = gone;
	if (message)
		redis->heard(redis->heard_arg, reply->element[1]->str, reply->element[2]->str);
	else
		redis->heard(redis->heard_arg, reply->element[1]->type == REDIS_REPLY_STRING ? reply->element[1]->str : "", NULL);
	if (!*gone)
		redis->gone = NULL;
	return true;
}

/* A script's error has what it met inside of its own. */
static bool is_replicas(const struct error *err)
{
	return strcmp(err->code, "READONLY") == 0 || strstr(err->text, "-READONLY ") != NULL;
}

static bool take_reply(struct redis *redis, redisReply *reply, struct error *why)
{
	struct redis_command *command = list_first(&redis->sent, struct redis_command, link);

	if (command == NULL) {
		if (reply->type == REDIS_REPLY_ERROR)
			redis_codec_error(reply, why);
		else
			error_set(why, ERROR_TEMPORARY, "the server answered what was not asked");
		freeReplyObject(reply);
		return false;
	}
	command->reply = reply;
	if (reply->type == REDIS_REPLY_ERROR) {
		redis_codec_error(reply, &command->err);
		error_prefix(&command->err, "%s", redis->url.name);
	}
	become_useful(redis);
	finish(redis, command);
	if (redis->url.sentinel_count > 0 && is_replicas(&command->err)) {
		error_set(why, ERROR_TEMPORARY, "the server is the master no longer");
		return false;
	}
	return true;
}

static void on_received(void *arg, const char *bytes, size_t size)
{
	struct redis *redis = arg;
	struct error why = { 0 };
	bool gone = false;
	bool ok = redis_codec_feed(redis->codec, bytes, size, &why);

	while (ok) {
		redisReply *reply = NULL;

		ok = redis_codec_next(redis->codec, &reply, &why);
		if (!ok || reply == NULL)
			break;
		if (redis->state == REDIS_GREETING) {
			ok = take_greeting(redis, reply, &why);
			freeReplyObject(reply);
		} else if (redis->subscription != NULL) {
			ok = take_heard(redis, reply, &gone, &why);
			freeReplyObject(reply);
		} else {
			ok = take_reply(redis, reply, &why);
		}
		if (gone)
			return;
	}
	if (!ok)
		on_broken(redis, &why);
}

static void on_closed(void *arg, const struct error *err)
{
	on_broken(arg, err);
}

static const struct stream_events events = {
	.opened = on_opened, .received = on_received, .closed = on_closed,
};

static void open_stream(struct redis *redis, const char *host, unsigned port)
{
	struct stream_target target = {
		.host = host, .port = port, .unix_path = redis->url.path, .tls = redis->tls, .timeout_s = REDIS_TIMEOUT_S,
	};

	redis->stream = stream_open(redis->loop, &target, &events, redis);
}

static void on_switched(void *arg)
{
	struct redis *redis = arg;
	struct error why;

	error_set(&why, ERROR_TEMPORARY, "the sentinels name another master");
	log_info(&redis->log, "%s: %s", redis->url.name, why.text);
	on_broken(redis, &why);
}

static void on_master(void *arg, const char *host, unsigned port, const struct error *err)
{
	struct redis *redis = arg;

	redis->search = NULL;
	if (err != NULL) {
		on_broken(redis, err);
		return;
	}
	redis->switches = redis_sentinel_listen(redis->loop, &redis->log, &redis->url, redis->sentinel, on_switched, redis);
	open_stream(redis, host, port);
}

static void connect_now(struct redis *redis)
{
	move(redis, REDIS_CONNECTING);
	redis->queued = 0;
	redis->greetings = 0;
	redis->answered = false;
	redis->codec = redis_codec_create();
	if (redis->url.sentinel_count > 0)
		redis->search = redis_sentinel_ask(redis->loop, &redis->log, &redis->url, &redis->sentinel, on_master, redis);
	else
		open_stream(redis, redis->url.host, redis->url.port);
}

/* Time */

static void set_deadline(struct redis *redis, double wait_s)
{
	ev_now_update(redis->loop);
	ev_timer_set(&redis->deadline, wait_s > 0 ? wait_s : 0, 0.);
	ev_timer_start(redis->loop, &redis->deadline);
}

/* Both lists are in the order of their deadlines. */
static void drop_late_waiting(struct redis *redis, double now_s)
{
	struct redis_command *command;
	struct error why = redis->why;

	if (why.text[0] == '\0')
		error_set(&why, ERROR_TEMPORARY, "no connection within %d s", REDIS_TIMEOUT_S);
	while ((command = list_first(&redis->waiting, struct redis_command, link)) != NULL && command->deadline_s <= now_s)
		fail(redis, command, why.kind == ERROR_REFUSED ? ERROR_REFUSED : ERROR_TEMPORARY, &why);
}

static bool is_late(const struct redis *redis, double now_s)
{
	const struct redis_command *command = list_first(&redis->sent, struct redis_command, link);

	return (command != NULL && command->deadline_s <= now_s)
		|| (redis->state == REDIS_GREETING && redis->greeted_by_s <= now_s);
}

/* Commands have one timeout, so a timer that is set anew only when it fires is early enough for all. */
static void on_deadline(struct ev_loop *loop, ev_timer *deadline, int revents)
{
	struct redis *redis = container_of(deadline, struct redis, deadline);
	double now_s = clock_monotonic_s(), next_s = now_s + REDIS_TIMEOUT_S;
	const struct redis_command *waiting, *sent;
	struct error why;

	(void)loop;
	(void)revents;
	drop_late_waiting(redis, now_s);
	if (is_late(redis, now_s)) {
		error_set(&why, ERROR_TEMPORARY, "no answer within %d s", REDIS_TIMEOUT_S);
		on_broken(redis, &why);
	}
	waiting = list_first(&redis->waiting, struct redis_command, link);
	sent = list_first(&redis->sent, struct redis_command, link);
	if (waiting != NULL && waiting->deadline_s < next_s)
		next_s = waiting->deadline_s;
	if (sent != NULL && sent->deadline_s < next_s)
		next_s = sent->deadline_s;
	if (redis->state == REDIS_GREETING && redis->greeted_by_s < next_s)
		next_s = redis->greeted_by_s;
	if (waiting != NULL || sent != NULL || redis->state == REDIS_GREETING)
		set_deadline(redis, next_s - now_s);
}

/* The face */

struct redis *redis_create(struct ev_loop *loop, const struct log *log, const char *url, struct error *err)
{
	struct redis *redis = xnew(struct redis);

	if (!redis_url_parse(&redis->url, url, err)) {
		free(redis);
		return NULL;
	}
	redis->loop = loop;
	redis->rest_most_s = rest_most_s;
	log_init(&redis->log, log, "redis");
	list_init(&redis->waiting);
	list_init(&redis->sent);
	list_init(&redis->finished);
	list_init(&redis->refused);
	ev_init(&redis->rest, on_rest);
	ev_init(&redis->deadline, on_deadline);
	ev_init(&redis->tell, on_tell);
	ev_idle_init(&redis->soon, on_soon);
	ev_set_priority(&redis->soon, EV_MAXPRI);
	if (redis->url.tls && (redis->tls = stream_tls_create(err)) == NULL) {
		redis_destroy(redis);
		return NULL;
	}
	return redis;
}

struct redis *redis_subscribe(struct ev_loop *loop, const struct log *log, const char *url,
	const char *const *channels, size_t count, redis_heard_fn *heard, void *arg, struct error *err)
{
	struct redis *redis = redis_create(loop, log, url, err);
	const char **words;

	if (redis == NULL)
		return NULL;
	words = xcalloc(count + 1, sizeof(*words));
	words[0] = "SUBSCRIBE";
	for (size_t i = 0; i < count; i++)
		words[i + 1] = channels[i];
	redis->subscription = redis_codec_command((int)count + 1, words, NULL, &redis->subscription_bytes);
	redis->heard = heard;
	redis->heard_arg = arg;
	free(words);
	connect_now(redis);
	return redis;
}

void redis_hurry(struct redis *redis, double most_s)
{
	redis->rest_most_s = most_s;
}

static void drop_all(struct list *commands)
{
	struct redis_command *command, *next;

	list_each_safe(command, next, commands, link)
		command_destroy(command);
}

void redis_destroy(struct redis *redis)
{
	if (redis == NULL)
		return;
	if (redis->gone != NULL)
		*redis->gone = true;
	redisFreeCommand(redis->subscription);
	disconnect(redis);
	drop_all(&redis->waiting);
	drop_all(&redis->sent);
	drop_all(&redis->finished);
	drop_all(&redis->refused);
	ev_timer_stop(redis->loop, &redis->rest);
	ev_timer_stop(redis->loop, &redis->deadline);
	ev_idle_stop(redis->loop, &redis->soon);
	ev_clear_pending(redis->loop, &redis->tell);
	SSL_CTX_free(redis->tls);
	redis_url_finish(&redis->url);
	free(redis);
}

void redis_command(struct redis *redis, int argc, const char *const *argv, const size_t *argl,
	redis_done_fn *done, void *arg)
{
	struct redis_command *command = xnew(struct redis_command);

	command->done = done;
	command->arg = arg;
	command->deadline_s = clock_monotonic_s() + REDIS_TIMEOUT_S;
	list_init(&command->link);
	redis->pending++;
	if (redis->pending > LIMIT_REDIS_PENDING) {
		error_set(&command->err, ERROR_TEMPORARY, "%s: %d commands are waiting already", redis->url.name,
			LIMIT_REDIS_PENDING);
		list_append(&redis->refused, &command->link);
		ev_idle_start(redis->loop, &redis->soon);
		return;
	}
	command->text = redis_codec_command(argc, argv, argl, &command->text_bytes);
	list_append(&redis->waiting, &command->link);
	if (!ev_is_active(&redis->deadline))
		set_deadline(redis, REDIS_TIMEOUT_S);
	if (redis->state == REDIS_READY)
		send_command(redis, command);
	else if (redis->state == REDIS_IDLE)
		connect_now(redis);
}
