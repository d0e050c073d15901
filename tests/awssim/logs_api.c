/* SPDX-License-Identifier: Apache-2.0 */
/* logs_api.c - the actions of CloudWatch Logs that reading a task's log needs, and PutLogEvents.
 * A token says where in the stream a page ended ("f/") or began ("b/").  The same token comes back
 * at the end; an empty page with another token is no end (the fault "empty" makes one). */
#include "call.h"
#include "logs.h"

#include "json_text.h"
#include "member.h"

#include <stdio.h>
#include <string.h>

#define INVALID "InvalidParameterException"

enum {
	LIMIT_EVENTS = 10000,           /* of a page, or of a PutLogEvents */
	LIMIT_PAGE_BYTES = 1 << 20,
	EVENT_BYTES = 26,               /* what an event counts beside its message */
	TOKEN_ROOM = 80,
};

struct page {
	const char *group, *name, *token;
	json_int_t from_ms, to_ms, limit;       /* wall clock; to_ms -1: no end */
	bool from_head;
	struct log_stream *stream;
	size_t begin, end;                      /* of events, without end */
};

static struct logs *call_logs(struct call *call)
{
	return call->sim->logs;
}

static bool refuse(struct call *call, const char *shape, const char *why)
{
	call->error.status = 400;
	aws_error_set(&call->error, shape, "%s", why);
	return false;
}

static bool find_stream(struct call *call, const char *group, const char *name,
			struct log_stream **stream)
{
	if (group == NULL || name == NULL || strlen(group) > 512 || strlen(name) > 512)
		return refuse(call, INVALID, "1 validation error detected: Value at "
			      "'logStreamName' failed to satisfy constraint");
	*stream = logs_find(call_logs(call), group, name);
	if (*stream != NULL)
		return true;
	return refuse(call, "ResourceNotFoundException",
		      logs_has_group(call_logs(call), group)
			      ? "The specified log stream does not exist."
			      : "The specified log group does not exist.");
}

/* ---- GetLogEvents ---- */

static bool read_page(struct call *call, struct page *page)
{
	const json_t *in = call->in;

	*page = (struct page){ .to_ms = -1, .limit = LIMIT_EVENTS };
	if (!member_string(in, "logGroupName", &page->group, &call->error) ||
	    !member_string(in, "logStreamName", &page->name, &call->error) ||
	    !member_string(in, "nextToken", &page->token, &call->error) ||
	    !member_integer(in, "startTime", &page->from_ms, &call->error) ||
	    !member_integer(in, "endTime", &page->to_ms, &call->error) ||
	    !member_integer(in, "limit", &page->limit, &call->error) ||
	    !member_bool(in, "startFromHead", &page->from_head, &call->error))
		return false;
	if (page->limit < 1 || page->limit > LIMIT_EVENTS)
		return refuse(call, INVALID, "1 validation error detected: Value at 'limit' failed "
			      "to satisfy constraint: Member must have value less than or equal to "
			      "10000");
	return find_stream(call, page->group, page->name, &page->stream);
}

static bool fits(const struct page *page, size_t i)
{
	int64_t written_ms = page->stream->events[i].written_ms;

	return written_ms >= page->from_ms && (page->to_ms < 0 || written_ms < page->to_ms);
}

/* How many of the stream's events can be read by now: what is late hides what comes after it. */
static size_t shown(struct call *call, const struct log_stream *stream)
{
	int64_t now_ms = world_now_ms(&call->sim->world);
	size_t count = 0;

	while (count < stream->count && stream->events[count].shown_ms <= now_ms)
		count++;
	return count;
}

static bool has_room(const struct page *page, size_t i, json_int_t count, size_t bytes)
{
	return count < page->limit &&
	       (count == 0 ||
		bytes + page->stream->events[i].bytes + EVENT_BYTES <= LIMIT_PAGE_BYTES);
}

static void walk(struct page *page, size_t all, bool forward)
{
	json_int_t count = 0;
	size_t bytes = 0;

	while (forward ? page->end < all : page->begin > 0) {
		size_t i = forward ? page->end : page->begin - 1;

		if (!has_room(page, i, count, bytes))
			break;
		if (fits(page, i)) {
			count++;
			bytes += page->stream->events[i].bytes + EVENT_BYTES;
		}
		if (forward)
			page->end++;
		else
			page->begin--;
	}
}

