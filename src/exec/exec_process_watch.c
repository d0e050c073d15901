/* SPDX-License-Identifier: Apache-2.0 */
/* exec_process_watch.c - follows a shim to its end.
 *
 * The kernel tells when the shim is gone (pidfd); what became of the command is read from its directory.
 * Who is alive is asked of the lock, never of a bare process id.  A shim that was killed leaves no
 * result; its guard holds the lock until it has killed the command, and so long nothing is said. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/backoff.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/random.h"
#include "exec/exec_process.h"

static const double LOOK_FIRST_S = 0.01, LOOK_MAX_S = 1;

struct process_watch {
	struct exec_watch face;
	struct list link;               /* exec_process.watches */
	char *handle, *directory;       /* directory NULL: another host's */
	bool told_started;
	bool shim_gone;                 /* it has ended; only its guard may hold the lock */
	char *stop;                     /* why it has to end; NULL: it may go on */
	ev_io ended;                    /* its pidfd */
	ev_timer again;
	unsigned looks;
	struct exec_watch_events events;
};

static struct ev_loop *loop_of(const struct process_watch *watch)
{
	return watch->face.exec->env.loop;
}

static void detach(struct process_watch *watch)
{
	ev_io_stop(loop_of(watch), &watch->ended);
	if (watch->ended.fd >= 0)
		close(watch->ended.fd);
	ev_io_set(&watch->ended, -1, EV_READ);
}

static void watch_free(struct process_watch *watch)
{
	detach(watch);
	ev_timer_stop(loop_of(watch), &watch->again);
	list_remove(&watch->link);
	free(watch->handle);
	free(watch->directory);
	free(watch->stop);
	free(watch);
}

static void look_again(struct process_watch *watch, double after_s)
{
	ev_timer_stop(loop_of(watch), &watch->again);
	ev_timer_set(&watch->again, after_s, 0.);
	ev_timer_start(loop_of(watch), &watch->again);
}

static void look_later(struct process_watch *watch)
{
	look_again(watch, backoff_s(++watch->looks, LOOK_FIRST_S, LOOK_MAX_S, random_unit()));
}

/* -- the end ---------------------------------------------------------------------------------- */

static void end(struct process_watch *watch, const struct exec_end *ending)
{
	struct exec_watch_events events = watch->events;
	struct exec_process *exec = process_of(watch->face.exec);

	watch_free(watch);
	/* Its slot is free, and who waits here need not wait for the kernel to say so. */
	process_launches_go_on(exec);
	events.ended(events.arg, ending);
}

static void end_as(struct process_watch *watch, const char *reason, const char *text)
{
	struct exec_end ending = { .retry = EXEC_RETRY_NO };

	job_result_set(&ending.result, JOB_FAILED, reason, JOB_NO_EXIT_CODE, "%s", text);
	end(watch, &ending);
}

static void judge(struct process_watch *watch, const struct process_status *status)
{
	char *stop = process_dir_read_stop(watch->directory);
	struct exec_end ending;

	if (status->state == PROCESS_DEAD)
		process_remains_kill(status);
	process_verdict(status, stop, clock_boot_id(), &ending);
	free(stop);
	end(watch, &ending);
}

/* -- the shim --------------------------------------------------------------------------------- */

static void send_stop(struct process_watch *watch)
{
	if (watch->stop == NULL || watch->ended.fd < 0)
		return;
	process_dir_write_stop(watch->directory, watch->stop);
	if (syscall(SYS_pidfd_send_signal, watch->ended.fd, SIGTERM, NULL, 0) != 0 && errno != ESRCH)
		log_error(&watch->face.exec->log, "%s: its shim cannot be told to end: %s", watch->handle, strerror(errno));
	/* One that somebody has stopped can't hear. */
	syscall(SYS_pidfd_send_signal, watch->ended.fd, SIGCONT, NULL, 0);
}

