/* SPDX-License-Identifier: Apache-2.0 */
/* sns_api.c - Publish: the message is kept for GET /_account?kind=published, nobody gets it. */
#include "call.h"
#include "member.h"

#include <string.h>

enum {
	LIMIT_PUBLISHED = 10000,        /* kept; what comes later only gets its id */
	LIMIT_MESSAGE_BYTES = 262144,
	LIMIT_SUBJECT = 99,
};

static bool refuse(struct call *call, const char *why)
{
	aws_error_set(&call->error, "InvalidParameter", "Invalid parameter: %s", why);
	return false;
}

static bool check(struct call *call, const char *topic, const char *message, const char *subject)
{
	const json_t *group = json_object_get(call->in, "MessageGroupId");
	bool fifo;

	if (topic == NULL || strncmp(topic, "arn:", 4) != 0)
		return refuse(call, "TopicArn");
	if (message == NULL || *message == '\0')
		return refuse(call, "Empty message");
	if (strlen(message) > LIMIT_MESSAGE_BYTES)
		return refuse(call, "Message too long");
	if (subject != NULL && (strlen(subject) > LIMIT_SUBJECT || strchr(subject, '\n') != NULL))
		return refuse(call, "Subject");
	fifo = strlen(topic) > 5 && strcmp(topic + strlen(topic) - 5, ".fifo") == 0;
	if (fifo && group == NULL)
		return refuse(call, "The MessageGroupId parameter is required for FIFO topics");
	return true;
}

static void publish(struct call *call)
{
	const char *topic = NULL, *message = NULL, *subject = NULL;
	json_t *kept = call->sim->published, *copy;
	char id[UUID_ROOM];

	if (!member_string(call->in, "TopicArn", &topic, &call->error) ||
	    !member_string(call->in, "Message", &message, &call->error) ||
	    !member_string(call->in, "Subject", &subject, &call->error) ||
	    !check(call, topic, message, subject))
		return;
	world_uuid(&call->sim->world, id);
	json_object_set_new(call->out, "MessageId", json_string(id));
	if (json_array_size(kept) >= LIMIT_PUBLISHED)
		return;
	copy = json_copy(call->in);
	json_object_set_new(copy, "MessageId", json_string(id));
	json_array_append_new(kept, copy);
}

static const struct action actions[] = {
	{ .name = "Publish", .run = publish },
	{ .name = NULL },
};

const struct service sns_service = {
	.name = "sns",
	.query_version = "2010-03-31",
	.query_namespace = "http://sns.amazonaws.com/doc/2010-03-31/",
	.throttle_shape = "Throttling",
	.actions = actions,
};
