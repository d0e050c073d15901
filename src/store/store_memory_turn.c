/* SPDX-License-Identifier: Apache-2.0 */
/* store_memory_turn.c - who is next, who holds a key, who is alive: lists that are walked. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "store/store_impl.h"
#include "store/store_memory_rows.h"

struct memory_lock {
	struct list link;
	char *key;
	struct store_held held;
};

struct memory_owner {
	struct list link;
	char *id;
	struct store_owner owner;
};

/* -- who is next --------------------------------------------------------------------------------- */

static bool next_waiter(struct store_rows *rows, const char *lock_key, struct store_row **row, struct error *err)
{
	const struct memory_job *at, *best = NULL;

	(void)err;
	list_each(at, &memory_rows_of(rows)->jobs, link) {
		if (at->row.wait != WAIT_LOCK || !memory_same_text(at->row.job->lock_key, lock_key))
			continue;
		if (best == NULL || at->row.rank < best->row.rank)
			best = at;
	}
	*row = best != NULL ? memory_row_copy(best) : NULL;
	return true;
}

static bool group_head(struct store_rows *rows, const char *queue, const char *group, struct store_row **row,
	struct error *err)
{
	const struct memory_job *at;

	(void)err;
	list_each(at, &memory_rows_of(rows)->jobs, link) {
		if (!job_state_final(at->row.job->state) && memory_same_text(at->row.job->queue, queue) &&
			memory_same_text(at->row.job->message.group, group)) {
			*row = memory_row_copy(at);
			return true;
		}
	}
	*row = NULL;
	return true;
}

static bool any_waiting(struct store_rows *rows, const char *lock_key, const char *deployer,
	struct store_row **row, struct error *err)
{
	const struct memory_job *at;

	(void)err;
	list_each(at, &memory_rows_of(rows)->jobs, link) {
		if (at->row.wait != WAIT_NONE && memory_same_text(at->row.job->lock_key, lock_key) &&
			memory_same_text(at->row.job->deployer, deployer)) {
			*row = memory_row_copy(at);
			return true;
		}
	}
	*row = NULL;
	return true;
}

static bool count_ahead(struct store_rows *rows, const struct store_row *row, size_t *count, struct error *err)
{
	const struct memory_job *at;

	(void)err;
	*count = 0;
	list_each(at, &memory_rows_of(rows)->jobs, link) {
		if (at->row.wait == WAIT_LOCK && memory_same_text(at->row.job->lock_key, row->job->lock_key) &&
			(at->row.rank < row->rank || (at->row.rank == row->rank && at->row.job->seq < row->job->seq)))
			(*count)++;
	}
	return true;
}

static bool count_group_ahead(struct store_rows *rows, const struct store_row *row, size_t *count, struct error *err)
{
	const struct memory_job *at;

	(void)err;
	*count = 0;
	list_each(at, &memory_rows_of(rows)->jobs, link) {
		if (!job_state_final(at->row.job->state) && memory_same_text(at->row.job->queue, row->job->queue) &&
			memory_same_text(at->row.job->message.group, row->job->message.group) && at->row.job->seq < row->job->seq)
			(*count)++;
	}
	return true;
}

static const struct memory_job *earliest_delayed(struct memory_rows *memory)
{
	const struct memory_job *at, *best = NULL;

	list_each(at, &memory->jobs, link) {
		if (at->row.wait == WAIT_DELAY &&
			(best == NULL || at->row.job->not_before_ms < best->row.job->not_before_ms))
			best = at;
	}
	return best;
}

static bool next_due(struct store_rows *rows, int64_t now_ms, struct store_row **row, struct error *err)
{
	const struct memory_job *at = earliest_delayed(memory_rows_of(rows));

	(void)err;
	*row = at != NULL && at->row.job->not_before_ms <= now_ms ? memory_row_copy(at) : NULL;
	return true;
}

