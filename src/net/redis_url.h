/* SPDX-License-Identifier: Apache-2.0 */
/* redis_url.h - a Redis server's address and credentials, as people write them. */
#ifndef NET_REDIS_URL_H
#define NET_REDIS_URL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

enum {
	REDIS_PORT = 6379,
	LIMIT_REDIS_URL_BYTES = 2048,
	LIMIT_REDIS_DATABASE = 1 << 20,
	REDIS_SENTINEL_PORT = 26379,
	LIMIT_REDIS_SENTINELS = 8,
};

struct redis_address {
	char *host;
	unsigned port;
	bool is_ipv6;
};

struct redis_url {
	char *host;             /* NULL: path, or sentinels */
	unsigned port;
	char *path;             /* of a Unix socket */
	bool tls;
	char *user;             /* NULL: none */
	char *password;         /* secret; NULL: none */
	unsigned database;
	struct redis_address sentinels[LIMIT_REDIS_SENTINELS];  /* who say where the server is */
	size_t sentinel_count;
	char *master;           /* what they call it */
	char *name;             /* the URL without user and password, for people */
};

/* redis://[[user]:password@]host[:port][/database], rediss:// for TLS, unix://[[user]:password@]/path[?db=N], and
 * redis+sentinel://[[user]:password@]host[:port],.../master[/database], whose user and password are the server's.
 * User and password may hold %XX.  ERROR_INVALID, without repeating what may hold a password. */
bool redis_url_parse(struct redis_url *url, const char *text, struct error *err);
void redis_url_finish(struct redis_url *url);

#endif
