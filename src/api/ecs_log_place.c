/* SPDX-License-Identifier: Apache-2.0 */
/* ecs_log_place.c - where a task's stream is: the configuration says it, or the task definition; see
 * ecs_log.h.  What a definition says is kept for a while: it belongs to a revision and hardly changes. */
#include <stdlib.h>

#include "api/ecs_log_impl.h"
#include "base/clock.h"
#include "base/mem.h"

enum { LIMIT_KNOWN_PLACES = 256 };
static const double known_s = 600;

/* What is the same for all tasks of a definition. */
struct known_place {
	struct table_link by_name;      /* ecs_logs.places */
	char *name;                     /* definition, a newline, container */
	struct logs_place place;        /* without a stream */
	char *prefix;
	double at_s;
};

static char *name_of(const struct ecs_log *log)
{
	return xasprintf("%s\n%s", log->definition, log->container);
}

static void forget(struct table *places, struct known_place *known)
{
	table_remove(places, &known->by_name);
	logs_place_finish(&known->place);
	free(known->prefix);
	free(known->name);
	free(known);
}

static void clear(struct table *places)
{
	struct table_link *link;

	while ((link = table_any(places)) != NULL)
		forget(places, container_of(link, struct known_place, by_name));
}

void ecs_log_forget_places(struct ecs_logs *logs)
{
	clear(&logs->places);
	table_finish(&logs->places);
}

static void set_place(struct ecs_log *log, const char *group, const char *prefix, const char *region)
{
	logs_place_finish(&log->place);
	log->place.group = xstrdup(group);
	log->place.region = xstrdup(region);
	log->place.stream = logs_stream_of(prefix, log->container, log->task);
}

void ecs_log_recall_place(struct ecs_log *log, const struct conf_logs *conf)
{
	struct table *places = &log->logs->places;
	struct table_link *link;
	struct known_place *known;
	char *name;

	if (conf != NULL && conf->group != NULL) {
		set_place(log, conf->group, conf->prefix, conf->region);
		return;
	}
	name = name_of(log);
	link = table_find(places, name);
	free(name);
	if (link == NULL)
		return;
	known = container_of(link, struct known_place, by_name);
	if (clock_monotonic_s() - known->at_s > known_s)
		forget(places, known);
	else
		set_place(log, known->place.group, known->prefix, known->place.region);
}

/* Takes what place and prefix hold. */
static void know(struct ecs_log *log, struct logs_place *place, char *prefix)
{
	struct table *places = &log->logs->places;
	struct known_place *known = xnew(struct known_place);
	struct table_link *link;

	*known = (struct known_place){ .name = name_of(log), .place = *place, .prefix = prefix, .at_s = clock_monotonic_s() };
	link = table_find(places, known->name);
	if (link != NULL)
		forget(places, container_of(link, struct known_place, by_name));
	if (places->count >= LIMIT_KNOWN_PLACES)
		clear(places);
	table_add(places, &known->by_name, known->name);
	set_place(log, known->place.group, prefix, known->place.region);
}

static void on_definition(void *arg, const struct aws_reply *reply, const struct error *given)
{
	struct ecs_log *log = arg;
	struct logs_place place = { 0 };
	struct error err;
	char *prefix;

	log->call = NULL;
	if (given != NULL) {
		err = *given;
		if (!error_may_pass(err.kind))
			error_prefix(&err, "where the log is was not told (deployers.NAME.logs can say it)");
		ecs_log_failed(log, &err);
	} else if (logs_definition_parse(reply->doc, log->container, &place, &prefix, &err)) {
		know(log, &place, prefix);
		ecs_log_placed(log);
	} else {
		error_prefix(&err, "task definition %s", log->definition);
		ecs_log_failed(log, &err);
	}
}

void ecs_log_find_place(struct ecs_log *log)
{
	json_t *input = logs_definition_input(log->definition);
	struct aws_request request = { .service = AWS_ECS, .action = "DescribeTaskDefinition", .input = input };

	log->call = aws_call(log->logs->aws, &request, on_definition, log);
	json_decref(input);
}
