/* SPDX-License-Identifier: Apache-2.0 */
/* store_memory_rows.c - see store_memory_rows.h.  Nothing here can fail, so nothing is ever taken back. */
#include "store/store_memory_rows.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "store/store_impl.h"

struct memory_lock {
	struct list link;
	char *key, *holder;
	int64_t grant;
};

struct memory_owner {
	struct list link;
	char *id;
	struct store_owner owner;
};

struct memory_fault {
	struct list link;
	struct store_fault fault;
	char *dedup_key;
	bool published;
	int64_t claimed_until_ms;
};

static struct memory_rows *memory_of(struct store_rows *rows)
{
	return container_of(rows, struct memory_rows, rows);
}

static bool same_text(const char *a, const char *b)
{
	return a != NULL && b != NULL && strcmp(a, b) == 0;
}

/* What the rules get is a copy, as it would be from a database. */
static struct store_row *copy_row(const struct memory_job *at)
{
	struct store_row *row = store_row_create(job_copy(at->row.job));

	row->wait = at->row.wait;
	row->news = at->row.news;
	xreplace(&row->job->body, NULL);
	xreplace(&row->job->attempt.request, NULL);
	return row;
}

static struct memory_job *job_by_seq(struct store_rows *rows, int64_t seq)
{
	struct memory_job *at;

	list_each(at, &memory_of(rows)->jobs, link) {
		if (at->row.job->seq == seq)
			return at;
	}
	panic("store: no job with seq %lld", (long long)seq);
}

static struct memory_job *job_by_id(struct memory_rows *memory, const char *id)
{
	struct memory_job *at;

	list_each(at, &memory->jobs, link) {
		if (strcmp(at->row.job->id, id) == 0)
			return at;
	}
	return NULL;
}

/* -- jobs ---------------------------------------------------------------------------------------- */

static bool find(struct store_rows *rows, const char *id, struct store_row **row, struct error *err)
{
	const struct memory_job *at = job_by_id(memory_of(rows), id);

	(void)err;
	*row = at != NULL ? copy_row(at) : NULL;
	return true;
}

static bool read_whole(struct store_rows *rows, struct store_row *row, struct error *err)
{
	const struct job *job = job_by_seq(rows, row->job->seq)->row.job;

	(void)err;
	xreplace(&row->job->body, job->body);
	xreplace(&row->job->attempt.request, job->attempt.request);
	return true;
}

static bool insert(struct store_rows *rows, struct store_row *row, struct error *err)
{
	struct memory_job *at = xnew(struct memory_job);

	(void)err;
	row->job->seq = ++memory_of(rows)->last_seq;
	at->row = *row;
	at->row.job = job_copy(row->job);
	list_append(&memory_of(rows)->jobs, &at->link);
	return true;
}

static bool move(struct store_rows *rows, const struct store_row *row, struct error *err)
{
	struct store_row *at = &job_by_seq(rows, row->job->seq)->row;

	(void)err;
	at->wait = row->wait;
	at->news = row->news;
	at->job->state = row->job->state;
	at->job->grant = row->job->grant;
	at->job->not_before_ms = row->job->not_before_ms;
	return true;
}

static bool end(struct store_rows *rows, const struct store_row *row, struct error *err)
{
	struct store_row *at = &job_by_seq(rows, row->job->seq)->row;

	(void)err;
	at->wait = row->wait;
	at->news = row->news;
	at->job->state = row->job->state;
	at->job->exit_code = row->job->exit_code;
	at->job->finished_ms = row->job->finished_ms;
	xreplace(&at->job->reason, row->job->reason);
	xreplace(&at->job->detail, row->job->detail);
	return true;
}

static bool write_message(struct store_rows *rows, const struct store_row *row, struct error *err)
{
	struct store_row *at = &job_by_seq(rows, row->job->seq)->row;
	struct job_message_ref *message = &at->job->message;

	(void)err;
	at->news = row->news;
	xreplace(&message->receipt, row->job->message.receipt);
	message->hidden_until_ms = row->job->message.hidden_until_ms;
	message->received_ms = row->job->message.received_ms;
	message->deliveries = row->job->message.deliveries;
	message->settled = row->job->message.settled;
	return true;
}

static bool write_owner(struct store_rows *rows, const struct store_row *row, struct error *err)
{
	struct store_row *at = &job_by_seq(rows, row->job->seq)->row;

	(void)err;
	at->news = row->news;
	at->job->fence = row->job->fence;
	xreplace(&at->job->owner, row->job->owner);
	return true;
}

