/* SPDX-License-Identifier: Apache-2.0 */
/* schedule.h - thousands of things that are due at some time each: a binary heap.
 *
 * The entry lives inside the object; the schedule owns only its array. */
#ifndef EXEC_SCHEDULE_H
#define EXEC_SCHEDULE_H

#include <stddef.h>

struct schedule_entry {
	double due_s;
	size_t place;                   /* in schedule.at, plus one; 0: not scheduled */
};

struct schedule {
	struct schedule_entry **at;     /* at[0] is due first */
	size_t count, room;
};

/* A zeroed struct schedule is an empty one. */
void schedule_finish(struct schedule *schedule);
/* Puts an entry where due_s says; one that is there already is moved. */
void schedule_put(struct schedule *schedule, struct schedule_entry *entry, double due_s);
/* An entry that is not there is left alone. */
void schedule_remove(struct schedule *schedule, struct schedule_entry *entry);
/* What is due first, or NULL. */
struct schedule_entry *schedule_first(const struct schedule *schedule);

#endif
