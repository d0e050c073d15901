/* SPDX-License-Identifier: Apache-2.0 */
/* ecs_task.c - the states of a task and what moves it from one to the next. */
#include "ecs_task.h"

#include "ecs_behaviour.h"
#include "ecs_process.h"
#include "ecs_render.h"
#include "ecs_run_check.h"
#include "ecs_token.h"
#include "xalloc.h"

#include <signal.h>

enum {
	EXIT_TERMINATED = 128 + SIGTERM,
	EXIT_KILLED = 128 + SIGKILL,
};

const char *const ecs_task_state_names[ECS_TASK_STATES] = {
	[ECS_PROVISIONING] = "PROVISIONING",
	[ECS_PENDING] = "PENDING",
	[ECS_RUNNING] = "RUNNING",
	[ECS_DEACTIVATING] = "DEACTIVATING",
	[ECS_STOPPED] = "STOPPED",
};

static const unsigned moves[ECS_TASK_STATES] = {
	[ECS_PROVISIONING] = 1u << ECS_PENDING | 1u << ECS_DEACTIVATING,
	[ECS_PENDING] = 1u << ECS_RUNNING | 1u << ECS_DEACTIVATING,
	[ECS_RUNNING] = 1u << ECS_DEACTIVATING,
	[ECS_DEACTIVATING] = 1u << ECS_STOPPED,
};

static struct world *task_world(const struct ecs_task *task)
{
	return task->cluster->ecs->world;
}

static void task_set_alarm(struct ecs_task *task, int64_t after_ms)
{
	struct world *world = task_world(task);

	sim_clock_set(world->clock, &task->alarm, world_now_ms(world) + after_ms);
}

static void task_move(struct ecs_task *task, enum ecs_task_state state)
{
	if ((moves[task->state] & 1u << state) == 0)
		abort();
	task->state = state;
	task->version++;
	ecs_event_send(task);
}

static void set_string(char **string, const char *value)
{
	free(*string);
	*string = xstrdup_null(value);
}

/* ---- stopping ---- */

struct ecs_container *ecs_task_judged(struct ecs_task *task)
{
	for (unsigned i = 0; i < task->container_count; i++) {
		if (!task->containers[i].sidecar)
			return &task->containers[i];
	}
	return &task->containers[0];
}

/* Why it stops, unless that was said before. */
static void task_want_stop(struct ecs_task *task, const char *stop_code, const char *reason)
{
	if (task->stop_wanted)
		return;
	task->stop_wanted = true;
	task->stopping_ms = world_now_ms(task_world(task));
	set_string(&task->stop_code, stop_code);
	set_string(&task->stopped_reason, reason);
}

/* All containers have ended; exit_code -1: the judged one never ran, or won't say. */
static void task_containers_ended(struct ecs_task *task, int exit_code)
{
	const struct ecs_behaviour *behaviour = &task->behaviour;
	struct ecs_container *judged = ecs_task_judged(task);
	bool ran = task->started_ms != 0;

	for (unsigned i = 0; i < task->container_count && ran; i++)
		task->containers[i].exit_code = behaviour->sidecar_exit_code;
	judged->exit_code = ran ? exit_code : -1;
	if (behaviour->container_reason != NULL)
		set_string(&judged->reason, behaviour->container_reason);
	task->execution_stopped_ms = world_now_ms(task_world(task));
	ecs_task_log_end(task);
	task_want_stop(task, "EssentialContainerExited", "Essential container in task exited");
	task_move(task, ECS_DEACTIVATING);
	task_set_alarm(task, task->cluster->ecs->settings.stop_ms);
}

static void give_back(struct ecs_capacity **room)
{
	if (*room != NULL && (*room)->available >= 0)
		(*room)->available++;
	*room = NULL;
}

static void task_stopped(struct ecs_task *task)
{
	const struct ecs_settings *settings = &task->cluster->ecs->settings;
	struct world *world = task_world(task);

	task->stopped_ms = world_now_ms(world);
	give_back(&task->room);
	give_back(&task->subnet_room);
	ledger_task_stopped(world->ledger, task->ledger, task->stopped_ms,
			    ecs_task_judged(task)->exit_code, task->stop_code);
	if (task->token != NULL)
		ecs_token_task_stopped(task->token, task->stopped_ms);
	task_move(task, ECS_STOPPED);
	task_set_alarm(task, settings->stopped_life_s * 1000);
}

