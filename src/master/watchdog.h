/* SPDX-License-Identifier: Apache-2.0 */
/* watchdog.h - watches the children's heartbeats, and shows the service manager ours.
 *
 * A tick that comes late says that the master itself did not run (stopped, suspended, starved):
 * then nobody could be heard, and every silence counts from now. */
#ifndef MASTER_WATCHDOG_H
#define MASTER_WATCHDOG_H

#include <ev.h>
#include <stdbool.h>

struct master;

enum { WATCHDOG_LATE_S = 3 };

struct watchdog {
	struct master *master;
	ev_timer tick;
	double tick_s;                  /* 0: nothing to watch */
	double expected_at;             /* monotonic */
	ev_timer manager;
};

void watchdog_start(struct watchdog *watchdog, struct master *master);
void watchdog_stop(struct watchdog *watchdog);
/* After a commit: another configuration may rule. */
void watchdog_rearm(struct watchdog *watchdog);
/* Whether a tick at now, expected before, shows that we did not run.  Pure. */
bool watchdog_is_late(double now, double expected_at);

#endif
