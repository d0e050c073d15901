/* SPDX-License-Identifier: Apache-2.0 */
/* backoff.h - how long to wait before the next try. */
#ifndef BASE_BACKOFF_H
#define BASE_BACKOFF_H

/* Seconds to wait after the given number of failures in a row (1 for the first): first_s doubled each
 * time up to max_s, then scaled into [1/2, 1) by unit, an even random number from [0, 1).  Pure. */
double backoff_s(unsigned failures, double first_s, double max_s, double unit);

#endif
