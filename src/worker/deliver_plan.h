/* SPDX-License-Identifier: Apache-2.0 */
/* deliver_plan.h - when a delivery that failed, or found no room, is tried again.  Only the decision: no clock, no
 * store. */
#ifndef WORKER_DELIVER_PLAN_H
#define WORKER_DELIVER_PLAN_H

#include <stdbool.h>
#include <stddef.h>

enum {
	DELIVER_LEAST_TRIES = 4,        /* of one that is old already: it was replayed */
	DELIVER_PAUSE_MAX_S = 600,
};

struct deliver_history {
	unsigned tries;                 /* the one that has just failed included */
	double age_s;                   /* since it was said */
	double give_up_after_s;
	double retry_after_s;           /* what the receiver asked for; 0: nothing */
	bool hopeless;                  /* no other try will do */
};

struct deliver_next {
	bool dead;
	double wait_s;                  /* when not dead */
};

/* Pauses double from a second to DELIVER_PAUSE_MAX_S, scaled by unit, an even random number from [0, 1); a
 * receiver may ask for longer ones.  The last try is made when its time is over, however long the pause would be. */
struct deliver_next deliver_plan(const struct deliver_history *history, double unit);

/* What a sink has before it. */
struct deliver_load {
	size_t waiting;
	unsigned at_once;
	double took_s;                  /* one of them, lately */
	unsigned rate;                  /* a minute; 0: as they come */
	bool failing;
};

/* How long one that finds no room stays away: as long as those before it need, 30 s while the sink fails, 3 s at
 * least and a minute at most, and of that a half to all, as unit says. */
double deliver_put_off_s(const struct deliver_load *load, double unit);

#endif
