/* SPDX-License-Identifier: Apache-2.0 */
/* post.c - see post.h. */
#include "notify/post.h"

#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"

enum { RETRY_AFTER_MAX_S = 6 * 3600, HEADERS_MAX = 8, QUOTED_BYTES = 120 };

/* One on its way. */
struct posting {
	struct list link;               /* notify.posts */
	struct http_call *call;
	notify_done_fn *done;
	void *arg;
};

/* Seconds, or a date. */
static double retry_after(const struct http_reply *reply)
{
	const char *value = http_reply_header(reply, "Retry-After");
	double wait_s;
	char *end;

	if (value == NULL)
		return 0;
	wait_s = strtod(value, &end);
	if (end == value || *end != '\0') {
		time_t at = curl_getdate(value, NULL);

		wait_s = at > 0 ? difftime(at, time(NULL)) : 0;
	}
	return wait_s > 0 && wait_s < RETRY_AFTER_MAX_S ? wait_s : wait_s > 0 ? RETRY_AFTER_MAX_S : 0;
}

/* What it said, in one line and not all of it. */
static void quote(const struct http_reply *reply, char text[QUOTED_BYTES])
{
	size_t len = 0;

	for (size_t i = 0; i < reply->body_bytes && len + 1 < QUOTED_BYTES; i++) {
		unsigned char c = (unsigned char)reply->body[i];

		text[len++] = c < 0x20 || c >= 0x7f ? ' ' : (char)c;
	}
	text[len] = '\0';
}

void post_judge(const struct http_reply *reply, const struct error *failure, struct error *err, double *retry_after_s)
{
	char said[QUOTED_BYTES];

	*err = (struct error){ 0 };
	*retry_after_s = 0;
	/* A long answer that is a yes is a yes. */
	if (reply->status >= 200 && reply->status < 300)
		return;
	if (failure != NULL && reply->status == 0) {
		*err = *failure;
		/* No configuration of the other end is for ever. */
		if (err->kind == ERROR_INVALID)
			err->kind = ERROR_REFUSED;
		return;
	}
	*retry_after_s = retry_after(reply);
	quote(reply, said);
	if (reply->status == 410)
		error_set(err, ERROR_INVALID, "answered 410: nobody is there any more");
	else if (reply->status >= 300 && reply->status < 400)
		error_set(err, ERROR_REFUSED, "answered %ld: redirects are not followed", reply->status);
	else
		error_set(err, reply->status == 429 ? ERROR_THROTTLED : ERROR_AMBIGUOUS, "answered %ld%s%s", reply->status,
			said[0] != '\0' ? ": " : "", said);
}

static void on_answer(void *arg, const struct http_reply *reply, const struct error *failure)
{
	struct posting posting = *(struct posting *)arg;
	double retry_after_s;
	struct error err;

	list_remove(&((struct posting *)arg)->link);
	free(arg);
	post_judge(reply, failure, &err, &retry_after_s);
	posting.done(posting.arg, err.kind != ERROR_NONE ? &err : NULL, retry_after_s);
}

void post_send(struct notify *notify, const struct post *post, bool allow_private, notify_done_fn *done, void *arg)
{
	struct posting *posting = xnew(struct posting);
	const char *headers[HEADERS_MAX + 2] = { "Content-Type: application/json" };
	const struct http_request request = {
		.method = "POST",
		.url = post->url,
		.headers = headers,
		.body = post->body,
		.body_bytes = strlen(post->body),
		.timeout_ms = (unsigned)notify->conf->timeout_ms,
		.connect_timeout_ms = (unsigned)notify->conf->timeout_ms,
		.reply_limit = LIMIT_POST_REPLY_BYTES,
		.public_only = !allow_private,
	};

	for (size_t i = 0; post->headers != NULL && post->headers[i] != NULL && i < HEADERS_MAX; i++)
		headers[i + 1] = post->headers[i];
	*posting = (struct posting){ .done = done, .arg = arg };
	list_append(&notify->posts, &posting->link);
	posting->call = http_client_start(allow_private ? notify->env.http_private : notify->env.http_public, &request, on_answer,
		posting);
}

void post_finish(struct notify *notify)
{
	struct posting *posting, *next;

	list_each_safe(posting, next, &notify->posts, link) {
		http_call_cancel(posting->call);
		list_remove(&posting->link);
		free(posting);
	}
}
