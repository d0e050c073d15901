/* SPDX-License-Identifier: Apache-2.0 */
/* store_sqlite_fair.c - a writer that has waited long for its turn at the database gets one.
 *
 * SQLite hands its write lock to whoever asks at the right moment, and a process that never pauses asks
 * again right after each commit.  Where the disk is slow one who asks every few milliseconds may so wait
 * for minutes.  So who has waited too long puts a shared lock on a file beside the database, and a
 * writer that finds one there after its commit lets some time pass before its next.  The lock goes with
 * the process that holds it; without the file all works as before, only unfairly.
 *
 * The file is another one, as the database's own locks would go when any descriptor of it is closed. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/descriptor.h"
#include "base/mem.h"
#include "store/store_sqlite.h"

/* fcntl(2), "Open file description locks": never waited for here. */
static bool set_lock(const struct store_sqlite *sqlite, short type)
{
	struct flock lock = { .l_type = type, .l_whence = SEEK_SET, .l_len = 1 };

	return fcntl(sqlite->fair_fd, F_OFD_SETLK, &lock) == 0;
}

/* root came first, with gantryctl maybe; the workers are to use it, too. */
static void give_to_owner(const struct store_sqlite *sqlite)
{
	struct stat database;

	if (stat(sqlite->path, &database) != 0 || fchown(sqlite->fair_fd, database.st_uid, database.st_gid) != 0)
		log_warn(&sqlite->store.log, "%s-turn is not the database's owner's", sqlite->path);
}

void store_sqlite_fair_open(struct store_sqlite *sqlite)
{
	char *path = xasprintf("%s-turn", sqlite->path);

	sqlite->fair_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (sqlite->fair_fd < 0)
		log_warn(&sqlite->store.log, "%s cannot be opened: %s; writers wait for their turns unfairly", path,
			strerror(errno));
	else if (geteuid() == 0)
		give_to_owner(sqlite);
	free(path);
}

void store_sqlite_fair_close(struct store_sqlite *sqlite)
{
	descriptor_close(&sqlite->fair_fd);
}

void store_sqlite_fair_ask(struct store_sqlite *sqlite)
{
	if (sqlite->fair_fd >= 0 && !sqlite->asking)
		sqlite->asking = set_lock(sqlite, F_RDLCK);
}

void store_sqlite_fair_thank(struct store_sqlite *sqlite)
{
	if (sqlite->asking)
		set_lock(sqlite, F_UNLCK);
	sqlite->asking = false;
}

bool store_sqlite_fair_asked(const struct store_sqlite *sqlite)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1 };

	return sqlite->fair_fd >= 0 && fcntl(sqlite->fair_fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}
