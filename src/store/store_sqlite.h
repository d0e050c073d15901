/* SPDX-License-Identifier: Apache-2.0 */
/* store_sqlite.h - between the files of the SQLite store.
 *
 *      store_sqlite.c          opening, closing
 *      store_sqlite_schema.c   version, migrating, integrity
 *      store_sqlite_versions.c the schema, version by version
 *      store_sqlite_clock.c    what time it is
 *      store_sqlite_read.c     what only reads
 *      store_sqlite_commit.c   one commit for all that is asked in a turn or during a sync, busy
 *      store_sqlite_sync.c     what was committed is made durable
 *      store_sqlite_checkpoint.c   the log is copied back
 *      store_sqlite_fair.c     no writer waits for ever
 *      store_sqlite_sql.c      every statement, prepared once
 *      store_sqlite_rows.c     row <-> struct job
 *      store_sqlite_ours.c     an owner's usual moves
 *      store_sqlite_turn.c     who is next, locks, owners
 *      store_sqlite_crash.c    crashes of workers
 *      store_sqlite_bucket.c   rates
 *      store_sqlite_outbox.c   deliveries */
#ifndef STORE_STORE_SQLITE_H
#define STORE_STORE_SQLITE_H

#include <ev.h>
#include <sqlite3.h>

#include "store/store_batch.h"
#include "store/store_impl.h"
#include "store/store_rows.h"
#include "store/store_sqlite_sql.h"
#include "store/store_thread.h"

struct store_sqlite_sync {
	struct store_thread thread;
	int log_fd;                     /* -1: none */
	int failure;                    /* errno of the last sync; 0: all that was committed before it is durable */
	bool doubtful;                  /* the last one failed */
	double began_s;                 /* monotonic */
	double slow_s;                  /* monotonic; of the last word about a slow disk; 0: none yet */
};

struct store_sqlite_checkpoint {
	ev_timer time;                  /* active when the log is long enough to be copied */
	struct store_thread thread;
	double forced_s;                /* the thread's: monotonic, of the last try to have the whole log copied */
	double failed_s;                /* monotonic; of the last word about a failure; 0: none yet */
	int code;                       /* SQLite's, of the last checkpoint */
};

struct store_sqlite {
	struct store store;
	struct store_rows rows;
	struct store_batch batch, reads;
	char *path;
	sqlite3 *db;
	sqlite3_stmt *prepared[SQL_STATEMENTS]; /* NULL until first used */
	struct store_sqlite_sync sync;
	struct store_sqlite_checkpoint checkpoint;
	struct list committed;          /* the calls of the commit that is being synced */
	bool unsynced;                  /* ours or others' commits may not be durable yet, as far as we have seen */
	uint32_t version;               /* of the data, when our last transaction ended; any commit changes it */
	double busy_since_s;            /* monotonic; 0: the last try found the lock free */
	double read_busy_since_s;       /* likewise, of reading */
	enum { CRASHES_UNKNOWN, CRASHES_NONE, CRASHES_SOME } crashes;   /* are there any; known within a transaction */
	int fair_fd;                    /* -1: none */
	bool asking;                    /* for a turn, as we have waited long */
	int failure;                    /* SQLite's primary code of the last failure */
	bool obeys_triggers;            /* they count who has ended; else we do */
	bool apart;                     /* one of the waiting calls fails, and is to fail alone */
};

/* -- store_sqlite.c -- */
/* What the database said last, as our kind of error. */
void store_sqlite_error(struct store_sqlite *sqlite, struct error *err, const char *doing);

/* -- store_sqlite_versions.c -- */
struct store_sqlite_migration {
	const char *sql;                /* from the version that is its place in the list to the next */
};
extern const struct store_sqlite_migration store_sqlite_migrations[];
extern const int store_sqlite_version;

/* -- store_sqlite_schema.c -- */
/* Brings the schema to version, each step in a transaction of its own. */
bool store_sqlite_migrate(struct store_sqlite *sqlite, const struct store_sqlite_migration *migrations, int version,
	struct error *err);
/* Whether this is a store of ours, of the version we write; with migrate makes it one.  Looks for damage
 * before it changes the schema, and when check is set. */
bool store_sqlite_check_schema(struct store_sqlite *sqlite, bool migrate, bool check, struct error *err);

/* -- store_sqlite_clock.c -- */
/* Makes the steady clock of this process the store's. */
bool store_sqlite_take_clock(struct store_sqlite *sqlite, bool read_only, struct error *err);

/* -- store_sqlite_read.c -- */
void store_sqlite_read_init(struct store_sqlite *sqlite);

