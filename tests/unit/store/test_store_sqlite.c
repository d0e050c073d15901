/* SPDX-License-Identifier: Apache-2.0 */
/* test_store_sqlite.c - what only the SQLite store promises: durability, sharing, damage, cost.
 *
 * Looks behind the port (store_sqlite.h) where a promise cannot be seen from before it. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../cmocka_all.h"
#include "base/mem.h"
#include "store/store_sqlite.h"
#include "store_fixture.h"

static struct store_sqlite *inside(struct store *store)
{
	return container_of(store, struct store_sqlite, store);
}

static void sql(sqlite3 *db, const char *text)
{
	if (sqlite3_exec(db, text, NULL, NULL, NULL) != SQLITE_OK)
		fail_msg("%s: %s", text, sqlite3_errmsg(db));
}

static int64_t number(sqlite3 *db, const char *text)
{
	sqlite3_stmt *statement;
	int64_t value;

	assert_int_equal(sqlite3_prepare_v2(db, text, -1, &statement, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
	value = sqlite3_column_int64(statement, 0);
	sqlite3_finalize(statement);
	return value;
}

/* -- a place without a store: for tests that fork or spoil the file ---------------------------------- */

static int place_setup(void **state)
{
	struct store_fixture *fixture = xnew(struct store_fixture);

	fixture->adapter = &store_adapter_sqlite;
	fixture->url = fixture->adapter->make_url(&fixture->private);
	fixture->loop = ev_loop_new(EVFLAG_AUTO);
	log_init(&fixture->log, NULL, "test");
	*state = fixture;
	return 0;
}

static const char *path_of(const struct store_fixture *fixture)
{
	return fixture->url + strlen("sqlite://");
}

static void want_open_error(struct store_fixture *fixture, bool migrate, enum error_kind kind, const char *words)
{
	const struct store_options options = {
		.loop = fixture->loop, .log = &fixture->log, .owner = "x", .lease_ms = 1000, .migrate = migrate, .check = true,
	};
	struct error err = { 0 };

	assert_null(store_open(fixture->url, &options, &err));
	if (err.kind != kind || strstr(err.text, words) == NULL)
		fail_msg("wanted %s with \"%s\", found %s: %s", error_kind_name(kind), words, error_kind_name(err.kind),
			err.text);
}

static void spoil(const struct store_fixture *fixture, off_t at, const char *bytes, size_t size)
{
	int fd = open(path_of(fixture), O_RDWR | O_CLOEXEC | O_CREAT, 0600);

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, bytes, size, at), size);
	close(fd);
}

/* -- commits ------------------------------------------------------------------------------------- */

static void calls_of_a_turn_share_one_commit(void **state)
{
	struct store_fixture *fixture = *state;
	struct store_admission *batch = xcalloc(1000, sizeof(*batch));
	struct heard *heard = xcalloc(1000, sizeof(*heard));
	struct store_figures before, after;

	store_figures(fixture->a, &before);
	for (int i = 0; i < 1000; i++) {
		char id[16];

		snprintf(id, sizeof(id), "%d", i);
		batch[i].job = make_job(id, LOCK_PARALLEL);
		store_admit(fixture->a, &batch[i], 1, heard_done, &heard[i]);
	}
	hear(fixture, &heard[999]);
	store_figures(fixture->a, &after);
	assert_int_equal(after.commits - before.commits, 1);
	assert_int_equal(after.writes - before.writes, 1000);
	for (int i = 0; i < 1000; i++) {
		assert_true(heard[i].done);
		assert_int_equal(heard[i].err.kind, ERROR_NONE);
		job_destroy(batch[i].job);
	}
	free(heard);
	free(batch);
}

static void busy_store_is_waited_for_on_the_loop(void **state)
{
	struct store_fixture *fixture = *state;
	struct heard first = { 0 }, second = { 0 };
	struct store_figures figures;
	sqlite3 *other;

	assert_int_equal(sqlite3_open(path_of(fixture), &other), SQLITE_OK);
	sql(other, "BEGIN IMMEDIATE");
	store_renew(fixture->a, heard_done, &first);
	for (int turn = 0; turn < 5; turn++)
		ev_run(fixture->loop, EVRUN_ONCE);
	store_renew(fixture->a, heard_done, &second);
	ev_run(fixture->loop, EVRUN_ONCE);
	assert_false(first.done || second.done);
	store_figures(fixture->a, &figures);
	assert_int_equal(figures.busy, 1);
	sql(other, "COMMIT");
	hear(fixture, &first);
	assert_true(second.done);
	assert_int_equal(first.err.kind, ERROR_NONE);
	assert_int_equal(second.err.kind, ERROR_NONE);
	sqlite3_close(other);
}

