/* SPDX-License-Identifier: Apache-2.0 */
/* exec_process_spawn.c - starts a shim and forgets it.
 *
 * posix_spawn(3) shares our memory until the exec, so a large worker starts one as fast as a small one.
 * The shim forks at once and its first process ends; that one we reap.  All signals are blocked from
 * its first instruction on, so none that is meant for the command can kill it before it listens. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/descriptor.h"
#include "base/mem.h"
#include "exec/exec_process.h"

#ifndef P_PIDFD
#define P_PIDFD 3
#endif

struct process_child {
	struct list link;               /* exec_process.children */
	struct exec_process *exec;
	pid_t pid;
	ev_io ended;
};

static void child_free(struct process_child *child)
{
	ev_io_stop(child->exec->face.env.loop, &child->ended);
	list_remove(&child->link);
	close(child->ended.fd);
	free(child);
}

static void reap(pid_t pid)
{
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

static void on_ended(struct ev_loop *loop, ev_io *io, int revents)
{
	struct process_child *child = container_of(io, struct process_child, ended);

	(void)loop;
	(void)revents;
	reap(child->pid);
	child_free(child);
}

/* It ends as soon as it has forked: waiting for it is the way out when it cannot be watched. */
static void reap_later(struct exec_process *exec, pid_t pid)
{
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);
	struct process_child *child;

	if (fd < 0) {
		reap(pid);
		return;
	}
	child = xnew(struct process_child);
	child->exec = exec;
	child->pid = pid;
	list_append(&exec->children, &child->link);
	ev_io_init(&child->ended, on_ended, fd, EV_READ);
	ev_io_start(exec->face.env.loop, &child->ended);
}

void process_children_finish(struct exec_process *exec)
{
	while (!list_empty(&exec->children)) {
		struct process_child *child = list_first(&exec->children, struct process_child, link);

		reap(child->pid);
		child_free(child);
	}
}

/* Moves a descriptor out of the way of the shim's numbers. */
static int above(int fd)
{
	return fcntl(fd, F_DUPFD_CLOEXEC, 16);
}

static int place(posix_spawn_file_actions_t *actions, const int fds[SHIM_FDS])
{
	int failed = 0;

	for (int i = 0; i < SHIM_FDS && failed == 0; i++)
		failed = posix_spawn_file_actions_adddup2(actions, fds[i], i);
	return failed;
}

static bool spawn(struct exec_process *exec, const char *job, const int fds[SHIM_FDS], struct error *err)
{
	char *argv[] = { (char *)"gantry-shim", (char *)job, NULL };
	char *envp[] = { NULL };
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t all;
	pid_t pid;
	int failed;

	sigfillset(&all);
	posix_spawn_file_actions_init(&actions);
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setsigmask(&attributes, &all);
	posix_spawnattr_setsigdefault(&attributes, &all);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	failed = place(&actions, fds);
	if (failed == 0)
		failed = posix_spawn(&pid, exec->shim_path, &actions, &attributes, argv, envp);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&actions);
	if (failed == 0) {
		reap_later(exec, pid);
		return true;
	}
	errno = failed;
	error_set_errno(err, ERROR_TEMPORARY, "gantry-shim cannot be started");
	return false;
}

bool process_spawn(struct exec_process *exec, const char *job, const struct buf *call, int slot_fd, int *report_fd,
	struct error *err)
{
	int ends[2] = { -1, -1 };
	int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	int call_fd = descriptor_sealed_memory("shim", call->bytes, call->size, err);
	int fds[SHIM_FDS] = { -1, -1, -1, -1, -1, -1 };
	bool ok = false;

	*report_fd = -1;
	if (null_fd < 0 || (call_fd >= 0 && pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0))
		error_set_errno(err, ERROR_TEMPORARY, "gantry-shim: descriptors");
	else if (call_fd >= 0) {
		fds[0] = fds[1] = fds[2] = above(null_fd);
		fds[SHIM_REQUEST_FD] = above(call_fd);
		fds[SHIM_REPORT_FD] = above(ends[1]);
		fds[SHIM_SLOT_FD] = slot_fd >= 0 ? above(slot_fd) : fds[0];
		if (fds[0] < 0 || fds[SHIM_REQUEST_FD] < 0 || fds[SHIM_REPORT_FD] < 0 || fds[SHIM_SLOT_FD] < 0)
			error_set_errno(err, ERROR_TEMPORARY, "gantry-shim: descriptors");
		else
			ok = spawn(exec, job, fds, err);
	}
	if (ok) {
		*report_fd = ends[0];
		ends[0] = -1;
	}
	if (slot_fd >= 0)
		descriptor_close(&fds[SHIM_SLOT_FD]);
	descriptor_close(&fds[0]);
	descriptor_close(&fds[SHIM_REQUEST_FD]);
	descriptor_close(&fds[SHIM_REPORT_FD]);
	descriptor_close(&ends[0]);
	descriptor_close(&ends[1]);
	descriptor_close(&call_fd);
	descriptor_close(&null_fd);
	return ok;
}
