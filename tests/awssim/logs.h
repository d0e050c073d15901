/* SPDX-License-Identifier: Apache-2.0 */
/* logs.h - CloudWatch Logs: streams of lines, by group and name.
 * A stream begins with the container that writes to it, or with CreateLogStream; a group with its
 * first stream.  A line has two times: when it was written, and when it can be read. */
#ifndef AWSSIM_LOGS_H
#define AWSSIM_LOGS_H

#include "list.h"
#include "table.h"
#include "text.h"
#include "world.h"

#include <stdbool.h>

struct ecs_task;

struct log_event {
	int64_t written_ms, shown_ms;   /* by the simulator's clock */
	size_t at, bytes;               /* in log_stream.text */
};

struct log_stream {
	struct table_node by_name;      /* group, a newline, name */
	struct list peers;
	struct log_event *events;       /* oldest first */
	size_t count, room;
	struct text text;
	char name[];
};

struct logs {
	struct world *world;
	struct table streams_by_name, groups_by_name;
	struct list streams, groups;
};

struct logs *logs_create(struct world *);
void logs_destroy(struct logs *);
void logs_clear(struct logs *);

bool logs_has_group(struct logs *, const char *group);
struct log_stream *logs_find(struct logs *, const char *group, const char *name);
/* Made if it isn't there. */
struct log_stream *logs_stream(struct logs *, const char *group, const char *name);
void log_stream_add(struct log_stream *, int64_t written_ms, int64_t shown_ms, const char *line,
		    size_t bytes);
/* Each line of a text; the newline at its end begins no other. */
void log_stream_add_lines(struct log_stream *, int64_t written_ms, int64_t shown_ms,
			  const char *lines);
/* Whoever wrote has ended: what he would have written later never was. */
void log_stream_cut(struct log_stream *, int64_t now_ms);

#endif
