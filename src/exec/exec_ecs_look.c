/* SPDX-License-Identifier: Apache-2.0 */
/* exec_ecs_look.c - finds out whether a launch has happened, by its startedBy.
 *
 * Running tasks are listed by startedBy, which must be the only filter and never finds stopped ones.
 * Those are listed by family, a page at a time and up to LIMIT_LOOK_PAGES: a family of which more tasks
 * end in an hour cannot be looked through.  What a listing brings is described, and only a task that says
 * the same startedBy counts.  ECS shows a stopped task for an hour: whoever looks later learns nothing from
 * not finding it. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/json_at.h"
#include "base/mem.h"
#include "exec/exec_ecs.h"

enum { LIMIT_LOOK_PAGES = 100 };

static void look_free(struct ecs_look *look)
{
	aws_call_cancel(look->call);
	ev_timer_stop(look->exec->account->loop, &look->timer);
	list_remove(&look->mine);
	free(look->cluster);
	free(look->family);
	free(look->started_by);
	free(look->page);
	free(look);
}

void ecs_looks_cancel(struct exec_ecs *exec)
{
	while (!list_empty(&exec->looks))
		look_free(list_first(&exec->looks, struct ecs_look, mine));
}

static void look_end(struct ecs_look *look, const char *handle, const struct error *err)
{
	exec_launched_fn *done = look->done;
	void *arg = look->arg;
	char *kept = xstrdup(handle);

	look_free(look);
	done(arg, kept, err);
	free(kept);
}

/* Everything was looked through and it was not there. */
static void not_found(struct ecs_look *look)
{
	int64_t age_ms = clock_steady_ms() - look->intended_ms;
	struct error err;

	/* A clock that was set back tells no age. */
	if (age_ms >= -ECS_CLOCK_SLACK_MS && age_ms < ECS_STOPPED_LIFE_MS) {
		look_end(look, NULL, NULL);
		return;
	}
	error_set(&err, ERROR_LOST, "no task of this launch is there, but one that has stopped is shown for an hour only, "
		"and the launch was %lld minutes ago", (long long)(age_ms / 60000));
	look_end(look, NULL, &err);
}

static void list_stopped(struct ecs_look *look);

static void next_page(struct ecs_look *look)
{
	struct error err;

	if (!look->among_stopped) {
		look->among_stopped = true;
		list_stopped(look);
	} else if (look->page == NULL)
		not_found(look);
	else if (++look->pages >= LIMIT_LOOK_PAGES) {
		error_set(&err, ERROR_LOST, "more than %d stopped tasks of %s: too many to look through",
			LIMIT_LOOK_PAGES * ECS_LIST_MAX, look->family);
		log_warn(&look->exec->face.log, "%s; whether the launch %s has happened stays unknown, and its job fails as uncertain",
			err.text, look->started_by);
		look_end(look, NULL, &err);
	} else
		list_stopped(look);
}

static void on_described(void *arg, const struct aws_reply *reply, const struct error *err)
{
	struct ecs_look *look = arg;
	const json_t *task;
	struct error unseen;
	size_t i;

	look->call = NULL;
	if (err != NULL) {
		look_end(look, NULL, err);
		return;
	}
	json_array_foreach(json_object_get(reply->doc, "tasks"), i, task) {
		const char *started_by = json_at_string(task, "startedBy");
		const char *arn = json_at_string(task, "taskArn");

		if (started_by != NULL && arn != NULL && strcmp(started_by, look->started_by) == 0) {
			look_end(look, arn, NULL);
			return;
		}
	}
	/* Listed as ours and not shown yet: not knowing it is no proof that it is not there. */
	if (!look->among_stopped && json_array_size(json_object_get(reply->doc, "tasks")) < look->asked) {
		error_set(&unseen, ERROR_TEMPORARY, "a task of this launch is listed but cannot be described yet");
		look_end(look, NULL, &unseen);
		return;
	}
	next_page(look);
}

static void describe(struct ecs_look *look, const json_t *arns)
{
	const char *tasks[ECS_DESCRIBE_MAX];
	const json_t *arn;
	size_t count = 0, i;

	json_array_foreach(arns, i, arn) {
		if (json_is_string(arn) && count < ECS_DESCRIBE_MAX)
			tasks[count++] = json_string_value(arn);
	}
	if (count == 0) {
		next_page(look);
		return;
	}
	look->asked = count;
	look->call = ecs_call(look->exec->account, "DescribeTasks",
		ecs_describe_input(look->cluster, tasks, count), on_described, look);
}

static void on_stopped_listed(void *arg, const struct aws_reply *reply, const struct error *err)
{
	struct ecs_look *look = arg;

	look->call = NULL;
	if (err != NULL) {
		look_end(look, NULL, err);
		return;
	}
	xreplace(&look->page, json_at_string(reply->doc, "nextToken"));
	describe(look, json_at_array(reply->doc, "taskArns"));
}

static void list_stopped(struct ecs_look *look)
{
	json_t *input = ecs_list_stopped_input(look->cluster, look->family, look->page);

	look->call = ecs_call(look->exec->account, "ListTasks", input, on_stopped_listed, look);
}

static void on_running_listed(void *arg, const struct aws_reply *reply, const struct error *err)
{
	struct ecs_look *look = arg;

	look->call = NULL;
	if (err != NULL)
		look_end(look, NULL, err);
	else
		describe(look, json_at_array(reply->doc, "taskArns"));
}

static void on_time(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct ecs_look *look = container_of(timer, struct ecs_look, timer);
	struct error err = look->error;

	(void)loop;
	(void)revents;
	if (err.kind != ERROR_NONE) {
		look_end(look, NULL, &err);
		return;
	}
	look->call = ecs_call(look->exec->account, "ListTasks",
		ecs_list_started_by_input(look->cluster, look->started_by, NULL), on_running_listed, look);
}

void ecs_look(struct exec *exec, const char *request, const char *token, int64_t intended_ms,
	exec_launched_fn *done, void *arg)
{
	struct exec_ecs *ecs = container_of(exec, struct exec_ecs, face);
	struct ecs_look *look = xnew(struct ecs_look);
	char *definition = ecs_request_definition(request);

	/* The token is in no listing; startedBy was made from the same attempt. */
	(void)token;
	look->exec = ecs;
	look->done = done;
	look->arg = arg;
	look->intended_ms = intended_ms;
	look->cluster = ecs_request_cluster(request);
	look->started_by = ecs_request_started_by(request);
	list_append(&ecs->looks, &look->mine);
	ev_timer_init(&look->timer, on_time, 0., 0.);
	if (definition == NULL || look->started_by == NULL)
		error_set(&look->error, ERROR_LOST, "the stored launch parameters can't be read");
	else
		look->family = ecs_family_of(definition);
	free(definition);
	/* A launch may not be listed in its first moments, so looking at once would prove nothing.  It is the last
	 * asking that counts, by whomever: an owner that died may have asked just before. */
	ecs_arm(ecs->account, &look->timer, look->error.kind != ERROR_NONE ? 0 : (double)ECS_SETTLE_MS / 1000);
}