static void task_ends_by_clock(struct ecs_task *task)
{
	const struct ecs_behaviour *behaviour = &task->behaviour;

	if (behaviour->stop_code != NULL || behaviour->stop_reason != NULL)
		task_want_stop(task,
			       behaviour->stop_code != NULL ? behaviour->stop_code
							    : "EssentialContainerExited",
			       behaviour->stop_reason != NULL ? behaviour->stop_reason
							      : "Essential container in task "
								"exited");
	task_containers_ended(task, behaviour->no_exit_code ? -1 : behaviour->exit_code);
}

void ecs_task_stop(struct ecs_task *task, const char *stop_code, const char *reason)
{
	if (task->stop_wanted)
		return;
	task_want_stop(task, stop_code, reason);
	if (task->process != NULL) {
		ecs_process_signal(task->process, SIGTERM);
		task_set_alarm(task, task->cluster->ecs->settings.stop_timeout_ms);
	} else if (task->state != ECS_RUNNING) {
		task_containers_ended(task, -1);
	} else if (task->behaviour.ignores_term) {
		task_set_alarm(task, task->cluster->ecs->settings.stop_timeout_ms);
	} else {
		task_containers_ended(task, EXIT_TERMINATED);
	}
}

/* ---- starting ---- */

static void on_process_exit(void *arg, int code)
{
	struct ecs_task *task = arg;

	task->process = NULL;
	task_containers_ended(task, code);
}

static void task_exec(struct ecs_task *task)
{
	struct ecs *ecs = task->cluster->ecs;
	struct ecs_process_plan plan = {
		.command = task->command,
		.environment = task->command_environment,
		.directory = ecs->settings.exec_dir,
	};
	char *log_path = NULL;
	int why;

	if (ecs->settings.exec_dir != NULL) {
		if (asprintf(&log_path, "%s/%s.log", ecs->settings.exec_dir, task->id) < 0)
			abort();
		plan.log_path = log_path;
	}
	task->process = ecs_process_start(ecs->world->loop, &plan, on_process_exit, task, &why);
	free(log_path);
	if (task->process != NULL)
		return;
	if (asprintf(&ecs_task_judged(task)->reason, "CannotStartContainerError: %s: %s",
		     task->command[0], strerror(why)) < 0)
		abort();
	task->started_ms = 0;
	task_want_stop(task, "TaskFailedToStart", "Task failed to start");
	task_containers_ended(task, -1);
}

static void task_started(struct ecs_task *task)
{
	struct world *world = task_world(task);

	task->started_ms = world_now_ms(world);
	task->pull_stopped_ms = task->started_ms;
	ledger_task_started(world->ledger, task->ledger, task->started_ms);
	task_move(task, ECS_RUNNING);
	ecs_task_log_start(task);
	if (task->command != NULL)
		task_exec(task);
	else
		task_set_alarm(task, task->behaviour.run_ms);
}

static void task_failed_to_start(struct ecs_task *task)
{
	const struct ecs_behaviour *behaviour = &task->behaviour;

	task_want_stop(task,
		       behaviour->stop_code != NULL ? behaviour->stop_code : "TaskFailedToStart",
		       behaviour->stop_reason != NULL
			       ? behaviour->stop_reason
			       : "CannotPullContainerError: pull image manifest has been retried 1 "
				 "time(s): failed to resolve ref");
	task_containers_ended(task, -1);
}

static void on_alarm(struct alarm *alarm)
{
	struct ecs_task *task = container_of(alarm, struct ecs_task, alarm);

	switch (task->state) {
	case ECS_PROVISIONING:
		task->pull_started_ms = world_now_ms(task_world(task));
		task_move(task, ECS_PENDING);
		task_set_alarm(task, task->behaviour.start_ms - task->behaviour.start_ms / 2);
		break;
	case ECS_PENDING:
		if (task->behaviour.fails_to_start)
			task_failed_to_start(task);
		else
			task_started(task);
		break;
	case ECS_RUNNING:
		if (task->process != NULL)
			ecs_process_signal(task->process, SIGKILL);
		else if (task->stop_wanted)
			task_containers_ended(task, EXIT_KILLED);
		else
			task_ends_by_clock(task);
		break;
	case ECS_DEACTIVATING:
		task_stopped(task);
		break;
	default:
		ecs_task_destroy(task); /* nobody can ask for it any more */
	}
}

void ecs_task_finish(struct ecs_task *task)
{
	task->behaviour.run_ms = 0;
	if (task->state == ECS_RUNNING && task->process == NULL && !task->stop_wanted)
		task_set_alarm(task, 0);
}

