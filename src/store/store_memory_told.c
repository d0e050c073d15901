/* SPDX-License-Identifier: Apache-2.0 */
/* store_memory_told.c - crashes, rates and deliveries: lists that are walked. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "store/store_impl.h"
#include "store/store_memory_rows.h"

struct memory_crash {
	struct list link;
	char *key, *owner;
	int64_t at_ms;
};

struct memory_bucket {
	struct list link;
	char *name;
	struct store_bucket bucket;
};

struct memory_delivery {
	struct list link;
	struct store_delivery delivery;
	char *dedup_key;
	char *claimed_by;
};

/* -- crashes and rates --------------------------------------------------------------------------- */

static bool add_crash(struct store_rows *rows, const char *key, const char *owner, int64_t at_ms, struct error *err)
{
	struct memory_rows *memory = memory_rows_of(rows);
	struct memory_crash *at;

	(void)err;
	list_each(at, &memory->crashes, link) {
		if (strcmp(at->key, key) == 0 && strcmp(at->owner, owner) == 0)
			return true;
	}
	at = xnew(struct memory_crash);
	at->key = xstrdup(key);
	at->owner = xstrdup(owner);
	at->at_ms = at_ms;
	list_append(&memory->crashes, &at->link);
	return true;
}

static bool count_crashes(struct store_rows *rows, const char *key, unsigned *count, struct error *err)
{
	const struct memory_crash *at;

	(void)err;
	*count = 0;
	list_each(at, &memory_rows_of(rows)->crashes, link)
		*count += strcmp(at->key, key) == 0;
	return true;
}

static void crash_free(struct memory_crash *at)
{
	list_remove(&at->link);
	free(at->key);
	free(at->owner);
	free(at);
}

static bool forget_crashes(struct store_rows *rows, const char *key, int64_t older_than_ms, struct error *err)
{
	struct memory_crash *at, *next;

	(void)err;
	list_each_safe(at, next, &memory_rows_of(rows)->crashes, link) {
		if (key != NULL ? strcmp(at->key, key) == 0 : at->at_ms < older_than_ms)
			crash_free(at);
	}
	return true;
}

static struct memory_bucket *bucket_by_name(struct memory_rows *memory, const char *name)
{
	struct memory_bucket *at;

	list_each(at, &memory->buckets, link) {
		if (strcmp(at->name, name) == 0)
			return at;
	}
	return NULL;
}

static bool read_bucket(struct store_rows *rows, const char *name, struct store_bucket *bucket, struct error *err)
{
	const struct memory_bucket *at = bucket_by_name(memory_rows_of(rows), name);

	(void)err;
	*bucket = at != NULL ? at->bucket : (struct store_bucket){ 0 };
	return true;
}

static bool write_bucket(struct store_rows *rows, const char *name, const struct store_bucket *bucket,
	struct error *err)
{
	struct memory_bucket *at = bucket_by_name(memory_rows_of(rows), name);

	(void)err;
	if (at == NULL) {
		at = xnew(struct memory_bucket);
		at->name = xstrdup(name);
		list_append(&memory_rows_of(rows)->buckets, &at->link);
	}
	at->bucket = *bucket;
	return true;
}

/* -- deliveries ---------------------------------------------------------------------------------- */

static bool was_said(struct store_rows *rows, const char *dedup_key, bool *said, struct error *err)
{
	const struct memory_delivery *at;

	(void)err;
	*said = false;
	list_each(at, &memory_rows_of(rows)->deliveries, link)
		*said = *said || memory_same_text(at->dedup_key, dedup_key);
	return true;
}

static bool add_delivery(struct store_rows *rows, const struct store_delivery *delivery, const char *dedup_key,
	struct error *err)
{
	struct memory_rows *memory = memory_rows_of(rows);
	struct memory_delivery *at = xnew(struct memory_delivery);

	(void)err;
	at->delivery = store_delivery_copy(delivery);
	at->delivery.id = ++memory->last_delivery;
	at->dedup_key = xstrdup(dedup_key);
	list_append(&memory->deliveries, &at->link);
	return true;
}

static bool is_due(const struct store_delivery *delivery, int64_t now_ms)
{
	return store_delivery_is_open(delivery) && !delivery->dead && delivery->next_try_ms <= now_ms;
}

static bool was_claimed(const struct store_call *call, int64_t id)
{
	for (size_t i = 0; i < call->claimed_count; i++) {
		if (call->claimed[i].id == id)
			return true;
	}
	return false;
}

static bool due_deliveries(struct store_rows *rows, size_t max, int64_t now_ms, struct store_call *call,
	struct error *err)
{
	const struct memory_delivery *at, *best;

	(void)err;
	while (call->claimed_count < max) {
		best = NULL;
		list_each(at, &memory_rows_of(rows)->deliveries, link) {
			if (is_due(&at->delivery, now_ms) && !was_claimed(call, at->delivery.id) &&
				(best == NULL || at->delivery.next_try_ms < best->delivery.next_try_ms))
				best = at;
		}
		if (best == NULL)
			return true;
		store_call_add_claimed(call, &best->delivery);
	}
	return true;
}

static bool claim_delivery(struct store_rows *rows, int64_t id, const char *owner, int64_t until_ms, struct error *err)
{
	struct memory_delivery *at;

	(void)err;
	list_each(at, &memory_rows_of(rows)->deliveries, link) {
		if (at->delivery.id != id)
			continue;
		at->delivery.next_try_ms = until_ms;
		xreplace(&at->claimed_by, owner);
	}
	return true;
}

