/* SPDX-License-Identifier: Apache-2.0 */
/* job.c - see job.h. */
#include "job/job.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static const char *const policies[LOCK_POLICIES] = {
	[LOCK_QUEUE] = "queue", [LOCK_LATEST] = "latest", [LOCK_REJECT] = "reject", [LOCK_PARALLEL] = "parallel",
};

struct job *job_create(void)
{
	struct job *job = xnew(struct job);

	job->priority = JOB_PRIORITY_DEFAULT;
	job->exit_code = JOB_NO_EXIT_CODE;
	return job;
}

static void message_finish(struct job_message_ref *message)
{
	free(message->id);
	free(message->receipt);
	free(message->group);
}

static void attempt_finish(struct job_attempt *attempt)
{
	free(attempt->token);
	free(attempt->request);
	free(attempt->handle);
}

void job_destroy(struct job *job)
{
	if (job == NULL)
		return;
	free(job->id);
	free(job->project);
	free(job->deployer);
	free(job->queue);
	free(job->lock_key);
	free(job->commit);
	free(job->ref);
	free(job->stage);
	free(job->body);
	free(job->reason);
	free(job->detail);
	free(job->waits_for);
	free(job->cancelled_by);
	free(job->cancel_reason);
	free(job->owner);
	message_finish(&job->message);
	attempt_finish(&job->attempt);
	free(job);
}

struct job *job_copy(const struct job *job)
{
	struct job *copy = xnew(struct job);

	*copy = *job;
	copy->id = xstrdup(job->id);
	copy->project = xstrdup(job->project);
	copy->deployer = xstrdup(job->deployer);
	copy->queue = xstrdup(job->queue);
	copy->lock_key = xstrdup(job->lock_key);
	copy->commit = xstrdup(job->commit);
	copy->ref = xstrdup(job->ref);
	copy->stage = xstrdup(job->stage);
	copy->body = xstrdup(job->body);
	copy->reason = xstrdup(job->reason);
	copy->detail = xstrdup(job->detail);
	copy->waits_for = xstrdup(job->waits_for);
	copy->cancelled_by = xstrdup(job->cancelled_by);
	copy->cancel_reason = xstrdup(job->cancel_reason);
	copy->owner = xstrdup(job->owner);
	copy->message.id = xstrdup(job->message.id);
	copy->message.receipt = xstrdup(job->message.receipt);
	copy->message.group = xstrdup(job->message.group);
	copy->attempt.token = xstrdup(job->attempt.token);
	copy->attempt.request = xstrdup(job->attempt.request);
	copy->attempt.handle = xstrdup(job->attempt.handle);
	return copy;
}

void job_result_set(struct job_result *result, enum job_state state, const char *reason, int exit_code,
	const char *fmt, ...)
{
	va_list args;

	result->state = state;
	result->exit_code = exit_code;
	snprintf(result->reason, sizeof(result->reason), "%s", reason != NULL ? reason : "");
	va_start(args, fmt);
	vsnprintf(result->detail, sizeof(result->detail), fmt, args);
	va_end(args);
}

bool lock_policy_parse(const char *name, enum lock_policy *policy)
{
	for (int i = 0; i < LOCK_POLICIES; i++) {
		if (strcmp(name, policies[i]) == 0) {
			*policy = (enum lock_policy)i;
			return true;
		}
	}
	return false;
}

const char *lock_policy_name(enum lock_policy policy)
{
	return policy < LOCK_POLICIES ? policies[policy] : "unknown";
}
