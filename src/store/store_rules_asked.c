/* SPDX-License-Identifier: Apache-2.0 */
/* store_rules_asked.c - what people ask for: the end of a job, a new attempt of one, a key; and news from
 * elsewhere for a job's owner.
 *
 * The asker owns nothing, so no fence is named here: all it does to a job that may have been launched is
 * to write down what is wanted and leave the rest to the owner.  A move of the owner that comes later in
 * the order finds the job cancelling or cancelled and is refused by the table of moves (job_state.h). */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "store/store_rules.h"

static void note_asker(const struct store_rules *rules, struct job *job, const char *reason)
{
	xreplace(&job->cancelled_by, rules->call->by);
	xreplace(&job->cancel_reason, reason);
}

/* Nothing of it was launched that has not ended: it ends here. */
static bool end_at_once(struct store_rules *rules, struct store_row *row, const char *reason, struct error *err)
{
	struct job *job = row->job;

	note_asker(rules, job, reason);
	row->wait = WAIT_NONE;
	/* Its owner, or who adopts it, still has to tell of it and to settle the message. */
	row->news |= NEWS_CANCEL;
	job->state = JOB_CANCELLED;
	job->exit_code = JOB_NO_EXIT_CODE;
	job->finished_ms = rules->now_ms;
	xreplace(&job->reason, reason);
	free(job->detail);
	job->detail = xasprintf("%s by %.*s", reason, LIMIT_JOB_DETAIL_BYTES - 64, rules->call->by);
	store_call_answer(rules->call, STORE_ASKED_DONE, job);
	return rules_end_for_others(rules, row, err) && rules_pass_on(rules, job, err);
}

/* Repeated, it is told again: who asked first stays in the record. */
static bool ask_owner(struct store_rules *rules, struct store_row *row, const char *reason, struct error *err)
{
	struct job *job = row->job;

	if (job->state != JOB_CANCELLING) {
		note_asker(rules, job, reason);
		job->state = JOB_CANCELLING;
		rules_clear_wait(job);
	}
	row->news |= NEWS_CANCEL;
	store_call_answer(rules->call, STORE_ASKED_BEGUN, job);
	return rules->rows->ops->move(rules->rows, row, err);
}

static bool cancel_row(struct store_rules *rules, struct store_row *row, const char *reason, struct error *err)
{
	if (job_state_final(row->job->state)) {
		store_call_answer(rules->call, STORE_ASKED_REFUSED, row->job);
		return true;
	}
	if (row->job->state == JOB_QUEUED || row->job->state == JOB_WAITING)
		return end_at_once(rules, row, reason, err);
	return ask_owner(rules, row, reason, err);
}

static bool cancel(struct store_rules *rules, struct store_row *row, struct error *err)
{
	return cancel_row(rules, row, "cancelled", err);
}

/* Who held it is missing, or has ended, or holds it no more by its own record. */
static bool free_key(struct store_rules *rules, const char *key, struct store_held *held, const struct job *holder,
	struct error *err)
{
	xreplace(&held->holder, NULL);
	store_call_answer(rules->call, STORE_ASKED_DONE, holder);
	return rules->rows->ops->write_lock(rules->rows, key, held, err) && rules_grant_key(rules, key, err);
}

static bool unlock_held(struct store_rules *rules, const char *key, struct store_held *held, struct error *err)
{
	struct store_row *row = NULL;
	bool ok;

	if (!rules->rows->ops->find(rules->rows, held->holder, &row, err))
		return false;
	if (row != NULL && !job_state_final(row->job->state) && row->job->grant == held->grant)
		ok = cancel_row(rules, row, "unlocked", err);
	else
		ok = free_key(rules, key, held, row != NULL ? row->job : NULL, err);
	store_row_destroy(row);
	return ok;
}

static bool unlock(struct store_rules *rules, struct error *err)
{
	const char *key = rules->call->name;
	struct store_held held = { 0 };
	bool ok = true;

	if (!rules->rows->ops->read_lock(rules->rows, key, &held, err))
		return false;
	if (held.holder != NULL)
		ok = unlock_held(rules, key, &held, err);
	else
		store_call_answer(rules->call, held.grant > 0 ? STORE_ASKED_DONE : STORE_ASKED_UNKNOWN, NULL);
	free(held.holder);
	return ok;
}

