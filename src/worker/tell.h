/* SPDX-License-Identifier: Apache-2.0 */
/* tell.h - what is told of a job, and to whom: the sinks that want such an event, and those that the job
 * itself named.  Private to src/worker.
 *
 * Called in the turn of the loop in which the store is asked for the move, so that both are in one transaction.  What
 * was told of a job and attempt is not told again, so whoever finds a job at that point may call.  All is the word of
 * the job's owner under its fence: a worker that has lost the job without knowing it yet tells nothing. */
#ifndef WORKER_TELL_H
#define WORKER_TELL_H

#include "worker/holding.h"

void tell_accepted(struct worker *worker, const struct job *job);
void tell_started(struct worker *worker, const struct job *job);
/* The attempt ended so, and another one is being stored in its place: told again by who stores that again. */
void tell_retrying(struct worker *worker, const struct job *job, const struct job_result *result);
/* The end that is being stored: told again by who stores it again. */
void tell_result(struct worker *worker, const struct job *job, const struct job_result *result);
/* The end that the job's record has: others ended it, or whoever did died before it had told. */
void tell_ended(struct worker *worker, const struct job *job);

#endif
