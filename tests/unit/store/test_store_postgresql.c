/* SPDX-License-Identifier: Apache-2.0 */
/* test_store_postgresql.c - what only a server can do: go away in the middle, lose an answer, serve many at once. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../cmocka_all.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/random.h"
#include "postgresql_adapter.h"
#include "store/store_postgresql.h"
#include "store_fixture.h"

static char *database(const struct store_fixture *fixture)
{
	return xasprintf("store%s", fixture->private);
}

/* A connection of the test's own to the fixture's database. */
static PGconn *look_into(const struct store_fixture *fixture)
{
	char *name = database(fixture);
	PGconn *conn = postgresql_server_connect(postgresql_adapter_server(), name);

	free(name);
	return conn;
}

/* What was asked is done, and its answer is lost with the connection. */
static void lose_answer(struct store_fixture *fixture, struct store *store)
{
	const struct store_postgresql *pg = container_of(store, struct store_postgresql, store);
	struct pollfd poll_fd = { .fd = PQsocket(pg->conn), .events = POLLIN };
	PGconn *conn = look_into(fixture);
	char bytes[65536];

	/* No batch of it is run until the loop has stopped. */
	postgresql_run(conn, "SELECT pg_advisory_lock(1734438517, hashtext('%s'))", pg->client);
	ev_run(fixture->loop, EVRUN_NOWAIT);
	ev_run(fixture->loop, EVRUN_NOWAIT);
	PQfinish(conn);
	while (poll(&poll_fd, 1, 60000) != 1)
		;
	assert_true(recv(poll_fd.fd, bytes, sizeof(bytes), 0) > 0);
	shutdown(poll_fd.fd, SHUT_RDWR);
}

static void restart(void)
{
	postgresql_server_stop(postgresql_adapter_server());
	postgresql_adapter_server();
}

static void admit_loses_its_answer_and_is_not_done_twice(void **state)
{
	struct store_fixture *fixture = *state;
	struct job *job = make_job("1", LOCK_QUEUE);
	struct store_admission admission = { .job = job };
	struct heard heard = { 0 };

	store_admit(fixture->a, &admission, 1, heard_done, &heard);
	lose_answer(fixture, fixture->a);
	assert_false(heard.done);
	hear(fixture, &heard);
	assert_int_equal(heard.err.kind, ERROR_NONE);
	/* Run twice it would have been found to be there. */
	assert_int_equal(admission.verdict, STORE_ADMITTED_NEW);
	assert_int_equal(job->grant, 1);
	want_state(fixture->b, "1", JOB_QUEUED);
	job_destroy(job);
}

static void adopted_jobs_are_told_after_a_lost_answer(void **state)
{
	struct store_fixture *fixture = *state;
	struct job *job = make_job("1", LOCK_QUEUE);
	struct heard heard = { 0 };

	want_admit(fixture, fixture->a, job);
	want_disown(fixture, fixture->a, "a");
	store_adopt(fixture->b, 10, heard_jobs, &heard);
	lose_answer(fixture, fixture->b);
	hear(fixture, &heard);
	assert_string_equal(heard_ids(&heard), "1");
	assert_int_equal(heard.jobs[0]->fence, 2);
	heard_finish(&heard);
	job_destroy(job);
}

struct heard_news {
	unsigned sweeps, adopts;
};

static void on_news(void *arg, bool orphans)
{
	struct heard_news *news = arg;

	news->sweeps++;
	news->adopts += orphans;
}

