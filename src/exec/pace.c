/* SPDX-License-Identifier: Apache-2.0 */
/* pace.c - see pace.h. */
#include "exec/pace.h"

#include <math.h>

static const double young_s = 1, long_s = 30;
static const double shortest_min_s = 0.2;
static const double forget = 1.1;               /* the shortest is forgotten so slowly, with each that took longer */
/* The first look at a task that may be short, in parts of the shortest: no two take the same time, and the later it
 * is, the more can come along. */
static const double along_at = 1.2, look_at = 1.4;
static const double early = 0.5, early_max_s = 15;      /* what comes along later, in parts of its pace */

void pace_learn(struct pace *pace, double took_s)
{
	double shortest_s = pace->shortest_s > 0 ? fmin(took_s, pace->shortest_s * forget) : took_s;

	pace->shortest_s = fmax(shortest_s, shortest_min_s);
}

double pace_first_s(const struct pace *pace)
{
	return pace->shortest_s > 0 ? fmin(pace->shortest_s * look_at, young_s) : young_s;
}

double pace_interval_s(const struct pace *pace, double age_s)
{
	double least_s = fmin(fmax(age_s, pace_first_s(pace)), young_s);

	return fmin(fmax(age_s / 10, least_s), long_s);
}

double pace_ahead_s(double wait_s)
{
	return wait_s < young_s ? wait_s * (1 - along_at / look_at) : fmin(wait_s * early, early_max_s);
}
