/* SPDX-License-Identifier: Apache-2.0 */
/* stop.h - how the daemon ends: gracefully, where jobs may finish for drain_timeout, or fast, where
 * they are handed over at once.  No stop ends a running task. */
#ifndef MASTER_STOP_H
#define MASTER_STOP_H

#include <stdbool.h>

struct master;

enum { LIMIT_STOP_WHY_BYTES = 1024 };

struct stop {
	bool graceful, fast;            /* a graceful one may become a fast one */
	char why[LIMIT_STOP_WHY_BYTES]; /* the last line of the log; "" while nothing stops */
};

bool stop_is_under_way(const struct stop *stop);
bool stop_is_fast(const struct stop *stop);
/* Begins, or hastens the one under way. */
void stop_begin(struct master *master, bool fast, const char *why);
/* Nothing is left to wait for. */
bool stop_is_complete(const struct master *master);

#endif
