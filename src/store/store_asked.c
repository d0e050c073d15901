/* SPDX-License-Identifier: Apache-2.0 */
/* store_asked.c - see store.h.  The calls whose caller need not own a job: what people ask for, crashes,
 * rates and the outbox. */
#include <stdlib.h>

#include "base/mem.h"
#include "store/store_impl.h"

static void ask(struct store *store, enum store_call_kind kind, const char *name, const char *by,
	store_answer_fn *done, void *arg)
{
	struct store_call *call = store_call_create(kind, arg);

	call->done.answer = done;
	call->name = xstrdup(name);
	call->by = xstrdup(by);
	store_submit(store, call);
}

void store_cancel(struct store *store, const char *id, const char *by, store_answer_fn *done, void *arg)
{
	ask(store, CALL_CANCEL, id, by, done, arg);
}

void store_retry_finished(struct store *store, const char *id, const char *by, store_answer_fn *done, void *arg)
{
	ask(store, CALL_RETRY_FINISHED, id, by, done, arg);
}

void store_unlock(struct store *store, const char *key, const char *by, store_answer_fn *done, void *arg)
{
	ask(store, CALL_UNLOCK, key, by, done, arg);
}

void store_tell_owner(struct store *store, const char *id, store_answer_fn *done, void *arg)
{
	ask(store, CALL_TELL_OWNER, id, NULL, done, arg);
}

void store_note_crash(struct store *store, const char *key, const char *owner, store_done_fn *done, void *arg)
{
	struct store_call *call = store_call_create(CALL_NOTE_CRASH, arg);

	call->done.plain = done;
	call->name = xstrdup(key);
	call->owner = xstrdup(owner);
	store_submit(store, call);
}

void store_take_rate(struct store *store, const struct store_rate_ask *asked, store_rate_fn *done, void *arg)
{
	struct store_call *call = store_call_create(CALL_TAKE_RATE, arg);

	call->done.rate = done;
	call->rate_ask = *asked;
	call->rate_ask.bucket = xstrdup(asked->bucket);
	store_submit(store, call);
}

/* -- outbox -------------------------------------------------------------------------------------- */

static struct store_call *call_with_deliveries(enum store_call_kind kind, const struct store_delivery *deliveries,
	size_t count, store_done_fn *done, void *arg)
{
	struct store_call *call = store_call_create(kind, arg);

	call->done.plain = done;
	call->said = xcalloc(count, sizeof(*call->said));
	call->said_count = count;
	for (size_t i = 0; i < count; i++)
		call->said[i] = store_delivery_copy(&deliveries[i]);
	return call;
}

/* What it says of itself is little, and a job is large. */
static struct job *speaker(const struct job *by)
{
	struct job *copy = job_create();

	copy->id = xstrdup(by->id);
	copy->fence = by->fence;
	copy->state = by->state;
	return copy;
}

void store_say(struct store *store, const struct job *by, const struct store_delivery *deliveries, size_t count,
	const char *dedup_key, store_done_fn *done, void *arg)
{
	struct store_call *call = call_with_deliveries(CALL_SAY, deliveries, count, done, arg);

	call->given = xcalloc(1, sizeof(*call->given));
	if (by != NULL)
		call->given[call->given_count++] = speaker(by);
	call->dedup_key = xstrdup(dedup_key);
	store_submit(store, call);
}

void store_note_deliveries(struct store *store, const struct store_delivery *deliveries, size_t count,
	store_done_fn *done, void *arg)
{
	store_submit(store, call_with_deliveries(CALL_NOTE_DELIVERIES, deliveries, count, done, arg));
}

void store_claim_deliveries(struct store *store, size_t max, store_deliveries_fn *done, void *arg)
{
	struct store_call *call = store_call_create(CALL_CLAIM_DELIVERIES, arg);

	call->done.deliveries = done;
	call->max = max;
	store_submit(store, call);
}

void store_replay(struct store *store, int64_t id, store_answer_fn *done, void *arg)
{
	struct store_call *call = store_call_create(CALL_REPLAY, arg);

	call->done.answer = done;
	call->delivery_id = id;
	store_submit(store, call);
}

void store_prune(struct store *store, int64_t older_than_ms, size_t max, store_count_fn *done, void *arg)
{
	struct store_call *call = store_call_create(CALL_PRUNE, arg);

	call->done.count = done;
	call->older_than_ms = older_than_ms;
	call->max = max;
	store_submit(store, call);
}
