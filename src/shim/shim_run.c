/* SPDX-License-Identifier: Apache-2.0 */
/* shim_run.c - the command from its first step to the last process of its group.
 *
 * One loop over a signal descriptor and the log's pipe.  A step is the .env file, the command, or a
 * shell line; the first that fails is the last.  When the steps are through, what is left of the group
 * is told to end and then killed: a deployment's lock is free afterwards, so nothing of it may go on. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shim/shim.h"

enum { LOOK_MS = 50 };          /* how often what is not our child is looked at while it ends */

struct run {
	struct shim *shim;
	int signal_fd;
	bool wrote_dotenv;
	size_t next_line;
	bool ended;                     /* no step is left */
	bool asked;                     /* the group was told to end */
	int64_t kill_at_ms;             /* when it is killed; 0: not yet asked, or done */
};

/* -- ending ----------------------------------------------------------------------------------- */

/* Daemons outlive a command that ended by itself, unless a cgroup holds them. */
static bool is_thorough(const struct shim *shim)
{
	return shim->exit.stopped || shim->cgroup_fd >= 0;
}

static void ask_to_end(struct run *run)
{
	if (run->asked)
		return;
	run->asked = true;
	run->kill_at_ms = shim_monotonic_ms() + run->shim->request.kill_after_ms;
	shim_signal(run->shim, SIGTERM);
	if (is_thorough(run->shim))
		shim_signal_strays(run->shim, SIGTERM);
	/* What is stopped can't hear. */
	shim_signal(run->shim, SIGCONT);
}

static void kill_all(struct run *run)
{
	struct shim *shim = run->shim;

	run->kill_at_ms = 0;
	shim->exit.killed = shim->exit.killed || shim->command != 0;
	shim_signal(shim, SIGKILL);
	if (is_thorough(shim))
		shim_signal_strays(shim, SIGKILL);
}

/* Whether all that has to be gone is gone. */
static bool is_over(struct run *run)
{
	if (!run->ended || run->shim->command != 0)
		return false;
	if (!shim_has_members(run->shim, is_thorough(run->shim)))
		return true;
	ask_to_end(run);
	/* Orphans become our children one generation after the other: each gets it. */
	if (run->kill_at_ms == 0)
		kill_all(run);
	return false;
}

/* -- steps ------------------------------------------------------------------------------------ */

static void next_step(struct run *run)
{
	struct shim *shim = run->shim;
	const struct shim_request *request = &shim->request;
	const char *line = NULL;
	bool dotenv = request->dotenv != NULL && !run->wrote_dotenv;

	if (shim->exit.stopped) {
		run->ended = true;
		return;
	}
	if (!dotenv && request->lines.count > 0) {
		line = request->lines.at[run->next_line++];
		shim->exit.step = run->next_line;
		shim_log_line(&shim->log, "+ ", line);
	}
	run->wrote_dotenv = true;
	run->ended = !shim_command_start(shim, line, dotenv);
}

static bool has_step_left(const struct run *run, bool was_dotenv)
{
	const struct shim_request *request = &run->shim->request;

	return request->lines.count > 0 ? run->next_line < request->lines.count : was_dotenv;
}

static void add_usage(struct rusage *sum, const struct rusage *more)
{
	timeradd(&sum->ru_utime, &more->ru_utime, &sum->ru_utime);
	timeradd(&sum->ru_stime, &more->ru_stime, &sum->ru_stime);
	if (more->ru_maxrss > sum->ru_maxrss)
		sum->ru_maxrss = more->ru_maxrss;
}

/* The child says why it could not become the command; nothing when it did. */
static bool read_failure(struct shim *shim)
{
	ssize_t n = read(shim->error_pipe, shim->exit.text, sizeof(shim->exit.text) - 1);

	close(shim->error_pipe);
	shim->error_pipe = -1;
	shim->exit.text[n > 0 ? n : 0] = '\0';
	return n > 0;
}

