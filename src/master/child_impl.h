/* SPDX-License-Identifier: Apache-2.0 */
/* child_impl.h - what the three files of a child tell each other: child.c (what it does), its
 * channel, and its start. */
#ifndef MASTER_CHILD_IMPL_H
#define MASTER_CHILD_IMPL_H

#include "master/child.h"

struct ev_loop *child_loop(const struct child *child);

/* child.c */
void child_wait_until(struct child *child, enum child_wait wait, double until);
void child_wait_for(struct child *child, enum child_wait wait, double seconds);
void child_apply(struct child *child, enum child_event event, const struct report *report);

/* What an errno of a send says of the next one. */
enum child_send_fate {
	CHILD_SEND_FULL,        /* when there is room */
	CHILD_SEND_LATER,       /* the kernel is short of something */
	CHILD_SEND_GONE,        /* nobody reads any more */
	CHILD_SEND_NEVER,       /* this word cannot be sent */
};

/* child_channel.c */
enum child_send_fate child_send_fate(int error);
void child_init_channel(struct child *child);
void child_watch_channel(struct child *child);
void child_close_channel(struct child *child);
/* Sends what is owed, as far as there is room. */
void child_send_owed(struct child *child);
/* Reads one report; false when there is none for now, or at the end. */
bool child_read_one(struct child *child);

#endif
