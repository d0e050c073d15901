/* SPDX-License-Identifier: Apache-2.0 */
/* celery_meta.h - a notice as what Celery's AsyncResult reads (celery/backends/base.py, version 5), wherever its
 * backend keeps that. */
#ifndef NOTIFY_CELERY_META_H
#define NOTIFY_CELERY_META_H

#include <stdbool.h>

#include "notify/notify.h"

struct celery_meta {
	const char *task_id;            /* lent by the notice */
	const char *status;
	bool final;                     /* the task has ended */
	json_t *result;                 /* the job's record, or the exception that is raised, in Celery's JSON */
	char *traceback;                /* why it failed, and the end of its log; NULL: it did not */
	const char *done;               /* when it ended, ISO 8601 in UTC; NULL: it has not; lent by the notice */
	unsigned retries;               /* attempts before this one */
};

/* False when the notice is of no job, or of nothing that Celery has a state for. */
bool celery_meta_make(struct celery_meta *meta, const struct notice *notice);
void celery_meta_finish(struct celery_meta *meta);
/* As JSON, for backends of keys and values; the caller's to free. */
char *celery_meta_text(const struct celery_meta *meta);
/* Where it is kept and published there, the caller's to free. */
char *celery_meta_key(const struct celery_meta *meta);

#endif
