/* SPDX-License-Identifier: Apache-2.0 */
#include "../cmocka_all.h"

#include "fake_http.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/list.h"
#include "base/mem.h"

struct http_client { struct ev_loop *loop; };

struct http_call {
	ev_timer soon;
	struct fake_request *request;
	struct fake_answer answer;
	http_done_fn *done;
	void *arg;
};

static struct fake_http *fake;
static fake_http_fn *answer_request;

void fake_http_init(struct fake_http *made, struct ev_loop *loop, fake_http_fn *answer)
{
	*made = (struct fake_http){ 0 };
	made->client = xnew(struct http_client);
	made->client->loop = loop;
	fake = made;
	answer_request = answer;
}

void fake_http_forget(struct fake_http *made)
{
	for (size_t i = 0; i < made->count; i++) {
		free(made->requests[i].method);
		free(made->requests[i].url);
		free(made->requests[i].body);
		for (size_t k = 0; k < FAKE_HTTP_HEADERS; k++)
			free(made->requests[i].headers[k]);
	}
	memset(made->requests, 0, sizeof(made->requests));
	made->count = 0;
}

void fake_http_finish(struct fake_http *made)
{
	fake_http_forget(made);
	free(made->client);
	fake = NULL;
}

static const char *find_header(const char *const *lines, size_t count, const char *name)
{
	size_t size = strlen(name);

	for (size_t i = 0; i < count && lines[i] != NULL; i++) {
		if (strncasecmp(lines[i], name, size) == 0 && lines[i][size] == ':')
			return lines[i] + size + 1 + strspn(lines[i] + size + 1, " ");
	}
	return NULL;
}

const char *fake_request_header(const struct fake_request *request, const char *name)
{
	return find_header((const char *const *)request->headers, FAKE_HTTP_HEADERS, name);
}

static void on_soon(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct http_call *call = container_of(timer, struct http_call, soon);
	struct http_reply reply = {
		.status = call->answer.status,
		.body = call->answer.body != NULL ? call->answer.body : "",
		.headers = call->answer.headers,
		.sent_s = (double)clock_wall_ms() / 1000,
		.received_s = (double)clock_wall_ms() / 1000,
	};
	struct error err = { 0 };

	(void)loop;
	(void)revents;
	reply.body_bytes = strlen(reply.body);
	if (reply.status == 0)
		error_set(&err, call->answer.kind, "the peer is away");
	fake->open--;
	call->done(call->arg, &reply, reply.status == 0 ? &err : NULL);
	free(call);
}

struct http_call *http_client_start(struct http_client *client, const struct http_request *request,
	http_done_fn *done, void *arg)
{
	struct http_call *call = xnew(struct http_call);

	assert_true(fake->count < FAKE_HTTP_REQUESTS);
	assert_true(request->timeout_ms > 0);
	assert_true(request->reply_limit > 0);
	call->request = &fake->requests[fake->count++];
	call->request->method = xstrdup(request->method);
	call->request->url = xstrdup(request->url);
	call->request->body = xstrndup(request->body != NULL ? request->body : "", request->body_bytes);
	call->request->direct = request->direct;
	for (size_t i = 0; request->headers != NULL && request->headers[i] != NULL; i++) {
		assert_true(i < FAKE_HTTP_HEADERS);
		assert_null(strpbrk(request->headers[i], "\r\n"));
		call->request->headers[i] = xstrdup(request->headers[i]);
	}
	call->done = done;
	call->arg = arg;
	ev_init(&call->soon, on_soon);
	fake->open++;
	answer_request(call->request, &call->answer);
	if (!call->answer.silent) {
		ev_timer_set(&call->soon, 0., 0.);
		ev_timer_start(client->loop, &call->soon);
	}
	return call;
}

void http_call_cancel(struct http_call *call)
{
	if (call == NULL)
		return;
	call->request->cancelled = true;
	fake->open--;
	ev_timer_stop(fake->client->loop, &call->soon);
	free(call);
}

const char *http_reply_header(const struct http_reply *reply, const char *name)
{
	return find_header(reply->headers, 4, name);
}
