/* SPDX-License-Identifier: Apache-2.0 */
/* store_rules_admit.c - a received message becomes a job, or turns out to be one already. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "store/store_rules.h"

static bool same_text(const char *a, const char *b)
{
	return a != NULL && b != NULL && strcmp(a, b) == 0;
}

/* The newcomer stands where the one it supersedes stood: else a stream of newer ones, each at the end of
 * the order or with its whole delay ahead, would keep them all from the key for as long as it lasts. */
static void inherit(struct store_row *row, const struct store_row *older)
{
	struct job *job = row->job;

	if (older->rank < row->rank)
		row->rank = older->rank;
	if (job->not_before_ms > 0 && older->job->not_before_ms > 0 && older->job->not_before_ms < job->not_before_ms)
		job->not_before_ms = older->job->not_before_ms;
}

/* Ends all waiting jobs of the newcomer's deployer and key.  They are not passed on here: their
 * group goes on once the newcomer stands in it. */
static bool supersede(struct store_rules *rules, struct store_row *newcomer, struct store_row ***ended, size_t *count,
	struct error *err)
{
	const struct job *by = newcomer->job;
	struct store_rows *rows = rules->rows;

	for (;;) {
		struct store_row *row = NULL;

		if (!rows->ops->any_waiting(rows, by->lock_key, by->deployer, &row, err))
			return false;
		if (row == NULL)
			return true;
		*ended = xreallocarray(*ended, *count + 1, sizeof(**ended));
		(*ended)[(*count)++] = row;
		inherit(newcomer, row);
		row->wait = WAIT_NONE;
		row->news |= NEWS_SUPERSEDED;
		row->job->state = JOB_SUPERSEDED;
		row->job->finished_ms = rules->now_ms;
		free(row->job->detail);
		row->job->detail = xasprintf("superseded by job %s", by->id);
		if (!rules_end_for_others(rules, row, err))
			return false;
	}
}

/* LOCK_REJECT: a key that is held ends the newcomer. */
static bool reject(struct store_rules *rules, struct store_row *row, bool *rejected, struct error *err)
{
	struct job *job = row->job;
	struct store_held held = { 0 };

	*rejected = false;
	if (!rules->rows->ops->read_lock(rules->rows, job->lock_key, &held, err))
		return false;
	if (held.holder == NULL)
		return true;
	*rejected = true;
	row->wait = WAIT_NONE;
	job->state = JOB_FAILED;
	/* Nothing is left to do but to settle the message, and a redelivery would say that again: the
	 * record need not be handed on until it is done. */
	job->message.settled = true;
	job->finished_ms = rules->now_ms;
	xreplace(&job->reason, "locked");
	free(job->detail);
	job->detail = xasprintf("the lock \"%s\" is held by job %s", job->lock_key, held.holder);
	free(held.holder);
	return true;
}

/* Looked up once a call: nobody else gives places meanwhile. */
static bool take_seq(struct store_rules *rules, int64_t *seq, struct error *err)
{
	if (rules->next_seq == 0 && !rules->rows->ops->next_seq(rules->rows, &rules->next_seq, err))
		return false;
	*seq = rules->next_seq++;
	return true;
}

/* With its grant, which the launch names, and before it is written.  What may have crashed workers is for the
 * owner to judge. */
static bool intend_at_once(struct store_rules *rules, struct store_row *row, const struct store_admission *admission,
	struct error *err)
{
	struct job *job = row->job;
	unsigned crashes;

	if (job->state != JOB_QUEUED || job->owner == NULL || admission->intent == NULL)
		return true;
	if (!rules->rows->ops->count_crashes(rules->rows, job->id, &crashes, err))
		return false;
	if (crashes == 0 && admission->intent(admission, job))
		job->state = JOB_LAUNCHING;
	return true;
}

static bool write_accepted(struct store_rules *rules, struct store_row *row, const struct store_admission *admission,
	struct error *err)
{
	if (admission == NULL)
		return rules->rows->ops->reopen(rules->rows, row, err);
	return intend_at_once(rules, row, admission, err) && rules->rows->ops->insert(rules->rows, row, err);
}

bool rules_accept(struct store_rules *rules, struct store_row *row, const struct store_admission *admission, bool *rejected,
	struct error *err)
{
	struct job *job = row->job;
	struct store_row **ended = NULL;
	size_t count = 0;
	int64_t seq;
	bool ok;

	*rejected = false;
	ok = take_seq(rules, &seq, err);
	row->rank = ok ? seq - (job->priority - JOB_PRIORITY_DEFAULT) * STORE_RANK_PER_PRIORITY : 0;
	if (ok && job->policy == LOCK_LATEST)
		ok = supersede(rules, row, &ended, &count, err);
	else if (ok && job->policy == LOCK_REJECT)
		ok = reject(rules, row, rejected, err);
	if (ok && !*rejected)
		ok = rules_first_stage(rules, row, err);
	/* Not before: a seq is what the place in a group is told by. */
	job->seq = ok ? seq : 0;
	ok = ok && write_accepted(rules, row, admission, err);
	for (size_t i = 0; ok && i < count; i++)
		ok = rules_pass_on(rules, ended[i]->job, err);
	store_rows_destroy(ended, count);
	return ok;
}

static bool admit_new(struct store_rules *rules, const struct store_admission *admission,
	struct store_admitted_job *out, struct error *err)
{
	struct store_row *row = store_row_create(job_copy(admission->job));
	struct job *job = row->job;
	bool rejected;
	bool ok;