static void full_database_fails_the_batch_and_nothing_of_it_stays(void **state)
{
	struct store_fixture *fixture = *state;
	sqlite3 *db = inside(fixture->a)->db;
	struct job *small = make_job("1", LOCK_QUEUE);
	struct job *large = make_job("2", LOCK_QUEUE);
	struct store_admission admissions[2] = { { .job = small }, { .job = large } };
	struct heard heard[2] = { 0 };
	char limit[64];

	free(large->body);
	large->body = xasprintf("{\"x\":\"%0200000d\"}", 0);
	snprintf(limit, sizeof(limit), "PRAGMA max_page_count = %lld", (long long)number(db, "PRAGMA page_count") + 5);
	sql(db, limit);
	store_admit(fixture->a, &admissions[0], 1, heard_done, &heard[0]);
	store_admit(fixture->a, &admissions[1], 1, heard_done, &heard[1]);
	hear(fixture, &heard[1]);
	for (int i = 0; i < 2; i++) {
		assert_true(heard[i].done);
		assert_int_equal(heard[i].err.kind, ERROR_TEMPORARY);
		assert_non_null(strstr(heard[i].err.text, "full"));
	}
	assert_null(small->owner);
	assert_null(store_find(fixture->b, "1", NULL));
	sql(db, "PRAGMA max_page_count = 1000000");
	assert_int_equal(want_admit(fixture, fixture->a, small), STORE_ADMITTED_NEW);
	assert_int_equal(want_admit(fixture, fixture->a, large), STORE_ADMITTED_NEW);
	job_destroy(large);
	job_destroy(small);
}

/* The log cannot grow: what a full disk looks like to the commit. */
static void failed_write_of_the_log_fails_the_batch(void **state)
{
	struct store_fixture *fixture = *state;
	struct job *job = make_job("1", LOCK_QUEUE);
	struct store_admission admission = { .job = job };
	struct heard heard = { 0 };
	struct rlimit was, small;

	free(job->body);
	job->body = xasprintf("{\"x\":\"%0900000d\"}", 0);
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &was), 0);
	small = was;
	small.rlim_cur = 512 << 10;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	store_admit(fixture->a, &admission, 1, heard_done, &heard);
	hear(fixture, &heard);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &was), 0);
	signal(SIGXFSZ, SIG_DFL);
	assert_int_equal(heard.err.kind, ERROR_TEMPORARY);
	assert_null(store_find(fixture->b, "1", NULL));
	assert_int_equal(want_admit(fixture, fixture->a, job), STORE_ADMITTED_NEW);
	job_destroy(job);
}

static void log_is_shortened_between_commits(void **state)
{
	struct store_fixture *fixture = *state;
	char *log = xasprintf("%s-wal", path_of(fixture));
	struct stat found;

	for (int i = 0; i < 60; i++) {
		char id[16];
		struct job *job;

		snprintf(id, sizeof(id), "%d", i);
		job = make_job(id, LOCK_PARALLEL);
		free(job->body);
		job->body = xasprintf("{\"x\":\"%0500000d\"}", 0);
		want_admit(fixture, fixture->a, job);
		while (ev_is_active(&inside(fixture->a)->checkpoint)) {
			/* It does not hold the loop by itself. */
			ev_ref(fixture->loop);
			ev_run(fixture->loop, EVRUN_ONCE);
			ev_unref(fixture->loop);
		}
		job_destroy(job);
	}
	assert_int_equal(stat(log, &found), 0);
	/* 30 MB were written; the log is at most a checkpoint's worth and one more body. */
	assert_in_range(found.st_size, 1, 8 << 20);
	free(log);
}

/* -- processes ----------------------------------------------------------------------------------- */

