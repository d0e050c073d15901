/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "../cmocka_all.h"
#include "base/json_at.h"
#include "exec/exec_ecs.h"

#define EXITED "\"stopCode\":\"EssentialContainerExited\",\"stoppedReason\":\"Essential container in task exited\""

static const struct {
	const char *name, *task;
	enum job_state state;
	const char *reason;
	int exit_code;
	enum exec_retry retry;
	const char *detail;             /* a part of it */
} cases[] = {
	{ "exit 0", "{" EXITED ",\"containers\":[{\"name\":\"app\",\"exitCode\":0}]}",
		JOB_SUCCEEDED, "", 0, EXEC_RETRY_NO, "" },
	{ "exit 0 without a stop code", "{\"containers\":[{\"name\":\"app\",\"exitCode\":0}]}",
		JOB_SUCCEEDED, "", 0, EXEC_RETRY_NO, "" },
	{ "exit 0 as a real", "{\"containers\":[{\"name\":\"app\",\"exitCode\":0.0}]}",
		JOB_SUCCEEDED, "", 0, EXEC_RETRY_NO, "" },
	{ "exit 1", "{" EXITED ",\"containers\":[{\"name\":\"app\",\"exitCode\":1}]}",
		JOB_FAILED, "exit_code", 1, EXEC_RETRY_NO, "container app: exit code 1" },
	{ "a failing sidecar counts for nothing", "{" EXITED ",\"containers\":[{\"name\":\"log\",\"exitCode\":3},{\"name\":\"app\",\"exitCode\":0}]}",
		JOB_SUCCEEDED, "", 0, EXEC_RETRY_NO, "" },
	{ "a sidecar's success counts for nothing", "{" EXITED ",\"containers\":[{\"name\":\"log\",\"exitCode\":0},{\"name\":\"app\"}]}",
		JOB_FAILED, "unknown", JOB_NO_EXIT_CODE, EXEC_RETRY_NO, "no exit code" },
	{ "the judged container is not there", "{" EXITED ",\"containers\":[{\"name\":\"log\",\"exitCode\":0}]}",
		JOB_FAILED, "unknown", JOB_NO_EXIT_CODE, EXEC_RETRY_NO, "no exit code" },
	{ "no containers", "{" EXITED "}",
		JOB_FAILED, "unknown", JOB_NO_EXIT_CODE, EXEC_RETRY_NO, "no exit code" },
	{ "exit code null", "{" EXITED ",\"containers\":[{\"name\":\"app\",\"exitCode\":null}]}",
		JOB_FAILED, "unknown", JOB_NO_EXIT_CODE, EXEC_RETRY_NO, "no exit code" },
	{ "exit code as a text", "{" EXITED ",\"containers\":[{\"name\":\"app\",\"exitCode\":\"0\"}]}",
		JOB_FAILED, "unknown", JOB_NO_EXIT_CODE, EXEC_RETRY_NO, "no exit code" },
	{ "out of memory", "{" EXITED ",\"containers\":[{\"name\":\"app\",\"exitCode\":137,\"reason\":\"OutOfMemoryError: Container killed due to memory usage\"}]}",
		JOB_FAILED, "oom", 137, EXEC_RETRY_NO, "OutOfMemoryError" },
	{ "137 without that", "{" EXITED ",\"containers\":[{\"name\":\"app\",\"exitCode\":137}]}",
		JOB_FAILED, "exit_code", 137, EXEC_RETRY_NO, "137" },
	{ "stopped by a person", "{\"stopCode\":\"UserInitiated\",\"stoppedReason\":\"wrong branch\",\"containers\":[{\"name\":\"app\",\"exitCode\":143}]}",
		JOB_CANCELLED, "stopped", 143, EXEC_RETRY_NO, "wrong branch" },
	{ "stopped by a person, quietly", "{\"stopCode\":\"UserInitiated\",\"containers\":[{\"name\":\"app\",\"exitCode\":0}]}",
		JOB_CANCELLED, "stopped", 0, EXEC_RETRY_NO, "UserInitiated" },
	{ "spot", "{\"stopCode\":\"SpotInterruption\",\"stoppedReason\":\"Your Spot Task was interrupted.\",\"containers\":[{\"name\":\"app\",\"exitCode\":143}]}",
		JOB_FAILED, "spot_interrupted", 143, EXEC_RETRY_INFRASTRUCTURE, "Spot Task was interrupted" },
	{ "spot with exit 0 is no success", "{\"stopCode\":\"SpotInterruption\",\"containers\":[{\"name\":\"app\",\"exitCode\":0}]}",
		JOB_FAILED, "spot_interrupted", 0, EXEC_RETRY_INFRASTRUCTURE, "SpotInterruption" },
	{ "maintenance", "{\"stopCode\":\"TerminationNotice\",\"containers\":[{\"name\":\"app\"}]}",
		JOB_FAILED, "host_lost", JOB_NO_EXIT_CODE, EXEC_RETRY_INFRASTRUCTURE, "TerminationNotice" },
	{ "hardware", "{\"stopCode\":\"InfrastructureHealth\",\"containers\":[{\"name\":\"app\"}]}",
		JOB_FAILED, "host_lost", JOB_NO_EXIT_CODE, EXEC_RETRY_INFRASTRUCTURE, "InfrastructureHealth" },
	{ "instance terminated", "{\"stoppedReason\":\"Host EC2 (instance i-0123456789) terminated.\",\"containers\":[{\"name\":\"app\"}]}",
		JOB_FAILED, "host_lost", JOB_NO_EXIT_CODE, EXEC_RETRY_INFRASTRUCTURE, "Host EC2" },
	{ "instance stopped", "{\"stoppedReason\":\"Host EC2 (instance i-0123456789) stopped.\",\"containers\":[{\"name\":\"app\",\"exitCode\":0}]}",
		JOB_FAILED, "host_lost", 0, EXEC_RETRY_INFRASTRUCTURE, "Host EC2" },
	{ "network interface", "{\"stopCode\":\"TaskFailedToStart\",\"stoppedReason\":\"Timeout waiting for network interface provisioning to complete.\",\"containers\":[{\"name\":\"app\"}]}",
		JOB_FAILED, "start_failed", JOB_NO_EXIT_CODE, EXEC_RETRY_INFRASTRUCTURE, "network interface" },
	{ "storage", "{\"stopCode\":\"TaskFailedToStart\",\"stoppedReason\":\"Timeout waiting for EphemeralStorage provisioning to complete.\",\"containers\":[]}",
		JOB_FAILED, "start_failed", JOB_NO_EXIT_CODE, EXEC_RETRY_INFRASTRUCTURE, "EphemeralStorage" },
	{ "pull timed out", "{\"stopCode\":\"TaskFailedToStart\",\"stoppedReason\":\"CannotPullContainerError: pull: dial tcp: i/o timeout\",\"containers\":[{\"name\":\"app\"}]}",
		JOB_FAILED, "start_failed", JOB_NO_EXIT_CODE, EXEC_RETRY_INFRASTRUCTURE, "i/o timeout" },
	{ "no such image", "{\"stopCode\":\"TaskFailedToStart\",\"stoppedReason\":\"CannotPullContainerError: not found\",\"containers\":[{\"name\":\"app\"}]}",
		JOB_FAILED, "start_failed", JOB_NO_EXIT_CODE, EXEC_RETRY_NO, "not found" },
	{ "no such secret", "{\"stopCode\":\"TaskFailedToStart\",\"stoppedReason\":\"ResourceInitializationError: unable to pull secrets\",\"containers\":[{\"name\":\"app\"}]}",
		JOB_FAILED, "start_failed", JOB_NO_EXIT_CODE, EXEC_RETRY_NO, "secrets" },
	{ "no capacity after the launch", "{\"stopCode\":\"TaskFailedToStart\",\"stoppedReason\":\"Capacity is unavailable at this time. Please try again later or in a different availability zone\"}",
		JOB_FAILED, "start_failed", JOB_NO_EXIT_CODE, EXEC_RETRY_INFRASTRUCTURE, "Capacity" },
	{ "cannot start", "{" EXITED ",\"containers\":[{\"name\":\"app\",\"reason\":\"CannotStartContainerError: exec: not found\"}]}",
		JOB_FAILED, "start_failed", JOB_NO_EXIT_CODE, EXEC_RETRY_NO, "exec: not found" },
	{ "scheduler", "{\"stopCode\":\"ServiceSchedulerInitiated\",\"containers\":[{\"name\":\"app\",\"exitCode\":0}]}",
		JOB_FAILED, "stopped", 0, EXEC_RETRY_NO, "ServiceSchedulerInitiated" },
	{ "a stop code of the future with exit 0", "{\"stopCode\":\"Levitation\",\"containers\":[{\"name\":\"app\",\"exitCode\":0}]}",
		JOB_FAILED, "stopped", 0, EXEC_RETRY_NO, "Levitation" },
	{ "a stop code of the future with exit 4", "{\"stopCode\":\"Levitation\",\"containers\":[{\"name\":\"app\",\"exitCode\":4}]}",
		JOB_FAILED, "exit_code", 4, EXEC_RETRY_NO, "Levitation" },
	{ "only a name and states are left", "{\"taskArn\":\"x\",\"lastStatus\":\"STOPPED\"}",
		JOB_FAILED, "unknown", JOB_NO_EXIT_CODE, EXEC_RETRY_NO, "no exit code" },
	{ "wrong types everywhere", "{\"stopCode\":3,\"stoppedReason\":[],\"containers\":{\"name\":\"app\"}}",
		JOB_FAILED, "unknown", JOB_NO_EXIT_CODE, EXEC_RETRY_NO, "" },
};