static bool due_time(struct store_rows *rows, int64_t *due_ms, struct error *err)
{
	const struct memory_job *at = earliest_delayed(memory_rows_of(rows));

	(void)err;
	*due_ms = at != NULL ? at->row.job->not_before_ms : 0;
	return true;
}

/* -- locks and owners ---------------------------------------------------------------------------- */

static struct memory_lock *lock_by_key(struct memory_rows *memory, const char *key)
{
	struct memory_lock *at;

	list_each(at, &memory->locks, link) {
		if (strcmp(at->key, key) == 0)
			return at;
	}
	return NULL;
}

static bool read_lock(struct store_rows *rows, const char *key, struct store_held *held, struct error *err)
{
	const struct memory_lock *at = lock_by_key(memory_rows_of(rows), key);

	(void)err;
	*held = (struct store_held){ 0 };
	if (at == NULL)
		return true;
	*held = at->held;
	held->holder = xstrdup(at->held.holder);
	return true;
}

static bool write_lock(struct store_rows *rows, const char *key, const struct store_held *held, struct error *err)
{
	struct memory_lock *at = lock_by_key(memory_rows_of(rows), key);

	(void)err;
	if (at == NULL) {
		at = xnew(struct memory_lock);
		at->key = xstrdup(key);
		list_append(&memory_rows_of(rows)->locks, &at->link);
	}
	xreplace(&at->held.holder, held->holder);
	at->held.grant = held->grant;
	at->held.since_ms = held->since_ms;
	return true;
}

static bool free_lock(struct store_rows *rows, const char *key, int64_t grant, bool *freed, struct error *err)
{
	struct memory_lock *at = lock_by_key(memory_rows_of(rows), key);

	(void)err;
	*freed = at != NULL && at->held.holder != NULL && at->held.grant == grant;
	if (*freed)
		xreplace(&at->held.holder, NULL);
	return true;
}

static size_t waiting_for(struct memory_rows *memory, const char *key)
{
	const struct memory_job *at;
	size_t count = 0;

	list_each(at, &memory->jobs, link)
		count += at->row.wait == WAIT_LOCK && memory_same_text(at->row.job->lock_key, key);
	return count;
}

static void describe(struct memory_rows *memory, const struct memory_lock *at, struct store_call *call)
{
	const struct memory_job *holder = memory_job_by_id(memory, at->held.holder);
	const struct store_lock lent = {
		.key = at->key, .holder = at->held.holder, .project = holder != NULL ? holder->row.job->project : NULL,
		.grant = at->held.grant, .since_ms = at->held.since_ms, .waiting = waiting_for(memory, at->key),
	};

	store_call_add_lock(call, &lent);
}

static const struct memory_lock *held_after(struct memory_rows *memory, const char *key)
{
	const struct memory_lock *at, *best = NULL;

	list_each(at, &memory->locks, link) {
		if (at->held.holder != NULL && strcmp(at->key, key) > 0 && (best == NULL || strcmp(at->key, best->key) < 0))
			best = at;
	}
	return best;
}

int64_t memory_held_locks(const struct memory_rows *memory)
{
	const struct memory_lock *at;
	int64_t held = 0;

	list_each(at, &memory->locks, link)
		held += at->held.holder != NULL;
	return held;
}

static bool held_locks(struct store_rows *rows, struct store_call *call, struct error *err)
{
	struct memory_rows *memory = memory_rows_of(rows);
	const struct memory_lock *at = held_after(memory, call->name);

	(void)err;
	for (; at != NULL && call->lock_count < call->max; at = held_after(memory, at->key))
		describe(memory, at, call);
	return true;
}

static struct memory_owner *owner_by_id(struct memory_rows *memory, const char *id)
{
	struct memory_owner *at;

	list_each(at, &memory->owners, link) {
		if (strcmp(at->id, id) == 0)
			return at;
	}
	return NULL;
}

static bool read_owner(struct store_rows *rows, const char *id, bool *found, struct store_owner *owner,
	struct error *err)
{
	const struct memory_owner *at = owner_by_id(memory_rows_of(rows), id);

