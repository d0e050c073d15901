/* SPDX-License-Identifier: Apache-2.0 */
/* http_client.c - see http_client.h.
 *
 * A call is on one of two lists: running (inside libcurl) or finished (its answer waits to be told).
 * Completions are told one by one from a watcher of our own, never from inside libcurl, so whoever is told may
 * start, cancel or destroy anything.
 *
 * A call that has ended well is kept for the next one: its easy handle with all options, and its buffers, wiped.
 * To make them costs as much as to use them.  What differs from one request to the next is set for each; a request with
 * other wishes (another method, no proxy, a socket) has a call of its own, and so has what comes after a failure. */
#include "net/http_client.h"

#include <curl/curl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/list.h"
#include "base/mem.h"
#include "net/curl_loop.h"
#include "net/peer_address.h"

enum {
	LIMIT_HTTP_HEADER_BYTES = 64 << 10,
	CONNECT_TIMEOUT_MS = 5000,
	CALL_TIMEOUT_MS = 15000,
	CONNECTION_IDLE_S = 50,         /* load balancers drop silent ones after 60 s or more */
	CONNECTION_LIFE_S = 600,        /* so that a changed address is noticed under load too */
	WATCHDOG_GRACE_S = 5,           /* libcurl should have ended a call this long ago */
	KEPT_CALLS = 64,
	KEPT_IDLE_CALLS = 4,            /* the others go when they were not needed for KEPT_IDLE_S */
	KEPT_IDLE_S = 10,
	KEPT_BUF_BYTES = 8 << 10,       /* a larger buffer is not kept with its call */
	RECEIVE_BYTES = 4 << 10,        /* libcurl's buffer for each call under way */
	EXPECT_BYTES = 1 << 20,         /* libcurl asks whether it may send a larger body */
};

struct http_client {
	struct ev_loop *loop;
	struct log log;
	struct curl_loop *curl;
	char *ca_bundle;
	char *user_agent;
	bool use_ca_cache;
	bool proxied;                   /* the environment names a proxy, for some hosts or for all */
	struct list running, finished;  /* http_call::link */
	struct list unstarted;          /* failed at birth; told in the next turn */
	struct list kept;               /* ended well; the last one first */
	unsigned kept_count;
	unsigned kept_least;            /* the smallest kept_count since thin has begun */
	struct http_call *telling;      /* its completion is being called; NULL: none */
	ev_timer thin;                  /* runs while more are kept than KEPT_IDLE_CALLS */
	ev_timer tell;                  /* never started, only fed: tells finished calls in this turn */
	ev_idle soon;                   /* moves unstarted to finished */
	ev_timer watchdog;              /* at the earliest deadline of a running call */
};

struct http_call {
	struct list link;
	struct http_client *client;     /* NULL: destroyed in this call's completion */
	CURL *easy;
	bool plain;                     /* its options are those of most calls */
	bool ended_well;
	char *url;
	CURLU *parsed;                  /* the same */
	struct buf head_sent;           /* lines, each terminated by NUL */
	struct curl_slist *lines;       /* an array: libcurl's list of those lines */
	size_t line_room;
	struct buf body_sent;
	struct buf body, headers;       /* headers: "Name: value" lines, each terminated by NUL */
	struct http_reply reply;
	struct error err;
	char why[CURL_ERROR_SIZE];
	double started_s;               /* wall clock */
	double deadline_s;              /* monotonic clock, for the watchdog */
	bool public_only;
	char refused[PEER_ADDRESS_BYTES];       /* the address that was not public; "": none */
	http_done_fn *done;
	void *arg;
};

/* Signatures, tokens and the answers of credential sources do not stay behind in memory that nobody needs. */
static void wipe(struct buf *buf)
{
	if (buf->bytes != NULL)
		explicit_bzero(buf->bytes, buf->size);
	if (buf->room > KEPT_BUF_BYTES)
		buf_finish(buf);
	else
		buf_clear(buf);
}

static void wipe_all(struct http_call *call)
{
	wipe(&call->head_sent);
	wipe(&call->body_sent);
	wipe(&call->body);
	wipe(&call->headers);
}

static void call_destroy(struct http_call *call)
{
	list_remove(&call->link);
	curl_easy_cleanup(call->easy);
	wipe_all(call);
	curl_url_cleanup(call->parsed);
	free(call->url);
	free(call->lines);
	buf_finish(&call->head_sent);
	buf_finish(&call->body_sent);
	buf_finish(&call->body);
	buf_finish(&call->headers);
	free(call);
}

