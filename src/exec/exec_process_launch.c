/* SPDX-License-Identifier: Apache-2.0 */
/* exec_process_launch.c - a launch finds or makes its directory, waits for a slot, and starts a shim.
 *
 * A launch that finds no slot stays with us instead of being refused: those who wait go on in their order as
 * soon as a slot's file is closed anywhere on this host, which a backoff could only guess at.  Nothing
 * is on disk until then.  Repeats are harmless at any point: the shim that gets the directory's lock
 * decides by what it finds there. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/descriptor.h"
#include "base/json_at.h"
#include "base/mem.h"
#include "exec/exec_process.h"

/* A slot's file is closed an instant before its lock is gone when its shim was killed. */
static const double LOOK_SOON_S = 0.05, LOOK_AGAIN_S = 5;
enum { SOON_LOOKS = 3 };

struct launch {
	struct exec_launch face;
	struct list mine;               /* exec_process.launches */
	struct list waiting;            /* exec_process.waiting */
	json_t *request;
	char *directory;
	char *waits_for;                /* for people, while it is on waiting */
	unsigned parallel;
	ev_timer turn;                  /* the first look, and answers that are known at once */
	ev_io report;
	struct buf word;
	char *handle;
	struct error error;
	bool decided;                   /* handle or error is the answer */
	exec_launched_fn *done;
	void *arg;
};

static struct exec_process *exec_of(const struct launch *launch)
{
	return process_of(launch->face.exec);
}

static void stop_watching(struct exec_process *exec);

static void launch_free(struct launch *launch)
{
	struct exec_process *exec = exec_of(launch);
	struct ev_loop *loop = exec->face.env.loop;

	ev_timer_stop(loop, &launch->turn);
	ev_io_stop(loop, &launch->report);
	if (launch->report.fd >= 0)
		close(launch->report.fd);
	list_remove(&launch->mine);
	list_remove(&launch->waiting);
	buf_finish(&launch->word);
	json_decref(launch->request);
	free(launch->directory);
	free(launch->waits_for);
	free(launch->handle);
	free(launch);
	if (list_empty(&exec->waiting))
		stop_watching(exec);
}

/* The last thing that happens to it. */
static void answer(struct launch *launch)
{
	exec_launched_fn *done = launch->done;
	void *arg = launch->arg;
	char *handle = launch->handle;
	struct error error = launch->error;

	launch->handle = NULL;
	launch_free(launch);
	done(arg, handle, handle != NULL ? NULL : &error);
	free(handle);
}

static void decide_handle(struct launch *launch)
{
	launch->handle = process_handle_make(launch->directory, exec_of(launch)->id);
	launch->decided = true;
}

static void decide_error(struct launch *launch, enum error_kind kind, const char *text)
{
	error_set(&launch->error, kind, "%s", text);
	launch->decided = true;
}

/* -- a shim's word ---------------------------------------------------------------------------- */

static void hear(struct launch *launch)
{
	char word[LIMIT_SHIM_REPORT_BYTES + 1];
	char *text;

	snprintf(word, sizeof(word), "%s", buf_text(&launch->word));
	word[strcspn(word, "\n")] = '\0';
	text = strchr(word, ' ');
	if (text != NULL)
		*text++ = '\0';
	if (strcmp(word, SHIM_WORD_STARTED) == 0 || strcmp(word, SHIM_WORD_AGAIN) == 0)
		decide_handle(launch);
	else if (strcmp(word, SHIM_WORD_VOID) == 0)
		decide_error(launch, ERROR_LOST, "this launch was given up before it happened");
	else if (strcmp(word, SHIM_WORD_ERROR) == 0)
		decide_error(launch, ERROR_TEMPORARY, text != NULL ? text : "gantry-shim could not start the command");
	else if (strcmp(word, SHIM_WORD_TAKEN) == 0)
		decide_error(launch, ERROR_AMBIGUOUS, "another gantry-shim is at it");
	else
		decide_error(launch, ERROR_AMBIGUOUS, "gantry-shim ended without a word");
	answer(launch);
}

static void on_report(struct ev_loop *loop, ev_io *io, int revents)
{
	struct launch *launch = container_of(io, struct launch, report);
	char bytes[LIMIT_SHIM_REPORT_BYTES];
	ssize_t n = read(io->fd, bytes, sizeof(bytes));

	(void)loop;
	(void)revents;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0 && buf_add(&launch->word, bytes, (size_t)n) && memchr(bytes, '\n', (size_t)n) == NULL)
		return;
	hear(launch);
}

