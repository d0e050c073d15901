/* SPDX-License-Identifier: Apache-2.0 */
/* notify_exec.c - runs a program with the notice on its standard input.
 *
 * The input is a file in memory, so nothing waits for a program that doesn't read.  It leads a process group
 * of its own, which is killed when its time is over; what it prints is kept as far as a log line goes. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/descriptor.h"
#include "base/mem.h"
#include "notify/notice_text.h"
#include "notify/notify_impl.h"

enum { LIMIT_EXEC_OUTPUT_BYTES = 2000, EXEC_ENVIRONMENT = 8, READS_A_TURN = 128 };

struct notify_exec {
	struct notify base;
	struct log log;
	struct list runs;               /* struct run, by link */
};

/* One program that runs. */
struct run {
	struct list link;
	struct notify_exec *sink;
	pid_t pid;
	ev_io ended;                    /* on its pidfd */
	ev_io printed;
	ev_timer limit;
	struct buf output;
	bool timed_out;
	notify_done_fn *done;
	void *arg;
};

static struct notify *create(const struct conf_sink *conf, const struct notify_env *env, struct error *err)
{
	struct notify_exec *sink = xnew(struct notify_exec);

	(void)err;
	log_init(&sink->log, env->log, "%s", conf_sink_name(conf));
	list_init(&sink->runs);
	return &sink->base;
}

static void run_free(struct run *run)
{
	struct ev_loop *loop = run->sink->base.env.loop;

	list_remove(&run->link);
	ev_io_stop(loop, &run->ended);
	ev_io_stop(loop, &run->printed);
	ev_timer_stop(loop, &run->limit);
	descriptor_close(&run->ended.fd);
	descriptor_close(&run->printed.fd);
	buf_finish(&run->output);
	free(run);
}

static int reap(pid_t pid)
{
	int status = 0;

	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return status;
}

static void destroy(struct notify *notify)
{
	struct notify_exec *sink = (struct notify_exec *)notify;
	struct run *run, *next;

	list_each_safe(run, next, &sink->runs, link) {
		if (run->pid > 0) {
			kill(-run->pid, SIGKILL);
			reap(run->pid);
		}
		run_free(run);
	}
	free(sink);
}

/* -- while it runs ------------------------------------------------------------------------------ */

/* What does not fit is read all the same, or it would wait for us.  One that never stops printing gets its share of
 * a turn: more would keep the loop from its limit. */
static void read_output(struct run *run)
{
	char bytes[512];
	ssize_t got = 0;

	for (int i = 0; i < READS_A_TURN && (got = read(run->printed.fd, bytes, sizeof(bytes))) > 0; i++) {
		size_t room = run->output.limit - run->output.size;

		buf_add(&run->output, bytes, (size_t)got < room ? (size_t)got : room);
	}
	if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR))
		ev_io_stop(run->sink->base.env.loop, &run->printed);
}

static void on_printed(struct ev_loop *loop, ev_io *io, int revents)
{
	(void)loop, (void)revents;
	read_output(container_of(io, struct run, printed));
}

static void on_limit(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct run *run = container_of(timer, struct run, limit);

	(void)loop, (void)revents;
	run->timed_out = true;
	kill(-run->pid, SIGKILL);
}

/* In one line. */
static const char *printed_text(struct run *run)
{
	for (size_t i = 0; i < run->output.size; i++) {
		unsigned char c = (unsigned char)run->output.bytes[i];

		if (c < 0x20 || c == 0x7f)
			run->output.bytes[i] = ' ';
	}
	return buf_text(&run->output);
}

static void judge(struct run *run, int status, struct error *err)
{
	const char *text = printed_text(run);

	*err = (struct error){ 0 };
	if (run->timed_out)
		error_set(err, ERROR_AMBIGUOUS, "killed after its timeout; it printed: %.300s", text);
	else if (WIFSIGNALED(status))
		error_set(err, ERROR_AMBIGUOUS, "killed by signal %d; it printed: %.300s", WTERMSIG(status), text);
	else if (WEXITSTATUS(status) != 0)
		error_set(err, ERROR_TEMPORARY, "exited with %d; it printed: %.300s", WEXITSTATUS(status), text);
	else if (text[0] != '\0')
		log_info(&run->sink->log, "it printed: %s", text);
}

static void on_ended(struct ev_loop *loop, ev_io *io, int revents)
{
	struct run *run = container_of(io, struct run, ended);
	notify_done_fn *done = run->done;
	void *arg = run->arg;
	struct error err;

	(void)loop, (void)revents;
	read_output(run);
	judge(run, reap(run->pid), &err);
	run_free(run);
	done(arg, err.kind != ERROR_NONE ? &err : NULL, 0);
}

/* -- beginning ---------------------------------------------------------------------------------- */

static char *inherited(const char *name, const char *otherwise)
{
	const char *value = getenv(name);

	return xasprintf("%s=%s", name, value != NULL ? value : otherwise);
}

