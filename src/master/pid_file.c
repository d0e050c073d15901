/* SPDX-License-Identifier: Apache-2.0 */
/* pid_file.c - see pid_file.h. */
#include "master/pid_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/descriptor.h"
#include "base/mem.h"

enum { PID_FILE_TEXT_BYTES = 16, PID_FILE_TRIES = 10 };

static long read_pid(int fd)
{
	char text[PID_FILE_TEXT_BYTES];
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);

	text[n > 0 ? n : 0] = '\0';
	return strtol(text, NULL, 10);
}

static void say_who(int fd, const char *path, struct error *err)
{
	long pid = read_pid(fd);

	if (pid > 0)
		error_set(err, ERROR_REFUSED, "%s is locked by process %ld: gantryd is already running", path, pid);
	else
		error_set(err, ERROR_REFUSED, "%s is locked: another gantryd is starting or stopping", path);
}

/* Somebody may have removed the file between our open and our lock: then we hold a lock that nobody
 * else can see. */
static bool still_there(int fd, const char *path)
{
	struct stat ours, theirs;

	return fstat(fd, &ours) == 0 && stat(path, &theirs) == 0 && ours.st_dev == theirs.st_dev &&
		ours.st_ino == theirs.st_ino;
}

static int lock(const char *path, struct error *err)
{
	for (int i = 0; i < PID_FILE_TRIES; i++) {
		int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY, 0644);

		if (fd < 0) {
			error_set_errno(err, ERROR_REFUSED, "pid file %s", path);
			return -1;
		}
		if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
			if (errno == EWOULDBLOCK)
				say_who(fd, path, err);
			else
				error_set_errno(err, ERROR_REFUSED, "locking pid file %s", path);
			descriptor_close(&fd);
			return -1;
		}
		if (still_there(fd, path))
			return fd;
		descriptor_close(&fd);
	}
	error_set(err, ERROR_TEMPORARY, "pid file %s keeps disappearing", path);
	return -1;
}

bool pid_file_take(struct pid_file *file, const char *path, pid_t pid, struct error *err)
{
	char text[PID_FILE_TEXT_BYTES];
	int length = snprintf(text, sizeof(text), "%d\n", (int)pid);

	*file = (struct pid_file){ .fd = -1 };
	file->fd = lock(path, err);
	if (file->fd < 0)
		return false;
	/* Written over, then cut: a reader never finds it empty. */
	if (fchmod(file->fd, 0644) != 0 || pwrite(file->fd, text, (size_t)length, 0) != length ||
	    ftruncate(file->fd, length) != 0) {
		error_set_errno(err, ERROR_REFUSED, "writing pid file %s", path);
		descriptor_close(&file->fd);
		return false;
	}
	file->path = xstrdup(path);
	return true;
}

void pid_file_inherit(struct pid_file *file, const char *path, int fd)
{
	file->path = xstrdup(path);
	file->fd = fd;
}

void pid_file_release(struct pid_file *file)
{
	if (file->path == NULL)
		return;
	/* Still locked, so nobody else's number can be cut off. */
	if (ftruncate(file->fd, 0) != 0)
		error_set_errno(NULL, ERROR_TEMPORARY, "emptying %s", file->path);
	descriptor_close(&file->fd);
	free(file->path);
	file->path = NULL;
}
