/* SPDX-License-Identifier: Apache-2.0 */
/* depths.c - see depths.h.  The store's own queue has no messages: its depth is the jobs that wait. */
#include "api/depths.h"

#include <stdlib.h>

#include "api/api.h"
#include "base/clock.h"
#include "base/mem.h"

enum { STALE_S = 60 };          /* a queue that stopped answering has no depth that is worth telling */

struct depth {
	struct depths *depths;
	struct queue_depth last;
	double asked_s, known_s;        /* monotonic; 0: never */
	bool asking;
};

struct asker {
	struct list link;
	depths_fn *done;
	void *arg;
};

struct depths {
	struct api *api;
	struct queue *const *queues;
	struct depth *at;               /* one per queue */
	struct list askers;
	ev_timer timer;                 /* the askers have waited long enough */
};

static void tell(struct depths *depths)
{
	struct list told;

	ev_timer_stop(depths->api->loop, &depths->timer);
	list_init(&told);
	list_splice(&told, &depths->askers);
	while (!list_empty(&told)) {
		struct asker *asker = list_first(&told, struct asker, link);

		list_remove(&asker->link);
		asker->done(asker->arg);
		free(asker);
	}
}

static void on_timer(struct ev_loop *loop, ev_timer *timer, int revents)
{
	(void)loop, (void)revents;
	tell(container_of(timer, struct depths, timer));
}

struct depths *depths_create(struct api *api, struct queue *const *queues)
{
	struct depths *depths = xnew(struct depths);

	depths->api = api;
	depths->queues = queues;
	depths->at = xcalloc(api->conf->queue_count + 1, sizeof(*depths->at));
	for (size_t i = 0; i < api->conf->queue_count; i++)
		depths->at[i].depths = depths;
	list_init(&depths->askers);
	ev_init(&depths->timer, on_timer);
	return depths;
}

void depths_destroy(struct depths *depths)
{
	if (depths == NULL)
		return;
	tell(depths);
	free(depths->at);
	free(depths);
}

static bool is_asking(const struct depths *depths)
{
	for (size_t i = 0; i < depths->api->conf->queue_count; i++) {
		if (depths->at[i].asking)
			return true;
	}
	return false;
}

static void on_depth(void *arg, const struct queue_depth *given, const struct error *err)
{
	struct depth *depth = arg;
	struct depths *depths = depth->depths;

	depth->asking = false;
	if (err == NULL) {
		depth->last = *given;
		depth->known_s = clock_monotonic_s();
	}
	if (!is_asking(depths))
		tell(depths);
}

void depths_want(struct depths *depths)
{
	const struct conf *conf = depths->api->conf;
	double now_s = clock_monotonic_s();

	for (size_t i = 0; i < conf->queue_count; i++) {
		struct depth *depth = &depths->at[i];

		if (conf->queues[i].type == CONF_QUEUE_STORE || depth->asking ||
		    (depth->asked_s > 0 && now_s - depth->asked_s < DEPTHS_FRESH_S))
			continue;
		depth->asking = true;
		depth->asked_s = now_s;
		queue_depth(depths->queues[i], on_depth, depth);
	}
}

void depths_ask(struct depths *depths, depths_fn *done, void *arg)
{
	struct asker *asker = xnew(struct asker);

	*asker = (struct asker){ .done = done, .arg = arg };
	list_append(&depths->askers, &asker->link);
	depths_want(depths);
	if (ev_is_active(&depths->timer) && is_asking(depths))
		return;
	/* Nothing to wait for is told from the timer, too: never from inside the call. */
	ev_timer_stop(depths->api->loop, &depths->timer);
	ev_timer_set(&depths->timer, is_asking(depths) ? DEPTHS_WAIT_S : 0., 0.);
	ev_timer_start(depths->api->loop, &depths->timer);
}

const struct queue_depth *depths_at(const struct depths *depths, size_t queue)
{
	const struct depth *depth = &depths->at[queue];

	return depth->known_s > 0 && clock_monotonic_s() - depth->known_s < STALE_S ? &depth->last : NULL;
}
