/* SPDX-License-Identifier: Apache-2.0 */
/* store_rules_owner.c - who may act on a job: leases, adoption, giving up, and the sweep. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "store/store_rules.h"

static struct store_owner owner_now(int64_t plus_ms)
{
	struct store_owner owner = { .lease_until_ms = clock_boot_ms() + plus_ms };

	snprintf(owner.boot_id, sizeof(owner.boot_id), "%s", clock_boot_id());
	return owner;
}

static bool write_lease(struct store_rules *rules, struct error *err)
{
	struct store_owner lease = owner_now(rules->store->lease_ms);

	return rules->rows->ops->write_owner_row(rules->rows, rules->store->owner, &lease, err);
}

static bool check_registration(struct store_rules *rules, struct error *err)
{
	struct store *store = rules->store;
	struct store_owner owner;
	bool found = false;

	if (!rules->rows->ops->read_owner(rules->rows, store->owner, &found, &owner, err))
		return false;
	if (!found && store->registered)
		error_set(store_call_error(rules->call), ERROR_LOST,
			"store: the lease of %s had ended and its jobs were given to others",
			store->owner);
	return true;
}

bool rules_renew(struct store_rules *rules, struct error *err)
{
	if (!check_registration(rules, err))
		return false;
	return rules->call->err != NULL || write_lease(rules, err);
}

bool rules_be_registered(struct store_rules *rules, struct error *err)
{
	if (!check_registration(rules, err))
		return false;
	return rules->call->err != NULL || rules->store->registered || write_lease(rules, err);
}

bool rules_owner_is_dead(struct store_rules *rules, const char *id, bool *dead, struct error *err)
{
	struct store_owner now = owner_now(0);
	struct store_owner owner;
	bool found = false;

	if (!rules->rows->ops->read_owner(rules->rows, id, &found, &owner, err))
		return false;
	*dead = !found || strcmp(owner.boot_id, now.boot_id) != 0 || owner.lease_until_ms <= now.lease_until_ms;
	return true;
}

bool rules_give_up(struct store_rules *rules, const char *owner, size_t *jobs, struct error *err)
{
	const struct store_rows_ops *ops = rules->rows->ops;

	return ops->release(rules->rows, owner, jobs, err) && ops->free_claims(rules->rows, owner, rules->now_ms, err) &&
		ops->remove_owner(rules->rows, owner, err);
}

bool rules_reap(struct store_rules *rules, struct error *err)
{
	struct store_rows *rows = rules->rows;
	struct store_owner now = owner_now(0);

	for (;;) {
		char *dead = NULL;
		size_t count;
		bool ok;

		if (!rows->ops->dead_owner(rows, rules->store->owner, &now, &dead, err))
			return false;
		if (dead == NULL)
			return true;
		ok = rules_give_up(rules, dead, &count, err);
		free(dead);
		if (!ok)
			return false;
	}
}

/* Hands a row's job to the caller, with body and request. */
static bool give_whole(struct store_rules *rules, struct store_row *row, struct error *err)
{
	if (!rules->rows->ops->read_whole(rules->rows, row, err))
		return false;
	store_call_add_job(rules->call, row->job);
	row->job = NULL;
	return true;
}

bool rules_adopt(struct store_rules *rules, struct error *err)
{
	struct store_rows *rows = rules->rows;
	struct store_row **found = NULL;
	size_t count = 0;
	bool ok;

	if (!rules_be_registered(rules, err))
		return false;
	if (rules->call->err != NULL)
		return true;
	ok = rules_reap(rules, err) && rows->ops->unowned(rows, rules->call->max, &found, &count, err);
	for (size_t i = 0; ok && i < count; i++) {
		xreplace(&found[i]->job->owner, rules->store->owner);
		found[i]->job->fence++;
		found[i]->news = 0;
		ok = rows->ops->write_owner(rows, found[i], err) && give_whole(rules, found[i], err);
	}
	store_rows_destroy(found, count);
	return ok;
}

bool rules_disown(struct store_rules *rules, struct error *err)
{
	return rules_give_up(rules, rules->call->owner, &rules->call->went, err);
}

bool rules_sweep(struct store_rules *rules, struct error *err)
{
	struct store_rows *rows = rules->rows;
	struct store_row **found = NULL;
	size_t count = 0;
	bool more = false;
	bool ok = rules_pass_delays(rules, LIMIT_SWEEP_JOBS, &more, err) &&
		rows->ops->with_news(rows, rules->store->owner, LIMIT_SWEEP_JOBS, &found, &count, err);

	for (size_t i = 0; ok && i < count; i++) {
		found[i]->news = 0;
		ok = rows->ops->write_owner(rows, found[i], err) && give_whole(rules, found[i], err);
	}
	store_rows_destroy(found, count);
	if (ok && (more || count == LIMIT_SWEEP_JOBS))
		rules->call->next_due_ms = rules->now_ms;
	else if (ok)
		ok = rows->ops->due_time(rows, &rules->call->next_due_ms, err);
	return ok;
}
