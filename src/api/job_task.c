/* SPDX-License-Identifier: Apache-2.0 */
/* job_task.c - see job_task.h. */
#include "api/job_task.h"

#include <string.h>

#include "base/json_at.h"

bool job_task_is_one(const char *handle)
{
	return handle != NULL && strncmp(handle, "arn:", 4) == 0;
}

/* What the launch at hand asked for is recorded while it lasts, and earlier ones have most likely asked for the same;
 * then the deployer is, most likely, what it was. */
struct ecs_log_reader *job_task_open(struct api *api, const struct job *job, const char *handle, ecs_log_news_fn *news,
	void *arg)
{
	const struct conf_deployer *deployer = job->deployer != NULL ? conf_find_deployer(api->conf, job->deployer) : NULL;
	const char *text = job->attempt.request;
	json_t *request = text != NULL ? json_at_parse(text, strlen(text), NULL) : NULL;
	struct ecs_log_task task = {
		.task = handle,
		.definition = json_at_string(request, "taskDefinition"),
		.container = json_at_string(request, "overrides.containerOverrides[0].name"),
	};
	struct ecs_log_reader *reader = NULL;

	if (deployer != NULL && deployer->type == CONF_DEPLOYER_ECS) {
		task.conf = &deployer->logs;
		task.definition = task.definition != NULL ? task.definition : deployer->task_definition;
		task.container = task.container != NULL ? task.container : deployer->container;
	}
	if (task.definition != NULL && task.container != NULL)
		reader = ecs_log_open(api->task_logs, &task, news, arg);
	json_decref(request);
	return reader;
}
