/* SPDX-License-Identifier: Apache-2.0 */
/* test_store_sync.c - what the SQLite store has completed is on the disk, and nobody stands still for the disk. */
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "../cmocka_all.h"
#include "base/clock.h"
#include "base/mem.h"
#include "sqlite_inside.h"

/* -- the disk ------------------------------------------------------------------------------------ */

enum { PATIENCE_S = 120 };
enum file { DATABASE, LOG, FILES };

static struct {
	atomic_int begun[FILES];        /* syncs, also those that fail */
	atomic_bool closed[FILES];      /* a sync that begins waits for the gate */
	sem_t gate;
	atomic_int failing;             /* so many syncs of the log fail, from the next on */
	atomic_bool read_only;          /* the log cannot be written over from its front */
	atomic_llong rewritten;         /* bytes of the log, without a gap from its front */
} disk;

static enum file file_of(int fd)
{
	char link[64], path[PATH_MAX];
	ssize_t length;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	length = readlink(link, path, sizeof(path) - 1);
	return length > 4 && strncmp(path + length - 4, "-wal", 4) == 0 ? LOG : DATABASE;
}

/* Whoever is to open it may be the one that waits here. */
static void wait_at_gate(void)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += PATIENCE_S;
	if (sem_timedwait(&disk.gate, &until) != 0)
		abort();
}

/* Stand for libc's, here and in SQLite. */
int fdatasync(int fd)
{
	enum file file = file_of(fd);

	atomic_fetch_add(&disk.begun[file], 1);
	if (atomic_load(&disk.closed[file]))
		wait_at_gate();
	if (file == LOG && atomic_load(&disk.failing) > 0) {
		atomic_fetch_sub(&disk.failing, 1);
		errno = EIO;
		return -1;
	}
	return (int)syscall(SYS_fdatasync, fd);
}

ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t at)
{
	if (file_of(fd) == LOG && at == atomic_load(&disk.rewritten)) {
		if (atomic_load(&disk.read_only)) {
			errno = EIO;
			return -1;
		}
		atomic_fetch_add(&disk.rewritten, (long long)count);
	}
	return syscall(SYS_pwrite64, fd, bytes, count, at);
}

static int disk_setup(void **state)
{
	memset(&disk, 0, sizeof(disk));
	sem_init(&disk.gate, 0, 0);
	return fixture_setup(state);
}

static int disk_teardown(void **state)
{
	int failed;

	for (enum file file = 0; file < FILES; file++)
		disk.closed[file] = false;
	sem_post(&disk.gate);
	failed = fixture_teardown(state);
	sem_destroy(&disk.gate);
	return failed;
}

#define WITH_DISK(test) cmocka_unit_test_prestate_setup_teardown(test, disk_setup, disk_teardown, \
	(void *)&store_adapter_sqlite)

/* -- the loop ------------------------------------------------------------------------------------ */

static void wait_for_sync(struct store_fixture *fixture, enum file file, int begun)
{
	double since_s = clock_monotonic_s();

	while (atomic_load(&disk.begun[file]) < begun) {
		assert_true(clock_monotonic_s() - since_s < PATIENCE_S);
		ev_run(fixture->loop, EVRUN_NOWAIT);
	}
}

static void turn(struct store_fixture *fixture)
{
	for (int i = 0; i < 10; i++)
		ev_run(fixture->loop, EVRUN_NOWAIT);
}

static int syncs(enum file file)
{
	return atomic_load(&disk.begun[file]);
}

static uint64_t commits(struct store *store)
{
	struct store_figures figures;

	store_figures(store, &figures);
	return figures.commits;
}

/* A renewal within the same millisecond as the one before would write nothing. */
static void write_to(struct store *store, struct heard *heard)
{
	const struct store_delivery said = { .sink = "s", .event = "e", .payload = "{}", .next_try_ms = -1 };

	store_say(store, NULL, &said, 1, NULL, heard_done, heard);
}

static void want_write(struct store_fixture *fixture, struct store *store, enum error_kind kind)
{
	struct heard heard = { 0 };

	write_to(store, &heard);
	hear(fixture, &heard);
	assert_int_equal(heard.err.kind, kind);
}

