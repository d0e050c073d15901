/* SPDX-License-Identifier: Apache-2.0 */
/* store_reads.h - what a store says now: each asks, runs the store's loop until the answer, and fails the
 * test when that is an error.  What is given back is a copy, the caller's. */
#ifndef UNIT_STORE_READS_H
#define UNIT_STORE_READS_H

#include "store/store.h"

/* NULL: there is none. */
struct job *read_job(struct store *store, const char *id);
/* How a read of a job fails; ERROR_NONE when it does not. */
enum error_kind read_job_error(struct store *store, const char *id);
/* The jobs, then the array. */
void read_jobs_free(struct job **jobs, size_t count);
void read_jobs(struct store *store, const struct store_filter *filter, struct job ***jobs, size_t *count);
void read_counts(struct store *store, uint64_t counts[JOB_STATES]);
void read_totals(struct store *store, struct store_totals *totals);
unsigned read_crashes(struct store *store, const char *key);
/* "key:holder:project:grant:waiting " of each. */
void read_locks(struct store *store, const char *after, size_t max, char *text, size_t room);
/* "event:tries:dead:failed " of each; ":open" for one that is neither delivered nor dead. */
void read_deliveries(struct store *store, const struct store_delivery_filter *filter, char *text, size_t room);
/* "number/step:handle:reason:exit_code " of each, "-" for what is not known; ":open" for one that has not ended. */
void read_attempts(struct store *store, const char *id, char *text, size_t room);
/* fn gets what is said, lent; NULL: there is no such job. */
typedef void read_why_fn(void *arg, const struct store_why *why);
void read_why(struct store *store, const char *id, read_why_fn *fn, void *arg);

#endif
