/* SPDX-License-Identifier: Apache-2.0 */
/* master.c - puts the parts together and acts on what is asked: the one place where requests become
 * deeds (on_act), after everything else that a turn of the loop brought. */
#include "master/master.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "master/daemonize.h"
#include "master/version.h"

/* -- its parts -------------------------------------------------------------------------------- */

enum phase master_phase(const struct master *master)
{
	if (stop_is_under_way(&master->stop))
		return PHASE_STOPPING;
	if (!master->ready)
		return PHASE_STARTING;
	if (master->reload.step != RELOAD_IDLE)
		return PHASE_RELOADING;
	if (upgrade_is_under_way(&master->upgrade))
		return PHASE_UPGRADING;
	return PHASE_RUNNING;
}

void master_notify_state(struct master *master, const char *prefix)
{
	const struct generation *current = master->roster.current;
	char text[128];

	snprintf(text, sizeof(text), "%sgeneration %u, %zu workers", prefix, current->number, current->slot_count);
	/* At the end of every reload, good or bad: RELOADING is over. */
	notify_ready(&master->notify, text);
}

/* A key that only root can follow is an error for others, unless it changes nothing. */
static bool check_user(const struct master *master, const char *user, struct error *err)
{
	struct identity identity;
	bool same;

	if (user == NULL || master->identity.name != NULL)
		return true;
	if (!identity_find(&identity, user, err))
		return false;
	same = identity.uid == geteuid();
	identity_finish(&identity);
	if (!same)
		error_set(err, ERROR_REFUSED, "supervisor.user: only root can become %s", user);
	return same;
}

void master_log_to(struct master *master, struct edition *edition)
{
	struct edition *before = master->logs;

	master->logs = edition_ref(edition);
	log_target_use(&edition->log);
	edition_unref(before);
}

bool master_settle(struct master *master, struct edition *edition, struct error *err)
{
	const struct conf_supervisor *conf = &edition->conf->supervisor;
	const char *pid_path = master->options.pid_file != NULL ? master->options.pid_file : conf->pid_file;

	if (!check_user(master, conf->user, err))
		return false;
	if (pid_path != NULL && (!identity_make(&master->identity, pid_path, err) ||
	    !pid_file_take(&master->pid_file, pid_path, getpid(), err)))
		return false;
	if (conf->control_socket != NULL && !control_open(&master->control, conf->control_socket, err))
		return false;
	master_log_to(master, edition);
	if (!listeners_open(&master->listeners, edition->conf, &master->identity, err) ||
	    !identity_become(&master->identity, err))
		return false;
	master->settled = true;
	log_info(&master->log, "gantryd %s starting, pid %d, configuration %s", version_text(), (int)getpid(),
		master->options.conf_path);
	return true;
}

void master_is_ready(struct master *master)
{
	const struct generation *current = master->roster.current;

	master->ready = true;
	/* Operators and tests wait for this line: it does not change. */
	log_info(&master->log, "ready: generation %u, %zu workers", current->number, current->slot_count);
	master_notify_state(master, "");
	if (master->options.tell_fd < 0)
		return;
	daemonize_tell(&master->options.tell_fd, true, "");
	daemonize_detach(current->edition->log.kind == CONF_LOG_STDERR);
}

void master_failed_start(struct master *master, const char *why)
{
	const char *path = master->options.conf_path;
	/* What gantry-check says begins with the file and stands for itself. */
	const char *prefix = strncmp(why, path, strlen(path)) == 0 ? "" : "gantryd: ";
	char last[LIMIT_STOP_WHY_BYTES];

	master->exit_status = EXIT_FAILURE;
	free(master->start_failure);
	master->start_failure = xasprintf("%s%s", prefix, why);
	/* Its first line is enough for the last line of the log. */
	snprintf(last, sizeof(last), "the start failed: %.*s", (int)strcspn(why, "\n"), why);
	stop_begin(master, true, last);
}

/* -- requests --------------------------------------------------------------------------------- */

static void scale(struct master *master, int count)
{
	struct generation *current = master->roster.current;

	if (count < 1)
		count = 1;
	if (count > LIMIT_WORKERS)
		count = LIMIT_WORKERS;
	current->counted_by_hand = true;
	if ((size_t)count == current->slot_count)
		return;
	log_info(&master->log, "%d workers instead of %zu, until the next reload", count, current->slot_count);
	generation_set_slots(current, (size_t)count);
	master_notify_state(master, "");
}

