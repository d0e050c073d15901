/* SPDX-License-Identifier: Apache-2.0 */
/* store_rules.c - see store_rules.h.  Here: a job's own moves, its end, its message, and crashes. */
#include "store/store_rules.h"

#include <string.h>

#include "base/clock.h"
#include "base/mem.h"

bool rules_find_ours(struct store_rules *rules, const struct job *given, struct store_row **row, struct error *err)
{
	const struct job *job;

	if (!rules->rows->ops->find(rules->rows, given->id, row, err))
		return false;
	if (*row == NULL) {
		error_set(store_call_error(rules->call), ERROR_LOST, "store: there is no job %s", given->id);
		return true;
	}
	job = (*row)->job;
	if (job->owner != NULL && strcmp(job->owner, rules->store->owner) == 0 && job->fence == given->fence)
		return true;
	error_set(store_call_error(rules->call), ERROR_LOST, "store: job %s now belongs to %s", given->id,
		job->owner != NULL ? job->owner : "nobody");
	store_row_destroy(*row);
	*row = NULL;
	return true;
}

/* A step may be repeated, as its caller may not know that it was done. */
static bool may_move(struct store_rules *rules, const struct job *job, enum job_state to)
{
	if (job->state == to || job_state_may_move(job->state, to))
		return true;
	error_set(store_call_error(rules->call), ERROR_INVALID, "store: job %s is %s and cannot become %s", job->id,
		job_state_name(job->state), job_state_name(to));
	return false;
}

void rules_clear_wait(struct job *job)
{
	xreplace(&job->waits_for, NULL);
	job->next_try_ms = 0;
}

bool rules_end_for_others(struct store_rules *rules, struct store_row *row, struct error *err)
{
	bool settled = row->job->message.settled;

	row->job->message.settled = false;
	if (settled && !rules->rows->ops->write_message(rules->rows, row, err))
		return false;
	return rules->rows->ops->end(rules->rows, row, err);
}

static void take_attempt(struct job *job, const struct job_attempt *attempt)
{
	job->attempt.number = attempt->number;
	job->attempt.step = attempt->step;
	job->attempt.intended_ms = attempt->intended_ms;
	job->attempt.started_ms = attempt->started_ms;
	job->attempt.timeout_ms = attempt->timeout_ms;
	xreplace(&job->attempt.token, attempt->token);
	xreplace(&job->attempt.request, attempt->request);
	xreplace(&job->attempt.handle, attempt->handle);
}

static bool end_attempt(struct store_rules *rules, const struct store_row *row, const char *reason, int exit_code,
	struct error *err)
{
	const struct store_attempt_end end = { .reason = reason, .exit_code = exit_code, .at_ms = rules->now_ms };
	enum job_state state = row->job->state;

	/* Of a queued job the last one has ended, and how is known. */
	if (state != JOB_LAUNCHING && state != JOB_RUNNING && state != JOB_CANCELLING)
		return true;
	return rules->rows->ops->end_attempt(rules->rows, row, &end, err);
}

static bool intend(struct store_rules *rules, struct store_row *row, const struct job *given, struct error *err)
{
	struct store_rows *rows = rules->rows;
	struct job *job = row->job;
	bool next_step = job->attempt.number != given->attempt.number || job->attempt.step != given->attempt.step;

	if (!may_move(rules, job, JOB_LAUNCHING))
		return true;
	if (next_step && !end_attempt(rules, row, NULL, JOB_NO_EXIT_CODE, err))
		return false;
	job->state = JOB_LAUNCHING;
	row->news &= ~(unsigned)NEWS_READY;
	rules_clear_wait(job);
	take_attempt(job, &given->attempt);
	return rows->ops->move(rows, row, err) && rows->ops->begin_attempt(rows, row, err);
}

