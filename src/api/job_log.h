/* SPDX-License-Identifier: Apache-2.0 */
/* job_log.h - what one attempt of a job has written, as bytes that only grow.
 *
 * A local command's log is read where its shim writes it, a task's from CloudWatch Logs by way of ecs_log.h.
 * Offsets are bytes of that attempt's log; reading destroys nothing, so any number may read at their own
 * pace.  Secrets are shown as asterisks (job_masks.h), which changes no offset.  What may be the beginning of
 * a secret is not there yet until it is known to be none, or nothing follows any more. */
#ifndef API_JOB_LOG_H
#define API_JOB_LOG_H

#include <microhttpd.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "api/api.h"
#include "job/job.h"

struct job_log;

/* Runs when a task's log may have changed (a file's is only looked at), never from inside a call; the log may
 * be closed in it. */
typedef void job_log_news_fn(void *arg);

/* The log of an attempt, that at hand or an earlier one, of which past is what store_attempts() says; without it
 * only a local command's is found.  news may be NULL.  NULL: nothing is written yet, or it is kept no more. */
struct job_log *job_log_open(struct api *api, const struct job *job, unsigned attempt, const struct store_attempt *past,
	job_log_news_fn *news, void *arg);
/* What was launched last in that attempt, among those of store_attempts(); NULL: nothing, as far as is known. */
const struct store_attempt *job_log_past(const struct store_attempt *attempts, size_t count, unsigned attempt);
/* NULL is allowed. */
void job_log_close(struct job_log *log);
/* How the job is now: that the attempt has ended is learned from here. */
void job_log_look(struct job_log *log, const struct job *job);

unsigned job_log_attempt(const struct job_log *log);
/* Bytes that can be read so far. */
int64_t job_log_size(const struct job_log *log);
/* What it says is as new as it can be: a task's is, once it was looked at since it was opened. */
bool job_log_fresh(const struct job_log *log);
/* What led to the attempt's end can be read. */
bool job_log_ended(const struct job_log *log);
/* Nothing will be added. */
bool job_log_complete(const struct job_log *log);
/* Why it cannot be read; NULL: it can.  Lent. */
const struct error *job_log_trouble(const struct job_log *log);

/* As pread(2), masked; up to size bytes that job_log_size() counts. */
ssize_t job_log_read(const struct job_log *log, char *bytes, size_t size, int64_t offset);
/* An answer with [from, to).  The log is taken.  NULL: no descriptor is left for it. */
struct MHD_Response *job_log_response(struct job_log *take_log, int64_t from, int64_t to);

/* -- results ---------------------------------------------------------------------------------- */

/* What a local command left as its result: a descriptor, the caller's, or -1. */
int job_result_open(const struct job *job);
/* Bytes in a file so far. */
int64_t job_result_size(int fd);

#endif
