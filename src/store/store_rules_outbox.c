/* SPDX-License-Identifier: Apache-2.0 */
/* store_rules_outbox.c - what is still to be told, and what may be forgotten.
 *
 * A delivery is open until it has arrived; a dead one is open too, until somebody replays it. */
#include <string.h>

#include "store/store_rules.h"

static bool say_one(struct store_rules *rules, const struct store_delivery *given, struct error *err)
{
	struct store_delivery delivery = *given;

	if (delivery.created_ms == 0)
		delivery.created_ms = rules->now_ms;
	if (delivery.next_try_ms == 0)
		delivery.next_try_ms = rules->now_ms;
	else if (delivery.next_try_ms < 0)
		delivery.next_try_ms = 0;
	return rules->rows->ops->add_delivery(rules->rows, &delivery, rules->call->dedup_key, err);
}

/* Only ends and another attempt are asked about. */
static bool may_come_to(enum job_state is, enum job_state wanted)
{
	if (wanted == JOB_QUEUED)
		return is == JOB_QUEUED || is == JOB_LAUNCHING || is == JOB_RUNNING;
	return !job_state_final(wanted) || is == wanted || job_state_may_move(is, wanted);
}

/* A speaker that has lost its job, or whose move others have made impossible, has nothing to tell of it. */
static bool check_speaker(struct store_rules *rules, const struct job *speaker, struct error *err)
{
	struct store_row *row = NULL;
	enum job_state is;

	if (!rules_find_ours(rules, speaker, &row, err))
		return false;
	if (row == NULL)
		return true;
	is = row->job->state;
	store_row_destroy(row);
	if (!may_come_to(is, speaker->state))
		error_set(store_call_error(rules->call), ERROR_LOST,
			"store: job %s is %s and does not become %s", speaker->id,
			job_state_name(is), job_state_name(speaker->state));
	return true;
}

bool rules_say(struct store_rules *rules, struct error *err)
{
	const struct store_call *call = rules->call;
	bool said = false;

	for (size_t i = 0; i < call->said_count; i++) {
		if (strlen(call->said[i].payload) > LIMIT_DELIVERY_BYTES) {
			error_set(store_call_error(rules->call), ERROR_INVALID,
				"store: what is to be told to %s has more than %d bytes",
				call->said[i].sink, LIMIT_DELIVERY_BYTES);
			return true;
		}
	}
	if (call->given_count > 0 && !check_speaker(rules, call->given[0], err))
		return false;
	if (call->err != NULL)
		return true;
	if (call->dedup_key != NULL && !rules->rows->ops->was_said(rules->rows, call->dedup_key, &said, err))
		return false;
	for (size_t i = 0; !said && i < call->said_count; i++) {
		if (!say_one(rules, &call->said[i], err))
			return false;
	}
	return true;
}

/* The claim is a next try that is put off: a claimer that is never heard of again has tried in vain. */
bool rules_claim_deliveries(struct store_rules *rules, struct error *err)
{
	const struct store_rows_ops *ops = rules->rows->ops;
	struct store_call *call = rules->call;

	if (!ops->due_deliveries(rules->rows, call->max, rules->now_ms, call, err))
		return false;
	for (size_t i = 0; i < call->claimed_count; i++) {
		if (!ops->claim_delivery(rules->rows, call->claimed[i].id, rules->store->owner,
			rules->now_ms + STORE_CLAIM_MS, err))
			return false;
	}
	return ops->delivery_time(rules->rows, &call->next_due_ms, err);
}

bool rules_note_deliveries(struct store_rules *rules, struct error *err)
{
	for (size_t i = 0; i < rules->call->said_count; i++) {
		struct store_delivery noted = rules->call->said[i];

		if (noted.dead)
			noted.next_try_ms = rules->now_ms;
		if (!rules->rows->ops->write_delivery(rules->rows, &noted, rules->store->owner, err))
			return false;
	}
	return true;
}

bool rules_replay(struct store_rules *rules, struct error *err)
{
	size_t count = 0;

	if (!rules->rows->ops->revive(rules->rows, rules->call->delivery_id, rules->now_ms, &count, err))
		return false;
	store_call_answer(rules->call, count > 0 ? STORE_ASKED_DONE : STORE_ASKED_UNKNOWN, NULL);
	return true;
}

/* -- what may be forgotten ----------------------------------------------------------------------- */

static bool forget_jobs(struct store_rules *rules, struct store_row **rows, size_t count, struct error *err)
{
	struct store_call *call = rules->call;

	for (size_t i = 0; i < count && call->went < call->max; i++) {
		bool gone = false;

		if (!rules->rows->ops->forget(rules->rows, rows[i], call->older_than_ms, &gone, err))
			return false;
		call->went += gone;
		rules->store->pruned_ms = rows[i]->job->finished_ms;
		rules->store->pruned_seq = rows[i]->job->seq;
	}
	return true;
}

/* Jobs that may not be forgotten yet, as something of them is to be delivered, must not be in the way of the
 * others: the next call goes on behind the last that was looked at. */
static bool prune_jobs(struct store_rules *rules, struct error *err)
{
	struct store *store = rules->store;
	const struct store_pruned pruned = { rules->call->older_than_ms, store->pruned_ms, store->pruned_seq };
	struct store_row **found = NULL;
	size_t count = 0;
	bool ok = rules->rows->ops->ended(rules->rows, &pruned, rules->call->max, &found, &count, err) &&
		forget_jobs(rules, found, count, err);

	if (count < rules->call->max)
		store->pruned_ms = store->pruned_seq = 0;
	store_rows_destroy(found, count);
	return ok;
}

bool rules_prune(struct store_rules *rules, struct error *err)
{
	struct store_call *call = rules->call;
	const struct store_others others = {
		.older_than_ms = call->older_than_ms,
		.open_older_than_ms = call->older_than_ms - (rules->now_ms - call->older_than_ms),
	};
	size_t count = 0;

	if (!prune_jobs(rules, err))
		return false;
	if (call->went < call->max && !rules->rows->ops->forget_others(rules->rows, &others,
		call->max - call->went, &count, err))
		return false;
	call->went += count;
	return rules->rows->ops->forget_crashes(rules->rows, NULL, rules->now_ms - STORE_CRASHES_KEPT_MS, err);
}
