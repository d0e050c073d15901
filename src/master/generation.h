/* SPDX-License-Identifier: Apache-2.0 */
/* generation.h - the workers that were started together, with one edition, and the API beside them where
 * one is configured.
 *
 * A generation has slots, each with at most one child.  While it is the running one, a slot whose
 * child ends gets another (restart.h says when).  The API's slot is none of the workers': it is not
 * counted where workers are. */
#ifndef MASTER_GENERATION_H
#define MASTER_GENERATION_H

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "base/list.h"
#include "base/log.h"
#include "master/child.h"
#include "master/edition.h"
#include "master/scale.h"

enum { LIMIT_WORKERS = 512 };

enum generation_state {
	GENERATION_PREPARING,   /* workers warm up; none takes a job */
	GENERATION_CURRENT,
	GENERATION_OLD,         /* superseded, or the master stops: draining */
	GENERATION_ABORTED,     /* never committed; leaving */
	GENERATION_STATES
};

struct slot {
	struct generation *generation;
	enum role role;
	unsigned number;                /* of a worker's; the API's is 0 */
	struct child *child;            /* NULL while it waits for its next start */
	unsigned deaths;                /* in a row */
	ev_timer restart;
	double restart_at;              /* monotonic; valid while the timer is active */
	bool crashed;                   /* since the commit */
};

struct generation {
	struct list link;               /* roster->generations */
	struct master *master;
	struct log log;
	unsigned number;
	enum generation_state state;
	struct edition *edition;
	bool fallback;                  /* came from going back: no second time */
	bool staged;                    /* slot 0 alone first: it may have to prepare the store */
	struct slot **slots;            /* of workers */
	size_t slot_count;
	struct scale scale;
	bool counted_by_hand;           /* by a signal or gantryctl: the backlog changes it no more */
	struct slot *api;               /* NULL: none is configured */
	struct list children;           /* also those that no slot has any more */
	double committed_at;            /* monotonic; 0: not yet */
	ev_timer probation;
	double probation_until;
};

const char *generation_state_name(enum generation_state state);
struct generation *generation_create(struct master *master, unsigned number, struct edition *edition);
/* Its children must be gone. */
void generation_destroy(struct generation *generation);

/* Starts the workers; false when one could not be forked. */
bool generation_start(struct generation *generation, bool staged, struct error *err);
/* Every slot has a child that is ready. */
bool generation_is_ready(const struct generation *generation);
/* GO to all; the caller retires the others. */
void generation_commit(struct generation *generation);
/* Nobody is replaced any more; event (RETIRE or RELEASE) to all. */
void generation_retire(struct generation *generation, enum generation_state state, enum child_event event);
/* One worker more or less, until the next reload. */
void generation_set_slots(struct generation *generation, size_t count);
/* A child that is not done with its jobs. */
bool generation_takes_place(const struct generation *generation);
/* Active workers. */
size_t generation_active_count(const struct generation *generation);

/* Called by child.c. */
void generation_child_ready(struct generation *generation, struct child *child);
void generation_child_refused(struct generation *generation, struct child *child);
void generation_child_gone(struct generation *generation, struct child *child, int status);

/* Called when a state that came through an exec is put together. */
struct slot *generation_add_slot(struct generation *generation);
struct slot *generation_add_api(struct generation *generation);
void generation_restart_in(struct slot *slot, double delay_s);
void generation_begin_probation(struct generation *generation, double seconds);

#endif
