/* SPDX-License-Identifier: Apache-2.0 */
/* refusal.h - messages that become no job.  Private to src/worker. */
#ifndef WORKER_REFUSAL_H
#define WORKER_REFUSAL_H

#include "worker/worker.h"

/* Records the message with its body and the reason, publishes that, and settles it.  kind: "malformed" or
 * "poison". */
void refusal_begin(struct intake *intake, struct queue_message *message, const char *kind, const char *why);
/* Forgets what waits for a store that is closed. */
void refusals_finish(struct intake *intake);

#endif