static void server_that_is_restarted_loses_and_doubles_nothing(void **state)
{
	enum { JOBS = 40 };
	struct store_fixture *fixture = *state;
	struct store_admission admissions[JOBS];
	struct heard heard[JOBS] = { 0 };
	uint64_t counts[JOB_STATES];

	for (int i = 0; i < JOBS; i++) {
		char id[16];

		snprintf(id, sizeof(id), "%d", i);
		admissions[i] = (struct store_admission){ .job = make_job(id, LOCK_QUEUE) };
		store_admit(fixture->a, &admissions[i], 1, heard_done, &heard[i]);
		/* Some are on their way, some not yet. */
		if (i % 3 == 0)
			ev_run(fixture->loop, EVRUN_NOWAIT);
		if (i == JOBS / 2)
			restart();
	}
	for (int i = 0; i < JOBS; i++) {
		while (!heard[i].done)
			ev_run(fixture->loop, EVRUN_ONCE);
		assert_int_equal(heard[i].err.kind, ERROR_NONE);
		assert_int_equal(admissions[i].verdict, STORE_ADMITTED_NEW);
		job_destroy(admissions[i].job);
	}
	read_counts(fixture->b, counts);
	assert_int_equal(counts[JOB_QUEUED], 1);
	assert_int_equal(counts[JOB_WAITING], JOBS - 1);
}

static void terminated_backend_is_replaced(void **state)
{
	struct store_fixture *fixture = *state;
	struct job *job = make_job("1", LOCK_QUEUE);
	PGconn *conn = look_into(fixture);

	want_admit(fixture, fixture->a, job);
	for (int i = 0; i < 3; i++) {
		postgresql_run(conn, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'gantry'"
			" AND datname = current_database()");
		want_renew(fixture, fixture->a, ERROR_NONE);
		want_note_wait(fixture, fixture->a, job, ERROR_NONE);
		want_renew(fixture, fixture->b, ERROR_NONE);
	}
	want_finish(fixture, fixture->a, job, JOB_FAILED, "");
	PQfinish(conn);
	job_destroy(job);
}

/* The loop runs until all is said. */
static void run_until(struct store_fixture *fixture, const bool *done)
{
	while (!*done)
		ev_run(fixture->loop, EVRUN_ONCE);
}

static void calls_fail_while_the_server_is_away_for_long(void **state)
{
	struct store_fixture *fixture = *state;
	struct job *job = make_job("1", LOCK_QUEUE);
	struct heard adopted = { 0 }, renewed = { 0 }, heard;

	want_admit(fixture, fixture->a, job);
	want_disown(fixture, fixture->a, "a");
	/* It is committed, and nobody hears of it. */
	store_adopt(fixture->b, 10, heard_jobs, &adopted);
	lose_answer(fixture, fixture->b);
	postgresql_server_stop(postgresql_adapter_server());
	store_renew(fixture->b, heard_done, &renewed);
	ev_run(fixture->loop, EVRUN_NOWAIT);
	clock_shift(STORE_POSTGRESQL_AWAY_S + 1, 0);
	run_until(fixture, &adopted.done);
	run_until(fixture, &renewed.done);
	assert_int_equal(adopted.err.kind, ERROR_TEMPORARY);
	assert_int_equal(renewed.err.kind, ERROR_TEMPORARY);
	clock_shift(-(STORE_POSTGRESQL_AWAY_S + 1), 0);
	postgresql_adapter_server();
	/* What b took on without knowing it is nobody's again. */
	want_renew(fixture, fixture->b, ERROR_NONE);
	want_renew(fixture, fixture->a, ERROR_NONE);
	want_adopt(fixture, fixture->a, 10, &heard);
	assert_string_equal(heard_ids(&heard), "1");
	assert_int_equal(heard.jobs[0]->fence, 3);
	heard_finish(&heard);
	heard_finish(&adopted);
	job_destroy(job);
}

static void on_timer(struct ev_loop *loop, ev_timer *timer, int revents)
{
	(void)loop;
	(void)revents;
	*(bool *)timer->data = true;
}

/* What keeps the connection neither keeps a loop, nor takes from what keeps it. */
static void idle_store_leaves_the_loop_as_it_is(void **state)
{
	struct store_fixture *fixture = *state;
	bool fired = false;
	ev_timer timer;

	ev_run(fixture->loop, 0);
	restart();
	want_renew(fixture, fixture->a, ERROR_NONE);
	want_renew(fixture, fixture->b, ERROR_NONE);
	ev_run(fixture->loop, 0);
	ev_timer_init(&timer, on_timer, 0.1, 0);
	timer.data = &fired;
	ev_timer_start(fixture->loop, &timer);
	ev_run(fixture->loop, 0);
	assert_true(fired);
}

