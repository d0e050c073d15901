/* SPDX-License-Identifier: Apache-2.0 */
/* scale.h - how many workers there are to be, by what they say of the backlog.  Only the decision: no clock, fork
 * or log. */
#ifndef MASTER_SCALE_H
#define MASTER_SCALE_H

#include <stddef.h>

enum { SCALE_CALM_LOOKS = 8 };          /* in a row that want fewer, before there is one less */

struct scale {
	unsigned calm;                  /* such looks so far */
};

/* One look was made, and wants so many.  A backlog is met at once, by twice as many workers at most, so that one wrong
 * figure costs little; a worker goes only after a while, one at a time, so that a pause between two bursts costs
 * no start.  Returns how many there are to be now. */
size_t scale_decide(struct scale *scale, size_t current, size_t wanted);

#endif