/* The call has been told.  The client may have gone in its completion. */
static void keep_or_destroy(struct http_call *call)
{
	struct http_client *client = call->client;

	if (client == NULL || !call->plain || !call->ended_well || client->kept_count == KEPT_CALLS) {
		call_destroy(call);
		return;
	}
	wipe_all(call);
	list_prepend(&client->kept, &call->link);
	client->kept_count++;
	if (client->kept_count > KEPT_IDLE_CALLS && !ev_is_active(&client->thin)) {
		client->kept_least = client->kept_count;
		ev_timer_set(&client->thin, KEPT_IDLE_S, 0.);
		ev_timer_start(client->loop, &client->thin);
	}
}

static struct http_call *kept_call(struct http_client *client)
{
	struct http_call *call = list_first(&client->kept, struct http_call, link);

	if (call == NULL)
		return NULL;
	list_remove(&call->link);
	client->kept_count--;
	if (client->kept_least > client->kept_count)
		client->kept_least = client->kept_count;
	return call;
}

/* Lets go of those that were never needed since the last time. */
static void on_thin(struct ev_loop *loop, ev_timer *thin, int revents)
{
	struct http_client *client = container_of(thin, struct http_client, thin);

	(void)revents;
	for (; client->kept_least > 0 && client->kept_count > KEPT_IDLE_CALLS; client->kept_least--) {
		call_destroy(container_of(client->kept.prev, struct http_call, link));
		client->kept_count--;
	}
	client->kept_least = client->kept_count;
	if (client->kept_count > KEPT_IDLE_CALLS) {
		ev_timer_set(thin, KEPT_IDLE_S, 0.);
		ev_timer_start(loop, thin);
	}
}

static void finish(struct http_call *call)
{
	list_remove(&call->link);
	list_append(&call->client->finished, &call->link);
	ev_feed_event(call->client->loop, &call->client->tell, EV_CUSTOM);
}

/* Tells one, and asks to be called again in this turn for the rest.  Only calls that the network has ended come
 * here directly: one that fails at birth waits for the next turn, so that a caller who tries again at once
 * doesn't keep the loop from its other events. */
static void on_tell(struct ev_loop *loop, ev_timer *tell, int revents)
{
	struct http_client *client = container_of(tell, struct http_client, tell);
	struct http_call *call = list_first(&client->finished, struct http_call, link);

	(void)revents;
	if (call == NULL)
		return;
	list_remove(&call->link);
	if (!list_empty(&client->finished))
		ev_feed_event(loop, tell, EV_CUSTOM);
	client->telling = call;
	call->done(call->arg, &call->reply, call->err.kind != ERROR_NONE ? &call->err : NULL);
	if (call->client != NULL)
		client->telling = NULL;
	keep_or_destroy(call);
}

static void on_soon(struct ev_loop *loop, ev_idle *soon, int revents)
{
	struct http_client *client = container_of(soon, struct http_client, soon);

	(void)revents;
	ev_idle_stop(loop, soon);
	list_splice(&client->finished, &client->unstarted);
	ev_feed_event(loop, &client->tell, EV_CUSTOM);
}

/* The answer */

static size_t on_body(char *bytes, size_t size, size_t count, void *arg)
{
	struct http_call *call = arg;

	return buf_add(&call->body, bytes, size * count) ? size * count : 0;
}

static size_t on_header(char *line, size_t size, size_t count, void *arg)
{
	struct http_call *call = arg;
	size_t len = size * count;

	while (len > 0 && (line[len - 1] == '\n' || line[len - 1] == '\r' || line[len - 1] == ' '))
		len--;
	/* A new status line: what came before belonged to an interim answer or to a proxy. */
	if (len >= 5 && memcmp(line, "HTTP/", 5) == 0) {
		buf_clear(&call->headers);
		call->reply.received_s = (double)clock_wall_ms() / 1000.0;
	}
	if (!buf_add(&call->headers, line, len) || !buf_add(&call->headers, "", 1))
		return 0;
	return size * count;
}

