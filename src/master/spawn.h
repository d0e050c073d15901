/* SPDX-License-Identifier: Apache-2.0 */
/* spawn.h - starts a program from a pinned descriptor.  How, not when.
 *
 * The child has default signal dispositions, an empty mask, a process group of its own, and no
 * descriptor but those it was given. */
#ifndef MASTER_SPAWN_H
#define MASTER_SPAWN_H

#include <stddef.h>
#include <sys/types.h>

#include "base/error.h"
#include "master/privileges.h"

enum {
	SPAWN_FAILED_STATUS = 125,      /* exit status of a child that never became the program */
	LIMIT_SPAWN_FDS = 32,
};

struct spawn {
	int program_fd;                 /* O_PATH */
	char *const *argv;
	char *const *environment;
	const struct identity *become;  /* NULL: stay */
	int fds[LIMIT_SPAWN_FDS];       /* fds[n] is the child's descriptor n */
	size_t fd_count;
	int report_fd;                  /* the child's descriptor to report a failure on; -1: to stderr */
};

/* Gives the child one more descriptor; its number there, or -1 when fd is -1. */
int spawn_hand(struct spawn *spawn, int fd);
/* The pid, or -1. */
pid_t spawn(const struct spawn *spawn, struct error *err);
/* Opens a program for later starts: what is at its path may change meanwhile. */
int spawn_pin(const char *path, struct error *err);

#endif