	job->accepted_ms = rules->now_ms;
	job->finished_ms = 0;
	job->fence = 1;
	job->grant = 0;
	job->failures = 0;
	job->losses = 0;
	rules_clear_wait(job);
	xreplace(&job->cancelled_by, NULL);
	xreplace(&job->cancel_reason, NULL);
	xreplace(&job->owner, admission->released ? NULL : rules->store->owner);
	if (job->lock_key == NULL || job->policy == LOCK_PARALLEL)
		xreplace(&job->lock_key, "");
	if (job->message.id == NULL)
		job->message.settled = true;
	ok = rules_accept(rules, row, admission, &rejected, err);
	if (ok) {
		out->verdict = rejected ? STORE_ADMITTED_REJECTED : STORE_ADMITTED_NEW;
		free(job->body);
		job->body = NULL;
		out->job = row->job;
		row->job = NULL;
	}
	store_row_destroy(row);
	return ok;
}

/* The message of a job that we know came again: its newest receipt is the one that deletes it. */
static bool renew_receipt(struct store_rules *rules, struct store_row *row, const struct job_message_ref *newer,
	struct error *err)
{
	struct job_message_ref *message = &row->job->message;

	if (newer->received_ms < message->received_ms)
		return true;
	xreplace(&message->receipt, newer->receipt);
	message->received_ms = newer->received_ms;
	message->hidden_until_ms = newer->hidden_until_ms;
	message->deliveries = newer->deliveries;
	if (!same_text(row->job->owner, rules->store->owner))
		row->news |= NEWS_RECEIPT;
	return rules->rows->ops->write_message(rules->rows, row, err);
}

/* A job whose owner is gone is nobody's; the caller is told so and adopts it. */
static bool release_if_dead(struct store_rules *rules, struct store_row *row, struct error *err)
{
	bool dead = false;
	size_t count;

	if (row->job->owner == NULL || same_text(row->job->owner, rules->store->owner))
		return true;
	if (!rules_owner_is_dead(rules, row->job->owner, &dead, err))
		return false;
	if (!dead)
		return true;
	if (!rules_give_up(rules, row->job->owner, &count, err))
		return false;
	xreplace(&row->job->owner, NULL);
	return true;
}

static bool admit_again(struct store_rules *rules, const struct job *newer, struct store_row *row,
	enum store_admitted *verdict, struct error *err)
{
	struct job *job = row->job;
	bool same_message = !job->message.settled && same_text(job->message.id, newer->message.id) &&
		same_text(job->queue, newer->queue);

	if (job_state_final(job->state)) {
		*verdict = STORE_ADMITTED_FINISHED;
		return !same_message || renew_receipt(rules, row, &newer->message, err);
	}
	if (newer->message.id != NULL && !same_message) {
		/* Somebody sent the job twice, or its message was settled early: the record holds the
		 * job, so this message has nothing left to say. */
		*verdict = STORE_ADMITTED_FINISHED;
		return true;
	}
	if (!release_if_dead(rules, row, err))
		return false;
	*verdict = same_text(job->owner, rules->store->owner) ? STORE_ADMITTED_OURS : STORE_ADMITTED_OTHERS;
	return newer->message.id == NULL || renew_receipt(rules, row, &newer->message, err);
}

static bool admit_one(struct store_rules *rules, const struct store_admission *admission,
	struct store_admitted_job *out, struct error *err)
{
	struct store_row *row = NULL;
	bool ok;

	if (!rules->rows->ops->find(rules->rows, admission->job->id, &row, err))
		return false;
	if (row == NULL)
		return admit_new(rules, admission, out, err);
	ok = admit_again(rules, admission->job, row, &out->verdict, err);
	out->job = row->job;
	row->job = NULL;
	store_row_destroy(row);
	return ok;
}

/* A job further up in the batch may have got its turn from one further down. */
static bool refresh_granted(struct store_rules *rules, struct error *err)
{
	struct store_call *call = rules->call;

	for (size_t i = 0; call->grant_count > 0 && i < call->batch_count; i++) {
		struct store_admitted_job *at = &call->admitted[i];
		struct store_row *row = NULL;
		bool ok = true;

		if (at->job->state != JOB_WAITING || !same_text(at->job->owner, rules->store->owner))
			continue;
		if (!rules->rows->ops->find(rules->rows, at->job->id, &row, err))
			return false;
		if (row != NULL && row->job->state == JOB_QUEUED) {
			at->job->state = JOB_QUEUED;
			at->job->grant = row->job->grant;
			row->news &= ~(unsigned)NEWS_READY;
			ok = rules->rows->ops->move(rules->rows, row, err);
		}
		store_row_destroy(row);
		if (!ok)
			return false;
	}
	return true;
}

static bool all_released(const struct store_call *call)
{
	for (size_t i = 0; i < call->batch_count; i++) {
		if (!call->batch[i].released)
			return false;
	}
	return true;
}

bool rules_admit(struct store_rules *rules, struct error *err)
{
	struct store_call *call = rules->call;
	bool more;

	/* A job owned by nobody who is registered would never be adopted. */
	if (!all_released(call) && !rules_be_registered(rules, err))
		return false;
	if (call->err != NULL)
		return true;
	/* Whose delay is over stands before whoever comes now. */
	if (!rules_pass_delays(rules, LIMIT_SWEEP_JOBS, &more, err))
		return false;
	call->admitted = xcalloc(call->batch_count, sizeof(*call->admitted));
	for (size_t i = 0; i < call->batch_count; i++) {
		if (!admit_one(rules, &call->batch[i], &call->admitted[i], err))
			return false;
	}
	return refresh_granted(rules, err);
}
