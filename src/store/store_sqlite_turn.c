/* SPDX-License-Identifier: Apache-2.0 */
/* store_sqlite_turn.c - who is next, who holds a key, who is alive. */
#include <stdio.h>

#include "base/clock.h"
#include "base/mem.h"
#include "store/store_sqlite.h"

/* Nearly always there is none, which the index knows. */
static bool next_waiter(struct store_rows *rows, const char *lock_key, struct store_row **row, struct error *err)
{
	struct store_sqlite *sqlite = store_sqlite_of(rows);
	int64_t any;

	*row = NULL;
	if (!store_sqlite_one_integer(sqlite, sql_query(sqlite, SQL_ANY_WAITER, err, SQL_TEXT(lock_key)), &any, err))
		return false;
	if (any == 0)
		return true;
	return store_sqlite_one_row(sqlite, sql_query(sqlite, SQL_NEXT_WAITER, err, SQL_TEXT(lock_key)), row, err);
}

static bool group_head(struct store_rows *rows, const char *queue, const char *group, struct store_row **row,
	struct error *err)
{
	struct store_sqlite *sqlite = store_sqlite_of(rows);

	return store_sqlite_one_row(sqlite,
		sql_query(sqlite, SQL_GROUP_HEAD, err, SQL_TEXT(queue), SQL_TEXT(group)), row, err);
}

static bool any_waiting(struct store_rows *rows, const char *lock_key, const char *deployer,
	struct store_row **row, struct error *err)
{
	struct store_sqlite *sqlite = store_sqlite_of(rows);

	return store_sqlite_one_row(sqlite,
		sql_query(sqlite, SQL_ANY_WAITING, err, SQL_TEXT(lock_key), SQL_TEXT(deployer)), row, err);
}

static bool next_due(struct store_rows *rows, int64_t now_ms, struct store_row **row, struct error *err)
{
	struct store_sqlite *sqlite = store_sqlite_of(rows);

	return store_sqlite_one_row(sqlite, sql_query(sqlite, SQL_NEXT_DUE, err, SQL_INTEGER(now_ms)), row, err);
}

static bool due_time(struct store_rows *rows, int64_t *due_ms, struct error *err)
{
	struct store_sqlite *sqlite = store_sqlite_of(rows);

	/* min() of nothing is NULL, which reads as 0. */
	return store_sqlite_one_integer(sqlite, sql_query_values(sqlite, SQL_DUE_TIME, err, NULL, 0), due_ms, err);
}

static bool count_ahead(struct store_rows *rows, const struct store_row *row, size_t *count, struct error *err)
{
	struct store_sqlite *sqlite = store_sqlite_of(rows);
	int64_t ahead;
	bool ok = store_sqlite_one_integer(sqlite, sql_query(sqlite, SQL_COUNT_AHEAD, err, SQL_TEXT(row->job->lock_key),
		SQL_INTEGER(row->rank), SQL_INTEGER(row->job->seq)), &ahead, err);

	*count = (size_t)ahead;
	return ok;
}

static bool count_group_ahead(struct store_rows *rows, const struct store_row *row, size_t *count, struct error *err)
{
	struct store_sqlite *sqlite = store_sqlite_of(rows);
	int64_t ahead;
	bool ok = store_sqlite_one_integer(sqlite, sql_query(sqlite, SQL_COUNT_GROUP_AHEAD, err,
		SQL_TEXT(row->job->queue), SQL_TEXT(row->job->message.group), SQL_INTEGER(row->job->seq)), &ahead, err);

	*count = (size_t)ahead;
	return ok;
}

static bool read_lock(struct store_rows *rows, const char *key, struct store_held *held, struct error *err)
{
	struct store_sqlite *sqlite = store_sqlite_of(rows);
	sqlite3_stmt *at = sql_query(sqlite, SQL_READ_LOCK, err, SQL_TEXT(key));
	bool failed;

	*held = (struct store_held){ 0 };
	if (at == NULL)
		return false;
	if (sql_step(sqlite, at, &failed, err)) {
		held->holder = sql_column_text(at, 0);
		held->grant = sqlite3_column_int64(at, 1);
		held->since_ms = sqlite3_column_int64(at, 2);
	}
	sql_done(at);
	return !failed;
}

static bool write_lock(struct store_rows *rows, const char *key, const struct store_held *held, struct error *err)
{
	return sql_run(store_sqlite_of(rows), SQL_WRITE_LOCK, err, SQL_TEXT(key), SQL_TEXT(held->holder),
		SQL_INTEGER(held->grant), SQL_INTEGER(held->since_ms));
}

static bool free_lock(struct store_rows *rows, const char *key, int64_t grant, bool *freed, struct error *err)
{
	struct store_sqlite *sqlite = store_sqlite_of(rows);
	bool ok = sql_run(sqlite, SQL_FREE_LOCK, err, SQL_TEXT(key), SQL_INTEGER(grant));

	*freed = ok && sqlite3_changes(sqlite->db) > 0;
	return ok;
}

