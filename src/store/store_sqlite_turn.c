/* SPDX-License-Identifier: Apache-2.0 */
/* store_sqlite_turn.c - who is next, who holds a key, who is alive. */
#include <stdio.h>

#include "base/clock.h"
#include "store/store_sqlite.h"

static bool next_waiter(struct store_rows *rows, const char *lock_key, struct store_row **row, struct error *err)
{
	struct store_sqlite *sqlite = store_sqlite_of(rows);

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
	sqlite3_stmt *at = sql_query_values(sqlite, SQL_DUE_TIME, err, NULL, 0);
	bool failed;

	*due_ms = 0;
	if (at == NULL)
		return false;
	/* min() of nothing is NULL, which reads as 0. */
	if (sql_step(sqlite, at, &failed, err))
		*due_ms = sqlite3_column_int64(at, 0);
	sql_done(at);
	return !failed;
}

static bool read_lock(struct store_rows *rows, const char *key, char **holder, int64_t *grant, struct error *err)
{
	struct store_sqlite *sqlite = store_sqlite_of(rows);
	sqlite3_stmt *at = sql_query(sqlite, SQL_READ_LOCK, err, SQL_TEXT(key));
	bool failed;

	*holder = NULL;
	*grant = 0;
	if (at == NULL)
		return false;
	if (sql_step(sqlite, at, &failed, err)) {
		*holder = sql_column_text(at, 0);
		*grant = sqlite3_column_int64(at, 1);
	}
	sql_done(at);
	return !failed;
}

static bool write_lock(struct store_rows *rows, const char *key, const char *holder, int64_t grant,
	struct error *err)
{
	return sql_run(store_sqlite_of(rows), SQL_WRITE_LOCK, err, SQL_TEXT(key), SQL_TEXT(holder), SQL_INTEGER(grant));
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
		SQL_INTEGER(owner->lease_until_ms), SQL_INTEGER(clock_wall_ms()));
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
	ops->read_lock = read_lock;
	ops->write_lock = write_lock;
	ops->read_owner = read_owner;
	ops->write_owner_row = write_owner_row;
	ops->remove_owner = remove_owner;
	ops->dead_owner = dead_owner;
	ops->release = release;
	ops->unowned = unowned;
	ops->with_news = with_news;
}
