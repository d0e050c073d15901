/* SPDX-License-Identifier: Apache-2.0 */
/* daemonize.c - see daemonize.h. */
#include "master/daemonize.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/descriptor.h"
#include "master/signals.h"

enum { LIMIT_DAEMON_WORD_BYTES = 64 << 10 };

/* Waits for the daemon's word: "+" for ready, "-" and the reason otherwise. */
static void wait_for_word(int fd) __attribute__((noreturn));
static void wait_for_word(int fd)
{
	struct buf word;
	char chunk[1024];
	ssize_t n;

	buf_init(&word, LIMIT_DAEMON_WORD_BYTES);
	while ((n = read(fd, chunk, sizeof(chunk))) > 0 || (n < 0 && errno == EINTR)) {
		if (n > 0)
			buf_add(&word, chunk, (size_t)n);
	}
	if (word.size > 0 && word.bytes[0] == '+')
		_exit(EXIT_SUCCESS);
	if (word.size > 1)
		fprintf(stderr, "%s\n", word.bytes + 1);
	else
		fprintf(stderr, "gantryd: ended before it was ready\n");
	fflush(stderr);
	_exit(EXIT_FAILURE);
}

int daemonize(struct error *err)
{
	int ends[2];
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) != 0) {
		error_set_errno(err, ERROR_TEMPORARY, "pipe");
		return -1;
	}
	pid = fork();
	if (pid > 0) {
		signals_reset();
		descriptor_close(&ends[1]);
		waitpid(pid, NULL, 0);
		wait_for_word(ends[0]);
	}
	if (pid == 0) {
		descriptor_close(&ends[0]);
		setsid();
		/* Again, so as never to get a terminal: only a session's leader can. */
		pid = fork();
		if (pid > 0)
			_exit(EXIT_SUCCESS);
	}
	if (pid < 0) {
		error_set_errno(err, ERROR_TEMPORARY, "fork");
		descriptor_close(&ends[0]);
		descriptor_close(&ends[1]);
		return -1;
	}
	return ends[1];
}

void daemonize_tell(int *tell_fd, bool ready, const char *why)
{
	if (*tell_fd < 0)
		return;
	if (!descriptor_write_all(*tell_fd, ready ? "+" : "-", 1) ||
	    (!ready && !descriptor_write_all(*tell_fd, why, strlen(why))))
		fprintf(stderr, "gantryd: nobody waited for its start\n");
	descriptor_close(tell_fd);
}

void daemonize_detach(bool keep_stderr)
{
	int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null_fd < 0)
		return;
	dup2(null_fd, STDIN_FILENO);
	dup2(null_fd, STDOUT_FILENO);
	if (!keep_stderr)
		dup2(null_fd, STDERR_FILENO);
	if (null_fd > STDERR_FILENO)
		descriptor_close(&null_fd);
}