const char *http_reply_header(const struct http_reply *reply, const char *name)
{
	const struct buf *headers = reply->headers;
	size_t len = strlen(name);
	const char *at, *end;

	if (headers == NULL || headers->size == 0)
		return NULL;
	at = headers->bytes;
	end = at + headers->size;
	for (; at < end; at += strlen(at) + 1) {
		if (strncasecmp(at, name, len) != 0 || at[len] != ':')
			continue;
		at += len + 1;
		return at + strspn(at, " \t");
	}
	return NULL;
}

static void set_reply(struct http_call *call)
{
	curl_off_t sending_us = 0, first_byte_us = 0;

	curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &call->reply.status);
	curl_easy_getinfo(call->easy, CURLINFO_PRETRANSFER_TIME_T, &sending_us);
	curl_easy_getinfo(call->easy, CURLINFO_STARTTRANSFER_TIME_T, &first_byte_us);
	call->reply.body = buf_text(&call->body);
	call->reply.body_bytes = call->body.size;
	call->reply.headers = &call->headers;
	if (first_byte_us < sending_us)
		first_byte_us = sending_us;
	if (call->reply.received_s > 0)
		call->reply.sent_s = call->reply.received_s - (double)(first_byte_us - sending_us) / 1e6;
	else
		call->reply.sent_s = call->reply.received_s = (double)clock_wall_ms() / 1000.0;
	if (call->reply.sent_s < call->started_s && call->started_s <= call->reply.received_s)
		call->reply.sent_s = call->started_s;
}

/* Whether a byte of the request may have reached the peer. */
static bool was_sent(const struct http_call *call)
{
	long bytes = 0;

	curl_easy_getinfo(call->easy, CURLINFO_REQUEST_SIZE, &bytes);
	return bytes > 0;
}

static enum error_kind kind_of(const struct http_call *call, CURLcode result)
{
	switch (result) {
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_ISSUER_ERROR:
	case CURLE_SSL_CERTPROBLEM:
	case CURLE_SSL_CIPHER:
	case CURLE_SSL_CRL_BADFILE:
	case CURLE_SSL_PINNEDPUBKEYNOTMATCH:
	case CURLE_SSL_INVALIDCERTSTATUS:
		return ERROR_REFUSED;
	case CURLE_URL_MALFORMAT:
		return ERROR_INVALID;
	case CURLE_UNSUPPORTED_PROTOCOL:        /* of the URL, or an answer that is not HTTP */
		return was_sent(call) ? ERROR_AMBIGUOUS : ERROR_INVALID;
	/* Also when no connection could be made: it may have been the second one, as libcurl sends a
	 * request again by itself when a kept connection ends under it. */
	default:
		return was_sent(call) ? ERROR_AMBIGUOUS : ERROR_TEMPORARY;
	}
}

static void set_failure(struct http_call *call, CURLcode result)
{
	const char *why = call->why[0] != '\0' ? call->why : curl_easy_strerror(result);

	if (!call->body.overflowed)
		call->reply.status = 0;
	/* Whatever was asked for has been done, or not: the answer would have said it. */
	if (call->body.overflowed)
		error_set(&call->err, ERROR_AMBIGUOUS, "the reply is over its limit of %zu bytes", call->body.limit);
	else if (call->headers.overflowed)
		error_set(&call->err, ERROR_AMBIGUOUS, "the reply's headers are over their limit of %zu bytes",
			call->headers.limit);
	else if (call->refused[0] != '\0' && !was_sent(call))
		error_set(&call->err, ERROR_REFUSED, "%s is no public address", call->refused);
	else
		error_set(&call->err, kind_of(call, result), "%s", why);
	if (call->err.kind == ERROR_REFUSED && call->refused[0] != '\0')
		error_set_code(&call->err, HTTP_NOT_PUBLIC);
	if (call->body.overflowed || call->headers.overflowed)
		error_set_code(&call->err, HTTP_OVER_LIMIT);
}

static void on_transfer(void *arg, CURL *easy, CURLcode result)
{
	struct http_call *call;
	char *private;

	(void)arg;
	curl_easy_getinfo(easy, CURLINFO_PRIVATE, &private);
	call = (struct http_call *)private;
	set_reply(call);
	call->ended_well = result == CURLE_OK;
	if (!call->ended_well)
		set_failure(call, result);
	finish(call);
}

/* The request */

/* Close-on-exec from birth; libcurl of this age sets it on nothing. */
static curl_socket_t on_open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
	struct http_call *call = arg;

	(void)purpose;
	if (call->public_only && !peer_address_is_public(&address->addr)) {
		peer_address_text(&address->addr, call->refused);
		return CURL_SOCKET_BAD;
	}
	return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

