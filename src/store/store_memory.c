/* SPDX-License-Identifier: Apache-2.0 */
/* store_memory.c - the smallest complete store: it lives as long as the process.
 *
 * "memory:" is a store of its own.  "memory:NAME" is shared by all stores of this process that are
 * opened by that name and goes with the last of them, so that a test can have several owners; that
 * registry is the one piece of state here that belongs to the process.  Everything is found by walking
 * lists: this is for tests and for reading, not for many jobs. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "store/store_batch.h"
#include "store/store_memory_rows.h"
#include "store/store_rules.h"

struct store_memory {
	struct store store;
	struct memory_rows *memory;
	struct store_batch batch;
};

static struct list registry = { &registry, &registry };

static struct store_memory *memory_of(struct store *store)
{
	return container_of(store, struct store_memory, store);
}

static void run_batch(struct store_batch *batch)
{
	struct store_memory *memory = container_of(batch, struct store_memory, batch);
	double began_s = clock_monotonic_s();
	struct store_call *call;
	struct list calls;

	list_init(&calls);
	store_batch_take(batch, &calls);
	list_each(call, &calls, link) {
		struct error err;

		if (!store_rules_run(&memory->store, &memory->memory->rows, call, &err))
			panic("store: memory failed: %s", err.text);
		store_committed(&memory->store, call);
	}
	memory->store.figures.commits++;
	store_note_stall(&memory->store, clock_monotonic_s() - began_s);
	store_batch_complete(batch, &calls);
}

static void memory_submit(struct store *store, struct store_call *call)
{
	store_batch_add(&memory_of(store)->batch, call);
}

static void memory_close(struct store *store)
{
	struct store_memory *memory = memory_of(store);

	store_batch_finish(&memory->batch);
	if (--memory->memory->users == 0)
		memory_rows_destroy(memory->memory);
	store_finish_base(store);
	free(memory);
}

static struct job *memory_find(struct store *store, const char *id, struct error *err)
{
	const struct memory_job *at;

	(void)err;
	list_each(at, &memory_of(store)->memory->jobs, link) {
		if (strcmp(at->row.job->id, id) == 0)
			return job_copy(at->row.job);
	}
	return NULL;
}

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

static bool memory_list(struct store *store, const struct store_filter *filter, struct job ***jobs, size_t *count,
	struct error *err)
{
	struct list *all = &memory_of(store)->memory->jobs;

	(void)err;
	*jobs = NULL;
	*count = 0;
	for (struct list *at = all->prev; at != all && *count < filter->max; at = at->prev) {
		const struct memory_job *job = container_of(at, struct memory_job, link);

		if (!passes(filter, job->row.job))
			continue;
		*jobs = xreallocarray(*jobs, *count + 1, sizeof(**jobs));
		(*jobs)[(*count)++] = job_copy(job->row.job);
	}
	return true;
}

static bool memory_count(struct store *store, uint64_t counts[JOB_STATES], struct error *err)
{
	const struct memory_job *at;

	(void)err;
	memset(counts, 0, JOB_STATES * sizeof(*counts));
	list_each(at, &memory_of(store)->memory->jobs, link)
		counts[at->row.job->state]++;
	return true;
}

static struct store_rows *rows_of(struct store *store)
{
	return &memory_of(store)->memory->rows;
}

static bool memory_crashes(struct store *store, const char *key, unsigned *count, struct error *err)
{
	return rows_of(store)->ops->count_crashes(rows_of(store), key, count, err);
}

static bool memory_locks(struct store *store, const char *after_key, size_t max, struct store_lock **locks,
	size_t *count, struct error *err)
{
	return rows_of(store)->ops->held_locks(rows_of(store), after_key, max, locks, count, err);
}

static struct store_why *memory_why(struct store *store, const char *id, struct error *err)
{
	struct store_why *why;

	rules_why(rows_of(store), id, &why, err);
	return why;
}

static bool memory_deliveries(struct store *store, const struct store_delivery_filter *filter,
	struct store_delivery **deliveries, size_t *count, struct error *err)
{
	return rows_of(store)->ops->list_deliveries(rows_of(store), filter, deliveries, count, err);
}

static const struct store_ops ops = {
	.close = memory_close,
	.submit = memory_submit,
	.find = memory_find,
	.list = memory_list,
	.count = memory_count,
	.crashes = memory_crashes,
	.locks = memory_locks,
	.why = memory_why,
	.deliveries = memory_deliveries,
};

static struct memory_rows *rows_by_name(const char *name)
{
	struct memory_rows *at;

	if (*name == '\0')
		return memory_rows_create();
	list_each(at, &registry, link) {
		if (strcmp(at->name, name) == 0)
			return at;
	}
	at = memory_rows_create();
	at->name = xstrdup(name);
	list_append(&registry, &at->link);
	return at;
}

struct store *store_memory_open(const char *rest, const struct store_options *options, struct error *err)
{
	struct store_memory *memory = xnew(struct store_memory);

	(void)err;
	store_init(&memory->store, &ops, options, "store");
	memory->memory = rows_by_name(rest);
	memory->memory->users++;
	store_batch_init(&memory->batch, options->loop, run_batch);
	return &memory->store;
}
