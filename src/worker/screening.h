/* SPDX-License-Identifier: Apache-2.0 */
/* screening.h - before messages are handled: which of them have crashed workers.  Private to src/worker. */
#ifndef WORKER_SCREENING_H
#define WORKER_SCREENING_H

#include "worker/worker.h"

/* The messages array is lent. */
typedef void screening_pass_fn(struct intake *intake, struct queue_message **messages, size_t count);

/* Asks the store about a received batch, refuses what has crashed too many, and passes the rest on, batch
 * after batch as they were received; count may be 0 then.  Counted in intake.admitting until it has passed. */
void screening_begin(struct intake *intake, struct queue_message *const *messages, size_t count,
	screening_pass_fn *pass);
/* Forgets what waits for a store that is closed. */
void screenings_finish(struct intake *intake);

#endif