static bool free_claims(struct store_rows *rows, const char *owner, int64_t now_ms, struct error *err)
{
	struct memory_delivery *at;

	(void)err;
	list_each(at, &memory_rows_of(rows)->deliveries, link) {
		if (!memory_same_text(at->claimed_by, owner))
			continue;
		at->delivery.next_try_ms = now_ms;
		xreplace(&at->claimed_by, NULL);
	}
	return true;
}

static bool write_delivery(struct store_rows *rows, const struct store_delivery *delivery, const char *owner,
	struct error *err)
{
	struct memory_delivery *at;

	(void)err;
	list_each(at, &memory_rows_of(rows)->deliveries, link) {
		if (at->delivery.id != delivery->id || !memory_same_text(at->claimed_by, owner))
			continue;
		at->delivery.tries = delivery->tries;
		at->delivery.next_try_ms = delivery->next_try_ms;
		at->delivery.dead = delivery->dead;
		xreplace((char **)&at->delivery.error, delivery->error);
		if (!delivery->kept)
			xreplace(&at->claimed_by, NULL);
	}
	return true;
}

static bool delivery_time(struct store_rows *rows, int64_t *due_ms, struct error *err)
{
	const struct memory_delivery *at;

	(void)err;
	*due_ms = 0;
	list_each(at, &memory_rows_of(rows)->deliveries, link) {
		if (is_due(&at->delivery, INT64_MAX) && (*due_ms == 0 || at->delivery.next_try_ms < *due_ms))
			*due_ms = at->delivery.next_try_ms;
	}
	return true;
}

static bool revive(struct store_rows *rows, int64_t id, int64_t now_ms, size_t *count, struct error *err)
{
	struct memory_delivery *at;

	(void)err;
	*count = 0;
	list_each(at, &memory_rows_of(rows)->deliveries, link) {
		if (!at->delivery.dead || (id != 0 && at->delivery.id != id))
			continue;
		at->delivery.dead = false;
		at->delivery.tries = 0;
		at->delivery.next_try_ms = now_ms;
		(*count)++;
	}
	return true;
}

static bool list_deliveries(struct store_rows *rows, struct store_call *call, struct error *err)
{
	const struct store_delivery_filter *filter = &call->delivery_filter;
	const struct memory_delivery *at;

	(void)err;
	list_each(at, &memory_rows_of(rows)->deliveries, link) {
		const struct store_delivery *delivery = &at->delivery;

		if (call->claimed_count == filter->max)
			break;
		if (delivery->id <= filter->after_id || (filter->open_only && !store_delivery_is_open(delivery)) ||
			(filter->job_id != NULL && !memory_same_text(delivery->job_id, filter->job_id)))
			continue;
		store_call_add_claimed(call, delivery);
	}
	return true;
}

static void delivery_free(struct memory_delivery *at)
{
	list_remove(&at->link);
	store_delivery_finish(&at->delivery);
	free(at->dedup_key);
	free(at->claimed_by);
	free(at);
}

static bool holds_its_job(const struct store_delivery *delivery, int64_t dead_before_ms)
{
	return store_delivery_is_open(delivery) && !(delivery->dead && delivery->next_try_ms < dead_before_ms);
}

bool memory_forget_deliveries(struct memory_rows *memory, const char *job_id, int64_t dead_before_ms)
{
	struct memory_delivery *at, *next;

	list_each(at, &memory->deliveries, link) {
		if (memory_same_text(at->delivery.job_id, job_id) && holds_its_job(&at->delivery, dead_before_ms))
			return false;
	}
	list_each_safe(at, next, &memory->deliveries, link) {
		if (memory_same_text(at->delivery.job_id, job_id))
			delivery_free(at);
	}
	return true;
}

static bool forget_others(struct store_rows *rows, const struct store_others *others, size_t max, size_t *count,
	struct error *err)
{
	struct memory_rows *memory = memory_rows_of(rows);
	struct memory_delivery *delivery, *next_delivery;

	(void)err;
	*count = 0;
	list_each_safe(delivery, next_delivery, &memory->deliveries, link) {
		if (*count == max)
			return true;
		if (delivery->delivery.job_id != NULL || delivery->delivery.created_ms >=
			(store_delivery_is_open(&delivery->delivery) ? others->open_older_than_ms : others->older_than_ms))
			continue;
		delivery_free(delivery);
		(*count)++;
	}
	return true;
}

int64_t memory_count_deliveries(const struct memory_rows *memory, bool dead)
{
	const struct memory_delivery *at;
	int64_t count = 0;

	list_each(at, &memory->deliveries, link)
		count += dead ? at->delivery.dead : store_delivery_is_open(&at->delivery) && !at->delivery.dead;
	return count;
}

void memory_told_ops(struct store_rows_ops *ops)
{
	ops->add_crash = add_crash;
	ops->count_crashes = count_crashes;
	ops->forget_crashes = forget_crashes;
	ops->read_bucket = read_bucket;
	ops->write_bucket = write_bucket;
	ops->was_said = was_said;
	ops->add_delivery = add_delivery;
	ops->due_deliveries = due_deliveries;
	ops->claim_delivery = claim_delivery;
	ops->free_claims = free_claims;
	ops->write_delivery = write_delivery;
	ops->delivery_time = delivery_time;
	ops->revive = revive;
	ops->list_deliveries = list_deliveries;
	ops->forget_others = forget_others;
}

void memory_told_finish(struct memory_rows *memory)
{
	struct memory_delivery *delivery, *next_delivery;
	struct memory_bucket *bucket, *next_bucket;
	struct memory_crash *crash, *next_crash;

	list_each_safe(crash, next_crash, &memory->crashes, link)
		crash_free(crash);
	list_each_safe(bucket, next_bucket, &memory->buckets, link) {
		free(bucket->name);
		free(bucket);
	}
	list_each_safe(delivery, next_delivery, &memory->deliveries, link)
		delivery_free(delivery);
}
