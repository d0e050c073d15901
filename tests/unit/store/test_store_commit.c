/* SPDX-License-Identifier: Apache-2.0 */
/* test_store_commit.c - commits of the SQLite store: shared, waited for, failing; and its log. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../cmocka_all.h"
#include "base/mem.h"
#include "sqlite_inside.h"

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

/* -- a crowd of calls ---------------------------------------------------------------------------- */

struct crowd {
	struct store_sqlite *sqlite;
	unsigned waiting;               /* calls */
	bool put_off;                   /* the next commit was, when the first of them completed */
};

static void crowd_done(void *arg, const struct error *err)
{
	struct crowd *crowd = arg;

	assert_null(err);
	if (ev_is_active(&crowd->sqlite->batch.later))
		crowd->put_off = true;
	crowd->waiting--;
}

/* Of as many calls as the last commit had nobody is waited for. */
static void crowd_that_is_there_is_not_waited_for(void **state)
{
	struct store_fixture *fixture = *state;
	struct store_batch *batch = &inside(fixture->a)->batch;
	struct crowd crowd = { .sqlite = inside(fixture->a), .waiting = 10 };

	store_batch_gather(batch, 3600, 10);
	for (unsigned i = 0; i < 9; i++)
		store_renew(fixture->a, crowd_done, &crowd);
	for (int turn = 0; turn < 5; turn++)
		ev_run(fixture->loop, EVRUN_NOWAIT);
	assert_int_equal(crowd.waiting, 10);
	store_renew(fixture->a, crowd_done, &crowd);
	while (crowd.waiting > 0)
		ev_run(fixture->loop, EVRUN_ONCE);
}

static bool crowd_puts_off(struct store_fixture *fixture, unsigned calls)
{
	struct crowd crowd = { .sqlite = inside(fixture->a), .waiting = calls };

	for (unsigned i = 0; i < calls; i++)
		store_renew(fixture->a, crowd_done, &crowd);
	while (crowd.waiting > 0)
		ev_run(fixture->loop, EVRUN_ONCE);
	return crowd.put_off;
}

/* A disk or machine that is slow just then has let the pause pass: tried again. */
static void many_calls_put_the_next_commit_off_and_few_do_not(void **state)
{
	struct store_fixture *fixture = *state;
	unsigned tries = 0;

	while (!crowd_puts_off(fixture, 100))
		assert_true(++tries < 1000);
	for (int i = 0; i < 20; i++)
		assert_false(crowd_puts_off(fixture, 15));
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
	assert_null(read_job(fixture->b, "1"));
	sql(db, "PRAGMA max_page_count = 1000000");
	assert_int_equal(want_admit(fixture, fixture->a, small), STORE_ADMITTED_NEW);
	assert_int_equal(want_admit(fixture, fixture->a, large), STORE_ADMITTED_NEW);
	job_destroy(large);
	job_destroy(small);
}

/* Whatever it is that the rows do not take of a call; here a trigger refuses the job "bad". */
static void call_that_fails_fails_alone(void **state)
{
	struct store_fixture *fixture = *state;
	const struct store_delivery said = { .sink = "s", .event = "e", .job_id = "bad", .payload = "{}" };
	const struct store_delivery good = { .sink = "s", .event = "good", .job_id = "1", .payload = "{}" };
	struct store_admission admissions[3] = {
		{ .job = make_job("1", LOCK_QUEUE) }, { .job = make_job("bad", LOCK_QUEUE) }, { .job = make_job("2", LOCK_QUEUE) },
	};
	static const enum error_kind want[5] = { [2] = ERROR_TEMPORARY, [3] = ERROR_TEMPORARY };
	struct store_figures before, after;
	struct heard heard[5] = { 0 };
	char kept[64];

	obey_triggers(fixture->a);
	sql(inside(fixture->b)->db, "CREATE TRIGGER bad BEFORE INSERT ON jobs WHEN NEW.id = 'bad' BEGIN"
		" SELECT RAISE(ABORT, 'bad'); END");
	store_figures(fixture->a, &before);
	store_say(fixture->a, NULL, &good, 1, NULL, heard_done, &heard[0]);
	store_admit(fixture->a, &admissions[0], 1, heard_done, &heard[1]);
	store_say(fixture->a, NULL, &said, 1, NULL, heard_done, &heard[2]);
	store_admit(fixture->a, &admissions[1], 1, heard_done, &heard[3]);
	store_admit(fixture->a, &admissions[2], 1, heard_done, &heard[4]);
	hear(fixture, &heard[4]);
	for (int i = 0; i < 5; i++) {
		assert_true(heard[i].done);
		assert_int_equal(heard[i].err.kind, want[i]);
	}
	assert_non_null(strstr(heard[3].err.text, "bad"));
	store_figures(fixture->a, &after);
	assert_int_equal(after.commits - before.commits, 1);
	assert_int_equal(after.writes - before.writes, 3);
	assert_int_equal(admissions[0].job->state, JOB_QUEUED);
	assert_int_equal(admissions[2].job->state, JOB_WAITING);
	assert_int_equal(admissions[2].job->seq, admissions[0].job->seq + 1);
	assert_null(admissions[1].job->owner);
	assert_null(read_job(fixture->b, "bad"));
	/* What was said before it is not said. */
	read_deliveries(fixture->b, &(struct store_delivery_filter){ .max = 9 }, kept, sizeof(kept));
	assert_string_equal(kept, "good:0:open ");
	/* Back to one for all. */
	heard[0] = (struct heard){ 0 };
	store_renew(fixture->a, heard_done, &heard[0]);
	hear(fixture, &heard[0]);
	assert_false(inside(fixture->a)->apart);
	for (int i = 0; i < 3; i++)
		job_destroy(admissions[i].job);
}

