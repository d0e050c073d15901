/* SPDX-License-Identifier: Apache-2.0 */
/* http_server.h - a small HTTP/1.1 server on the loop, for speed and for misbehaviour.
 * Each connection has one request at a time.  The handler answers within its call or whenever it
 * likes; a later answer, an abort or the client's leaving ends the exchange, whichever is first. */
#ifndef AWSSIM_HTTP_SERVER_H
#define AWSSIM_HTTP_SERVER_H

#include "http_request.h"

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>

struct http_server;
struct http_exchange;

typedef void http_handle_fn(void *arg, struct http_exchange *);
typedef void http_gone_fn(void *arg);

struct http_answer {
	int status;
	const char *content_type;       /* NULL: no such header */
	const char *headers;            /* more header lines, each with its CRLF; NULL: none */
	const void *body;
	size_t bytes;
	size_t promised_bytes;          /* Content-Length, when it shall not be bytes; 0: bytes */
	size_t drip_bytes;              /* so many at a time; 0: all at once */
	unsigned drip_ms;               /* the pause between them */
	bool close;                     /* the connection ends after the last byte */
};

/* Listens on 127.0.0.1; port 0 takes a free one.  NULL with errno set when it can't. */
struct http_server *http_server_create(struct ev_loop *, unsigned short port, http_handle_fn *,
				       void *arg);
void http_server_destroy(struct http_server *);
unsigned short http_server_port(const struct http_server *);
unsigned long http_server_connections(const struct http_server *);      /* accepted so far */
/* The Date header of later answers shows this time, seconds since 1970. */
void http_server_set_date(struct http_server *, long wall_s);

/* Valid until the exchange ends. */
const struct http_request *http_exchange_request(const struct http_exchange *);
/* Tells once when the client leaves before its answer; NULL takes the wish back. */
void http_exchange_watch(struct http_exchange *, http_gone_fn *, void *arg);
void http_exchange_answer(struct http_exchange *, const struct http_answer *);
/* Closes the connection without an answer. */
void http_exchange_abort(struct http_exchange *);

#endif
