/* SPDX-License-Identifier: Apache-2.0 */
/* watchdog.c - see watchdog.h. */
#include "master/watchdog.h"

#include "base/clock.h"
#include "master/master.h"

bool watchdog_is_late(double now, double expected_at)
{
	return now - expected_at > WATCHDOG_LATE_S;
}

static void forgive_all(struct master *master, double now)
{
	struct generation *generation;
	struct child *child;

	list_each(generation, &master->roster.generations, link) {
		list_each(child, &generation->children, link)
			child->heard_at = now;
	}
}

static void judge_all(struct master *master, double now)
{
	struct generation *generation;
	struct child *child;

	list_each(generation, &master->roster.generations, link) {
		double limit_s = (double)generation->edition->conf->supervisor.watchdog_ms / 1000;

		if (limit_s <= 0)
			continue;
		list_each(child, &generation->children, link) {
			if (child_is_silent(child, now, limit_s))
				child_event(child, CHILD_SILENT);
		}
	}
}

static void on_tick(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct watchdog *watchdog = container_of(timer, struct watchdog, tick);
	double now = clock_monotonic_s();

	(void)loop;
	(void)revents;
	if (watchdog_is_late(now, watchdog->expected_at)) {
		log_warn(&watchdog->master->log, "did not run for %.0fs; no worker is judged by that",
			now - watchdog->expected_at);
		forgive_all(watchdog->master, now);
	} else {
		judge_all(watchdog->master, now);
	}
	watchdog->expected_at = now + watchdog->tick_s;
}

static void on_manager(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct watchdog *watchdog = container_of(timer, struct watchdog, manager);

	(void)loop;
	(void)revents;
	notify_watchdog(&watchdog->master->notify);
}

void watchdog_start(struct watchdog *watchdog, struct master *master)
{
	double half_s = master->notify.watchdog_s / 2;

	*watchdog = (struct watchdog){ .master = master };
	ev_init(&watchdog->tick, on_tick);
	ev_init(&watchdog->manager, on_manager);
	if (half_s <= 0)
		return;
	/* At once the first time: an upgrade's exec may have used up most of the manager's patience. */
	ev_timer_set(&watchdog->manager, 0., half_s);
	ev_timer_start(master->loop, &watchdog->manager);
}

void watchdog_stop(struct watchdog *watchdog)
{
	if (watchdog->master == NULL)
		return;
	ev_timer_stop(watchdog->master->loop, &watchdog->tick);
	ev_timer_stop(watchdog->master->loop, &watchdog->manager);
}

/* A tenth of the shortest watchdog is exact enough, and wakes an idle daemon rarely. */
void watchdog_rearm(struct watchdog *watchdog)
{
	struct master *master = watchdog->master;
	struct generation *generation;
	double shortest_s = 0;

	list_each(generation, &master->roster.generations, link) {
		double limit_s = (double)generation->edition->conf->supervisor.watchdog_ms / 1000;

		if (limit_s > 0 && (shortest_s <= 0 || limit_s < shortest_s))
			shortest_s = limit_s;
	}
	ev_timer_stop(master->loop, &watchdog->tick);
	watchdog->tick_s = shortest_s / 10;
	if (watchdog->tick_s <= 0)
		return;
	watchdog->expected_at = clock_monotonic_s() + watchdog->tick_s;
	ev_now_update(master->loop);
	ev_timer_set(&watchdog->tick, watchdog->tick_s, watchdog->tick_s);
	ev_timer_start(master->loop, &watchdog->tick);
}
