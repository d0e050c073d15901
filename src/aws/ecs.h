/* SPDX-License-Identifier: Apache-2.0 */
/* ecs.h - the words of ECS: requests as JSON, and what its answers mean.
 *
 * Pure: no call, no clock, no log.  Member names and codes are those of AWS JSON 1.1
 * (AmazonEC2ContainerServiceV20141113).  What the end of a task means for a job is exec's. */
#ifndef AWS_ECS_H
#define AWS_ECS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

enum {
	ECS_DESCRIBE_MAX = 100,                 /* tasks a call */
	ECS_LIST_MAX = 100,
	LIMIT_ECS_OVERRIDES_BYTES = 8192,       /* of the compact JSON */
	LIMIT_ECS_STARTED_BY_BYTES = 36,        /* 128 today; emulators and old accounts take 36 */
	LIMIT_ECS_TAGS = 50,
	LIMIT_ECS_TAG_KEY_BYTES = 128,
	LIMIT_ECS_TAG_VALUE_BYTES = 256,
	LIMIT_ECS_REASON_BYTES = 255,           /* of StopTask */
};

/* -- requests; new references --------------------------------------------------------------------- */

json_t *ecs_describe_input(const char *cluster, const char *const *tasks, size_t count);
json_t *ecs_stop_input(const char *cluster, const char *task, const char *reason);
/* Either by started_by, which must be the only filter and then finds running tasks, or those that
 * have stopped, of a family (NULL: of all).  next_token may be NULL. */
json_t *ecs_list_started_by_input(const char *cluster, const char *started_by, const char *next_token);
json_t *ecs_list_stopped_input(const char *cluster, const char *family, const char *next_token);
/* The family of a task definition's name or ARN, the caller's to free. */
char *ecs_family_of(const char *task_definition);

/* -- RunTask's answers ---------------------------------------------------------------------------- */

/* What of RunTask's answer ecs_run_parse() reads (aws_request::reads). */
extern const char *const ecs_run_reads[];
/* The ARN of the task that an answer says was started, lent by doc; else NULL and err: THROTTLED (no
 * room), REFUSED (placement can't succeed as configured), AMBIGUOUS (it says neither). */
const char *ecs_run_parse(const json_t *doc, struct error *err);
/* What an error of RunTask means, into err: hidden throttles are THROTTLED, and what ECS itself did not
 * say can pass.  Returns the ARN of the task that the token had started already (ConflictException). */
const char *ecs_run_error(const struct error *given, const json_t *error_doc, struct error *err);
/* THROTTLED for want of room (resources, capacity, quotas), not for the rate of calls. */
bool ecs_is_capacity(const struct error *err);

/* -- tasks ---------------------------------------------------------------------------------------- */

/* STOPPED, or already DELETED. */
bool ecs_task_ended(const json_t *task);
bool ecs_task_running(const json_t *task);
/* Whether two ARNs or ids (long or short) name one task. */
bool ecs_same_task(const char *a, const char *b);
/* A member in milliseconds since 1970, from seconds or ISO 8601 text; 0: not there. */
int64_t ecs_time_ms(const json_t *task, const char *member);
/* The task in a DescribeTasks answer, or NULL; *missing: it is listed as MISSING.  *next, 0 at first, is where it is
 * looked for first and becomes the place behind it: most answers have the order that was asked for. */
const json_t *ecs_find_task(const json_t *doc, const char *arn, size_t *next, bool *missing);

#endif
