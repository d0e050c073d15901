/* SPDX-License-Identifier: Apache-2.0 */
/* exec_process_verdict.c - what the end of a local command means for its job.
 *
 * Succeeded is an exit status of 0 that nobody asked for.  A command that was cut off, by a restart of the
 * host or a killed shim, is never run again by itself: nobody knows how far it came. */
#include <stdio.h>
#include <string.h>

#include "exec/exec_process.h"

enum { SIGNAL_STATUS = 128 };           /* what a shell adds to a signal's number */

struct judgement {
	enum job_state state;
	const char *reason;
	int exit_code;
	char text[LIMIT_JOB_DETAIL_BYTES];
};

static void describe(const struct process_status *status, char *text, size_t size)
{
	char where[32] = "";

	if (status->step > 0)
		snprintf(where, sizeof(where), "line %u: ", status->step);
	if (strcmp(status->how, "exited") == 0)
		snprintf(text, size, "%sexit status %d", where, status->code);
	else if (strcmp(status->how, "signalled") == 0)
		snprintf(text, size, "%skilled by signal %d (%s)", where, status->signal, strsignal(status->signal));
	else
		snprintf(text, size, "%s%s", where, status->text);
}

static void judge_stop(const struct process_status *status, const char *stop, const char *boot,
	struct judgement *judgement)
{
	const char *late = status->killed ? ", killed as it did not end by itself" : "";
	char how[LIMIT_JOB_DETAIL_BYTES / 2];

	describe(status, how, sizeof(how));
	judgement->reason = "stopped";
	if (stop != NULL) {
		judgement->state = JOB_CANCELLED;
		snprintf(judgement->text, sizeof(judgement->text), "%s; %s%s", stop, how, late);
	} else if (strcmp(status->end_boot, boot) != 0 && status->end_boot[0] != '\0') {
		judgement->reason = "host_restarted";
		snprintf(judgement->text, sizeof(judgement->text), "the host was restarted while it ran; %s%s", how, late);
	} else {
		snprintf(judgement->text, sizeof(judgement->text), "process %d told its shim to end; %s%s",
			(int)status->stopped_by, how, late);
	}
}

static void judge_end(const struct process_status *status, struct judgement *judgement, struct exec_end *end)
{
	describe(status, judgement->text, sizeof(judgement->text));
	if (strcmp(status->how, "exited") == 0) {
		judgement->exit_code = status->code;
		judgement->state = status->code == 0 ? JOB_SUCCEEDED : JOB_FAILED;
		judgement->reason = status->code == 0 ? "" : "exit_code";
		if (status->code == 0)
			judgement->text[0] = '\0';
	} else if (strcmp(status->how, "signalled") == 0) {
		judgement->exit_code = SIGNAL_STATUS + status->signal;
		judgement->reason = "signal";
	} else {
		judgement->reason = "start_failed";
		/* The host had no process left for it: nothing of it has run. */
		if (strcmp(status->how, "not_forked") == 0 && status->step <= 1)
			end->retry = EXEC_RETRY_INFRASTRUCTURE;
	}
}

static void judge_dead(const struct process_status *status, const char *boot, struct judgement *judgement)
{
	bool restarted = status->boot[0] != '\0' && strcmp(status->boot, boot) != 0;

	judgement->reason = restarted ? "host_restarted" : "shim_killed";
	snprintf(judgement->text, sizeof(judgement->text), "%s", restarted ?
		"the host was restarted while it ran" :
		"its gantry-shim was killed, and the command with it: nobody saw how it would have ended");
}

void process_verdict(const struct process_status *status, const char *stop, const char *boot, struct exec_end *end)
{
	struct judgement judgement = { .state = JOB_FAILED, .reason = "", .exit_code = JOB_NO_EXIT_CODE };
	size_t len;

	*end = (struct exec_end){ .started_ms = status->started_ms, .stopped_ms = status->ended_ms };
	if (status->state != PROCESS_ENDED)
		judge_dead(status, boot, &judgement);
	else if (status->stopped)
		judge_stop(status, stop, boot, &judgement);
	else
		judge_end(status, &judgement, end);
	len = strlen(judgement.text);
	if (status->lost_errno != 0)
		snprintf(judgement.text + len, sizeof(judgement.text) - len, "%sits record could not be written: %s",
			len > 0 ? "; " : "", strerror(status->lost_errno));
	job_result_set(&end->result, judgement.state, judgement.reason, judgement.exit_code, "%s", judgement.text);
}
