/* SPDX-License-Identifier: Apache-2.0 */
/* job_print.c - see job_print.h. */
#include "ctl/job_print.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool job_print_log(const struct ctl *ctl, unsigned attempt, int64_t offset, const char *bytes, size_t size)
{
	char *text;
	json_t *doc;

	if (!ctl->json) {
		fwrite(bytes, 1, size, stdout);
	} else {
		text = json_at_clean(bytes, size);
		doc = json_pack("{s:s,s:I,s:I,s:o}", "event", "log", "attempt", (json_int_t)attempt, "offset", (json_int_t)offset,
			"text", json_at_text(text));
		ctl_print_json_line(doc);
		json_decref(doc);
		free(text);
	}
	return fflush(stdout) == 0 && !ferror(stdout);
}

static bool has_text(const char *text)
{
	return text != NULL && text[0] != '\0';
}

bool job_print_state(const struct ctl *ctl, const struct job *job)
{
	json_t *doc;

	if (!ctl->json) {
		printf("%s: %s%s%s\n", job->id, job_state_name(job->state), has_text(job->detail) ? ": " : "",
			has_text(job->detail) ? job->detail : "");
	} else {
		doc = json_pack("{s:s,s:o,s:o,s:o,s:o,s:I,s:o}", "event", "state", "id", json_at_text(job->id), "state",
			json_at_text(job_state_name(job->state)), "reason", json_at_text(has_text(job->reason) ? job->reason : NULL),
			"detail", json_at_text(has_text(job->detail) ? job->detail : NULL), "attempt", (json_int_t)job->attempt.number,
			"exit_code", job->exit_code >= 0 ? json_integer(job->exit_code) : json_null());
		ctl_print_json_line(doc);
		json_decref(doc);
	}
	return fflush(stdout) == 0 && !ferror(stdout);
}

static int status_of_failure(const struct job *job)
{
	const char *reason = job->reason != NULL ? job->reason : "";

	/* A deployment that was stopped for its time has whatever code its signal gave it. */
	if (strcmp(reason, "timeout") == 0)
		return JOB_STATUS_TIMEOUT;
	if (strcmp(reason, "uncertain") == 0)
		return JOB_STATUS_UNCERTAIN;
	if (job->exit_code <= 0)
		return JOB_STATUS_NO_CODE;
	return job->exit_code < JOB_STATUS_OWN_MAX ? job->exit_code : JOB_STATUS_OWN_MAX;
}

int job_exit_status(const struct job *job)
{
	switch (job->state) {
	case JOB_SUCCEEDED:
		return 0;
	case JOB_CANCELLED:
		return JOB_STATUS_CANCELLED;
	case JOB_SUPERSEDED:
		return JOB_STATUS_SUPERSEDED;
	case JOB_FAILED:
		return status_of_failure(job);
	default:
		return CONTROL_FAILED;
	}
}