	(void)err;
	*found = at != NULL;
	if (at != NULL)
		*owner = at->owner;
	return true;
}

static bool write_owner_row(struct store_rows *rows, const char *id, const struct store_owner *owner,
	struct error *err)
{
	struct memory_owner *at = owner_by_id(memory_rows_of(rows), id);

	(void)err;
	if (at == NULL) {
		at = xnew(struct memory_owner);
		at->id = xstrdup(id);
		list_append(&memory_rows_of(rows)->owners, &at->link);
	}
	at->owner = *owner;
	return true;
}

static void owner_free(struct memory_owner *at)
{
	list_remove(&at->link);
	free(at->id);
	free(at);
}

static bool remove_owner(struct store_rows *rows, const char *id, struct error *err)
{
	struct memory_owner *at = owner_by_id(memory_rows_of(rows), id);

	(void)err;
	if (at != NULL)
		owner_free(at);
	return true;
}

static bool dead_owner(struct store_rows *rows, const char *me, const struct store_owner *now, char **id,
	struct error *err)
{
	const struct memory_owner *at;

	(void)err;
	*id = NULL;
	list_each(at, &memory_rows_of(rows)->owners, link) {
		if (strcmp(at->id, me) != 0 && at->owner.lease_until_ms <= now->lease_until_ms) {
			*id = xstrdup(at->id);
			return true;
		}
	}
	return true;
}

static bool release(struct store_rows *rows, const char *owner, size_t *count, struct error *err)
{
	struct memory_job *at;

	(void)err;
	*count = 0;
	list_each(at, &memory_rows_of(rows)->jobs, link) {
		if (store_row_is_live(&at->row) && memory_same_text(at->row.job->owner, owner)) {
			xreplace(&at->row.job->owner, NULL);
			(*count)++;
		}
	}
	return true;
}

void memory_add_found(struct store_row ***found, size_t *count, const struct memory_job *at)
{
	*found = xreallocarray(*found, *count + 1, sizeof(**found));
	(*found)[(*count)++] = memory_row_copy(at);
}

static bool unowned(struct store_rows *rows, size_t max, struct store_row ***found, size_t *count, struct error *err)
{
	const struct memory_job *at;

	(void)err;
	list_each(at, &memory_rows_of(rows)->jobs, link) {
		if (*count < max && at->row.job->owner == NULL && store_row_is_live(&at->row))
			memory_add_found(found, count, at);
	}
	return true;
}

static bool with_news(struct store_rows *rows, const char *owner, size_t max, struct store_row ***found,
	size_t *count, struct error *err)
{
	const struct memory_job *at;

	(void)err;
	list_each(at, &memory_rows_of(rows)->jobs, link) {
		if (*count < max && at->row.news != 0 && memory_same_text(at->row.job->owner, owner))
			memory_add_found(found, count, at);
	}
	return true;
}

void memory_turn_ops(struct store_rows_ops *ops)
{
	ops->next_waiter = next_waiter;
	ops->group_head = group_head;
	ops->any_waiting = any_waiting;
	ops->next_due = next_due;
	ops->due_time = due_time;
	ops->count_ahead = count_ahead;
	ops->count_group_ahead = count_group_ahead;
	ops->read_lock = read_lock;
	ops->write_lock = write_lock;
	ops->free_lock = free_lock;
	ops->held_locks = held_locks;
	ops->read_owner = read_owner;
	ops->write_owner_row = write_owner_row;
	ops->remove_owner = remove_owner;
	ops->dead_owner = dead_owner;
	ops->release = release;
	ops->unowned = unowned;
	ops->with_news = with_news;
}

void memory_turn_finish(struct memory_rows *memory)
{
	struct memory_owner *owner, *next_owner;
	struct memory_lock *at, *next;

	list_each_safe(at, next, &memory->locks, link) {
		free(at->key);
		free(at->held.holder);
		free(at);
	}
	list_each_safe(owner, next_owner, &memory->owners, link)
		owner_free(owner);
}
