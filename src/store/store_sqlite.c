/* SPDX-License-Identifier: Apache-2.0 */
/* store_sqlite.c - the store of one machine: an SQLite database in WAL mode.
 *
 * Readers never wait for writers; writers are one at a time, over all processes.  A commit is on the disk when its
 * completions run; until then the others can see it already.  gantryctl reads the same file while workers write. */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/descriptor.h"
#include "base/mem.h"
#include "store/store_rules.h"
#include "store/store_sqlite.h"

enum {
	OPEN_BUSY_MS = 10000,
	OPEN_PAUSE_MS = 3,              /* shorter than the pause that store_sqlite_commit.c grants */
	LOG_KEPT_BYTES = 32 << 20,      /* the log file is cut to this when it starts over */
};

void store_sqlite_error(struct store_sqlite *sqlite, struct error *err, const char *doing)
{
	int code = sqlite3_extended_errcode(sqlite->db);
	int system_errno = sqlite3_system_errno(sqlite->db);

	sqlite->failure = code & 0xff;
	switch (code & 0xff) {
	case SQLITE_NOTADB:
	case SQLITE_CORRUPT:
		error_set(err, ERROR_REFUSED, "store: %s is damaged: %s; put back a good copy, or move it away to start anew",
			sqlite->path, sqlite3_errmsg(sqlite->db));
		break;
	case SQLITE_CANTOPEN:
	case SQLITE_PERM:
	case SQLITE_READONLY:
	case SQLITE_AUTH:
		error_set(err, ERROR_REFUSED, "store: %s: %s: %s", sqlite->path, doing,
			system_errno != 0 ? strerror(system_errno) : sqlite3_errmsg(sqlite->db));
		break;
	default:
		error_set(err, ERROR_TEMPORARY, "store: %s: %s: %s%s%s", sqlite->path, doing, sqlite3_errmsg(sqlite->db),
			system_errno != 0 ? ": " : "", system_errno != 0 ? strerror(system_errno) : "");
		break;
	}
	error_set_code(err, sqlite3_errstr(code));
}

static struct store_sqlite *sqlite_of(struct store *store)
{
	return container_of(store, struct store_sqlite, store);
}

/* -- opening and closing ------------------------------------------------------------------------- */

static void sqlite_submit(struct store *store, struct store_call *call)
{
	struct store_sqlite *sqlite = sqlite_of(store);

	store_batch_add(store_call_reads(call) ? &sqlite->reads : &sqlite->batch, call);
}

static void sqlite_close(struct store *store)
{
	struct store_sqlite *sqlite = sqlite_of(store);

	/* Commits first: their completions may ask for something to be read. */
	store_sqlite_commit_finish(sqlite);
	store_batch_finish(&sqlite->reads);
	sql_finish(sqlite);
	sqlite3_close(sqlite->db);
	store_sqlite_fair_close(sqlite);
	store_finish_base(store);
	free(sqlite->path);
	free(sqlite);
}

/* The statements that read jobs take 15 KB each, most of it room for what is known of their columns. */
static void sqlite_rest(struct store *store)
{
	struct store_sqlite *sqlite = sqlite_of(store);

	sql_finish(sqlite);
	sqlite3_db_release_memory(sqlite->db);
}

static const struct store_ops ops = {
	.close = sqlite_close,
	.submit = sqlite_submit,
	.rest = sqlite_rest,
};

static const struct store_rows_ops *rows_ops(void)
{
	static struct store_rows_ops made;      /* the same each time it is made */

	store_sqlite_rows_ops(&made);
	store_sqlite_ours_ops(&made);
	store_sqlite_turn_ops(&made);
	store_sqlite_crash_ops(&made);
	store_sqlite_bucket_ops(&made);
	store_sqlite_outbox_ops(&made);
	store_sqlite_read_ops(&made);
	return &made;
}

/* The directory, if only its last part is missing, and an empty file that only we can read; what is
 * there already keeps its mode. */
static bool create_file(const char *path, struct error *err)
{
	char *copy = xstrdup(path);
	int fd = -1;
	bool ok = false;

	if (mkdir(dirname(copy), 0700) != 0 && errno != EEXIST) {
		error_set_errno(err, ERROR_REFUSED, "store: cannot make the directory of %s", path);
		goto out;
	}
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0) {
		error_set_errno(err, ERROR_REFUSED, "store: cannot open %s", path);
		goto out;
	}
	ok = true;
out:
	descriptor_close(&fd);
	free(copy);
	return ok;
}

static bool check_file(const char *path, struct error *err)
{
	if (access(path, F_OK) == 0)
		return true;
	/* Another process may be about to create it. */
	error_set_errno(err, errno == ENOENT ? ERROR_TEMPORARY : ERROR_REFUSED, "store: %s", path);
	return false;
}

