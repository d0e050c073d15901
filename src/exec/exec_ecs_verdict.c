/* SPDX-License-Identifier: Apache-2.0 */
/* exec_ecs_verdict.c - what the end of a task means for its job.
 *
 * Succeeded is only what says so twice: the judged container's exit code is 0, and the task ended
 * because a container did.  A missing exit code is never a success, and other containers' exit codes
 * count for nothing.  What the infrastructure did to the task says nothing about the deployment and
 * may be tried again. */
#include <stdio.h>
#include <string.h>

#include "base/json_at.h"
#include "exec/exec_ecs.h"

enum { EXIT_KILLED = 137 };

const char ecs_provisioning_stop[] = "gantry: provisioning timeout";
static const char our_stop[] = "gantry: ";

struct ending {
	const char *stop_code, *stopped_reason;         /* "" when not given */
	const char *container_reason;
	const char *container;
	int exit_code;                  /* or JOB_NO_EXIT_CODE */
};

/* Words in stoppedReason, or in the container's reason, of starts that may go well another time. */
static const char *const transient_starts[] = {
	"Timeout waiting for network interface provisioning to complete",
	"Timeout waiting for EphemeralStorage provisioning to complete",
	"apacity is unavailable",
	"RESOURCE:",
};

static const json_t *judged(const json_t *task, const char *name)
{
	const json_t *containers = json_object_get(task, "containers");
	const json_t *container;
	size_t i;

	if (name == NULL || *name == '\0')
		return json_array_size(containers) == 1 ? json_array_get(containers, 0) : NULL;
	json_array_foreach(containers, i, container) {
		const char *found = json_at_string(container, "name");

		if (found != NULL && strcmp(found, name) == 0)
			return container;
	}
	return NULL;
}

static const char *text_at(const json_t *object, const char *member)
{
	const char *text = json_at_string(object, member);

	return text != NULL ? text : "";
}

static struct ending read_ending(const json_t *task, const char *name)
{
	const json_t *container = judged(task, name);
	struct ending ending = {
		.stop_code = text_at(task, "stopCode"),
		.stopped_reason = text_at(task, "stoppedReason"),
		.container_reason = text_at(container, "reason"),
		.container = name != NULL && *name != '\0' ? name : text_at(container, "name"),
		.exit_code = JOB_NO_EXIT_CODE,
	};
	int64_t code;

	if (json_at_integer(container, "exitCode", &code) && code >= 0 && code <= INT32_MAX)
		ending.exit_code = (int)code;
	return ending;
}

static bool has(const char *text, const char *word)
{
	return strstr(text, word) != NULL;
}

static bool start_may_go_well(const struct ending *ending)
{
	for (size_t i = 0; i < sizeof(transient_starts) / sizeof(transient_starts[0]); i++) {
		if (has(ending->stopped_reason, transient_starts[i]) || has(ending->container_reason, transient_starts[i]))
			return true;
	}
	return has(ending->stopped_reason, "CannotPullContainerError") && has(ending->stopped_reason, "i/o timeout");
}

static bool host_was_lost(const struct ending *ending)
{
	const char *reason = strstr(ending->stopped_reason, "Host EC2 (instance ");

	return strcmp(ending->stop_code, "InfrastructureHealth") == 0 ||
	       strcmp(ending->stop_code, "TerminationNotice") == 0 ||
	       (reason != NULL && (has(reason, ") stopped") || has(reason, ") terminated")));
}

static bool begins(const char *text, const char *word)
{
	return strncmp(text, word, strlen(word)) == 0;
}

/* A task that was stopped before it ran did not fail to start, whatever the code says. */
static bool was_stopped(const struct ending *ending)
{
	return strcmp(ending->stop_code, "UserInitiated") == 0 ||
	       (strcmp(ending->stop_code, "TaskFailedToStart") == 0 && begins(ending->stopped_reason, our_stop));
}

