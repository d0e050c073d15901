/* SPDX-License-Identifier: Apache-2.0 */
/* redis_sentinel.c - see redis_sentinel.h. */
#include "net/redis_sentinel.h"

#include <hiredis/hiredis.h>
#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "base/mem.h"
#include "net/redis.h"

struct redis_sentinel {
	struct ev_loop *loop;
	struct log log;
	const struct redis_url *url;
	size_t *first;                  /* lent */
	size_t at;                      /* of url->sentinels: who is being asked */
	size_t asked;                   /* how many so far */
	struct redis *redis;            /* to the one that is being asked */
	struct error why;               /* of the last one */
	ev_timer turn;                  /* asks the next, outside of the answer of the one before */
	redis_master_fn *done;
	void *arg;
};

static void tell(struct redis_sentinel *sentinel, const char *host, unsigned port, const struct error *err)
{
	redis_master_fn *done = sentinel->done;
	void *arg = sentinel->arg;
	char *name = host != NULL ? xstrdup(host) : NULL;
	struct error why = err != NULL ? *err : (struct error){ 0 };

	redis_sentinel_cancel(sentinel);
	done(arg, name, port, err != NULL ? &why : NULL);
	free(name);
}

/* ["address", "port"], or nil when it watches no such master. */
static bool is_address(const redisReply *reply, unsigned *port)
{
	char *end;
	unsigned long number;

	if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 || reply->element[0]->type != REDIS_REPLY_STRING ||
	    reply->element[1]->type != REDIS_REPLY_STRING || reply->element[0]->str[0] == '\0')
		return false;
	number = strtoul(reply->element[1]->str, &end, 10);
	*port = (unsigned)number;
	return end != reply->element[1]->str && *end == '\0' && number > 0 && number <= 65535;
}

static void on_answer(void *arg, const struct redisReply *reply, const struct error *err)
{
	struct redis_sentinel *sentinel = arg;
	unsigned port;

	if (err == NULL && is_address(reply, &port)) {
		*sentinel->first = sentinel->at;
		tell(sentinel, reply->element[0]->str, port, NULL);
		return;
	}
	if (err != NULL)
		sentinel->why = *err;
	else
		error_set(&sentinel->why, ERROR_TEMPORARY, "sentinel %s:%u knows no master \"%s\"",
			sentinel->url->sentinels[sentinel->at].host, sentinel->url->sentinels[sentinel->at].port,
			sentinel->url->master);
	ev_timer_start(sentinel->loop, &sentinel->turn);
}

static char *url_of(const struct redis_address *address)
{
	return xasprintf(address->is_ipv6 ? "redis://[%s]:%u" : "redis://%s:%u", address->host, address->port);
}

static void ask_next(struct redis_sentinel *sentinel)
{
	char *url;

	sentinel->at = (*sentinel->first + sentinel->asked++) % sentinel->url->sentinel_count;
	url = url_of(&sentinel->url->sentinels[sentinel->at]);
	redis_destroy(sentinel->redis);
	sentinel->redis = redis_create(sentinel->loop, &sentinel->log, url, &sentinel->why);
	free(url);
	if (sentinel->redis == NULL) {
		ev_timer_start(sentinel->loop, &sentinel->turn);
		return;
	}
	redis_command(sentinel->redis, 3,
		(const char *[]){ "SENTINEL", "GET-MASTER-ADDR-BY-NAME", sentinel->url->master }, NULL, on_answer, sentinel);
}

static void on_turn(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct redis_sentinel *sentinel = container_of(timer, struct redis_sentinel, turn);

	(void)loop, (void)revents;
	if (sentinel->asked < sentinel->url->sentinel_count) {
		ask_next(sentinel);
		return;
	}
	sentinel->why.kind = ERROR_TEMPORARY;
	tell(sentinel, NULL, 0, &sentinel->why);
}

struct redis_sentinel *redis_sentinel_ask(struct ev_loop *loop, const struct log *log, const struct redis_url *url,
	size_t *first, redis_master_fn *done, void *arg)
{
	struct redis_sentinel *sentinel = xnew(struct redis_sentinel);

	sentinel->loop = loop;
	sentinel->log = *log;
	sentinel->url = url;
	sentinel->first = first;
	sentinel->done = done;
	sentinel->arg = arg;
	ev_timer_init(&sentinel->turn, on_turn, 0., 0.);
	ev_timer_start(loop, &sentinel->turn);
	return sentinel;
}

void redis_sentinel_cancel(struct redis_sentinel *sentinel)
{
	if (sentinel == NULL)
		return;
	redis_destroy(sentinel->redis);
	ev_timer_stop(sentinel->loop, &sentinel->turn);
	free(sentinel);
}

/* -- what they say by themselves ------------------------------------------------------------------ */

struct redis_switches {
	const char *master;             /* lent */
	struct redis *redis;
	redis_switched_fn *switched;
	void *arg;
};

/* "NAME OLD-ADDRESS OLD-PORT NEW-ADDRESS NEW-PORT"; NULL: it listens from now on. */
static void on_heard(void *arg, const char *channel, const char *text)
{
	struct redis_switches *switches = arg;
	size_t len = strlen(switches->master);

	(void)channel;
	if (text != NULL && strncmp(text, switches->master, len) == 0 && text[len] == ' ')
		switches->switched(switches->arg);
}

struct redis_switches *redis_sentinel_listen(struct ev_loop *loop, const struct log *log, const struct redis_url *url,
	size_t at, redis_switched_fn *switched, void *arg)
{
	struct redis_switches *switches = xnew(struct redis_switches);
	char *address = url_of(&url->sentinels[at]);
	struct error ignored;

	switches->master = url->master;
	switches->switched = switched;
	switches->arg = arg;
	switches->redis = redis_subscribe(loop, log, address, (const char *[]){ "+switch-master" }, 1, on_heard, switches,
		&ignored);
	free(address);
	if (switches->redis != NULL)
		return switches;
	free(switches);
	return NULL;
}

void redis_switches_destroy(struct redis_switches *switches)
{
	if (switches == NULL)
		return;
	redis_destroy(switches->redis);
	free(switches);
}