static void the_end_of_a_task_is_judged(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct exec_end end;
		struct error err;
		json_t *task = json_at_parse_wanted(cases[i].task, strlen(cases[i].task), ecs_watch_reads, &err);

		if (task == NULL)
			fail_msg("%s: %s", cases[i].name, err.text);
		ecs_verdict(task, "app", &end);
		if (end.result.state != cases[i].state || strcmp(end.result.reason, cases[i].reason) != 0 ||
		    end.result.exit_code != cases[i].exit_code || end.retry != cases[i].retry ||
		    strstr(end.result.detail, cases[i].detail) == NULL)
			fail_msg("%s: %s \"%s\" %d retry %d: %s", cases[i].name, job_state_name(end.result.state),
				end.result.reason, end.result.exit_code, end.retry, end.result.detail);
		json_decref(task);
	}
}

static void what_says_nothing_is_left_out(void **state)
{
	json_t *task = json_pack("{s:s, s:s, s:[{s:s, s:i, s:s}]}", "stopCode", "EssentialContainerExited",
		"stoppedReason", "Essential container in task exited", "containers", "name", "app", "exitCode", 2,
		"reason", "disk full");
	struct exec_end end;

	(void)state;
	ecs_verdict(task, "app", &end);
	assert_string_equal(end.result.detail, "container app: exit code 2: disk full");
	json_decref(task);
}

