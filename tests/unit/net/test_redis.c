/* SPDX-License-Identifier: Apache-2.0 */
/* A real redis-server for what it does, a canned one for what none should do. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../cmocka_all.h"
#include "base/clock.h"
#include "base/list.h"
#include "base/mem.h"
#include "net/redis.h"
#include "net/redis_codec.h"
#include "redis_server.h"

enum { LATE_S = 120 };           /* a test that takes this long has failed */

struct outcome {
	struct ev_loop *loop;
	unsigned told;
	struct error err;
	int type;
	char *text;
	long long number;
	size_t elements;
	struct redis **destroy;         /* destroyed in the completion */
	struct redis *again;            /* sends one more in the completion */
};

static struct redis_server server;

static void on_late(struct ev_loop *loop, ev_timer *timer, int revents)
{
	(void)loop;
	(void)timer;
	(void)revents;
	fail_msg("nothing happened for %d s", LATE_S);
}

static void run_until(struct outcome *outcome, unsigned told)
{
	ev_timer late;

	ev_timer_init(&late, on_late, LATE_S, 0.);
	ev_now_update(outcome->loop);
	ev_timer_start(outcome->loop, &late);
	while (outcome->told < told)
		ev_run(outcome->loop, EVRUN_ONCE);
	ev_timer_stop(outcome->loop, &late);
}

static void on_reply(void *arg, const struct redisReply *reply, const struct error *err)
{
	struct outcome *outcome = arg;

	outcome->told++;
	outcome->err = err != NULL ? *err : (struct error){ 0 };
	assert_true((reply == NULL) == (err != NULL));
	if (reply != NULL) {
		outcome->type = reply->type;
		outcome->number = reply->integer;
		outcome->elements = reply->elements;
		xreplace(&outcome->text, reply->str);
	}
	if (outcome->again != NULL) {
		struct redis *again = outcome->again;

		outcome->again = NULL;
		redis_command(again, 1, (const char *[]){ "PING" }, NULL, on_reply, outcome);
	}
	if (outcome->destroy != NULL) {
		redis_destroy(*outcome->destroy);
		*outcome->destroy = NULL;
	}
}

static void ask(struct redis *redis, struct outcome *outcome, int argc, const char *const *argv)
{
	unsigned before = outcome->told;

	redis_command(redis, argc, argv, NULL, on_reply, outcome);
	assert_int_equal(outcome->told, before);
	run_until(outcome, before + 1);
}
#define ASK(redis, outcome, ...) ask(redis, outcome, \
	(int)(sizeof((const char *[]){ __VA_ARGS__ }) / sizeof(char *)), (const char *[]){ __VA_ARGS__ })

static struct redis *open_redis(struct ev_loop *loop, const char *url)
{
	struct error err = { 0 };
	struct redis *redis = redis_create(loop, NULL, url, &err);

	if (redis == NULL)
		fail_msg("%s", err.text);
	return redis;
}

/* A server that has just been started refuses connections for a moment; each refusal is told at once. */
static void ask_until_up(struct redis *redis, struct outcome *outcome)
{
	double until_s = clock_monotonic_s() + LATE_S;

	do {
		ASK(redis, outcome, "PING");
		assert_true(clock_monotonic_s() < until_s);
	} while (outcome->err.kind == ERROR_TEMPORARY);
}

static void close_all(struct redis *redis, struct outcome *outcome)
{
	redis_destroy(redis);
	free(outcome->text);
	ev_loop_destroy(outcome->loop);
}

static int start_server(void **state)
{
	struct outcome outcome = { .loop = ev_loop_new(EVFLAG_AUTO) };
	struct redis *redis;

	(void)state;
	redis_server_init(&server, true, true);
	setenv("SSL_CERT_FILE", server.ca_file, 1);
	redis_server_start(&server, "hunter2");
	redis = open_redis(outcome.loop, server.unix_url);
	ask_until_up(redis, &outcome);
	/* It is up, and wants the password that this URL doesn't have. */
	assert_int_equal(outcome.err.kind, ERROR_REFUSED);
	assert_string_equal(outcome.err.code, "NOAUTH");
	close_all(redis, &outcome);
	return 0;
}

static int stop_server(void **state)
{
	(void)state;
	redis_server_finish(&server);
	return 0;
}

