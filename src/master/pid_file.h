/* SPDX-License-Identifier: Apache-2.0 */
/* pid_file.h - one daemon per pid file.
 *
 * The lock says whether a daemon runs, the number in the file says which.  The file is written in
 * place and never renamed or removed, so that lock and number are of one file; its number means
 * nothing while nobody holds the lock.  flock(2), not fcntl(2): whoever only reads the file and
 * closes it would drop the latter. */
#ifndef MASTER_PID_FILE_H
#define MASTER_PID_FILE_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/error.h"

struct pid_file {
	char *path;             /* NULL: none */
	int fd;                 /* close-on-exec: a child that held it would hold the lock */
};

/* Locks the file, in a directory that is there, and writes our pid.  False when another holds it (the
 * text says who), or when it cannot be written. */
bool pid_file_take(struct pid_file *file, const char *path, pid_t pid, struct error *err);
/* Takes over the lock that came through an exec. */
void pid_file_inherit(struct pid_file *file, const char *path, int fd);
/* Empties the file and gives up the lock. */
void pid_file_release(struct pid_file *file);

#endif
