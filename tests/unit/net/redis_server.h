/* SPDX-License-Identifier: Apache-2.0 */
/* redis_server.h - a redis-server of the test's own, in a scratch folder. */
#ifndef TESTS_REDIS_SERVER_H
#define TESTS_REDIS_SERVER_H

#include <stdbool.h>
#include <sys/types.h>

enum { REDIS_SERVER_ARGS = 32 };

struct redis_server {
	pid_t pid;              /* 0: not running */
	char folder[64];
	char *unix_url;         /* "unix:///...?db=0" */
	unsigned port, tls_port;        /* 0: not asked for */
	char *ca_file;          /* that signed the TLS certificate of "localhost" */
	bool keeps;             /* set before the start: an append-only file, so that a killed one has lost nothing */
};

/* Makes the scratch folder; tls: also a key and a certificate.  Does not start it. */
void redis_server_init(struct redis_server *server, bool network, bool tls);
/* Starts it; password NULL: none.  It may not answer at once. */
void redis_server_start(struct redis_server *server, const char *password);
/* Waits until it answers on its Unix socket, its data loaded; it has no password. */
void redis_server_await(const struct redis_server *server);
void redis_server_kill(struct redis_server *server);
void redis_server_finish(struct redis_server *server);

#endif