static char *of_notice(const char *name, const struct notice *notice, const char *what)
{
	char *value = notice_text_value(notice->doc, what);
	char *pair = xasprintf("%s=%s", name, value);

	free(value);
	return pair;
}

static bool spawn(const struct texts *command, char *const *environment, const int fds[2], pid_t *pid, struct error *err)
{
	char **argv = xcalloc(command->count + 1, sizeof(*argv));
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t none, all;
	int failed;

	memcpy(argv, command->at, command->count * sizeof(*argv));
	sigemptyset(&none);
	sigfillset(&all);
	posix_spawn_file_actions_init(&actions);
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawnattr_setsigdefault(&attributes, &all);
	posix_spawnattr_setpgroup(&attributes, 0);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
	failed = posix_spawn_file_actions_adddup2(&actions, fds[0], STDIN_FILENO);
	if (failed == 0)
		failed = posix_spawn_file_actions_adddup2(&actions, fds[1], STDOUT_FILENO);
	if (failed == 0)
		failed = posix_spawn_file_actions_adddup2(&actions, fds[1], STDERR_FILENO);
	if (failed == 0)
		failed = posix_spawn(pid, argv[0], &actions, &attributes, argv, environment);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&actions);
	errno = failed;
	if (failed != 0)
		error_set_errno(err, ERROR_REFUSED, "%s cannot be run", argv[0]);
	free(argv);
	return failed == 0;
}

/* Descriptors 0 to 2 may be free here, and must not be among those that are put there. */
static int above(int fd)
{
	int moved = fd >= 0 ? fcntl(fd, F_DUPFD_CLOEXEC, 3) : -1;

	descriptor_close(&fd);
	return moved;
}

static bool begin(struct run *run, const struct notice *notice, struct error *err)
{
	char *environment[EXEC_ENVIRONMENT] = {
		inherited("PATH", "/usr/local/bin:/usr/bin:/bin"),
		inherited("HOME", "/"),
		inherited("LANG", "C.UTF-8"),
		xasprintf("GANTRY_EVENT=%s", notice->event),
		xasprintf("GANTRY_DELIVERY=%s", notice->id),
		of_notice("GANTRY_JOB", notice, "id"),
		of_notice("GANTRY_PROJECT", notice, "project"),
	};
	int input = above(descriptor_sealed_memory("notice", notice->text, strlen(notice->text), err));
	int ends[2] = { -1, -1 };
	bool ok = false;
	int pidfd = -1;

	if (input >= 0 && pipe2(ends, O_CLOEXEC) == 0) {
		int fds[2] = { input, ends[1] = above(ends[1]) };

		lseek(input, 0, SEEK_SET);
		ok = spawn(&run->sink->base.conf->command, environment, fds, &run->pid, err);
	} else {
		error_set_errno(err, ERROR_TEMPORARY, "descriptors");
	}
	if (ok && (pidfd = (int)syscall(SYS_pidfd_open, run->pid, 0)) < 0) {
		error_set_errno(err, ERROR_REFUSED, "it cannot be watched");
		kill(-run->pid, SIGKILL);
		reap(run->pid);
		ok = false;
	}
	descriptor_close(&input);
	descriptor_close(&ends[1]);
	for (size_t i = 0; i < EXEC_ENVIRONMENT; i++)
		free(environment[i]);
	if (ok)
		descriptor_set_nonblocking(ends[0], true);
	ev_io_init(&run->ended, on_ended, pidfd, EV_READ);
	ev_io_init(&run->printed, on_printed, ends[0], EV_READ);
	return ok;
}

/* Told in the next turn: a timer of no time. */
static void on_not_begun(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct run *run = container_of(timer, struct run, limit);
	notify_done_fn *done = run->done;
	void *arg = run->arg;
	struct error err;

	(void)loop, (void)revents;
	error_set(&err, ERROR_REFUSED, "%s", buf_text(&run->output));
	run_free(run);
	done(arg, &err, 0);
}

static void send_notice(struct notify *notify, const struct notice *notice, notify_done_fn *done, void *arg)
{
	struct notify_exec *sink = (struct notify_exec *)notify;
	struct run *run = xnew(struct run);
	struct error err;

	run->sink = sink;
	run->done = done;
	run->arg = arg;
	buf_init(&run->output, LIMIT_EXEC_OUTPUT_BYTES);
	list_append(&sink->runs, &run->link);
	if (begin(run, notice, &err)) {
		ev_timer_init(&run->limit, on_limit, (double)notify->conf->timeout_ms / 1000, 0.);
		ev_io_start(notify->env.loop, &run->ended);
		ev_io_start(notify->env.loop, &run->printed);
	} else {
		buf_add_text(&run->output, err.text);
		run->pid = 0;
		ev_timer_init(&run->limit, on_not_begun, 0., 0.);
	}
	ev_timer_start(notify->env.loop, &run->limit);
}

const struct notify_impl notify_exec = {
	.name = "exec",
	.create = create,
	.destroy = destroy,
	.send = send_notice,
};
