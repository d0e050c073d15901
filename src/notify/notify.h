/* SPDX-License-Identifier: Apache-2.0 */
/* notify.h - whom we tell.
 *
 * A sink takes notices and says of each whether it has arrived.  Retrying, pacing, ordering and
 * remembering are the caller's: a sink keeps nothing.  Each try of a notice has the same id, so that a receiver can
 * tell a repetition.  Callers include this; adapters fill the table in notify_impl.h. */
#ifndef NOTIFY_NOTIFY_H
#define NOTIFY_NOTIFY_H

#include <ev.h>
#include <jansson.h>
#include <stdint.h>

#include "base/error.h"
#include "base/log.h"
#include "conf/conf.h"

struct notify;
struct aws;
struct http_client;

struct notify_env {
	struct ev_loop *loop;
	const struct log *log;
	struct aws *aws;                /* NULL: no sns */
	/* For peers that must be public, and for those that need not; NULL: no webhook and no slack. */
	struct http_client *http_public, *http_private;
};

/* What is told: gantry(7) has its form. */
struct notice {
	const char *id;                 /* the same in each try, unique over all stores */
	const char *event;              /* "succeeded", ..., "error" */
	const char *target;             /* a URL or address that the job named; NULL: the sink's own */
	const json_t *doc;
	const char *text;               /* doc, as it is sent */
};

/* NULL with ERROR_INVALID when the configuration is unusable.  conf is lent for the life of the sink. */
struct notify *notify_create(const struct conf_sink *conf, const struct notify_env *env, struct error *err);
/* Outstanding completions are dropped. */
void notify_destroy(struct notify *notify);
/* What it is, for the log: "redis"; never its URL, which may hold a password. */
const char *notify_name(const struct notify *notify);
/* Sends a notice (lent for the call); err NULL when it has arrived.  ERROR_INVALID: no other try will do.
 * Anything else may pass, and ERROR_AMBIGUOUS may have arrived.  retry_after_s: what the receiver asks for; 0: nothing. */
typedef void notify_done_fn(void *arg, const struct error *err, double retry_after_s);
void notify_send(struct notify *notify, const struct notice *notice, notify_done_fn *done, void *arg);

#endif