/* Said and moved in one commit, however many calls there are before. */
struct noted {
	struct store *store;
	struct heard heard;
	uint64_t commits;               /* made when it completed */
};

static void note_commits(void *arg, const struct error *err)
{
	struct noted *noted = arg;
	struct store_figures figures;

	store_figures(noted->store, &figures);
	noted->commits = figures.commits;
	heard_done(&noted->heard, err);
}

static void what_is_said_is_not_parted_from_its_move(void **state)
{
	struct store_fixture *fixture = *state;
	const struct store_delivery said = { .sink = "s", .event = "e", .job_id = "1", .payload = "{}" };
	struct heard *heard = xcalloc(LIMIT_BATCH_CALLS + 1, sizeof(*heard));
	struct store_admission admission = { .job = make_job("1", LOCK_QUEUE) };
	struct noted admitted = { .store = fixture->a };
	struct store_figures before;

	store_figures(fixture->a, &before);
	for (int i = 0; i < LIMIT_BATCH_CALLS - 1; i++)
		store_renew(fixture->a, heard_done, &heard[i]);
	store_say(fixture->a, NULL, &said, 1, NULL, heard_done, &heard[LIMIT_BATCH_CALLS - 1]);
	store_admit(fixture->a, &admission, 1, note_commits, &admitted);
	store_renew(fixture->a, heard_done, &heard[LIMIT_BATCH_CALLS]);
	hear(fixture, &admitted.heard);
	assert_false(heard[LIMIT_BATCH_CALLS].done);
	assert_int_equal(admitted.commits - before.commits, 1);
	hear(fixture, &heard[LIMIT_BATCH_CALLS]);
	job_destroy(admission.job);
	free(heard);
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
	assert_null(read_job(fixture->b, "1"));
	assert_int_equal(want_admit(fixture, fixture->a, job), STORE_ADMITTED_NEW);
	job_destroy(job);
}

static void wait_for_checkpoint(struct store_fixture *fixture)
{
	while (store_sqlite_checkpoint_due(inside(fixture->a))) {
		/* It does not hold the loop by itself. */
		ev_ref(fixture->loop);
		ev_run(fixture->loop, EVRUN_ONCE);
		ev_unref(fixture->loop);
	}
}

static void log_is_shortened_between_commits(void **state)
{
	struct store_fixture *fixture = *state;
	char *log = xasprintf("%s-wal", path_of(fixture));
	struct stat found;

	for (unsigned i = 0; i < 60; i++) {
		struct job *job = make_large_job(i, 500000);

		want_admit(fixture, fixture->a, job);
		wait_for_checkpoint(fixture);
		job_destroy(job);
	}
	assert_int_equal(stat(log, &found), 0);
	/* 30 MB were written; the log is at most a checkpoint's worth and one more body. */
	assert_in_range(found.st_size, 1, 8 << 20);
	free(log);
}

/* -- one who always writes while the log is copied -------------------------------------------------- */

static sqlite3 *intruder;
static unsigned intrusions;

/* Stands for libc's: SQLite calls it when it has copied the log into the database, and at each commit. */
int fdatasync(int fd)
{
	sqlite3 *db = intruder;

	intruder = NULL;
	if (db != NULL && sqlite3_exec(db, "UPDATE intruder SET x = x + 1", NULL, NULL, NULL) == SQLITE_OK)
		intrusions++;
	intruder = db;
	return (int)syscall(SYS_fdatasync, fd);
}

static void log_is_bounded_though_others_never_pause(void **state)
{
	struct store_fixture *fixture = *state;
	char *log = xasprintf("%s-wal", path_of(fixture));
	sqlite3 *other;
	struct stat found;

	assert_int_equal(sqlite3_open(path_of(fixture), &other), SQLITE_OK);
	sql(other, "PRAGMA wal_autocheckpoint = 0; PRAGMA synchronous = OFF; CREATE TABLE intruder (x);"
		" INSERT INTO intruder VALUES (0)");
	intruder = other;
	for (int i = 0; i < 50; i++) {
		char id[16];
		struct job *job;

		snprintf(id, sizeof(id), "%d", i);
		job = make_job(id, LOCK_PARALLEL);
		free(job->body);
		job->body = xasprintf("{\"x\":\"%0900000d\"}", 0);
		want_admit(fixture, fixture->a, job);
		wait_for_checkpoint(fixture);
		/* As if a second had gone by. */
		inside(fixture->a)->checkpoint.forced_s = -1000;
		job_destroy(job);
	}
	intruder = NULL;
	sqlite3_close(other);
	assert_true(intrusions > 20);
	assert_int_equal(stat(log, &found), 0);
	/* 45 MB were written. */
	assert_in_range(found.st_size, 1, 20 << 20);
	free(log);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_STORE(calls_of_a_turn_share_one_commit),
		WITH_STORE(many_calls_put_the_next_commit_off_and_few_do_not),
		WITH_STORE(crowd_that_is_there_is_not_waited_for),
		WITH_STORE(busy_store_is_waited_for_on_the_loop),
		WITH_STORE(full_database_fails_the_batch_and_nothing_of_it_stays),
		WITH_STORE(call_that_fails_fails_alone),
		WITH_STORE(what_is_said_is_not_parted_from_its_move),
		WITH_STORE(failed_write_of_the_log_fails_the_batch),
		WITH_STORE(log_is_shortened_between_commits),
		WITH_STORE(log_is_bounded_though_others_never_pause),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
