/* SPDX-License-Identifier: Apache-2.0 */
/* notify_sns.c - publishes the notice on an SNS topic, over the query protocol.
 *
 * https://docs.aws.amazon.com/sns/latest/api/API_Publish.html.  What subscribers may filter by is in the attributes.
 * On a FIFO topic SNS itself drops what it has seen within five minutes, by the delivery's id. */
#include <stdlib.h>
#include <string.h>

#include "aws/aws.h"
#include "base/buf.h"
#include "base/mem.h"
#include "notify/notice_text.h"
#include "notify/notify_impl.h"

enum { LIMIT_SNS_FORM_BYTES = 1 << 20, SNS_SUBJECT_CHARACTERS = 99, SNS_ID_CHARACTERS = 128, REGION_BYTES = 64 };

struct notify_sns {
	struct notify base;
	char region[REGION_BYTES];      /* of the topic */
	bool fifo;
	struct list publishings;        /* struct publishing, by link */
};

struct publishing {
	struct list link;
	struct aws_call *call;
	notify_done_fn *done;
	void *arg;
};

/* arn:PARTITION:sns:REGION:ACCOUNT:NAME */
static bool read_arn(struct notify_sns *sink, const char *arn)
{
	const char *at = arn;
	size_t len;

	for (int i = 0; i < 3 && at != NULL; i++) {
		at = strchr(at, ':');
		at = at != NULL ? at + 1 : NULL;
	}
	len = at != NULL ? strcspn(at, ":") : 0;
	if (len == 0 || len >= sizeof(sink->region) || at[len] != ':')
		return false;
	memcpy(sink->region, at, len);
	len = strlen(arn);
	sink->fifo = len > 5 && strcmp(arn + len - 5, ".fifo") == 0;
	return true;
}

static struct notify *create(const struct conf_sink *conf, const struct notify_env *env, struct error *err)
{
	struct notify_sns *sink = xnew(struct notify_sns);

	list_init(&sink->publishings);
	if (env->aws != NULL && read_arn(sink, conf->topic))
		return &sink->base;
	error_set(err, ERROR_INVALID, "\"%s\" is no topic's ARN", conf->topic);
	free(sink);
	return NULL;
}

static void destroy(struct notify *notify)
{
	struct notify_sns *sink = (struct notify_sns *)notify;
	struct publishing *publishing, *next;

	list_each_safe(publishing, next, &sink->publishings, link) {
		aws_call_cancel(publishing->call);
		free(publishing);
	}
	free(sink);
}

/* -- the form ----------------------------------------------------------------------------------- */

static void add_value(struct buf *form, const char *value)
{
	static const char unreserved[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~";

	for (; *value != '\0'; value++) {
		if (strchr(unreserved, *value) != NULL)
			buf_add_char(form, *value);
		else
			buf_printf(form, "%%%02X", (unsigned)(unsigned char)*value);
	}
}

static void add(struct buf *form, const char *name, const char *value)
{
	buf_printf(form, "&%s=", name);
	add_value(form, value);
}

static void add_attribute(struct buf *form, unsigned *number, const char *name, const char *value)
{
	char prefix[64];

	/* An attribute must not be empty. */
	if (value[0] == '\0')
		return;
	snprintf(prefix, sizeof(prefix), "MessageAttributes.entry.%u.", ++*number);
	buf_printf(form, "&%sName=%s&%sValue.DataType=String&%sValue.StringValue=", prefix, name, prefix, prefix);
	add_value(form, value);
}

static void add_attributes(struct buf *form, const struct notice *notice)
{
	static const char *const names[] = { "event", "project", "deployer", "state" };
	unsigned number = 0;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char *value = notice_text_value(notice->doc, names[i]);

		add_attribute(form, &number, names[i], value);
		free(value);
	}
	add_attribute(form, &number, "delivery", notice->id);
}

/* Only ASCII, and not all of that. */
static void add_subject(struct buf *form, const struct notice *notice, const char *template)
{
	char *subject = notice_text_line(notice->doc, template);

	for (char *at = subject; *at != '\0'; at++) {
		if ((unsigned char)*at >= 0x7f)
			*at = '?';
	}
	if (strlen(subject) > SNS_SUBJECT_CHARACTERS)
		subject[SNS_SUBJECT_CHARACTERS] = '\0';
	if (subject[0] != '\0' && subject[0] != ' ')
		add(form, "Subject", subject);
	free(subject);
}

/* Letters, digits and punctuation, at least one. */
static void add_group(struct buf *form, const struct notice *notice, const char *template)
{
	char *group = notice_text_line(notice->doc, template);

	for (char *at = group; *at != '\0'; at++) {
		if ((unsigned char)*at <= ' ' || (unsigned char)*at >= 0x7f)
			*at = '_';
	}
	if (strlen(group) > SNS_ID_CHARACTERS)
		group[SNS_ID_CHARACTERS] = '\0';
	add(form, "MessageGroupId", group[0] != '\0' ? group : "gantry");
	free(group);
}

static void compose(struct notify_sns *sink, const struct notice *notice, struct buf *form)
{
	const struct conf_sink *conf = sink->base.conf;
	char *text = conf->text != NULL ? notice_text(notice->doc, conf->text) : NULL;

	buf_add_text(form, "Action=Publish&Version=2010-03-31");
	add(form, "TopicArn", conf->topic);
	add(form, "Message", text != NULL && text[0] != '\0' ? text : notice->text);
	if (conf->subject != NULL)
		add_subject(form, notice, conf->subject);
	if (sink->fifo) {
		add_group(form, notice, conf->group);
		add(form, "MessageDeduplicationId", notice->id);
	}
	add_attributes(form, notice);
	free(text);
}

/* -- sending ------------------------------------------------------------------------------------ */

static void on_reply(void *arg, const struct aws_reply *reply, const struct error *failure)
{
	struct publishing publishing = *(struct publishing *)arg;
	struct error err = failure != NULL ? *failure : (struct error){ 0 };

	(void)reply;
	list_remove(&((struct publishing *)arg)->link);
	free(arg);
	/* A topic can be made and a policy mended; of a message that it will not have there is no mending. */
	if (err.kind == ERROR_INVALID && strncmp(err.code, "InvalidParameter", 16) != 0)
		err.kind = ERROR_REFUSED;
	publishing.done(publishing.arg, failure != NULL ? &err : NULL, 0);
}

static void send_notice(struct notify *notify, const struct notice *notice, notify_done_fn *done, void *arg)
{
	struct notify_sns *sink = (struct notify_sns *)notify;
	struct publishing *publishing = xnew(struct publishing);
	struct aws_request request = {
		.service = AWS_SNS, .action = "Publish", .region = sink->region,
		.timeout_ms = (unsigned)notify->conf->timeout_ms,
	};
	struct buf form;

	buf_init(&form, LIMIT_SNS_FORM_BYTES);
	compose(sink, notice, &form);
	request.text = buf_text(&form);
	publishing->done = done;
	publishing->arg = arg;
	list_append(&sink->publishings, &publishing->link);
	publishing->call = aws_call(notify->env.aws, &request, on_reply, publishing);
	buf_finish(&form);
}

const struct notify_impl notify_sns = {
	.name = "sns",
	.create = create,
	.destroy = destroy,
	.send = send_notice,
};
