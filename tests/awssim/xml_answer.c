/* SPDX-License-Identifier: Apache-2.0 */
/* xml_answer.c - objects become elements; lists and maps are flattened under the name that the
 * service's model gives to one entry. */
#include "xml_answer.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* What one entry of a list or map is called. */
static const struct {
	const char *json, *xml;
	bool map;               /* each entry is <Name/><Value/> */
} entries[] = {
	{ "Messages", "Message", false },
	{ "QueueUrls", "QueueUrl", false },
	{ "Failed", "BatchResultErrorEntry", false },
	{ "Attributes", "Attribute", true },
	{ "MessageAttributes", "MessageAttribute", true },
};

static void add_value(struct text *text, const char *action, const char *name,
		      json_t *value);

static void add_members(struct text *text, const char *action, json_t *object)
{
	const char *name;
	json_t *value;

	json_object_foreach(object, name, value)
		add_value(text, action, name, value);
}

static void add_scalar(struct text *text, json_t *value)
{
	if (json_is_string(value))
		text_add_xml(text, json_string_value(value), json_string_length(value));
	else if (json_is_integer(value))
		text_addf(text, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
	else if (json_is_boolean(value))
		text_add_string(text, json_is_true(value) ? "true" : "false");
}

static void add_element(struct text *text, const char *action, const char *name,
			json_t *value)
{
	text_addf(text, "<%s>", name);
	if (json_is_object(value))
		add_members(text, action, value);
	else
		add_scalar(text, value);
	text_addf(text, "</%s>", name);
}

static void add_map(struct text *text, const char *action, const char *entry, json_t *map)
{
	const char *name;
	json_t *value;

	json_object_foreach(map, name, value) {
		text_addf(text, "<%s><Name>", entry);
		text_add_xml(text, name, strlen(name));
		text_add_string(text, "</Name>");
		add_element(text, action, "Value", value);
		text_addf(text, "</%s>", entry);
	}
}

static void add_value(struct text *text, const char *action, const char *name,
		      json_t *value)
{
	char result[96];
	const char *entry = name;
	json_t *item;
	size_t i;

	if (strcmp(name, "Successful") == 0 || strcmp(name, "Results") == 0) {
		snprintf(result, sizeof(result), "%sResultEntry", action);
		entry = result;
	}
	for (i = 0; i < sizeof(entries) / sizeof(entries[0]); i++) {
		if (strcmp(entries[i].json, name) != 0)
			continue;
		if (entries[i].map && json_is_object(value)) {
			add_map(text, action, entries[i].xml, value);
			return;
		}
		entry = entries[i].xml;
	}
	if (!json_is_array(value)) {
		add_element(text, action, entry, value);
		return;
	}
	json_array_foreach(value, i, item)
		add_element(text, action, entry, item);
}

void xml_answer(struct text *text, const char *name_space, const char *action, json_t *out,
		const char *request_id)
{
	text_addf(text, "<?xml version=\"1.0\"?><%sResponse xmlns=\"%s\">", action, name_space);
	text_addf(text, "<%sResult>", action);
	add_members(text, action, out);
	text_addf(text, "</%sResult><ResponseMetadata><RequestId>%s</RequestId>"
		  "</ResponseMetadata></%sResponse>", action, request_id, action);
}

void xml_answer_error(struct text *text, const char *name_space, const struct aws_error *error,
		      const char *request_id)
{
	const struct aws_error_kind *kind = aws_error_kind(error->shape);
	int status = error->status != 0 ? error->status : kind->status;

	text_addf(text, "<?xml version=\"1.0\"?><ErrorResponse xmlns=\"%s\"><Error><Type>%s</Type>"
		  "<Code>%s</Code><Message>", name_space, status >= 500 ? "Receiver" : "Sender",
		  kind->query_code != NULL ? kind->query_code : error->shape);
	text_add_xml(text, error->message, strlen(error->message));
	text_addf(text, "</Message><Detail/></Error><RequestId>%s</RequestId></ErrorResponse>",
		  request_id);
}
