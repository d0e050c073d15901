/* SPDX-License-Identifier: Apache-2.0 */
/* hand.h - a configured queue, spoken to by hand: what send and receive share.  Private to src/ctl. */
#ifndef CTL_HAND_H
#define CTL_HAND_H

#include <ev.h>

#include "ctl/ctl.h"
#include "queue/queue.h"

struct hand {
	struct ctl *ctl;
	struct ev_loop *loop;
	struct log log;
	struct aws *aws;
	struct queue *queue;
};

/* Opens the queue of that name; false after the reason was printed.  hand_close() may follow either way. */
bool hand_open(struct hand *hand, struct ctl *ctl, const char *queue_name, const struct queue_events *events);
void hand_close(struct hand *hand);

#endif