static void a_nameless_container_is_judged_only_if_it_is_alone(void **state)
{
	json_t *one = json_pack("{s:[{s:s, s:i}]}", "containers", "name", "x", "exitCode", 0);
	json_t *two = json_pack("{s:[{s:s, s:i}, {s:s, s:i}]}", "containers", "name", "x", "exitCode", 0,
		"name", "y", "exitCode", 0);
	struct exec_end end;

	(void)state;
	ecs_verdict(one, NULL, &end);
	assert_int_equal(end.result.state, JOB_SUCCEEDED);
	ecs_verdict(two, NULL, &end);
	assert_int_equal(end.result.state, JOB_FAILED);
	json_decref(one);
	json_decref(two);
}

static void a_very_long_reason_fits(void **state)
{
	char reason[3000];
	struct exec_end end;
	json_t *task;

	(void)state;
	memset(reason, 'r', sizeof(reason) - 1);
	reason[sizeof(reason) - 1] = '\0';
	task = json_pack("{s:s, s:s, s:[{s:s, s:i, s:s}]}", "stopCode", "X", "stoppedReason", reason, "containers",
		"name", "app", "exitCode", 2, "reason", reason);
	ecs_verdict(task, "app", &end);
	assert_int_equal(strlen(end.result.detail), LIMIT_JOB_DETAIL_BYTES - 1);
	json_decref(task);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_end_of_a_task_is_judged),
		cmocka_unit_test(what_says_nothing_is_left_out),
		cmocka_unit_test(a_nameless_container_is_judged_only_if_it_is_alone),
		cmocka_unit_test(a_very_long_reason_fits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
