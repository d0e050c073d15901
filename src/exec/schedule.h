/* SPDX-License-Identifier: Apache-2.0 */
/* schedule.h - thousands of things that are due at some time each: a binary heap.
 *
 * The entry lives inside the object; the schedule owns only its array, which has the times, too, so that the objects
 * are touched only when they are due. */
#ifndef EXEC_SCHEDULE_H
#define EXEC_SCHEDULE_H

#include <stddef.h>

struct schedule_entry {
	double due_s;
	size_t place;                   /* in schedule.at, plus one; 0: not scheduled */
};

struct schedule_slot {
	double due_s;                   /* the entry's */
	struct schedule_entry *entry;
};

struct schedule {
	struct schedule_slot *at;       /* at[0] is due first */
	size_t count, room;
};

/* A zeroed struct schedule is an empty one. */
void schedule_finish(struct schedule *schedule);
/* Puts an entry where due_s says; one that is there already is moved. */
void schedule_put(struct schedule *schedule, struct schedule_entry *entry, double due_s);
/* An entry that is not there is left alone. */
void schedule_remove(struct schedule *schedule, struct schedule_entry *entry);
/* How many are due by then; no further than to most. */
size_t schedule_due(const struct schedule *schedule, double by_s, size_t most);
/* What is due first, or NULL. */
struct schedule_entry *schedule_first(const struct schedule *schedule);

#endif