static bool is_oom(const struct ending *ending)
{
	return has(ending->container_reason, "OutOfMemory") &&
	       (ending->exit_code == EXIT_KILLED || ending->exit_code == JOB_NO_EXIT_CODE);
}

/* The container's own reason says most; that an essential container ended, nothing. */
static void describe(const struct ending *ending, char *text, size_t size)
{
	bool idle = has(ending->stopped_reason, "Essential container in task exited");
	int n;

	if (ending->exit_code != JOB_NO_EXIT_CODE)
		n = snprintf(text, size, "container %s: exit code %d", ending->container, ending->exit_code);
	else
		n = snprintf(text, size, "container %s: no exit code", ending->container);
	if (n > 0 && (size_t)n < size && ending->container_reason[0] != '\0')
		n += snprintf(text + n, size - (size_t)n, ": %s", ending->container_reason);
	if (n > 0 && (size_t)n < size && ending->stopped_reason[0] != '\0' && !idle)
		n += snprintf(text + n, size - (size_t)n, "; task: %s", ending->stopped_reason);
	if (n > 0 && (size_t)n < size && ending->stop_code[0] != '\0' &&
	    strcmp(ending->stop_code, "EssentialContainerExited") != 0)
		snprintf(text + n, size - (size_t)n, " (%s)", ending->stop_code);
}

static void judge(const struct ending *ending, struct exec_end *end, enum job_state *state, const char **reason)
{
	bool by_container = ending->stop_code[0] == '\0' || strcmp(ending->stop_code, "EssentialContainerExited") == 0;

	*state = JOB_FAILED;
	end->retry = EXEC_RETRY_NO;
	if (was_stopped(ending) && begins(ending->stopped_reason, ecs_provisioning_stop)) {
		end->retry = EXEC_RETRY_INFRASTRUCTURE;
		*reason = "provisioning_timeout";
	} else if (was_stopped(ending)) {
		*state = JOB_CANCELLED;
		*reason = "stopped";
	} else if (strcmp(ending->stop_code, "SpotInterruption") == 0) {
		end->retry = EXEC_RETRY_INFRASTRUCTURE;
		*reason = "spot_interrupted";
	} else if (host_was_lost(ending)) {
		end->retry = EXEC_RETRY_INFRASTRUCTURE;
		*reason = "host_lost";
	} else if (strcmp(ending->stop_code, "TaskFailedToStart") == 0) {
		end->retry = start_may_go_well(ending) ? EXEC_RETRY_INFRASTRUCTURE : EXEC_RETRY_NO;
		*reason = "start_failed";
	} else if (is_oom(ending)) {
		*reason = "oom";
	} else if (by_container && ending->exit_code == 0) {
		*state = JOB_SUCCEEDED;
		*reason = "";
	} else if (ending->exit_code > 0) {
		*reason = "exit_code";
	} else if (has(ending->container_reason, "Cannot") || has(ending->stopped_reason, "Cannot") ||
		   has(ending->stopped_reason, "ResourceInitializationError")) {
		end->retry = start_may_go_well(ending) ? EXEC_RETRY_INFRASTRUCTURE : EXEC_RETRY_NO;
		*reason = "start_failed";
	} else
		*reason = by_container ? "unknown" : "stopped";
}

void ecs_verdict(const json_t *task, const char *container, struct exec_end *end)
{
	struct ending ending = read_ending(task, container);
	char text[LIMIT_JOB_DETAIL_BYTES] = "";
	enum job_state state;
	const char *reason;

	*end = (struct exec_end){
		.started_ms = ecs_time_ms(task, "startedAt"), .stopped_ms = ecs_time_ms(task, "stoppedAt"),
	};
	judge(&ending, end, &state, &reason);
	if (state != JOB_SUCCEEDED)
		describe(&ending, text, sizeof(text));
	job_result_set(&end->result, state, reason, ending.exit_code, "%s", text);
}
