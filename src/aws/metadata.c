/* SPDX-License-Identifier: Apache-2.0 */
/* metadata.c - see metadata.h. */
#include "aws/metadata.h"

#include <stdlib.h>

#include "aws/credentials_impl.h"
#include "base/list.h"
#include "base/mem.h"

static void try_once(struct metadata_call *call);

static void forget(struct metadata_call *call)
{
	free(call->method);
	free(call->url);
	call->method = call->url = NULL;
	for (size_t i = 0; i < METADATA_HEADERS; i++) {
		xfree_secret(call->headers[i]);
		call->headers[i] = NULL;
	}
}

static void on_reply(void *arg, const struct http_reply *reply, const struct error *err)
{
	struct metadata_call *call = arg;
	bool answered = err == NULL && reply->status < 500;
	struct error last;

	call->try = NULL;
	if (err == NULL && !answered)
		error_set(&call->last, ERROR_TEMPORARY, "%s %s: HTTP status %ld", call->method, call->url, reply->status);
	else if (err != NULL)
		error_set(&call->last, ERROR_TEMPORARY, "%s %s: %.300s", call->method, call->url, err->text);
	if (!answered && --call->tries_left > 0) {
		ev_timer_set(&call->pause, call->pause_s, 0.);
		ev_timer_start(call->loop, &call->pause);
		return;
	}
	last = call->last;
	forget(call);
	call->done(call->arg, answered ? reply : NULL, answered ? NULL : &last);
}

static void on_pause(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct metadata_call *call = container_of(timer, struct metadata_call, pause);

	(void)loop;
	(void)revents;
	try_once(call);
}

static void try_once(struct metadata_call *call)
{
	struct http_request request = {
		.method = call->method,
		.url = call->url,
		.headers = (const char *const *)call->headers,
		.timeout_ms = call->timeout_ms,
		.connect_timeout_ms = call->timeout_ms,
		.reply_limit = LIMIT_CREDENTIALS_REPLY_BYTES,
		.direct = true,
	};

	call->try = http_client_start(call->http, &request, on_reply, call);
}

void metadata_init(struct metadata_call *call, struct ev_loop *loop, struct http_client *http)
{
	*call = (struct metadata_call){ .loop = loop, .http = http };
	ev_init(&call->pause, on_pause);
}

void metadata_start(struct metadata_call *call, const struct metadata_request *request, metadata_done_fn *done,
	void *arg)
{
	call->method = xstrdup(request->method);
	call->url = xstrdup(request->url);
	for (size_t i = 0; i < METADATA_HEADERS; i++)
		call->headers[i] = xstrdup(request->headers[i]);
	call->timeout_ms = request->timeout_ms;
	call->tries_left = request->tries;
	call->pause_s = request->pause_s;
	call->last = (struct error){ 0 };
	call->done = done;
	call->arg = arg;
	try_once(call);
}

void metadata_cancel(struct metadata_call *call, struct error *why)
{
	if (why != NULL && call->last.kind != ERROR_NONE)
		*why = call->last;
	http_call_cancel(call->try);
	call->try = NULL;
	if (call->loop != NULL)
		ev_timer_stop(call->loop, &call->pause);
	forget(call);
	call->last = (struct error){ 0 };
}
