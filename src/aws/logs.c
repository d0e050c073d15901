/* SPDX-License-Identifier: Apache-2.0 */
/* logs.c - see logs.h. */
#include "aws/logs.h"

#include <stdlib.h>
#include <string.h>

#include "base/json_at.h"
#include "base/log.h"
#include "base/mem.h"

static json_t *must(json_t *doc)
{
	if (doc == NULL)
		fatal("out of memory, or a text that is not UTF-8, for a request to CloudWatch Logs");
	return doc;
}

void logs_place_finish(struct logs_place *place)
{
	free(place->group);
	free(place->stream);
	free(place->region);
	*place = (struct logs_place){ 0 };
}

char *logs_stream_of(const char *prefix, const char *container, const char *task)
{
	const char *slash = strrchr(task, '/');

	return xasprintf("%s/%s/%s", prefix, container, slash != NULL ? slash + 1 : task);
}

/* -- where ---------------------------------------------------------------------------------------- */

json_t *logs_definition_input(const char *task_definition)
{
	return must(json_pack("{s:s}", "taskDefinition", task_definition));
}

static const json_t *find_container(const json_t *doc, const char *name)
{
	const json_t *container;
	size_t i;

	json_array_foreach(json_at_array(doc, "taskDefinition.containerDefinitions"), i, container) {
		const char *found = json_at_string(container, "name");

		if (found != NULL && strcmp(found, name) == 0)
			return container;
	}
	return NULL;
}

/* Option names have dashes, which are no part of a path's syntax. */
static const char *option(const json_t *container, const char *name)
{
	return json_string_value(json_object_get(json_at_object(container, "logConfiguration.options"), name));
}

static bool refuse(struct error *err, const char *container, const char *why, const char *word)
{
	error_set(err, ERROR_REFUSED, "the output of container \"%s\" is not in CloudWatch Logs: %s%s", container, why, word);
	error_set_code(err, "no_awslogs");
	return false;
}

bool logs_definition_parse(const json_t *doc, const char *container, struct logs_place *place, char **prefix,
	struct error *err)
{
	const json_t *found = find_container(doc, container);
	const char *driver = json_at_string(found, "logConfiguration.logDriver");
	const char *group = option(found, "awslogs-group"), *stream_prefix = option(found, "awslogs-stream-prefix");

	if (found == NULL)
		return refuse(err, container, "the task definition has no such container", "");
	if (driver == NULL)
		return refuse(err, container, "the task definition has no logConfiguration for it", "");
	if (strcmp(driver, "awslogs") != 0)
		return refuse(err, container, "its log driver is ", driver);
	if (group == NULL)
		return refuse(err, container, "its logConfiguration names no awslogs-group", "");
	if (stream_prefix == NULL)
		return refuse(err, container, "its logConfiguration has no awslogs-stream-prefix, without which the stream's "
			"name is not known", "");
	place->group = xstrdup(group);
	place->region = xstrdup(option(found, "awslogs-region"));
	*prefix = xstrdup(stream_prefix);
	return true;
}

/* -- reading -------------------------------------------------------------------------------------- */

json_t *logs_page_input(const struct logs_place *place, const char *token)
{
	return must(json_pack("{s:s, s:s, s:b, s:i, s:s*}", "logGroupName", place->group, "logStreamName", place->stream,
		"startFromHead", true, "limit", LOGS_EVENTS_MAX, "nextToken", token));
}

json_t *logs_tail_input(const struct logs_place *place)
{
	return must(json_pack("{s:s, s:s, s:b, s:i}", "logGroupName", place->group, "logStreamName", place->stream,
		"startFromHead", false, "limit", LOGS_EVENTS_MAX));
}

void logs_page_each(const json_t *doc, logs_line_fn *fn, void *arg)
{
	const json_t *event;
	size_t i;

	json_array_foreach(json_at_array(doc, "events"), i, event) {
		const json_t *message = json_object_get(event, "message");

		if (json_is_string(message))
			fn(arg, json_string_value(message), json_string_length(message));
	}
}

const char *logs_page_next(const json_t *doc)
{
	const char *token = json_at_string(doc, "nextForwardToken");

	return token != NULL && *token != '\0' ? token : NULL;
}

static bool is_missing(const struct error *err)
{
	return strcmp(err->code, "ResourceNotFoundException") == 0;
}

bool logs_is_missing_group(const struct error *err)
{
	return is_missing(err) && strstr(err->text, "log group") != NULL;
}

bool logs_is_missing_stream(const struct error *err)
{
	return is_missing(err) && !logs_is_missing_group(err);
}