static bool started(struct store_rules *rules, struct store_row *row, const struct job *given, struct error *err)
{
	struct store_rows *rows = rules->rows;
	struct job *job = row->job;

	/* A job that is being cancelled may learn only now what there is to stop. */
	if (job->state != JOB_CANCELLING && !may_move(rules, job, JOB_RUNNING))
		return true;
	job->attempt.started_ms = given->attempt.started_ms;
	xreplace(&job->attempt.handle, given->attempt.handle);
	if (!rows->ops->start_attempt(rows, row, err))
		return false;
	if (job->state != JOB_LAUNCHING)
		return true;
	job->state = JOB_RUNNING;
	rules_clear_wait(job);
	return rows->ops->move(rows, row, err);
}

static bool retry(struct store_rules *rules, struct store_row *row, const struct job *given, struct error *err)
{
	struct store_rows *rows = rules->rows;
	struct job *job = row->job;

	if (job->state == JOB_WAITING || job_state_final(job->state)) {
		error_set(store_call_error(rules->call), ERROR_INVALID,
			"store: job %s is %s and has no attempt to repeat", job->id,
			job_state_name(job->state));
		return true;
	}
	if (!may_move(rules, job, JOB_QUEUED))
		return true;
	if (!end_attempt(rules, row, given->reason, given->exit_code, err))
		return false;
	job->state = JOB_QUEUED;
	job->not_before_ms = given->not_before_ms;
	job->failures = given->failures;
	job->losses = given->losses;
	rules_clear_wait(job);
	return rows->ops->move(rows, row, err);
}

static bool note_wait(struct store_rules *rules, struct store_row *row, const struct job *given, struct error *err)
{
	struct job *job = row->job;

	if (job_state_final(job->state)) {
		error_set(store_call_error(rules->call), ERROR_INVALID,
			"store: job %s is %s and waits for nothing", job->id,
			job_state_name(job->state));
		return true;
	}
	xreplace(&job->waits_for, given->waits_for);
	job->next_try_ms = given->next_try_ms;
	return rules->rows->ops->move(rules->rows, row, err);
}

static bool finish(struct store_rules *rules, struct store_row *row, const struct job *given, struct error *err)
{
	struct store_rows *rows = rules->rows;
	struct job *job = row->job;

	if (job_state_final(job->state) || !may_move(rules, job, given->state)) {
		error_set(store_call_error(rules->call), ERROR_INVALID,
			"store: job %s is %s and cannot become %s", job->id,
			job_state_name(job->state), job_state_name(given->state));
		return true;
	}
	if (!end_attempt(rules, row, given->reason != NULL ? given->reason : job_state_name(given->state),
		given->exit_code, err))
		return false;
	job->state = given->state;
	job->exit_code = given->exit_code;
	job->finished_ms = rules->now_ms;
	xreplace(&job->reason, given->reason);
	xreplace(&job->detail, given->detail);
	row->wait = WAIT_NONE;
	row->news = 0;
	return rows->ops->end(rows, row, err) && rules_pass_on(rules, job, err);
}

/* The usual case of a write, where the rows offer it; what it writes is what the functions above would. */
static bool move_at_once(struct store_rules *rules, const struct job *given, bool *moved, struct error *err)
{
	const struct store_rows_ops *ops = rules->rows->ops;
	const char *owner = rules->store->owner;

	*moved = false;
	if (ops->intend_ours == NULL)
		return true;
	switch (rules->call->kind) {
	case CALL_INTEND: return ops->intend_ours(rules->rows, owner, given, moved, err);
	case CALL_STARTED: return ops->start_ours(rules->rows, owner, given, moved, err);
	case CALL_NOTE: return ops->note_ours(rules->rows, owner, given, moved, err);
	case CALL_FINISH:
		return ops->finish_ours(rules->rows, owner, given, rules->now_ms, moved, err) &&
			(!*moved || rules_pass_on(rules, given, err));
	default: return true;
	}
}