static bool begin_attempt(struct store_rows *rows, const struct store_row *row, struct error *err)
{
	struct job_attempt *attempt = &job_by_seq(rows, row->job->seq)->row.job->attempt;

	(void)err;
	attempt->number = row->job->attempt.number;
	attempt->step = row->job->attempt.step;
	attempt->intended_ms = row->job->attempt.intended_ms;
	attempt->started_ms = row->job->attempt.started_ms;
	xreplace(&attempt->token, row->job->attempt.token);
	xreplace(&attempt->request, row->job->attempt.request);
	xreplace(&attempt->handle, row->job->attempt.handle);
	return true;
}

static bool start_attempt(struct store_rows *rows, const struct store_row *row, struct error *err)
{
	struct job_attempt *attempt = &job_by_seq(rows, row->job->seq)->row.job->attempt;

	(void)err;
	attempt->started_ms = row->job->attempt.started_ms;
	xreplace(&attempt->handle, row->job->attempt.handle);
	return true;
}

/* Attempts that are over are not remembered here. */
static bool end_attempt(struct store_rows *rows, const struct store_row *row, const char *reason, int64_t at_ms,
	struct error *err)
{
	(void)reason;
	(void)at_ms;
	(void)err;
	xreplace(&job_by_seq(rows, row->job->seq)->row.job->attempt.request, NULL);
	return true;
}

/* -- who is next --------------------------------------------------------------------------------- */

static bool next_waiter(struct store_rows *rows, const char *lock_key, struct store_row **row, struct error *err)
{
	const struct memory_job *at, *best = NULL;

	(void)err;
	list_each(at, &memory_of(rows)->jobs, link) {
		if (at->row.wait != WAIT_LOCK || !same_text(at->row.job->lock_key, lock_key))
			continue;
		if (best == NULL || at->row.job->priority > best->row.job->priority)
			best = at;
	}
	*row = best != NULL ? copy_row(best) : NULL;
	return true;
}

static bool group_head(struct store_rows *rows, const char *queue, const char *group, struct store_row **row,
	struct error *err)
{
	const struct memory_job *at;

