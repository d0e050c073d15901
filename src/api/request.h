/* SPDX-License-Identifier: Apache-2.0 */
/* request.h - one HTTP request, from its head to its answer.
 *
 * A handler answers once: inside the call, or later, after which it must not touch the request.  One whose
 * client has gone is told by gone(), and is not to be answered any more. */
#ifndef API_REQUEST_H
#define API_REQUEST_H

#include <jansson.h>
#include <microhttpd.h>
#include <stdarg.h>
#include <stdbool.h>
#include <sys/types.h>

#include "api/listener.h"
#include "base/buf.h"
#include "base/random.h"

struct route;
struct conf_token;

enum { LIMIT_REQUEST_PEER_BYTES = 64, LIMIT_ANSWER_DETAIL_BYTES = 1024 };

struct request {
	struct list link;               /* listener.requests */
	struct listener *listener;
	struct MHD_Connection *connection;
	char id[RANDOM_ID_BYTES];       /* in the log and in the answer's X-Request-Id */
	char *method, *path;            /* path is decoded; the query is not in it */
	char peer[LIMIT_REQUEST_PEER_BYTES];    /* its address, or "uid N" */
	uid_t peer_uid;                 /* over a Unix socket; else -1 */
	double began_s;                 /* monotonic */
	struct buf body;
	bool whole;

	const struct route *route;      /* NULL while nobody knows */
	char *argument;                 /* what the route's pattern left open; NULL: nothing */
	const struct conf_token *token; /* who asks; NULL over the Unix socket, or while unknown */
	const char *who;                /* the token's name, or peer */
	bool may_all;                   /* root or our own user over the Unix socket */

	struct MHD_Response *response;  /* the answer, not sent yet */
	unsigned status;
	bool sent;
	bool suspended;

	void *state;                    /* the handler's, while it answers later */
	void (*gone)(struct request *request);  /* frees state; NULL: nothing to free */
};

/* -- for handlers ------------------------------------------------------------------------------ */

/* Lent; NULL when it is not given. */
const char *request_query(const struct request *request, const char *name);
const char *request_header(const struct request *request, const char *name);
/* A whole number of the query, from low to high; fallback when it is not given; false after a 400. */
bool request_query_number(struct request *request, const char *name, int64_t low, int64_t high, int64_t fallback,
	int64_t *value);

/* Takes response.  Headers of its own may have been added. */
void request_answer(struct request *request, unsigned status, struct MHD_Response *take_response);
/* Takes the reference to doc. */
void request_answer_json(struct request *request, unsigned status, json_t *take_doc);
/* {"error": error, "detail": ...}; detail may be "" */
void request_answer_error(struct request *request, unsigned status, const char *error, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
void request_answer_text(struct request *request, unsigned status, const char *type, const char *bytes, size_t size);
bool request_is_answered(const struct request *request);

/* -- for the listener --------------------------------------------------------------------------- */

struct request *request_create(struct listener *listener, struct MHD_Connection *connection, const char *method,
	const char *path);
void request_destroy(struct request *request);
void request_add_body(struct request *request, const char *bytes, size_t size);
/* Waits for an answer without reading on. */
void request_suspend(struct request *request);
/* Queues the answer that it has. */
enum MHD_Result request_send(struct request *request);
/* The listener ends: it goes without an answer. */
void request_abandon(struct request *request);

#endif