static bool write_about(struct store_rules *rules, struct error *err)
{
	const struct job *given = rules->call->given[0];
	struct store_row *row = NULL;
	bool moved, ok;

	if (!move_at_once(rules, given, &moved, err))
		return false;
	if (moved)
		return true;
	if (!rules_find_ours(rules, given, &row, err))
		return false;
	if (row == NULL)
		return true;
	switch (rules->call->kind) {
	case CALL_INTEND: ok = intend(rules, row, given, err); break;
	case CALL_STARTED: ok = started(rules, row, given, err); break;
	case CALL_RETRY: ok = retry(rules, row, given, err); break;
	case CALL_NOTE_WAIT: ok = note_wait(rules, row, given, err); break;
	case CALL_FINISH: ok = finish(rules, row, given, err); break;
	default: panic("store: call %d is no write about a job", (int)rules->call->kind);
	}
	store_row_destroy(row);
	return ok;
}

static bool note_message(struct store_rules *rules, struct store_row *row, const struct job_message_ref *note,
	struct error *err)
{
	struct job_message_ref *message = &row->job->message;

	/* What another worker received after us is newer than what we know, until a sweep tells us. */
	if (note->received_ms >= message->received_ms) {
		xreplace(&message->receipt, note->receipt);
		message->hidden_until_ms = note->hidden_until_ms;
		message->received_ms = note->received_ms;
		message->deliveries = note->deliveries;
	}
	message->settled = message->settled || note->settled;
	if (message->settled)
		xreplace(&message->receipt, NULL);
	return rules->rows->ops->write_message(rules->rows, row, err);
}

/* Each job stands for itself: what is not ours any more is left out and reported by ERROR_LOST. */
static bool note_messages(struct store_rules *rules, struct error *err)
{
	for (size_t i = 0; i < rules->call->given_count; i++) {
		const struct job *given = rules->call->given[i];
		struct store_row *row = NULL;
		bool moved, ok;

		if (!move_at_once(rules, given, &moved, err))
			return false;
		if (moved)
			continue;
		if (!rules_find_ours(rules, given, &row, err))
			return false;
		ok = row == NULL || note_message(rules, row, &given->message, err);
		store_row_destroy(row);
		if (!ok)
			return false;
	}
	return true;
}

/* Older ones are forgotten here, as the table is nearly always empty and nobody else comes by. */
static bool note_crash(struct store_rules *rules, struct error *err)
{
	const struct store_rows_ops *ops = rules->rows->ops;

	return ops->forget_crashes(rules->rows, NULL, rules->now_ms - STORE_CRASHES_KEPT_MS, err) &&
		ops->add_crash(rules->rows, rules->call->name, rules->call->owner, rules->now_ms, err);
}

bool store_rules_run(struct store *store, struct store_rows *rows, struct store_call *call, struct error *err)
{
	struct store_rules rules = { .store = store, .rows = rows, .call = call, .now_ms = clock_steady_ms() };

	switch (call->kind) {
	case CALL_RENEW: return rules_renew(&rules, err);
	case CALL_DISOWN: return rules_disown(&rules, err);
	case CALL_ADOPT: return rules_adopt(&rules, err);
	case CALL_ADMIT: return rules_admit(&rules, err);
	case CALL_NOTE: return note_messages(&rules, err);
	case CALL_SWEEP: return rules_sweep(&rules, err);
	case CALL_CANCEL:
	case CALL_RETRY_FINISHED:
	case CALL_UNLOCK:
	case CALL_TELL_OWNER: return rules_asked(&rules, err);
	case CALL_NOTE_CRASH: return note_crash(&rules, err);
	case CALL_TAKE_RATE: return rules_take_rate(&rules, err);
	case CALL_SAY: return rules_say(&rules, err);
	case CALL_CLAIM_DELIVERIES: return rules_claim_deliveries(&rules, err);
	case CALL_NOTE_DELIVERIES: return rules_note_deliveries(&rules, err);
	case CALL_REPLAY: return rules_replay(&rules, err);
	case CALL_PRUNE: return rules_prune(&rules, err);
	case CALL_IMPORT: return rules_import(&rules, err);
	case CALL_INTEND:
	case CALL_STARTED:
	case CALL_RETRY:
	case CALL_NOTE_WAIT:
	case CALL_FINISH: return write_about(&rules, err);
	default: break;
	}
	panic("store: no such call %d", (int)call->kind);
}