/* Admits job after job, each in its own commit, and writes a byte for each completion. */
static void admit_until_killed(struct store_fixture *fixture, unsigned round, int told)
{
	struct store *store = fixture_open(fixture, "child");

	for (unsigned i = 0;; i++) {
		char id[32];
		struct job *job;

		snprintf(id, sizeof(id), "%u-%u", round, i);
		job = make_job(id, LOCK_PARALLEL);
		if (want_admit(fixture, store, job) != STORE_ADMITTED_NEW || write(told, "", 1) != 1)
			_exit(1);
		job_destroy(job);
	}
}

/* Returns how many completions were seen before the child was killed, in the middle of what follows. */
static unsigned run_and_kill(struct store_fixture *fixture, unsigned round)
{
	unsigned completions = 0;
	int ends[2];
	pid_t child;
	char byte;
	int status;

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		close(ends[0]);
		admit_until_killed(fixture, round, ends[1]);
	}
	close(ends[1]);
	while (completions < 5 + round * 3 && read(ends[0], &byte, 1) == 1)
		completions++;
	kill(child, SIGKILL);
	while (read(ends[0], &byte, 1) == 1)
		completions++;
	close(ends[0]);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	return completions;
}

static void completed_calls_survive_sigkill(void **state)
{
	struct store_fixture *fixture = *state;

	for (unsigned round = 0; round < 8; round++) {
		unsigned completions = run_and_kill(fixture, round);
		struct store *store = fixture_open(fixture, "parent");
		struct heard heard;

		for (unsigned i = 0; i < completions; i++) {
			char id[32];

			snprintf(id, sizeof(id), "%u-%u", round, i);
			want_state(store, id, JOB_QUEUED);
		}
		/* What the dead one held is free after its lease; here it is told. */
		assert_true(want_disown(fixture, store, "child") >= completions);
		want_adopt(fixture, store, 10000, &heard);
		assert_true(heard.count >= completions);
		heard_finish(&heard);
		assert_int_equal(number(inside(store)->db, "SELECT count(*) FROM pragma_integrity_check"
			" WHERE integrity_check <> 'ok'"), 0);
		store_close(store);
	}
}

enum { CONTENDER_JOBS = 150 };

static void contend(struct store_fixture *fixture, const char *owner)
{
	struct store *store = fixture_open(fixture, owner);

	for (int i = 0; i < CONTENDER_JOBS; i++) {
		char id[32];
		struct job *job;

		snprintf(id, sizeof(id), "%s-%d", owner, i);
		job = make_job(id, LOCK_PARALLEL);
		want_admit(fixture, store, job);
		want_intend(fixture, store, job, ERROR_NONE);
		want_started(fixture, store, job, ERROR_NONE);
		want_finish(fixture, store, job, JOB_SUCCEEDED, "");
		job_destroy(job);
	}
	store_close(store);
	_exit(0);
}

static void processes_write_in_turn_and_lose_nothing(void **state)
{
	struct store_fixture *fixture = *state;
	static const char *const owners[] = { "one", "two", "three" };
	pid_t children[ARRAY_SIZE(owners)];
	uint64_t counts[JOB_STATES];
	struct store *store;
	int status;

	store_close(fixture_open(fixture, "creator"));
	for (size_t i = 0; i < ARRAY_SIZE(owners); i++) {
		children[i] = fork();
		assert_true(children[i] >= 0);
		if (children[i] == 0)
			contend(fixture, owners[i]);
	}
	for (size_t i = 0; i < ARRAY_SIZE(owners); i++) {
		assert_int_equal(waitpid(children[i], &status, 0), children[i]);
		assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	}
	store = fixture_open(fixture, "reader");
	assert_true(store_count(store, counts, NULL));
	assert_int_equal(counts[JOB_SUCCEEDED], ARRAY_SIZE(owners) * CONTENDER_JOBS);
	assert_int_equal(counts[JOB_QUEUED] + counts[JOB_LAUNCHING] + counts[JOB_RUNNING], 0);
	store_close(store);
}

static void readers_read_while_others_write(void **state)
{
	struct store_fixture *fixture = *state;
	const struct store_options options = { .log = &fixture->log, .read_only = true };
	struct store *reader = store_open(fixture->url, &options, NULL);
	struct job *job = make_job("1", LOCK_QUEUE);
	sqlite3 *other;

	assert_non_null(reader);
	want_admit(fixture, fixture->a, job);
	assert_int_equal(sqlite3_open(path_of(fixture), &other), SQLITE_OK);
	sql(other, "BEGIN IMMEDIATE");
	want_state(reader, "1", JOB_QUEUED);
	sql(other, "COMMIT");
	sqlite3_close(other);
	store_close(reader);
	job_destroy(job);
}

