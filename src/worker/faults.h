/* SPDX-License-Identifier: Apache-2.0 */
/* faults.h - errors of the system, told through the outbox.  Private to src/worker. */
#ifndef WORKER_FAULTS_H
#define WORKER_FAULTS_H

#include "worker/deliver.h"

/* All texts are lent. */
struct fault {
	const char *kind;               /* "malformed", "launch_failed", "task_failed", "worker_crashed", ... */
	const char *job_id;             /* may be NULL, as the next two */
	const struct job *by;           /* who says it of himself, see store_say(); NULL: it is true whoever has the job */
	const char *project;
	const char *queue;
	const char *text;               /* one line */
	const char *body;               /* the message that was not understood; else NULL */
};

/* Records a fault and has it told to the sinks of `errors`; without any it is only recorded.  done (may be NULL) runs
 * when it is durable; a store that fails is tried again until it is not.  dedup_key (may be NULL) makes a repeat a
 * success without effect, so that a redelivered malformed message is told once. */
void faults_record(struct worker *worker, const struct fault *fault, const char *dedup_key, deliver_said_fn *done,
	void *arg);

#endif
