/* SPDX-License-Identifier: Apache-2.0 */
/* notify_webhook.c - posts the notice as it is, signed as Standard Webhooks says.
 *
 * A URL that a message brought gets no signature: our secret would vouch for what a stranger asked us to say,
 * and it must be public. */
#include <inttypes.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "notify/post.h"
#include "notify/webhook_signature.h"

static struct notify *create(const struct conf_sink *conf, const struct notify_env *env, struct error *err)
{
	(void)conf, (void)env, (void)err;
	return xnew(struct notify);
}

static void destroy(struct notify *notify)
{
	post_finish(notify);
	free(notify);
}

static void send_notice(struct notify *notify, const struct notice *notice, notify_done_fn *done, void *arg)
{
	const struct conf_sink *conf = notify->conf;
	bool own = notice->target == NULL;
	int64_t now_s = clock_wall_ms() / 1000;
	char *signature = own ? webhook_signature(conf->secret, conf->old_secret, notice->id, now_s, notice->text) : NULL;
	char *lines[] = {
		xasprintf("webhook-id: %s", notice->id),
		xasprintf("webhook-timestamp: %" PRId64, now_s),
		signature != NULL ? xasprintf("webhook-signature: %s", signature) : NULL,
	};
	const char *headers[] = { lines[0], lines[1], lines[2], NULL };
	const struct post post = {
		.url = own ? conf->url : notice->target, .headers = headers, .body = notice->text,
	};

	post_send(notify, &post, own && conf->allow_private, done, arg);
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		free(lines[i]);
	free(signature);
}

const struct notify_impl notify_webhook = {
	.name = "webhook",
	.create = create,
	.destroy = destroy,
	.send = send_notice,
};