/* After a stop there is no log; after a crash there is one that nobody has taken up yet. */
static void readers_read_when_nobody_is_there(void **state)
{
	struct store_fixture *fixture = *state;
	const struct store_options options = { .log = &fixture->log, .read_only = true };
	struct store *reader;

	store_close(fixture_open(fixture, "x"));
	reader = store_open(fixture->url, &options, NULL);
	assert_non_null(reader);
	assert_null(store_find(reader, "0-0", NULL));
	store_close(reader);
	run_and_kill(fixture, 0);
	reader = store_open(fixture->url, &options, NULL);
	assert_non_null(reader);
	want_state(reader, "0-0", JOB_QUEUED);
	store_close(reader);
}

static void lease_of_another_boot_has_ended(void **state)
{
	struct store_fixture *fixture = *state;
	struct job *job = make_job("1", LOCK_QUEUE);
	struct heard heard;

	want_admit(fixture, fixture->a, job);
	sql(inside(fixture->b)->db, "UPDATE owners SET boot_id = 'before', lease_until_ms = 1 << 60 WHERE id = 'a'");
	want_adopt(fixture, fixture->b, 10, &heard);
	assert_string_equal(heard_ids(&heard), "1");
	heard_finish(&heard);
	job_destroy(job);
}

/* -- opening ------------------------------------------------------------------------------------- */

static void files_are_private(void **state)
{
	struct store_fixture *fixture = *state;
	char *directory = xasprintf("%s/state", fixture->private);
	struct stat found;

	store_close(fixture_open(fixture, "x"));
	assert_int_equal(stat(directory, &found), 0);
	assert_int_equal(found.st_mode & 0777, 0700);
	assert_int_equal(stat(path_of(fixture), &found), 0);
	assert_int_equal(found.st_mode & 0777, 0600);
	free(directory);
}

static void store_that_is_not_there_yet_is_temporary(void **state)
{
	struct store_fixture *fixture = *state;
	char *directory = xasprintf("%s/state", fixture->private);

	want_open_error(fixture, false, ERROR_TEMPORARY, "No such file");
	assert_int_equal(mkdir(directory, 0700), 0);
	spoil(fixture, 0, "", 0);
	want_open_error(fixture, false, ERROR_TEMPORARY, "has schema 0 and has not been brought to");
	store_close(fixture_open(fixture, "x"));
	free(directory);
}

static void missing_parent_is_refused(void **state)
{
	struct store_fixture *fixture = *state;
	char *url = fixture->url;

	fixture->url = xasprintf("sqlite://%s/not/there/gantry.db", fixture->private);
	want_open_error(fixture, true, ERROR_REFUSED, "cannot make the directory of");
	free(fixture->url);
	fixture->url = xstrdup("sqlite://relative.db");
	want_open_error(fixture, true, ERROR_INVALID, "expected sqlite:///PATH with an absolute path");
	free(fixture->url);
	fixture->url = xstrdup("mysql://user:secret@host/db");
	want_open_error(fixture, true, ERROR_INVALID, "found \"mysql\"");
	free(fixture->url);
	fixture->url = url;
}

static void damage_is_refused(void **state)
{
	struct store_fixture *fixture = *state;
	struct store *store = fixture_open(fixture, "x");
	char page[4096];

	for (int i = 0; i < 50; i++) {
		char id[16];
		struct job *job;

		snprintf(id, sizeof(id), "%d", i);
		job = make_job(id, LOCK_PARALLEL);
		want_admit(fixture, store, job);
		job_destroy(job);
	}
	store_close(store);
	memset(page, 0x5a, sizeof(page));
	spoil(fixture, 2 * (off_t)sizeof(page), page, sizeof(page));
	want_open_error(fixture, true, ERROR_REFUSED, "is damaged");
	spoil(fixture, 0, "this is no database, whatever its name says", 44);
	want_open_error(fixture, true, ERROR_REFUSED, "is damaged: file is not a database");
}

