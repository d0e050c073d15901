/* SPDX-License-Identifier: Apache-2.0 */
/* upgrade.c - see upgrade.h.  What crosses the exec is upgrade_state.h's; here it is taken from the
 * master's parts and put into those of the next. */
#include "master/upgrade.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/descriptor.h"
#include "base/mem.h"
#include "master/master.h"
#include "master/upgrade_adopt.h"
#include "master/upgrade_state.h"
#include "master/version.h"

enum { PREFLIGHT_STATE_FD = 3, UPGRADE_ARGUMENTS = 10 };

/* Where we were started from, also when another file is there by now. */
static char *find_program(void)
{
	static const char deleted[] = " (deleted)";
	char path[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);
	size_t length;

	if (n <= 0)
		return NULL;
	path[n] = '\0';
	length = (size_t)n;
	if (length > sizeof(deleted) - 1 && strcmp(path + length - (sizeof(deleted) - 1), deleted) == 0)
		path[length - (sizeof(deleted) - 1)] = '\0';
	return xstrdup(path);
}

void upgrade_init(struct upgrade *upgrade, struct master *master)
{
	*upgrade = (struct upgrade){ .master = master, .next_fd = -1 };
	upgrade->program = find_program();
	upgrade->program_fd = open("/proc/self/exe", O_PATH | O_CLOEXEC);
}

void upgrade_finish(struct upgrade *upgrade)
{
	errand_cancel(&upgrade->preflight);
	descriptor_close(&upgrade->program_fd);
	descriptor_close(&upgrade->next_fd);
	free(upgrade->program);
	upgrade->program = NULL;
}

bool upgrade_is_under_way(const struct upgrade *upgrade)
{
	return upgrade->next_fd >= 0;
}

static void fail(struct upgrade *upgrade, const char *why)
{
	struct master *master = upgrade->master;

	descriptor_close(&upgrade->next_fd);
	log_error(&master->log, "upgrade refused: %s", why);
	control_answer_upgrade(&master->control, CONTROL_FAILED, why);
}

void upgrade_cancel(struct upgrade *upgrade, const char *why)
{
	if (!upgrade_is_under_way(upgrade))
		return;
	errand_cancel(&upgrade->preflight);
	fail(upgrade, why);
}

static int write_state(struct master *master, struct error *err)
{
	struct upgrade_state state;
	struct buf text;
	int fd = -1;

	buf_init(&text, LIMIT_UPGRADE_STATE_BYTES);
	upgrade_adopt_describe(master, &state);
	upgrade_state_encode(&state, &text);
	if (text.overflowed)
		error_set(err, ERROR_REFUSED, "the state is larger than %d bytes", LIMIT_UPGRADE_STATE_BYTES);
	else
		fd = descriptor_sealed_memory("state", text.bytes, text.size, err);
	upgrade_state_finish(&state);
	buf_finish(&text);
	return fd;
}

/* -- taking over ------------------------------------------------------------------------------ */

/* The same options, absolute by now, and for the new one alone where the state is. */
static void compose_arguments(const struct master_options *options, int state_fd, const char *rolled_back,
	char *argv[UPGRADE_ARGUMENTS])
{
	size_t count = 0;

	argv[count++] = xstrdup("gantryd");
	argv[count++] = xasprintf("--resume=%d", state_fd);
	if (rolled_back != NULL)
		argv[count++] = xasprintf("--rolled-back=%s", rolled_back);
	if (options->foreground)
		argv[count++] = xstrdup("-f");
	argv[count++] = xstrdup("-c");
	argv[count++] = xstrdup(options->conf_path);
	if (options->pid_file != NULL) {
		argv[count++] = xstrdup("-p");
		argv[count++] = xstrdup(options->pid_file);
	}
	argv[count] = NULL;
}

static void free_arguments(char *argv[UPGRADE_ARGUMENTS])
{
	for (size_t i = 0; argv[i] != NULL; i++)
		free(argv[i]);
}

/* Executes another image of ourselves; returns only when that fails, with errno. */
static void execute(const struct master_options *options, int program_fd, int state_fd, const char *rolled_back)
{
	char *argv[UPGRADE_ARGUMENTS];
	int saved;

	compose_arguments(options, state_fd, rolled_back, argv);
	syscall(SYS_execveat, program_fd, "", argv, environ, AT_EMPTY_PATH);
	saved = errno;
	free_arguments(argv);
	errno = saved;
}

/* Everything stays blocked over the exec but the alarm, which ends a program that hangs. */
static void set_alarm(void)
{
	sigset_t mask;

	sigfillset(&mask);
	sigdelset(&mask, SIGALRM);
	signal(SIGALRM, SIG_DFL);
	sigprocmask(SIG_SETMASK, &mask, NULL);
	alarm(UPGRADE_ALARM_S);
}

static void take_over(struct upgrade *upgrade)
{
	struct master *master = upgrade->master;
	struct error err;
	int state_fd;

	signals_block();
	/* What a handler has noted and nobody has looked at goes into the state. */
	signals_collect(&master->signals);
	hint_flush(&master->hint);
	state_fd = write_state(master, &err);
	if (state_fd >= 0) {
		if (upgrade_adopt_keep_open(master, true) && descriptor_set_cloexec(state_fd, false)) {
			log_info(&master->log, "upgrade: %s takes over", upgrade->program);
			set_alarm();
			execute(&master->options, upgrade->next_fd, state_fd, NULL);
			alarm(0);
		}
		error_set_errno(&err, ERROR_REFUSED, "%s cannot be executed", upgrade->program);
		upgrade_adopt_keep_open(master, false);
		descriptor_close(&state_fd);
	}
	signals_unblock();
	fail(upgrade, err.text);
}

