/* SPDX-License-Identifier: Apache-2.0 */
/* store_rules_turn.c - whose turn it is: delays, message groups and lock keys.
 *
 * A waiting job passes three stages in order: its delay, the earlier jobs of its message group, its
 * lock key.  The stage is stored with the job, so that a turn is one look at an index however many
 * wait.  It rests on one invariant: a free key has nobody at WAIT_LOCK. */
#include <stdlib.h>

#include "base/mem.h"
#include "store/store_rules.h"

bool rules_needs_key(const struct job *job)
{
	return job->policy != LOCK_PARALLEL && job->lock_key != NULL && job->lock_key[0] != '\0';
}

/* waiting -> queued; the owner hears of it by the completion's grants or by its next sweep. */
static bool make_ready(struct store_rules *rules, struct store_row *row, int64_t grant, struct error *err)
{
	row->wait = WAIT_NONE;
	row->news |= NEWS_READY;
	row->job->state = JOB_QUEUED;
	row->job->grant = grant;
	rules_clear_wait(row->job);
	if (!rules->rows->ops->move(rules->rows, row, err))
		return false;
	store_call_add_grant(rules->call, row->job);
	return true;
}

/* A free key gets its next holder. */
static bool hold(struct store_rules *rules, const struct job *job, int64_t last_grant, struct error *err)
{
	const struct store_held held = { .holder = job->id, .grant = last_grant + 1, .since_ms = rules->now_ms };

	return rules->rows->ops->write_lock(rules->rows, job->lock_key, &held, err);
}

static bool grant_free_key(struct store_rules *rules, const char *key, int64_t last_grant, struct error *err)
{
	struct store_row *next = NULL;
	bool ok = rules->rows->ops->next_waiter(rules->rows, key, &next, err);

	if (ok && next != NULL)
		ok = hold(rules, next->job, last_grant, err) && make_ready(rules, next, last_grant + 1, err);
	store_row_destroy(next);
	return ok;
}

bool rules_grant_key(struct store_rules *rules, const char *key, struct error *err)
{
	struct store_held held = { 0 };
	bool ok = rules->rows->ops->read_lock(rules->rows, key, &held, err);

	if (ok && held.holder == NULL)
		ok = grant_free_key(rules, key, held.grant, err);
	free(held.holder);
	return ok;
}

/* Whether an unfinished job of its group was accepted earlier; seq 0 is not inserted yet. */
static bool group_blocks(struct store_rules *rules, const struct job *job, bool *blocks, struct error *err)
{
	struct store_row *head = NULL;

	*blocks = false;
	if (job->message.group == NULL)
		return true;
	if (!rules->rows->ops->group_head(rules->rows, job->queue, job->message.group, &head, err))
		return false;
	*blocks = head != NULL && head->job->seq != job->seq;
	store_row_destroy(head);
	return true;
}

bool rules_advance(struct store_rules *rules, struct store_row *row, struct error *err)
{
	enum store_wait before = row->wait;
	bool blocked = false;

	if (row->wait == WAIT_DELAY && row->job->not_before_ms <= rules->now_ms)
		row->wait = WAIT_GROUP;
	if (row->wait == WAIT_GROUP) {
		if (!group_blocks(rules, row->job, &blocked, err))
			return false;
		if (!blocked)
			row->wait = WAIT_LOCK;
	}
	if (row->wait == WAIT_LOCK && !rules_needs_key(row->job))
		return make_ready(rules, row, 0, err);
	if (row->wait != before && !rules->rows->ops->move(rules->rows, row, err))
		return false;
	return row->wait != WAIT_LOCK || rules_grant_key(rules, row->job->lock_key, err);
}

/* The key is taken at once when it is free: by the invariant nobody waits for it then. */
static bool take_key(struct store_rules *rules, struct store_row *row, struct error *err)
{
	struct store_held held = { 0 };
	bool ok = rules->rows->ops->read_lock(rules->rows, row->job->lock_key, &held, err);

	if (ok && held.holder != NULL) {
		row->wait = WAIT_LOCK;
	} else if (ok) {
		row->job->grant = held.grant + 1;
		ok = hold(rules, row->job, held.grant, err);
	}
	free(held.holder);
	return ok;
}

bool rules_first_stage(struct store_rules *rules, struct store_row *row, struct error *err)
{
	bool blocked = false;

	row->wait = WAIT_NONE;
	if (!group_blocks(rules, row->job, &blocked, err))
		return false;
	if (row->job->not_before_ms > rules->now_ms)
		row->wait = WAIT_DELAY;
	else if (blocked)
		row->wait = WAIT_GROUP;
	else if (rules_needs_key(row->job) && !take_key(rules, row, err))
		return false;
	row->job->state = row->wait == WAIT_NONE ? JOB_QUEUED : JOB_WAITING;
	return true;
}

static bool pass_key(struct store_rules *rules, const struct job *job, struct error *err)
{
	bool freed;

	if (!rules_needs_key(job) || job->grant == 0)
		return true;
	/* By its grant: a key that was given on by hand is not ours to free. */
	if (!rules->rows->ops->free_lock(rules->rows, job->lock_key, job->grant, &freed, err))
		return false;
	return !freed || grant_free_key(rules, job->lock_key, job->grant, err);
}

/* The group first: its next one may have been accepted before whoever waits at the key that is passed. */
static bool pass_group(struct store_rules *rules, const struct job *job, struct error *err)
{
	struct store_row *head = NULL;
	bool ok;

	if (job->message.group == NULL)
		return true;
	ok = rules->rows->ops->group_head(rules->rows, job->queue, job->message.group, &head, err);
	if (ok && head != NULL && head->wait == WAIT_GROUP)
		ok = rules_advance(rules, head, err);
	store_row_destroy(head);
	return ok;
}

bool rules_pass_on(struct store_rules *rules, const struct job *job, struct error *err)
{
	return pass_group(rules, job, err) && pass_key(rules, job, err);
}

bool rules_pass_delays(struct store_rules *rules, size_t max, bool *more, struct error *err)
{
	struct store_row *row = NULL;
	bool ok = true;

	*more = false;
	for (size_t n = 0; n <= max; n++) {
		if (!rules->rows->ops->next_due(rules->rows, rules->now_ms, &row, err))
			return false;
		if (row == NULL)
			return true;
		*more = n == max;
		if (!*more)
			ok = rules_advance(rules, row, err);
		store_row_destroy(row);
		row = NULL;
		if (!ok)
			return false;
	}
	return true;
}
