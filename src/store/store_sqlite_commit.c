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
	LONG_LOG_PAGES = 4000,          /* and this one makes it worth to keep the writers out */
	FORCE_WAIT_MS = 50,             /* how long the loop may stand still for them, and for readers */
	FORCE_PAUSE_S = 1,
	BUSY_FIRST_MS = 1,              /* doubled at each of the first tries */
	BUSY_DOUBLINGS = 2,
	BUSY_MAX_MS = 4,                /* about as long as a commit: who sleeps for longer lets the others' turns pass */
	BUSY_GIVE_UP_S = 30,
	BUSY_ASK_MS = 100,              /* who has waited so long asks the others to pause */
	GIVE_WAY_MS = 10,               /* the pause, in which whoever asks tries at least once */
};

/* -- the calls of a batch ------------------------------------------------------------------------ */

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

/* A call and what was said before it: they stand or fall together. */
static void take_unit(struct list *calls, struct list *unit)
{
	struct store_call *call;

	do {
		call = list_first(calls, struct store_call, link);
		list_remove(&call->link);
		list_append(unit, &call->link);
	} while (call->kind == CALL_SAY && !list_empty(calls));
}

/* A unit that fails is taken back alone.  False: the transaction is gone, or the disk is full, and then
 * whoever is lucky enough to be small must not go on before those that come first. */
static bool run_unit(struct store_sqlite *sqlite, struct list *unit, struct error *err)
{
	struct error why = { 0 };

	if (!sql_run_values(sqlite, SQL_SAVEPOINT, err, NULL, 0))
		return false;
	if (run_calls(sqlite, unit, &why))
		return sql_run_values(sqlite, SQL_RELEASE_SAVEPOINT, err, NULL, 0);
	if (sqlite->failure == SQLITE_FULL || sqlite3_get_autocommit(sqlite->db)) {
		*err = why;
		return false;
	}
	fail_all(unit, &why);
	return sql_run_values(sqlite, SQL_ROLLBACK_TO, err, NULL, 0) &&
		sql_run_values(sqlite, SQL_RELEASE_SAVEPOINT, err, NULL, 0);
}

static bool run_apart(struct store_sqlite *sqlite, struct list *calls, struct error *err)
{
	struct list done, unit;
	bool ok = true;

	list_init(&done);
	while (ok && !list_empty(calls)) {
		list_init(&unit);
		take_unit(calls, &unit);
		ok = run_unit(sqlite, &unit, err);
		list_splice(&done, &unit);
	}
	list_splice(&done, calls);
	list_splice(calls, &done);
	return ok;
}

static bool is_one_unit(const struct list *calls)
{
	struct store_call *call;

	list_each(call, calls, link) {
		if (call->kind != CALL_SAY)
			return call->link.next == calls;
	}
	return true;
}

/* Some failures end the transaction by themselves. */
static void roll_back(struct store_sqlite *sqlite)
{
	if (!sqlite3_get_autocommit(sqlite->db))
		sql_run_values(sqlite, SQL_ROLLBACK, NULL, NULL, 0);
}

static void note_committed(struct store_sqlite *sqlite, struct list *calls)
{
	struct store_call *call;

	sqlite->store.figures.commits++;
	list_each(call, calls, link) {
		if (!call->failed)
			store_committed(&sqlite->store, call);
	}
}

/* When a call fails in a batch of several, nothing is completed yet: again is set, and the batch is to be
 * run once more, each by itself. */
static bool commit_calls(struct store_sqlite *sqlite, struct list *calls, bool *again, struct error *err)
{
	bool apart = sqlite->apart;
	bool ok = apart ? run_apart(sqlite, calls, err) : run_calls(sqlite, calls, err);

	sqlite->apart = !ok && !apart && sqlite->failure != SQLITE_FULL && !is_one_unit(calls);
	*again = sqlite->apart;
	if (ok && sql_run_values(sqlite, SQL_COMMIT, err, NULL, 0)) {
		note_committed(sqlite, calls);
		return true;
	}
	roll_back(sqlite);
	return false;
}

static void start_over(struct store_sqlite *sqlite, struct list *calls)
{
	struct store_call *call;

	list_each(call, calls, link)
		store_call_reset(call);
	store_batch_put_back(&sqlite->batch, calls, 0);
}

