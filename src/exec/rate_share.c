/* SPDX-License-Identifier: Apache-2.0 */
/* rate_share.c - see rate_share.h. */
#include "exec/rate_share.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"

static const double ask_every_s = 0.15;
static const double silence_s = 1;              /* an ask without an answer: go on alone */
static const double said_after_s = 10;          /* a store may be slow for a while */
static const double failing_ask_s = 5;          /* until the store is asked again */
static const double token_life_s = 10;
static const double use_over_s = 2;             /* what "of late" is */
static const double ahead_s = 0.25;             /* tokens are taken for so long, when many are used ... */
static const double ahead_few_s = 5;            /* ... and for so long, when they are few */
static const double few = 2;
static const double fall = 0.8, fall_every_s = 1, climb_per_s = 1.02;
static const double burst_s = 0.3;              /* a bucket holds what its rate brings in so long, at least */

/* Lives until its answer, also when the share is gone. */
struct rate_errand {
	struct rate_share *share;       /* NULL: gone */
	unsigned throttles;             /* told with it */
	char bucket[LIMIT_RATE_BUCKET_BYTES];
	struct exec_rate_ask ask;
};

void rate_share_init(struct rate_share *share, const struct rate_plan *plan)
{
	double begin_per_s = fmin(plan->begin_per_s, plan->max_per_s);

	*share = (struct rate_share){ .plan = *plan, .per_s = fmax(plan->initial_per_s, begin_per_s) };
	rate_init(&share->alone, plan->alone_initial_per_s, plan->alone_burst, plan->alone_max_per_s, clock_monotonic_s());
}

void rate_share_finish(struct rate_share *share)
{
	if (share->errand != NULL)
		share->errand->share = NULL;
	share->errand = NULL;
}

/* -- whose rate counts ------------------------------------------------------------------------------ */

static bool is_silent(const struct rate_share *share, double now_s)
{
	return share->errand != NULL && now_s - share->asked_s >= silence_s;
}

static void say_alone(struct rate_share *share, double now_s, const char *why)
{
	if (share->said_alone || now_s - share->answered_s < said_after_s)
		return;
	share->said_alone = true;
	log_warn(share->plan.log, "the rate of %s is not shared for now: the store: %s; this worker keeps to a rate of its own",
		share->plan.action, why);
}

static bool is_alone(struct rate_share *share, double now_s)
{
	if (share->plan.rates == NULL || share->failing)
		return true;
	if (!is_silent(share, now_s))
		return false;
	say_alone(share, now_s, "no answer");
	return true;
}

/* -- how many --------------------------------------------------------------------------------------- */

static double use_now(const struct rate_share *share, double now_s)
{
	return share->use_per_s * exp(-(now_s - share->used_at_s) / use_over_s);
}

static void note_use(struct rate_share *share, double now_s)
{
	share->use_per_s = use_now(share, now_s) + 1 / use_over_s;
	share->used_at_s = now_s;
}

double rate_share_use_per_s(const struct rate_share *share)
{
	return use_now(share, clock_monotonic_s());
}

void rate_share_allow(struct rate_share *share, double max_per_s)
{
	share->plan.max_per_s = fmax(max_per_s, share->plan.initial_per_s);
}

static unsigned forecast(const struct rate_share *share, double now_s)
{
	double use_per_s = use_now(share, now_s);

	return (unsigned)fmin(use_per_s * ahead_few_s, fmax(few, use_per_s * ahead_s));
}

static double ceiling(struct rate_share *share, double now_s)
{
	if (share->ceiling_per_s <= 0)
		return share->plan.max_per_s;
	share->ceiling_per_s *= pow(climb_per_s, now_s - share->ceiling_at_s);
	share->ceiling_at_s = now_s;
	if (share->ceiling_per_s >= share->plan.max_per_s)
		share->ceiling_per_s = 0;
	return share->ceiling_per_s > 0 ? share->ceiling_per_s : share->plan.max_per_s;
}

/* -- asking ----------------------------------------------------------------------------------------- */

static void take_failure(struct rate_share *share, const struct rate_errand *errand, const struct error *err,
	double now_s)
{
	say_alone(share, now_s, err->text);
	share->failing = true;
	share->throttles += errand->throttles;
	share->next_ask_s = now_s + failing_ask_s;
}

