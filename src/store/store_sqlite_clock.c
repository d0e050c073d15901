/* SPDX-License-Identifier: Apache-2.0 */
/* store_sqlite_clock.c - the clock that all stored times are on.
 *
 * Whoever opens the store first after a boot writes down by how much the wall clock was ahead of the boot
 * clock.  From then on that is the time for all, so that a wall clock that is set ends no delay and no
 * timeout, and workers started before and after agree. */
#include "base/clock.h"
#include "store/store_sqlite.h"

static sqlite3_stmt *prepare(struct store_sqlite *sqlite, const char *sql, int64_t offset_ms)
{
	sqlite3_stmt *statement = NULL;

	if (sqlite3_prepare_v2(sqlite->db, sql, -1, &statement, NULL) != SQLITE_OK)
		return NULL;
	sqlite3_bind_text(statement, 1, clock_boot_id(), -1, SQLITE_STATIC);
	if (sqlite3_bind_parameter_count(statement) > 1)
		sqlite3_bind_int64(statement, 2, offset_ms);
	return statement;
}

static bool run(struct store_sqlite *sqlite, const char *sql, int64_t offset_ms, struct error *err)
{
	sqlite3_stmt *statement = prepare(sqlite, sql, offset_ms);
	bool ok = statement != NULL && sqlite3_step(statement) == SQLITE_DONE;

	if (!ok)
		store_sqlite_error(sqlite, err, "cannot write the time of this boot");
	sqlite3_finalize(statement);
	return ok;
}

static bool read_offset(struct store_sqlite *sqlite, bool *found, int64_t *offset_ms, struct error *err)
{
	sqlite3_stmt *statement = prepare(sqlite, "SELECT offset_ms FROM clock WHERE boot_id = ?1", 0);
	int code = statement != NULL ? sqlite3_step(statement) : SQLITE_ERROR;
	bool ok = code == SQLITE_ROW || code == SQLITE_DONE;

	*found = code == SQLITE_ROW;
	if (*found)
		*offset_ms = sqlite3_column_int64(statement, 0);
	if (!ok)
		store_sqlite_error(sqlite, err, "cannot read the time of this boot");
	sqlite3_finalize(statement);
	return ok;
}

bool store_sqlite_take_clock(struct store_sqlite *sqlite, bool read_only, struct error *err)
{
	int64_t offset_ms = clock_steady_offset_ms();
	bool found = false;

	/* Without /proc there is nothing to know a boot by. */
	if (clock_boot_id()[0] == '\0')
		return true;
	if (!read_offset(sqlite, &found, &offset_ms, err))
		return false;
	/* Another may be quicker: then its word counts. */
	if (!found && !read_only &&
	    (!run(sqlite, "INSERT OR IGNORE INTO clock (boot_id, offset_ms) VALUES (?1, ?2)", offset_ms, err) ||
	     !run(sqlite, "DELETE FROM clock WHERE boot_id <> ?1", 0, err) ||
	     !read_offset(sqlite, &found, &offset_ms, err)))
		return false;
	clock_steady_set(offset_ms);
	return true;
}
