/* SPDX-License-Identifier: Apache-2.0 */
/* http_client.h - HTTP requests on the loop, over libcurl's multi interface.
 *
 * Connections are kept and reused for less long than load balancers keep them.  Nothing here
 * retries, signs or knows AWS.  A request on a reused connection may be sent twice by libcurl when
 * the peer had closed it: what must not happen twice carries a token. */
#ifndef NET_HTTP_CLIENT_H
#define NET_HTTP_CLIENT_H

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "base/log.h"

struct http_client;
struct http_call;

struct http_client_options {
	const char *ca_bundle;          /* PEM file; NULL: CURL_CA_BUNDLE, SSL_CERT_FILE, libcurl's own */
	const char *user_agent;
};

struct http_request {
	const char *method;             /* "GET", "POST", "PUT" */
	const char *url;
	const char *const *headers;     /* "Name: value" lines, NULL at the end; may be NULL */
	const char *body;               /* copied */
	size_t body_bytes;
	unsigned timeout_ms;            /* of the whole call; 0: 15 s */
	unsigned connect_timeout_ms;    /* 0: 5 s */
	size_t reply_limit;             /* bytes of body; more is an error */
	bool direct;                    /* never through a proxy (link-local addresses) */
	const char *unix_path;          /* of the Unix socket to speak to, whatever host the URL names; NULL: none */
	bool public_only;               /* refuses peers that peer_address_is_public() denies; implies direct */
};

struct http_reply {
	long status;                    /* 0 when there was no answer; what it was when only its body was over the limit */
	const char *body;               /* terminated */
	size_t body_bytes;
	double sent_s, received_s;      /* wall clock, seconds, of sending and of the first reply byte */
	const void *headers;            /* for http_reply_header() */
};

struct ev_loop;
struct http_client *http_client_create(struct ev_loop *loop, const struct log *log,
	const struct http_client_options *options);
/* Cancels all calls. */
void http_client_destroy(struct http_client *client);

/* err->code of a reply over its limit: to ask again brings the same. */
#define HTTP_OVER_LIMIT "ReplyOverLimit"
/* err->code of a peer that public_only refused; with ERROR_REFUSED.  Connections are shared by all requests of a client, so
 * one that is asked for both would be no refusal: keep two clients. */
#define HTTP_NOT_PUBLIC "AddressNotPublic"

/* err is NULL when there was an answer, of whatever status.  ERROR_TEMPORARY: nothing was sent;
 * ERROR_AMBIGUOUS: it may have arrived, or the reply was over its limit; ERROR_REFUSED: certificates; ERROR_INVALID:
 * an unusable URL.  reply and err are lent. */
typedef void http_done_fn(void *arg, const struct http_reply *reply, const struct error *err);
struct http_call *http_client_start(struct http_client *client, const struct http_request *request,
	http_done_fn *done, void *arg);
/* NULL is allowed. */
void http_call_cancel(struct http_call *call);
/* The value of a reply's header, by name without regard to case; NULL when absent. */
const char *http_reply_header(const struct http_reply *reply, const char *name);

#endif
