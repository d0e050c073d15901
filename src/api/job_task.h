/* SPDX-License-Identifier: Apache-2.0 */
/* job_task.h - the ECS task of a job, for whoever wants what it wrote. */
#ifndef API_JOB_TASK_H
#define API_JOB_TASK_H

#include <stdbool.h>

#include "api/api.h"
#include "api/ecs_log.h"
#include "job/job.h"

/* Whether the handle of a launch, which may be NULL, is that of a task: its ARN. */
bool job_task_is_one(const char *handle);
/* A reader of its output, which is that of an attempt of the job.  NULL: its launch is not recorded any more, as it
 * has ended, nor is its deployer configured. */
struct ecs_log_reader *job_task_open(struct api *api, const struct job *job, const char *handle, ecs_log_news_fn *news,
	void *arg);

#endif
