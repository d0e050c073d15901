/* SPDX-License-Identifier: Apache-2.0 */
/* redis_url.h - a Redis server's address and credentials, as people write them. */
#ifndef NET_REDIS_URL_H
#define NET_REDIS_URL_H

#include <stdbool.h>

#include "base/error.h"

enum {
	REDIS_PORT = 6379,
	LIMIT_REDIS_URL_BYTES = 2048,
	LIMIT_REDIS_DATABASE = 1 << 20,
};

struct redis_url {
	char *host;             /* NULL: path */
	unsigned port;
	char *path;             /* of a Unix socket */
	bool tls;
	char *user;             /* NULL: none */
	char *password;         /* secret; NULL: none */
	unsigned database;
	char *name;             /* the URL without user and password, for people */
};

/* redis://[[user]:password@]host[:port][/database], rediss:// for TLS, unix://[[user]:password@]/path[?db=N].
 * User and password may hold %XX.  ERROR_INVALID, without repeating what may hold a password. */
bool redis_url_parse(struct redis_url *url, const char *text, struct error *err);
void redis_url_finish(struct redis_url *url);

#endif