static void exercise(const char *url)
{
	struct outcome outcome = { .loop = ev_loop_new(EVFLAG_AUTO) };
	struct redis *redis = open_redis(outcome.loop, url);
	size_t size = 3 << 20;
	char *big = xcalloc(1, size + 1);

	ASK(redis, &outcome, "SET", "k", "v");
	assert_int_equal(outcome.err.kind, ERROR_NONE);
	ASK(redis, &outcome, "GET", "k");
	assert_string_equal(outcome.text, "v");
	ASK(redis, &outcome, "GET", "absent");
	assert_int_equal(outcome.type, REDIS_REPLY_NIL);
	ASK(redis, &outcome, "INCR", "n");
	assert_int_equal(outcome.type, REDIS_REPLY_INTEGER);
	ASK(redis, &outcome, "DEL", "n", "l");
	ASK(redis, &outcome, "RPUSH", "l", "a", "b", "c");
	assert_int_equal(outcome.number, 3);
	ASK(redis, &outcome, "LRANGE", "l", "0", "-1");
	assert_int_equal(outcome.elements, 3);
	memset(big, 'x', size);
	ASK(redis, &outcome, "SET", "big", big);
	ASK(redis, &outcome, "GET", "big");
	assert_int_equal(strlen(outcome.text), size);
	/* An error is that command's alone; the connection goes on. */
	ASK(redis, &outcome, "LPUSH", "k", "x");
	assert_int_equal(outcome.err.kind, ERROR_INVALID);
	assert_string_equal(outcome.err.code, "WRONGTYPE");
	ASK(redis, &outcome, "PING");
	assert_string_equal(outcome.text, "PONG");
	free(big);
	close_all(redis, &outcome);
}

static void test_unix_socket(void **state)
{
	char *url = xasprintf("unix://:hunter2@%s/redis.sock?db=3", server.folder);

	(void)state;
	exercise(url);
	free(url);
}

static void test_tcp_by_name(void **state)
{
	char *url = xasprintf("redis://default:hunter2@localhost:%u/1", server.port);

	(void)state;
	exercise(url);
	free(url);
}

static void test_tls(void **state)
{
	char *url = xasprintf("rediss://:hunter2@localhost:%u/2", server.tls_port);

	(void)state;
	exercise(url);
	free(url);
}

static void test_databases_are_apart(void **state)
{
	char *one = xasprintf("unix://:hunter2@%s/redis.sock?db=5", server.folder);
	char *two = xasprintf("unix://:hunter2@%s/redis.sock?db=6", server.folder);
	struct outcome outcome = { .loop = ev_loop_new(EVFLAG_AUTO) };
	struct redis *redis = open_redis(outcome.loop, one);

	(void)state;
	ASK(redis, &outcome, "SET", "where", "five");
	redis_destroy(redis);
	redis = open_redis(outcome.loop, two);
	ASK(redis, &outcome, "GET", "where");
	assert_int_equal(outcome.type, REDIS_REPLY_NIL);
	close_all(redis, &outcome);
	free(one);
	free(two);
}