/* A store that was used already, so that the log has its head. */
static void settle(struct store_fixture *fixture)
{
	want_renew(fixture, fixture->a, ERROR_NONE);
	want_renew(fixture, fixture->b, ERROR_NONE);
	want_renew(fixture, fixture->a, ERROR_NONE);
}

/* -- completions --------------------------------------------------------------------------------- */

static void completes_when_the_log_is_synced_and_holds_no_lock_meanwhile(void **state)
{
	struct store_fixture *fixture = *state;
	struct heard heard = { 0 };
	int before;

	settle(fixture);
	before = syncs(LOG);
	disk.closed[LOG] = true;
	write_to(fixture->a, &heard);
	wait_for_sync(fixture, LOG, before + 1);
	turn(fixture);
	assert_false(heard.done);
	/* It was committed, and another may write. */
	assert_int_equal(sqlite3_exec(inside(fixture->b)->db, "BEGIN IMMEDIATE; COMMIT", NULL, NULL, NULL), SQLITE_OK);
	turn(fixture);
	assert_false(heard.done);
	disk.closed[LOG] = false;
	sem_post(&disk.gate);
	hear(fixture, &heard);
	assert_int_equal(heard.err.kind, ERROR_NONE);
	assert_int_equal(syncs(LOG), before + 1);
}

static void what_is_asked_during_a_sync_is_one_commit(void **state)
{
	struct store_fixture *fixture = *state;
	struct heard heard[4] = { 0 };
	uint64_t had;
	int before;

	settle(fixture);
	before = syncs(LOG);
	had = commits(fixture->a);
	disk.closed[LOG] = true;
	write_to(fixture->a, &heard[0]);
	wait_for_sync(fixture, LOG, before + 1);
	for (int i = 1; i < 4; i++) {
		write_to(fixture->a, &heard[i]);
		turn(fixture);
	}
	/* What only reads waits for no disk. */
	assert_null(read_job(fixture->a, "1"));
	assert_int_equal(commits(fixture->a), had + 1);
	disk.closed[LOG] = false;
	sem_post(&disk.gate);
	hear(fixture, &heard[3]);
	for (int i = 0; i < 4; i++) {
		assert_true(heard[i].done);
		assert_int_equal(heard[i].err.kind, ERROR_NONE);
	}
	assert_int_equal(commits(fixture->a), had + 2);
	assert_int_equal(syncs(LOG), before + 2);
}

/* A bucket is not worth a wait for the disk; what comes after it takes it along. */
static void only_rates_are_not_waited_for(void **state)
{
	struct store_fixture *fixture = *state;
	const struct store_rate_ask ask = { .bucket = "b", .initial_per_s = 1, .max_per_s = 1, .burst = 1, .want = 1 };
	struct heard heard[2] = { 0 };
	int before;

	settle(fixture);
	before = syncs(LOG);
	store_take_rate(fixture->a, &ask, heard_rate, &heard[0]);
	hear(fixture, &heard[0]);
	assert_int_equal(syncs(LOG), before);
	heard[0] = (struct heard){ 0 };
	store_claim_deliveries(fixture->a, 1, heard_deliveries, &heard[0]);
	hear(fixture, &heard[0]);
	assert_int_equal(syncs(LOG), before + 1);
	heard[0] = (struct heard){ 0 };
	store_take_rate(fixture->a, &ask, heard_rate, &heard[0]);
	write_to(fixture->a, &heard[1]);
	hear(fixture, &heard[1]);
	assert_int_equal(syncs(LOG), before + 2);
}