static void add_header(struct http_call *call, const char *line)
{
	buf_add(&call->head_sent, line, strlen(line) + 1);
}

/* Makes libcurl's list of the count lines of head_sent, which stay where they are until the call has ended. */
static void set_lines(struct http_call *call, size_t count)
{
	char *line = call->head_sent.bytes;

	if (count > call->line_room) {
		call->lines = xreallocarray(call->lines, count, sizeof(*call->lines));
		call->line_room = count;
	}
	for (size_t i = 0; i < count; i++, line += strlen(line) + 1)
		call->lines[i] = (struct curl_slist){ line, i + 1 < count ? &call->lines[i + 1] : NULL };
	curl_easy_setopt(call->easy, CURLOPT_HTTPHEADER, call->lines);
}

static void set_headers(struct http_call *call, const struct http_request *request)
{
	const char *const *headers = request->headers;
	bool typed = false;
	size_t count = 0;

	for (; headers != NULL && headers[count] != NULL; count++) {
		typed = typed || strncasecmp(headers[count], "Content-Type:", 13) == 0;
		add_header(call, headers[count]);
	}
	/* A name without a value keeps libcurl from adding its own.  With Expect, the body would wait a second for a
	 * 100-continue. */
	if (request->body_bytes >= EXPECT_BYTES) {
		add_header(call, "Expect:");
		count++;
	}
	if (!typed) {
		add_header(call, "Content-Type:");
		count++;
	}
	set_lines(call, count);
}

static void set_body(struct http_call *call, const struct http_request *request)
{
	if (request->body_bytes > 0 || strcmp(request->method, "POST") == 0
	    || strcmp(request->method, "PUT") == 0) {
		buf_add(&call->body_sent, request->body, request->body_bytes);
		curl_easy_setopt(call->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body_bytes);
		curl_easy_setopt(call->easy, CURLOPT_POSTFIELDS, buf_text(&call->body_sent));
	}
}

static unsigned timeout_of(const struct http_request *request)
{
	return request->timeout_ms > 0 ? request->timeout_ms : CALL_TIMEOUT_MS;
}

/* What most requests want: all that AWS is asked. */
static bool is_plain(const struct http_request *request)
{
	return strcmp(request->method, "POST") == 0 && request->connect_timeout_ms == 0 && !request->direct
		&& !request->public_only && request->unix_path == NULL;
}

static void set_connection(struct http_call *call)
{
	CURL *easy = call->easy;

	curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
	curl_easy_setopt(easy, CURLOPT_TCP_KEEPIDLE, 30L);
	curl_easy_setopt(easy, CURLOPT_TCP_KEEPINTVL, 15L);
	curl_easy_setopt(easy, CURLOPT_MAXAGE_CONN, (long)CONNECTION_IDLE_S);
	curl_easy_setopt(easy, CURLOPT_MAXLIFETIME_CONN, (long)CONNECTION_LIFE_S);
	curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_open_socket);
	curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, call);
#if LIBCURL_VERSION_NUM >= 0x075700
	/* libcurl looks names up in a thread, and would wait for it in a call that is cancelled or times out;
	 * this makes it let go of the thread, which frees what it holds when it ends. */
	curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
#endif
	if (call->client->ca_bundle != NULL)
		curl_easy_setopt(easy, CURLOPT_CAINFO, call->client->ca_bundle);
	if (call->client->use_ca_cache)
		curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
}

static void set_protocol(struct http_call *call)
{
	CURL *easy = call->easy;

	curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);         /* what was signed */
#if LIBCURL_VERSION_NUM >= 0x075500
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
#else
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(easy, CURLOPT_USERAGENT, call->client->user_agent);    /* a proxy's CONNECT has it, too */
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_NOPROGRESS, 1L);
	curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, (long)RECEIVE_BYTES);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, call);
	curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(easy, CURLOPT_HEADERDATA, call);
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, call->why);
	curl_easy_setopt(easy, CURLOPT_PRIVATE, (char *)call);
}

