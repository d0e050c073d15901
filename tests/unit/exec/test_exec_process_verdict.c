/* SPDX-License-Identifier: Apache-2.0 */
/* test_exec_process_verdict.c - what each end of a local command means. */
#include <errno.h>
#include <string.h>

#include "../cmocka_all.h"
#include "exec/exec_process.h"

static const char boot[] = "this-boot";

static const struct {
	const char *name;
	struct process_status given;
	const char *stop;
	enum job_state state;
	const char *reason, *detail;
	int exit_code;
	enum exec_retry retry;
} cases[] = {
	{ "exit 0", { .state = PROCESS_ENDED, .how = "exited" }, NULL, JOB_SUCCEEDED, "", "", 0, EXEC_RETRY_NO },
	{ "exit 3 of a command", { .state = PROCESS_ENDED, .how = "exited", .code = 3 }, NULL,
		JOB_FAILED, "exit_code", "exit status 3", 3, EXEC_RETRY_NO },
	{ "exit 3 of a line", { .state = PROCESS_ENDED, .how = "exited", .code = 3, .step = 2 }, NULL,
		JOB_FAILED, "exit_code", "line 2: exit status 3", 3, EXEC_RETRY_NO },
	{ "a signal", { .state = PROCESS_ENDED, .how = "signalled", .signal = 11 }, NULL,
		JOB_FAILED, "signal", "killed by signal 11 (Segmentation fault)", 139, EXEC_RETRY_NO },
	{ "no such program", { .state = PROCESS_ENDED, .how = "not_run", .text = "/x: No such file or directory" }, NULL,
		JOB_FAILED, "start_failed", "/x: No such file or directory", JOB_NO_EXIT_CODE, EXEC_RETRY_NO },
	{ "no process to be had", { .state = PROCESS_ENDED, .how = "not_forked", .text = "fork: full" }, NULL,
		JOB_FAILED, "start_failed", "fork: full", JOB_NO_EXIT_CODE, EXEC_RETRY_INFRASTRUCTURE },
	{ "no process for a later line", { .state = PROCESS_ENDED, .how = "not_forked", .text = "fork: full", .step = 2 }, NULL,
		JOB_FAILED, "start_failed", "line 2: fork: full", JOB_NO_EXIT_CODE, EXEC_RETRY_NO },
	{ "stopped by us", { .state = PROCESS_ENDED, .how = "signalled", .signal = 15, .stopped = true }, "gantry: timeout",
		JOB_CANCELLED, "stopped", "gantry: timeout; killed by signal 15 (Terminated)", JOB_NO_EXIT_CODE, EXEC_RETRY_NO },
	{ "stopped by us, and well", { .state = PROCESS_ENDED, .how = "exited", .stopped = true }, "gantry: timeout",
		JOB_CANCELLED, "stopped", "gantry: timeout; exit status 0", JOB_NO_EXIT_CODE, EXEC_RETRY_NO },
	{ "stopped by us, and deaf", { .state = PROCESS_ENDED, .how = "signalled", .signal = 9, .stopped = true, .killed = true },
		"bye", JOB_CANCELLED, "stopped", "bye; killed by signal 9 (Killed), killed as it did not end by itself",
		JOB_NO_EXIT_CODE, EXEC_RETRY_NO },
	{ "ended before our stop", { .state = PROCESS_ENDED, .how = "exited" }, "bye", JOB_SUCCEEDED, "", "", 0, EXEC_RETRY_NO },
	{ "stopped by a stranger", { .state = PROCESS_ENDED, .how = "exited", .stopped = true, .stopped_by = 7,
		.end_boot = "this-boot" }, NULL, JOB_FAILED, "stopped", "process 7 told its shim to end; exit status 0",
		JOB_NO_EXIT_CODE, EXEC_RETRY_NO },
	{ "stopped with the host", { .state = PROCESS_ENDED, .how = "signalled", .signal = 15, .stopped = true,
		.end_boot = "other" }, NULL, JOB_FAILED, "host_restarted",
		"the host was restarted while it ran; killed by signal 15 (Terminated)", JOB_NO_EXIT_CODE, EXEC_RETRY_NO },
	{ "killed shim", { .state = PROCESS_DEAD, .boot = "this-boot" }, NULL, JOB_FAILED, "shim_killed",
		"its gantry-shim was killed, and the command with it: nobody saw how it would have ended", JOB_NO_EXIT_CODE,
		EXEC_RETRY_NO },
	{ "lost host", { .state = PROCESS_DEAD, .boot = "other" }, NULL, JOB_FAILED, "host_restarted",
		"the host was restarted while it ran", JOB_NO_EXIT_CODE, EXEC_RETRY_NO },
	{ "full disk", { .state = PROCESS_ENDED, .how = "exited", .lost_errno = ENOSPC }, NULL, JOB_SUCCEEDED, "",
		"its record could not be written: No space left on device", 0, EXEC_RETRY_NO },
};

static void test_each_end_has_its_verdict(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct exec_end end;

		process_verdict(&cases[i].given, cases[i].stop, boot, &end);
		if (end.result.state != cases[i].state || strcmp(end.result.reason, cases[i].reason) != 0 ||
		    strcmp(end.result.detail, cases[i].detail) != 0 || end.result.exit_code != cases[i].exit_code ||
		    end.retry != cases[i].retry)
			fail_msg("%s: %s \"%s\" \"%s\" %d %d", cases[i].name, job_state_name(end.result.state), end.result.reason,
				end.result.detail, end.result.exit_code, end.retry);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_end_has_its_verdict),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
