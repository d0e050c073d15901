/* SPDX-License-Identifier: Apache-2.0 */
/* log_source.h - the log of one attempt, read from its start.  Private to src/ctl.
 *
 * A local command's log is the file on this host, which needs no gantry-api and no daemon.  What is not here, or may
 * not be read by whoever asks, is had from gantry-api: the log of an ECS task, of another host, of another user. */
#ifndef CTL_LOG_SOURCE_H
#define CTL_LOG_SOURCE_H

#include <ev.h>
#include <stdint.h>

#include "base/error.h"
#include "base/log.h"
#include "conf/conf.h"
#include "job/job.h"

struct log_source;

struct log_source_env {
	struct ev_loop *loop;
	const struct log *log;
	const struct conf *conf;
};

/* The next bytes, lent; size 0: that is all for now.  ERROR_TEMPORARY: may work later, from the same place;
 * ERROR_LOST: it can't be had any more, other attempts' may; other errors: it can't be had. */
typedef void log_source_fn(void *arg, const char *bytes, size_t size, const struct error *err);

/* Of an attempt of the job with this handle; what is kept out of logs (job_masks.h) is kept out of a file's, too. */
struct log_source *log_source_create(const struct log_source_env *env, const struct job *job, unsigned attempt,
	const char *handle);
/* A pull under way is forgotten.  NULL is allowed. */
void log_source_destroy(struct log_source *source);
/* One at a time.  ended: the attempt has, so nothing will be added to a file. */
void log_source_pull(struct log_source *source, bool ended, log_source_fn *done, void *arg);
/* Of the bytes that come next. */
int64_t log_source_offset(const struct log_source *source);
/* After an empty pull, of an attempt that has ended: whether that really was all.  What a task wrote last may reach
 * us after its end. */
bool log_source_complete(const struct log_source *source);

#endif
