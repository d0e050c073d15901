/* SPDX-License-Identifier: Apache-2.0 */
/* test_store_schema.c - a store of an older version becomes one of ours. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "../cmocka_all.h"
#include "base/mem.h"
#include "sqlite_inside.h"

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

/* What the first version wrote: the holder of a key in its third attempt, three that wait, one between two
 * attempts, one that ended. */
static const char first_version[] =
	"INSERT INTO jobs (id, project, deployer, queue, lock_key, policy, priority, not_before_ms, state, wait, open, live,"
	" exit_code, accepted_ms, finished_ms, hidden_until_ms, received_ms, deliveries, settled, attempt, owner, fence,"
	" lock_grant) VALUES"
	" ('1', 'p', 'd', 'q', 'p', 'queue', 5, 0, 'running', 0, 1, 1, -1, 1, 0, 0, 0, 1, 0, 3, 'old', 1, 4),"
	" ('2', 'p', 'd', 'q', 'p', 'queue', 5, 0, 'waiting', 3, 1, 1, -1, 1, 0, 0, 0, 1, 0, 0, 'old', 1, 0),"
	" ('3', 'p', 'd', 'q', 'p', 'queue', 0, 0, 'waiting', 3, 1, 1, -1, 1, 0, 0, 0, 1, 0, 0, 'old', 1, 0),"
	" ('4', 'p', 'd', 'q', 'p', 'queue', 9, 0, 'waiting', 3, 1, 1, -1, 1, 0, 0, 0, 1, 0, 0, 'old', 1, 0),"
	" ('5', 'p', 'd', 'q', '', 'parallel', 5, 0, 'queued', 0, 1, 1, -1, 1, 0, 0, 0, 1, 0, 2, 'old', 1, 0),"
	" ('6', 'p', 'd', 'q', 'p', 'queue', 5, 0, 'failed', 0, 0, 0, 7, 1, 9, 0, 0, 1, 1, 1, 'old', 1, 3);"
	"INSERT INTO bodies SELECT seq, '{}' FROM jobs;"
	"INSERT INTO attempts (job, number, step, token, handle, intended_ms, started_ms)"
	" VALUES (1, 3, 0, 'token', 'arn:task/1', 1, 2), (5, 2, 0, 't', 'arn:task/5', 1, 2);"
	"INSERT INTO locks VALUES ('p', '1', 4);"
	"INSERT INTO owners VALUES ('old', 'before', 0, 0);"
	"INSERT INTO faults (at_ms, kind, queue, text, body, dedup_key, published) VALUES (1000, 'malformed', 'q', 'one', '{', 'key', 0),"
	" (2000, 'task_failed', NULL, 'two', NULL, 'told', 1);";

static void make_first_version(struct store_fixture *fixture)
{
	char *directory = xasprintf("%s/state", fixture->private);
	struct store_sqlite sqlite = { .path = (char *)path_of(fixture) };

	assert_int_equal(mkdir(directory, 0700), 0);
	assert_int_equal(sqlite3_open(path_of(fixture), &sqlite.db), SQLITE_OK);
	sql(sqlite.db, "PRAGMA journal_mode = WAL");
	assert_true(store_sqlite_migrate(&sqlite, store_sqlite_migrations, 1, NULL));
	sql(sqlite.db, first_version);
	assert_int_equal(number(sqlite.db, "PRAGMA user_version"), 1);
	sqlite3_close(sqlite.db);
	free(directory);
}

/* What was not published yet is told through the outbox, and what was is not told again. */
static void want_told_faults(struct store_fixture *fixture, struct store *store)
{
	const struct store_delivery again = { .sink = "errors", .event = "error", .payload = "{}" };
	sqlite3 *db = inside(store)->db;
	struct heard heard = { 0 };

	store_say(store, NULL, &again, 1, "told", heard_done, &heard);
	hear(fixture, &heard);
	assert_int_equal(number(db, "SELECT count(*) FROM faults"), 0);
	heard = (struct heard){ 0 };
	store_claim_deliveries(store, 9, heard_deliveries, &heard);
	hear(fixture, &heard);
	assert_string_equal(heard.told,
		"error:{\"time\":\"1970-01-01T00:00:01.000Z\",\"kind\":\"malformed\",\"error\":\"one\",\"queue\":\"q\",\"body\":\"{\"}");
	assert_int_equal(number(db, "SELECT count(*) FROM outbox WHERE sink = 'errors' AND event = 'error'"), 2);
}