/* Wrong credentials, a certificate for another name, a database that is not there: refused, and no secret told. */
static void test_refusals(void **state)
{
	static const struct { const char *name, *url; enum error_kind want; const char *tells; } cases[] = {
		{ "wrong password", "redis://:sesame99@127.0.0.1:PORT/0", ERROR_REFUSED, "WRONGPASS" },
		{ "unknown user", "redis://nobody:sesame99@127.0.0.1:PORT/0", ERROR_REFUSED, "WRONGPASS" },
		{ "no such database", "redis://:hunter2@127.0.0.1:PORT/4000", ERROR_REFUSED, "out of range" },
		{ "certificate of another name", "rediss://:hunter2@127.0.0.1:TLS/0", ERROR_TEMPORARY, "mismatch" },
		{ "TLS with a server that has none", "rediss://:hunter2@127.0.0.1:PORT/0", ERROR_TEMPORARY, "no connection" },
		{ "no such name", "redis://:hunter2@nowhere.invalid/0", ERROR_TEMPORARY, "nowhere.invalid" },
		{ "no such socket", "unix://:hunter2@/nowhere/redis.sock", ERROR_TEMPORARY, "No such file" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct outcome outcome = { .loop = ev_loop_new(EVFLAG_AUTO) };
		const char *port = strstr(cases[i].url, "PORT"), *tls = strstr(cases[i].url, "TLS/");
		const char *cut = port != NULL ? port : tls;
		char *url = cut == NULL ? xstrdup(cases[i].url)
			: xasprintf("%.*s%u%s", (int)(cut - cases[i].url), cases[i].url,
				port != NULL ? server.port : server.tls_port, strrchr(cases[i].url, '/'));
		struct redis *redis = open_redis(outcome.loop, url);

		ASK(redis, &outcome, "PING");
		if (outcome.err.kind != cases[i].want || strstr(outcome.err.text, cases[i].tells) == NULL
		    || strstr(outcome.err.text, "sesame99") != NULL || strstr(outcome.err.text, "hunter2") != NULL)
			fail_msg("%s: %s: %s", cases[i].name, error_kind_name(outcome.err.kind), outcome.err.text);
		close_all(redis, &outcome);
		free(url);
	}
}

static void test_many_in_order(void **state)
{
	char *url = xasprintf("unix://:hunter2@%s/redis.sock", server.folder);
	struct outcome outcome = { .loop = ev_loop_new(EVFLAG_AUTO) };
	struct redis *redis = open_redis(outcome.loop, url);

	(void)state;
	for (unsigned i = 0; i < LIMIT_REDIS_PENDING; i++)
		redis_command(redis, 2, (const char *[]){ "INCR", "order" }, NULL, on_reply, &outcome);
	run_until(&outcome, LIMIT_REDIS_PENDING);
	assert_int_equal(outcome.err.kind, ERROR_NONE);
	assert_int_equal(outcome.number, LIMIT_REDIS_PENDING);
	close_all(redis, &outcome);
	free(url);
}

static void test_too_many(void **state)
{
	char *url = xasprintf("unix://:hunter2@%s/redis.sock", server.folder);
	struct outcome outcome = { .loop = ev_loop_new(EVFLAG_AUTO) }, over = outcome;
	struct redis *redis = open_redis(outcome.loop, url);

	(void)state;
	for (unsigned i = 0; i < LIMIT_REDIS_PENDING; i++)
		redis_command(redis, 1, (const char *[]){ "PING" }, NULL, on_reply, &outcome);
	redis_command(redis, 1, (const char *[]){ "PING" }, NULL, on_reply, &over);
	assert_int_equal(over.told, 0);
	run_until(&over, 1);
	assert_int_equal(over.err.kind, ERROR_TEMPORARY);
	run_until(&outcome, LIMIT_REDIS_PENDING);
	assert_int_equal(outcome.err.kind, ERROR_NONE);
	close_all(redis, &outcome);
	free(url);
}

static void test_binary_arguments(void **state)
{
	char *url = xasprintf("unix://:hunter2@%s/redis.sock", server.folder);
	struct outcome outcome = { .loop = ev_loop_new(EVFLAG_AUTO) };
	struct redis *redis = open_redis(outcome.loop, url);

	(void)state;
	redis_command(redis, 3, (const char *[]){ "SET", "bin", "a\0\r\n" }, (const size_t[]){ 3, 3, 4 }, on_reply, &outcome);
	run_until(&outcome, 1);
	ASK(redis, &outcome, "STRLEN", "bin");
	assert_int_equal(outcome.number, 4);
	close_all(redis, &outcome);
	free(url);
}

static void test_completions_may_do_anything(void **state)
{
	char *url = xasprintf("unix://:hunter2@%s/redis.sock", server.folder);
	struct outcome outcome = { .loop = ev_loop_new(EVFLAG_AUTO) };
	struct redis *redis = open_redis(outcome.loop, url);

	(void)state;
	outcome.again = redis;
	ASK(redis, &outcome, "PING");
	run_until(&outcome, 2);
	assert_string_equal(outcome.text, "PONG");
	outcome.destroy = &redis;
	for (int i = 0; i < 5; i++)
		redis_command(redis, 1, (const char *[]){ "PING" }, NULL, on_reply, &outcome);
	run_until(&outcome, 3);
	assert_null(redis);
	ev_run(outcome.loop, EVRUN_NOWAIT);
	assert_int_equal(outcome.told, 3);
	redis = open_redis(outcome.loop, url);
	redis_command(redis, 1, (const char *[]){ "PING" }, NULL, on_reply, &outcome);
	close_all(redis, &outcome);
	assert_int_equal(outcome.told, 3);
	free(url);
}

/* Stopped with a command in its hands, then killed: the command may have been done.  A new server is found. */
static void test_server_killed_in_the_middle(void **state)
{
	char *url = xasprintf("unix://:hunter2@%s/redis.sock", server.folder);
	struct outcome outcome = { .loop = ev_loop_new(EVFLAG_AUTO) };
	struct redis *redis = open_redis(outcome.loop, url);

	(void)state;
	ASK(redis, &outcome, "PING");
	kill(server.pid, SIGSTOP);
	redis_command(redis, 3, (const char *[]){ "SET", "k", "2" }, NULL, on_reply, &outcome);
	ev_run(outcome.loop, EVRUN_ONCE);
	redis_server_kill(&server);
	run_until(&outcome, 2);
	assert_int_equal(outcome.err.kind, ERROR_AMBIGUOUS);
	ASK(redis, &outcome, "PING");
	assert_int_equal(outcome.err.kind, ERROR_TEMPORARY);
	redis_server_start(&server, "hunter2");
	ask_until_up(redis, &outcome);
	assert_int_equal(outcome.err.kind, ERROR_NONE);
	assert_string_equal(outcome.text, "PONG");
	close_all(redis, &outcome);
	free(url);
}

/* A quiet connection that the server closes costs nothing. */
static void test_closed_while_quiet(void **state)
{
	char *url = xasprintf("unix://:hunter2@%s/redis.sock", server.folder);
	struct outcome outcome = { .loop = ev_loop_new(EVFLAG_AUTO) };
	struct redis *redis = open_redis(outcome.loop, url), *other = open_redis(outcome.loop, url);

	(void)state;
	ASK(redis, &outcome, "PING");
	ASK(other, &outcome, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes");
	ASK(redis, &outcome, "PING");
	if (outcome.err.kind == ERROR_AMBIGUOUS)        /* sent before the end was seen */
		ASK(redis, &outcome, "PING");
	assert_int_equal(outcome.err.kind, ERROR_NONE);
	redis_destroy(other);
	close_all(redis, &outcome);
	free(url);
}

/* A peer that says a fixed text as soon as it hears something. */
struct canned {
	struct ev_loop *loop;
	const char *says;
	bool closes;
	int fd, connection;
	unsigned port, accepted;
	ev_io io, in;
};

static void on_heard(struct ev_loop *loop, ev_io *io, int revents)
{
	struct canned *canned = container_of(io, struct canned, in);
	char bytes[4096];

	(void)revents;
	if (read(canned->connection, bytes, sizeof(bytes)) > 0) {
		if (canned->says == NULL)
			return;
		assert_true(write(canned->connection, canned->says, strlen(canned->says)) > 0);
		if (!canned->closes)
			return;
	}
	ev_io_stop(loop, io);
	close(canned->connection);
	canned->connection = -1;
}

static void on_call(struct ev_loop *loop, ev_io *io, int revents)
{
	struct canned *canned = container_of(io, struct canned, io);

	(void)revents;
	if (canned->connection >= 0) {
		ev_io_stop(loop, &canned->in);
		close(canned->connection);
	}
	canned->connection = accept4(canned->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	canned->accepted++;
	ev_io_init(&canned->in, on_heard, canned->connection, EV_READ);
	ev_io_start(loop, &canned->in);
}

static void canned_open(struct canned *canned, struct ev_loop *loop, int backlog)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof(address);

	canned->loop = loop;
	canned->connection = -1;
	canned->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(canned->fd, (struct sockaddr *)&address, size), 0);
	assert_int_equal(listen(canned->fd, backlog), 0);
	assert_int_equal(getsockname(canned->fd, (struct sockaddr *)&address, &size), 0);
	canned->port = ntohs(address.sin_port);
	ev_io_init(&canned->io, on_call, canned->fd, EV_READ);
}

static void canned_close(struct canned *canned)
{
	ev_io_stop(canned->loop, &canned->io);
	if (canned->connection >= 0) {
		ev_io_stop(canned->loop, &canned->in);
		close(canned->connection);
	}
	close(canned->fd);
}

static const struct {
	const char *name, *userinfo, *says;
	bool closes;
	enum error_kind want;
	const char *want_code;
} strange[] = {
	{ "fine", "", "+PONG\r\n", false, ERROR_NONE, "" },
	{ "another protocol", "", "HTTP/1.1 400 Bad Request\r\n\r\n", false, ERROR_AMBIGUOUS, "" },
	{ "an array without end", "", "*1048577\r\n", false, ERROR_AMBIGUOUS, "" },
	{ "deeper than sense", "", "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n", false,
		ERROR_AMBIGUOUS, "" },
	{ "a length that is none", "", "$x\r\n", false, ERROR_AMBIGUOUS, "" },
	{ "half an answer", "", "$10\r\nhalf", true, ERROR_AMBIGUOUS, "" },
	{ "loading", "", "-LOADING Redis is loading the dataset in memory\r\n", false, ERROR_TEMPORARY, "LOADING" },
	{ "replica", "", "-READONLY You can't write against a read only replica.\r\n", false, ERROR_TEMPORARY, "READONLY" },
	{ "full", "", "-OOM command not allowed when used memory > 'maxmemory'.\r\n", false, ERROR_TEMPORARY, "OOM" },
	{ "full, of a script on Redis 6", "", "-ERR Error running script (call to f_1): @user_script:4: @user_script: 4: "
		"-OOM command not allowed when used memory > 'maxmemory'.\r\n", false, ERROR_TEMPORARY, "OOM" },
	{ "a replica, by a script on Redis 6", "", "-@user_script: 4: -READONLY You can't write against a read only replica.\r\n",
		false, ERROR_TEMPORARY, "READONLY" },
	{ "crowded", "", "-ERR max number of clients reached\r\n", true, ERROR_TEMPORARY, "ERR" },
	{ "crowded, with a password", ":hunter2@", "-ERR max number of clients reached\r\n", true, ERROR_TEMPORARY, "ERR" },
	{ "not permitted", "", "-NOPERM this user has no permissions\r\n", false, ERROR_REFUSED, "NOPERM" },
	{ "protected", "", "-DENIED Redis is running in protected mode\r\n", true, ERROR_REFUSED, "DENIED" },
	{ "error", "", "-ERR unknown command 'PING'\r\n", false, ERROR_INVALID, "ERR" },
	{ "repeats the password", ":hunter2@", "-ERR unknown command `AUTH`, with args beginning with: `hunter2`\r\n", false,
		ERROR_REFUSED, "ERR" },
	{ "loading, with a password", ":hunter2@", "-LOADING Redis is loading the dataset in memory\r\n", false,
		ERROR_TEMPORARY, "LOADING" },
};

static void test_strange_servers(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(strange); i++) {
		struct outcome outcome = { .loop = ev_loop_new(EVFLAG_AUTO) };
		struct canned canned = { .says = strange[i].says, .closes = strange[i].closes };
		struct redis *redis;
		char *url;

		canned_open(&canned, outcome.loop, 8);
		ev_io_start(outcome.loop, &canned.io);
		url = xasprintf("redis://%s127.0.0.1:%u", strange[i].userinfo, canned.port);
		redis = open_redis(outcome.loop, url);
		ASK(redis, &outcome, "PING");
		if (outcome.err.kind != strange[i].want || strcmp(outcome.err.code, strange[i].want_code) != 0
		    || strstr(outcome.err.text, "hunter2") != NULL)
			fail_msg("%s: %s, code \"%s\": %s", strange[i].name, error_kind_name(outcome.err.kind),
				outcome.err.code, outcome.err.text);
		canned_close(&canned);
		close_all(redis, &outcome);
		free(url);
	}
}

