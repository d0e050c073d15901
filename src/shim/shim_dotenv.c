/* SPDX-License-Identifier: Apache-2.0 */
/* shim_dotenv.c - a deployment's variables as a .env file: whole or not at all, and its owner's alone.
 *
 * It is written by the user that the command runs as, in the directory that it runs in, so nobody
 * gets a file at a place that he could not write to himself. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shim/shim.h"

static bool write_lines(int fd, const struct shim_words *lines)
{
	for (size_t i = 0; i < lines->count; i++) {
		const char *at = lines->at[i];
		size_t left = strlen(at);

		while (left > 0) {
			ssize_t n = write(fd, at, left);

			if (n < 0 && errno == EINTR)
				continue;
			if (n < 0)
				return false;
			at += n;
			left -= (size_t)n;
		}
		if (write(fd, "\n", 1) != 1)
			return false;
	}
	return true;
}

const char *shim_dotenv_write(const char *path, const struct shim_words *lines)
{
	static char what[LIMIT_SHIM_TEXT_BYTES];
	char fresh[PATH_MAX];
	int fd, saved;

	snprintf(what, sizeof(what), "dotenv: %.400s", path);
	if (snprintf(fresh, sizeof(fresh), "%s.%ld.new", path, (long)getpid()) >= (int)sizeof(fresh)) {
		errno = ENAMETOOLONG;
		return what;
	}
	/* One that is there belongs to a process of our number that died over it. */
	unlink(fresh);
	fd = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return what;
	/* The umask took from the mode what it could not give. */
	if (fchmod(fd, 0600) == 0 && write_lines(fd, lines) && fsync(fd) == 0 && rename(fresh, path) == 0) {
		close(fd);
		return NULL;
	}
	saved = errno;
	close(fd);
	unlink(fresh);
	errno = saved;
	return what;
}