/* What a plain request never asks for. */
static void set_wishes(struct http_call *call, const struct http_request *request)
{
	unsigned connect_ms = request->connect_timeout_ms > 0 ? request->connect_timeout_ms : CONNECT_TIMEOUT_MS;

	curl_easy_setopt(call->easy, CURLOPT_CONNECTTIMEOUT_MS, (long)connect_ms);
	if (request->direct || request->public_only || !call->client->proxied)
		curl_easy_setopt(call->easy, CURLOPT_NOPROXY, "*");
	if (request->unix_path != NULL)
		curl_easy_setopt(call->easy, CURLOPT_UNIX_SOCKET_PATH, request->unix_path);
	curl_easy_setopt(call->easy, CURLOPT_CUSTOMREQUEST, request->method);
	call->public_only = request->public_only;
}

static struct http_call *call_create(struct http_client *client, const struct http_request *request)
{
	struct http_call *call = xnew(struct http_call);

	call->client = client;
	list_init(&call->link);
	/* What we send has limits where it is made. */
	buf_init(&call->head_sent, SIZE_MAX / 2);
	buf_init(&call->body_sent, SIZE_MAX / 2);
	call->head_sent.secret = call->body_sent.secret = true;
	buf_init(&call->headers, LIMIT_HTTP_HEADER_BYTES);
	call->easy = curl_easy_init();
	if (call->easy == NULL)
		fatal("out of memory for libcurl");
	call->plain = is_plain(request);
	set_protocol(call);
	set_connection(call);
	set_wishes(call, request);
	return call;
}

/* Taken apart here, libcurl need not do it for each request.  One that is no URL libcurl is given as it is, to say so. */
static void set_url(struct http_call *call, const char *url)
{
	xreplace(&call->url, url);
	curl_url_cleanup(call->parsed);
	call->parsed = curl_url();
	if (call->parsed == NULL)
		fatal("out of memory for a request");
	if (curl_url_set(call->parsed, CURLUPART_URL, url, CURLU_PATH_AS_IS) != CURLUE_OK) {
		curl_url_cleanup(call->parsed);
		call->parsed = NULL;
	}
	curl_easy_setopt(call->easy, CURLOPT_CURLU, call->parsed);
	curl_easy_setopt(call->easy, CURLOPT_URL, url);
}

/* What differs between plain requests.  Nothing of the one before is left, which has ended without an error. */
static void set_request(struct http_call *call, const struct http_request *request)
{
	call->reply = (struct http_reply){ 0 };
	call->why[0] = '\0';
	call->ended_well = false;
	call->started_s = (double)clock_wall_ms() / 1000.0;
	call->body.limit = request->reply_limit;
	if (call->url == NULL || strcmp(call->url, request->url) != 0)
		set_url(call, request->url);
	curl_easy_setopt(call->easy, CURLOPT_TIMEOUT_MS, (long)timeout_of(request));
	set_headers(call, request);
	set_body(call, request);
}

/* Keeps the watchdog at the earliest deadline without looking at every call. */
static void watch(struct http_client *client, double wait_s)
{
	if (ev_is_active(&client->watchdog) && ev_timer_remaining(client->loop, &client->watchdog) <= wait_s)
		return;
	ev_timer_stop(client->loop, &client->watchdog);
	ev_timer_set(&client->watchdog, wait_s, 0.);
	ev_timer_start(client->loop, &client->watchdog);
}

/* All calls end here when libcurl has lost its way.  What it had sent cannot be known any more. */
static void on_broken(void *arg)
{
	struct http_client *client = arg;
	struct http_call *call, *next;

	list_each_safe(call, next, &client->running, link) {
		curl_loop_remove(client->curl, call->easy);
		set_reply(call);
		call->reply.status = 0;
		error_set(&call->err, ERROR_AMBIGUOUS, "the connection was given up: libcurl did not go on");
		finish(call);
	}
}

static void on_watchdog(struct ev_loop *loop, ev_timer *watchdog, int revents)
{
	struct http_client *client = container_of(watchdog, struct http_client, watchdog);
	double now_s = clock_monotonic_s(), earliest_s = 0;
	struct http_call *call;

	(void)loop;
	(void)revents;
	list_each(call, &client->running, link)
		if (earliest_s == 0 || call->deadline_s < earliest_s)
			earliest_s = call->deadline_s;
	if (earliest_s == 0)
		return;
	if (earliest_s > now_s) {
		watch(client, earliest_s - now_s);
		return;
	}
	log_error(&client->log, "libcurl has not ended a call %d s after its time; all connections start over",
		WATCHDOG_GRACE_S);
	curl_loop_rebuild(client->curl);
}

