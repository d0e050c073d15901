/* SPDX-License-Identifier: Apache-2.0 */
/* store_rules_rate.c - one bucket of tokens for all who call the same account.
 *
 * What AWS would let us call per second is not known, and others may call, too: so the rate begins at
 * what is promised or said by the operator, doubles while somebody waits for tokens and nobody is throttled, and
 * is halved when somebody is.  Each step takes a second at least, as the owners tell of the same throttling one
 * after another.  What one asks for at most bounds what he raises; a higher rate falls slowly while he asks, as
 * another may still need it, who raises it again.  Of another boot only the rate is true, not its times. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "store/store_rules.h"

enum { RATE_STEP_MS = 1000, RATE_FORGIVEN_MS = 600000 };

/* Who asks for one token at a time pays a commit for each. */
static const double bulk_s = 0.25;
/* Of a rate above what is asked for at most. */
static const double fall_per_s = 0.02;

static double lesser(double a, double b)
{
	return a < b ? a : b;
}

static double greater(double a, double b)
{
	return a > b ? a : b;
}

static void refill(struct store_bucket *bucket, const struct store_rate_ask *ask, double burst, const char *boot_id,
	int64_t now_ms)
{
	if (strcmp(bucket->boot_id, boot_id) != 0) {
		*bucket = (struct store_bucket){ .tokens = burst, .per_s = bucket->per_s, .filled_ms = now_ms,
			.halved_ms = now_ms - RATE_FORGIVEN_MS, .raised_ms = now_ms };
		snprintf(bucket->boot_id, sizeof(bucket->boot_id), "%s", boot_id);
	}
	/* The limits may have been configured anew since. */
	bucket->per_s = greater(bucket->per_s, ask->initial_per_s);
	if (now_ms - bucket->halved_ms >= RATE_FORGIVEN_MS)
		bucket->per_s = greater(bucket->per_s, lesser(ask->begin_per_s, ask->max_per_s));
	if (now_ms > bucket->filled_ms) {
		double passed_s = (double)(now_ms - bucket->filled_ms) / 1000;

		bucket->tokens += bucket->per_s * passed_s;
		bucket->per_s = greater(lesser(bucket->per_s, ask->max_per_s), bucket->per_s * (1 - fall_per_s * passed_s));
		bucket->filled_ms = now_ms;
	}
	bucket->tokens = lesser(bucket->tokens, burst);
}

static void adapt(struct store_bucket *bucket, const struct store_rate_ask *ask, int64_t now_ms)
{
	if (ask->throttles > 0) {
		/* What we believed to be there is not. */
		bucket->tokens = lesser(bucket->tokens, 0);
		if (now_ms - bucket->halved_ms >= RATE_STEP_MS) {
			bucket->per_s = greater(bucket->per_s / 2, ask->initial_per_s);
			bucket->halved_ms = now_ms;
		}
		bucket->raised_ms = now_ms;
		bucket->short_of = false;
	} else if (bucket->short_of && now_ms - bucket->raised_ms >= RATE_STEP_MS) {
		bucket->per_s = greater(bucket->per_s, lesser(bucket->per_s * 2, ask->max_per_s));
		bucket->raised_ms = now_ms;
		bucket->short_of = false;
	}
}

struct store_rate_given rules_take(struct store_bucket *bucket, const struct store_rate_ask *ask, const char *boot_id,
	int64_t now_ms)
{
	struct store_rate_given given = { 0 };
	double burst = greater(ask->burst, 1);
	double missing;

	refill(bucket, ask, burst, boot_id, now_ms);
	adapt(bucket, ask, now_ms);
	if (bucket->tokens >= 1)
		given.tokens = (unsigned)lesser(bucket->tokens, ask->want);
	bucket->tokens -= given.tokens;
	given.per_s = bucket->per_s;
	if (given.tokens < ask->want) {
		bucket->short_of = true;
		missing = lesser(lesser(ask->want - given.tokens, burst), greater(bucket->per_s * bulk_s, 1));
		given.wait_s = greater(missing - bucket->tokens, 0) / bucket->per_s;
	}
	return given;
}

bool rules_take_rate(struct store_rules *rules, struct error *err)
{
	const struct store_rate_ask *ask = &rules->call->rate_ask;
	struct store_bucket bucket = { 0 };

	if (ask->initial_per_s <= 0 || ask->max_per_s < ask->initial_per_s) {
		error_set(store_call_error(rules->call), ERROR_INVALID,
			"store: the rate of %s begins at %g a second and ends at %g",
			ask->bucket, ask->initial_per_s, ask->max_per_s);
		return true;
	}
	if (!rules->rows->ops->read_bucket(rules->rows, ask->bucket, &bucket, err))
		return false;
	rules->call->rate = rules_take(&bucket, ask, clock_boot_id(), clock_boot_ms());
	return rules->rows->ops->write_bucket(rules->rows, ask->bucket, &bucket, err);
}
