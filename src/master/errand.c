/* SPDX-License-Identifier: Apache-2.0 */
/* errand.c - see errand.h. */
#include "master/errand.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "base/descriptor.h"
#include "base/list.h"

static void stop_watching(struct errand *errand)
{
	ev_io_stop(errand->loop, &errand->readable);
	ev_timer_stop(errand->loop, &errand->deadline);
	descriptor_close(&errand->said_fd);
}

/* Reads what there is; false at the end. */
static bool listen_to(struct errand *errand)
{
	char chunk[4096];

	for (;;) {
		ssize_t n = read(errand->said_fd, chunk, sizeof(chunk));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 && errno == EAGAIN;
		/* What is past the limit is read and dropped: a full pipe would stop it. */
		buf_add(&errand->said, chunk, (size_t)n);
	}
}

static void on_readable(struct ev_loop *loop, ev_io *io, int revents)
{
	struct errand *errand = container_of(io, struct errand, readable);

	(void)revents;
	if (!listen_to(errand))
		ev_io_stop(loop, io);
}

static void on_deadline(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct errand *errand = container_of(timer, struct errand, deadline);

	(void)loop;
	(void)revents;
	errand->timed_out = true;
	kill(errand->pid, SIGKILL);
}

static bool open_ends(int *null_fd, int ends[2], struct error *err)
{
	ends[0] = ends[1] = -1;
	*null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (*null_fd >= 0 && pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0 && descriptor_set_nonblocking(ends[1], false))
		return true;
	error_set_errno(err, ERROR_TEMPORARY, "pipe");
	return false;
}

bool errand_start(struct errand *errand, struct ev_loop *loop, struct spawn *spawn_how, double timeout_s,
	errand_done_fn *done, void *arg, struct error *err)
{
	int null_fd, ends[2];

	*errand = (struct errand){ .loop = loop, .done = done, .arg = arg, .said_fd = -1 };
	buf_init(&errand->said, LIMIT_ERRAND_SAYS_BYTES);
	if (open_ends(&null_fd, ends, err)) {
		spawn_how->fds[STDIN_FILENO] = null_fd;
		if (spawn_how->fds[STDOUT_FILENO] < 0)
			spawn_how->fds[STDOUT_FILENO] = null_fd;
		spawn_how->fds[STDERR_FILENO] = ends[1];
		if (spawn_how->fd_count < 3)
			spawn_how->fd_count = 3;
		spawn_how->report_fd = -1;
		errand->pid = spawn(spawn_how, err);
	}
	descriptor_close(&null_fd);
	descriptor_close(&ends[1]);
	if (errand->pid <= 0) {
		errand->pid = 0;
		descriptor_close(&ends[0]);
		return false;
	}
	errand->said_fd = ends[0];
	ev_io_init(&errand->readable, on_readable, errand->said_fd, EV_READ);
	ev_io_start(loop, &errand->readable);
	ev_now_update(loop);
	ev_timer_init(&errand->deadline, on_deadline, timeout_s, 0.);
	ev_timer_start(loop, &errand->deadline);
	return true;
}

bool errand_busy(const struct errand *errand)
{
	return errand->pid > 0;
}

bool errand_exited(struct errand *errand, pid_t pid, int status)
{
	errand_done_fn *done = errand->done;

	if (errand->pid <= 0 || errand->pid != pid)
		return false;
	errand->pid = 0;
	errand->status = status;
	errand->done = NULL;
	if (errand->said_fd >= 0)
		listen_to(errand);
	stop_watching(errand);
	if (done != NULL)
		done(errand);
	else
		errand_finish(errand);
	return true;
}

void errand_cancel(struct errand *errand)
{
	if (errand->pid <= 0)
		return;
	errand->done = NULL;
	kill(errand->pid, SIGKILL);
	stop_watching(errand);
	buf_finish(&errand->said);
}

void errand_finish(struct errand *errand)
{
	if (errand->pid <= 0)
		buf_finish(&errand->said);
}