static void owners_are_woken_by_each_other(void **state)
{
	struct store_fixture *fixture = *state;
	struct job *first = make_job("1", LOCK_QUEUE), *second = make_job("2", LOCK_QUEUE);
	struct heard_news a = { 0 }, b = { 0 };

	store_on_news(fixture->a, on_news, &a);
	store_on_news(fixture->b, on_news, &b);
	/* Said once, as nothing was heard before. */
	while (a.adopts == 0 || b.adopts == 0)
		ev_run(fixture->loop, EVRUN_ONCE);
	want_admit(fixture, fixture->a, first);
	want_admit(fixture, fixture->b, second);
	a = b = (struct heard_news){ 0 };
	want_finish(fixture, fixture->a, first, JOB_FAILED, "2@b");
	while (b.sweeps == 0)
		ev_run(fixture->loop, EVRUN_ONCE);
	assert_int_equal(b.adopts, 0);
	assert_int_equal(a.sweeps, 0);
	want_news(fixture, fixture->b, "2");
	want_disown(fixture, fixture->b, "b");
	while (a.adopts == 0)
		ev_run(fixture->loop, EVRUN_ONCE);
	job_destroy(first);
	job_destroy(second);
}

static void call_that_the_database_cannot_take_fails_alone(void **state)
{
	struct store_fixture *fixture = *state;
	struct job *good = make_job("1", LOCK_QUEUE), *bad = make_job("2", LOCK_QUEUE), *other = make_job("3", LOCK_PARALLEL);
	struct store_admission admissions[] = { { .job = good }, { .job = bad }, { .job = other } };
	struct heard heard[3] = { 0 };
	char key[20001];

	/* Longer than an entry of an index may be, and not to be compressed. */
	for (size_t i = 0; i < sizeof(key) - 1; i++)
		key[i] = (char)('!' + (int)(random_unit() * 90));
	key[sizeof(key) - 1] = '\0';
	xreplace(&bad->lock_key, key);
	for (int i = 0; i < 3; i++)
		store_admit(fixture->a, &admissions[i], 1, heard_done, &heard[i]);
	for (int i = 0; i < 3; i++)
		run_until(fixture, &heard[i].done);
	assert_int_equal(heard[0].err.kind, ERROR_NONE);
	assert_int_equal(heard[1].err.kind, ERROR_INVALID);
	assert_int_equal(heard[2].err.kind, ERROR_NONE);
	want_state(fixture->b, "3", JOB_QUEUED);
	assert_null(read_job(fixture->b, "2"));
	job_destroy(good);
	job_destroy(bad);
	job_destroy(other);
}

static void bytes_that_are_no_text_do_not_stop_a_job(void **state)
{
	struct store_fixture *fixture = *state;
	struct job *job = make_job("1", LOCK_QUEUE);
	struct job *read;

	xreplace(&job->body, "\xff{\"a\":1}");
	want_admit(fixture, fixture->a, job);
	read = read_job(fixture->b, "1");
	assert_string_equal(read->body, "\xef\xbf\xbd{\"a\":1}");
	job_destroy(read);
	job_destroy(job);
}

/* -- the schema ---------------------------------------------------------------------------------- */

static struct store *open_as(struct store_fixture *fixture, const char *url, bool migrate, struct error *err)
{
	const struct store_options options = {
		.loop = fixture->loop, .log = &fixture->log, .owner = "c", .lease_ms = FIXTURE_LEASE_MS, .migrate = migrate,
		.read_only = !migrate,
	};

	return store_open(url, &options, err);
}

static void newer_schema_is_refused(void **state)
{
	struct store_fixture *fixture = *state;
	PGconn *conn = look_into(fixture);
	struct error err = { 0 };

	postgresql_run(conn, "INSERT INTO gantry.versions (version) VALUES (1000)");
	assert_null(open_as(fixture, fixture->url, true, &err));
	postgresql_run(conn, "DELETE FROM gantry.versions WHERE version = 1000");
	PQfinish(conn);
	assert_int_equal(err.kind, ERROR_REFUSED);
	assert_non_null(strstr(err.text, "written by a newer gantry"));
}

