/* SPDX-License-Identifier: Apache-2.0 */
/* celery_pickle.h - plain values as Python's pickle (protocol 2, pickletools), in which Celery's database backend
 * keeps results.
 *
 * Only what JSON knows: nothing in it makes who loads it call anything. */
#ifndef NOTIFY_CELERY_PICKLE_H
#define NOTIFY_CELERY_PICKLE_H

#include <jansson.h>
#include <stdbool.h>

#include "base/buf.h"

/* False when it does not fit into out. */
bool celery_pickle(const json_t *value, struct buf *out);

#endif