static void have_turn(struct store_sqlite *sqlite)
{
	sqlite->busy_tries = 0;
	store_sqlite_fair_thank(sqlite);
}

/* The next commit of ours is put off; what is asked for meanwhile joins it. */
static void give_way(struct store_sqlite *sqlite)
{
	struct list none;

	list_init(&none);
	store_batch_put_back(&sqlite->batch, &none, GIVE_WAY_MS / 1000.0);
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
	if ((now_s - sqlite->busy_since_s) * 1000 > BUSY_ASK_MS)
		store_sqlite_fair_ask(sqlite);
	if (now_s - sqlite->busy_since_s > BUSY_GIVE_UP_S) {
		error_set(err, ERROR_TEMPORARY, "store: %s has been locked by another process for %d s", sqlite->path,
			BUSY_GIVE_UP_S);
		have_turn(sqlite);
		return false;
	}
	store_batch_put_back(&sqlite->batch, calls, delay_ms / 1000 * (0.5 + random_unit()));
	return true;
}

/* A commit of nothing but rates need not be on the disk; the next one that must be takes it along. */
static bool set_durable(struct store_sqlite *sqlite, const struct list *calls, struct error *err)
{
	const struct store_call *call;
	bool fast = true;

	list_each(call, calls, link)
		fast = fast && call->kind == CALL_TAKE_RATE;
	if (fast == sqlite->fast)
		return true;
	if (sqlite3_exec(sqlite->db, fast ? "PRAGMA synchronous = NORMAL" : "PRAGMA synchronous = FULL", NULL, NULL,
		NULL) != SQLITE_OK) {
		store_sqlite_error(sqlite, err, "cannot set up");
		return false;
	}
	sqlite->fast = fast;
	return true;
}

static void run_batch(struct store_batch *batch)
{
	struct store_sqlite *sqlite = container_of(batch, struct store_sqlite, batch);
	double began_s = clock_monotonic_s();
	struct error err = { 0 };
	bool again = false;
	struct list calls;
	bool ok;

	list_init(&calls);
	store_batch_take(batch, &calls);
	if (list_empty(&calls))
		return;
	ok = set_durable(sqlite, &calls, &err) && sql_run_values(sqlite, SQL_BEGIN, &err, NULL, 0);
	if (!ok && sqlite->failure == SQLITE_BUSY) {
		if (wait_for_lock(sqlite, &calls, &err))
			return;
	} else {
		have_turn(sqlite);
		ok = ok && commit_calls(sqlite, &calls, &again, &err);
	}
	store_note_stall(&sqlite->store, clock_monotonic_s() - began_s);
	if (again) {
		start_over(sqlite, &calls);
		return;
	}
	if (!ok)
		fail_all(&calls, &err);
	if (store_sqlite_fair_asked(sqlite))
		give_way(sqlite);
	store_batch_complete(batch, &calls);
}

/* -- the log ------------------------------------------------------------------------------------- */

/* Where others never pause, something is always written while the log is being copied, so that it is never
 * copied as a whole, never starts over, and grows without end.  So the last of it is copied with the
 * writers kept out.  We wait for our turn here, with the loop standing still: for so long only, and seldom. */
static int force_log(struct store_sqlite *sqlite)
{
	double now_s = clock_monotonic_s();
	int code;

	if (now_s - sqlite->forced_s < FORCE_PAUSE_S)
		return SQLITE_OK;
	sqlite->forced_s = now_s;
	sqlite3_busy_timeout(sqlite->db, FORCE_WAIT_MS);
	code = sqlite3_wal_checkpoint_v2(sqlite->db, NULL, SQLITE_CHECKPOINT_RESTART, NULL, NULL);
	sqlite3_busy_timeout(sqlite->db, 0);
	return code;
}

static void on_checkpoint(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct store_sqlite *sqlite = container_of(timer, struct store_sqlite, checkpoint);
	double began_s = clock_monotonic_s();
	int pages = 0;
	int code;

	(void)revents;
	ev_ref(loop);
	code = sqlite3_wal_checkpoint_v2(sqlite->db, NULL, SQLITE_CHECKPOINT_PASSIVE, &pages, NULL);
	if (code == SQLITE_OK && pages >= LONG_LOG_PAGES)
		code = force_log(sqlite);
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
