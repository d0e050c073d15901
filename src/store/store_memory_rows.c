/* SPDX-License-Identifier: Apache-2.0 */
/* store_memory_rows.c - see store_memory_rows.h.  Here: jobs.  Nothing here can fail, so nothing is ever taken
 * back. */
#include "store/store_memory_rows.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "store/store_impl.h"

struct memory_rows *memory_rows_of(struct store_rows *rows)
{
	return container_of(rows, struct memory_rows, rows);
}

bool memory_same_text(const char *a, const char *b)
{
	return a != NULL && b != NULL && strcmp(a, b) == 0;
}

/* What the rules get is a copy, as it would be from a database. */
struct store_row *memory_row_copy(const struct memory_job *at)
{
	struct store_row *row = store_row_create(job_copy(at->row.job));

	row->wait = at->row.wait;
	row->news = at->row.news;
	row->rank = at->row.rank;
	xreplace(&row->job->body, NULL);
	xreplace(&row->job->attempt.request, NULL);
	return row;
}

struct memory_job *memory_job_by_seq(struct store_rows *rows, int64_t seq)
{
	struct memory_job *at;

	list_each(at, &memory_rows_of(rows)->jobs, link) {
		if (at->row.job->seq == seq)
			return at;
	}
	panic("store: no job with seq %lld", (long long)seq);
}

struct memory_job *memory_job_by_id(struct memory_rows *memory, const char *id)
{
	struct memory_job *at;

	list_each(at, &memory->jobs, link) {
		if (strcmp(at->row.job->id, id) == 0)
			return at;
	}
	return NULL;
}

static bool find(struct store_rows *rows, const char *id, struct store_row **row, struct error *err)
{
	const struct memory_job *at = memory_job_by_id(memory_rows_of(rows), id);

	(void)err;
	*row = at != NULL ? memory_row_copy(at) : NULL;
	return true;
}

static bool read_whole(struct store_rows *rows, struct store_row *row, struct error *err)
{
	const struct job *job = memory_job_by_seq(rows, row->job->seq)->row.job;

	(void)err;
	xreplace(&row->job->body, job->body);
	xreplace(&row->job->attempt.request, job->attempt.request);
	return true;
}

static bool next_seq(struct store_rows *rows, int64_t *seq, struct error *err)
{
	(void)err;
	*seq = memory_rows_of(rows)->last_seq + 1;
	return true;
}

static bool insert(struct store_rows *rows, struct store_row *row, struct error *err)
{
	struct memory_rows *memory = memory_rows_of(rows);
	struct memory_job *at = xnew(struct memory_job);

	at->row = *row;
	at->row.job = job_copy(row->job);
	memory->last_seq = row->job->seq;
	list_append(&memory->jobs, &at->link);
	return row->job->state != JOB_LAUNCHING || rows->ops->begin_attempt(rows, row, err);
}

static bool reopen(struct store_rows *rows, const struct store_row *row, struct error *err)
{
	struct memory_rows *memory = memory_rows_of(rows);
	struct memory_job *at = memory_job_by_id(memory, row->job->id);
	struct job *job = job_copy(row->job);

	(void)err;
	xreplace(&job->body, at->row.job->body);
	job_destroy(at->row.job);
	at->row = *row;
	at->row.job = job;
	memory->last_seq = job->seq;
	list_remove(&at->link);
	list_append(&memory->jobs, &at->link);
	return true;
}

static void copy_asked(struct job *to, const struct job *from)
{
	xreplace(&to->cancelled_by, from->cancelled_by);
	xreplace(&to->cancel_reason, from->cancel_reason);
}

static bool move(struct store_rows *rows, const struct store_row *row, struct error *err)
{
	struct store_row *at = &memory_job_by_seq(rows, row->job->seq)->row;

	(void)err;
	at->wait = row->wait;
	at->news = row->news;
	at->job->state = row->job->state;
	at->job->grant = row->job->grant;
	at->job->not_before_ms = row->job->not_before_ms;
	at->job->failures = row->job->failures;
	at->job->losses = row->job->losses;
	at->job->next_try_ms = row->job->next_try_ms;
	xreplace(&at->job->waits_for, row->job->waits_for);
	copy_asked(at->job, row->job);
	return true;
}

static bool end(struct store_rows *rows, const struct store_row *row, struct error *err)
{
	struct store_row *at = &memory_job_by_seq(rows, row->job->seq)->row;

	(void)err;
	at->wait = row->wait;
	at->news = row->news;
	at->job->state = row->job->state;
	at->job->exit_code = row->job->exit_code;
	at->job->finished_ms = row->job->finished_ms;
	xreplace(&at->job->reason, row->job->reason);
	xreplace(&at->job->detail, row->job->detail);
	xreplace(&at->job->waits_for, NULL);
	at->job->next_try_ms = 0;
	copy_asked(at->job, row->job);
	return true;
}

static bool write_message(struct store_rows *rows, const struct store_row *row, struct error *err)
{
	struct store_row *at = &memory_job_by_seq(rows, row->job->seq)->row;
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
	struct store_row *at = &memory_job_by_seq(rows, row->job->seq)->row;

	(void)err;
	at->news = row->news;
	at->job->fence = row->job->fence;
	xreplace(&at->job->owner, row->job->owner);
	return true;
}

/* -- reading ------------------------------------------------------------------------------------- */

