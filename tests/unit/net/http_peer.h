/* SPDX-License-Identifier: Apache-2.0 */
/* http_peer.h - a scripted HTTP/1.1 server on the test's own loop, good at behaving badly. */
#ifndef TESTS_HTTP_PEER_H
#define TESTS_HTTP_PEER_H

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>

enum peer_act {
	PEER_ANSWER,            /* and keeps the connection */
	PEER_ANSWER_CLOSE,      /* and closes it, without having said so */
	PEER_CLOSE,             /* reads the request, says nothing */
	PEER_RESET,             /* the same, rudely */
	PEER_HANG,              /* reads the request, never answers */
	PEER_TRUNCATE,          /* promises more bytes than it sends, then closes */
	PEER_DRIP,              /* a byte each 50 ms */
	PEER_RAW,               /* body is all that is sent, then closes */
};

struct peer_step {
	enum peer_act act;
	int status;             /* 0: 200 */
	const char *headers;    /* "Name: value\r\n" each; NULL: none */
	const char *body;       /* NULL: empty */
	size_t body_bytes;      /* 0: strlen(body) */
};

struct peer_request {
	char *head;             /* request line and headers */
	char *body;
	unsigned connection;    /* 1 for the first one accepted */
};

struct http_peer {
	struct ev_loop *loop;
	int fd;
	ev_io io;
	unsigned port;
	const struct peer_step *steps;  /* one for each request; the last one stays */
	size_t step_count;
	struct peer_request *requests;
	size_t request_count;
	unsigned connections;           /* accepted so far */
	struct peer_connection *open;
};

void http_peer_init(struct http_peer *peer, struct ev_loop *loop, const struct peer_step *steps, size_t count);
void http_peer_finish(struct http_peer *peer);
/* The value of a header in a request, or NULL; lent until the next call. */
const char *http_peer_header(const struct peer_request *request, const char *name);

#endif
