/* SPDX-License-Identifier: Apache-2.0 */
/* restart.h - when a dead child is replaced.  Only the decision: no clock, fork or log. */
#ifndef MASTER_RESTART_H
#define MASTER_RESTART_H

#include <stdbool.h>

enum {
	RESTART_HEALTHY_S = 60,         /* who was active this long has left its past behind */
	RESTART_WORKED_S = 10,          /* the same for who finished a job */
};

enum restart_cause {
	RESTART_CRASHED,        /* a signal, or a status nobody asked for */
	RESTART_REFUSED,        /* said why it cannot work; trying at once again will not help */
	RESTART_FORK_FAILED,    /* there was no process at all */
};

struct restart_policy {
	double delay_s;         /* after the first death in a row */
	double delay_max_s;
};

/* What is known of the child that has just ended. */
struct restart_life {
	enum restart_cause cause;
	double active_s;        /* from GO to its end; 0: never active */
	bool finished_job;
};

/* Deaths in a row that count, this one included. */
unsigned restart_count(unsigned deaths, const struct restart_life *life);
/* Seconds until the next start.  unit is an even random number from [0, 1). */
double restart_delay_s(const struct restart_policy *policy, unsigned deaths, enum restart_cause cause,
	double unit);

#endif
