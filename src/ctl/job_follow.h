/* SPDX-License-Identifier: Apache-2.0 */
/* job_follow.h - a job's states and what its attempts write, until it has ended.  Private to src/ctl.
 *
 * The store says how the job goes, a log_source what an attempt wrote.  Attempts are read to their ends, one after the
 * other; the job is over when the log of its last one is.  Nothing is lost or told twice while gantryd or gantry-api
 * are reloaded, stopped or started under it. */
#ifndef CTL_JOB_FOLLOW_H
#define CTL_JOB_FOLLOW_H

#include "ctl/log_source.h"
#include "store/store.h"

struct job_follow;

/* Each may destroy the follow.  Texts and jobs are lent. */
struct job_follow_events {
	/* At first, and whenever state or attempt have changed; NULL: not of interest. */
	void (*state)(void *arg, const struct job *job);
	/* Bytes of an attempt's log from offset on; NULL: the log is not of interest. */
	void (*log)(void *arg, unsigned attempt, int64_t offset, const char *bytes, size_t size);
	/* Why the log can't be read, for people; once for each reason. */
	void (*trouble)(void *arg, const char *text);
	/* Last, once.  job: as it ended, or with `once` as it is; NULL with err when it can't be followed. */
	void (*over)(void *arg, const struct job *job, const struct error *err);
};

struct job_follow_options {
	bool once;                      /* only what is there now */
	bool awaited;                   /* it may not be in the store yet */
	bool whole;                     /* the logs of all attempts; else from the present one on */
	unsigned attempt;               /* only this one; 0: see whole */
};

/* id, store and env's parts are lent for its life. */
struct job_follow *job_follow_create(const struct log_source_env *env, struct store *store, const char *id,
	const struct job_follow_options *options, const struct job_follow_events *events, void *arg);
/* NULL is allowed.  The store is closed after it. */
void job_follow_destroy(struct job_follow *follow);

#endif