struct http_call *http_client_start(struct http_client *client, const struct http_request *request,
	http_done_fn *done, void *arg)
{
	struct http_call *call = is_plain(request) ? kept_call(client) : NULL;
	double patience_s = (double)timeout_of(request) / 1000.0 + WATCHDOG_GRACE_S;

	if (call == NULL)
		call = call_create(client, request);
	set_request(call, request);
	call->done = done;
	call->arg = arg;
	call->deadline_s = clock_monotonic_s() + patience_s;
	if (curl_loop_add(client->curl, call->easy)) {
		list_append(&client->running, &call->link);
		watch(client, patience_s);
	} else {
		call->reply = (struct http_reply){ .body = "", .headers = &call->headers };
		call->reply.sent_s = call->reply.received_s = call->started_s;
		error_set(&call->err, ERROR_TEMPORARY, "libcurl did not take the request");
		list_append(&client->unstarted, &call->link);
		ev_idle_start(client->loop, &client->soon);
	}
	return call;
}

void http_call_cancel(struct http_call *call)
{
	if (call == NULL || call->client == NULL || call == call->client->telling)
		return;
	curl_loop_remove(call->client->curl, call->easy);
	call_destroy(call);
}

/* The client */

/* libcurl looks into the environment for each request. */
static bool names_proxy(void)
{
	static const char *const names[] = { "http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (getenv(names[i]) != NULL)
			return true;
	return false;
}

/* libcurl keeps parsed certificates between connections only when it reads them from one file.  Where its
 * default is a file, the folder beside it holds the same ones. */
static bool has_default_file(void)
{
#if LIBCURL_VERSION_NUM >= 0x075400
	const curl_version_info_data *about = curl_version_info(CURLVERSION_NOW);

	return about->cainfo != NULL && access(about->cainfo, R_OK) == 0;
#else
	return false;
#endif
}

struct http_client *http_client_create(struct ev_loop *loop, const struct log *log,
	const struct http_client_options *options)
{
	struct http_client *client = xnew(struct http_client);
	const char *ca_bundle = options != NULL ? options->ca_bundle : NULL;

	if (ca_bundle == NULL)
		ca_bundle = getenv("CURL_CA_BUNDLE");
	if (ca_bundle == NULL)
		ca_bundle = getenv("SSL_CERT_FILE");
	client->loop = loop;
	log_init(&client->log, log, "http");
	client->curl = curl_loop_create(loop, log, on_transfer, on_broken, client);
	client->ca_bundle = xstrdup(ca_bundle);
	client->use_ca_cache = ca_bundle != NULL || has_default_file();
	client->user_agent = xstrdup(options != NULL && options->user_agent != NULL ? options->user_agent : "gantry");
	client->proxied = names_proxy();
	list_init(&client->running);
	list_init(&client->finished);
	list_init(&client->unstarted);
	list_init(&client->kept);
	ev_init(&client->thin, on_thin);
	ev_init(&client->tell, on_tell);
	ev_idle_init(&client->soon, on_soon);
	ev_set_priority(&client->soon, EV_MAXPRI);
	ev_init(&client->watchdog, on_watchdog);
	return client;
}

static void cancel_all(struct list *calls)
{
	struct http_call *call, *next;

	list_each_safe(call, next, calls, link)
		http_call_cancel(call);
}

static void destroy_kept(struct http_client *client)
{
	struct http_call *call, *next;

	list_each_safe(call, next, &client->kept, link)
		call_destroy(call);
}

void http_client_destroy(struct http_client *client)
{
	if (client == NULL)
		return;
	cancel_all(&client->running);
	cancel_all(&client->finished);
	cancel_all(&client->unstarted);
	destroy_kept(client);
	/* libcurl wants its handles gone before itself. */
	if (client->telling != NULL) {
		curl_easy_cleanup(client->telling->easy);
		client->telling->easy = NULL;
		client->telling->client = NULL;
	}
	ev_timer_stop(client->loop, &client->thin);
	ev_clear_pending(client->loop, &client->tell);
	ev_timer_stop(client->loop, &client->watchdog);
	ev_idle_stop(client->loop, &client->soon);
	curl_loop_destroy(client->curl);
	free(client->ca_bundle);
	free(client->user_agent);
	free(client);
}
