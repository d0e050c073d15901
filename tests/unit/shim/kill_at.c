/* SPDX-License-Identifier: Apache-2.0 */
/* kill_at.c - stands in for gantry-shim and kills the real one when it enters its nth system call.
 *
 * Called as the shim is, with "N:FILE" where the job's id would be.  The first process of the shim, which
 * only forks, goes free, and so do the guard and the command; the one that stays is counted from its
 * first system call on.  When it is killed, FILE gets "PID CALL"; when it lived longer there is no FILE. */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SYSCALL_STOP = SIGTRAP | 0x80 };

static void say(const char *file, const char *text)
{
	int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		_exit(EXIT_FAILURE);
	close(fd);
}

static void fail(const char *file, const char *what) __attribute__((noreturn));
static void fail(const char *file, const char *what)
{
	char text[256];

	snprintf(text, sizeof(text), "%s: %s", what, strerror(errno));
	say(file, text);
	_exit(EXIT_FAILURE);
}

static void become_shim(char *const argv[]) __attribute__((noreturn));
static void become_shim(char *const argv[])
{
	char self[PATH_MAX], path[PATH_MAX + 16];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	self[n > 0 ? n : 0] = '\0';
	snprintf(path, sizeof(path), "%s/plain_shim", dirname(self));
	if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
		_exit(EXIT_FAILURE);
	raise(SIGSTOP);
	execv(path, argv);
	_exit(EXIT_FAILURE);
}

static pid_t wait_stop(pid_t pid, int *status)
{
	pid_t found;

	do
		found = waitpid(pid, status, __WALL);
	while (found < 0 && errno == EINTR);
	return found;
}

static bool is_fork(int status)
{
	return status >> 8 == (SIGTRAP | PTRACE_EVENT_FORK << 8);
}

static pid_t forked(pid_t pid)
{
	unsigned long child = 0;

	ptrace(PTRACE_GETEVENTMSG, pid, NULL, &child);
	return (pid_t)child;
}

/* The first fork's child; its parent goes free. */
static pid_t find_shim(pid_t first, const char *file)
{
	int status;
	pid_t shim;

	if (wait_stop(first, &status) != first || !WIFSTOPPED(status))
		fail(file, "the shim was not traced");
	if (ptrace(PTRACE_SETOPTIONS, first, NULL, PTRACE_O_TRACEFORK | PTRACE_O_TRACESYSGOOD) != 0)
		fail(file, "ptrace");
	do {
		ptrace(PTRACE_CONT, first, NULL, 0L);
		if (wait_stop(first, &status) != first || !WIFSTOPPED(status))
			fail(file, "the shim ended before it forked");
	} while (!is_fork(status));
	shim = forked(first);
	wait_stop(shim, &status);
	ptrace(PTRACE_DETACH, first, NULL, 0L);
	return shim;
}

static void release_child(pid_t shim)
{
	pid_t child = forked(shim);
	int status;

	wait_stop(child, &status);
	ptrace(PTRACE_DETACH, child, NULL, 0L);
}

/* The number of the call that it was about to make; -1 when it ended before. */
static long kill_at(pid_t shim, long n)
{
	struct __ptrace_syscall_info info;
	long calls = 0, signal = 0;
	int status;

	for (;;) {
		ptrace(PTRACE_SYSCALL, shim, NULL, signal);
		if (wait_stop(shim, &status) != shim || !WIFSTOPPED(status))
			return -1;
		signal = 0;
		if (is_fork(status)) {
			release_child(shim);
		} else if (WSTOPSIG(status) == SYSCALL_STOP) {
			ptrace(PTRACE_GET_SYSCALL_INFO, shim, sizeof(info), &info);
			if (info.op == PTRACE_SYSCALL_INFO_ENTRY && ++calls == n) {
				kill(shim, SIGKILL);
				wait_stop(shim, &status);
				return (long)info.entry.nr;
			}
		} else if (WSTOPSIG(status) != SIGSTOP && WSTOPSIG(status) != SIGTRAP) {
			signal = WSTOPSIG(status);
		}
	}
}

int main(int argc, char **argv)
{
	char *file = argc > 1 ? strchr(argv[1], ':') : NULL;
	char text[64];
	pid_t first, shim;
	long call;

	if (file++ == NULL)
		return 2;
	first = fork();
	if (first == 0)
		become_shim(argv);
	/* The pipe to the worker must end with the shim. */
	syscall(SYS_close_range, 3u, ~0U, 0u);
	shim = find_shim(first, file);
	call = kill_at(shim, strtol(argv[1], NULL, 10));
	if (call < 0)
		return 0;
	snprintf(text, sizeof(text), "%ld %ld", (long)shim, call);
	say(file, text);
	return 0;
}
