/* SPDX-License-Identifier: Apache-2.0 */
/* notify_redis.c - publishes to a channel and pushes on a capped list.
 *
 * PUBLISH reaches who listens now, the list keeps the newest `keep` for who comes later.  The commands go
 * out together; the text has arrived when the last of them was answered without an error.  A
 * repeat after a broken connection may show a text twice: each carries its id. */
#include "notify/notify_impl.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/list.h"
#include "base/mem.h"
#include "net/redis.h"

struct notify_redis {
	struct notify base;
	struct redis *redis;
	const struct conf_sink *conf;
	struct list sendings;           /* struct sending, by link */
};

/* One text on its way. */
struct sending {
	struct list link;               /* in notify_redis.sendings */
	unsigned outstanding;           /* commands without an answer */
	struct error error;             /* of the first that failed */
	notify_done_fn *done;
	void *arg;
};

static struct notify *create(const struct conf_sink *conf, const struct notify_env *env, struct error *err)
{
	struct notify_redis *sink = xnew(struct notify_redis);

	sink->conf = conf;
	list_init(&sink->sendings);
	sink->redis = redis_create(env->loop, env->log, conf->url, err);
	if (sink->redis == NULL) {
		free(sink);
		return NULL;
	}
	return &sink->base;
}

static void destroy(struct notify *notify)
{
	struct notify_redis *sink = (struct notify_redis *)notify;
	struct sending *sending, *next;

	list_each_safe(sending, next, &sink->sendings, link)
		free(sending);
	redis_destroy(sink->redis);
	free(sink);
}

static void on_answer(void *arg, const struct redisReply *reply, const struct error *err)
{
	struct sending *sending = arg;

	(void)reply;
	if (err != NULL && sending->error.kind == ERROR_NONE)
		sending->error = *err;
	if (--sending->outstanding > 0)
		return;
	list_remove(&sending->link);
	sending->done(sending->arg, sending->error.kind != ERROR_NONE ? &sending->error : NULL);
	free(sending);
}

static void command(struct notify_redis *sink, struct sending *sending, int argc, const char *const *argv)
{
	sending->outstanding++;
	redis_command(sink->redis, argc, argv, NULL, on_answer, sending);
}

static void send_text(struct notify *notify, const char *text, notify_done_fn *done, void *arg)
{
	struct notify_redis *sink = (struct notify_redis *)notify;
	const struct conf_sink *conf = sink->conf;
	struct sending *sending = xnew(struct sending);
	char last[16];

	list_append(&sink->sendings, &sending->link);
	sending->done = done;
	sending->arg = arg;
	if (conf->list != NULL) {
		snprintf(last, sizeof(last), "%u", conf->keep > 0 ? conf->keep - 1 : 0);
		command(sink, sending, 3, (const char *[]){ "LPUSH", conf->list, text });
		command(sink, sending, 4, (const char *[]){ "LTRIM", conf->list, "0", last });
	}
	if (conf->channel != NULL)
		command(sink, sending, 3, (const char *[]){ "PUBLISH", conf->channel, text });
}

const struct notify_impl notify_redis = {
	.name = "redis",
	.create = create,
	.destroy = destroy,
	.send = send_text,
};