/* ---- the task itself ---- */

static void task_make_id(struct ecs_task *task)
{
	struct world *world = task_world(task);

	snprintf(task->id, sizeof(task->id), "%016llx%016llx",
		 (unsigned long long)dice_roll(&world->dice),
		 (unsigned long long)dice_roll(&world->dice));
	if (asprintf(&task->arn,
		     "arn:aws:ecs:" WORLD_REGION ":" WORLD_ACCOUNT ":task/%s/%s",
		     task->cluster->name, task->id) < 0)
		abort();
}

/* NULL: a capacity provider that is not Fargate. */
static const char *launch_type_of(const struct ecs_run_request *request,
				  const struct ecs_place *place)
{
	if (request->launch_type != NULL)
		return request->launch_type;
	if (place->capacity_provider != NULL)
		return strncmp(place->capacity_provider, "FARGATE", 7) == 0 ? "FARGATE" : NULL;
	return place->subnet != NULL ? "FARGATE" : "EC2";
}

struct ecs_task *ecs_task_create(struct ecs_cluster *cluster, const json_t *in,
				 const struct ecs_run_request *request, json_t *definition,
				 const struct ecs_place *place)
{
	struct ecs_task *task = xcalloc(1, sizeof(*task));
	struct ecs *ecs = cluster->ecs;

	task->cluster = cluster;
	task->alarm.ring = on_alarm;
	task->serial = ++ecs->serial;
	task->version = 1;
	task->in = in;
	task->room = place->room;
	task->subnet_room = place->subnet_room;
	task->started_by = xstrdup_null(json_string_value(json_object_get(in, "startedBy")));
	task->subnet = xstrdup_null(place->subnet);
	task->family = xstrdup(json_string_value(json_object_get(definition, "family")));
	task->definition_arn =
		xstrdup(json_string_value(json_object_get(definition, "taskDefinitionArn")));
	task->created_ms = world_now_ms(ecs->world);
	task->ledger = LEDGER_NONE;
	task_make_id(task);
	ecs_render_given(task, request, launch_type_of(request, place), place->capacity_provider);
	ecs_task_read_behaviour(task, definition);
	ecs_task_read_containers(task, definition);
	ecs_task_read_log(task, definition);
	if (ecs->settings.exec) {
		task->command = ecs_task_read_command(task, definition);
		task->command_environment = ecs_task_environment_strings(task, definition);
	}
	task->in = NULL;
	list_add_tail(&cluster->task_order, &task->peers);
	table_insert(&cluster->tasks, &task->by_id, task->id);
	ecs_event_send(task);
	task_set_alarm(task, task->behaviour.start_ms / 2);
	return task;
}

void ecs_task_destroy(struct ecs_task *task)
{
	sim_clock_clear(task_world(task)->clock, &task->alarm);
	ecs_process_destroy(task->process);
	table_remove(&task->cluster->tasks, &task->by_id);
	list_remove(&task->peers);
	for (unsigned i = 0; i < task->container_count; i++) {
		free(task->containers[i].name);
		free(task->containers[i].reason);
	}
	ecs_strings_free(task->command);
	ecs_strings_free(task->command_environment);
	text_finish(&task->given);
	text_finish(&task->tags);
	json_decref(task->simulated);
	free(task->log_group);
	free(task->log_stream);
	free(task->started_by);
	free(task->subnet);
	free(task->arn);
	free(task->family);
	free(task->definition_arn);
	free(task->stop_code);
	free(task->stopped_reason);
	free(task);
}

bool ecs_task_is_visible(const struct ecs_task *task)
{
	return world_now_ms(task_world(task)) >=
	       task->created_ms + task->cluster->ecs->settings.consistency_ms;
}

struct ecs_task *ecs_task_find(struct ecs_cluster *cluster, const char *name)
{
	struct table_node *node = table_find(&cluster->tasks, ecs_last_part(name, '/'));
	struct ecs_task *task;

	if (node == NULL)
		return NULL;
	task = container_of(node, struct ecs_task, by_id);
	return ecs_task_is_visible(task) ? task : NULL;
}

void ecs_task_forget_token(struct ecs_cluster *cluster, const struct ecs_token *token)
{
	for (unsigned i = 0; i < token->tasks; i++) {
		struct table_node *node =
			table_find(&cluster->tasks, ecs_last_part(token->arns[i], '/'));

		if (node != NULL)
			container_of(node, struct ecs_task, by_id)->token = NULL;
	}
}