static void other_and_newer_databases_are_refused(void **state)
{
	struct store_fixture *fixture = *state;
	struct store *store = fixture_open(fixture, "x");
	sqlite3 *db;

	store_close(store);
	assert_int_equal(sqlite3_open(path_of(fixture), &db), SQLITE_OK);
	sql(db, "PRAGMA user_version = 999");
	want_open_error(fixture, true, ERROR_REFUSED, "has schema 999, written by a newer gantry");
	want_open_error(fixture, false, ERROR_REFUSED, "has schema 999, written by a newer gantry");
	sql(db, "PRAGMA user_version = 1; PRAGMA application_id = 7");
	want_open_error(fixture, true, ERROR_REFUSED, "is an SQLite database of another program");
	sqlite3_close(db);
}

/* -- migrations ---------------------------------------------------------------------------------- */

static const struct store_sqlite_migration steps[] = {
	{ "CREATE TABLE one (x); INSERT INTO one VALUES (1);" },
	{ "ALTER TABLE one ADD COLUMN y DEFAULT 2;" },
	{ "UPDATE one SET x = x + 10; CREATE TABLE two (x);" },
};
static const struct store_sqlite_migration broken[] = {
	{ "CREATE TABLE one (x);" },
	{ "INSERT INTO one VALUES (1); INSERT INTO missing VALUES (1);" },
};

static void migrations_run_once_each_and_in_order(void **state)
{
	struct store_sqlite sqlite = { .path = (char *)"test" };
	struct error err = { 0 };

	(void)state;
	assert_int_equal(sqlite3_open(":memory:", &sqlite.db), SQLITE_OK);
	assert_true(store_sqlite_migrate(&sqlite, steps, 1, &err));
	assert_int_equal(number(sqlite.db, "PRAGMA user_version"), 1);
	assert_true(store_sqlite_migrate(&sqlite, steps, 3, &err));
	assert_true(store_sqlite_migrate(&sqlite, steps, 3, &err));
	assert_int_equal(number(sqlite.db, "PRAGMA user_version"), 3);
	assert_int_equal(number(sqlite.db, "SELECT x * 100 + y FROM one"), 1102);
	sqlite3_close(sqlite.db);
}

static void failed_migration_leaves_the_version_before_it(void **state)
{
	struct store_sqlite sqlite = { .path = (char *)"test" };
	struct error err = { 0 };

	(void)state;
	assert_int_equal(sqlite3_open(":memory:", &sqlite.db), SQLITE_OK);
	assert_false(store_sqlite_migrate(&sqlite, broken, 2, &err));
	assert_non_null(strstr(err.text, "no such table: missing"));
	assert_int_equal(number(sqlite.db, "PRAGMA user_version"), 1);
	assert_int_equal(number(sqlite.db, "SELECT count(*) FROM one"), 0);
	sqlite3_close(sqlite.db);
}

/* -- cost ---------------------------------------------------------------------------------------- */

/* Small ones: as many rows as states, or as workers. */
static bool may_be_scanned(const char *detail)
{
	return strcmp(detail, "SCAN counts") == 0 || strcmp(detail, "SCAN owners") == 0;
}

static void want_plan_without_scans(sqlite3 *db, const char *text)
{
	char *explain = xasprintf("EXPLAIN QUERY PLAN %s", text);
	sqlite3_stmt *statement;

	if (sqlite3_prepare_v2(db, explain, -1, &statement, NULL) != SQLITE_OK)
		fail_msg("%s: %s", text, sqlite3_errmsg(db));
	while (sqlite3_step(statement) == SQLITE_ROW) {
		const char *detail = (const char *)sqlite3_column_text(statement, 3);

		if ((strncmp(detail, "SCAN", 4) == 0 && !may_be_scanned(detail)) || strstr(detail, "TEMP B-TREE") != NULL)
			fail_msg("%s: %s", detail, text);
	}
	sqlite3_finalize(statement);
	free(explain);
}

static void no_statement_scans_or_sorts(void **state)
{
	struct store_fixture *fixture = *state;

	for (int i = 0; i < SQL_STATEMENTS; i++) {
		if (i != SQL_BEGIN && i != SQL_COMMIT && i != SQL_ROLLBACK)
			want_plan_without_scans(inside(fixture->a)->db, sql_text((enum sql)i));
	}
}

/* Steps of SQLite's machine since the last call, over all statements. */
static int64_t steps_taken(struct store *store)
{
	int64_t taken = 0;

	for (int i = 0; i < SQL_STATEMENTS; i++) {
		if (inside(store)->prepared[i] != NULL)
			taken += sqlite3_stmt_status(inside(store)->prepared[i], SQLITE_STMTSTATUS_VM_STEP, 1);
	}
	return taken;
}

