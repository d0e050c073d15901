/* SPDX-License-Identifier: Apache-2.0 */
/* deliver.h - what the outbox holds, towards those who are to be told.  Private to src/worker.
 *
 * A delivery is said together with the move that it is about (tell.h), claimed by any worker when it is due,
 * sent, and what came of it is noted.  A worker that dies in between leaves it to the others, so it is told at
 * least once, each time under the same id.  No job and no drain waits for a receiver, but for what is under way
 * while there is time.  When gantryd stops, what ends in the last drain is sent once by who said it, as nobody else
 * would before the next start: within the drain's time, and not to a sink in trouble or one that is asked seldom. */
#ifndef WORKER_DELIVER_H
#define WORKER_DELIVER_H

#include "worker/worker.h"

struct deliver;

/* Opens no connection: a receiver that is away is nothing to fail for. */
struct deliver *deliver_create(struct worker *worker, struct error *err);
void deliver_destroy(struct deliver *deliver);

/* Something may be due: it is claimed soon, if we are to. */
void deliver_wake(struct deliver *deliver);
/* The same of what comes from us; when we are not to claim it, the other workers are told. */
void deliver_pass_on(struct deliver *deliver);
/* The worker drains: what is not being sent yet goes back, and nothing more is claimed but by the last. */
void deliver_drain(struct deliver *deliver);
/* Nothing is under way that a drain may wait for. */
bool deliver_is_idle(const struct deliver *deliver);
/* Lets go of everything: the store gives what we had claimed to others. */
void deliver_release(struct deliver *deliver);

typedef void deliver_said_fn(void *arg);
/* What is to be told.  All is copied. */
struct deliver_words {
	const struct store_delivery *deliveries;
	size_t count;
	const char *dedup_key;          /* may be NULL */
	const struct job *by;           /* as of store_say(); once it is not ours to say any more it is dropped */
	bool with_move;                 /* whoever makes the move again until it is stored says this again, too */
};
/* Has the store say it in this turn, and again until it has; done (may be NULL, and is not for those by a job) then
 * runs. */
void deliver_say(struct deliver *deliver, const struct deliver_words *words, deliver_said_fn *done, void *arg);

#endif
