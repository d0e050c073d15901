/* SPDX-License-Identifier: Apache-2.0 */
/* store_rules_import.c - a job that another store has kept to its end. */
#include <stdlib.h>

#include "base/mem.h"
#include "store/store_rules.h"

static void set_attempt(struct job *job, const struct job_attempt *current, const struct store_attempt *past)
{
	bool is_current = past->number == current->number && past->step == current->step;

	job->attempt.number = past->number;
	job->attempt.step = past->step;
	job->attempt.intended_ms = past->intended_ms;
	job->attempt.started_ms = past->started_ms;
	job->attempt.timeout_ms = is_current ? current->timeout_ms : 0;
	xreplace(&job->attempt.token, is_current ? current->token : NULL);
	xreplace(&job->attempt.handle, past->handle);
	xreplace(&job->attempt.request, NULL);
}

static bool write_past(struct store_rules *rules, struct store_row *row, struct error *err)
{
	const struct store_call *call = rules->call;
	const struct store_rows_ops *ops = rules->rows->ops;

	for (size_t i = 0; i < call->past_count; i++) {
		const struct store_attempt *past = &call->past[i];
		const struct store_attempt_end end = {
			.reason = past->reason, .exit_code = past->exit_code, .at_ms = past->ended_ms,
		};

		set_attempt(row->job, &call->given[0]->attempt, past);
		if (!ops->begin_attempt(rules->rows, row, err) || !ops->end_attempt(rules->rows, row, &end, err))
			return false;
	}
	return true;
}

/* Grants go on behind those that the other store has given.  A key that is held has its holder's. */
static bool raise_grant(struct store_rules *rules, const struct job *job, struct error *err)
{
	struct store_held held = { 0 };
	bool ok;

	if (!rules_needs_key(job) || job->grant == 0)
		return true;
	ok = rules->rows->ops->read_lock(rules->rows, job->lock_key, &held, err);
	if (ok && held.holder == NULL && held.grant < job->grant) {
		held.grant = job->grant;
		ok = rules->rows->ops->write_lock(rules->rows, job->lock_key, &held, err);
	}
	free(held.holder);
	return ok;
}

static bool import(struct store_rules *rules, struct error *err)
{
	const struct store_rows_ops *ops = rules->rows->ops;
	struct store_row *row = store_row_create(job_copy(rules->call->given[0]));
	struct job *job = row->job;
	bool ok = ops->next_seq(rules->rows, &job->seq, err);

	row->rank = job->seq;
	xreplace(&job->owner, NULL);
	xreplace(&job->attempt.request, NULL);
	rules_clear_wait(job);
	ok = ok && ops->insert(rules->rows, row, err) && ops->move(rules->rows, row, err) &&
		raise_grant(rules, job, err) && write_past(rules, row, err);
	store_call_answer(rules->call, STORE_ASKED_DONE, job);
	store_row_destroy(row);
	return ok;
}

bool rules_import(struct store_rules *rules, struct error *err)
{
	const struct job *given = rules->call->given[0];
	struct store_row *row = NULL;

	if (!job_state_final(given->state) || !given->message.settled) {
		error_set(store_call_error(rules->call), ERROR_INVALID,
			"store: job %s is not at its end, and cannot be moved", given->id);
		return true;
	}
	if (!rules->rows->ops->find(rules->rows, given->id, &row, err))
		return false;
	if (row == NULL)
		return import(rules, err);
	store_call_answer(rules->call, STORE_ASKED_REFUSED, row->job);
	store_row_destroy(row);
	return true;
}
