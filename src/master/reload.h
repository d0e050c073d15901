/* SPDX-License-Identifier: Apache-2.0 */
/* reload.h - the transaction that replaces one generation by the next.
 *
 *      check the file ─▶ start the workers ─▶ all ready ─▶ commit: GO to the new, DRAIN to the old
 *
 * Before the commit anything else ends it with the old generation untouched.  A daemon's start is the
 * same transaction, with no old generation to keep. */
#ifndef MASTER_RELOAD_H
#define MASTER_RELOAD_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "master/check_run.h"
#include "master/edition.h"
#include "master/nurse.h"

struct master;
struct generation;

enum reload_step {
	RELOAD_IDLE,
	RELOAD_CHECKING,        /* gantry-check runs */
	RELOAD_STARTING,        /* the new generation warms up */
	RELOAD_STEPS
};

enum reload_verdict {
	RELOAD_NONE,            /* there was no reload yet */
	RELOAD_COMMITTED,
	RELOAD_REFUSED,         /* by the check: nothing was started */
	RELOAD_ROLLED_BACK,
	RELOAD_DEFERRED,        /* waits for an old generation to end */
	RELOAD_VERDICTS
};

enum { LIMIT_RELOAD_REASON_BYTES = 8192 };

struct reload {
	struct master *master;
	enum reload_step step;
	double began_at;                /* monotonic */
	struct check_run check;
	struct generation *generation;  /* RELOAD_STARTING */
	struct nurse nurse;             /* that its workers come from */
	struct edition *last_good;      /* survived its probation; NULL: none yet */
	bool fall_back;                 /* go back to it as soon as that is possible */
	bool deferral_told;

	enum reload_verdict verdict;    /* of the last one */
	char reason[LIMIT_RELOAD_REASON_BYTES];
	unsigned count;                 /* transactions since the daemon began */
};

const char *reload_verdict_name(enum reload_verdict verdict);

void reload_init(struct reload *reload, struct master *master);
void reload_finish(struct reload *reload);
/* Whether one may begin now, as far as old generations go. */
bool reload_has_room(const struct reload *reload);
/* Begins one; the caller has cleared the request before, so that a request that comes from now on is
 * for another. */
void reload_begin(struct reload *reload);
/* Says once that the requested one has to wait. */
void reload_defer(struct reload *reload);
/* Ends the one under way because the master stops. */
void reload_cancel(struct reload *reload, const char *why);

/* Called by the generation that is prepared. */
void reload_commit(struct reload *reload);
void reload_fail(struct reload *reload, const char *why);
/* Called by the running generation. */
void reload_fall_back(struct reload *reload, struct generation *generation, size_t crashed);
void reload_probation_over(struct reload *reload, struct generation *generation);

#endif
