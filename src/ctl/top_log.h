/* SPDX-License-Identifier: Apache-2.0 */
/* top_log.h - the last lines of a job's log, as it grows.  Private to src/ctl. */
#ifndef CTL_TOP_LOG_H
#define CTL_TOP_LOG_H

#include "base/buf.h"
#include "ctl/job_follow.h"

enum { TOP_LOG_LINES = 5000, LIMIT_TOP_LINE_BYTES = 4096 };

struct top_log {
	struct job_follow *follow;
	char *id;
	char *lines[TOP_LOG_LINES];     /* a ring */
	size_t first, count;
	struct buf line;                /* begun */
	size_t back;                    /* how many lines above the end is shown; 0: it follows */
	char state[32];                 /* of the job */
	char *trouble;
	void (*changed)(void *arg);
	void *arg;
};

struct top_log *top_log_create(const struct log_source_env *env, struct store *store, const char *id,
	void (*changed)(void *arg), void *arg);
/* NULL is allowed. */
void top_log_destroy(struct top_log *log);
/* The at-th line from the oldest on. */
const char *top_log_line(const struct top_log *log, size_t at);
/* up > 0: to older lines. */
void top_log_scroll(struct top_log *log, long up, size_t rows);

#endif
