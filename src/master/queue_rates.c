/* SPDX-License-Identifier: Apache-2.0 */
/* queue_rates.c - see queue_rates.h.
 *
 * What happened is counted in slices of time, which are forgotten one by one: what a worker says comes every few
 * seconds anyway, so nothing finer is known. */
#include "master/queue_rates.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum { SLICE_S = 5, SLICES = QUEUE_RATES_OVER_S / SLICE_S };

struct slice {
	int64_t number;                 /* of SLICE_S each, since the clock's beginning */
	uint64_t received, settled;
};

struct queue_rate {
	char *name;
	double first_s, last_s;         /* when it was heard of */
	struct slice slices[SLICES];    /* by number */
};

static int64_t slice_at(double now_s)
{
	return (int64_t)(now_s / SLICE_S);
}

static struct queue_rate *add(struct queue_rates *rates)
{
	rates->at = xreallocarray(rates->at, rates->count + 1, sizeof(*rates->at));
	rates->at[rates->count] = (struct queue_rate){ .name = NULL };
	return &rates->at[rates->count++];
}

/* One that is not told of any more: its place is another's. */
static struct queue_rate *find_silent(struct queue_rates *rates, double now_s)
{
	for (size_t i = 0; i < rates->count; i++) {
		if (now_s - rates->at[i].last_s >= QUEUE_RATES_OVER_S)
			return &rates->at[i];
	}
	return NULL;
}

static struct queue_rate *find(struct queue_rates *rates, const char *name, double now_s)
{
	struct queue_rate *rate;

	for (size_t i = 0; i < rates->count; i++) {
		if (strcmp(rates->at[i].name, name) == 0)
			return &rates->at[i];
	}
	rate = rates->count < LIMIT_QUEUE_RATES ? add(rates) : find_silent(rates, now_s);
	if (rate == NULL)
		return NULL;
	free(rate->name);
	*rate = (struct queue_rate){ .name = xstrdup(name), .first_s = now_s };
	return rate;
}

void queue_rates_finish(struct queue_rates *rates)
{
	for (size_t i = 0; i < rates->count; i++)
		free(rates->at[i].name);
	free(rates->at);
	*rates = (struct queue_rates){ .at = NULL };
}

void queue_rates_add(struct queue_rates *rates, const char *name, uint64_t received, uint64_t settled, double now_s)
{
	struct queue_rate *rate = find(rates, name, now_s);
	int64_t number = slice_at(now_s);
	struct slice *slice;

	if (rate == NULL)
		return;
	slice = &rate->slices[number % SLICES];
	if (slice->number != number)
		*slice = (struct slice){ .number = number };
	slice->received += received;
	slice->settled += settled;
	rate->last_s = now_s;
}

static uint64_t per_minute(uint64_t count, double over_s)
{
	return (uint64_t)((double)count * 60 / over_s + 0.5);
}

/* One that was heard of just now has no minute to look back on; less than a slice says nothing. */
bool queue_rates_get(const struct queue_rates *rates, size_t n, double now_s, const char **name, uint64_t *received,
	uint64_t *settled)
{
	const struct queue_rate *rate = &rates->at[n];
	int64_t oldest = slice_at(now_s) - SLICES + 1;
	double since_s = (double)(oldest * SLICE_S), over_s;
	uint64_t counted_received = 0, counted_settled = 0;

	if (now_s - rate->last_s >= QUEUE_RATES_OVER_S)
		return false;
	for (size_t i = 0; i < SLICES; i++) {
		if (rate->slices[i].number < oldest)
			continue;
		counted_received += rate->slices[i].received;
		counted_settled += rate->slices[i].settled;
	}
	over_s = now_s - (rate->first_s > since_s ? rate->first_s : since_s);
	if (over_s < SLICE_S)
		over_s = SLICE_S;
	*name = rate->name;
	*received = per_minute(counted_received, over_s);
	*settled = per_minute(counted_settled, over_s);
	return true;
}