static void reader_waits_for_who_may_make_the_schema(void **state)
{
	struct store_fixture *fixture = *state;
	PGconn *conn = look_into(fixture);
	struct error err = { 0 };
	struct store *store;

	store_close(fixture->a);
	store_close(fixture->b);
	postgresql_run(conn, "DROP SCHEMA gantry CASCADE");
	assert_null(open_as(fixture, fixture->url, false, &err));
	assert_int_equal(err.kind, ERROR_TEMPORARY);
	store = open_as(fixture, fixture->url, true, &err);
	assert_non_null(store);
	store_close(store);
	assert_int_equal(postgresql_number(conn, "SELECT max(version) FROM gantry.versions"), store_postgresql_version);
	fixture->a = fixture_open(fixture, "a");
	fixture->b = fixture_open(fixture, "b");
	PQfinish(conn);
}

/* The functions of the first version took less. */
static void functions_of_the_version_before_are_replaced(void **state)
{
	struct store_fixture *fixture = *state;
	const struct store_delivery said = { .sink = "s", .event = "e", .job_id = "1", .payload = "{}" };
	struct job *job = make_job("1", LOCK_QUEUE);
	PGconn *conn = look_into(fixture);
	struct heard heard = { 0 };

	want_admit(fixture, fixture->a, job);
	store_close(fixture->a);
	store_close(fixture->b);
	postgresql_run(conn, "SET search_path = gantry; DELETE FROM versions WHERE version > 1;"
		" DROP TABLE places; ALTER TABLE jobs DROP COLUMN place;"
		" DROP FUNCTION say(jsonb, text); DROP FUNCTION note_deliveries(jsonb, text); DROP FUNCTION forget(text, bigint);"
		" CREATE FUNCTION say(call jsonb) RETURNS jsonb LANGUAGE sql AS 'SELECT NULL::jsonb';"
		" CREATE FUNCTION note_deliveries(noted jsonb) RETURNS jsonb LANGUAGE sql AS 'SELECT NULL::jsonb';"
		" CREATE FUNCTION forget(old text) RETURNS boolean LANGUAGE sql AS 'SELECT false'");
	fixture->a = fixture_open(fixture, "a");
	fixture->b = fixture_open(fixture, "b");
	assert_int_equal(postgresql_number(conn, "SELECT max(version) FROM versions"), store_postgresql_version);
	assert_int_equal(postgresql_number(conn, "SELECT count(*) FROM pg_proc WHERE pronamespace = 'gantry'::regnamespace"
		" AND proname IN ('say', 'note_deliveries', 'forget')"), 3);
	store_say(fixture->a, job, &said, 1, NULL, heard_done, &heard);
	hear(fixture, &heard);
	assert_int_equal(heard.err.kind, ERROR_NONE);
	PQfinish(conn);
	job_destroy(job);
}

/* Workers of the first version, which may still be there, say of no note whether it keeps their claim. */
static void workers_of_the_version_before_note_what_they_have_claimed(void **state)
{
	static const char note[] = "SELECT gantry.note_deliveries('[{\"id\": %d, \"tries\": %d, \"dead\": false, "
		"\"error\": null, \"next_try_ms\": %s}]', 'b')";
	static const char told[] = "SELECT count(*) FROM gantry.outbox WHERE tries = 1 AND NOT open";
	struct store_fixture *fixture = *state;
	const struct store_delivery said = { .sink = "s", .event = "e", .payload = "{}" };
	PGconn *conn = look_into(fixture);
	struct heard heard = { 0 };

	store_say(fixture->a, NULL, &said, 1, NULL, heard_done, &heard);
	hear(fixture, &heard);
	heard = (struct heard){ 0 };
	store_claim_deliveries(fixture->b, 9, heard_deliveries, &heard);
	hear(fixture, &heard);
	assert_int_equal(heard.err.kind, ERROR_NONE);
	postgresql_run(conn, "SET search_path = gantry");
	postgresql_run(conn, note, (int)heard.ids[0], 0, "9999999999999");
	assert_int_equal(postgresql_number(conn, told), 0);
	postgresql_run(conn, note, (int)heard.ids[0], 1, "0");
	assert_int_equal(postgresql_number(conn, told), 1);
	/* Over is over, and what another has claimed since is his. */
	postgresql_run(conn, note, (int)heard.ids[0], 7, "5");
	assert_int_equal(postgresql_number(conn, told), 1);
	postgresql_run(conn, "UPDATE outbox SET tries = 0, next_try_ms = 5, claimed_by = 'a'");
	postgresql_run(conn, note, (int)heard.ids[0], 1, "0");
	assert_int_equal(postgresql_number(conn, told), 0);
	PQfinish(conn);
}

