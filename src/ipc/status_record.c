/* SPDX-License-Identifier: Apache-2.0 */
/* status_record.c - see status_record.h. */
#include "ipc/status_record.h"

#include <stdlib.h>
#include <string.h>

#include "base/json_at.h"

/* Words that are numbers become JSON numbers, but for those that only may look like one. */
static json_t *word_value(const char *key, const char *value)
{
	static const char *const texts[] = { "name", "reason", "file", "configuration", "version", "owner", "trouble" };
	char *end;
	long long number = strtoll(value, &end, 10);

	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		if (strcmp(key, texts[i]) == 0)
			return json_at_text(value);
	}
	if (*value != '\0' && *end == '\0' && (value[0] != '0' || value[1] == '\0'))
		return json_integer(number);
	return json_at_text(value);
}

static json_t *record(const struct control_line *line)
{
	json_t *object = json_object();

	for (size_t i = 0; i < line->count; i++)
		json_object_set_new(object, line->words[i].key, word_value(line->words[i].key, line->words[i].value));
	/* The one word that the outside knows by another name. */
	if (json_object_get(object, "held") != NULL)
		json_object_set(object, "in_flight", json_object_get(object, "held"));
	return object;
}

/* {"kind", "name", "values": []}: counters may be larger than what else is a number here. */
static void add_figures(json_t *doc, const struct control_line *line)
{
	const char *values = control_line_find(line, "values");
	json_t *object = record(line), *list = json_array();
	char *end;

	for (; values != NULL && *values != '\0'; values = end) {
		json_array_append_new(list, json_integer((json_int_t)strtoull(values, &end, 10)));
		if (end == values)
			break;
	}
	json_object_set_new(object, "values", list);
	if (json_object_get(doc, "figures") == NULL)
		json_object_set_new(doc, "figures", json_array());
	json_array_append_new(json_object_get(doc, "figures"), object);
}

void status_record_add(json_t *doc, const struct control_line *line)
{
	static const struct { const char *name, *list; } lists[] = {
		{ "generation", "generations" }, { "worker", "workers" }, { "queue", "queues" }, { "rate", "rates" },
	};
	json_t *object;

	if (strcmp(line->name, "figures") == 0) {
		add_figures(doc, line);
		return;
	}
	object = record(line);
	for (size_t i = 0; i < sizeof(lists) / sizeof(*lists); i++) {
		if (strcmp(line->name, lists[i].name) == 0)
			json_array_append(json_object_get(doc, lists[i].list), object);
	}
	if (strcmp(line->name, "reload") == 0)
		json_object_set(doc, "last_reload", object);
	if (strcmp(line->name, "daemon") == 0)
		json_object_update_missing(doc, object);
	json_decref(object);
}

json_t *status_record_create(void)
{
	return json_pack("{s:{},s:[],s:[],s:[],s:[]}", "last_reload", "generations", "workers", "queues", "rates");
}

const json_t *status_record_rate(const json_t *doc, const char *queue)
{
	const json_t *rate;
	size_t i;

	json_array_foreach(json_object_get(doc, "rates"), i, rate) {
		const char *name = json_string_value(json_object_get(rate, "name"));

		if (name != NULL && strcmp(name, queue) == 0)
			return rate;
	}
	return NULL;
}
