/* SPDX-License-Identifier: Apache-2.0 */
/* notify_redis.c - publishes to a channel, pushes on a capped list, sets a key.
 *
 * PUBLISH reaches who listens now, the list keeps the newest `keep` for who comes later, the key has the newest for
 * who asks after one job.  The commands go
 * out together; the text has arrived when the last of them was answered without an error.  A
 * repeat after a broken connection may show a text twice: each carries its id. */
#include "notify/notify_impl.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/list.h"
#include "base/mem.h"
#include "net/redis.h"
#include "notify/celery_meta.h"
#include "notify/notice_text.h"

struct notify_redis {
	struct notify base;
	struct redis *redis;
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
	/* What the server holds against a command today it may take tomorrow. */
	if (sending->error.kind == ERROR_INVALID)
		sending->error.kind = ERROR_REFUSED;
	sending->done(sending->arg, sending->error.kind != ERROR_NONE ? &sending->error : NULL, 0);
	free(sending);
}

static void command(struct notify_redis *sink, struct sending *sending, int argc, const char *const *argv)
{
	sending->outstanding++;
	redis_command(sink->redis, argc, argv, NULL, on_answer, sending);
}

static void set_key(struct notify_redis *sink, struct sending *sending, const struct notice *notice)
{
	const struct conf_sink *conf = sink->base.conf;
	char *key = notice_text_line(notice->doc, conf->key);
	char ttl[24];

	snprintf(ttl, sizeof(ttl), "%lld", (long long)conf->ttl_ms);
	if (conf->ttl_ms > 0)
		command(sink, sending, 5, (const char *[]){ "SET", key, notice->text, "PX", ttl });
	else
		command(sink, sending, 3, (const char *[]){ "SET", key, notice->text });
	free(key);
}

/* What only begins, or is tried again, must not come after what has ended. */
static const char set_unless_ended[] =
	"local was = redis.call('GET', KEYS[1])\n"
	"if was then\n"
	"  local ok, meta = pcall(cjson.decode, was)\n"
	"  local status = ok and type(meta) == 'table' and meta.status\n"
	"  if status == 'SUCCESS' or status == 'FAILURE' or status == 'REVOKED' then\n"
	"    return 0\n"
	"  end\n"
	"end\n"
	"redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])\n"
	"redis.call('PUBLISH', KEYS[1], ARGV[1])\n"
	"return 1";

static void set_meta(struct notify_redis *sink, struct sending *sending, const struct celery_meta *meta)
{
	char *key = celery_meta_key(meta), *text = celery_meta_text(meta), ttl[24];

	snprintf(ttl, sizeof(ttl), "%lld", (long long)sink->base.conf->ttl_ms);
	if (meta->final) {
		command(sink, sending, 5, (const char *[]){ "SET", key, text, "PX", ttl });
		command(sink, sending, 3, (const char *[]){ "PUBLISH", key, text });
	} else {
		command(sink, sending, 6, (const char *[]){ "EVAL", set_unless_ended, "1", key, text, ttl });
	}
	free(text);
	free(key);
}

/* The way of Celery's own backend. */
static void send_meta(struct notify *notify, const struct notice *notice, notify_done_fn *done, void *arg)
{
	struct notify_redis *sink = (struct notify_redis *)notify;
	struct sending *sending = xnew(struct sending);
	struct celery_meta meta;

	list_append(&sink->sendings, &sending->link);
	sending->done = done;
	sending->arg = arg;
	if (celery_meta_make(&meta, notice)) {
		set_meta(sink, sending, &meta);
		celery_meta_finish(&meta);
	} else {
		command(sink, sending, 1, (const char *[]){ "PING" });
	}
}

static void send_notice(struct notify *notify, const struct notice *notice, notify_done_fn *done, void *arg)
{
	struct notify_redis *sink = (struct notify_redis *)notify;
	const struct conf_sink *conf = notify->conf;
	struct sending *sending = xnew(struct sending);
	char last[16];

	list_append(&sink->sendings, &sending->link);
	sending->done = done;
	sending->arg = arg;
	if (conf->key != NULL)
		set_key(sink, sending, notice);
	if (conf->list != NULL) {
		snprintf(last, sizeof(last), "%u", conf->keep > 0 ? conf->keep - 1 : 0);
		command(sink, sending, 3, (const char *[]){ "LPUSH", conf->list, notice->text });
		command(sink, sending, 4, (const char *[]){ "LTRIM", conf->list, "0", last });
	}
	if (conf->channel != NULL)
		command(sink, sending, 3, (const char *[]){ "PUBLISH", conf->channel, notice->text });
}

const struct notify_impl notify_celery = {
	.name = "celery",
	.create = create,
	.destroy = destroy,
	.send = send_meta,
};

const struct notify_impl notify_redis = {
	.name = "redis",
	.create = create,
	.destroy = destroy,
	.send = send_notice,
};
