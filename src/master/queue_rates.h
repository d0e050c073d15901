/* SPDX-License-Identifier: Apache-2.0 */
/* queue_rates.h - how fast messages come from each queue and are settled, over the last minute and over all workers,
 * those that have left meanwhile too.
 *
 * Only the arithmetic: the caller says what happened since it last said something, and what time it is. */
#ifndef MASTER_QUEUE_RATES_H
#define MASTER_QUEUE_RATES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	QUEUE_RATES_OVER_S = 60,
	LIMIT_QUEUE_RATES = 256,        /* queues; more are not told of */
};

struct queue_rate;

struct queue_rates {
	struct queue_rate *at;
	size_t count;
};

void queue_rates_finish(struct queue_rates *rates);
/* So many more since the last call; none is worth saying, too, as it says that the queue is there. */
void queue_rates_add(struct queue_rates *rates, const char *name, uint64_t received, uint64_t settled, double now_s);
/* The n-th queue's name and messages a minute, rounded; false when nothing was heard of it for as long as
 * QUEUE_RATES_OVER_S. */
bool queue_rates_get(const struct queue_rates *rates, size_t n, double now_s, const char **name, uint64_t *received,
	uint64_t *settled);

#endif