/* Another owner of the host has written its row, and has not committed yet. */
static void renewal_waits_for_no_other_of_its_host(void **state)
{
	struct store_fixture *fixture = *state;
	const struct store_options options = {
		.loop = fixture->loop, .log = &fixture->log, .owner = "c", .place = "host", .lease_ms = FIXTURE_LEASE_MS,
		.migrate = true,
	};
	struct error err = { 0 };
	struct store *store = store_open(fixture->url, &options, &err);
	PGconn *conn = look_into(fixture);

	assert_non_null(store);
	want_renew(fixture, store, ERROR_NONE);
	postgresql_run(conn, "BEGIN");
	postgresql_run(conn, "UPDATE gantry.places SET lease_until_ms = lease_until_ms + 1");
	want_renew(fixture, store, ERROR_NONE);
	postgresql_run(conn, "COMMIT");
	store_close(store);
	PQfinish(conn);
}

static void people_can_read_jobs_and_results(void **state)
{
	struct store_fixture *fixture = *state;
	struct job *first = make_job("1", LOCK_QUEUE), *second = make_job("2", LOCK_QUEUE);
	PGconn *conn = look_into(fixture);

	want_admit(fixture, fixture->a, first);
	want_admit(fixture, fixture->a, second);
	assert_int_equal(postgresql_number(conn, "SELECT count(*) FROM gantry.gantry_jobs WHERE id = '2' AND state = 'waiting'"
		" AND waits_for = 'lock' AND lock_holder = '1' AND accepted > now() - interval '1 hour'"), 1);
	want_finish(fixture, fixture->a, first, JOB_FAILED, "2@a");
	assert_int_equal(postgresql_number(conn, "SELECT exit_code FROM gantry.gantry_results WHERE id = '1'"
		" AND state = 'failed' AND reason = 'exit_code' AND finished IS NOT NULL"), 3);
	PQfinish(conn);
	job_destroy(first);
	job_destroy(second);
}

static void errors_never_hold_the_password(void **state)
{
	static const char *const urls[] = {
		"postgresql://gantry:hunter2@/d?host=/nonexistent", "postgresql://gantry:hunter2@127.0.0.1:1/d",
		"postgresql://gantry:hunter2@h:port:port/d", "postgresql://gantry:hunter2%zz@h/d",
	};

	for (size_t i = 0; i < ARRAY_SIZE(urls); i++) {
		struct error err = { 0 };

		assert_null(open_as(*state, urls[i], true, &err));
		assert_true(err.text[0] != '\0');
		assert_null(strstr(err.text, "hunter2"));
	}
}

/* -- many at once -------------------------------------------------------------------------------- */

enum { CHILDREN = 3, CHILD_JOBS = 60, CHILD_KEYS = 4, CHILD_GROUPS = 6 };

/* One owner's life: lets jobs in, runs whatever it owns that is ready, until all jobs of all owners have ended. */
struct life {
	struct store_fixture fixture;
	struct store *store;
	PGconn *conn;
};

static void run_job(struct life *life, struct job *job)
{
	struct job_result result;
	struct heard heard = { 0 };

	if (job->state != JOB_QUEUED)
		return;
	want_intend(&life->fixture, life->store, job, ERROR_NONE);
	want_started(&life->fixture, life->store, job, ERROR_NONE);
	job_result_set(&result, JOB_SUCCEEDED, "", 0, "%s", "");
	store_finish(life->store, job, &result, heard_finished, &heard);
	job->message.settled = true;
	hear(&life->fixture, &heard);
	assert_int_equal(heard.err.kind, ERROR_NONE);
	want_note(&life->fixture, life->store, job, ERROR_NONE);
}

