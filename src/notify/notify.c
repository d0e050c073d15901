/* SPDX-License-Identifier: Apache-2.0 */
/* notify.c - picks the adapter; see notify.h. */
#include "config.h"

#include "notify/notify.h"

#include <string.h>

#include "notify/notify_impl.h"

static const struct notify_impl *const impls[CONF_SINK_TYPES] = {
	[CONF_SINK_REDIS] = &notify_redis, [CONF_SINK_WEBHOOK] = &notify_webhook, [CONF_SINK_EMAIL] = &notify_email,
	[CONF_SINK_SNS] = &notify_sns,     [CONF_SINK_SLACK] = &notify_slack,     [CONF_SINK_EXEC] = &notify_exec,
	[CONF_SINK_CELERY] = &notify_celery,
};

/* Celery's clients have more than one kind of place where they look for results. */
static const struct notify_impl *impl_of(const struct conf_sink *conf)
{
#ifdef WITH_POSTGRESQL
	if (conf->type == CONF_SINK_CELERY && strncmp(conf->url, "db+", 3) == 0)
		return &notify_celery_db;
#endif
	return impls[conf->type];
}

struct notify *notify_create(const struct conf_sink *conf, const struct notify_env *env, struct error *err)
{
	const struct notify_impl *impl = impl_of(conf);
	struct notify *notify = impl->create(conf, env, err);

	if (notify == NULL)
		return NULL;
	notify->impl = impl;
	notify->conf = conf;
	notify->env = *env;
	list_init(&notify->posts);
	return notify;
}

void notify_destroy(struct notify *notify)
{
	if (notify != NULL)
		notify->impl->destroy(notify);
}

const char *notify_name(const struct notify *notify)
{
	return notify->impl->name;
}

void notify_send(struct notify *notify, const struct notice *notice, notify_done_fn *done, void *arg)
{
	notify->impl->send(notify, notice, done, arg);
}
