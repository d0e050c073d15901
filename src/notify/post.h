/* SPDX-License-Identifier: Apache-2.0 */
/* post.h - JSON posted to a URL of somebody else's, and what the answer means.
 *
 * 2xx: it has arrived.  410: never again.  Everything else, redirects included, may pass; 429 and 503 may
 * say when. */
#ifndef NOTIFY_POST_H
#define NOTIFY_POST_H

#include "net/http_client.h"
#include "notify/notify_impl.h"

enum { LIMIT_POST_REPLY_BYTES = 64 << 10 };

struct post {
	const char *url;
	const char *const *headers;     /* beside Content-Type; NULL at the end */
	const char *body;
};

/* All are lent.  The notice's own target must be public whatever the configuration allows. */
void post_send(struct notify *notify, const struct post *post, bool allow_private, notify_done_fn *done, void *arg);
/* What is on its way ends without a completion. */
void post_finish(struct notify *notify);
/* What an answer means; err NULL or filled.  Of an answer that never came, err says so already. */
void post_judge(const struct http_reply *reply, const struct error *failure, struct error *err, double *retry_after_s);

#endif