static void run_heard(struct life *life, struct heard *heard)
{
	for (size_t i = 0; i < heard->count; i++)
		run_job(life, heard->jobs[i]);
	heard_finish(heard);
}

static void admit_some(struct life *life, int child, int first)
{
	struct store_admission admissions[3];
	struct heard heard = { 0 };

	for (int i = 0; i < 3; i++) {
		char id[32];
		struct job *job;

		/* Others let the same jobs in. */
		snprintf(id, sizeof(id), "%d", (first + i) / 2 * 2 + child % 2);
		job = make_job(id, (first + i) % 5 == 0 ? LOCK_PARALLEL : LOCK_QUEUE);
		if (job->policy != LOCK_PARALLEL) {
			free(job->lock_key);
			job->lock_key = xasprintf("k%d", atoi(id) % CHILD_KEYS);
		}
		if (atoi(id) % 3 == 0)
			job->message.group = xasprintf("g%d", atoi(id) % CHILD_GROUPS);
		admissions[i] = (struct store_admission){ .job = job };
	}
	store_admit(life->store, admissions, 3, heard_done, &heard);
	hear(&life->fixture, &heard);
	assert_int_equal(heard.err.kind, ERROR_NONE);
	for (int i = 0; i < 3; i++) {
		free(admissions[i].owner);
		if (admissions[i].verdict == STORE_ADMITTED_NEW)
			run_job(life, admissions[i].job);
		job_destroy(admissions[i].job);
	}
}

static bool all_have_ended(const struct life *life)
{
	return postgresql_number(life->conn, "SELECT count(*) FROM gantry.jobs WHERE live") == 0;
}

static int live(const struct store_fixture *parent, int child)
{
	struct life life = { .fixture = { .adapter = parent->adapter, .url = parent->url, .private = parent->private } };
	char owner[16];
	struct heard heard;

	life.fixture.loop = ev_loop_new(EVFLAG_AUTO);
	log_init(&life.fixture.log, NULL, "child");
	snprintf(owner, sizeof(owner), "o%d", child);
	life.store = fixture_open(&life.fixture, owner);
	life.conn = look_into(parent);
	want_renew(&life.fixture, life.store, ERROR_NONE);
	for (int first = 0; first < CHILD_JOBS; first += 3) {
		admit_some(&life, child, first);
		want_sweep(&life.fixture, life.store, &heard);
		run_heard(&life, &heard);
		if (first % 30 == 27)
			want_disown(&life.fixture, life.store, owner);
		want_adopt(&life.fixture, life.store, 5, &heard);
		run_heard(&life, &heard);
	}
	while (!all_have_ended(&life)) {
		want_sweep(&life.fixture, life.store, &heard);
		run_heard(&life, &heard);
		want_adopt(&life.fixture, life.store, 100, &heard);
		run_heard(&life, &heard);
	}
	store_close(life.store);
	PQfinish(life.conn);
	ev_loop_destroy(life.fixture.loop);
	return 0;
}

static void want_order(PGconn *conn)
{
	assert_int_equal(postgresql_number(conn, "SELECT count(*) FROM gantry.jobs WHERE state <> 'succeeded'"), 0);
	/* A grant for each job of a key, none twice, none left out. */
	assert_int_equal(postgresql_number(conn, "SELECT count(*) FROM (SELECT lock_key, count(*) n, max(lock_grant) m,"
		" count(DISTINCT lock_grant) d FROM gantry.jobs WHERE policy <> 'parallel' GROUP BY lock_key) k"
		" WHERE n <> m OR n <> d"), 0);
	/* One attempt each. */
	assert_int_equal(postgresql_number(conn, "SELECT count(*) FROM gantry.attempts WHERE number <> 1"), 0);
	/* Nobody of a group was ahead of an earlier one. */
	assert_int_equal(postgresql_number(conn, "SELECT count(*) FROM gantry.jobs a JOIN gantry.jobs b"
		" ON a.message_group = b.message_group AND a.seq < b.seq"
		" JOIN gantry.attempts t ON t.job_id = b.id WHERE t.intended_ms < a.finished_ms - 5"), 0);
	assert_int_equal(postgresql_number(conn, "SELECT count(*) FROM gantry.locks WHERE holder IS NOT NULL"), 0);
	assert_int_equal(postgresql_number(conn, "SELECT sum(jobs) FROM gantry.ended"),
		postgresql_number(conn, "SELECT count(*) FROM gantry.jobs"));
}

