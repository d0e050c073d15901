/* SPDX-License-Identifier: Apache-2.0 */
/* store_sqlite_crash.c - crashes of workers, by what they had in hand. */
#include "store/store_sqlite.h"

static bool add_crash(struct store_rows *rows, const char *key, const char *owner, int64_t at_ms, struct error *err)
{
	struct store_sqlite *sqlite = store_sqlite_of(rows);

	sqlite->crashes = CRASHES_SOME;
	return sql_run(sqlite, SQL_ADD_CRASH, err, SQL_TEXT(key), SQL_TEXT(owner), SQL_INTEGER(at_ms));
}

/* The count is asked for with each message and job, and nearly always nothing has ever crashed. */
static bool look_for_any(struct store_sqlite *sqlite, struct error *err)
{
	int64_t any;

	if (sqlite->crashes != CRASHES_UNKNOWN)
		return true;
	if (!store_sqlite_one_integer(sqlite, sql_query_values(sqlite, SQL_ANY_CRASH, err, NULL, 0), &any, err))
		return false;
	sqlite->crashes = any != 0 ? CRASHES_SOME : CRASHES_NONE;
	return true;
}

static bool count_crashes(struct store_rows *rows, const char *key, unsigned *count, struct error *err)
{
	struct store_sqlite *sqlite = store_sqlite_of(rows);
	int64_t crashes;
	bool ok;

	*count = 0;
	if (!look_for_any(sqlite, err))
		return false;
	if (sqlite->crashes == CRASHES_NONE)
		return true;
	ok = store_sqlite_one_integer(sqlite, sql_query(sqlite, SQL_COUNT_CRASHES, err, SQL_TEXT(key)), &crashes, err);

	*count = (unsigned)crashes;
	return ok;
}

static bool forget_crashes(struct store_rows *rows, const char *key, int64_t older_than_ms, struct error *err)
{
	if (key != NULL)
		return sql_run(store_sqlite_of(rows), SQL_FORGET_CRASHES_OF, err, SQL_TEXT(key));
	return sql_run(store_sqlite_of(rows), SQL_FORGET_OLD_CRASHES, err, SQL_INTEGER(older_than_ms));
}

void store_sqlite_crash_ops(struct store_rows_ops *ops)
{
	ops->add_crash = add_crash;
	ops->count_crashes = count_crashes;
	ops->forget_crashes = forget_crashes;
}