/* Another may not have made durable yet what we have seen of it, and now act on. */
static void who_acts_on_a_commit_of_another_makes_it_durable(void **state)
{
	struct store_fixture *fixture = *state;
	struct heard heard = { 0 };
	sqlite3 *other;
	int before;

	settle(fixture);
	before = syncs(LOG);
	store_claim_deliveries(fixture->a, 1, heard_deliveries, &heard);
	hear(fixture, &heard);
	assert_int_equal(syncs(LOG), before);
	assert_int_equal(sqlite3_open(path_of(fixture), &other), SQLITE_OK);
	sql(other, "PRAGMA synchronous = OFF; UPDATE clock SET offset_ms = offset_ms + 1");
	/* Read of it, which is not to hide it from what follows. */
	assert_null(read_job(fixture->a, "1"));
	heard = (struct heard){ 0 };
	store_claim_deliveries(fixture->a, 1, heard_deliveries, &heard);
	hear(fixture, &heard);
	assert_int_equal(syncs(LOG), before + 1);
	heard = (struct heard){ 0 };
	store_claim_deliveries(fixture->a, 1, heard_deliveries, &heard);
	hear(fixture, &heard);
	assert_int_equal(syncs(LOG), before + 1);
	sqlite3_close(other);
}

static void checkpoint_holds_up_nobody(void **state)
{
	struct store_fixture *fixture = *state;
	int before = syncs(DATABASE);

	disk.closed[DATABASE] = true;
	for (unsigned i = 0; !store_sqlite_checkpoint_due(inside(fixture->a)); i++) {
		struct job *job = make_large_job(i, 900000);

		want_admit(fixture, fixture->a, job);
		job_destroy(job);
	}
	while (syncs(DATABASE) == before) {
		ev_ref(fixture->loop);
		ev_run(fixture->loop, EVRUN_NOWAIT);
		ev_unref(fixture->loop);
	}
	assert_true(store_sqlite_checkpoint_due(inside(fixture->a)));
	want_write(fixture, fixture->a, ERROR_NONE);
	want_write(fixture, fixture->b, ERROR_NONE);
	assert_true(store_sqlite_checkpoint_due(inside(fixture->a)));
	/* The gate opens when the stores are about to be closed, with it under way, or just done. */
}

/* -- a sync that fails --------------------------------------------------------------------------- */

static int64_t log_bytes(struct store_fixture *fixture)
{
	return lseek(inside(fixture->a)->sync.log_fd, 0, SEEK_END);
}

static void log_is_written_again_after_a_sync_that_failed(void **state)
{
	struct store_fixture *fixture = *state;
	struct job *job = make_job("1", LOCK_PARALLEL);
	struct store_admission admission = { .job = job };
	struct heard heard = { 0 };
	int64_t length;
	sqlite3 *other;

	settle(fixture);
	disk.failing = 2;
	store_admit(fixture->a, &admission, 1, heard_done, &heard);
	hear(fixture, &heard);
	assert_int_equal(heard.err.kind, ERROR_TEMPORARY);
	assert_non_null(strstr(heard.err.text, "could not be made durable: Input/output error"));
	assert_null(job->owner);
	/* And another time. */
	want_write(fixture, fixture->a, ERROR_TEMPORARY);
	/* The kernel says that all is well, as there is nothing left that it could not write. */
	disk.rewritten = 0;
	disk.read_only = true;
	want_write(fixture, fixture->a, ERROR_TEMPORARY);
	disk.read_only = false;
	disk.rewritten = 0;
	length = log_bytes(fixture);
	want_write(fixture, fixture->a, ERROR_NONE);
	assert_true(disk.rewritten >= length);
	/* Once is enough. */
	disk.rewritten = 0;
	want_write(fixture, fixture->a, ERROR_NONE);
	assert_int_equal(disk.rewritten, 0);
	/* It was committed all the same. */
	assert_int_equal(want_admit(fixture, fixture->a, job), STORE_ADMITTED_OURS);
	assert_int_equal(sqlite3_open(path_of(fixture), &other), SQLITE_OK);
	assert_int_equal(number(other, "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check = 'ok'"), 1);
	sqlite3_close(other);
	job_destroy(job);
}

/* -- closing ------------------------------------------------------------------------------------- */

static void *open_gate(void *arg)
{
	sem_post(arg);
	return NULL;
}

