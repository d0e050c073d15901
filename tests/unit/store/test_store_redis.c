/* SPDX-License-Identifier: Apache-2.0 */
/* test_store_redis.c - what a server between owner and store adds: it is away, comes back, forgets its scripts, has
 * answered and was not heard, and must not be one that loses keys. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <hiredis/hiredis.h>

#include "../cmocka_all.h"
#include "base/clock.h"
#include "base/mem.h"
#include "redis_adapter.h"
#include "store/store_redis.h"
#include "store_fixture.h"

enum { TOO_LONG_S = 300 };

/* A word to the server, past the store; the answer as a text, the caller's. */
static char *tell_server(const struct store_fixture *fixture, int argc, const char **argv)
{
	char *path = xasprintf("%s/redis.sock", redis_adapter_server()->folder);
	redisContext *context = redisConnectUnix(path);
	char *text = NULL;
	redisReply *reply;

	assert_non_null(context);
	assert_int_equal(context->err, 0);
	freeReplyObject(redisCommand(context, "SELECT %s", strstr(fixture->url, "db=") + 3));
	reply = redisCommandArgv(context, argc, argv, NULL);
	assert_non_null(reply);
	if (reply->type == REDIS_REPLY_STRING || reply->type == REDIS_REPLY_STATUS || reply->type == REDIS_REPLY_ERROR)
		text = xstrdup(reply->str);
	else if (reply->type == REDIS_REPLY_INTEGER)
		text = xasprintf("%lld", reply->integer);
	freeReplyObject(reply);
	redisFree(context);
	free(path);
	return text;
}

#define TELL(fixture, ...) \
	free(tell_server((fixture), (int)ARRAY_SIZE(((const char *[]){ __VA_ARGS__ })), (const char *[]){ __VA_ARGS__ }))

static void restart(void)
{
	struct redis_server *server = redis_adapter_server();

	redis_server_kill(server);
	redis_server_start(server, NULL);
	redis_server_await(server);
}

/* -- a server that goes and comes ----------------------------------------------------------------- */

static void killed_server_has_kept_what_was_completed(void **state)
{
	struct store_fixture *fixture = *state;
	struct job *job = make_job("1", LOCK_QUEUE), *next = make_job("2", LOCK_QUEUE);

	want_admit(fixture, fixture->a, job);
	want_admit(fixture, fixture->b, next);
	want_intend(fixture, fixture->a, job, ERROR_NONE);
	restart();
	want_started(fixture, fixture->a, job, ERROR_NONE);
	want_state(fixture->b, "1", JOB_RUNNING);
	restart();
	want_finish(fixture, fixture->a, job, JOB_SUCCEEDED, "2@b");
	want_news(fixture, fixture->b, "2");
	job_destroy(next);
	job_destroy(job);
}

/* Made while nobody answers, carried out when somebody does. */
static void calls_wait_for_a_server_that_is_away(void **state)
{
	struct store_fixture *fixture = *state;
	struct redis_server *server = redis_adapter_server();
	struct job *job = make_job("1", LOCK_QUEUE);
	struct store_admission admission = { .job = job };
	struct heard heard = { 0 };
	struct store_figures figures;

	redis_server_kill(server);
	store_admit(fixture->a, &admission, 1, heard_done, &heard);
	for (figures.busy = 0; figures.busy == 0; store_figures(fixture->a, &figures))
		ev_run(fixture->loop, EVRUN_ONCE);
	assert_false(heard.done);
	redis_server_start(server, NULL);
	redis_server_await(server);
	hear(fixture, &heard);
	assert_int_equal(heard.err.kind, ERROR_NONE);
	assert_int_equal(admission.verdict, STORE_ADMITTED_NEW);
	want_state(fixture->b, "1", JOB_QUEUED);
	job_destroy(job);
}

static void server_that_stays_away_fails_the_calls(void **state)
{
	struct store_fixture *fixture = *state;
	struct redis_server *server = redis_adapter_server();
	struct job *job = make_job("1", LOCK_QUEUE);
	struct store_admission admission = { .job = job };
	struct heard heard = { 0 };
	struct store_figures figures;

	redis_server_kill(server);
	store_admit(fixture->a, &admission, 1, heard_done, &heard);
	for (figures.busy = 0; figures.busy == 0; store_figures(fixture->a, &figures))
		ev_run(fixture->loop, EVRUN_ONCE);
	clock_shift(STORE_REDIS_AWAY_S, 0);
	hear(fixture, &heard);
	assert_int_equal(heard.err.kind, ERROR_TEMPORARY);
	/* Known to be away: the next one does not wait as long again. */
	heard = (struct heard){ 0 };
	store_renew(fixture->a, heard_done, &heard);
	hear(fixture, &heard);
	assert_int_equal(heard.err.kind, ERROR_TEMPORARY);
	assert_int_equal(read_job_error(fixture->a, "1"), ERROR_TEMPORARY);
	redis_server_start(server, NULL);
	redis_server_await(server);
	clock_shift(-STORE_REDIS_AWAY_S, 0);
	assert_int_equal(want_admit(fixture, fixture->a, job), STORE_ADMITTED_NEW);
	job_destroy(job);
}

