/* SPDX-License-Identifier: Apache-2.0 */
/* job_print.h - a job as it goes on, for people or as lines of JSON.  Private to src/ctl. */
#ifndef CTL_JOB_PRINT_H
#define CTL_JOB_PRINT_H

#include "ctl/ctl.h"
#include "job/job.h"

/* A piece of a log, as it is, or {"event":"log","attempt","offset","text"}.  False when standard output takes no more. */
bool job_print_log(const struct ctl *ctl, unsigned attempt, int64_t offset, const char *bytes, size_t size);
/* "ID: failed: why", or {"event":"state","id","state","reason","detail","attempt","exit_code"}. */
bool job_print_state(const struct ctl *ctl, const struct job *job);

enum {
	JOB_STATUS_OWN_MAX = 125,       /* a deployment's own exit code, 1 to this */
	JOB_STATUS_CANCELLED = 201,
	JOB_STATUS_SUPERSEDED = 202,
	JOB_STATUS_UNCERTAIN = 203,
	JOB_STATUS_TIMEOUT = 204,
	JOB_STATUS_NO_CODE = 205,       /* it failed, and not by an exit code */
};

/* The exit status that stands for how a job ended. */
int job_exit_status(const struct job *job);

#endif
