/* SPDX-License-Identifier: Apache-2.0 */
/* logs.c - see logs.h. */
#include "logs.h"

#include "xalloc.h"

#include <stdio.h>

struct log_group {
	struct table_node by_name;
	struct list peers;
	char name[];
};

enum { STREAM_KEY_ROOM = 512 + 512 + 2 };

struct logs *logs_create(struct world *world)
{
	struct logs *logs = xcalloc(1, sizeof(*logs));

	logs->world = world;
	list_init(&logs->streams);
	list_init(&logs->groups);
	return logs;
}

void logs_clear(struct logs *logs)
{
	struct list *node, *next;

	list_each(node, next, &logs->streams) {
		struct log_stream *stream = container_of(node, struct log_stream, peers);

		text_finish(&stream->text);
		free(stream->events);
		free(stream);
	}
	list_each(node, next, &logs->groups)
		free(container_of(node, struct log_group, peers));
	list_init(&logs->streams);
	list_init(&logs->groups);
	table_finish(&logs->streams_by_name);
	table_finish(&logs->groups_by_name);
}

void logs_destroy(struct logs *logs)
{
	if (logs == NULL)
		return;
	logs_clear(logs);
	free(logs);
}

bool logs_has_group(struct logs *logs, const char *group)
{
	return table_find(&logs->groups_by_name, group) != NULL;
}

static void add_group(struct logs *logs, const char *name)
{
	size_t bytes = strlen(name) + 1;
	struct log_group *group;

	if (logs_has_group(logs, name))
		return;
	group = xcalloc(1, sizeof(*group) + bytes);
	memcpy(group->name, name, bytes);
	list_add_tail(&logs->groups, &group->peers);
	table_insert(&logs->groups_by_name, &group->by_name, group->name);
}

/* No group has a newline in its name. */
struct log_stream *logs_find(struct logs *logs, const char *group, const char *name)
{
	char key[STREAM_KEY_ROOM];
	struct table_node *node;

	snprintf(key, sizeof(key), "%s\n%s", group, name);
	node = table_find(&logs->streams_by_name, key);
	return node == NULL ? NULL : container_of(node, struct log_stream, by_name);
}

struct log_stream *logs_stream(struct logs *logs, const char *group, const char *name)
{
	struct log_stream *stream = logs_find(logs, group, name);
	size_t bytes = strlen(group) + strlen(name) + 2;

	if (stream != NULL)
		return stream;
	add_group(logs, group);
	stream = xcalloc(1, sizeof(*stream) + bytes);
	snprintf(stream->name, bytes, "%s\n%s", group, name);
	list_add_tail(&logs->streams, &stream->peers);
	table_insert(&logs->streams_by_name, &stream->by_name, stream->name);
	return stream;
}

void log_stream_add(struct log_stream *stream, int64_t written_ms, int64_t shown_ms,
		    const char *line, size_t bytes)
{
	if (stream->count == stream->room) {
		stream->room = stream->room == 0 ? 16 : 2 * stream->room;
		stream->events = reallocarray(stream->events, stream->room, sizeof(*stream->events));
		if (stream->events == NULL)
			abort();
	}
	stream->events[stream->count++] = (struct log_event){
		.written_ms = written_ms, .shown_ms = shown_ms, .at = stream->text.bytes, .bytes = bytes,
	};
	text_add(&stream->text, line, bytes);
}

void log_stream_add_lines(struct log_stream *stream, int64_t written_ms, int64_t shown_ms,
			  const char *lines)
{
	while (*lines != '\0') {
		size_t bytes = strcspn(lines, "\n");

		log_stream_add(stream, written_ms, shown_ms, lines, bytes);
		lines += bytes + (lines[bytes] == '\n');
	}
}

void log_stream_cut(struct log_stream *stream, int64_t now_ms)
{
	while (stream->count > 0 && stream->events[stream->count - 1].written_ms > now_ms)
		stream->count--;
}
