/* SPDX-License-Identifier: Apache-2.0 */
/* test_store_sqlite.c - what only the SQLite store promises: durability, sharing, damage, cost. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../cmocka_all.h"
#include "base/mem.h"
#include "sqlite_inside.h"

static void spoil(const struct store_fixture *fixture, off_t at, const char *bytes, size_t size)
{
	int fd = open(path_of(fixture), O_RDWR | O_CLOEXEC | O_CREAT, 0600);

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, bytes, size, at), size);
	close(fd);
}

static void remove_store(const struct store_fixture *fixture)
{
	static const char *const files[] = { "", "-wal", "-shm" };

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		char *path = xasprintf("%s%s", path_of(fixture), files[i]);

		unlink(path);
		free(path);
	}
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
	child = fixture_fork(fixture);
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

static void open_when_told(struct store_fixture *fixture, int told)
{
	char byte;

	if (read(told, &byte, 1) == 0)
		store_close(fixture_open(fixture, "maker"));
	_exit(0);
}

/* All that they find is an empty directory. */
static void processes_make_one_store_at_once(void **state)
{
	enum { MAKERS = 4, ROUNDS = 25 };
	struct store_fixture *fixture = *state;

	for (int round = 0; round < ROUNDS; round++) {
		pid_t children[MAKERS];
		int tell[2], status;

		assert_int_equal(pipe2(tell, O_CLOEXEC), 0);
		for (int i = 0; i < MAKERS; i++) {
			children[i] = fixture_fork(fixture);
			if (children[i] == 0) {
				close(tell[1]);
				open_when_told(fixture, tell[0]);
			}
		}
		close(tell[0]);
		close(tell[1]);
		for (int i = 0; i < MAKERS; i++) {
			assert_int_equal(waitpid(children[i], &status, 0), children[i]);
			assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
		}
		remove_store(fixture);
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
		children[i] = fixture_fork(fixture);
		if (children[i] == 0)
			contend(fixture, owners[i]);
	}
	for (size_t i = 0; i < ARRAY_SIZE(owners); i++) {
		assert_int_equal(waitpid(children[i], &status, 0), children[i]);
		assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	}
	store = fixture_open(fixture, "reader");
	read_counts(store, counts);
	assert_int_equal(counts[JOB_SUCCEEDED], ARRAY_SIZE(owners) * CONTENDER_JOBS);
	assert_int_equal(counts[JOB_QUEUED] + counts[JOB_LAUNCHING] + counts[JOB_RUNNING], 0);
	store_close(store);
}

static void readers_read_while_others_write(void **state)
{
	struct store_fixture *fixture = *state;
	const struct store_options options = { .loop = fixture->loop, .log = &fixture->log, .read_only = true };
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

/* A batch of ours that waits for its turn at the database holds up no read of ours. */
static void reads_do_not_wait_for_writes_that_do(void **state)
{
	struct store_fixture *fixture = *state;
	struct job *first = make_job("1", LOCK_QUEUE), *second = make_job("2", LOCK_QUEUE);
	struct store_admission admission = { .job = second };
	struct heard heard = { 0 };
	sqlite3 *other;

	want_admit(fixture, fixture->a, first);
	assert_int_equal(sqlite3_open(path_of(fixture), &other), SQLITE_OK);
	sql(other, "BEGIN IMMEDIATE");
	store_admit(fixture->a, &admission, 1, heard_done, &heard);
	for (int i = 0; i < 3; i++)
		want_state(fixture->a, "1", JOB_QUEUED);
	assert_false(heard.done);
	sql(other, "COMMIT");
	sqlite3_close(other);
	hear(fixture, &heard);
	want_state(fixture->a, "2", JOB_WAITING);
	job_destroy(second);
	job_destroy(first);
}

/* As a process that takes up the log after a crash: the index of the log is void, and its locks are held.
 * In a process of its own, as SQLite's locks in ours would go with any descriptor of that file. */
static void void_index_until_told(const struct store_fixture *fixture, int told, int tell)
{
	enum { FIRST_LOCK = 120, LOCKS = 8 };           /* sqlite.org/walformat.html, 2.3.1 */
	struct flock locks = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = FIRST_LOCK, .l_len = LOCKS };
	static const char zeroes[96];
	char *path = xasprintf("%s-shm", path_of(fixture)), byte;
	int fd = open(path, O_RDWR | O_CLOEXEC);

	if (fd < 0 || fcntl(fd, F_SETLKW, &locks) != 0 || pwrite(fd, zeroes, sizeof(zeroes), 0) != sizeof(zeroes) ||
		write(tell, "", 1) != 1 || read(told, &byte, 1) != 0)
		_exit(1);
	_exit(0);
}

