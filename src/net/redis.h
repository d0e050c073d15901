/* SPDX-License-Identifier: Apache-2.0 */
/* redis.h - one connection to a Redis server, on the loop.
 *
 * hiredis is used as the codec only; connecting, names (c-ares), TLS and timeouts are ours, so that nothing waits.
 * The connection is made when there is something to say and made again, with backoff, after it broke. */
#ifndef NET_REDIS_H
#define NET_REDIS_H

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "base/log.h"

struct redis;
struct redisReply;

enum {
	LIMIT_REDIS_PENDING = 10000,    /* commands waiting for an answer */
	REDIS_TIMEOUT_S = 5,            /* to connect, and for an answer */
};

/* url: redis://[user:password@]host[:port][/database], rediss:// for TLS, unix:///path[?db=N],
 * redis+sentinel://[user:password@]host[:port],.../master[/database]: the master that these Sentinels name.
 * NULL with ERROR_INVALID when it is none; the text never holds the password. */
struct redis *redis_create(struct ev_loop *loop, const struct log *log, const char *url, struct error *err);
/* Outstanding completions are dropped. */
void redis_destroy(struct redis *redis);
/* err NULL and the reply (lent) when the server answered without an error; ERROR_TEMPORARY: not connected, the
 * connection broke before the command was sent, or the server cannot now (LOADING, READONLY, OOM and the like);
 * ERROR_AMBIGUOUS: it broke after; ERROR_REFUSED: the server wants other credentials, or has no such database;
 * ERROR_INVALID: any other error of the server.  The code is the first word of the server's error. */
typedef void redis_done_fn(void *arg, const struct redisReply *reply, const struct error *err);
/* It rests no longer than this between two tries to connect; else up to half a minute. */
void redis_hurry(struct redis *redis, double rest_most_s);
/* A connection that listens to channels and is made again for as long as it lives.  heard comes with each message,
 * and with text NULL when the server listens for us from now on: what was said before that is missed.  It may
 * destroy redis.  Takes no commands. */
typedef void redis_heard_fn(void *arg, const char *channel, const char *text);
struct redis *redis_subscribe(struct ev_loop *loop, const struct log *log, const char *url,
	const char *const *channels, size_t count, redis_heard_fn *heard, void *arg, struct error *err);
/* argl may be NULL for texts.  done comes once, never from inside this call; it may destroy redis.  A command waits
 * for a connection, and then for its answer, REDIS_TIMEOUT_S each at most. */
void redis_command(struct redis *redis, int argc, const char *const *argv, const size_t *argl,
	redis_done_fn *done, void *arg);

#endif
