/* SPDX-License-Identifier: Apache-2.0 */
/* exec_process_look.c - whether a launch has happened, for good.
 *
 * "Surely not" has to stay true: a shim that was started by a worker which is gone may still be on its way
 * to its first instruction.  So the answer is written into the directory, where that shim reads it. */
#include <stdlib.h>
#include <string.h>

#include "base/json_at.h"
#include "base/mem.h"
#include "exec/exec_process.h"

struct process_look {
	struct list link;               /* exec_process.looks */
	struct exec_process *exec;
	ev_timer turn;
	char *host, *directory;
	exec_launched_fn *done;
	void *arg;
};

static void look_free(struct process_look *look)
{
	ev_timer_stop(look->exec->face.env.loop, &look->turn);
	list_remove(&look->link);
	free(look->host);
	free(look->directory);
	free(look);
}

/* The handle, the caller's to free; NULL and err untouched: it surely did not happen. */
static char *find(const struct process_look *look, struct error *err)
{
	struct process_status status;

	if (look->exec->state_dir == NULL || look->host == NULL || strcmp(look->host, look->exec->id) != 0) {
		error_set(err, ERROR_LOST, "it was asked for on another host, and only there is known whether it runs");
		return NULL;
	}
	if (!process_dir_read(look->directory, &status, err))
		return NULL;
	switch (status.state) {
	case PROCESS_GIVEN_UP:
		return NULL;
	case PROCESS_NONE: case PROCESS_STARTING:
		process_dir_give_up(look->directory, err);
		return NULL;
	case PROCESS_RUNNING: case PROCESS_ENDED: case PROCESS_DEAD:
		break;
	}
	return process_handle_make(look->directory, look->exec->id);
}

static void on_turn(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct process_look *look = container_of(timer, struct process_look, turn);
	struct error err = { .kind = ERROR_NONE };
	exec_launched_fn *done = look->done;
	void *arg = look->arg;
	char *handle = find(look, &err);

	(void)loop;
	(void)revents;
	look_free(look);
	done(arg, handle, err.kind != ERROR_NONE ? &err : NULL);
	free(handle);
}

void process_look(struct exec *face, const char *request, const char *token, int64_t intended_ms,
	exec_launched_fn *done, void *arg)
{
	struct exec_process *exec = process_of(face);
	struct process_look *look = xnew(struct process_look);
	json_t *doc = json_at_parse(request, strlen(request), NULL);

	(void)intended_ms;
	look->exec = exec;
	look->host = xstrdup(json_at_string(doc, "host"));
	look->directory = process_dir_path(exec->state_dir != NULL ? exec->state_dir : "", token);
	look->done = done;
	look->arg = arg;
	json_decref(doc);
	list_append(&exec->looks, &look->link);
	ev_timer_init(&look->turn, on_turn, 0., 0.);
	ev_timer_start(face->env.loop, &look->turn);
}

void process_looks_cancel(struct exec_process *exec)
{
	while (!list_empty(&exec->looks))
		look_free(list_first(&exec->looks, struct process_look, link));
}
