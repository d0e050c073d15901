/* SPDX-License-Identifier: Apache-2.0 */
/* log_wait.h - a request that waits until a job's log is as new as it can be.
 *
 * A local command's is at once.  A task's waits for one look at CloudWatch Logs, which all who come at that
 * time share, but not for ever: job_log_fresh() tells. */
#ifndef API_LOG_WAIT_H
#define API_LOG_WAIT_H

#include "api/api.h"
#include "api/job_log.h"
#include "api/request.h"

/* Answers the request.  The log, NULL when nothing is written yet, is taken; the job is lent. */
typedef void log_wait_fn(struct api *api, struct request *request, const struct job *job, struct job_log *take_log);
/* For the log of an attempt of the job, that at hand or an earlier one.  fn runs once, maybe at once, unless the
 * client goes before. */
void log_wait(struct api *api, struct request *request, const struct job *job, unsigned attempt, log_wait_fn *fn);

/* Why there is no log to answer with, into err; false: there is one.  What was read before is as good as it was. */
bool log_wait_failed(const struct job_log *log, struct error *err);

#endif
