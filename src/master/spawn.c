/* SPDX-License-Identifier: Apache-2.0 */
/* spawn.c - see spawn.h.
 *
 * Every signal is blocked around fork(2): one that came in between would be swallowed by a handler
 * of the master's in the child. */
#include "master/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/descriptor.h"
#include "base/log.h"
#include "ipc/report.h"
#include "master/signals.h"

int spawn_pin(const char *path, struct error *err)
{
	int fd = open(path, O_PATH | O_CLOEXEC);
	struct stat st;

	if (fd < 0) {
		error_set_errno(err, ERROR_REFUSED, "%s", path);
		return -1;
	}
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) ||
	    faccessat(fd, "", X_OK, AT_EMPTY_PATH | AT_EACCESS) != 0) {
		error_set(err, ERROR_REFUSED, "%s: not an executable file", path);
		descriptor_close(&fd);
	}
	return fd;
}

/* Says why, to whoever listens, and ends the child.  Before the descriptors are in their places their
 * numbers are still those of the master's own. */
static void fail(const struct spawn *spawn, bool placed, const char *what, const char *why)
{
	int place = spawn->report_fd >= 0 ? spawn->report_fd : STDERR_FILENO;
	int fd = placed ? place : spawn->fds[place];
	struct report report;

	report_init(&report, REPORT_REFUSED, 0);
	snprintf(report.text, sizeof(report.text), "%s: %s: %s", spawn->argv[0], what, why);
	if (spawn->report_fd >= 0)
		report_send(fd, &report, -1);
	else
		dprintf(fd, "%s\n", report.text);
	_exit(SPAWN_FAILED_STATUS);
}

/* First all of them out of the way, then each to its place, as a place may be in use by another. */
static bool move_away(const struct spawn *spawn, int moved[LIMIT_SPAWN_FDS], int *program_fd)
{
	int above = (int)spawn->fd_count;

	for (size_t i = 0; i < spawn->fd_count; i++) {
		moved[i] = fcntl(spawn->fds[i], F_DUPFD_CLOEXEC, above);
		if (moved[i] < 0)
			return false;
	}
	*program_fd = fcntl(spawn->program_fd, F_DUPFD_CLOEXEC, above);
	return *program_fd >= 0;
}

static bool put_in_place(const struct spawn *spawn, const int moved[LIMIT_SPAWN_FDS])
{
	for (size_t i = 0; i < spawn->fd_count; i++) {
		if (dup2(moved[i], (int)i) < 0)
			return false;
	}
	/* They were opened close-on-exec; this is for those that a library forgot. */
	syscall(SYS_close_range, (unsigned)spawn->fd_count, ~0U, CLOSE_RANGE_CLOEXEC);
	return true;
}

static void become_program(const struct spawn *spawn)
{
	int moved[LIMIT_SPAWN_FDS];
	struct error err;
	int program_fd;

	signals_reset();
	setpgid(0, 0);
	if (!move_away(spawn, moved, &program_fd))
		fail(spawn, false, "descriptors", strerror(errno));
	if (!put_in_place(spawn, moved))
		fail(spawn, true, "descriptors", strerror(errno));
	if (spawn->become != NULL && geteuid() == 0 && !identity_become(spawn->become, &err))
		fail(spawn, true, "privileges", err.text);
	syscall(SYS_execveat, program_fd, "", spawn->argv, spawn->environment, AT_EMPTY_PATH);
	fail(spawn, true, "cannot be executed", strerror(errno));
}

int spawn_hand(struct spawn *spawn, int fd)
{
	if (fd < 0)
		return -1;
	if (spawn->fd_count == LIMIT_SPAWN_FDS)
		panic("a child is handed more than %d descriptors", LIMIT_SPAWN_FDS);
	spawn->fds[spawn->fd_count] = fd;
	return (int)spawn->fd_count++;
}

pid_t spawn(const struct spawn *spawn, struct error *err)
{
	sigset_t all, before;
	pid_t pid;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	pid = fork();
	if (pid == 0)
		become_program(spawn);
	if (pid < 0)
		error_set_errno(err, ERROR_TEMPORARY, "%s: fork", spawn->argv[0]);
	sigprocmask(SIG_SETMASK, &before, NULL);
	return pid;
}