/* Two jobs of one key are never beyond waiting at once. */
static void want_one_at_a_time(PGconn *conn)
{
	assert_int_equal(postgresql_number(conn, "SELECT count(*) FROM (SELECT lock_key FROM gantry.jobs WHERE open"
		" AND policy <> 'parallel' AND state <> 'waiting' GROUP BY lock_key HAVING count(*) > 1) k"), 0);
}

static void many_owners_keep_the_order_of_keys_and_groups(void **state)
{
	struct store_fixture *fixture = *state;
	PGconn *conn;
	pid_t pids[CHILDREN];
	int left = CHILDREN;

	for (int i = 0; i < CHILDREN; i++) {
		pids[i] = fixture_fork(fixture);
		if (pids[i] == 0)
			_exit(live(fixture, i));
	}
	conn = look_into(fixture);
	while (left > 0) {
		int status;
		pid_t pid = waitpid(-1, &status, WNOHANG);

		want_one_at_a_time(conn);
		for (int i = 0; pid > 0 && i < CHILDREN; i++) {
			if (pids[i] == pid) {
				assert_int_equal(status, 0);
				left--;
			}
		}
	}
	want_order(conn);
	PQfinish(conn);
}

static void lease_that_ends_is_seen_by_other_owners_only_once(void **state)
{
	struct store_fixture *fixture = *state;
	struct job *job = make_job("1", LOCK_QUEUE);
	struct store *c = fixture_open(fixture, "c");
	struct heard b = { 0 }, of_c = { 0 };

	want_admit(fixture, fixture->a, job);
	clock_shift(FIXTURE_LEASE_MS / 1000.0 + 1, 0);
	want_renew(fixture, fixture->b, ERROR_NONE);
	store_adopt(fixture->b, 10, heard_jobs, &b);
	store_adopt(c, 10, heard_jobs, &of_c);
	run_until(fixture, &b.done);
	run_until(fixture, &of_c.done);
	assert_int_equal(b.count + of_c.count, 1);
	want_intend(fixture, fixture->a, job, ERROR_LOST);
	clock_shift(-(FIXTURE_LEASE_MS / 1000.0 + 1), 0);
	heard_finish(&b);
	heard_finish(&of_c);
	store_close(c);
	job_destroy(job);
}

#define TEST(name) { #name, name, fixture_setup, fixture_teardown, (void *)&store_adapter_postgresql }

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(admit_loses_its_answer_and_is_not_done_twice),
		TEST(adopted_jobs_are_told_after_a_lost_answer),
		TEST(server_that_is_restarted_loses_and_doubles_nothing),
		TEST(terminated_backend_is_replaced),
		TEST(calls_fail_while_the_server_is_away_for_long),
		TEST(idle_store_leaves_the_loop_as_it_is),
		TEST(owners_are_woken_by_each_other),
		TEST(call_that_the_database_cannot_take_fails_alone),
		TEST(bytes_that_are_no_text_do_not_stop_a_job),
		TEST(newer_schema_is_refused),
		TEST(reader_waits_for_who_may_make_the_schema),
		TEST(functions_of_the_version_before_are_replaced),
		TEST(workers_of_the_version_before_note_what_they_have_claimed),
		TEST(renewal_waits_for_no_other_of_its_host),
		TEST(people_can_read_jobs_and_results),
		TEST(errors_never_hold_the_password),
		TEST(many_owners_keep_the_order_of_keys_and_groups),
		TEST(lease_that_ends_is_seen_by_other_owners_only_once),
	};
	int failed;

	/* Its going away is said each time. */
	log_set_level(LOG_LEVEL_ERROR);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	store_adapters_end();
	return failed;
}