/* False when it cannot be followed now, or (shim_gone) any more. */
static bool attach(struct process_watch *watch, const struct process_status *status)
{
	int fd = (int)syscall(SYS_pidfd_open, status->shim, 0);

	/* Asked after the descriptor was opened: it names the process that had this start time then. */
	watch->shim_gone = fd < 0 ? errno == ESRCH : process_start_time(status->shim) != status->since;
	if (watch->shim_gone && fd >= 0)
		close(fd);
	if (watch->shim_gone || fd < 0)
		return false;
	ev_io_set(&watch->ended, fd, EV_READ);
	ev_io_start(loop_of(watch), &watch->ended);
	send_stop(watch);
	return true;
}

static void tell_started(struct process_watch *watch, const struct process_status *status)
{
	if (watch->told_started || watch->events.started == NULL)
		return;
	watch->told_started = true;
	watch->events.started(watch->events.arg, status->started_ms);
}

static void look(struct process_watch *watch)
{
	struct process_status status;
	struct error err;

	if (!process_dir_read(watch->directory, &status, &err)) {
		log_warn(&watch->face.exec->log, "%s; looking again", err.text);
		look_later(watch);
		return;
	}
	switch (status.state) {
	case PROCESS_NONE: case PROCESS_GIVEN_UP:
		end_as(watch, "lost", "its directory is gone, and with it what became of it");
		break;
	case PROCESS_STARTING:
		look_later(watch);
		break;
	case PROCESS_RUNNING:
		if (!watch->shim_gone && attach(watch, &status))
			tell_started(watch, &status);
		else
			look_later(watch);
		break;
	case PROCESS_ENDED: case PROCESS_DEAD:
		judge(watch, &status);
		break;
	}
}

static void on_ended(struct ev_loop *loop, ev_io *io, int revents)
{
	struct process_watch *watch = container_of(io, struct process_watch, ended);

	(void)loop;
	(void)revents;
	detach(watch);
	watch->shim_gone = true;
	look(watch);
}

/* Another host's command can't be seen from here; that host adopts it when it is back. */
static void look_foreign(struct process_watch *watch)
{
	if (watch->stop == NULL)
		log_warn(&watch->face.exec->log, "%s is a command of another host, or of a state directory that is gone; "
			"nothing is known of it here", watch->handle);
	else
		end_as(watch, "host_lost", "it ran on another host, or its state directory is gone: it was given up here");
}

static void on_again(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct process_watch *watch = container_of(timer, struct process_watch, again);

	(void)loop;
	(void)revents;
	if (watch->directory != NULL)
		look(watch);
	else
		look_foreign(watch);
}

/* -- the calls -------------------------------------------------------------------------------- */

struct exec_watch *process_watch(struct exec *face, const char *handle, const char *request, int64_t since_ms,
	const struct exec_watch_events *events)
{
	struct exec_process *exec = process_of(face);
	struct process_watch *watch = xnew(struct process_watch);

	(void)request;
	(void)since_ms;
	watch->face.exec = face;
	watch->handle = xstrdup(handle);
	watch->directory = process_handle_directory(handle);
	watch->events = *events;
	list_append(&exec->watches, &watch->link);
	ev_io_init(&watch->ended, on_ended, -1, EV_READ);
	ev_init(&watch->again, on_again);
	look_again(watch, 0);
	return &watch->face;
}

void process_unwatch(struct exec_watch *face)
{
	watch_free(container_of(face, struct process_watch, face));
}

void process_stop(struct exec_watch *face, const char *reason)
{
	struct process_watch *watch = container_of(face, struct process_watch, face);

	if (watch->stop == NULL)
		watch->stop = xstrdup(reason);
	if (watch->directory == NULL)
		look_again(watch, 0);
	else
		send_stop(watch);
}

void process_watches_finish(struct exec_process *exec)
{
	while (!list_empty(&exec->watches))
		watch_free(list_first(&exec->watches, struct process_watch, link));
}