void master_scale_by_backlog(struct master *master, struct generation *generation, unsigned wanted, uint64_t depth)
{
	size_t count;

	if (generation != master->roster.current || generation->counted_by_hand || master_phase(master) != PHASE_RUNNING)
		return;
	count = scale_decide(&generation->scale, generation->slot_count, wanted);
	if (count == 0 || count > LIMIT_WORKERS || count == generation->slot_count)
		return;
	log_info(&master->log, "%zu workers instead of %zu, as %" PRIu64 " messages wait", count, generation->slot_count, depth);
	generation_set_slots(generation, count);
	master_notify_state(master, "");
}

static void reopen_log(struct master *master, struct edition *edition)
{
	struct error err;

	if (edition != NULL && !log_target_reopen(&edition->log, &err))
		log_error(&master->log, "%s; the old file is kept", err.text);
}

static void reopen_logs(struct master *master)
{
	struct generation *generation;
	struct child *child;

	reopen_log(master, master->reload.last_good);
	list_each(generation, &master->roster.generations, link) {
		reopen_log(master, generation->edition);
		if (generation->edition->log.kind != CONF_LOG_FILE)
			continue;
		list_each(child, &generation->children, link)
			child_tell(child, REPORT_REOPEN);
	}
	log_info(&master->log, "log opened again");
}

static void act(struct master *master, enum request request)
{
	int count;

	switch (request) {
	case REQUEST_FAST_STOP:
		stop_begin(master, true, "asked to, fast");
		break;
	case REQUEST_STOP:
		stop_begin(master, false, "asked to");
		break;
	case REQUEST_UPGRADE:
		upgrade_begin(&master->upgrade);
		break;
	case REQUEST_RELOAD:
		reload_begin(&master->reload);
		break;
	case REQUEST_SCALE_TO:
		count = master->scale_to;
		master->scale_to = 0;
		scale(master, count);
		break;
	case REQUEST_SCALE_UP:
		scale(master, (int)master->roster.current->slot_count + 1);
		break;
	case REQUEST_SCALE_DOWN:
		scale(master, (int)master->roster.current->slot_count - 1);
		break;
	case REQUEST_REOPEN:
		reopen_logs(master);
		break;
	case REQUESTS:
		break;
	}
}

/* A reload that has no room stays asked for. */
static unsigned held_back(struct master *master)
{
	if (!requests_has(&master->requests, REQUEST_RELOAD) || master_phase(master) != PHASE_RUNNING ||
	    reload_has_room(&master->reload))
		return 0;
	reload_defer(&master->reload);
	return 1u << REQUEST_RELOAD;
}

static void act_on_requests(struct master *master)
{
	enum request_fate fate;

	for (;;) {
		enum request request =
			requests_take(&master->requests, master_phase(master), held_back(master), &fate);

		if (request == REQUEST_NONE)
			return;
		if (fate == REQUEST_ACT)
			act(master, request);
		else if (fate == REQUEST_IGNORE)
			log_info(&master->log, "%s was asked for while stopping; ignored", request_name(request));
	}
}

static void on_act(struct ev_loop *loop, ev_prepare *prepare, int revents)
{
	struct master *master = container_of(prepare, struct master, act);

	(void)revents;
	roster_sweep(&master->roster);
	if (master->reload.fall_back && master_phase(master) == PHASE_RUNNING && reload_has_room(&master->reload))
		reload_begin(&master->reload);
	act_on_requests(master);
	roster_tell_orphans(&master->roster);
	if (stop_is_complete(master))
		ev_break(loop, EVBREAK_ALL);
}

/* -- signals ---------------------------------------------------------------------------------- */

static void reap_one(struct master *master, pid_t pid, int status)
{
	struct child *child = roster_find_pid(&master->roster, pid);

	if (child != NULL)
		child_exited(child, status);
	else if (!errand_exited(&master->reload.check.errand, pid, status) &&
	    !errand_exited(&master->upgrade.preflight, pid, status) && !nurse_exited(&master->reload.nurse, pid))
		log_debug(&master->log, "reaped process %d, which was not ours", (int)pid);
}

/* One signal may stand for several ends. */
static void reap_all(struct master *master)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0 || (pid < 0 && errno == EINTR)) {
		if (pid > 0)
			reap_one(master, pid, status);
	}
}

static void on_signal(void *arg, int signo)
{
	struct master *master = arg;

	if (signo == SIGCHLD)
		reap_all(master);
	else
		requests_set_signal(&master->requests, signo, master_phase(master));
}