/* Before it was believed, and without an end. */
static void test_limits_of_a_reply(void **state)
{
	enum { PART_BYTES = 1 << 20, PARTS = LIMIT_REDIS_REPLY_BYTES / PART_BYTES };
	static const char most[] = "*1048576\r\n", more[] = "*1048577\r\n", text[] = "$99999999\r\n";
	struct redis_codec *codec = redis_codec_create();
	char *part = xcalloc(PART_BYTES, 1);
	redisReply *reply;
	struct error err;

	(void)state;
	assert_true(redis_codec_feed(codec, most, strlen(most), &err));
	assert_true(redis_codec_next(codec, &reply, &err));
	redis_codec_destroy(codec);
	codec = redis_codec_create();
	assert_true(redis_codec_feed(codec, more, strlen(more), &err));
	assert_false(redis_codec_next(codec, &reply, &err));
	redis_codec_destroy(codec);
	codec = redis_codec_create();
	assert_true(redis_codec_feed(codec, text, strlen(text), &err));
	for (int i = 0; i < PARTS - 1; i++) {
		assert_true(redis_codec_feed(codec, part, PART_BYTES, &err));
		assert_true(redis_codec_next(codec, &reply, &err));
		assert_null(reply);
	}
	assert_false(redis_codec_feed(codec, part, PART_BYTES, &err));
	redis_codec_destroy(codec);
	free(part);
}

