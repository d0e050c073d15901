/* SPDX-License-Identifier: Apache-2.0 */
/* store_sqlite_read.c - what only reads: the reads of a turn share one transaction that takes no lock which
 * a writer would wait for, or they for it.  A batch of writes that waits for its turn does not hold them up. */
#include "base/clock.h"
#include "base/random.h"
#include "store/store_rules.h"
#include "store/store_sqlite.h"

/* Only recovery after a crash, and the last of the others that closes, keep readers out. */
static const double READ_AGAIN_S = 0.02;
enum { READ_GIVE_UP_S = 5 };

static enum sql which_list(const struct store_filter *filter)
{
	if (filter->project != NULL)
		return SQL_LIST_PROJECT;
	if (filter->state < 0)
		return SQL_LIST;
	return job_state_final((enum job_state)filter->state) ? SQL_LIST_FINAL : SQL_LIST_OPEN;
}

static bool list(struct store_rows *rows, struct store_call *call, struct error *err)
{
	const struct store_filter *filter = &call->filter;
	struct store_sqlite *sqlite = store_sqlite_of(rows);
	sqlite3_stmt *at = sql_query(sqlite, which_list(filter), err,
		SQL_INTEGER(filter->before_seq > 0 ? filter->before_seq : INT64_MAX), SQL_TEXT(filter->project),
		SQL_TEXT(filter->deployer),
		SQL_TEXT(filter->state >= 0 ? job_state_name((enum job_state)filter->state) : NULL),
		SQL_INTEGER((int64_t)filter->max));
	bool failed;

	if (at == NULL)
		return false;
	while (sql_step(sqlite, at, &failed, err))
		store_call_add_job(call, store_row_take_job(store_sqlite_read_row(at)));
	sql_done(at);
	return !failed;
}

static bool list_attempts(struct store_rows *rows, struct store_call *call, struct error *err)
{
	struct store_sqlite *sqlite = store_sqlite_of(rows);
	sqlite3_stmt *at = sql_query(sqlite, SQL_ATTEMPTS, err, SQL_TEXT(call->name));
	bool failed;

	if (at == NULL)
		return false;
	while (sql_step(sqlite, at, &failed, err)) {
		const struct store_attempt lent = {
			.number = (unsigned)sqlite3_column_int64(at, 0), .step = (unsigned)sqlite3_column_int64(at, 1),
			.handle = (char *)sqlite3_column_text(at, 2), .intended_ms = sqlite3_column_int64(at, 3),
			.started_ms = sqlite3_column_int64(at, 4), .ended_ms = sqlite3_column_int64(at, 5),
			.exit_code = sqlite3_column_int(at, 6), .reason = (char *)sqlite3_column_text(at, 7),
		};

		store_call_add_attempt(call, &lent);
	}
	sql_done(at);
	return !failed;
}

static bool count(struct store_rows *rows, uint64_t counts[JOB_STATES], struct error *err)
{
	struct store_sqlite *sqlite = store_sqlite_of(rows);
	sqlite3_stmt *at = sql_query_values(sqlite, SQL_COUNT, err, NULL, 0);
	bool failed;

	if (at == NULL)
		return false;
	while (sql_step(sqlite, at, &failed, err)) {
		enum job_state state;

		if (job_state_parse((const char *)sqlite3_column_text(at, 0), &state))
			counts[state] = (uint64_t)sqlite3_column_int64(at, 1);
	}
	sql_done(at);
	return !failed;
}

/* The earlier of two times, of which 0 is none. */
static int64_t earlier(int64_t a, int64_t b)
{
	if (a == 0 || b == 0)
		return a + b;
	return a < b ? a : b;
}

static bool totals(struct store_rows *rows, struct store_totals *all, struct error *err)
{
	struct store_sqlite *sqlite = store_sqlite_of(rows);
	sqlite3_stmt *at = sql_query_values(sqlite, SQL_TOTALS, err, NULL, 0);
	bool failed;

	if (at == NULL)
		return false;
	if (sql_step(sqlite, at, &failed, err)) {
		all->held_locks = sqlite3_column_int64(at, 0);
		all->lock_waiters = sqlite3_column_int64(at, 1);
		all->open_deliveries = sqlite3_column_int64(at, 2);
		all->dead_deliveries = sqlite3_column_int64(at, 3);
		all->oldest_waiting_ms = earlier(sqlite3_column_int64(at, 4), sqlite3_column_int64(at, 5));
	}
	sql_done(at);
	return !failed;
}

void store_sqlite_read_ops(struct store_rows_ops *ops)
{
	ops->list = list;
	ops->list_attempts = list_attempts;
	ops->count = count;
	ops->totals = totals;
}

/* -- a turn's reads ------------------------------------------------------------------------------ */

/* False: it could not be read now, and may be soon. */
static bool read_one(struct store_sqlite *sqlite, struct store_call *call)
{
	struct error err = { 0 };

	if (store_rules_read(&sqlite->rows, call, &err))
		return true;
	store_call_fail(call, err.kind, err.text);
	return sqlite->failure != SQLITE_BUSY;
}

/* False: all of them are to be read again. */
static bool read_all(struct store_sqlite *sqlite, struct list *calls)
{
	bool patient = sqlite->read_busy_since_s == 0 || clock_monotonic_s() - sqlite->read_busy_since_s < READ_GIVE_UP_S;
	struct store_call *call;
	bool free = true;

	sql_run_values(sqlite, SQL_BEGIN_READ, NULL, NULL, 0);
	list_each(call, calls, link) {
		free = read_one(sqlite, call) && free;
		if (!free && patient)
			break;
	}
	if (!sqlite3_get_autocommit(sqlite->db))
		sql_run_values(sqlite, SQL_COMMIT, NULL, NULL, 0);
	sqlite->crashes = CRASHES_UNKNOWN;
	if (free || !patient)
		sqlite->read_busy_since_s = 0;
	else if (sqlite->read_busy_since_s == 0)
		sqlite->read_busy_since_s = clock_monotonic_s();
	return free || !patient;
}

static void run_reads(struct store_batch *batch)
{
	struct store_sqlite *sqlite = container_of(batch, struct store_sqlite, reads);
	double began_s = clock_monotonic_s();
	struct store_call *call;
	struct list calls;

	list_init(&calls);
	store_batch_take(batch, &calls);
	if (!read_all(sqlite, &calls)) {
		list_each(call, &calls, link)
			store_call_reset(call);
		store_batch_put_back(batch, &calls, READ_AGAIN_S * (0.5 + random_unit()));
		return;
	}
	store_note_stall(&sqlite->store, clock_monotonic_s() - began_s);
	store_batch_complete(batch, &calls);
}

void store_sqlite_read_init(struct store_sqlite *sqlite)
{
	store_batch_init(&sqlite->reads, sqlite->store.loop, run_reads);
	/* Before the commit of the same turn, not behind it. */
	ev_set_priority(&sqlite->reads.before_wait, EV_MAXPRI);
}