static void command_ended(struct run *run, int status, const struct rusage *usage)
{
	struct shim *shim = run->shim;
	bool was_dotenv = shim->request.dotenv != NULL && run->next_line == 0 && shim->exit.how == NULL;

	shim->command = 0;
	add_usage(&shim->exit.usage, usage);
	if (read_failure(shim)) {
		shim->exit.how = "not_run";
	} else if (WIFSIGNALED(status)) {
		shim->exit.how = "signalled";
		shim->exit.signal = WTERMSIG(status);
	} else {
		shim->exit.how = "exited";
		shim->exit.code = WEXITSTATUS(status);
	}
	run->ended = !WIFEXITED(status) || WEXITSTATUS(status) != 0 || !has_step_left(run, was_dotenv);
	if (!run->ended)
		next_step(run);
}

/* -- events ----------------------------------------------------------------------------------- */

/* Orphans of the command are reaped as they come; a guard that somebody killed gets a successor. */
static void reap(struct run *run)
{
	struct shim *shim = run->shim;
	struct rusage usage;
	int status;
	pid_t pid;

	while ((pid = wait4(-1, &status, WNOHANG, &usage)) > 0) {
		if (pid == shim->command) {
			command_ended(run, status, &usage);
		} else if (pid == shim->guard) {
			shim->guard = 0;
			shim_guard_start(shim);
		}
	}
}

/* What ended by itself before it was told to keeps its own verdict; only its rest is hurried. */
static void stop(struct run *run, pid_t by)
{
	struct shim *shim = run->shim;

	reap(run);
	if (!run->ended || shim->command != 0) {
		shim->exit.stopped = true;
		shim->exit.stopped_by = by;
	}
	run->asked = false;
	ask_to_end(run);
}

static void hear(struct run *run)
{
	struct signalfd_siginfo info;

	while (read(run->signal_fd, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGTERM && !run->shim->exit.stopped)
			stop(run, (pid_t)info.ssi_pid);
	}
	reap(run);
}

static int timeout_ms(const struct run *run)
{
	int64_t left;

	if (run->ended && run->shim->command == 0)
		return LOOK_MS;
	if (run->kill_at_ms == 0)
		return -1;
	left = run->kill_at_ms - shim_monotonic_ms();
	return left <= 0 ? 0 : left > 1000000 ? 1000000 : (int)left;
}

static bool open_signals(struct run *run)
{
	sigset_t wanted;

	sigemptyset(&wanted);
	sigaddset(&wanted, SIGTERM);
	sigaddset(&wanted, SIGCHLD);
	run->signal_fd = signalfd(-1, &wanted, SFD_CLOEXEC | SFD_NONBLOCK);
	return run->signal_fd >= 0;
}

/* With what may be left of the group; none is needed after this. */
static void dismiss_guard(struct shim *shim)
{
	pid_t guard = shim->guard;

	shim_signal(shim, SIGKILL);
	shim->guard = 0;
	if (guard <= 0)
		return;
	kill(guard, SIGKILL);
	while (waitpid(guard, NULL, 0) < 0 && errno == EINTR)
		;
}

static void loop(struct run *run)
{
	struct pollfd fds[] = {
		{ .fd = run->signal_fd, .events = POLLIN },
		{ .fd = run->shim->log.read_end, .events = POLLIN },
	};

	for (;;) {
		hear(run);
		shim_log_drain(&run->shim->log);
		if (is_over(run))
			return;
		if (run->kill_at_ms != 0 && shim_monotonic_ms() >= run->kill_at_ms)
			kill_all(run);
		poll(fds, sizeof(fds) / sizeof(*fds), timeout_ms(run));
	}
}

void shim_run(struct shim *shim)
{
	struct run run = { .shim = shim, .signal_fd = -1 };

	if (!open_signals(&run)) {
		shim->exit.how = "not_run";
		snprintf(shim->exit.text, sizeof(shim->exit.text), "signalfd: %s", strerror(errno));
	} else {
		next_step(&run);
		loop(&run);
	}
	dismiss_guard(shim);
	if (shim->exit.how == NULL) {
		shim->exit.how = "not_run";
		snprintf(shim->exit.text, sizeof(shim->exit.text), "stopped before it ran");
	}
	shim->exit.ended_ms = shim_wall_ms();
}
