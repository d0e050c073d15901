/* SPDX-License-Identifier: Apache-2.0 */
/* redis_sentinel.h - which server is the master now, as Sentinels say (redis.io/docs/reference/sentinel-clients).
 *
 * They are asked one after the other until one knows, beginning with the one that knew last.  What it says is no proof: the server is still to be asked
 * for its ROLE. */
#ifndef NET_REDIS_SENTINEL_H
#define NET_REDIS_SENTINEL_H

#include <ev.h>

#include "base/error.h"
#include "base/log.h"
#include "net/redis_url.h"

struct redis_sentinel;
struct redis_switches;

/* host is lent; err is NULL then.  Otherwise none of them knew: ERROR_TEMPORARY. */
typedef void redis_master_fn(void *arg, const char *host, unsigned port, const struct error *err);
/* url and first (the place of the one to begin with, set to that of the one who knew) must outlive it.  done comes
 * once, never from inside this call, and frees it first. */
struct redis_sentinel *redis_sentinel_ask(struct ev_loop *loop, const struct log *log, const struct redis_url *url,
	size_t *first, redis_master_fn *done, void *arg);
/* Listens to the Sentinel at that place, which says at once when another server has become the master: the old one, if
 * it lives, is told only seconds later, and takes till then what is lost.  switched comes each time, and may destroy what
 * this returns; NULL: it cannot be asked. */
typedef void redis_switched_fn(void *arg);
struct redis_switches *redis_sentinel_listen(struct ev_loop *loop, const struct log *log, const struct redis_url *url,
	size_t at, redis_switched_fn *switched, void *arg);
void redis_switches_destroy(struct redis_switches *switches);
/* done does not come any more.  NULL is allowed. */
void redis_sentinel_cancel(struct redis_sentinel *sentinel);

#endif
