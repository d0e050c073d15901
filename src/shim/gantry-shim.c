/* SPDX-License-Identifier: Apache-2.0 */
/* gantry-shim.c - holds one command to its end; see shim.h.
 *
 * The order of the first steps is the promise that no command runs twice: the directory is claimed, that
 * the command was started is on disk, only then is it. */
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "shim/shim.h"

static int64_t now_ms(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t shim_wall_ms(void)
{
	return now_ms(CLOCK_REALTIME);
}

int64_t shim_monotonic_ms(void)
{
	return now_ms(CLOCK_MONOTONIC);
}

void shim_boot_id(char id[64])
{
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, id, 63) : -1;

	if (fd >= 0)
		close(fd);
	id[n > 0 ? n : 0] = '\0';
	id[strcspn(id, "\n")] = '\0';
}

/* The worker reads one line; whether it still does is no matter. */
static void report(struct shim *shim, const char *word, const char *text)
{
	char line[LIMIT_SHIM_REPORT_BYTES];
	int len = snprintf(line, sizeof(line), "%s%s%.400s\n", word, *text != '\0' ? " " : "", text);

	if (write(shim->report_fd, line, (size_t)len) < 0)
		errno = 0;
	close(shim->report_fd);
	shim->report_fd = -1;
}

static bool refuse(struct shim *shim, const char *word, const char *text)
{
	report(shim, word, text);
	return false;
}

/* Out of the worker's hands: nobody's child, a session of our own, no signal but those we ask for. */
static void detach(struct shim *shim)
{
	sigset_t all;
	pid_t pid;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	syscall(SYS_close_range, (unsigned)SHIM_FDS, ~0U, 0);
	pid = fork();
	if (pid > 0)
		_exit(EXIT_SUCCESS);
	if (pid < 0) {
		report(shim, SHIM_WORD_ERROR, strerror(errno));
		_exit(EXIT_FAILURE);
	}
	setsid();
	for (int fd = SHIM_REQUEST_FD; fd < SHIM_FDS; fd++)
		fcntl(fd, F_SETFD, FD_CLOEXEC);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	/* We were started from a descriptor, whose number would be our name. */
	prctl(PR_SET_NAME, "gantry-shim");
	if (chdir("/") != 0)
		_exit(EXIT_FAILURE);
}

static bool claim(struct shim *shim)
{
	char text[LIMIT_SHIM_TEXT_BYTES] = "";

	switch (shim_claim(shim, text)) {
	case SHIM_CLAIMED: return true;
	case SHIM_AGAIN: return refuse(shim, SHIM_WORD_AGAIN, "");
	case SHIM_TAKEN: return refuse(shim, SHIM_WORD_TAKEN, "");
	case SHIM_VOID: return refuse(shim, SHIM_WORD_VOID, "");
	case SHIM_FAILED: break;
	}
	return refuse(shim, SHIM_WORD_ERROR, text);
}

/* Of our user, and of the group of the one the command runs as, who else may not write to it. */
static int open_result(const struct shim *shim)
{
	const struct shim_request *request = &shim->request;
	gid_t ours = getegid();
	bool change = request->other_user && setegid(request->gid) == 0;
	int fd = openat(shim->directory_fd, PROCESS_RESULT, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (change && setegid(ours) != 0)
		_exit(EXIT_FAILURE);
	if (fd >= 0 && request->other_user)
		fchmod(fd, 0660);
	return fd;
}

static bool prepare(struct shim *shim)
{
	char text[LIMIT_SHIM_TEXT_BYTES] = "";

	if (!shim_request_read(&shim->request, SHIM_REQUEST_FD, text))
		return refuse(shim, SHIM_WORD_ERROR, text);
	close(SHIM_REQUEST_FD);
	if (!shim->request.slot)
		close(SHIM_SLOT_FD);
	if (!claim(shim))
		return false;
	if (!shim_log_open(&shim->log, shim->directory_fd, shim->request.log_limit))
		return refuse(shim, SHIM_WORD_ERROR, strerror(errno));
	if (shim->request.other_user) {
		shim->result_fd = open_result(shim);
		if (shim->result_fd < 0)
			return refuse(shim, SHIM_WORD_ERROR, strerror(errno));
	}
	shim_cgroup_make(shim);
	if (!shim_guard_start(shim))
		return refuse(shim, SHIM_WORD_ERROR, strerror(errno));
	if (!shim_record_started(shim, text)) {
		shim_signal(shim, SIGKILL);
		shim_cgroup_remove(shim);
		return refuse(shim, SHIM_WORD_ERROR, text);
	}
	return true;
}

int main(void)
{
	static struct shim shim = {
		.report_fd = SHIM_REPORT_FD, .directory_fd = -1, .lock_fd = -1, .exit_fd = -1, .result_fd = -1,
		.guard_pipe = -1, .cgroup_fd = -1, .error_pipe = -1, .log = { .file = -1, .read_end = -1, .write_end = -1 },
	};

	detach(&shim);
	if (!prepare(&shim))
		_exit(EXIT_FAILURE);
	report(&shim, SHIM_WORD_STARTED, "");
	shim_run(&shim);
	shim_log_close(&shim.log);
	shim_cgroup_remove(&shim);
	shim_record_exit(&shim);
	/* Those who wait for the slot hear its file being closed: it has to be free by then. */
	if (shim.request.slot) {
		struct flock whole = { .l_type = F_UNLCK, .l_whence = SEEK_SET };

		fcntl(SHIM_SLOT_FD, F_OFD_SETLK, &whole);
		close(SHIM_SLOT_FD);
	}
	_exit(EXIT_SUCCESS);
}
