/* SPDX-License-Identifier: Apache-2.0 */
/* postgresql_url.h - a PostgreSQL server's address and credentials, as libpq understands them. */
#ifndef NET_POSTGRESQL_URL_H
#define NET_POSTGRESQL_URL_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "base/log.h"

enum {
	POSTGRESQL_STATEMENT_MS = 15000,        /* the server gives up a statement by itself after that */
	POSTGRESQL_CONNECT_S = 10,
};

struct postgresql_url {
	const struct log *log;          /* lent: what the server says beside its answers */
	PQconninfoOption *given;        /* taken apart; holds the password */
	char *name;                     /* server and database, for people */
	size_t hosts;                   /* of so many a name may have to be looked up */
};

/* Where names have led to: lists with commas, of one length. */
struct postgresql_addresses {
	char *hosts, *addresses, *ports;        /* addresses: empty parts are for libpq to see what host is */
};

/* ERROR_INVALID, without repeating what may hold a password. */
bool postgresql_url_parse(struct postgresql_url *url, const struct log *log, const char *text, struct error *err);
void postgresql_url_finish(struct postgresql_url *url);
/* The n-th host of the URL, the caller's; *resolve: it is a name, and not a directory or an address. */
char *postgresql_url_host(const struct postgresql_url *url, size_t n, bool *resolve);
char *postgresql_url_port(const struct postgresql_url *url, size_t n);
/* Starts to connect; found NULL: to where the URL says.  url must outlive the connection. */
PGconn *postgresql_connect_start(const struct postgresql_url *url, const struct postgresql_addresses *found);
/* Connects, and waits; looks up names as libpq does. */
PGconn *postgresql_connect(const struct postgresql_url *url);
/* What the server or libpq said first, in one line. */
void postgresql_message(const char *text, char *line, size_t room);

#endif