/* The loop does not run yet, so waiting is allowed; the others are asked to pause from the start, as whoever
 * opens a store is waited for.  0: for too long. */
static int wait_to_open(void *arg, int tries)
{
	static const struct timespec pause = { .tv_nsec = OPEN_PAUSE_MS * 1000000 };
	struct store_sqlite *sqlite = arg;

	(void)tries;
	if ((clock_monotonic_s() - sqlite->busy_since_s) * 1000 > OPEN_BUSY_MS)
		return 0;
	store_sqlite_fair_ask(sqlite);
	nanosleep(&pause, NULL);
	return 1;
}

/* Who finds the log being made by another is told at once that it is locked, without wait_to_open(). */
static bool set_up(struct store_sqlite *sqlite, bool migrate, struct error *err)
{
	char *pragmas = xasprintf("%s PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0; PRAGMA temp_store = MEMORY;"
		" PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON; PRAGMA journal_size_limit = %d;",
		migrate ? "PRAGMA journal_mode = WAL;" : "", LOG_KEPT_BYTES);
	int code;

	do {
		code = sqlite3_exec(sqlite->db, pragmas, NULL, NULL, NULL);
	} while ((code & 0xff) == SQLITE_BUSY && wait_to_open(sqlite, 0));
	if (code != SQLITE_OK)
		store_sqlite_error(sqlite, err, "cannot set up");
	free(pragmas);
	return code == SQLITE_OK;
}

/* The CHECK constraints are for those who write with other programs: our words come from enums, and to check one
 * builds a table of all, which was a quarter of what a commit costs.  Not before the database was looked at: the
 * look would leave them out, too.
 *
 * The triggers likewise: who has ended is counted by the statements that end and forget, and a place in the order is
 * always given.  A trigger costs as much as an insertion into an index even where its condition doesn't hold. */
static bool trust_ourselves(struct store_sqlite *sqlite, struct error *err)
{
	bool ok = sqlite3_exec(sqlite->db, "PRAGMA ignore_check_constraints = ON", NULL, NULL, NULL) == SQLITE_OK;

	if (!ok)
		store_sqlite_error(sqlite, err, "cannot set up");
	return ok && store_sqlite_obey_triggers(sqlite, false, err);
}

static bool open_database(struct store_sqlite *sqlite, const struct store_options *options, struct error *err)
{
	int flags = SQLITE_OPEN_NOMUTEX | (options->read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE);
	bool migrate = options->migrate && !options->read_only;
	bool ok;

	if (migrate) {
		if (!create_file(sqlite->path, err))
			return false;
	} else if (!check_file(sqlite->path, err)) {
		return false;
	}
	if (sqlite3_open_v2(sqlite->path, &sqlite->db, flags, NULL) != SQLITE_OK) {
		store_sqlite_error(sqlite, err, "cannot open");
		return false;
	}
	sqlite3_extended_result_codes(sqlite->db, 1);
	if (!options->read_only)
		store_sqlite_fair_open(sqlite);
	sqlite->busy_since_s = clock_monotonic_s();
	sqlite3_busy_handler(sqlite->db, wait_to_open, sqlite);
	ok = set_up(sqlite, migrate, err) && store_sqlite_check_schema(sqlite, migrate, options->check, err) &&
		store_sqlite_take_clock(sqlite, options->read_only, err) && trust_ourselves(sqlite, err);
	sqlite3_busy_timeout(sqlite->db, 0);
	store_sqlite_fair_thank(sqlite);
	sqlite->busy_since_s = 0;
	return ok;
}

struct store *store_sqlite_open(const char *rest, const struct store_options *options, struct error *err)
{
	struct store_sqlite *sqlite;

	if (strncmp(rest, "///", 3) != 0 || rest[3] == '\0') {
		error_set(err, ERROR_INVALID, "store: expected sqlite:///PATH with an absolute path, found \"sqlite:%s\"",
			rest);
		return NULL;
	}
	/* Nobody asks what SQLite has allocated, and to count it costs a lock each time.  Refused once SQLite is in use. */
	sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
	/* Pages of the cache are allocated as they come, not twenty of them at once. */
	sqlite3_config(SQLITE_CONFIG_PAGECACHE, NULL, 0, 0);
	sqlite = xnew(struct store_sqlite);
	store_init(&sqlite->store, &ops, options, "store");
	sqlite->rows.ops = rows_ops();
	sqlite->path = xstrdup(rest + 2);
	sqlite->fair_fd = -1;
	store_sqlite_read_init(sqlite);
	store_sqlite_commit_init(sqlite);
	if (open_database(sqlite, options, err) &&
		(options->loop == NULL || options->read_only || store_sqlite_commit_open(sqlite, err)))
		return &sqlite->store;
	sqlite_close(&sqlite->store);
	return NULL;
}
