/* SPDX-License-Identifier: Apache-2.0 */
/* feed_look.h - the look at the store and the master that all watchers of the feed share.
 *
 * Once a second from start to stop; never two at a time, so a store that is slow is asked less often. */
#ifndef API_FEED_LOOK_H
#define API_FEED_LOOK_H

#include <ev.h>
#include <stdbool.h>

#include "api/topic.h"
#include "base/error.h"

struct api;

typedef void feed_looked_fn(void *arg);

struct feed_look {
	struct api *api;
	feed_looked_fn *done;           /* after each look */
	void *arg;
	struct topic topic;             /* as it was at the last look; empty while stopped */
	bool on;
	bool looked;                    /* the topic is whole: at least one look has ended */
	unsigned awaited;               /* answers of the look under way */
	struct error trouble;           /* of the look under way */
	double began_s;
	ev_timer timer;
};

void feed_look_init(struct feed_look *look, struct api *api, feed_looked_fn *done, void *arg);
/* No answer may be awaited any more: store and master_status are closed. */
void feed_look_finish(struct feed_look *look);
void feed_look_start(struct feed_look *look);
void feed_look_stop(struct feed_look *look);

#endif
