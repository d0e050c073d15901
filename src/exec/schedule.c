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

static void set(struct schedule *schedule, size_t i, struct schedule_slot slot)
{
	schedule->at[i] = slot;
	slot.entry->place = i + 1;
}

/* Moves the slot at i to where its time belongs, first up, then down. */
static void settle(struct schedule *schedule, size_t i)
{
	struct schedule_slot slot = schedule->at[i];

	while (i > 0 && schedule->at[(i - 1) / 2].due_s > slot.due_s) {
		set(schedule, i, schedule->at[(i - 1) / 2]);
		i = (i - 1) / 2;
	}
	for (size_t child; (child = 2 * i + 1) < schedule->count; i = child) {
		if (child + 1 < schedule->count && schedule->at[child + 1].due_s < schedule->at[child].due_s)
			child++;
		if (schedule->at[child].due_s >= slot.due_s)
			break;
		set(schedule, i, schedule->at[child]);
	}
	set(schedule, i, slot);
}

void schedule_put(struct schedule *schedule, struct schedule_entry *entry, double due_s)
{
	entry->due_s = due_s;
	if (entry->place == 0) {
		if (schedule->count == schedule->room) {
			schedule->room = schedule->room > 0 ? schedule->room * 2 : 16;
			schedule->at = xreallocarray(schedule->at, schedule->room, sizeof(*schedule->at));
		}
		set(schedule, schedule->count++, (struct schedule_slot){ .entry = entry });
	}
	schedule->at[entry->place - 1].due_s = due_s;
	settle(schedule, entry->place - 1);
}

void schedule_remove(struct schedule *schedule, struct schedule_entry *entry)
{
	size_t i = entry->place;
	struct schedule_slot last;

	if (i-- == 0)
		return;
	last = schedule->at[--schedule->count];
	entry->place = 0;
	if (last.entry == entry)
		return;
	set(schedule, i, last);
	settle(schedule, i);
}

/* Below an entry nothing is due before it: only what is due is looked at, and its children. */
static size_t due_below(const struct schedule *schedule, size_t i, double by_s, size_t most)
{
	size_t count = 1;

	if (most == 0 || i >= schedule->count || schedule->at[i].due_s > by_s)
		return 0;
	count += due_below(schedule, 2 * i + 1, by_s, most - count);
	return count + due_below(schedule, 2 * i + 2, by_s, most - count);
}

size_t schedule_due(const struct schedule *schedule, double by_s, size_t most)
{
	return due_below(schedule, 0, by_s, most);
}

struct schedule_entry *schedule_first(const struct schedule *schedule)
{
	return schedule->count > 0 ? schedule->at[0].entry : NULL;
}