static void jobs_of_the_first_version_go_on(void **state)
{
	struct store_fixture *fixture = *state;
	struct store *store;
	struct heard heard;
	uint64_t counts[JOB_STATES];
	struct job *new = make_job("7", LOCK_QUEUE);

	make_first_version(fixture);
	want_open_error(fixture, false, ERROR_TEMPORARY, "has schema 1 and has not been brought to");
	store = fixture_open(fixture, "new");
	assert_int_equal(number(inside(store)->db, "PRAGMA user_version"), store_sqlite_version);
	assert_int_equal(number(inside(store)->db, "SELECT rank FROM jobs WHERE id = '2'"), 2);
	assert_int_equal(number(inside(store)->db, "SELECT rank FROM jobs WHERE id = '3'"), 3 + 5000);
	assert_int_equal(number(inside(store)->db, "SELECT rank FROM jobs WHERE id = '4'"), 4 - 4000);
	want_told_faults(fixture, store);
	want_adopt(fixture, store, 10, &heard);
	assert_string_equal(heard_ids(&heard), "1 2 3 4 5");
	assert_int_equal(heard.jobs[0]->failures, 2);
	assert_int_equal(heard.jobs[1]->failures, 0);
	assert_int_equal(heard.jobs[4]->failures, 2);
	assert_string_equal(heard.jobs[0]->attempt.handle, "arn:task/1");
	want_admit(fixture, store, new);
	assert_int_equal(new->seq, 7);
	want_finish(fixture, store, heard.jobs[0], JOB_SUCCEEDED, "4@new");
	want_finish(fixture, store, heard.jobs[3], JOB_CANCELLED, "2@new");
	want_finish(fixture, store, heard.jobs[1], JOB_CANCELLED, "7@new");
	want_finish(fixture, store, new, JOB_CANCELLED, "3@new");
	want_asked(fixture, store, store_retry_finished, "6", STORE_ASKED_DONE, "6@-", "");
	read_counts(store, counts);
	assert_int_equal(counts[JOB_FAILED], 0);
	assert_int_equal(counts[JOB_CANCELLED], 3);
	heard_finish(&heard);
	job_destroy(new);
	store_close(store);
}

/* Workers of the version before admit as they always did until they have drained. */
static void job_of_an_older_worker_has_its_place(void **state)
{
	struct store_fixture *fixture = *state;
	struct job *jobs[] = { make_job("1", LOCK_QUEUE), make_job("2", LOCK_QUEUE) };

	want_admit(fixture, fixture->a, jobs[0]);
	want_admit(fixture, fixture->a, jobs[1]);
	obey_triggers(fixture->b);
	sql(inside(fixture->b)->db, "INSERT INTO jobs (id, project, deployer, queue, lock_key, policy, priority,"
		" not_before_ms, state, wait, open, live, exit_code, accepted_ms, finished_ms, hidden_until_ms, received_ms,"
		" deliveries, settled, owner, fence, lock_grant) VALUES ('old', 'p', 'd', 'q', 'p', 'queue', 5, 0, 'waiting', 3,"
		" 1, 1, -1, 1, 0, 0, 0, 1, 0, 'b', 1, 0)");
	want_finish(fixture, fixture->a, jobs[0], JOB_CANCELLED, "2@a");
	want_finish(fixture, fixture->a, jobs[1], JOB_CANCELLED, "old@b");
	for (size_t i = 0; i < 2; i++)
		job_destroy(jobs[i]);
}

static void want_count(struct store_fixture *fixture, enum job_state state, int64_t jobs)
{
	char *query = xasprintf("SELECT coalesce((SELECT jobs FROM counts WHERE state = '%s'), 0)", job_state_name(state));
	uint64_t counts[JOB_STATES];

	read_counts(fixture->a, counts);
	assert_int_equal(counts[state], jobs);
	/* As the version before reads them. */
	assert_int_equal(number(inside(fixture->b)->db, query), jobs);
	free(query);
}