/* Where the page begins and ends.  False: the token is none of ours. */
static bool place_page(struct call *call, struct page *page, size_t *all)
{
	unsigned long long at = 0;
	char way = page->from_head ? 'f' : 'b';

	*all = shown(call, page->stream);
	if (page->token != NULL && (sscanf(page->token, "%c/%llu/", &way, &at) != 2 ||
				    (way != 'f' && way != 'b') || at > *all))
		return refuse(call, INVALID, "The specified nextToken is invalid.");
	if (page->token == NULL && !page->from_head)
		at = *all;
	page->begin = page->end = (size_t)at;
	if (!call_fault_is(call, FAULT_EMPTY))
		walk(page, *all, way == 'f');
	return true;
}

static void add_token(struct call *call, const char *member, char way, size_t at, const char *sent)
{
	char token[TOKEN_ROOM];

	snprintf(token, sizeof(token), "%c/%056zu/s", way, at);
	if (call_fault_is(call, FAULT_EMPTY) && sent != NULL && strcmp(token, sent) == 0)
		token[strlen(token) - 1] = 't';
	json_text_member(&call->raw, member, token);
}

static void get_log_events(struct call *call)
{
	struct page page;
	size_t all;

	if (!read_page(call, &page) || !place_page(call, &page, &all))
		return;
	text_add_string(&call->raw, "{\"events\":[");
	for (size_t i = page.begin; i < page.end; i++) {
		const struct log_event *event = &page.stream->events[i];

		if (!fits(&page, i))
			continue;
		json_text_item(&call->raw);
		text_add_string(&call->raw, "{");
		json_text_number_member(&call->raw, "timestamp", event->written_ms);
		json_text_name(&call->raw, "message");
		json_text_string(&call->raw, page.stream->text.data + event->at, event->bytes);
		json_text_number_member(&call->raw, "ingestionTime", event->shown_ms);
		text_add_string(&call->raw, "}");
	}
	text_add_string(&call->raw, "]");
	add_token(call, "nextForwardToken", 'f', page.end, page.token);
	add_token(call, "nextBackwardToken", 'b', page.begin, page.token);
	text_add_string(&call->raw, "}");
}

/* ---- writing ---- */

static void create_log_stream(struct call *call)
{
	const char *group = NULL, *name = NULL;

	if (!member_string(call->in, "logGroupName", &group, &call->error) ||
	    !member_string(call->in, "logStreamName", &name, &call->error))
		return;
	if (group == NULL || name == NULL || strlen(group) > 512 || strlen(name) > 512)
		refuse(call, INVALID, "1 validation error detected");
	else
		logs_stream(call_logs(call), group, name);
}

static void put_log_events(struct call *call)
{
	const char *group = NULL, *name = NULL;
	int64_t now_ms = world_now_ms(&call->sim->world);
	struct log_stream *stream;
	json_t *events = NULL, *event;
	size_t i;

	if (!member_string(call->in, "logGroupName", &group, &call->error) ||
	    !member_string(call->in, "logStreamName", &name, &call->error) ||
	    !member_array(call->in, "logEvents", &events, &call->error) ||
	    !find_stream(call, group, name, &stream))
		return;
	if (json_array_size(events) == 0 || json_array_size(events) > LIMIT_EVENTS) {
		refuse(call, INVALID, "1 validation error detected: Value at 'logEvents'");
		return;
	}
	json_array_foreach(events, i, event) {
		json_t *message = json_object_get(event, "message");

		if (json_is_string(message))
			log_stream_add(stream, now_ms, now_ms, json_string_value(message),
				       json_string_length(message));
	}
	json_object_set_new(call->out, "nextSequenceToken", json_string("49"));
}

static const struct action actions[] = {
	{ .name = "GetLogEvents", .run = get_log_events },
	{ .name = "CreateLogStream", .run = create_log_stream },
	{ .name = "PutLogEvents", .run = put_log_events },
	{ .name = NULL },
};

const struct service logs_service = {
	.name = "logs",
	.target_prefix = "Logs_20140328.",
	.json_type = "application/x-amz-json-1.1",
	.throttle_shape = "ThrottlingException",
	.actions = actions,
};
