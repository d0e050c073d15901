/* SPDX-License-Identifier: Apache-2.0 */
/* store_memory_attempts.c - the launches of a job, one behind the other. */
#include <stdlib.h>

#include "base/mem.h"
#include "store/store_impl.h"
#include "store/store_memory_rows.h"

static struct store_attempt *attempt_of(struct memory_job *at, unsigned number, unsigned step)
{
	for (size_t i = 0; i < at->attempt_count; i++) {
		if (at->attempts[i].number == number && at->attempts[i].step == step)
			return &at->attempts[i];
	}
	at->attempts = xreallocarray(at->attempts, at->attempt_count + 1, sizeof(*at->attempts));
	at->attempts[at->attempt_count] = (struct store_attempt){ .number = number, .step = step };
	return &at->attempts[at->attempt_count++];
}

/* What the list says of the job's current attempt. */
static struct store_attempt *note_current(struct memory_job *at)
{
	const struct job_attempt *current = &at->row.job->attempt;
	struct store_attempt *attempt = attempt_of(at, current->number, current->step);

	attempt->intended_ms = current->intended_ms;
	attempt->started_ms = current->started_ms;
	xreplace(&attempt->handle, current->handle);
	return attempt;
}

static bool begin_attempt(struct store_rows *rows, const struct store_row *row, struct error *err)
{
	struct memory_job *at = memory_job_by_seq(rows, row->job->seq);
	struct job_attempt *attempt = &at->row.job->attempt;
	struct store_attempt *noted;

	(void)err;
	attempt->number = row->job->attempt.number;
	attempt->step = row->job->attempt.step;
	attempt->intended_ms = row->job->attempt.intended_ms;
	attempt->started_ms = row->job->attempt.started_ms;
	attempt->timeout_ms = row->job->attempt.timeout_ms;
	xreplace(&attempt->token, row->job->attempt.token);
	xreplace(&attempt->request, row->job->attempt.request);
	xreplace(&attempt->handle, row->job->attempt.handle);
	noted = note_current(at);
	noted->ended_ms = 0;
	noted->exit_code = JOB_NO_EXIT_CODE;
	xreplace(&noted->reason, NULL);
	return true;
}

static bool start_attempt(struct store_rows *rows, const struct store_row *row, struct error *err)
{
	struct memory_job *at = memory_job_by_seq(rows, row->job->seq);
	struct job_attempt *attempt = &at->row.job->attempt;

	(void)err;
	attempt->started_ms = row->job->attempt.started_ms;
	xreplace(&attempt->handle, row->job->attempt.handle);
	note_current(at);
	return true;
}

static bool end_attempt(struct store_rows *rows, const struct store_row *row, const struct store_attempt_end *end,
	struct error *err)
{
	struct memory_job *at = memory_job_by_seq(rows, row->job->seq);
	struct store_attempt *noted = attempt_of(at, at->row.job->attempt.number, at->row.job->attempt.step);

	(void)err;
	noted->ended_ms = end->at_ms;
	noted->exit_code = end->exit_code;
	xreplace(&noted->reason, end->reason);
	xreplace(&at->row.job->attempt.request, NULL);
	return true;
}

static bool list_attempts(struct store_rows *rows, struct store_call *call, struct error *err)
{
	const struct memory_job *at = memory_job_by_id(memory_rows_of(rows), call->name);

	(void)err;
	for (size_t i = 0; at != NULL && i < at->attempt_count; i++)
		store_call_add_attempt(call, &at->attempts[i]);
	return true;
}

void memory_attempt_ops(struct store_rows_ops *ops)
{
	ops->begin_attempt = begin_attempt;
	ops->start_attempt = start_attempt;
	ops->end_attempt = end_attempt;
	ops->list_attempts = list_attempts;
}

void memory_job_free(struct memory_job *at)
{
	for (size_t i = 0; i < at->attempt_count; i++) {
		free(at->attempts[i].handle);
		free(at->attempts[i].reason);
	}
	free(at->attempts);
	list_remove(&at->link);
	job_destroy(at->row.job);
	free(at);
}
