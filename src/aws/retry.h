/* SPDX-License-Identifier: Apache-2.0 */
/* retry.h - whether and when a failed call is made again: the SDKs' standard mode.
 *
 * Only the decision: no clock, timer or log.  Source: AWS SDKs and Tools Reference Guide, "Retry
 * behavior", with the delays and costs of 2026. */
#ifndef AWS_RETRY_H
#define AWS_RETRY_H

#include <stdbool.h>
#include <stdint.h>

enum {
	RETRY_TRIES = 3,                /* in total, unless configured */
	RETRY_BUCKET = 500,             /* tokens when full */
	RETRY_COST = 14,
	RETRY_COST_THROTTLED = 5,
};

enum retry_cause {
	RETRY_NEVER,
	RETRY_TRANSIENT,        /* lost, late, or the service's own failure */
	RETRY_THROTTLED,
};

/* A service that fails all the time is asked less and less: retries cost tokens, success earns them. */
struct retry_bucket { unsigned tokens; };

void retry_bucket_init(struct retry_bucket *bucket);
/* Pays for one retry and sets *paid; false: too few tokens are left, do not retry. */
bool retry_bucket_pay(struct retry_bucket *bucket, enum retry_cause cause, unsigned *paid);
/* A call has succeeded; paid is what its last retry cost, 0 when it needed none. */
void retry_bucket_earn(struct retry_bucket *bucket, unsigned paid);
/* Seconds before retry i (0, 1, ...), with unit drawn evenly from [0, 1).  retry_after_ms is the
 * server's wish, -1: none; it may lengthen the wait by five seconds at most. */
double retry_delay_s(unsigned retry, enum retry_cause cause, double unit, int64_t retry_after_ms);
/* The value of Retry-After (seconds, or a date to be compared with now) in milliseconds; -1: unreadable. */
int64_t retry_after_parse(const char *value, double now_s);

#endif