	(void)err;
	list_each(at, &memory_of(rows)->jobs, link) {
		if (!job_state_final(at->row.job->state) && same_text(at->row.job->queue, queue) &&
			same_text(at->row.job->message.group, group)) {
			*row = copy_row(at);
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
	list_each(at, &memory_of(rows)->jobs, link) {
		if (at->row.wait != WAIT_NONE && same_text(at->row.job->lock_key, lock_key) &&
			same_text(at->row.job->deployer, deployer)) {
			*row = copy_row(at);
			return true;
		}
	}
	*row = NULL;
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
	const struct memory_job *at = earliest_delayed(memory_of(rows));

	(void)err;
	*row = at != NULL && at->row.job->not_before_ms <= now_ms ? copy_row(at) : NULL;
	return true;
}

static bool due_time(struct store_rows *rows, int64_t *due_ms, struct error *err)
{
	const struct memory_job *at = earliest_delayed(memory_of(rows));

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

static bool read_lock(struct store_rows *rows, const char *key, char **holder, int64_t *grant, struct error *err)
{
	const struct memory_lock *at = lock_by_key(memory_of(rows), key);

	(void)err;
	*holder = at != NULL ? xstrdup(at->holder) : NULL;
	*grant = at != NULL ? at->grant : 0;
	return true;
}

static bool write_lock(struct store_rows *rows, const char *key, const char *holder, int64_t grant,
	struct error *err)
{
	struct memory_lock *at = lock_by_key(memory_of(rows), key);

	(void)err;
	if (at == NULL) {
		at = xnew(struct memory_lock);
		at->key = xstrdup(key);
		list_append(&memory_of(rows)->locks, &at->link);
	}
	xreplace(&at->holder, holder);
	at->grant = grant;
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
	const struct memory_owner *at = owner_by_id(memory_of(rows), id);

	(void)err;
	*found = at != NULL;
	if (at != NULL)
		*owner = at->owner;
	return true;
}

static bool write_owner_row(struct store_rows *rows, const char *id, const struct store_owner *owner,
	struct error *err)
{
	struct memory_owner *at = owner_by_id(memory_of(rows), id);

	(void)err;
	if (at == NULL) {
		at = xnew(struct memory_owner);
		at->id = xstrdup(id);
		list_append(&memory_of(rows)->owners, &at->link);
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
	struct memory_owner *at = owner_by_id(memory_of(rows), id);

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
	list_each(at, &memory_of(rows)->owners, link) {
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
	list_each(at, &memory_of(rows)->jobs, link) {
		if (store_row_is_live(&at->row) && same_text(at->row.job->owner, owner)) {
			xreplace(&at->row.job->owner, NULL);
			(*count)++;
		}
	}
	return true;
}

static void add_found(struct store_row ***found, size_t *count, const struct memory_job *at)
{
	*found = xreallocarray(*found, *count + 1, sizeof(**found));
	(*found)[(*count)++] = copy_row(at);
}

static bool unowned(struct store_rows *rows, size_t max, struct store_row ***found, size_t *count, struct error *err)
{
	const struct memory_job *at;

	(void)err;
	list_each(at, &memory_of(rows)->jobs, link) {
		if (*count < max && at->row.job->owner == NULL && store_row_is_live(&at->row))
			add_found(found, count, at);
	}
	return true;
}

static bool with_news(struct store_rows *rows, const char *owner, size_t max, struct store_row ***found,
	size_t *count, struct error *err)
{
	const struct memory_job *at;

	(void)err;
	list_each(at, &memory_of(rows)->jobs, link) {
		if (*count < max && at->row.news != 0 && same_text(at->row.job->owner, owner))
			add_found(found, count, at);
	}
	return true;
}

/* -- faults -------------------------------------------------------------------------------------- */

static bool add_fault(struct store_rows *rows, const struct store_fault *fault, const char *dedup_key,
	struct error *err)
{
	struct memory_rows *memory = memory_of(rows);
	struct memory_fault *at;

	(void)err;
	list_each(at, &memory->faults, link) {
		if (same_text(at->dedup_key, dedup_key))
			return true;
	}
	at = xnew(struct memory_fault);
	at->fault = store_fault_copy(fault);
	at->fault.id = ++memory->last_fault;
	at->dedup_key = xstrdup(dedup_key);
	list_append(&memory->faults, &at->link);
	return true;
}

static bool claim_faults(struct store_rows *rows, size_t max, const struct store_owner *now,
	const struct store_owner *until, struct store_call *call, struct error *err)
{
	struct memory_fault *at;

	(void)err;
	list_each(at, &memory_of(rows)->faults, link) {
		if (call->fault_count == max)
			break;
		if (at->published || at->claimed_until_ms > now->lease_until_ms)
			continue;
		at->claimed_until_ms = until->lease_until_ms;
		store_call_add_fault(call, &at->fault);
	}
	return true;
}

static bool fault_published(struct store_rows *rows, int64_t id, struct error *err)
{
	struct memory_fault *at;

	(void)err;
	list_each(at, &memory_of(rows)->faults, link) {
		if (at->fault.id == id)
			at->published = true;
	}
	return true;
}

static const struct store_rows_ops rows_ops = {
	.find = find,
	.read_whole = read_whole,
	.insert = insert,
	.move = move,
	.end = end,
	.write_message = write_message,
	.write_owner = write_owner,
	.begin_attempt = begin_attempt,
	.start_attempt = start_attempt,
	.end_attempt = end_attempt,
	.next_waiter = next_waiter,
	.group_head = group_head,
	.any_waiting = any_waiting,
	.next_due = next_due,
	.due_time = due_time,
	.read_lock = read_lock,
	.write_lock = write_lock,
	.read_owner = read_owner,
	.write_owner_row = write_owner_row,
	.remove_owner = remove_owner,
	.dead_owner = dead_owner,
	.release = release,
	.unowned = unowned,
	.with_news = with_news,
	.add_fault = add_fault,
	.claim_faults = claim_faults,
	.fault_published = fault_published,
};

struct memory_rows *memory_rows_create(void)
{
	struct memory_rows *memory = xnew(struct memory_rows);

	memory->rows.ops = &rows_ops;
	list_init(&memory->link);
	list_init(&memory->jobs);
	list_init(&memory->locks);
	list_init(&memory->owners);
	list_init(&memory->faults);
	return memory;
}

static void jobs_free(struct list *jobs)
{
	struct memory_job *at, *next;

	list_each_safe(at, next, jobs, link) {
		job_destroy(at->row.job);
		free(at);
	}
}

static void locks_free(struct list *locks)
{
	struct memory_lock *at, *next;

	list_each_safe(at, next, locks, link) {
		free(at->key);
		free(at->holder);
		free(at);
	}
}

static void faults_free(struct list *faults)
{
	struct memory_fault *at, *next;

	list_each_safe(at, next, faults, link) {
		store_fault_finish(&at->fault);
		free(at->dedup_key);
		free(at);
	}
}

void memory_rows_destroy(struct memory_rows *memory)
{
	struct memory_owner *at, *next;

	list_remove(&memory->link);
	jobs_free(&memory->jobs);
	locks_free(&memory->locks);
	faults_free(&memory->faults);
	list_each_safe(at, next, &memory->owners, link)
		owner_free(at);
	free(memory->name);
	free(memory);
}