static bool passes(const struct store_filter *filter, const struct job *job)
{
	if (filter->project != NULL && strcmp(filter->project, job->project) != 0)
		return false;
	if (filter->deployer != NULL && strcmp(filter->deployer, job->deployer) != 0)
		return false;
	if (filter->state >= 0 && filter->state != (int)job->state)
		return false;
	return filter->before_seq == 0 || job->seq < filter->before_seq;
}

static bool list(struct store_rows *rows, struct store_call *call, struct error *err)
{
	struct list *all = &memory_rows_of(rows)->jobs;

	(void)err;
	for (struct list *at = all->prev; at != all && call->job_count < call->filter.max; at = at->prev) {
		const struct memory_job *job = container_of(at, struct memory_job, link);

		if (passes(&call->filter, job->row.job))
			store_call_add_job(call, store_row_take_job(memory_row_copy(job)));
	}
	return true;
}

static bool count(struct store_rows *rows, uint64_t counts[JOB_STATES], struct error *err)
{
	const struct memory_job *at;

	(void)err;
	list_each(at, &memory_rows_of(rows)->jobs, link)
		counts[at->row.job->state]++;
	return true;
}

static bool totals(struct store_rows *rows, struct store_totals *all, struct error *err)
{
	struct memory_rows *memory = memory_rows_of(rows);
	const struct memory_job *at;

	(void)err;
	all->held_locks = memory_held_locks(memory);
	all->open_deliveries = memory_count_deliveries(memory, false);
	all->dead_deliveries = memory_count_deliveries(memory, true);
	all->lock_waiters = all->oldest_waiting_ms = 0;
	list_each(at, &memory->jobs, link) {
		const struct job *job = at->row.job;

		all->lock_waiters += at->row.wait == WAIT_LOCK;
		if ((job->state == JOB_QUEUED || job->state == JOB_WAITING) &&
		    (all->oldest_waiting_ms == 0 || job->accepted_ms < all->oldest_waiting_ms))
			all->oldest_waiting_ms = job->accepted_ms;
	}
	return true;
}

/* -- what may be forgotten ----------------------------------------------------------------------- */

static bool is_before(const struct job *a, int64_t finished_ms, int64_t seq)
{
	return a->finished_ms < finished_ms || (a->finished_ms == finished_ms && a->seq < seq);
}

/* The first that ended after a moment. */
static const struct memory_job *ended_after(struct memory_rows *memory, int64_t after_ms, int64_t after_seq)
{
	const struct memory_job *at, *best = NULL;

	list_each(at, &memory->jobs, link) {
		const struct job *job = at->row.job;

		if (store_row_is_live(&at->row) || is_before(job, after_ms, after_seq + 1))
			continue;
		if (best == NULL || is_before(job, best->row.job->finished_ms, best->row.job->seq))
			best = at;
	}
	return best;
}

static bool ended(struct store_rows *rows, const struct store_pruned *pruned, size_t max, struct store_row ***found,
	size_t *count, struct error *err)
{
	struct memory_rows *memory = memory_rows_of(rows);
	const struct memory_job *at = ended_after(memory, pruned->after_ms, pruned->after_seq);

	(void)err;
	while (at != NULL && at->row.job->finished_ms < pruned->older_than_ms && *count < max) {
		memory_add_found(found, count, at);
		at = ended_after(memory, at->row.job->finished_ms, at->row.job->seq);
	}
	return true;
}

static bool forget(struct store_rows *rows, const struct store_row *row, int64_t dead_before_ms, bool *gone,
	struct error *err)
{
	struct memory_job *at = memory_job_by_seq(rows, row->job->seq);

	(void)err;
	*gone = memory_forget_deliveries(memory_rows_of(rows), row->job->id, dead_before_ms);
	if (!*gone)
		return true;
	memory_job_free(at);
	return true;
}

static void job_ops(struct store_rows_ops *ops)
{
	ops->find = find;
	ops->read_whole = read_whole;
	ops->next_seq = next_seq;
	ops->insert = insert;
	ops->reopen = reopen;
	ops->move = move;
	ops->end = end;
	ops->write_message = write_message;
	ops->write_owner = write_owner;
	ops->list = list;
	ops->count = count;
	ops->totals = totals;
	ops->ended = ended;
	ops->forget = forget;
}

static const struct store_rows_ops *rows_ops(void)
{
	static struct store_rows_ops made;      /* the same each time it is made */

	job_ops(&made);
	memory_attempt_ops(&made);
	memory_turn_ops(&made);
	memory_told_ops(&made);
	return &made;
}

struct memory_rows *memory_rows_create(void)
{
	struct memory_rows *memory = xnew(struct memory_rows);

	memory->rows.ops = rows_ops();
	list_init(&memory->link);
	list_init(&memory->jobs);
	list_init(&memory->locks);
	list_init(&memory->owners);
	list_init(&memory->crashes);
	list_init(&memory->buckets);
	list_init(&memory->deliveries);
	return memory;
}

void memory_rows_destroy(struct memory_rows *memory)
{
	struct memory_job *at, *next;

	list_remove(&memory->link);
	list_each_safe(at, next, &memory->jobs, link)
		memory_job_free(at);
	memory_turn_finish(memory);
	memory_told_finish(memory);
	free(memory->name);
	free(memory);
}
