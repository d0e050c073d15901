/* SPDX-License-Identifier: Apache-2.0 */
/* store_sqlite_schema.c - what the database looks like, and how an older one becomes the newest.
 *
 * The application id says that a file is ours, user_version which schema it has.  A schema newer than
 * ours belongs to a newer gantry, whose rules we cannot know: it is refused, not guessed at. */
#include <stdio.h>

#include "base/clock.h"
#include "store/store_sqlite.h"

/* jobs holds what changes, bodies what does not: an update rewrites its whole row.
 *
 *      wait    enum store_wait         news    enum store_news, bits
 *      open    1 until it is final     live    1 until it is final and its message settled
 *
 * The indexes on work that is under way are partial, so their size, and with it the cost of each
 * step, does not grow with the jobs that have ended. */
#define STATES "'queued', 'waiting', 'launching', 'running', 'cancelling', 'succeeded', 'failed', 'cancelled', 'superseded'"
static const char version_1[] =
	"CREATE TABLE jobs ("
	" seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, project TEXT NOT NULL,"
	" deployer TEXT NOT NULL, queue TEXT, lock_key TEXT NOT NULL,"
	" policy TEXT NOT NULL CHECK (policy IN ('queue', 'latest', 'reject', 'parallel')),"
	" priority INTEGER NOT NULL, not_before_ms INTEGER NOT NULL, commit_hash TEXT, ref TEXT, stage TEXT,"
	" state TEXT NOT NULL CHECK (state IN (" STATES ")), wait INTEGER NOT NULL DEFAULT 0, news INTEGER NOT NULL DEFAULT 0,"
	" open INTEGER NOT NULL, live INTEGER NOT NULL, reason TEXT, detail TEXT, exit_code INTEGER NOT NULL,"
	" accepted_ms INTEGER NOT NULL, finished_ms INTEGER NOT NULL, message_id TEXT, receipt TEXT,"
	" message_group TEXT, hidden_until_ms INTEGER NOT NULL, received_ms INTEGER NOT NULL,"
	" deliveries INTEGER NOT NULL, settled INTEGER NOT NULL, attempt INTEGER NOT NULL DEFAULT 0,"
	" step INTEGER NOT NULL DEFAULT 0, owner TEXT, fence INTEGER NOT NULL, lock_grant INTEGER NOT NULL);"
	"CREATE INDEX jobs_waiter ON jobs (lock_key, priority DESC, seq) WHERE wait = 3;"
	"CREATE INDEX jobs_waiting ON jobs (lock_key, deployer) WHERE wait > 0;"
	"CREATE INDEX jobs_delayed ON jobs (not_before_ms, seq) WHERE wait = 1;"
	"CREATE INDEX jobs_group ON jobs (queue, message_group, seq) WHERE open = 1 AND message_group IS NOT NULL;"
	"CREATE INDEX jobs_owned ON jobs (owner, seq) WHERE live = 1;"
	"CREATE INDEX jobs_news ON jobs (owner, seq) WHERE news > 0;"
	"CREATE INDEX jobs_project ON jobs (project, seq);"
	"CREATE INDEX jobs_state ON jobs (state, seq);"
	"CREATE TABLE bodies (job INTEGER PRIMARY KEY, body TEXT);"
	"CREATE TABLE attempts ("
	" job INTEGER NOT NULL, number INTEGER NOT NULL, step INTEGER NOT NULL, token TEXT, handle TEXT,"
	" intended_ms INTEGER NOT NULL, started_ms INTEGER NOT NULL, ended_ms INTEGER NOT NULL DEFAULT 0,"
	" end_reason TEXT, request TEXT, UNIQUE (job, number, step));"
	"CREATE TABLE owners ("
	" id TEXT PRIMARY KEY, boot_id TEXT NOT NULL, lease_until_ms INTEGER NOT NULL, registered_ms INTEGER NOT NULL)"
	" WITHOUT ROWID;"
	/* A key stays for ever, so that its grants never repeat. */
	"CREATE TABLE locks (key TEXT PRIMARY KEY, holder TEXT, last_grant INTEGER NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE faults ("
	" id INTEGER PRIMARY KEY AUTOINCREMENT, at_ms INTEGER NOT NULL, kind TEXT NOT NULL, job_id TEXT, project TEXT,"
	" queue TEXT, text TEXT NOT NULL, body TEXT, dedup_key TEXT UNIQUE, published INTEGER NOT NULL DEFAULT 0,"
	" claim_boot_id TEXT NOT NULL DEFAULT '', claimed_until_ms INTEGER NOT NULL DEFAULT 0);"
	"CREATE INDEX faults_unpublished ON faults (published, id) WHERE published = 0;"
	"CREATE TABLE outbox ("
	" id INTEGER PRIMARY KEY AUTOINCREMENT, job INTEGER NOT NULL, sink TEXT NOT NULL, payload TEXT NOT NULL,"
	" created_ms INTEGER NOT NULL, next_ms INTEGER NOT NULL, tries INTEGER NOT NULL DEFAULT 0,"
	" state TEXT NOT NULL DEFAULT 'waiting', last_error TEXT);"
	"CREATE INDEX outbox_due ON outbox (next_ms) WHERE state = 'waiting';"
	/* Counting a million rows is a scan; keeping the count is one more row in a page that is written anyway. */
	"CREATE TABLE counts (state TEXT PRIMARY KEY, jobs INTEGER NOT NULL) WITHOUT ROWID;"
	"CREATE TRIGGER jobs_inserted AFTER INSERT ON jobs BEGIN"
	" INSERT INTO counts VALUES (NEW.state, 1) ON CONFLICT (state) DO UPDATE SET jobs = jobs + 1; END;"
	"CREATE TRIGGER jobs_moved AFTER UPDATE OF state ON jobs WHEN OLD.state <> NEW.state BEGIN"
	" UPDATE counts SET jobs = jobs - 1 WHERE state = OLD.state;"
	" INSERT INTO counts VALUES (NEW.state, 1) ON CONFLICT (state) DO UPDATE SET jobs = jobs + 1; END;";

const struct store_sqlite_migration store_sqlite_migrations[] = {
	{ version_1 },
};
const int store_sqlite_version = sizeof(store_sqlite_migrations) / sizeof(store_sqlite_migrations[0]);

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

static bool check_identity(struct store_sqlite *sqlite, int *version, struct error *err)
{
	int application, tables;

	if (!read_number(sqlite, "PRAGMA application_id", &application, err) ||
		!read_number(sqlite, "PRAGMA user_version", version, err) ||
		!read_number(sqlite, "SELECT count(*) FROM sqlite_schema", &tables, err))
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
