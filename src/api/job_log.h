/* SPDX-License-Identifier: Apache-2.0 */
/* job_log.h - what a deployment has written, as a file that only grows.
 *
 * A local command's log is read where its shim writes it.  Offsets are bytes of the present attempt's log;
 * reading destroys nothing, so any number may read at their own pace. */
#ifndef API_JOB_LOG_H
#define API_JOB_LOG_H

#include <stdint.h>

#include "job/job.h"

/* A descriptor, the caller's, or -1: nothing is written yet, or it is kept no more. */
int job_log_open(const struct job *job);
/* What the deployment left as its result; -1 likewise. */
int job_log_open_result(const struct job *job);
/* Bytes in the file so far. */
int64_t job_log_size(int fd);

#endif
