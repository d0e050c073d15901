/* SPDX-License-Identifier: Apache-2.0 */
/* ecs_render.h - tasks as DescribeTasks and as EventBridge show them. */
#ifndef AWSSIM_ECS_RENDER_H
#define AWSSIM_ECS_RENDER_H

#include "ecs_task.h"
#include "text.h"

enum ecs_times {
	ECS_TIMES_EPOCH,        /* of the API: seconds as a number */
	ECS_TIMES_ISO,          /* of events */
};

/* Fills task->given and task->tags, once, from the request that made it. */
void ecs_render_given(struct ecs_task *, const struct ecs_run_request *, const char *launch_type,
		      const char *capacity_provider);
/* Appends a JSON object, with the comma that it may need before it. */
void ecs_render_task(struct text *, const struct ecs_task *, enum ecs_times, bool with_tags);
/* Tells the configured queue, if there is one, that the task has changed. */
void ecs_event_send(const struct ecs_task *);

#endif
