/* SPDX-License-Identifier: Apache-2.0 */
/* rate_share.h - a worker's share of a rate that all workers of an account have together.
 *
 * The bucket is in the store, behind exec_env.rates.  Tokens are taken from it in bulk: as many as wait for
 * one, and what was used of late for the next quarter of a second; so an ask is made per interval and
 * not per call.  What is not used within seconds is forgotten, as the others may need it.
 *
 * The store doubles its rate each second until calls are throttled.  So that it does not run into the
 * peer's limit again and again, each throttle lowers the highest rate that we ask for, and time raises
 * it slowly.
 *
 * Without rates, and while the store fails or takes longer than a second, the worker learns a rate of
 * its own (rate.h), as if it were alone: no launch waits for ever for the store. */
#ifndef EXEC_RATE_SHARE_H
#define EXEC_RATE_SHARE_H

#include <ev.h>

#include "base/log.h"
#include "exec/exec.h"
#include "exec/rate.h"

enum { LIMIT_RATE_BUCKET_BYTES = 256 };

struct rate_share;
struct rate_errand;

/* What it is about; lent for rate_share_init() but for the texts, which stay. */
struct rate_plan {
	const char *action;             /* "RunTask", for the log */
	double initial_per_s, max_per_s, burst;         /* of all workers */
	double begin_per_s;             /* where it begins; 0: at initial_per_s */
	double alone_initial_per_s, alone_max_per_s, alone_burst;       /* of a worker that is alone with its rate */
	const struct exec_rates *rates; /* NULL: always alone */
	const struct log *log;
	/* Writes the bucket's name as it is now. */
	void (*name)(void *arg, const char *action, char bucket[LIMIT_RATE_BUCKET_BYTES]);
	/* Tokens may have come: try again. */
	void (*more)(void *arg);
	void *arg;
};

struct rate_share {
	struct rate_plan plan;
	struct rate alone;
	unsigned tokens;
	double got_s;                   /* when they came; monotonic, as all below */
	double per_s;                   /* of the bucket, as last heard */
	double ceiling_per_s, ceiling_at_s;     /* the highest rate asked for; 0: never throttled */
	double fell_s;                  /* when it fell last; 0: never */
	double use_per_s, used_at_s;    /* tokens used, of late */
	unsigned throttles;             /* not told yet */
	struct rate_errand *errand;     /* the ask under way */
	double asked_s, next_ask_s;
	double answered_s;              /* when it was answered well last, or asked first */
	bool failing;                   /* the last ask failed */
	bool said_alone;                /* in the log */
};

void rate_share_init(struct rate_share *share, const struct rate_plan *plan);
/* No more() after this; an answer that is under way is dropped. */
void rate_share_finish(struct rate_share *share);
/* True when a call may be made now, and counts it.  waiting: how many would be made now, this one
 * included. */
bool rate_share_take(struct rate_share *share, unsigned waiting);
/* How long until another try is worth it, should more() not come before. */
double rate_share_wait_s(struct rate_share *share);
/* Tokens used a second, of late. */
double rate_share_use_per_s(const struct rate_share *share);
/* From now on the rate may rise so far; at least to where it began. */
void rate_share_allow(struct rate_share *share, double max_per_s);
/* The peer took a call; the peer refused one for its rate. */
void rate_share_accepted(struct rate_share *share);
void rate_share_throttled(struct rate_share *share);

#endif
