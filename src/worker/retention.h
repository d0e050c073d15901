/* SPDX-License-Identifier: Apache-2.0 */
/* retention.h - what is forgotten, and when: finished jobs, and what local commands left on disk.
 *
 * One worker of a host does it, the one in slot 0, a little at each tick, so that its loop never stands
 * long.  What is still of use to anyone stays however old it is; store.h and process_dir.h say what that is. */
#ifndef WORKER_RETENTION_H
#define WORKER_RETENTION_H

#include "worker/worker.h"

enum {
	LIMIT_RETENTION_JOBS = 100,             /* forgotten at one tick */
	LIMIT_RETENTION_DIRECTORIES = 100,      /* looked at in one tick */
	LIMIT_RETENTION_LEFT = 100000,          /* of local commands, noted in a pass */
};

/* Called at each tick of the worker. */
void retention_tick(struct worker *worker);
/* Behind its store, whose completions end here. */
void retention_destroy(struct retention *retention);

#endif
