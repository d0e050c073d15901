/* SPDX-License-Identifier: Apache-2.0 */
/* schedule.c - see schedule.h. */
#include "exec/schedule.h"

#include <stdlib.h>

#include "base/mem.h"

void schedule_finish(struct schedule *schedule)
{
	free(schedule->at);
	*schedule = (struct schedule){ 0 };
}

static void set(struct schedule *schedule, size_t i, struct schedule_entry *entry)
{
	schedule->at[i] = entry;
	entry->place = i + 1;
}

/* Moves the entry at i to where its time belongs, first up, then down. */
static void settle(struct schedule *schedule, size_t i)
{
	struct schedule_entry *entry = schedule->at[i];

	while (i > 0 && schedule->at[(i - 1) / 2]->due_s > entry->due_s) {
		set(schedule, i, schedule->at[(i - 1) / 2]);
		i = (i - 1) / 2;
	}
	for (size_t child; (child = 2 * i + 1) < schedule->count; i = child) {
		if (child + 1 < schedule->count && schedule->at[child + 1]->due_s < schedule->at[child]->due_s)
			child++;
		if (schedule->at[child]->due_s >= entry->due_s)
			break;
		set(schedule, i, schedule->at[child]);
	}
	set(schedule, i, entry);
}

void schedule_put(struct schedule *schedule, struct schedule_entry *entry, double due_s)
{
	entry->due_s = due_s;
	if (entry->place == 0) {
		if (schedule->count == schedule->room) {
			schedule->room = schedule->room > 0 ? schedule->room * 2 : 16;
			schedule->at = xreallocarray(schedule->at, schedule->room, sizeof(*schedule->at));
		}
		set(schedule, schedule->count++, entry);
	}
	settle(schedule, entry->place - 1);
}

void schedule_remove(struct schedule *schedule, struct schedule_entry *entry)
{
	size_t i = entry->place;
	struct schedule_entry *last;

	if (i-- == 0)
		return;
	last = schedule->at[--schedule->count];
	entry->place = 0;
	if (last == entry)
		return;
	set(schedule, i, last);
	settle(schedule, i);
}

struct schedule_entry *schedule_first(const struct schedule *schedule)
{
	return schedule->count > 0 ? schedule->at[0] : NULL;
}
