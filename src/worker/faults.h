/* SPDX-License-Identifier: Apache-2.0 */
/* faults.h - what went wrong, recorded first and told second.  Private to src/worker. */
#ifndef WORKER_FAULTS_H
#define WORKER_FAULTS_H

#include "worker/worker.h"

struct faults;

struct faults *faults_create(struct worker *worker, struct error *err);
void faults_destroy(struct faults *faults);
/* Records a fault (fields of it may be NULL; id and at_ms are filled here) and has it published.  done (may be NULL) runs when it is
 * durable; a store that fails is tried again until it is not. */
typedef void faults_done_fn(void *arg);
void faults_record(struct faults *faults, const struct store_fault *fault, const char *dedup_key,
	faults_done_fn *done, void *arg);
/* Publishes what is recorded and not yet published, also what other workers left. */
void faults_publish(struct faults *faults);

#endif
