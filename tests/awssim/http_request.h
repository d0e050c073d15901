/* SPDX-License-Identifier: Apache-2.0 */
/* http_request.h - one HTTP/1.1 request, read in place.
 * The strings point into the connection's buffer, which the parser cuts up with NULs; they live
 * until the request is answered. */
#ifndef AWSSIM_HTTP_REQUEST_H
#define AWSSIM_HTTP_REQUEST_H

#include <stdbool.h>
#include <stddef.h>

enum {
	LIMIT_HEAD_BYTES = 64 * 1024,
	LIMIT_HEADERS = 64,
	/* A batch of 1 MiB, each byte of it escaped, and some room for the JSON around it. */
	LIMIT_BODY_BYTES = 8 * 1024 * 1024,
};

struct http_header {
	char *name;             /* in lower case */
	char *value;            /* outer blanks removed */
};

struct http_request {
	char *method;
	char *path;             /* as sent, without the query */
	char *query;            /* "" when there is none */
	struct http_header headers[LIMIT_HEADERS];
	unsigned header_count;
	char *body;
	size_t body_bytes;
	size_t head_bytes;
	bool keep_alive;
	bool expects_continue;
};

enum http_parsed {
	HTTP_INCOMPLETE,        /* the head has not ended; nothing was changed */
	HTTP_HEAD_READ,         /* the body starts at head_bytes and has body_bytes */
	HTTP_MALFORMED,
	HTTP_TOO_LARGE,
	HTTP_LENGTH_REQUIRED,   /* a body of unknown length (chunked): not spoken here */
};

enum http_parsed http_request_parse(struct http_request *, char *data, size_t bytes);
/* The buffer has moved: so do the strings in it. */
void http_request_move(struct http_request *, const char *from, char *to);
/* NULL when absent.  The name in lower case. */
const char *http_request_header(const struct http_request *, const char *name);
/* A parameter of the query, percent-decoded into value; false when it is absent or too long. */
bool http_request_parameter(const struct http_request *, const char *name, char *value,
			    size_t room);
/* Decodes %XX and + in place; gives the new length, or -1 for a broken escape. */
long http_decode(char *string, size_t bytes);

#endif