/* One job that takes, one that waits and gets, both to their end; then what a worker does each second. */
static int64_t cost_of_two_jobs(struct store_fixture *fixture, const char *first, const char *second)
{
	struct job *jobs[] = { make_job(first, LOCK_LATEST), make_job(second, LOCK_LATEST) };
	struct heard heard;
	uint64_t counts[JOB_STATES];

	steps_taken(fixture->a);
	for (size_t i = 0; i < 2; i++) {
		jobs[i]->message.group = xstrdup("g");
		want_admit(fixture, fixture->a, jobs[i]);
	}
	for (size_t i = 0; i < 2; i++) {
		char *grant = xasprintf("%s@a", second);

		want_intend(fixture, fixture->a, jobs[i], ERROR_NONE);
		want_started(fixture, fixture->a, jobs[i], ERROR_NONE);
		want_finish(fixture, fixture->a, jobs[i], JOB_SUCCEEDED, i == 0 ? grant : "");
		jobs[i]->message.settled = true;
		want_note(fixture, fixture->a, jobs[i], ERROR_NONE);
		free(grant);
	}
	want_renew(fixture, fixture->a, ERROR_NONE);
	want_sweep(fixture, fixture->a, &heard);
	heard_finish(&heard);
	want_adopt(fixture, fixture->a, 10, &heard);
	heard_finish(&heard);
	assert_true(store_count(fixture->a, counts, NULL));
	job_destroy(jobs[0]);
	job_destroy(jobs[1]);
	return steps_taken(fixture->a);
}

static void cost_does_not_grow_with_finished_jobs(void **state)
{
	struct store_fixture *fixture = *state;
	int64_t empty, full;

	cost_of_two_jobs(fixture, "first", "second");
	empty = cost_of_two_jobs(fixture, "third", "fourth");
	sql(inside(fixture->b)->db, "BEGIN; WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50000)"
		" INSERT INTO jobs (id, project, deployer, queue, lock_key, policy, priority, not_before_ms, state, open, live,"
		" exit_code, accepted_ms, finished_ms, message_group, hidden_until_ms, received_ms, deliveries, settled, owner,"
		" fence, lock_grant) SELECT 'old-' || i, 'p', 'd', 'q', 'p', 'latest', 5, 0, 'succeeded', 0, 0, 0, 1, 1, 'g',"
		" 0, 0, 1, 1, 'a', 1, i FROM n; COMMIT");
	full = cost_of_two_jobs(fixture, "fifth", "sixth");
	if (full > empty + empty / 20)
		fail_msg("%lld steps with 50000 finished jobs, %lld without", (long long)full, (long long)empty);
}

#define WITH_STORE(test) cmocka_unit_test_prestate_setup_teardown(test, fixture_setup, fixture_teardown, \
	(void *)&store_adapter_sqlite)
#define WITH_PLACE(test) cmocka_unit_test_setup_teardown(test, place_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_STORE(calls_of_a_turn_share_one_commit),
		WITH_STORE(busy_store_is_waited_for_on_the_loop),
		WITH_STORE(full_database_fails_the_batch_and_nothing_of_it_stays),
		WITH_STORE(failed_write_of_the_log_fails_the_batch),
		WITH_STORE(log_is_shortened_between_commits),
		WITH_PLACE(completed_calls_survive_sigkill),
		WITH_PLACE(processes_write_in_turn_and_lose_nothing),
		WITH_STORE(readers_read_while_others_write),
		WITH_PLACE(readers_read_when_nobody_is_there),
		WITH_STORE(lease_of_another_boot_has_ended),
		WITH_PLACE(files_are_private),
		WITH_PLACE(store_that_is_not_there_yet_is_temporary),
		WITH_PLACE(missing_parent_is_refused),
		WITH_PLACE(damage_is_refused),
		WITH_PLACE(other_and_newer_databases_are_refused),
		cmocka_unit_test(migrations_run_once_each_and_in_order),
		cmocka_unit_test(failed_migration_leaves_the_version_before_it),
		WITH_STORE(no_statement_scans_or_sorts),
		WITH_STORE(cost_does_not_grow_with_finished_jobs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
