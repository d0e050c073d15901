/* SPDX-License-Identifier: Apache-2.0 */
/* logs.h - the words of CloudWatch Logs: where a task's output is, and the pages it is read in.
 *
 * Pure: no call, no clock, no log.  Member names and codes are those of AWS JSON 1.1 (Logs_20140328).  When
 * a page is asked for, and what its lines are for, is the api's. */
#ifndef AWS_LOGS_H
#define AWS_LOGS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

enum {
	LOGS_EVENTS_MAX = 10000,                /* of a page, which has 1 MiB at most */
	LIMIT_LOGS_NAME_BYTES = 512,            /* of a group, and of a stream */
};

/* The stream of one container of one task. */
struct logs_place {
	char *group, *stream;
	char *region;                   /* NULL: that of the task */
};
void logs_place_finish(struct logs_place *place);
/* The awslogs driver names a stream PREFIX/CONTAINER/TASK-ID; task is an ARN or an id. */
char *logs_stream_of(const char *prefix, const char *container, const char *task);

/* -- where: ECS's DescribeTaskDefinition ---------------------------------------------------------- */

json_t *logs_definition_input(const char *task_definition);
/* What its answer says of a container's output, copied into prefix and the place's group and region.
 * ERROR_REFUSED, code "no_awslogs": it goes elsewhere, with the words for whoever looks for it. */
bool logs_definition_parse(const json_t *doc, const char *container, struct logs_place *place, char **prefix,
	struct error *err);

/* -- reading: GetLogEvents; new references --------------------------------------------------------- */

/* From the stream's beginning (token NULL) or on from where a page ended. */
json_t *logs_page_input(const struct logs_place *place, const char *token);
/* Its last lines, as many as a page takes. */
json_t *logs_tail_input(const struct logs_place *place);
/* The lines of an answer, in order; lent by doc. */
typedef void logs_line_fn(void *arg, const char *line, size_t size);
void logs_page_each(const json_t *doc, logs_line_fn *fn, void *arg);
/* The token of the following page, lent; the one that was sent when there is no more for now (a page
 * without lines may have another).  NULL: the answer has none. */
const char *logs_page_next(const json_t *doc);
/* The stream is not there: nothing was written yet, or it is kept no more; the group likewise. */
bool logs_is_missing_stream(const struct error *err);
bool logs_is_missing_group(const struct error *err);

#endif