static void take_tokens(struct rate_share *share, unsigned tokens, double wait_s, double per_s, double now_s)
{
	if (share->said_alone)
		log_info(share->plan.log, "the rate of %s is shared again", share->plan.action);
	share->said_alone = share->failing = false;
	share->tokens += tokens;
	share->got_s = share->answered_s = now_s;
	if (per_s > 0)
		share->per_s = per_s;
	share->next_ask_s = fmax(share->asked_s + ask_every_s, now_s + (tokens > 0 ? 0 : wait_s));
}

static void on_given(void *arg, unsigned tokens, double wait_s, double per_s, const struct error *err)
{
	struct rate_errand *errand = arg;
	struct rate_share *share = errand->share;
	double now_s = clock_monotonic_s();

	if (share == NULL) {
		free(errand);
		return;
	}
	share->errand = NULL;
	if (err != NULL)
		take_failure(share, errand, err, now_s);
	else
		take_tokens(share, tokens, wait_s, per_s, now_s);
	free(errand);
	share->plan.more(share->plan.arg);
}

static void ask(struct rate_share *share, unsigned want, double now_s)
{
	const struct rate_plan *plan = &share->plan;
	struct rate_errand *errand;
	double burst = fmax(plan->burst, share->per_s * burst_s);

	if (share->errand != NULL || now_s < share->next_ask_s)
		return;
	errand = xnew(struct rate_errand);
	plan->name(plan->arg, plan->action, errand->bucket);
	errand->share = share;
	errand->throttles = share->throttles;
	errand->ask = (struct exec_rate_ask){
		.bucket = errand->bucket, .initial_per_s = plan->initial_per_s, .begin_per_s = plan->begin_per_s,
		.max_per_s = fmax(ceiling(share, now_s), plan->initial_per_s),
		.burst = burst, .want = want < burst ? want : (unsigned)burst, .throttles = share->throttles,
	};
	share->throttles = 0;
	share->errand = errand;
	if (share->answered_s == 0)
		share->answered_s = now_s;
	share->asked_s = now_s;
	share->next_ask_s = now_s + ask_every_s;
	plan->rates->take(plan->rates->arg, &errand->ask, on_given, errand);
}

/* -- calls ------------------------------------------------------------------------------------------ */

static bool take_alone(struct rate_share *share, unsigned waiting, double now_s)
{
	if (share->plan.rates != NULL)
		ask(share, waiting, now_s);
	return rate_take(&share->alone, now_s);
}

bool rate_share_take(struct rate_share *share, unsigned waiting)
{
	double now_s = clock_monotonic_s();
	unsigned ahead;

	if (now_s - share->got_s > token_life_s)
		share->tokens = 0;
	if (share->tokens == 0 && is_alone(share, now_s))
		return take_alone(share, waiting, now_s);
	ahead = forecast(share, now_s);
	if (share->tokens == 0) {
		ask(share, waiting + ahead, now_s);
		return false;
	}
	share->tokens--;
	note_use(share, now_s);
	if (share->tokens == 0 && waiting - 1 + ahead > 0)
		ask(share, waiting - 1 + ahead, now_s);
	return true;
}

double rate_share_wait_s(struct rate_share *share)
{
	double now_s = clock_monotonic_s();

	if (share->tokens > 0)
		return 0;
	if (is_alone(share, now_s))
		return rate_wait_s(&share->alone, now_s);
	return (share->errand != NULL ? share->asked_s + silence_s : share->next_ask_s) - now_s;
}

void rate_share_accepted(struct rate_share *share)
{
	rate_accepted(&share->alone, clock_monotonic_s());
}

/* What we hold came from a bucket that promised too much. */
void rate_share_throttled(struct rate_share *share)
{
	double now_s = clock_monotonic_s();

	rate_throttled(&share->alone, now_s);
	if (share->plan.rates == NULL)
		return;
	share->tokens = 0;
	share->throttles++;
	if (share->fell_s == 0 || now_s - share->fell_s >= fall_every_s) {
		share->ceiling_per_s = fmax(share->per_s * fall, share->plan.initial_per_s);
		share->ceiling_at_s = share->fell_s = now_s;
	}
	if (!share->failing)
		ask(share, 0, now_s);
}
