/* SPDX-License-Identifier: Apache-2.0 */
/* full_disk.c - a preload that makes a disk full: while the file FULL_DISK exists, nothing more can be
 * written to files whose path begins with FULL_DISK_FILES.  While BAD_DISK exists they can be written, but what was
 * written does not get to the disk, as fdatasync(2) says. */
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool is_set(const char *name, int fd)
{
	const char *flag = getenv(name), *files = getenv("FULL_DISK_FILES");
	char link[64], path[PATH_MAX];
	ssize_t length;

	if (flag == NULL || files == NULL || access(flag, F_OK) != 0)
		return false;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	length = readlink(link, path, sizeof(path) - 1);
	if (length < 0)
		return false;
	path[length] = '\0';
	return strncmp(path, files, strlen(files)) == 0;
}

static void *next(const char *name)
{
	return dlsym(RTLD_NEXT, name);
}

ssize_t write(int fd, const void *bytes, size_t count)
{
	ssize_t (*real)(int, const void *, size_t) = (ssize_t (*)(int, const void *, size_t))next("write");

	if (is_set("FULL_DISK", fd)) {
		errno = ENOSPC;
		return -1;
	}
	return real(fd, bytes, count);
}

ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t at)
{
	ssize_t (*real)(int, const void *, size_t, off64_t) =
		(ssize_t (*)(int, const void *, size_t, off64_t))next("pwrite64");

	if (is_set("FULL_DISK", fd)) {
		errno = ENOSPC;
		return -1;
	}
	return real(fd, bytes, count, at);
}

int fdatasync(int fd)
{
	int (*real)(int) = (int (*)(int))next("fdatasync");

	if (is_set("BAD_DISK", fd)) {
		errno = EIO;
		return -1;
	}
	return real(fd);
}
