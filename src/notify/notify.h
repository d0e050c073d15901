/* SPDX-License-Identifier: Apache-2.0 */
/* notify.h - whom we tell.
 *
 * A sink takes one JSON text at a time and says whether it has arrived.  Retrying, ordering and
 * remembering are the caller's: a sink keeps nothing.  Callers include this; adapters fill the
 * table in notify_impl.h. */
#ifndef NOTIFY_NOTIFY_H
#define NOTIFY_NOTIFY_H

#include <ev.h>

#include "base/error.h"
#include "base/log.h"
#include "conf/conf.h"

struct notify;

struct notify_env {
	struct ev_loop *loop;
	const struct log *log;
};

/* NULL with ERROR_INVALID when the configuration's url is unusable. */
struct notify *notify_create(const struct conf_sink *conf, const struct notify_env *env, struct error *err);
/* Outstanding completions are dropped. */
void notify_destroy(struct notify *notify);
/* What it is, for the log: "redis"; never its URL, which may hold a password. */
const char *notify_name(const struct notify *notify);
/* Sends text (copied); err NULL when it has arrived.  ERROR_AMBIGUOUS: it may have. */
typedef void notify_done_fn(void *arg, const struct error *err);
void notify_send(struct notify *notify, const char *text, notify_done_fn *done, void *arg);

#endif