/* -- its life --------------------------------------------------------------------------------- */

static void on_user_known(struct check_run *check)
{
	struct master *master = container_of(check, struct master, reload.check);
	struct error err;

	if (check->text == NULL) {
		master_failed_start(master, check->why);
		return;
	}
	check->text[strcspn(check->text, "\n")] = '\0';
	if (check->text[0] != '\0' && !identity_find(&master->identity, check->text, &err)) {
		master_failed_start(master, err.text);
		return;
	}
	reload_begin(&master->reload);
}

/* Root reads one key of the file; everything else is read as the user that key names. */
static void begin(struct master *master)
{
	struct error err;

	if (geteuid() != 0) {
		reload_begin(&master->reload);
		return;
	}
	if (!programs_open(&master->programs, &err) ||
	    !check_run_start(&master->reload.check, master->loop, master->programs.check_fd,
		    master->options.conf_path, CHECK_ONLY_USER, NULL, on_user_known, &err))
		master_failed_start(master, err.text);
}

static void init(struct master *master, const struct master_options *options)
{
	*master = (struct master){ .options = *options };
	master->loop = ev_loop_new(EVFLAG_NOENV | EVFLAG_NOSIGMASK);
	if (master->loop == NULL)
		fatal("there is no event loop");
	master->started_at = clock_monotonic_s();
	master->started_wall_ms = clock_wall_ms();
	master->pid_file.fd = master->tally.fd = -1;
	log_init(&master->log, NULL, "%s", "");
	programs_init(&master->programs);
	roster_init(&master->roster, master->started_wall_ms);
	reload_init(&master->reload, master);
	upgrade_init(&master->upgrade, master);
	hint_init(&master->hint, master);
	listeners_init(&master->listeners, &master->log);
	control_init(&master->control, master);
	notify_socket_open(&master->notify, master->loop);
	watchdog_start(&master->watchdog, master);
	ev_prepare_init(&master->act, on_act);
	ev_prepare_start(master->loop, &master->act);
	/* It alone shall not keep the loop waiting for nothing. */
	ev_unref(master->loop);
}

static void finish(struct master *master)
{
	roster_finish(&master->roster);
	queue_rates_finish(&master->queue_rates);
	reload_finish(&master->reload);
	upgrade_finish(&master->upgrade);
	watchdog_stop(&master->watchdog);
	hint_finish(&master->hint);
	listeners_close(&master->listeners);
	control_withdraw(&master->control);
	pid_file_release(&master->pid_file);
	/* Who waited for the end may start the next one at once. */
	control_answer_stopped(&master->control);
	control_close(&master->control);
	signals_stop(&master->signals);
	ev_ref(master->loop);
	ev_prepare_stop(master->loop, &master->act);
	programs_finish(&master->programs);
	identity_finish(&master->identity);
	notify_socket_close(&master->notify);
	tally_close(&master->tally);
	edition_unref(master->logs);
	ev_loop_destroy(master->loop);
}

/* To whoever started us, when all is given up, so that he may try again at once.  Where the log goes
 * to the same terminal it has said so by itself. */
static void tell_failure(struct master *master, bool logged_to_stderr)
{
	if (master->start_failure == NULL)
		return;
	if (master->options.tell_fd >= 0)
		daemonize_tell(&master->options.tell_fd, false, master->start_failure);
	else if (!logged_to_stderr)
		fprintf(stderr, "%s\n", master->start_failure);
	free(master->start_failure);
}

int master_run(const struct master_options *options)
{
	struct master *master = xnew(struct master);
	bool resumed = options->resume_fd >= 0, logged_to_stderr;
	int status;

	init(master, options);
	if (resumed)
		upgrade_resume(master);
	else
		listeners_borrow(&master->listeners);
	if (!resumed)
		tally_open(&master->tally, -1, &master->log);
	/* From here on signals are heard.  Children that ended during an exec have sent theirs already. */
	signals_start(&master->signals, master->loop, on_signal, master);
	if (resumed)
		reap_all(master);
	else
		begin(master);
	ev_run(master->loop, 0);
	status = master->exit_status;
	/* The last line of the log is why.  Before there was a log, whoever started us has been told. */
	if (master->settled)
		log_info(&master->log, "stopped: %s", master->stop.why);
	logged_to_stderr = master->settled && log_fd() == STDERR_FILENO;
	finish(master);
	tell_failure(master, logged_to_stderr);
	free(master);
	return status;
}
