/* SPDX-License-Identifier: Apache-2.0 */
/* store_sqlite_sync.c - what was committed is made durable: a thread syncs the log.
 *
 * With synchronous=FULL SQLite would do it inside of COMMIT, with the write lock held, so that all processes wait for
 * the disk one behind the other, and with our loop standing still.  With NORMAL COMMIT only writes.  The log is
 * one file for all and is read back from its front, so one sync takes in all that was committed before it began:
 * whoever acts on what another has committed syncs that with his own.  When the log starts over, all that
 * was in it is in the database: SQLite syncs both before (NORMAL, too), and the log's new head and, the first time,
 * its place in the directory.
 *
 * The descriptor is our own.  To close it takes no lock of the database away: SQLite's are on the database and on
 * its -shm, never on the log.  And as it was open by then it hears of each failure of the disk; who opens the log later
 * does not.  The log stays the same file while our connection is open: only the last one to close
 * removes it, when it has the database alone. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/descriptor.h"
#include "store/store_sqlite.h"

enum {
	SLOW_S = 1,                     /* what is said of a sync that takes longer, */
	SLOW_AGAIN_S = 60,              /* so often at most */
	RENEW_BYTES = 16 << 10,         /* written again at once */
};

static void sync_log(struct store_thread *thread)
{
	struct store_sqlite_sync *sync = container_of(thread, struct store_sqlite_sync, thread);

	/* EINTR: a file system in user space may say so; nothing was lost by it. */
	do {
		sync->failure = fdatasync(sync->log_fd) == 0 ? 0 : errno;
	} while (sync->failure == EINTR);
}

void store_sqlite_sync_init(struct store_sqlite *sqlite, store_thread_fn *done)
{
	sqlite->sync.log_fd = -1;
	store_thread_init(&sqlite->sync.thread, sqlite->store.loop, sync_log, done);
}

bool store_sqlite_sync_open(struct store_sqlite *sqlite, struct error *err)
{
	const char *path = sqlite3_filename_wal(sqlite3_db_filename(sqlite->db, NULL));

	sqlite->sync.log_fd = open(path, O_RDWR | O_CLOEXEC);
	if (sqlite->sync.log_fd < 0)
		error_set_errno(err, ERROR_REFUSED, "store: cannot open %s", path);
	else if (sqlite3_exec(sqlite->db, "PRAGMA synchronous = NORMAL", NULL, NULL, NULL) == SQLITE_OK)
		return true;
	else
		store_sqlite_error(sqlite, err, "cannot set up");
	return false;
}

void store_sqlite_sync_start(struct store_sqlite *sqlite)
{
	sqlite->sync.began_s = clock_monotonic_s();
	store_thread_start(&sqlite->sync.thread);
}

static void note_slow(struct store_sqlite *sqlite)
{
	struct store_sqlite_sync *sync = &sqlite->sync;
	double now_s = clock_monotonic_s();

	if (now_s - sync->began_s < SLOW_S || (sync->slow_s != 0 && now_s - sync->slow_s < SLOW_AGAIN_S))
		return;
	sync->slow_s = now_s;
	log_warn(&sqlite->store.log, "%s: the disk took %.1f s to make a commit durable; what is next waits so long",
		sqlite->path, now_s - sync->began_s);
}

bool store_sqlite_sync_ended(struct store_sqlite *sqlite, struct error *err)
{
	struct store_sqlite_sync *sync = &sqlite->sync;

	note_slow(sqlite);
	sync->doubtful = sync->failure != 0;
	if (!sync->doubtful)
		return true;
	errno = sync->failure;
	error_set_errno(err, ERROR_TEMPORARY, "store: %s: a commit could not be made durable", sqlite->path);
	return false;
}

bool store_sqlite_sync_renew(struct store_sqlite *sqlite, struct error *err)
{
	int fd = sqlite->sync.log_fd;
	char bytes[RENEW_BYTES];
	off_t at = 0;
	ssize_t got;

	if (!sqlite->sync.doubtful)
		return true;
	while ((got = pread(fd, bytes, sizeof(bytes), at)) > 0) {
		ssize_t put = pwrite(fd, bytes, (size_t)got, at);

		if (put <= 0) {
			got = -1;
			break;
		}
		at += put;
	}
	if (got < 0)
		error_set_errno(err, ERROR_TEMPORARY, "store: %s: the log cannot be written again", sqlite->path);
	return got == 0;
}

void store_sqlite_sync_finish(struct store_sqlite *sqlite)
{
	store_thread_finish(&sqlite->sync.thread);
	descriptor_close(&sqlite->sync.log_fd);
}
