/* SPDX-License-Identifier: Apache-2.0 */
/* ecs_behaviour.h - what a RunTask request and its task definition say about a task:
 * its containers, its environment, its command, and how it shall behave by the clock. */
#ifndef AWSSIM_ECS_BEHAVIOUR_H
#define AWSSIM_ECS_BEHAVIOUR_H

#include "ecs_task.h"

/* Variables of the container overrides, all together, as NAME NUL VALUE NUL; the last of a name counts. */
void ecs_override_environment(struct text *out, const json_t *in);
void ecs_task_read_behaviour(struct ecs_task *, const json_t *definition);
/* Containers by the definition, or by the overrides when the definition is made up.  After the above. */
void ecs_task_read_containers(struct ecs_task *, const json_t *definition);
/* Where it writes to, when it says that it writes.  After the above. */
void ecs_task_read_log(struct ecs_task *, const json_t *definition);
/* Writes what SIM_LOG and SIM_LOG_LINES say; what SIM_LOG_END says. */
void ecs_task_log_start(struct ecs_task *);
void ecs_task_log_end(struct ecs_task *);
/* The first command to be found; NULL: none.  Freed by ecs_strings_free(). */
char **ecs_task_read_command(const struct ecs_task *, const json_t *definition);
/* NAME=value of a clean environment, the definition's and the overrides'. */
char **ecs_task_environment_strings(const struct ecs_task *, const json_t *definition);
void ecs_strings_free(char **);

#endif