/* Three ways of silence, at the same time: nobody accepts, nobody greets, nobody answers. */
static void test_black_holes(void **state)
{
	struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
	struct outcome outcomes[3];
	struct canned holes[3] = { 0 };
	struct redis *redis[3];
	int fill[3];
	double before_s = clock_monotonic_s();

	(void)state;
	for (int i = 0; i < 3; i++) {
		char *url;

		outcomes[i] = (struct outcome){ .loop = loop };
		canned_open(&holes[i], loop, i == 0 ? 0 : 8);
		if (i > 0)
			ev_io_start(loop, &holes[i].io);
		for (size_t k = 0; i == 0 && k < ARRAY_SIZE(fill); k++) {
			struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
				.sin_port = htons((in_port_t)holes[0].port) };

			fill[k] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
			connect(fill[k], (struct sockaddr *)&address, sizeof(address));
		}
		url = xasprintf("redis://%s127.0.0.1:%u", i == 1 ? ":hunter2@" : "", holes[i].port);
		redis[i] = open_redis(loop, url);
		redis_command(redis[i], 1, (const char *[]){ "PING" }, NULL, on_reply, &outcomes[i]);
		free(url);
	}
	for (int i = 0; i < 3; i++)
		run_until(&outcomes[i], 1);
	assert_int_equal(outcomes[0].err.kind, ERROR_TEMPORARY);
	assert_int_equal(outcomes[1].err.kind, ERROR_TEMPORARY);
	assert_int_equal(outcomes[2].err.kind, ERROR_AMBIGUOUS);
	assert_true(clock_monotonic_s() - before_s < LATE_S);
	for (int i = 0; i < 3; i++) {
		redis_destroy(redis[i]);
		canned_close(&holes[i]);
		close(fill[i]);
	}
	ev_loop_destroy(loop);
}

