/* SPDX-License-Identifier: Apache-2.0 */
/* rate.h - how fast a peer may be called: a token bucket that learns.
 *
 * It starts at a rate that every account has.  As long as calls wait for it and the peer doesn't
 * complain it grows, since quotas can be raised; when the peer throttles it falls back and remembers
 * where that was.  Several workers on one account find their shares in this way without speaking to
 * each other.  Pure: the caller gives the monotonic time. */
#ifndef EXEC_RATE_H
#define EXEC_RATE_H

#include <stdbool.h>

struct rate {
	double per_s;                   /* now */
	double min_per_s, max_per_s;
	double burst;
	double tokens;                  /* negative never; at most burst */
	double at_s;                    /* when tokens was right */
	double ceiling_per_s;           /* where the peer throttled last; 0: never */
	double changed_s;               /* when per_s changed last */
	double throttled_s;             /* when it fell last */
	bool waited;                    /* somebody had to wait since then */
};

void rate_init(struct rate *rate, double per_s, double burst, double max_per_s, double now_s);
/* The caller knows how fast it may be. */
void rate_set(struct rate *rate, double per_s, double now_s);
/* True when a call may be made now, and counts it. */
bool rate_take(struct rate *rate, double now_s);
/* How long until rate_take() would succeed. */
double rate_wait_s(struct rate *rate, double now_s);
/* The peer took a call. */
void rate_accepted(struct rate *rate, double now_s);
/* The peer refused a call for its rate. */
void rate_throttled(struct rate *rate, double now_s);

#endif