/* LOCK_REJECT would end it at once: then it rather stays as it is, and the asker is told why. */
static bool would_be_rejected(struct store_rules *rules, const struct job *job, bool *rejected, struct error *err)
{
	struct store_held held = { 0 };

	*rejected = false;
	if (job->policy != LOCK_REJECT)
		return true;
	if (!rules->rows->ops->read_lock(rules->rows, job->lock_key, &held, err))
		return false;
	*rejected = held.holder != NULL;
	if (*rejected)
		error_set(store_call_error(rules->call), ERROR_REFUSED,
			"store: job %s does not wait for the lock \"%s\", which is held by"
			" job %s", job->id, job->lock_key, held.holder);
	if (*rejected)
		error_set_code(store_call_error(rules->call), "conflict");
	free(held.holder);
	return true;
}

/* What came with the job and its attempts stay; what became of it is forgotten. */
static void forget_result(struct store_rules *rules, struct store_row *row)
{
	struct job *job = row->job;

	xreplace(&job->cancelled_by, NULL);
	xreplace(&job->cancel_reason, NULL);
	xreplace(&job->owner, NULL);
	xreplace(&job->reason, NULL);
	free(job->detail);
	job->detail = xasprintf("retried by %.*s", LIMIT_JOB_DETAIL_BYTES - 64, rules->call->by);
	rules_clear_wait(job);
	job->exit_code = JOB_NO_EXIT_CODE;
	job->failures = 0;
	job->losses = 0;
	job->not_before_ms = 0;
	job->grant = 0;
	job->accepted_ms = rules->now_ms;
	job->finished_ms = 0;
	row->news = 0;
}

static bool retry_finished(struct store_rules *rules, struct store_row *row, struct error *err)
{
	struct job *job = row->job;
	bool rejected = false;
	bool more;

	/* A message that is not gone yet would bring the end back.  Without one, nothing but the word of the end is
	 * left to do, and what is begun again needs none. */
	if (!job_state_final(job->state) || (!job->message.settled && job->message.id != NULL)) {
		store_call_answer(rules->call, STORE_ASKED_REFUSED, job);
		return true;
	}
	if (!would_be_rejected(rules, job, &rejected, err))
		return false;
	if (rejected)
		return true;
	forget_result(rules, row);
	/* A job that crashed workers is believed to be mended now. */
	if (!rules_pass_delays(rules, LIMIT_SWEEP_JOBS, &more, err) ||
		!rules->rows->ops->forget_crashes(rules->rows, job->id, 0, err) ||
		!rules_accept(rules, row, NULL, &rejected, err))
		return false;
	store_call_answer(rules->call, STORE_ASKED_DONE, job);
	return true;
}

/* The caller, if the job is its own, heard of it by itself; who adopts it looks anyhow. */
static bool tell_owner(struct store_rules *rules, struct store_row *row, struct error *err)
{
	const struct job *job = row->job;
	bool runs = job->state == JOB_RUNNING || job->state == JOB_CANCELLING;

	if (!runs || job->owner == NULL || strcmp(job->owner, rules->store->owner) == 0) {
		store_call_answer(rules->call, STORE_ASKED_DONE, job);
		return true;
	}
	store_call_answer(rules->call, STORE_ASKED_BEGUN, job);
	if (row->news & NEWS_TOLD)
		return true;
	row->news |= NEWS_TOLD;
	return rules->rows->ops->write_owner(rules->rows, row, err);
}

bool rules_asked(struct store_rules *rules, struct error *err)
{
	struct store_row *row = NULL;
	bool ok;

	if (rules->call->kind == CALL_UNLOCK)
		return unlock(rules, err);
	if (!rules->rows->ops->find(rules->rows, rules->call->name, &row, err))
		return false;
	if (row == NULL) {
		store_call_answer(rules->call, STORE_ASKED_UNKNOWN, NULL);
		return true;
	}
	switch (rules->call->kind) {
	case CALL_CANCEL: ok = cancel(rules, row, err); break;
	case CALL_RETRY_FINISHED: ok = retry_finished(rules, row, err); break;
	case CALL_TELL_OWNER: ok = tell_owner(rules, row, err); break;
	default: panic("store: call %d is nothing that is asked", (int)rules->call->kind);
	}
	store_row_destroy(row);
	return ok;
}