/* It moves, ends, inserts, takes up again and forgets by the statements that it had. */
static void jobs_that_an_older_worker_moves_are_counted(void **state)
{
	struct store_fixture *fixture = *state;
	sqlite3 *db = inside(fixture->b)->db;
	struct job *job = make_job("1", LOCK_PARALLEL);

	obey_triggers(fixture->b);
	want_admit(fixture, fixture->a, job);
	want_count(fixture, JOB_QUEUED, 1);
	sql(db, "UPDATE jobs SET state = 'running', wait = 0, news = 0 WHERE id = '1'");
	want_count(fixture, JOB_QUEUED, 0);
	want_count(fixture, JOB_RUNNING, 1);
	sql(db, "UPDATE jobs SET state = 'failed', open = 0, live = 1 WHERE id = '1'");
	want_count(fixture, JOB_RUNNING, 0);
	want_count(fixture, JOB_FAILED, 1);
	sql(db, "INSERT INTO jobs (id, project, deployer, queue, lock_key, policy, priority, not_before_ms, state, wait, open,"
		" live, exit_code, accepted_ms, finished_ms, hidden_until_ms, received_ms, deliveries, settled, fence, lock_grant)"
		" VALUES ('old', 'p', 'd', 'q', 'p', 'reject', 5, 0, 'failed', 0, 0, 0, -1, 1, 1, 0, 0, 1, 1, 1, 0)");
	want_count(fixture, JOB_FAILED, 2);
	sql(db, "UPDATE jobs SET seq = 9, state = 'queued', open = 1, live = 1 WHERE id = '1'");
	want_count(fixture, JOB_FAILED, 1);
	want_count(fixture, JOB_QUEUED, 1);
	sql(db, "DELETE FROM jobs WHERE id = 'old'");
	want_count(fixture, JOB_FAILED, 0);
	job_destroy(job);
}

/* A worker that was there before it counts itself until then, and leaves it to the triggers afterwards. */
static void newer_schema_has_its_triggers_obeyed(void **state)
{
	struct store_fixture *fixture = *state;
	sqlite3 *db = inside(fixture->b)->db;
	struct job *jobs[] = { make_job("1", LOCK_PARALLEL), make_job("2", LOCK_PARALLEL) };
	char *newer = xasprintf("PRAGMA user_version = %d", store_sqlite_version + 1);

	for (size_t i = 0; i < 2; i++)
		want_admit(fixture, fixture->a, jobs[i]);
	sql(db, "CREATE TABLE seen (id TEXT)");
	sql(db, "CREATE TRIGGER newer AFTER UPDATE OF open ON jobs BEGIN INSERT INTO seen VALUES (NEW.id); END");
	want_finish(fixture, fixture->a, jobs[0], JOB_CANCELLED, "");
	want_count(fixture, JOB_CANCELLED, 1);
	assert_int_equal(number(db, "SELECT count(*) FROM seen"), 0);
	sql(db, newer);
	want_finish(fixture, fixture->a, jobs[1], JOB_CANCELLED, "");
	want_count(fixture, JOB_CANCELLED, 2);
	assert_int_equal(number(db, "SELECT id = '2' FROM seen"), 1);
	jobs[1]->message.settled = true;
	want_note(fixture, fixture->a, jobs[1], ERROR_NONE);
	want_asked(fixture, fixture->a, store_retry_finished, "2", STORE_ASKED_DONE, "2@-", "");
	want_count(fixture, JOB_CANCELLED, 1);
	free(newer);
	for (size_t i = 0; i < 2; i++)
		job_destroy(jobs[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(migrations_run_once_each_and_in_order),
		cmocka_unit_test(failed_migration_leaves_the_version_before_it),
		WITH_PLACE(jobs_of_the_first_version_go_on),
		WITH_STORE(job_of_an_older_worker_has_its_place),
		WITH_STORE(jobs_that_an_older_worker_moves_are_counted),
		WITH_STORE(newer_schema_has_its_triggers_obeyed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
