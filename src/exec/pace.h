/* SPDX-License-Identifier: Apache-2.0 */
/* pace.h - how long a task is left alone until it is looked at.
 *
 * Every second while it is young and more seldom with its age, so that a short deployment is not kept waiting and ten
 * thousand long ones cost a few calls a second.
 *
 * What earlier tasks took tells when the first look is worth it: where some ended within less than a second, a new one
 * is looked at when the shortest of them would have ended.  One that goes on then is looked at again when it is twice
 * as old, until it is a second old: so a wrong guess costs two looks.  Where tasks take longer it costs none. */
#ifndef EXEC_PACE_H
#define EXEC_PACE_H

/* What is known of the tasks of one deployer; a zeroed one knows nothing. */
struct pace {
	double shortest_s;              /* of late, from launch to stop; 0: unknown */
};

/* A task has ended by itself, after so long. */
void pace_learn(struct pace *pace, double took_s);
/* When a task is looked at first, in seconds after its launch. */
double pace_first_s(const struct pace *pace);
/* How long after a look at a task of this age comes the next. */
double pace_interval_s(const struct pace *pace, double age_s);
/* How much earlier it may come along with others; wait_s: what the pace was. */
double pace_ahead_s(double wait_s);

#endif
