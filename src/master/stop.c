/* SPDX-License-Identifier: Apache-2.0 */
/* stop.c - see stop.h. */
#include "master/stop.h"

#include <stdio.h>

#include "master/master.h"

bool stop_is_under_way(const struct stop *stop)
{
	return stop->graceful || stop->fast;
}

bool stop_is_fast(const struct stop *stop)
{
	return stop->fast;
}

static void retire_all(struct master *master, enum child_event event)
{
	struct generation *generation;

	list_each(generation, &master->roster.generations, link) {
		enum generation_state state = generation->state == GENERATION_ABORTED ||
			generation->state == GENERATION_PREPARING ? GENERATION_ABORTED : GENERATION_OLD;

		generation_retire(generation, state, event);
	}
}

static double longest_s(const struct master *master, bool fast)
{
	const struct generation *current = master->roster.current;
	double drain_s = fast || current == NULL ? 0 : roster_drain_s(&master->roster, current->edition);
	double wait_s = fast || current == NULL ? 0 : edition_longest_wait_s(current->edition) + CHILD_RECEIVE_GRACE_S;

	return (drain_s > wait_s ? drain_s : wait_s) + CHILD_RELEASE_GRACE_S + CHILD_EXIT_GRACE_S;
}

void stop_begin(struct master *master, bool fast, const char *why)
{
	struct stop *stop = &master->stop;
	bool first = !stop_is_under_way(stop);

	if (!first && (stop->fast || !fast))
		return;
	if (first)
		snprintf(stop->why, sizeof(stop->why), "%s", why);
	stop->graceful = stop->graceful || !fast;
	stop->fast = fast;
	if (master->settled)
		log_info(&master->log, "stopping%s: %s; %zu processes to leave", fast ? " fast" : "", why,
			roster_child_count(&master->roster));
	if (first)
		notify_stopping(&master->notify, why);
	notify_extend(&master->notify, longest_s(master, fast));
	reload_cancel(&master->reload, "gantryd is stopping");
	upgrade_cancel(&master->upgrade, "gantryd is stopping");
	/* The drain time of the running generation counts for all, so it stays known as the current one. */
	retire_all(master, fast ? CHILD_RELEASE : CHILD_RETIRE);
	/* The API accepts no more either: who knocks now is to find out at once. */
	listeners_close(&master->listeners);
	control_answer_stopping(&master->control);
}

bool stop_is_complete(const struct master *master)
{
	return stop_is_under_way(&master->stop) && roster_child_count(&master->roster) == 0;
}
