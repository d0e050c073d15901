/* SPDX-License-Identifier: Apache-2.0 */
/* store_read.c - see store.h.  The calls that only read. */
#include "base/mem.h"
#include "store/store_impl.h"

void store_find(struct store *store, const char *id, store_find_fn *done, void *arg)
{
	struct store_call *call = store_call_create(CALL_FIND, arg);

	call->done.find = done;
	call->name = xstrdup(id);
	store_submit(store, call);
}

void store_list(struct store *store, const struct store_filter *filter, store_list_fn *done, void *arg)
{
	struct store_call *call = store_call_create(CALL_LIST, arg);

	call->done.list = done;
	call->filter = *filter;
	call->filter.project = xstrdup(filter->project);
	call->filter.deployer = xstrdup(filter->deployer);
	store_submit(store, call);
}

void store_count(struct store *store, store_states_fn *done, void *arg)
{
	struct store_call *call = store_call_create(CALL_COUNT, arg);

	call->done.states = done;
	store_submit(store, call);
}

void store_totals(struct store *store, store_totals_fn *done, void *arg)
{
	struct store_call *call = store_call_create(CALL_COUNT, arg);

	call->done.totals = done;
	call->wants_totals = true;
	store_submit(store, call);
}

void store_attempts(struct store *store, const char *id, store_attempts_fn *done, void *arg)
{
	struct store_call *call = store_call_create(CALL_ATTEMPTS, arg);

	call->done.attempts = done;
	call->name = xstrdup(id);
	store_submit(store, call);
}

void store_locks(struct store *store, const char *after_key, size_t max, store_locks_fn *done, void *arg)
{
	struct store_call *call = store_call_create(CALL_LOCKS, arg);

	call->done.locks = done;
	call->name = xstrdup(after_key != NULL ? after_key : "");
	call->max = max;
	store_submit(store, call);
}

void store_why(struct store *store, const char *id, store_why_fn *done, void *arg)
{
	struct store_call *call = store_call_create(CALL_WHY, arg);

	call->done.why = done;
	call->name = xstrdup(id);
	store_submit(store, call);
}

void store_deliveries(struct store *store, const struct store_delivery_filter *filter, store_deliveries_fn *done,
	void *arg)
{
	struct store_call *call = store_call_create(CALL_DELIVERIES, arg);

	call->done.deliveries = done;
	call->delivery_filter = *filter;
	call->delivery_filter.job_id = xstrdup(filter->job_id);
	store_submit(store, call);
}

void store_crashes(struct store *store, const char *key, store_count_fn *done, void *arg)
{
	struct store_call *call = store_call_create(CALL_CRASHES, arg);

	call->done.count = done;
	call->name = xstrdup(key);
	store_submit(store, call);
}