/* -- starting one ----------------------------------------------------------------------------- */

static bool start(struct launch *launch, int slot_fd, struct error *err)
{
	struct exec_process *exec = exec_of(launch);
	const char *name = json_at_string(launch->request, "user");
	const char *job = json_at_string(launch->request, "job");
	bool is_ours = exec->user.name != NULL && (name == NULL) == (exec->face.conf->process.user == NULL) &&
		(name == NULL || strcmp(name, exec->face.conf->process.user) == 0);
	struct process_user other = { 0 };
	struct buf call;
	int report_fd = -1;
	bool ok = false;

	buf_init(&call, LIMIT_SHIM_REQUEST_BYTES);
	/* Of a deployer that is configured no more, or otherwise by now. */
	if (!is_ours && !process_user_find(&other, name, err))
		goto out;
	if (!process_call_build(launch->request, launch->directory, is_ours ? &exec->user : &other, slot_fd >= 0, &call, err))
		goto out;
	if (mkdir(launch->directory, 0700) != 0 && errno != EEXIST) {
		error_set_errno(err, ERROR_TEMPORARY, "%s", launch->directory);
		goto out;
	}
	ok = process_spawn(exec, job != NULL ? job : "", &call, slot_fd, &report_fd, err);
	if (ok) {
		ev_io_set(&launch->report, report_fd, EV_READ);
		ev_io_start(exec->face.env.loop, &launch->report);
	}
out:
	process_user_finish(&other);
	buf_finish(&call);
	return ok;
}

static void give_turn(struct launch *launch)
{
	ev_timer_stop(launch->face.exec->env.loop, &launch->turn);
	ev_timer_set(&launch->turn, 0., 0.);
	ev_timer_start(launch->face.exec->env.loop, &launch->turn);
}

/* False: it has to wait. */
static bool go(struct launch *launch)
{
	struct exec_process *exec = exec_of(launch);
	const char *deployer = json_at_string(launch->request, "deployer");
	enum process_slot slot = PROCESS_SLOT_TAKEN;
	int slot_fd = -1;

	if (launch->parallel > 0)
		slot = process_slot_take(exec->state_dir, deployer != NULL ? deployer : "", launch->parallel, &slot_fd,
			&launch->error);
	if (slot == PROCESS_SLOT_NONE_FREE)
		return false;
	if (slot == PROCESS_SLOT_FAILED || !start(launch, slot_fd, &launch->error)) {
		launch->decided = true;
		give_turn(launch);
	}
	/* The shim has it now. */
	descriptor_close(&slot_fd);
	return true;
}

/* -- waiting for a slot ----------------------------------------------------------------------- */

static void stop_watching(struct exec_process *exec)
{
	ev_io_stop(exec->face.env.loop, &exec->room);
	ev_timer_stop(exec->face.env.loop, &exec->room_timer);
	descriptor_close(&exec->room_fd);
}

static void arm(struct exec_process *exec, double after_s)
{
	ev_timer_stop(exec->face.env.loop, &exec->room_timer);
	ev_timer_set(&exec->room_timer, after_s, 0.);
	ev_timer_start(exec->face.env.loop, &exec->room_timer);
}

void process_launches_go_on(struct exec_process *exec)
{
	while (!list_empty(&exec->waiting)) {
		struct launch *launch = list_first(&exec->waiting, struct launch, waiting);

		if (!go(launch)) {
			arm(exec, exec->looked++ < SOON_LOOKS ? LOOK_SOON_S : LOOK_AGAIN_S);
			return;
		}
		exec->looked = 0;
		list_remove(&launch->waiting);
	}
	stop_watching(exec);
}

static void on_room(struct ev_loop *loop, ev_io *io, int revents)
{
	struct exec_process *exec = container_of(io, struct exec_process, room);
	char events[4096];

	(void)loop;
	(void)revents;
	while (read(io->fd, events, sizeof(events)) > 0)
		;
	exec->looked = 0;
	process_launches_go_on(exec);
}

static void on_room_timer(struct ev_loop *loop, ev_timer *timer, int revents)
{
	(void)loop;
	(void)revents;
	process_launches_go_on(container_of(timer, struct exec_process, room_timer));
}

