/* SPDX-License-Identifier: Apache-2.0 */
/* store_sqlite_schema.c - what the database looks like, and how an older one becomes the newest.
 *
 * The application id says that a file is ours, user_version which schema it has.  A schema newer than
 * ours belongs to a newer gantry, whose rules we cannot know: it is refused, not guessed at. */
#include <stdio.h>

#include "base/clock.h"
#include "store/store_sqlite.h"

enum { APPLICATION_ID = 0x676e7472 };   /* "gntr" */

/* The one integer that a pragma or query gives. */
static bool read_number(struct store_sqlite *sqlite, const char *sql, int *number, struct error *err)
{
	sqlite3_stmt *statement = NULL;
	bool ok = sqlite3_prepare_v2(sqlite->db, sql, -1, &statement, NULL) == SQLITE_OK &&
		sqlite3_step(statement) == SQLITE_ROW;

	if (ok)
		*number = sqlite3_column_int(statement, 0);
	else
		store_sqlite_error(sqlite, err, "cannot read");
	sqlite3_finalize(statement);
	return ok;
}

static bool execute(struct store_sqlite *sqlite, const char *sql, struct error *err)
{
	if (sqlite3_exec(sqlite->db, sql, NULL, NULL, NULL) == SQLITE_OK)
		return true;
	store_sqlite_error(sqlite, err, "cannot change the schema");
	return false;
}

/* Runs inside BEGIN EXCLUSIVE, so the version that is read is the one that is changed. */
static bool migrate_one(struct store_sqlite *sqlite, const struct store_sqlite_migration *migrations, int version,
	bool *done, struct error *err)
{
	char pragma[96];
	int from;

	if (!read_number(sqlite, "PRAGMA user_version", &from, err))
		return false;
	*done = from >= version;
	if (*done)
		return true;
	snprintf(pragma, sizeof(pragma), "PRAGMA user_version = %d; PRAGMA application_id = %d;", from + 1,
		APPLICATION_ID);
	return execute(sqlite, migrations[from].sql, err) && execute(sqlite, pragma, err);
}

bool store_sqlite_migrate(struct store_sqlite *sqlite, const struct store_sqlite_migration *migrations, int version,
	struct error *err)
{
	bool done = false;

	while (!done) {
		bool ok = execute(sqlite, "BEGIN EXCLUSIVE", err) && migrate_one(sqlite, migrations, version, &done, err) &&
			execute(sqlite, "COMMIT", err);

		if (!ok) {
			sqlite3_exec(sqlite->db, "ROLLBACK", NULL, NULL, NULL);
			return false;
		}
	}
	return true;
}

/* A start, and every reload, waits for the check, which reads the whole file: it gets this long. */
enum { CHECK_S = 2, CHECK_STEPS = 10000 };

static int on_check_steps(void *arg)
{
	const double *until_s = arg;

	return clock_monotonic_s() > *until_s;
}

/* Each page and record is well formed; what PRAGMA integrity_check adds is O(n log n). */
static bool check_integrity(struct store_sqlite *sqlite, struct error *err)
{
	sqlite3_stmt *statement = NULL;
	double until_s = clock_monotonic_s() + CHECK_S;
	const char *found = NULL;
	bool cut = false;
	bool ok;

	sqlite3_progress_handler(sqlite->db, CHECK_STEPS, on_check_steps, &until_s);
	if (sqlite3_prepare_v2(sqlite->db, "PRAGMA quick_check(1)", -1, &statement, NULL) == SQLITE_OK &&
		sqlite3_step(statement) == SQLITE_ROW)
		found = (const char *)sqlite3_column_text(statement, 0);
	else
		cut = (sqlite3_errcode(sqlite->db) & 0xff) == SQLITE_INTERRUPT;
	ok = cut || (found != NULL && sqlite3_stricmp(found, "ok") == 0);
	if (cut)
		log_info(&sqlite->store.log, "%s: no damage found in %d s; the rest was not looked at", sqlite->path,
			CHECK_S);
	else if (found == NULL)
		store_sqlite_error(sqlite, err, "cannot check the integrity");
	else if (!ok)
		error_set(err, ERROR_REFUSED, "store: %s is damaged: %s; put back a good copy, or move it away to start anew",
			sqlite->path, found);
	sqlite3_finalize(statement);
	sqlite3_progress_handler(sqlite->db, 0, NULL, NULL);
	return ok;
}

