/* SPDX-License-Identifier: Apache-2.0 */
/* poison.h - what crashes the workers that handle it is not handled for ever.  Private to src/worker. */
#ifndef WORKER_POISON_H
#define WORKER_POISON_H

#include "worker/worker.h"

enum { POISON_CRASHES = 2 };            /* one may have been chance */
#define POISON_TEXT "workers that handled it crashed, twice; it is not handled again"

typedef void poison_fn(void *arg, bool poison);

/* Whether key (a job's id, or what poison_message_key() makes) has crashed too many workers; not known is
 * no.  A worker that leaves is not told any more. */
void poison_ask(struct worker *worker, const char *key, poison_fn *done, void *arg);
/* The key of a message before there is a job, the caller's to free. */
char *poison_message_key(const char *queue, const char *message_id);
/* The worker owner died by its own fault over key. */
void poison_note(struct worker *worker, const char *owner, const char *key);

#endif