/* -- store_sqlite_commit.c -- */
void store_sqlite_commit_init(struct store_sqlite *sqlite);
/* Once the database is open: from now on commits are made durable here, and the log is kept short. */
bool store_sqlite_commit_open(struct store_sqlite *sqlite, struct error *err);
void store_sqlite_commit_finish(struct store_sqlite *sqlite);

/* -- store_sqlite_sync.c -- */
void store_sqlite_sync_init(struct store_sqlite *sqlite, store_thread_fn *done);
/* From now on COMMIT does not sync. */
bool store_sqlite_sync_open(struct store_sqlite *sqlite, struct error *err);
void store_sqlite_sync_start(struct store_sqlite *sqlite);
/* To be asked once after each: whether all that was committed before it is durable.  If not it was committed all the
 * same, and the others see it. */
bool store_sqlite_sync_ended(struct store_sqlite *sqlite, struct error *err);
/* To be called in each transaction that writes.  Once a sync has failed the kernel may have given up what it could not
 * write, and the next sync would not fail any more: so all of the log is written again first, as the kernel still
 * has it.  Only who has the write lock may do so. */
bool store_sqlite_sync_renew(struct store_sqlite *sqlite, struct error *err);
/* Waits for a sync that is under way. */
void store_sqlite_sync_finish(struct store_sqlite *sqlite);

/* -- store_sqlite_checkpoint.c -- */
void store_sqlite_checkpoint_init(struct store_sqlite *sqlite);
/* How long the log is. */
void store_sqlite_checkpoint_note(struct store_sqlite *sqlite, int pages);
/* Whether one is under way or will be soon. */
bool store_sqlite_checkpoint_due(const struct store_sqlite *sqlite);
/* Waits for one that is under way. */
void store_sqlite_checkpoint_finish(struct store_sqlite *sqlite);

/* -- store_sqlite_fair.c -- */
/* Makes the file if it is not there and we may. */
void store_sqlite_fair_open(struct store_sqlite *sqlite);
void store_sqlite_fair_close(struct store_sqlite *sqlite);
/* Asks all other writers to pause after their commits, until it is taken back. */
void store_sqlite_fair_ask(struct store_sqlite *sqlite);
void store_sqlite_fair_thank(struct store_sqlite *sqlite);
/* Whether another one asks. */
bool store_sqlite_fair_asked(const struct store_sqlite *sqlite);

/* -- triggers; store_sqlite_schema.c -- */
bool store_sqlite_obey_triggers(struct store_sqlite *sqlite, bool obey, struct error *err);
/* To be called in each transaction that writes.  A newer gantry may have changed the schema since it was opened, and
 * says by triggers what our statements don't know of: from then on they are obeyed. */
bool store_sqlite_obey_newer(struct store_sqlite *sqlite, struct error *err);

/* -- the rows' operations -- */
struct store_sqlite *store_sqlite_of(struct store_rows *rows);
/* Reads the row that a SQL_*_ROW statement stands on. */
struct store_row *store_sqlite_read_row(sqlite3_stmt *statement);
/* The first row of a query, or NULL. */
bool store_sqlite_one_row(struct store_sqlite *sqlite, sqlite3_stmt *statement, struct store_row **row,
	struct error *err);
/* All rows of a query. */
bool store_sqlite_all_rows(struct store_sqlite *sqlite, sqlite3_stmt *statement, struct store_row ***found,
	size_t *count, struct error *err);
/* The first column of the first row of a query; 0 for none. */
bool store_sqlite_one_integer(struct store_sqlite *sqlite, sqlite3_stmt *statement, int64_t *integer,
	struct error *err);
/* The job's attempt becomes, starts or ends as it says; its row is the caller's. */
bool store_sqlite_write_attempt(struct store_sqlite *sqlite, const struct job *job, struct error *err);
bool store_sqlite_start_attempt(struct store_sqlite *sqlite, const struct job *job, struct error *err);
/* So many more jobs have ended in this state. */
bool store_sqlite_count_ended(struct store_sqlite *sqlite, enum job_state state, int more, struct error *err);
bool store_sqlite_end_attempt(struct store_sqlite *sqlite, const struct job *job, const struct store_attempt_end *end,
	struct error *err);
void store_sqlite_rows_ops(struct store_rows_ops *ops);
void store_sqlite_ours_ops(struct store_rows_ops *ops);
void store_sqlite_turn_ops(struct store_rows_ops *ops);
void store_sqlite_crash_ops(struct store_rows_ops *ops);
void store_sqlite_bucket_ops(struct store_rows_ops *ops);
void store_sqlite_outbox_ops(struct store_rows_ops *ops);
void store_sqlite_read_ops(struct store_rows_ops *ops);

#endif
