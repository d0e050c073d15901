/* SPDX-License-Identifier: Apache-2.0 */
/* store_sqlite_checkpoint.c - the log is copied back into the database before it grows too long: by a thread, with a
 * connection of its own, as it costs two syncs and more writing than many commits.  So not by whichever commit
 * passes the mark (wal_autocheckpoint). */
#include "base/clock.h"
#include "base/random.h"
#include "store/store_sqlite.h"

enum {
	CHECKPOINT_PAGES = 1000,        /* length of the log that makes a checkpoint worth its syncs */
	LONG_LOG_PAGES = 4000,          /* and this one makes it worth to keep the writers out */
	FORCE_WAIT_MS = 50,             /* how long it waits for them, and for readers */
	FORCE_PAUSE_S = 1,
	FAILED_AGAIN_S = 60,            /* that it failed is said so often at most */
};

/* -- in the thread ------------------------------------------------------------------------------- */

/* The connection knows of the log once it has read.  It is not the last one when it closes, and need not try whether
 * it is. */
static int open_own(struct store_sqlite *sqlite, sqlite3 **db)
{
	int code = sqlite3_open_v2(sqlite->path, db, SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_READWRITE, NULL);

	if (code == SQLITE_OK)
		code = sqlite3_db_config(*db, SQLITE_DBCONFIG_LOOKASIDE, NULL, 0, 0);
	if (code == SQLITE_OK)
		code = sqlite3_db_config(*db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	if (code == SQLITE_OK)
		code = sqlite3_exec(*db, "PRAGMA user_version", NULL, NULL, NULL);
	return code;
}

/* Where others never pause, something is always written while the log is being copied, so that it is never
 * copied as a whole, never starts over, and grows without end.  So the last of it is copied with the
 * writers kept out, ours among them: for so long only, and seldom. */
static int force(struct store_sqlite_checkpoint *checkpoint, sqlite3 *db)
{
	double now_s = clock_monotonic_s();

	if (now_s - checkpoint->forced_s < FORCE_PAUSE_S)
		return SQLITE_OK;
	checkpoint->forced_s = now_s;
	sqlite3_busy_timeout(db, FORCE_WAIT_MS);
	return sqlite3_wal_checkpoint_v2(db, NULL, SQLITE_CHECKPOINT_RESTART, NULL, NULL);
}

/* The connection does not stay: it would keep the memory that it needs for this. */
static void copy_log(struct store_thread *thread)
{
	struct store_sqlite_checkpoint *checkpoint = container_of(thread, struct store_sqlite_checkpoint, thread);
	sqlite3 *db = NULL;
	int pages = 0;
	int code = open_own(container_of(checkpoint, struct store_sqlite, checkpoint), &db);

	if (code == SQLITE_OK)
		code = sqlite3_wal_checkpoint_v2(db, NULL, SQLITE_CHECKPOINT_PASSIVE, &pages, NULL);
	if (code == SQLITE_OK && pages >= LONG_LOG_PAGES)
		code = force(checkpoint, db);
	sqlite3_close(db);
	checkpoint->code = code;
}

/* -- in the loop --------------------------------------------------------------------------------- */

static void note_failure(struct store_sqlite *sqlite)
{
	struct store_sqlite_checkpoint *checkpoint = &sqlite->checkpoint;
	double now_s = clock_monotonic_s();

	if (checkpoint->failed_s != 0 && now_s - checkpoint->failed_s < FAILED_AGAIN_S)
		return;
	checkpoint->failed_s = now_s;
	log_warn(&sqlite->store.log, "%s: cannot shorten the log, which goes on growing: %s; tried again after the next commits",
		sqlite->path, sqlite3_errstr(checkpoint->code));
}

static void on_copied(struct store_thread *thread)
{
	struct store_sqlite_checkpoint *checkpoint = container_of(thread, struct store_sqlite_checkpoint, thread);
	struct store_sqlite *sqlite = container_of(checkpoint, struct store_sqlite, checkpoint);

	ev_ref(sqlite->store.loop);
	/* Busy: another process is at it.  The next commit asks again. */
	if (checkpoint->code != SQLITE_OK && (checkpoint->code & 0xff) != SQLITE_BUSY)
		note_failure(sqlite);
}

/* A loop that has nothing else left to do need not stay for the timer, nor for the thread. */
static void on_time(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct store_sqlite_checkpoint *checkpoint = container_of(timer, struct store_sqlite_checkpoint, time);

	(void)loop;
	(void)revents;
	store_thread_start(&checkpoint->thread);
}

void store_sqlite_checkpoint_init(struct store_sqlite *sqlite)
{
	ev_init(&sqlite->checkpoint.time, on_time);
	store_thread_init(&sqlite->checkpoint.thread, sqlite->store.loop, copy_log, on_copied);
}

/* Pending: its time has come, and a commit is made before it is its turn in the loop. */
bool store_sqlite_checkpoint_due(const struct store_sqlite *sqlite)
{
	const ev_timer *time = &sqlite->checkpoint.time;

	return ev_is_active(time) || ev_is_pending(time) || sqlite->checkpoint.thread.busy;
}

/* Every process sees the same long log; the jitter lets the first of them do it for all. */
void store_sqlite_checkpoint_note(struct store_sqlite *sqlite, int pages)
{
	if (pages < CHECKPOINT_PAGES || store_sqlite_checkpoint_due(sqlite))
		return;
	ev_timer_set(&sqlite->checkpoint.time, 0.01 + 0.04 * random_unit(), 0);
	ev_timer_start(sqlite->store.loop, &sqlite->checkpoint.time);
	ev_unref(sqlite->store.loop);
}

void store_sqlite_checkpoint_finish(struct store_sqlite *sqlite)
{
	if (store_sqlite_checkpoint_due(sqlite))
		ev_ref(sqlite->store.loop);
	if (sqlite->store.loop != NULL)
		ev_timer_stop(sqlite->store.loop, &sqlite->checkpoint.time);
	store_thread_finish(&sqlite->checkpoint.thread);
}
