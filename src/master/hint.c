/* SPDX-License-Identifier: Apache-2.0 */
/* hint.c - see hint.h. */
#include "master/hint.h"

#include "base/list.h"
#include "master/master.h"

/* A worker's look costs a query: short enough for a person, long enough for a storm. */
static const double HINT_PAUSE_S = 0.02;

static void pass_on(struct hint *hint)
{
	struct ev_loop *loop = hint->master->loop;

	hint->again = false;
	roster_hint(&hint->master->roster);
	ev_now_update(loop);
	ev_timer_set(&hint->pause, HINT_PAUSE_S, 0.);
	ev_timer_start(loop, &hint->pause);
}

static void on_pause_over(struct ev_loop *loop, ev_timer *timer, int revents)
{
	(void)loop;
	(void)revents;
	hint_flush(container_of(timer, struct hint, pause));
}

void hint_init(struct hint *hint, struct master *master)
{
	*hint = (struct hint){ .master = master };
	ev_init(&hint->pause, on_pause_over);
}

void hint_finish(struct hint *hint)
{
	if (hint->master != NULL)
		ev_timer_stop(hint->master->loop, &hint->pause);
}

void hint_give(struct hint *hint)
{
	if (ev_is_active(&hint->pause))
		hint->again = true;
	else
		pass_on(hint);
}

void hint_flush(struct hint *hint)
{
	if (!hint->again)
		return;
	ev_timer_stop(hint->master->loop, &hint->pause);
	pass_on(hint);
}
