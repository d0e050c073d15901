/* SPDX-License-Identifier: Apache-2.0 */
/* metadata.h - one request to a metadata service on this host: never through a proxy, short, repeated.
 *
 * A call lives inside its owner, who starts it again when it has completed. */
#ifndef AWS_METADATA_H
#define AWS_METADATA_H

#include <ev.h>

#include "base/error.h"
#include "net/http_client.h"

enum { METADATA_HEADERS = 2 };

struct metadata_request {
	const char *method;
	const char *url;
	const char *headers[METADATA_HEADERS + 1];      /* "Name: value" lines, NULL at the end; may hold secrets */
	unsigned timeout_ms;            /* per try */
	unsigned tries;                 /* in total */
	double pause_s;                 /* between tries */
};

/* reply NULL: no answer below status 500 within the tries, err says what the last one met.  Lent. */
typedef void metadata_done_fn(void *arg, const struct http_reply *reply, const struct error *err);

struct metadata_call {
	struct ev_loop *loop;
	struct http_client *http;
	struct http_call *try;          /* NULL between tries */
	ev_timer pause;
	char *method, *url;
	char *headers[METADATA_HEADERS + 1];            /* secret */
	unsigned timeout_ms, tries_left;
	double pause_s;
	struct error last;              /* of the tries so far */
	metadata_done_fn *done;
	void *arg;
};

void metadata_init(struct metadata_call *call, struct ev_loop *loop, struct http_client *http);
/* Copies the request.  done comes once, never from inside this call. */
void metadata_start(struct metadata_call *call, const struct metadata_request *request, metadata_done_fn *done,
	void *arg);
/* No completion after this; also of a call that is not under way.  why (may be NULL): what the last try met, if any. */
void metadata_cancel(struct metadata_call *call, struct error *why);

#endif
