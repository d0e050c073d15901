/* SPDX-License-Identifier: Apache-2.0 */
/* store_sqlite_commit.c - the calls of one turn of the loop become one commit, which is made durable before they
 * complete.
 *
 * BEGIN IMMEDIATE takes the write lock before anything is read, so a call's checks and its writes see
 * the same rows.  When another process holds the lock the batch waits on a timer and grows meanwhile:
 * sleeping here would stall every message and watch of this worker.
 *
 * COMMIT lets go of the lock before the disk has anything; one sync later (store_sqlite_sync.c) the calls complete.
 * There is one commit at a time: what is asked during a sync gathers, so that commits get larger where the disk is
 * slow, and go at once where nothing else happens. */
#include "base/clock.h"
#include "base/random.h"
#include "store/store_rules.h"
#include "store/store_sqlite.h"

enum {
	BUSY_WAIT_MS = 1,               /* who sleeps for longer lets the others' turns pass */
	BUSY_GIVE_UP_S = 30,
	BUSY_ASK_MS = 100,              /* who has waited so long asks the others to pause */
	GIVE_WAY_MS = 10,               /* the pause, in which whoever asks tries at least once */
	CROWD_CALLS = 16,               /* a commit with so many calls is followed by others alike, */
	CROWD_US = 100,                 /* which gather for so long for each call of it, */
	CROWD_MAX_MS = 5,               /* so long at most */
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

/* Changes whenever something was committed, here or in another process. */
static uint32_t data_version(const struct store_sqlite *sqlite)
{
	uint32_t version = 0;

	sqlite3_file_control(sqlite->db, NULL, SQLITE_FCNTL_DATA_VERSION, &version);
	return version;
}

/* A commit that writes nothing may rest on what another has written and not made durable yet: so it waits for the
 * disk, too.  Where nobody has written anything it does not, and an idle store leaves the disk alone. */
static void note_others(struct store_sqlite *sqlite)
{
	if (data_version(sqlite) != sqlite->version)
		sqlite->unsynced = true;
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
	return false;
}

static bool run_locked(struct store_sqlite *sqlite, struct list *calls, bool *again, struct error *err)
{
	bool ok;

	note_others(sqlite);
	ok = store_sqlite_sync_renew(sqlite, err) && store_sqlite_obey_newer(sqlite, err) &&
		commit_calls(sqlite, calls, again, err);
	if (!ok)
		roll_back(sqlite);
	sqlite->version = data_version(sqlite);
	sqlite->crashes = CRASHES_UNKNOWN;
	return ok;
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
	sqlite->busy_since_s = 0;
	store_sqlite_fair_thank(sqlite);
}

/* Where much is asked for, commits follow one another as fast as the disk lets them, each with little in it, and each
 * costs a turn with the lock, a sync and pages that the one before has written already.  So the next one waits for
 * as many calls as this one had, and not for long.  Where little is asked for nobody waits. */
static void gather_crowd(struct store_sqlite *sqlite, const struct list *calls)
{
	const struct store_call *call;
	unsigned count = 0;
	double wait_ms;

	list_each(call, calls, link)
		count++;
	wait_ms = (double)count * CROWD_US / 1000;
	if (count >= CROWD_CALLS)
		store_batch_gather(&sqlite->batch, (wait_ms < CROWD_MAX_MS ? wait_ms : CROWD_MAX_MS) / 1000, count);
}

/* Puts the batch off; false when it has been put off for too long. */
static bool wait_for_lock(struct store_sqlite *sqlite, struct list *calls, struct error *err)
{
	double now_s = clock_monotonic_s();

	if (sqlite->busy_since_s == 0) {
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
	store_batch_put_back(&sqlite->batch, calls, BUSY_WAIT_MS / 1000.0 * (0.5 + random_unit()));
	return true;
}

/* A commit of nothing but rates need not be durable; the next one that must be takes it along. */
static bool only_rates(const struct list *calls)
{
	const struct store_call *call;

	list_each(call, calls, link) {
		if (call->kind != CALL_TAKE_RATE)
			return false;
	}
	return true;
}

/* Their completions wait for the disk; the loop does not, and what it is asked meanwhile is the next commit. */
static void sync_calls(struct store_sqlite *sqlite, struct list *calls)
{
	sqlite->unsynced = false;
	list_splice(&sqlite->committed, calls);
	store_batch_hold(&sqlite->batch);
	store_sqlite_sync_start(sqlite);
}

/* What was written by a commit that could not be synced is there, and may be gone after a loss of power.  Nobody
 * can say now, so its calls have failed, as those of a server that went away. */
static void note_synced(struct store_sqlite *sqlite)
{
	struct error err = { 0 };

	if (store_sqlite_sync_ended(sqlite, &err))
		return;
	sqlite->unsynced = true;
	fail_all(&sqlite->committed, &err);
}

static void on_synced(struct store_thread *thread)
{
	struct store_sqlite *sqlite = container_of(thread, struct store_sqlite, sync.thread);
	struct list calls;

	note_synced(sqlite);
	list_init(&calls);
	list_splice(&calls, &sqlite->committed);
	store_batch_complete(&sqlite->batch, &calls);
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
	ok = sql_run_values(sqlite, SQL_BEGIN, &err, NULL, 0);
	if (!ok && sqlite->failure == SQLITE_BUSY) {
		if (wait_for_lock(sqlite, &calls, &err))
			return;
	} else {
		have_turn(sqlite);
		ok = ok && run_locked(sqlite, &calls, &again, &err);
	}
	store_note_stall(&sqlite->store, clock_monotonic_s() - began_s);
	if (again) {
		start_over(sqlite, &calls);
		return;
	}
	if (!ok)
		fail_all(&calls, &err);
	if (store_sqlite_fair_asked(sqlite))
		store_batch_gather(&sqlite->batch, GIVE_WAY_MS / 1000.0, 0);
	else if (ok)
		gather_crowd(sqlite, &calls);
	if (ok && sqlite->unsynced && !only_rates(&calls))
		sync_calls(sqlite, &calls);
	else
		store_batch_complete(batch, &calls);
}

static int on_logged(void *arg, sqlite3 *db, const char *name, int pages)
{
	struct store_sqlite *sqlite = arg;

	(void)db;
	(void)name;
	sqlite->unsynced = true;
	store_sqlite_checkpoint_note(sqlite, pages);
	return SQLITE_OK;
}

void store_sqlite_commit_init(struct store_sqlite *sqlite)
{
	store_batch_init(&sqlite->batch, sqlite->store.loop, run_batch);
	list_init(&sqlite->committed);
	store_sqlite_sync_init(sqlite, on_synced);
	store_sqlite_checkpoint_init(sqlite);
}

bool store_sqlite_commit_open(struct store_sqlite *sqlite, struct error *err)
{
	sqlite3_wal_hook(sqlite->db, on_logged, sqlite);
	/* What is there may be of processes that were killed before they could sync it. */
	sqlite->unsynced = true;
	return store_sqlite_sync_open(sqlite, err);
}

void store_sqlite_commit_finish(struct store_sqlite *sqlite)
{
	if (store_thread_wait(&sqlite->sync.thread)) {
		note_synced(sqlite);
		list_splice(&sqlite->batch.finished, &sqlite->committed);
	}
	store_batch_finish(&sqlite->batch);
	store_sqlite_sync_finish(sqlite);
	store_sqlite_checkpoint_finish(sqlite);
}
