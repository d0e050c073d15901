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
	struct store_batch batch, reads;
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

static void run_reads(struct store_batch *batch)
{
	struct store_memory *memory = container_of(batch, struct store_memory, reads);
	struct store_call *call;
	struct list calls;

	list_init(&calls);
	store_batch_take(batch, &calls);
	list_each(call, &calls, link) {
		struct error err;

		if (!store_rules_read(&memory->memory->rows, call, &err))
			panic("store: memory failed: %s", err.text);
	}
	store_batch_complete(batch, &calls);
}

static void memory_submit(struct store *store, struct store_call *call)
{
	struct store_memory *memory = memory_of(store);

	store_batch_add(store_call_reads(call) ? &memory->reads : &memory->batch, call);
}

static void memory_close(struct store *store)
{
	struct store_memory *memory = memory_of(store);

	store_batch_finish(&memory->reads);
	store_batch_finish(&memory->batch);
	if (--memory->memory->users == 0)
		memory_rows_destroy(memory->memory);
	store_finish_base(store);
	free(memory);
}

static const struct store_ops ops = {
	.close = memory_close,
	.submit = memory_submit,
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
	store_batch_init(&memory->reads, options->loop, run_reads);
	return &memory->store;
}
