/* SPDX-License-Identifier: Apache-2.0 */
/* stats.h - how often each action was called and how that ended. */
#ifndef AWSSIM_STATS_H
#define AWSSIM_STATS_H

#include <jansson.h>

struct stats;

struct stats *stats_create(void);
void stats_destroy(struct stats *);
void stats_clear(struct stats *);
/* outcome: "ok", an error's code, or what became of the connection. */
void stats_count(struct stats *, const char *action, const char *outcome);
/* The rest are plain counters by name, made as they are first added to. */
void stats_add(struct stats *, const char *counter, unsigned long amount);
/* {"calls": {action: {outcome: n}}, "totals": {counter: n}}; a new reference */
json_t *stats_describe(const struct stats *);

#endif
