/* SPDX-License-Identifier: Apache-2.0 */
/* deliver_say.h - what is to be told, on its way into the store.  Private to src/worker/deliver*. */
#ifndef WORKER_DELIVER_SAY_H
#define WORKER_DELIVER_SAY_H

#include "worker/deliver.h"

struct deliver_says {
	struct worker *worker;
	const struct log *log;
	struct list list;               /* struct saying: not in the store yet */
};

void deliver_says_init(struct deliver_says *says, struct worker *worker, const struct log *log);
/* Forgets them: the moves that they belong to are made again by others, who say it then. */
void deliver_says_finish(struct deliver_says *says);
/* As deliver_say(). */
void deliver_says_add(struct deliver_says *says, const struct deliver_words *words, deliver_said_fn *done, void *arg);

#endif
