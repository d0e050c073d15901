/* SPDX-License-Identifier: Apache-2.0 */
/* sim_clock.h - the simulator's own time, which can be moved forward, and its alarms.
 * Two offsets to the machine's clock: "advance" ages everything that is stored (visibility,
 * retention, tokens, credentials, stopped tasks); "skew" moves only the wall clock that the Date
 * header shows and signatures are held against, so that a client's skew correction can be tested. */
#ifndef AWSSIM_SIM_CLOCK_H
#define AWSSIM_SIM_CLOCK_H

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sim_clock;
struct alarm;

typedef void alarm_fn(struct alarm *);

/* Lives inside what it wakes.  Zeroed plus .ring set is a valid alarm that is off. */
struct alarm {
	alarm_fn *ring;         /* called once from the loop, with the alarm already off */
	int64_t at_ms;
	size_t slot;            /* its place in the heap, from 1; 0: off */
};

struct sim_clock *sim_clock_create(struct ev_loop *);
void sim_clock_destroy(struct sim_clock *);

int64_t sim_clock_now_ms(const struct sim_clock *);     /* since 1970 */
int64_t sim_clock_wall_s(const struct sim_clock *);     /* what the Date header shows */
void sim_clock_advance(struct sim_clock *, int64_t ms); /* due alarms ring from the loop */
void sim_clock_set_skew(struct sim_clock *, int64_t skew_s);

/* Setting an alarm that is on moves it. */
void sim_clock_set(struct sim_clock *, struct alarm *, int64_t at_ms);
void sim_clock_clear(struct sim_clock *, struct alarm *);

static inline bool alarm_is_on(const struct alarm *alarm)
{
	return alarm->slot != 0;
}

#endif