static void close_during_a_sync(struct store_fixture *fixture, enum error_kind kind)
{
	struct heard heard[2] = { 0 };
	struct store *store = fixture_open(fixture, "c");
	pthread_t thread;
	int before;

	settle(fixture);
	want_write(fixture, store, ERROR_NONE);
	before = syncs(LOG);
	disk.closed[LOG] = true;
	disk.failing = kind != ERROR_NONE;
	write_to(store, &heard[0]);
	wait_for_sync(fixture, LOG, before + 1);
	write_to(store, &heard[1]);
	turn(fixture);
	assert_false(heard[0].done || heard[1].done);
	disk.closed[LOG] = false;
	assert_int_equal(pthread_create(&thread, NULL, open_gate, &disk.gate), 0);
	store_close(store);
	pthread_join(thread, NULL);
	assert_true(heard[0].done && heard[1].done);
	assert_int_equal(heard[0].err.kind, kind);
	assert_int_equal(heard[1].err.kind, ERROR_TEMPORARY);
}

static void closed_store_tells_what_became_of_the_sync(void **state)
{
	close_during_a_sync(*state, ERROR_NONE);
	close_during_a_sync(*state, ERROR_TEMPORARY);
}

struct asks_back {
	struct store *store;
	bool admitted, read;
	enum error_kind kind;
};

static void on_read(void *arg, const struct job *job, const struct error *err)
{
	struct asks_back *asks = arg;

	assert_null(job);
	asks->read = true;
	asks->kind = err != NULL ? err->kind : ERROR_NONE;
}

static void ask_back(void *arg, const struct error *err)
{
	struct asks_back *asks = arg;

	assert_null(err);
	asks->admitted = true;
	store_find(asks->store, "1", on_read, asks);
}

static void completion_of_a_closing_store_may_ask_for_more(void **state)
{
	struct store_fixture *fixture = *state;
	struct asks_back asks = { .store = fixture_open(fixture, "c") };
	int before;

	settle(fixture);
	before = syncs(LOG);
	disk.closed[LOG] = true;
	store_renew(asks.store, ask_back, &asks);
	wait_for_sync(fixture, LOG, before + 1);
	assert_false(asks.admitted);
	disk.closed[LOG] = false;
	sem_post(&disk.gate);
	store_close(asks.store);
	assert_true(asks.admitted && asks.read);
	assert_int_equal(asks.kind, ERROR_TEMPORARY);
	turn(fixture);
}

/* -- a loop that was held up ----------------------------------------------------------------------- */

struct first {
	ev_timer timer;
	struct store_sqlite *sqlite;
	bool due;
};

static void on_first(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct first *first = container_of(timer, struct first, timer);

	(void)loop;
	(void)revents;
	first->due = store_sqlite_checkpoint_due(first->sqlite);
}

/* Else a commit that is made in between would begin another beside it. */
static void checkpoint_is_due_from_its_time_to_its_turn(void **state)
{
	struct store_fixture *fixture = *state;
	struct first first = { .sqlite = inside(fixture->a) };

	settle(fixture);
	ev_now_update(fixture->loop);
	store_sqlite_checkpoint_note(first.sqlite, 100000);
	ev_timer_init(&first.timer, on_first, 0.01, 0.);
	ev_set_priority(&first.timer, EV_MAXPRI);
	ev_timer_start(fixture->loop, &first.timer);
	/* Both times pass while nobody looks. */
	ev_sleep(0.1);
	ev_run(fixture->loop, EVRUN_ONCE);
	assert_true(first.due);
	while (store_sqlite_checkpoint_due(first.sqlite))
		ev_run(fixture->loop, EVRUN_NOWAIT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_DISK(completes_when_the_log_is_synced_and_holds_no_lock_meanwhile),
		WITH_DISK(what_is_asked_during_a_sync_is_one_commit),
		WITH_DISK(only_rates_are_not_waited_for),
		WITH_DISK(who_acts_on_a_commit_of_another_makes_it_durable),
		WITH_DISK(checkpoint_holds_up_nobody),
		WITH_DISK(log_is_written_again_after_a_sync_that_failed),
		WITH_DISK(closed_store_tells_what_became_of_the_sync),
		WITH_DISK(completion_of_a_closing_store_may_ask_for_more),
		WITH_DISK(checkpoint_is_due_from_its_time_to_its_turn),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