static bool read_identity(struct store_sqlite *sqlite, int *application, int *version, int *tables, struct error *err)
{
	return read_number(sqlite, "PRAGMA application_id", application, err) &&
		read_number(sqlite, "PRAGMA user_version", version, err) &&
		read_number(sqlite, "SELECT count(*) FROM sqlite_schema", tables, err);
}

/* In one transaction: another process may be making the store meanwhile. */
static bool check_identity(struct store_sqlite *sqlite, int *version, struct error *err)
{
	int application, tables;
	bool ok = execute(sqlite, "BEGIN", err) && read_identity(sqlite, &application, version, &tables, err);

	if (!sqlite3_get_autocommit(sqlite->db))
		sqlite3_exec(sqlite->db, "ROLLBACK", NULL, NULL, NULL);
	if (!ok)
		return false;
	if (application != APPLICATION_ID && (application != 0 || *version != 0 || tables != 0)) {
		error_set(err, ERROR_REFUSED, "store: %s is an SQLite database of another program (application id 0x%x)",
			sqlite->path, (unsigned)application);
		return false;
	}
	if (*version > store_sqlite_version) {
		error_set(err, ERROR_REFUSED, "store: %s has schema %d, written by a newer gantry; this one knows up to %d",
			sqlite->path, *version, store_sqlite_version);
		return false;
	}
	return true;
}

/* Some file systems have no shared memory, and SQLite then quietly stays with another mode, where a
 * reader stops all writers. */
static bool check_mode(struct store_sqlite *sqlite, struct error *err)
{
	sqlite3_stmt *statement = NULL;
	const char *mode = NULL;
	bool ok;

	if (sqlite3_prepare_v2(sqlite->db, "PRAGMA journal_mode", -1, &statement, NULL) == SQLITE_OK &&
		sqlite3_step(statement) == SQLITE_ROW)
		mode = (const char *)sqlite3_column_text(statement, 0);
	ok = mode != NULL && sqlite3_stricmp(mode, "wal") == 0;
	if (mode == NULL)
		store_sqlite_error(sqlite, err, "cannot read");
	else if (!ok)
		error_set(err, ERROR_REFUSED, "store: %s is on a file system that cannot hold a WAL database", sqlite->path);
	sqlite3_finalize(statement);
	return ok;
}

static bool check_version(struct store_sqlite *sqlite, int version, struct error *err)
{
	if (version == store_sqlite_version)
		return true;
	error_set(err, ERROR_TEMPORARY, "store: %s has schema %d and has not been brought to %d yet", sqlite->path,
		version, store_sqlite_version);
	return false;
}

bool store_sqlite_check_schema(struct store_sqlite *sqlite, bool migrate, bool check, struct error *err)
{
	int version;

	if (!check_identity(sqlite, &version, err))
		return false;
	if (!migrate)
		return check_version(sqlite, version, err) && check_mode(sqlite, err);
	if (version != store_sqlite_version)
		check = true;
	return check_mode(sqlite, err) && (!check || check_integrity(sqlite, err)) &&
		store_sqlite_migrate(sqlite, store_sqlite_migrations, store_sqlite_version, err);
}

/* -- triggers ------------------------------------------------------------------------------------ */

bool store_sqlite_obey_triggers(struct store_sqlite *sqlite, bool obey, struct error *err)
{
	if (sqlite3_db_config(sqlite->db, SQLITE_DBCONFIG_ENABLE_TRIGGER, (int)obey, NULL) != SQLITE_OK) {
		store_sqlite_error(sqlite, err, "cannot set up");
		return false;
	}
	sqlite->obeys_triggers = obey;
	return true;
}

bool store_sqlite_obey_newer(struct store_sqlite *sqlite, struct error *err)
{
	int64_t version;

	if (sqlite->obeys_triggers)
		return true;
	return store_sqlite_one_integer(sqlite, sql_query_values(sqlite, SQL_VERSION, err, NULL, 0), &version, err) &&
		(version <= store_sqlite_version || store_sqlite_obey_triggers(sqlite, true, err));
}
