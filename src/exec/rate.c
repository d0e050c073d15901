/* SPDX-License-Identifier: Apache-2.0 */
/* rate.c - see rate.h. */
#include "exec/rate.h"

static const double change_every_s = 1;         /* throttles of one second are one complaint */
static const double fall = 0.7, climb = 1.25, probe = 1.02;
static const double near_ceiling = 0.9;
static const double least = 0.25;               /* of the rate that every account has */

void rate_init(struct rate *rate, double per_s, double burst, double max_per_s, double now_s)
{
	*rate = (struct rate){
		.per_s = per_s, .min_per_s = per_s * least, .max_per_s = max_per_s,
		.burst = burst, .tokens = burst, .at_s = now_s, .changed_s = now_s,
	};
}

static void refill(struct rate *rate, double now_s)
{
	if (now_s > rate->at_s)
		rate->tokens += (now_s - rate->at_s) * rate->per_s;
	if (rate->tokens > rate->burst)
		rate->tokens = rate->burst;
	rate->at_s = now_s;
}

void rate_set(struct rate *rate, double per_s, double now_s)
{
	refill(rate, now_s);
	rate->per_s = per_s;
}

bool rate_take(struct rate *rate, double now_s)
{
	refill(rate, now_s);
	if (rate->tokens < 1) {
		rate->waited = true;
		return false;
	}
	rate->tokens -= 1;
	return true;
}

double rate_wait_s(struct rate *rate, double now_s)
{
	refill(rate, now_s);
	return rate->tokens < 1 ? (1 - rate->tokens) / rate->per_s : 0;
}

void rate_accepted(struct rate *rate, double now_s)
{
	bool near = rate->ceiling_per_s > 0 && rate->per_s >= rate->ceiling_per_s * near_ceiling;

	/* A rate that nobody waits for says nothing about what the peer would take. */
	if (!rate->waited || now_s - rate->changed_s < change_every_s)
		return;
	rate->per_s *= near ? probe : climb;
	if (rate->per_s > rate->max_per_s)
		rate->per_s = rate->max_per_s;
	rate->changed_s = now_s;
	rate->waited = false;
}

void rate_throttled(struct rate *rate, double now_s)
{
	refill(rate, now_s);
	rate->tokens = 0;
	if (rate->ceiling_per_s > 0 && now_s - rate->throttled_s < change_every_s)
		return;
	rate->throttled_s = now_s;
	rate->ceiling_per_s = rate->per_s;
	rate->per_s *= fall;
	if (rate->per_s < rate->min_per_s)
		rate->per_s = rate->min_per_s;
	rate->changed_s = now_s;
	rate->waited = false;
}