static void reads_wait_for_recovery_without_stopping_the_loop(void **state)
{
	struct store_fixture *fixture = *state;
	struct job *job = make_job("1", LOCK_QUEUE);
	struct heard heard = { 0 };
	int down[2], up[2], status;
	pid_t child;
	char byte;

	want_admit(fixture, fixture->a, job);
	assert_int_equal(pipe2(down, O_CLOEXEC) | pipe2(up, O_CLOEXEC), 0);
	child = fixture_fork(fixture);
	if (child == 0) {
		close(down[1]);
		void_index_until_told(fixture, down[0], up[1]);
	}
	close(up[1]);
	assert_int_equal(read(up[0], &byte, 1), 1);
	store_crashes(fixture->a, "1", heard_count, &heard);
	for (int i = 0; i < 5; i++)
		ev_run(fixture->loop, EVRUN_ONCE);
	assert_false(heard.done);
	close(down[1]);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	hear(fixture, &heard);
	assert_int_equal(heard.err.kind, ERROR_NONE);
	want_state(fixture->a, "1", JOB_QUEUED);
	close(down[0]);
	close(up[0]);
	job_destroy(job);
}

/* After a stop there is no log; after a crash there is one that nobody has taken up yet. */
static void readers_read_when_nobody_is_there(void **state)
{
	struct store_fixture *fixture = *state;
	const struct store_options options = { .loop = fixture->loop, .log = &fixture->log, .read_only = true };
	struct store *reader;

	store_close(fixture_open(fixture, "x"));
	reader = store_open(fixture->url, &options, NULL);
	assert_non_null(reader);
	assert_null(read_job(reader, "0-0"));
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

/* Without waiting for anybody to adopt: the message that has come again is what brings its job to mind. */
static void redelivery_to_another_boot_frees_the_job(void **state)
{
	struct store_fixture *fixture = *state;
	struct job *job = make_job("1", LOCK_QUEUE), *freed;
	struct heard heard;

	want_admit(fixture, fixture->a, job);
	sql(inside(fixture->b)->db, "UPDATE owners SET boot_id = 'before', lease_until_ms = 1 << 60 WHERE id = 'a'");
	assert_int_equal(want_admit(fixture, fixture->b, job), STORE_ADMITTED_OTHERS);
	freed = read_job(fixture->b, "1");
	assert_null(freed->owner);
	job_destroy(freed);
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

/* -- keys whose holder is gone ----------------------------------------------------------------------- */

static void key_of_a_missing_or_ended_holder_is_freed(void **state)
{
	struct store_fixture *fixture = *state;
	struct job *jobs[] = { make_job("1", LOCK_QUEUE), make_job("2", LOCK_QUEUE), make_job("3", LOCK_QUEUE) };

	for (size_t i = 0; i < 3; i++)
		want_admit(fixture, fixture->a, jobs[i]);
	sql(inside(fixture->b)->db, "DELETE FROM jobs WHERE id = '1'");
	want_asked(fixture, fixture->b, store_unlock, "p", STORE_ASKED_DONE, "-@-", "2@a");
	sql(inside(fixture->b)->db, "UPDATE jobs SET state = 'failed', open = 0 WHERE id = '2'");
	want_asked(fixture, fixture->b, store_unlock, "p", STORE_ASKED_DONE, "2@a", "3@a");
	/* By its own record it holds nothing. */
	sql(inside(fixture->b)->db, "UPDATE jobs SET lock_grant = 0 WHERE id = '3'");
	want_asked(fixture, fixture->b, store_unlock, "p", STORE_ASKED_DONE, "3@a", "");
	want_state(fixture->b, "3", JOB_QUEUED);
	for (size_t i = 0; i < 3; i++)
		job_destroy(jobs[i]);
}

/* -- cost ---------------------------------------------------------------------------------------- */

/* Small ones: as many rows as states, workers or tables; of crashes the first alone; who is open is counted. */
static bool may_be_scanned(const char *detail)
{
	static const char *const small[] = {
		"SCAN crashes USING COVERING INDEX crashes_at", "SCAN jobs USING COVERING INDEX jobs_open", "SCAN counts",
		"SCAN ended", "SCAN owners", "SCAN sqlite_sequence", "SCAN CONSTANT ROW",
	};

	for (size_t i = 0; i < ARRAY_SIZE(small); i++) {
		if (strcmp(detail, small[i]) == 0)
			return true;
	}
	return false;
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
		if (i < SQL_BEGIN || i > SQL_RELEASE_SAVEPOINT)
			want_plan_without_scans(inside(fixture->a)->db, sql_text((enum sql)i));
	}
}

static int64_t cache_bytes(sqlite3 *db)
{
	int now, most;

	assert_int_equal(sqlite3_db_status(db, SQLITE_DBSTATUS_CACHE_USED, &now, &most, 0), SQLITE_OK);
	return now;
}

/* At once, from within the completion: the database was written just now. */
static void on_renewed(void *arg, const struct error *err)
{
	struct store_fixture *fixture = arg;

	assert_null(err);
	store_rest(fixture->a);
	ev_break(fixture->loop, EVBREAK_ALL);
}

static void rest_keeps_neither_statements_nor_pages(void **state)
{
	struct store_fixture *fixture = *state;
	sqlite3 *db = inside(fixture->a)->db;
	struct job *job = make_job("1", LOCK_QUEUE);
	int64_t used;

	want_admit(fixture, fixture->a, job);
	used = cache_bytes(db);
	assert_non_null(sqlite3_next_stmt(db, NULL));
	store_renew(fixture->a, on_renewed, fixture);
	ev_run(fixture->loop, 0);
	assert_null(sqlite3_next_stmt(db, NULL));
	assert_true(cache_bytes(db) < used);

	want_state(fixture->a, "1", JOB_QUEUED);
	want_intend(fixture, fixture->a, job, ERROR_NONE);
	want_state(fixture->b, "1", JOB_LAUNCHING);
	job_destroy(job);
}

static void ignore_why(void *arg, const struct store_why *why)
{
	(void)arg;
	assert_non_null(why);
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

static void say_and_deliver(struct store_fixture *fixture, const char *job_id)
{
	const struct store_delivery said = { .sink = "s", .event = "e", .job_id = job_id, .payload = "{}" };
	struct heard heard = { 0 };
	struct store_delivery delivered = { .tries = 1 };

	store_say(fixture->a, NULL, &said, 1, job_id, heard_done, &heard);
	hear(fixture, &heard);
	heard = (struct heard){ 0 };
	store_claim_deliveries(fixture->a, 10, heard_deliveries, &heard);
	hear(fixture, &heard);
	assert_int_equal(heard.count, 1);
	delivered.id = heard.ids[0];
	heard = (struct heard){ 0 };
	store_note_deliveries(fixture->a, &delivered, 1, heard_done, &heard);
	hear(fixture, &heard);
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
		say_and_deliver(fixture, jobs[i]->id);
		free(grant);
	}
	want_renew(fixture, fixture->a, ERROR_NONE);
	want_sweep(fixture, fixture->a, &heard);
	heard_finish(&heard);
	want_adopt(fixture, fixture->a, 10, &heard);
	heard_finish(&heard);
	read_counts(fixture->a, counts);
	read_why(fixture->a, second, ignore_why, NULL);
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
		" 0, 0, 1, 1, 'a', 1, i FROM n; INSERT INTO outbox (sink, event, job_id, created_ms, next_try_ms, tries, open, dead, dedup_key, payload)"
		" SELECT 's', 'e', id, 0, 0, 1, 0, 0, id, '{}' FROM jobs WHERE id LIKE 'old-%'; COMMIT");
	full = cost_of_two_jobs(fixture, "fifth", "sixth");
	if (full > empty + empty / 20)
		fail_msg("%lld steps with 50000 finished jobs, %lld without", (long long)full, (long long)empty);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_PLACE(completed_calls_survive_sigkill),
		WITH_PLACE(processes_make_one_store_at_once),
		WITH_PLACE(processes_write_in_turn_and_lose_nothing),
		WITH_STORE(readers_read_while_others_write),
		WITH_STORE(reads_do_not_wait_for_writes_that_do),
		WITH_STORE(reads_wait_for_recovery_without_stopping_the_loop),
		WITH_PLACE(readers_read_when_nobody_is_there),
		WITH_STORE(lease_of_another_boot_has_ended),
		WITH_STORE(redelivery_to_another_boot_frees_the_job),
		WITH_PLACE(files_are_private),
		WITH_PLACE(store_that_is_not_there_yet_is_temporary),
		WITH_PLACE(missing_parent_is_refused),
		WITH_PLACE(damage_is_refused),
		WITH_PLACE(other_and_newer_databases_are_refused),
		WITH_STORE(key_of_a_missing_or_ended_holder_is_freed),
		WITH_STORE(no_statement_scans_or_sorts),
		WITH_STORE(rest_keeps_neither_statements_nor_pages),
		WITH_STORE(cost_does_not_grow_with_finished_jobs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
