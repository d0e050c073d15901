/* SPDX-License-Identifier: Apache-2.0 */
/* notify_slack.c - posts the notice in words, as {"text": ...}.
 *
 * What a message brought is escaped, as Slack reads <, > and & as marks of its own ("<!channel>"). */
#include <stdlib.h>

#include "base/buf.h"
#include "base/json_at.h"
#include "base/mem.h"
#include "notify/notice_text.h"
#include "notify/post.h"

enum { LIMIT_SLACK_TEXT_BYTES = 12 << 10 };     /* Slack cuts at 40,000 characters, escapes included */

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

/* The values are escaped before they are put into the template, which may have marks. */
static json_t *escaped(const json_t *value)
{
	json_t *copy, *member;
	const char *key;
	struct buf out;

	if (json_is_object(value)) {
		copy = json_object();
		json_object_foreach((json_t *)value, key, member)
			json_object_set_new(copy, key, escaped(member));
		return copy;
	}
	if (!json_is_string(value))
		return json_incref((json_t *)value);
	buf_init(&out, 6 * json_string_length(value));
	for (const char *at = json_string_value(value); *at != '\0'; at++) {
		switch (*at) {
		case '&': buf_add_text(&out, "&amp;"); break;
		case '<': buf_add_text(&out, "&lt;"); break;
		case '>': buf_add_text(&out, "&gt;"); break;
		default: buf_add_char(&out, *at);
		}
	}
	copy = json_at_text(buf_text(&out));
	buf_finish(&out);
	return copy;
}

static char *compose(const struct notify *notify, const struct notice *notice)
{
	json_t *doc = escaped(notice->doc), *message = json_object();
	char *text = notice_text(doc, notify->conf->text);
	struct buf cut;
	char *body;

	buf_init(&cut, LIMIT_SLACK_TEXT_BYTES + 1);
	buf_printf(&cut, "%.*s", LIMIT_SLACK_TEXT_BYTES, text);
	json_object_set_new(message, "text", json_at_text(buf_text(&cut)));
	body = json_at_dump(message);
	buf_finish(&cut);
	free(text);
	json_decref(doc);
	json_decref(message);
	return body;
}

static void send_notice(struct notify *notify, const struct notice *notice, notify_done_fn *done, void *arg)
{
	char *body = compose(notify, notice);
	const struct post post = { .url = notify->conf->url, .body = body };

	post_send(notify, &post, notify->conf->allow_private, done, arg);
	free(body);
}

const struct notify_impl notify_slack = {
	.name = "slack",
	.create = create,
	.destroy = destroy,
	.send = send_notice,
};
