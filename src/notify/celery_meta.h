/* SPDX-License-Identifier: Apache-2.0 */
/* celery_meta.h - a notice as what Celery's AsyncResult reads (celery/backends/base.py, version 5):
 * the JSON under "celery-task-meta-ID". */
#ifndef NOTIFY_CELERY_META_H
#define NOTIFY_CELERY_META_H

#include <stdbool.h>

#include "notify/notify.h"

/* JSON text, the caller's to free; NULL when the notice is of no job.  *final: the task has ended. */
char *celery_meta(const struct notice *notice, bool *final);
/* Where it is kept and published, the caller's to free. */
char *celery_meta_key(const struct notice *notice);

#endif
