/* SPDX-License-Identifier: Apache-2.0 */
/* postgresql_server.h - a PostgreSQL server of the test's own, in a scratch folder; as root it runs as another user,
 * as it refuses to run as root. */
#ifndef UNIT_STORE_POSTGRESQL_SERVER_H
#define UNIT_STORE_POSTGRESQL_SERVER_H

#include <libpq-fe.h>
#include <sys/types.h>

struct postgresql_server {
	pid_t pid;              /* 0: not running */
	char folder[64];        /* with its data and its socket */
};

/* Makes its data; does not start it. */
void postgresql_server_init(struct postgresql_server *server);
/* Starts it and waits until it answers. */
void postgresql_server_start(struct postgresql_server *server);
/* Ends it at once, as a crash does: what was committed stays. */
void postgresql_server_stop(struct postgresql_server *server);
void postgresql_server_finish(struct postgresql_server *server);
/* A connection as its superuser, the caller's. */
PGconn *postgresql_server_connect(const struct postgresql_server *server, const char *database);
/* Carries out a statement; fails the test when that fails. */
void postgresql_run(PGconn *conn, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The first column of the first row as a number; -1 when there is no row, or NULL. */
long postgresql_number(PGconn *conn, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