static void on_preflight_done(struct errand *errand)
{
	struct upgrade *upgrade = container_of(errand, struct upgrade, preflight);
	char why[LIMIT_ERROR_TEXT_BYTES];
	const char *said = buf_text(&errand->said);

	if (!errand->timed_out && WIFEXITED(errand->status) && WEXITSTATUS(errand->status) == 0) {
		errand_finish(errand);
		take_over(upgrade);
		return;
	}
	if (errand->timed_out)
		snprintf(why, sizeof(why), "%s did not pass its trial within %d s", upgrade->program, UPGRADE_PREFLIGHT_S);
	else if (WIFSIGNALED(errand->status))
		snprintf(why, sizeof(why), "%s was killed by signal %d in its trial", upgrade->program,
			WTERMSIG(errand->status));
	else
		snprintf(why, sizeof(why), "%s left its trial with status %d%s%.*s", upgrade->program,
			WEXITSTATUS(errand->status), *said != '\0' ? ": " : "", (int)strcspn(said, "\n"), said);
	errand_finish(errand);
	fail(upgrade, why);
}

static bool start_preflight(struct upgrade *upgrade, struct error *err)
{
	static char *const argv[] = { "gantryd-preflight", "--preflight=3", NULL };
	int state_fd = write_state(upgrade->master, err);
	struct spawn how = {
		.program_fd = upgrade->next_fd,
		.argv = argv,
		.environment = environ,
		.fds = { [STDOUT_FILENO] = -1, [PREFLIGHT_STATE_FD] = state_fd },
		.fd_count = PREFLIGHT_STATE_FD + 1,
	};
	bool ok = state_fd >= 0 && errand_start(&upgrade->preflight, upgrade->master->loop, &how, UPGRADE_PREFLIGHT_S,
		on_preflight_done, upgrade, err);

	descriptor_close(&state_fd);
	return ok;
}

void upgrade_begin(struct upgrade *upgrade)
{
	struct error err;

	if (upgrade->program == NULL || upgrade->program_fd < 0) {
		fail(upgrade, "the program's own path is not known");
		return;
	}
	upgrade->next_fd = spawn_pin(upgrade->program, &err);
	if (upgrade->next_fd < 0 || !start_preflight(upgrade, &err))
		fail(upgrade, err.text);
}

/* -- the other side --------------------------------------------------------------------------- */

/* Once only: two programs that cannot read each other's state would go on for ever. */
static void go_back(struct master *master, const char *text, size_t size, const char *why)
	__attribute__((noreturn));
static void go_back(struct master *master, const char *text, size_t size, const char *why)
{
	int program_fd = text != NULL ? upgrade_state_program_fd(text, size) : -1;

	if (master->options.rolled_back == NULL && program_fd >= 0)
		execute(&master->options, program_fd, master->options.resume_fd, why);
	fatal("stopped: neither the new program nor the old one can take over: %s", why);
}

static void announce(struct master *master)
{
	if (master->options.rolled_back != NULL) {
		log_error(&master->log, "upgrade rolled back: %s", master->options.rolled_back);
		control_answer_upgrade(&master->control, CONTROL_FAILED, master->options.rolled_back);
		master_notify_state(master, "upgrade rolled back; ");
		return;
	}
	master->upgrade.count++;
	log_info(&master->log, "upgraded: gantryd %s took over, pid %d", version_text(), (int)getpid());
	/* It brings workers of the new version. */
	requests_set(&master->requests, REQUEST_RELOAD);
	control_upgrade_done(&master->control);
}

void upgrade_resume(struct master *master)
{
	struct upgrade_state state;
	struct error err = { .kind = ERROR_NONE };
	size_t size = 0;
	char *text = descriptor_read_all(master->options.resume_fd, LIMIT_UPGRADE_STATE_BYTES, &size, &err);

	/* Programs for tests: they pass their trial, and fail or hang here. */
#ifdef GANTRY_FAULT_RESUME
	go_back(master, text, size, GANTRY_FAULT_RESUME);
#elif defined(GANTRY_FAULT_HANG)
	for (;;)
		pause();
#endif
	if (text == NULL || !upgrade_state_decode(&state, text, size, &err) ||
	    !upgrade_adopt_take(master, &state, &err))
		go_back(master, text, size, err.text);
	upgrade_state_finish(&state);
	free(text);
	upgrade_adopt_keep_open(master, false);
	descriptor_close(&master->options.resume_fd);
	alarm(0);
	announce(master);
}

int upgrade_preflight(int state_fd)
{
	struct upgrade_state state, again;
	struct programs programs;
	struct error err;
	struct buf text;
	size_t size;
	char *given = descriptor_read_all(state_fd, LIMIT_UPGRADE_STATE_BYTES, &size, &err);
	bool ok = given != NULL && upgrade_state_decode(&state, given, size, &err);

	programs_init(&programs);
	buf_init(&text, LIMIT_UPGRADE_STATE_BYTES);
	if (ok) {
		upgrade_state_encode(&state, &text);
		ok = upgrade_state_decode(&again, buf_text(&text), text.size, &err) && programs_open(&programs, &err);
		upgrade_state_finish(&again);
		upgrade_state_finish(&state);
	}
	if (!ok)
		fprintf(stderr, "%s\n", err.text);
	programs_finish(&programs);
	buf_finish(&text);
	free(given);
	return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}
