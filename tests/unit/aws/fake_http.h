/* SPDX-License-Identifier: Apache-2.0 */
/* fake_http.h - net/http_client.h without a network, for the code that decides what to ask and what an
 * answer means.  A test gives one function that answers; every request is kept for inspection. */
#ifndef UNIT_AWS_FAKE_HTTP_H
#define UNIT_AWS_FAKE_HTTP_H

#include <ev.h>

#include "base/error.h"
#include "net/http_client.h"

enum { FAKE_HTTP_REQUESTS = 256, FAKE_HTTP_HEADERS = 8 };

struct fake_request {
	char *method, *url, *body;
	char *headers[FAKE_HTTP_HEADERS + 1];
	bool direct;
	bool cancelled;
};

struct fake_answer {
	long status;                    /* 0: no answer, see kind */
	enum error_kind kind;
	const char *body;               /* NULL: empty */
	const char *headers[4];         /* "Name: value" */
	bool silent;                    /* never answers */
};

typedef void fake_http_fn(const struct fake_request *request, struct fake_answer *answer);

struct fake_http {
	struct http_client *client;
	struct fake_request requests[FAKE_HTTP_REQUESTS];
	size_t count;
	size_t open;                    /* begun and neither answered nor cancelled */
};

/* One at a time. */
void fake_http_init(struct fake_http *fake, struct ev_loop *loop, fake_http_fn *answer);
void fake_http_finish(struct fake_http *fake);
/* Frees what was kept of the requests so far. */
void fake_http_forget(struct fake_http *fake);
/* The value of a request's header, or NULL. */
const char *fake_request_header(const struct fake_request *request, const char *name);

#endif
