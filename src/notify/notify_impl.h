/* SPDX-License-Identifier: Apache-2.0 */
/* notify_impl.h - what an adapter of notify.h fills in. */
#ifndef NOTIFY_NOTIFY_IMPL_H
#define NOTIFY_NOTIFY_IMPL_H

#include "base/list.h"
#include "notify/notify.h"

struct notify_impl {
	const char *name;
	struct notify *(*create)(const struct conf_sink *conf, const struct notify_env *env, struct error *err);
	void (*destroy)(struct notify *notify);
	/* done never from inside. */
	void (*send)(struct notify *notify, const struct notice *notice, notify_done_fn *done, void *arg);
};

/* The first member of every adapter's struct. */
struct notify {
	const struct notify_impl *impl;
	const struct conf_sink *conf;
	struct notify_env env;
	struct list posts;              /* post.c's */
};

extern const struct notify_impl notify_redis, notify_celery, notify_celery_db, notify_webhook, notify_slack, notify_email,
	notify_sns, notify_exec;

#endif
