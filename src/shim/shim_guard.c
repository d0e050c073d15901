/* SPDX-License-Identifier: Apache-2.0 */
/* shim_guard.c - the command's process group, and who ends it when the shim cannot.
 *
 * A parent-death signal reaches only a child that has not become another user, and none of its
 * children.  So the group has a leader of its own, the guard: it waits on a pipe for the end of the shim
 * and then kills the group and itself in one call, which no fork in the group can slip through.  It
 * also pins the group's number while the shim lives, so that kill(2) can't hit a stranger.  It keeps
 * the lock and the slot: they are free only when the group is dead.  Stopping it helps nobody: the kernel
 * continues a stopped group that the shim's end has orphaned.
 *
 * What leaves the group by setsid(2) is a daemon that outlives the command.  Only when the deployment is
 * stopped, or has a cgroup, are these ended too. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shim/shim.h"

enum { LIMIT_CHILDREN_BYTES = 16 << 10 };

/* -- the cgroup ------------------------------------------------------------------------------- */

void shim_cgroup_make(struct shim *shim)
{
	shim->cgroup_fd = -1;
	if (shim->request.cgroup == NULL || (mkdir(shim->request.cgroup, 0755) != 0 && errno != EEXIST))
		return;
	shim->cgroup_fd = open(shim->request.cgroup, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (shim->cgroup_fd < 0 || faccessat(shim->cgroup_fd, "cgroup.procs", W_OK, AT_EACCESS) == 0)
		return;
	close(shim->cgroup_fd);
	shim->cgroup_fd = -1;
	rmdir(shim->request.cgroup);
}

void shim_cgroup_remove(struct shim *shim)
{
	if (shim->cgroup_fd < 0)
		return;
	close(shim->cgroup_fd);
	shim->cgroup_fd = -1;
	rmdir(shim->request.cgroup);
}

static size_t read_at(int directory_fd, const char *path, char *bytes, size_t size)
{
	int fd = openat(directory_fd, path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, bytes, size - 1) : -1;

	if (fd >= 0)
		close(fd);
	bytes[n > 0 ? n : 0] = '\0';
	return n > 0 ? (size_t)n : 0;
}

/* cgroup.kill is of Linux 5.14; before it each member gets the signal, until none is left. */
static void kill_cgroup(int cgroup_fd)
{
	char members[LIMIT_CHILDREN_BYTES];
	int fd;
	bool done;

	if (cgroup_fd < 0)
		return;
	fd = openat(cgroup_fd, "cgroup.kill", O_WRONLY | O_CLOEXEC);
	done = fd >= 0 && write(fd, "1", 1) == 1;
	if (fd >= 0)
		close(fd);
	if (done)
		return;
	for (int round = 0; round < 64 && read_at(cgroup_fd, "cgroup.procs", members, sizeof(members)) > 0; round++) {
		for (char *at = members; *at != '\0'; at += strcspn(at, "\n") + (at[strcspn(at, "\n")] != '\0'))
			kill((pid_t)strtol(at, NULL, 10), SIGKILL);
	}
}

/* -- signals ---------------------------------------------------------------------------------- */

/* Processes of another user listen only to him, unless we are root. */
static void kill_as(const struct shim_request *request, pid_t pid, int number)
{
	uid_t ours = geteuid();
	bool change = request->other_user && ours != 0 && seteuid(request->uid) == 0;

	kill(pid, number);
	if (change && seteuid(ours) != 0)
		_exit(1);
}

void shim_signal(const struct shim *shim, int number)
{
	if (number == SIGKILL)
		kill_cgroup(shim->cgroup_fd);
	if (shim->group > 0)
		kill_as(&shim->request, -shim->group, number);
}

/* Calls back for each child of ours; false when the kernel does not list them. */
static bool each_child(const struct shim *shim, void (*found)(const struct shim *shim, pid_t pid, void *arg), void *arg)
{
	char path[64], pids[LIMIT_CHILDREN_BYTES];
	char *end;

	snprintf(path, sizeof(path), "/proc/self/task/%ld/children", (long)getpid());
	if (access(path, R_OK) != 0)
		return false;
	read_at(AT_FDCWD, path, pids, sizeof(pids));
	for (char *at = pids; *at != '\0'; at = end) {
		long pid = strtol(at, &end, 10);

		if (end == at || pid <= 0)
			break;
		if (pid != shim->guard)
			found(shim, (pid_t)pid, arg);
		end += *end == ' ';
	}
	return true;
}

static void signal_stray(const struct shim *shim, pid_t pid, void *arg)
{
	if (getpgid(pid) != shim->group)
		kill_as(&shim->request, pid, *(int *)arg);
}

void shim_signal_strays(const struct shim *shim, int number)
{
	each_child(shim, signal_stray, &number);
}

struct members { bool strays, any; };

static void count_member(const struct shim *shim, pid_t pid, void *arg)
{
	struct members *members = arg;

	if (members->strays || getpgid(pid) == shim->group)
		members->any = true;
}

bool shim_has_members(const struct shim *shim, bool strays)
{
	struct members members = { .strays = strays };
	char first[64];

	if (shim->cgroup_fd >= 0 && read_at(shim->cgroup_fd, "cgroup.procs", first, sizeof(first)) > 0)
		return true;
	each_child(shim, count_member, &members);
	return members.any;
}

/* -- the guard -------------------------------------------------------------------------------- */

/* An earlier guard's group, if it still has members, else one of its own. */
static void lead(pid_t pid, pid_t group)
{
	if (group <= 0 || setpgid(pid, group) != 0)
		setpgid(pid, 0);
}

static void guard(struct shim *shim, int pipe_fd, pid_t parent) __attribute__((noreturn));
static void guard(struct shim *shim, int pipe_fd, pid_t parent)
{
	char byte;
	ssize_t n;

	prctl(PR_SET_NAME, "gantry-guard");
	lead(0, shim->group);
	close(shim->guard_pipe);
	if (shim->report_fd >= 0)
		close(shim->report_fd);
	close(shim->log.write_end);
	close(shim->log.read_end);
	do
		n = read(pipe_fd, &byte, 1);
	while (n > 0 || (n < 0 && errno == EINTR));
	/* Before the group is ours alone, 0 would be the shim's, which is gone or about to go: no harm. */
	if (getppid() == parent && n < 0)
		_exit(1);
	kill_cgroup(shim->cgroup_fd);
	if (shim->request.other_user && geteuid() != 0 && setresuid((uid_t)-1, shim->request.uid, (uid_t)-1) != 0)
		_exit(1);
	kill(0, SIGKILL);
	_exit(0);
}

bool shim_guard_start(struct shim *shim)
{
	pid_t parent = getpid();
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) != 0)
		return false;
	if (shim->guard_pipe >= 0)
		close(shim->guard_pipe);
	shim->guard_pipe = ends[1];
	shim->guard = fork();
	if (shim->guard == 0)
		guard(shim, ends[0], parent);
	close(ends[0]);
	if (shim->guard < 0) {
		shim->guard = 0;
		return false;
	}
	lead(shim->guard, shim->group);
	shim->group = getpgid(shim->guard);
	return shim->group > 0;
}
