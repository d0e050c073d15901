/* SPDX-License-Identifier: Apache-2.0 */
/* store_sqlite_commit.c - the calls of one turn of the loop become one durable commit.
 *
 * BEGIN IMMEDIATE takes the write lock before anything is read, so a call's checks and its writes see
 * the same rows.  When another process holds the lock the batch waits on a timer and grows meanwhile:
 * sleeping here would stall every message and watch of this worker.
 *
 * A commit costs one fsync of the log.  Copying the log back into the database costs two more, so it is
 * not left to whichever commit passes the mark (wal_autocheckpoint) but done from a timer between them. */
#include "base/clock.h"
#include "base/random.h"
#include "store/store_rules.h"
#include "store/store_sqlite.h"

enum {
	CHECKPOINT_PAGES = 1000,        /* length of the log that makes a checkpoint worth its fsyncs */
	BUSY_FIRST_MS = 1,              /* doubled at each of the first tries */
	BUSY_DOUBLINGS = 5,
	BUSY_MAX_MS = 40,
	BUSY_GIVE_UP_S = 30,
};

static void fail_all(struct list *calls, const struct error *why)
{
	struct store_call *call;

	list_each(call, calls, link)
		store_call_fail(call, why->kind, why->text);
}

static bool run_calls(struct store_sqlite *sqlite, struct list *calls, struct error *err)
{
	struct store_call *call;

	list_each(call, calls, link) {
		if (!store_rules_run(&sqlite->store, &sqlite->rows, call, err))
			return false;
	}
	return true;
}

/* Some failures end the transaction by themselves. */
static void roll_back(struct store_sqlite *sqlite)
{
	if (!sqlite3_get_autocommit(sqlite->db))
		sql_run_values(sqlite, SQL_ROLLBACK, NULL, NULL, 0);
}

static bool commit_calls(struct store_sqlite *sqlite, struct list *calls, struct error *err)
{
	struct store_call *call;

	if (run_calls(sqlite, calls, err) && sql_run_values(sqlite, SQL_COMMIT, err, NULL, 0)) {
		sqlite->store.figures.commits++;
		list_each(call, calls, link)
			store_committed(&sqlite->store, call);
		return true;
	}
	roll_back(sqlite);
	return false;
}

/* Puts the batch off; false when it has been put off for too long. */
static bool wait_for_lock(struct store_sqlite *sqlite, struct list *calls, struct error *err)
{
	double now_s = clock_monotonic_s();
	double delay_ms = sqlite->busy_tries < BUSY_DOUBLINGS ? BUSY_FIRST_MS << sqlite->busy_tries : BUSY_MAX_MS;

	if (sqlite->busy_tries++ == 0) {
		sqlite->busy_since_s = now_s;
		sqlite->store.figures.busy++;
	}
	if (now_s - sqlite->busy_since_s > BUSY_GIVE_UP_S) {
		error_set(err, ERROR_TEMPORARY, "store: %s has been locked by another process for %d s", sqlite->path,
			BUSY_GIVE_UP_S);
		sqlite->busy_tries = 0;
		return false;
	}
	store_batch_put_back(&sqlite->batch, calls, delay_ms / 1000 * (0.5 + random_unit()));
	return true;
}

static void run_batch(struct store_batch *batch)
{
	struct store_sqlite *sqlite = container_of(batch, struct store_sqlite, batch);
	double began_s = clock_monotonic_s();
	struct error err = { 0 };
	struct list calls;
	bool ok;

	list_init(&calls);
	store_batch_take(batch, &calls);
	ok = sql_run_values(sqlite, SQL_BEGIN, &err, NULL, 0);
	if (!ok && (sqlite3_errcode(sqlite->db) & 0xff) == SQLITE_BUSY) {
		if (wait_for_lock(sqlite, &calls, &err))
			return;
	} else {
		sqlite->busy_tries = 0;
		ok = ok && commit_calls(sqlite, &calls, &err);
	}
	if (!ok)
		fail_all(&calls, &err);
	store_note_stall(&sqlite->store, clock_monotonic_s() - began_s);
	store_batch_complete(batch, &calls);
}

static void on_checkpoint(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct store_sqlite *sqlite = container_of(timer, struct store_sqlite, checkpoint);
	double began_s = clock_monotonic_s();
	int code;

	(void)revents;
	ev_ref(loop);
	code = sqlite3_wal_checkpoint_v2(sqlite->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
	store_note_stall(&sqlite->store, clock_monotonic_s() - began_s);
	/* Busy: another process is at it.  The next commit asks again. */
	if (code != SQLITE_OK && (code & 0xff) != SQLITE_BUSY)
		log_warn(&sqlite->store.log, "%s: cannot shorten the log, which goes on growing: %s; tried again after "
			"the next commit", sqlite->path, sqlite3_errmsg(sqlite->db));
}

/* Every process sees the same long log; the jitter lets the first of them do it for all. */
static int on_logged(void *arg, sqlite3 *db, const char *name, int pages)
{
	struct store_sqlite *sqlite = arg;

	(void)db;
	(void)name;
	if (pages < CHECKPOINT_PAGES || ev_is_active(&sqlite->checkpoint))
		return SQLITE_OK;
	ev_timer_set(&sqlite->checkpoint, 0.01 + 0.04 * random_unit(), 0);
	ev_timer_start(sqlite->store.loop, &sqlite->checkpoint);
	/* A loop that has nothing else left to do need not stay for it. */
	ev_unref(sqlite->store.loop);
	return SQLITE_OK;
}

void store_sqlite_commit_init(struct store_sqlite *sqlite)
{
	store_batch_init(&sqlite->batch, sqlite->store.loop, run_batch);
	ev_init(&sqlite->checkpoint, on_checkpoint);
}

void store_sqlite_commit_watch(struct store_sqlite *sqlite)
{
	if (sqlite->store.loop != NULL)
		sqlite3_wal_hook(sqlite->db, on_logged, sqlite);
}

void store_sqlite_commit_finish(struct store_sqlite *sqlite)
{
	store_batch_finish(&sqlite->batch);
	if (ev_is_active(&sqlite->checkpoint)) {
		ev_ref(sqlite->store.loop);
		ev_timer_stop(sqlite->store.loop, &sqlite->checkpoint);
	}
}