/* Without inotify the timer is all there is. */
static void start_watching(struct exec_process *exec, const char *deployer)
{
	char *path = process_slots_path(exec->state_dir, deployer);

	exec->room_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (exec->room_fd >= 0 && inotify_add_watch(exec->room_fd, path, IN_CLOSE_WRITE) < 0)
		descriptor_close(&exec->room_fd);
	ev_io_init(&exec->room, on_room, exec->room_fd, EV_READ);
	if (exec->room_fd >= 0)
		ev_io_start(exec->face.env.loop, &exec->room);
	ev_timer_init(&exec->room_timer, on_room_timer, LOOK_SOON_S, 0.);
	ev_timer_start(exec->face.env.loop, &exec->room_timer);
	exec->looked = 0;
	free(path);
}

/* The look that follows the first of the waiting is for a slot that came free before we watched. */
static void wait_for_slot(struct launch *launch)
{
	struct exec_process *exec = exec_of(launch);
	const char *deployer = json_at_string(launch->request, "deployer");

	launch->waits_for = xasprintf("no slot of %u is free on this host", launch->parallel);
	if (list_empty(&exec->waiting))
		start_watching(exec, deployer != NULL ? deployer : "");
	list_append(&exec->waiting, &launch->waiting);
	log_debug(&exec->face.log, "a launch waits: %s", launch->waits_for);
}

/* -- the call --------------------------------------------------------------------------------- */

/* False when what is on disk has decided it already. */
static bool is_fresh(struct launch *launch)
{
	struct exec_process *exec = exec_of(launch);
	const char *host = json_at_string(launch->request, "host");
	struct process_status status;

	if (exec->state_dir == NULL) {
		decide_error(launch, ERROR_INVALID, "local commands need a state directory");
	} else if (host == NULL || strcmp(host, exec->id) != 0) {
		decide_error(launch, ERROR_LOST, "it was asked for on another host, and only there is known whether it runs");
	} else if (!process_dir_read(launch->directory, &status, &launch->error)) {
		launch->decided = true;
	} else switch (status.state) {
		case PROCESS_NONE:
			return true;
		case PROCESS_GIVEN_UP:
			decide_error(launch, ERROR_LOST, "this launch was given up before it happened");
			break;
		case PROCESS_STARTING:
			decide_error(launch, ERROR_AMBIGUOUS, "another gantry-shim is at it");
			break;
		case PROCESS_RUNNING: case PROCESS_ENDED: case PROCESS_DEAD:
			decide_handle(launch);
			break;
	}
	return false;
}

static void on_turn(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct launch *launch = container_of(timer, struct launch, turn);

	(void)loop;
	(void)revents;
	answer(launch);
}

struct exec_launch *process_launch(struct exec *face, const char *request, const char *token,
	exec_launched_fn *done, void *arg)
{
	struct exec_process *exec = process_of(face);
	struct launch *launch = xnew(struct launch);
	int64_t parallel = 0;

	launch->face.exec = face;
	launch->done = done;
	launch->arg = arg;
	list_append(&exec->launches, &launch->mine);
	list_init(&launch->waiting);
	buf_init(&launch->word, LIMIT_SHIM_REPORT_BYTES);
	ev_init(&launch->turn, on_turn);
	ev_io_init(&launch->report, on_report, -1, EV_READ);
	launch->directory = process_dir_path(exec->state_dir != NULL ? exec->state_dir : "", token);
	launch->request = json_at_parse(request, strlen(request), &launch->error);
	launch->decided = launch->request == NULL;
	json_at_integer(launch->request, "parallel", &parallel);
	launch->parallel = (unsigned)parallel;
	if (launch->decided || !is_fresh(launch)) {
		give_turn(launch);
		return &launch->face;
	}
	/* Nobody overtakes those who wait. */
	if (launch->parallel > 0 && !list_empty(&exec->waiting))
		wait_for_slot(launch);
	else if (!go(launch))
		wait_for_slot(launch);
	return &launch->face;
}

void process_launch_cancel(struct exec_launch *face)
{
	launch_free(container_of(face, struct launch, face));
}

const char *process_waits_for(const struct exec_launch *face)
{
	const struct launch *launch = container_of(face, struct launch, face);

	return list_empty(&launch->waiting) ? NULL : launch->waits_for;
}

void process_launches_cancel(struct exec_process *exec)
{
	while (!list_empty(&exec->launches))
		launch_free(list_first(&exec->launches, struct launch, mine));
	stop_watching(exec);
}