static void flushed_scripts_are_loaded_again(void **state)
{
	struct store_fixture *fixture = *state;
	struct job *job = make_job("1", LOCK_QUEUE);

	TELL(fixture, "SCRIPT", "FLUSH");
	assert_int_equal(want_admit(fixture, fixture->a, job), STORE_ADMITTED_NEW);
	TELL(fixture, "SCRIPT", "FLUSH");
	want_state(fixture->b, "1", JOB_QUEUED);
	job_destroy(job);
}

static void cut_connection_is_made_again(void **state)
{
	struct store_fixture *fixture = *state;
	struct job *jobs[20];

	for (int i = 0; i < 20; i++) {
		char id[4];

		snprintf(id, sizeof(id), "%d", i);
		jobs[i] = make_job(id, LOCK_QUEUE);
		TELL(fixture, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes");
		assert_int_equal(want_admit(fixture, i % 2 == 0 ? fixture->a : fixture->b, jobs[i]), STORE_ADMITTED_NEW);
		assert_int_equal(jobs[i]->seq, i + 1);
	}
	for (int i = 0; i < 20; i++)
		job_destroy(jobs[i]);
}

/* A worker of the version before, which knows of no hosts, has made the next attempt: what the one before was bound to
 * is of no account. */
static void attempt_of_the_version_before_waits_for_no_host(void **state)
{
	struct store_fixture *fixture = *state;
	const struct store_options options = {
		.loop = fixture->loop, .log = &fixture->log, .owner = "c", .place = "host/1", .lease_ms = FIXTURE_LEASE_MS,
		.migrate = true,
	};
	struct error err = { 0 };
	struct store *store = store_open(fixture->url, &options, &err);
	struct job *job = make_job("1", LOCK_QUEUE);
	struct heard heard;

	assert_non_null(store);
	want_admit(fixture, store, job);
	job->attempt.number = 1;
	job->attempt.bound = true;
	want_intend(fixture, store, job, ERROR_NONE);
	want_disown(fixture, fixture->a, "c");
	want_adopt(fixture, fixture->a, 1, &heard);
	assert_int_equal(heard.count, 0);
	heard_finish(&heard);
	TELL(fixture, "EVAL", "redis.call('HSET', redis.call('KEYS', '*:job:1')[1], 'attempt', '2')", "0");
	want_adopt(fixture, fixture->a, 1, &heard);
	assert_int_equal(heard.count, 1);
	heard_finish(&heard);
	store_close(store);
	job_destroy(job);
}

static void emptied_store_tells_its_owners(void **state)
{
	struct store_fixture *fixture = *state;

	TELL(fixture, "FLUSHDB");
	want_renew(fixture, fixture->a, ERROR_LOST);
}

/* -- answers that were lost ----------------------------------------------------------------------- */

/* As if the connection had broken between the two: what is sent again is answered as it was, and done once. */
static void batch_whose_answer_was_lost_is_done_once(void **state)
{
	struct store_fixture *fixture = *state;
	struct store_redis *redis = container_of(fixture->a, struct store_redis, store);
	struct job *first = make_job("1", LOCK_QUEUE), *second = make_job("2", LOCK_QUEUE);
	uint64_t number;

	want_admit(fixture, fixture->a, first);
	want_admit(fixture, fixture->b, second);
	number = redis->number;
	want_finish(fixture, fixture->a, first, JOB_CANCELLED, "2@b");
	redis->number = number;
	want_finish(fixture, fixture->a, first, JOB_CANCELLED, "2@b");
	/* A newer one finds what is so. */
	want_finish_error(fixture, fixture->a, first, JOB_CANCELLED, ERROR_INVALID);
	job_destroy(second);
	job_destroy(first);
}

/* It was in a socket of a connection that is gone, and comes out behind what was sent since. */
static void batch_that_comes_late_is_not_carried_out(void **state)
{
	struct store_fixture *fixture = *state;
	struct store_redis *redis = container_of(fixture->a, struct store_redis, store);
	struct job *job = make_job("1", LOCK_QUEUE);
	struct store_admission admission = { .job = job };
	struct heard heard = { 0 };
	struct store_figures figures;

	want_renew(fixture, fixture->a, ERROR_NONE);
	want_renew(fixture, fixture->a, ERROR_NONE);
	redis->number -= 2;
	store_admit(fixture->a, &admission, 1, heard_done, &heard);
	for (figures.busy = 0; figures.busy == 0; store_figures(fixture->a, &figures))
		ev_run(fixture->loop, EVRUN_ONCE);
	clock_shift(STORE_REDIS_AWAY_S, 0);
	hear(fixture, &heard);
	clock_shift(-STORE_REDIS_AWAY_S, 0);
	assert_int_equal(heard.err.kind, ERROR_TEMPORARY);
	assert_null(read_job(fixture->b, "1"));
	job_destroy(job);
}

/* -- clocks --------------------------------------------------------------------------------------- */

/* Nobody could renew while the server was away, so nobody loses anything for it. */
static void time_that_nobody_was_heard_ends_no_lease(void **state)
{
	struct store_fixture *fixture = *state;
	struct job *job = make_job("1", LOCK_QUEUE);
	struct heard heard;
	char *last;

	want_admit(fixture, fixture->a, job);
	/* An hour ago, by all clocks. */
	last = tell_server(fixture, 4, (const char *[]){ "HINCRBY", "{gantry}:clock", "last_ms", "-3600000" });
	free(last);
	want_renew(fixture, fixture->b, ERROR_NONE);
	want_adopt(fixture, fixture->b, 10, &heard);
	assert_int_equal(heard.count, 0);
	heard_finish(&heard);
	want_renew(fixture, fixture->a, ERROR_NONE);
	job_destroy(job);
}

/* The server's clock was an hour ahead and is set back: what was due stays due, and nothing goes back. */
static void clock_that_is_set_back_stands_still_for_nobody(void **state)
{
	struct store_fixture *fixture = *state;
	struct job *job = make_job("1", LOCK_QUEUE), *again = make_job("2", LOCK_QUEUE);
	struct job *found;
	int64_t accepted_ms;

	want_admit(fixture, fixture->a, job);
	accepted_ms = job->accepted_ms;
	TELL(fixture, "HINCRBY", "{gantry}:clock", "last_ms", "3600000");
	want_admit(fixture, fixture->a, again);
	found = read_job(fixture->b, "2");
	assert_true(found->accepted_ms >= accepted_ms + 3600000);
	assert_true(clock_steady_ms() >= accepted_ms + 3600000 - 60000);
	job_destroy(found);
	job_destroy(again);
	job_destroy(job);
}

/* -- wakes ---------------------------------------------------------------------------------------- */

struct woken {
	unsigned sweeps, orphans;
};

static void on_woken(void *arg, bool orphans)
{
	struct woken *woken = arg;

	if (orphans)
		woken->orphans++;
	else
		woken->sweeps++;
}

static void owner_is_woken_for_its_news_and_for_orphans(void **state)
{
	struct store_fixture *fixture = *state;
	struct woken woken = { 0 };
	struct job *first = make_job("1", LOCK_QUEUE), *second = make_job("2", LOCK_QUEUE);

	store_on_news(fixture->b, on_woken, &woken);
	/* Once for each of the two channels, when it has begun to listen. */
	while (woken.orphans < 2)
		ev_run(fixture->loop, EVRUN_ONCE);
	want_admit(fixture, fixture->a, first);
	want_admit(fixture, fixture->b, second);
	assert_int_equal(woken.sweeps, 0);
	want_finish(fixture, fixture->a, first, JOB_CANCELLED, "2@b");
	while (woken.sweeps == 0)
		ev_run(fixture->loop, EVRUN_ONCE);
	assert_int_equal(woken.orphans, 2);
	want_disown(fixture, fixture->b, "a");
	while (woken.orphans == 2)
		ev_run(fixture->loop, EVRUN_ONCE);
	/* It listens again to a server that was started anew. */
	restart();
	while (woken.orphans < 5)
		ev_run(fixture->loop, EVRUN_ONCE);
	job_destroy(second);
	job_destroy(first);
}

/* -- which servers are taken ---------------------------------------------------------------------- */

static enum error_kind open_kind(struct store_fixture *fixture, bool migrate, struct error *err)
{
	const struct store_options options = { .loop = fixture->loop, .log = &fixture->log, .owner = "c", .migrate = migrate };
	struct store *store;

	*err = (struct error){ 0 };
	store = store_open(fixture->url, &options, err);
	store_close(store);
	return err->kind;
}

static void server_that_may_evict_is_refused(void **state)
{
	struct store_fixture *fixture = *state;
	struct error err;

	TELL(fixture, "CONFIG", "SET", "maxmemory-policy", "allkeys-lru");
	assert_int_equal(open_kind(fixture, true, &err), ERROR_NONE);
	TELL(fixture, "CONFIG", "SET", "maxmemory", "100mb");
	assert_int_equal(open_kind(fixture, true, &err), ERROR_REFUSED);
	assert_non_null(strstr(err.text, "noeviction"));
	TELL(fixture, "CONFIG", "SET", "maxmemory-policy", "noeviction");
	assert_int_equal(open_kind(fixture, true, &err), ERROR_NONE);
	TELL(fixture, "CONFIG", "SET", "maxmemory", "0");
}

/* Nothing is half written, and what was refused can be done later. */
static void full_server_fails_for_now(void **state)
{
	struct store_fixture *fixture = *state;
	struct job *job = make_job("1", LOCK_QUEUE);
	struct store_admission admission = { .job = job };
	struct heard heard = { 0 };
	struct store_figures figures;

	TELL(fixture, "CONFIG", "SET", "maxmemory", "1");
	store_admit(fixture->a, &admission, 1, heard_done, &heard);
	for (figures.busy = 0; figures.busy == 0; store_figures(fixture->a, &figures))
		ev_run(fixture->loop, EVRUN_ONCE);
	assert_null(read_job(fixture->b, "1"));
	TELL(fixture, "CONFIG", "SET", "maxmemory", "0");
	hear(fixture, &heard);
	assert_int_equal(heard.err.kind, ERROR_NONE);
	want_state(fixture->b, "1", JOB_QUEUED);
	job_destroy(job);
}

static void schema_decides_who_may_open(void **state)
{
	struct store_fixture *fixture = *state;
	struct error err;

	assert_int_equal(open_kind(fixture, false, &err), ERROR_NONE);
	TELL(fixture, "SET", "{gantry}:schema", "2");
	assert_int_equal(open_kind(fixture, true, &err), ERROR_REFUSED);
	assert_non_null(strstr(err.text, "newer"));
	TELL(fixture, "DEL", "{gantry}:schema");
	assert_int_equal(open_kind(fixture, false, &err), ERROR_TEMPORARY);
	assert_int_equal(open_kind(fixture, true, &err), ERROR_NONE);
	assert_int_equal(open_kind(fixture, false, &err), ERROR_NONE);
}

static void store_that_is_away_or_none_is_not_opened(void **state)
{
	struct store_fixture *fixture = *state;
	char *url = fixture->url;
	struct error err;

	fixture->url = "unix:///nowhere/redis.sock";
	assert_int_equal(open_kind(fixture, true, &err), ERROR_TEMPORARY);
	fixture->url = "redis://user@host";
	assert_int_equal(open_kind(fixture, true, &err), ERROR_INVALID);
	fixture->url = url;
}

#define REDIS_TEST(function) \
	{ #function, function, fixture_setup, fixture_teardown, (void *)&store_adapter_redis }

int main(void)
{
	const struct CMUnitTest tests[] = {
		REDIS_TEST(killed_server_has_kept_what_was_completed),
		REDIS_TEST(calls_wait_for_a_server_that_is_away),
		REDIS_TEST(server_that_stays_away_fails_the_calls),
		REDIS_TEST(flushed_scripts_are_loaded_again),
		REDIS_TEST(cut_connection_is_made_again),
		REDIS_TEST(attempt_of_the_version_before_waits_for_no_host),
		REDIS_TEST(emptied_store_tells_its_owners),
		REDIS_TEST(batch_whose_answer_was_lost_is_done_once),
		REDIS_TEST(batch_that_comes_late_is_not_carried_out),
		REDIS_TEST(time_that_nobody_was_heard_ends_no_lease),
		REDIS_TEST(clock_that_is_set_back_stands_still_for_nobody),
		REDIS_TEST(owner_is_woken_for_its_news_and_for_orphans),
		REDIS_TEST(server_that_may_evict_is_refused),
		REDIS_TEST(full_server_fails_for_now),
		REDIS_TEST(schema_decides_who_may_open),
		REDIS_TEST(store_that_is_away_or_none_is_not_opened),
	};
	int failed;

	/* A wake that does not come is waited for without an end. */
	alarm(TOO_LONG_S);
	failed = cmocka_run_group_tests(tests, NULL, NULL);

	store_adapters_end();
	return failed;
}