static bool held_locks(struct store_rows *rows, struct store_call *call, struct error *err)
{
	struct store_sqlite *sqlite = store_sqlite_of(rows);
	sqlite3_stmt *at = sql_query(sqlite, SQL_HELD_LOCKS, err, SQL_TEXT(call->name), SQL_INTEGER((int64_t)call->max));
	bool failed;

	if (at == NULL)
		return false;
	while (sql_step(sqlite, at, &failed, err)) {
		const struct store_lock lent = {
			.key = (char *)sqlite3_column_text(at, 0), .holder = (char *)sqlite3_column_text(at, 1),
			.project = (char *)sqlite3_column_text(at, 2), .grant = sqlite3_column_int64(at, 3),
			.since_ms = sqlite3_column_int64(at, 4), .waiting = (size_t)sqlite3_column_int64(at, 5),
		};

		store_call_add_lock(call, &lent);
	}
	sql_done(at);
	return !failed;
}

static bool read_owner(struct store_rows *rows, const char *id, bool *found, struct store_owner *owner,
	struct error *err)
{
	struct store_sqlite *sqlite = store_sqlite_of(rows);
	sqlite3_stmt *at = sql_query(sqlite, SQL_READ_OWNER, err, SQL_TEXT(id));
	bool failed;

	if (at == NULL)
		return false;
	*found = sql_step(sqlite, at, &failed, err);
	if (*found) {
		snprintf(owner->boot_id, sizeof(owner->boot_id), "%s", (const char *)sqlite3_column_text(at, 0));
		owner->lease_until_ms = sqlite3_column_int64(at, 1);
	}
	sql_done(at);
	return !failed;
}

static bool write_owner_row(struct store_rows *rows, const char *id, const struct store_owner *owner,
	struct error *err)
{
	return sql_run(store_sqlite_of(rows), SQL_WRITE_OWNER, err, SQL_TEXT(id), SQL_TEXT(owner->boot_id),
		SQL_INTEGER(owner->lease_until_ms), SQL_INTEGER(clock_steady_ms()));
}

static bool remove_owner(struct store_rows *rows, const char *id, struct error *err)
{
	return sql_run(store_sqlite_of(rows), SQL_REMOVE_OWNER, err, SQL_TEXT(id));
}

static bool dead_owner(struct store_rows *rows, const char *me, const struct store_owner *now, char **id,
	struct error *err)
{
	struct store_sqlite *sqlite = store_sqlite_of(rows);
	sqlite3_stmt *at = sql_query(sqlite, SQL_DEAD_OWNER, err, SQL_TEXT(me), SQL_TEXT(now->boot_id),
		SQL_INTEGER(now->lease_until_ms));
	bool failed;

	*id = NULL;
	if (at == NULL)
		return false;
	if (sql_step(sqlite, at, &failed, err))
		*id = sql_column_text(at, 0);
	sql_done(at);
	return !failed;
}

static bool release(struct store_rows *rows, const char *owner, size_t *count, struct error *err)
{
	struct store_sqlite *sqlite = store_sqlite_of(rows);

	if (!sql_run(sqlite, SQL_RELEASE, err, SQL_TEXT(owner)))
		return false;
	*count = (size_t)sqlite3_changes(sqlite->db);
	return true;
}

static bool unowned(struct store_rows *rows, size_t max, struct store_row ***found, size_t *count, struct error *err)
{
	struct store_sqlite *sqlite = store_sqlite_of(rows);

	return store_sqlite_all_rows(sqlite, sql_query(sqlite, SQL_UNOWNED, err, SQL_INTEGER((int64_t)max)), found,
		count, err);
}

static bool with_news(struct store_rows *rows, const char *owner, size_t max, struct store_row ***found,
	size_t *count, struct error *err)
{
	struct store_sqlite *sqlite = store_sqlite_of(rows);

	return store_sqlite_all_rows(sqlite,
		sql_query(sqlite, SQL_WITH_NEWS, err, SQL_TEXT(owner), SQL_INTEGER((int64_t)max)), found, count, err);
}

void store_sqlite_turn_ops(struct store_rows_ops *ops)
{
	ops->next_waiter = next_waiter;
	ops->group_head = group_head;
	ops->any_waiting = any_waiting;
	ops->next_due = next_due;
	ops->due_time = due_time;
	ops->count_ahead = count_ahead;
	ops->count_group_ahead = count_group_ahead;
	ops->read_lock = read_lock;
	ops->write_lock = write_lock;
	ops->free_lock = free_lock;
	ops->held_locks = held_locks;
	ops->read_owner = read_owner;
	ops->write_owner_row = write_owner_row;
	ops->remove_owner = remove_owner;
	ops->dead_owner = dead_owner;
	ops->release = release;
	ops->unowned = unowned;
	ops->with_news = with_news;
}