/* A server that is away is not asked without pause. */
static void test_backoff(void **state)
{
	struct outcome outcome = { .loop = ev_loop_new(EVFLAG_AUTO) };
	struct canned canned = { .says = "HTTP/1.1 400\r\n", .closes = true };
	double until_s = clock_monotonic_s() + 1.5;
	struct redis *redis;
	char *url;

	(void)state;
	canned_open(&canned, outcome.loop, 8);
	ev_io_start(outcome.loop, &canned.io);
	url = xasprintf("redis://127.0.0.1:%u", canned.port);
	redis = open_redis(outcome.loop, url);
	while (clock_monotonic_s() < until_s)
		ASK(redis, &outcome, "PING");
	/* 0, then after at least 50, 100, 200, 400, 800 ms */
	assert_in_range(canned.accepted, 3, 6);
	canned_close(&canned);
	close_all(redis, &outcome);
	free(url);
}

static void test_bad_url(void **state)
{
	struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
	struct error err = { 0 };

	(void)state;
	assert_null(redis_create(loop, NULL, "redis://u:hunter2@", &err));
	assert_int_equal(err.kind, ERROR_INVALID);
	assert_null(strstr(err.text, "hunter2"));
	redis_destroy(NULL);
	ev_loop_destroy(loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_unix_socket),
		cmocka_unit_test(test_tcp_by_name),
		cmocka_unit_test(test_tls),
		cmocka_unit_test(test_databases_are_apart),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_many_in_order),
		cmocka_unit_test(test_too_many),
		cmocka_unit_test(test_binary_arguments),
		cmocka_unit_test(test_completions_may_do_anything),
		cmocka_unit_test(test_server_killed_in_the_middle),
		cmocka_unit_test(test_closed_while_quiet),
		cmocka_unit_test(test_strange_servers),
		cmocka_unit_test(test_limits_of_a_reply),
		cmocka_unit_test(test_black_holes),
		cmocka_unit_test(test_backoff),
		cmocka_unit_test(test_bad_url),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, start_server, stop_server);
}
