/* SPDX-License-Identifier: Apache-2.0 */
/* query_form.c - first a tree of objects along the dots, then lists, maps and numbers made of it
 * by what the members are called. */
#include "query_form.h"

#include "http_request.h"
#include "xalloc.h"

#include <stdbool.h>

enum {
	LIMIT_FORM_DEPTH = 8,
	LIMIT_FORM_LIST = 100,
};

/* How a flattened member of the form is called in the JSON protocol, and what it is. */
static const struct {
	const char *form, *json;
	const char *key;        /* of a map: which member of an entry is the key; NULL: a list */
	const char *value;
} renames[] = {
	{ "Attribute", "Attributes", "Name", "Value" },
	{ "MessageAttribute", "MessageAttributes", "Name", "Value" },
	{ "MessageSystemAttribute", "MessageSystemAttributes", "Name", "Value" },
	{ "Tag", "tags", "Key", "Value" },
	{ "AttributeName", "AttributeNames", NULL, NULL },
	{ "MessageAttributeName", "MessageAttributeNames", NULL, NULL },
	{ "MessageSystemAttributeName", "MessageSystemAttributeNames", NULL, NULL },
	{ "SendMessageBatchRequestEntry", "Entries", NULL, NULL },
	{ "DeleteMessageBatchRequestEntry", "Entries", NULL, NULL },
	{ "ChangeMessageVisibilityBatchRequestEntry", "Entries", NULL, NULL },
};

static const char *const numbers[] = {
	"MaxNumberOfMessages", "WaitTimeSeconds", "VisibilityTimeout", "DelaySeconds",
	"MaxResults", "DurationSeconds", "MaxNumberOfMessagesPerSecond",
};

static bool is_number(const char *name)
{
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		if (strcmp(numbers[i], name) == 0)
			return true;
	}
	return false;
}

/* "1", "2", ... in order, as an array. */
static json_t *list_of(const json_t *numbered)
{
	json_t *list = json_array();
	char key[16];

	for (int i = 1; i <= LIMIT_FORM_LIST; i++) {
		json_t *item;

		snprintf(key, sizeof(key), "%d", i);
		item = json_object_get(numbered, key);
		if (item == NULL)
			break;
		json_array_append(list, item);
	}
	return list;
}

static json_t *map_of(const json_t *list, const char *key, const char *value)
{
	json_t *map = json_object(), *entry;
	size_t i;

	json_array_foreach(list, i, entry) {
		const char *name = json_string_value(json_object_get(entry, key));

		if (name != NULL && json_object_get(entry, value) != NULL)
			json_object_set(map, name, json_object_get(entry, value));
	}
	return map;
}

static json_t *typed(const char *name, json_t *value)
{
	char *end;
	long number;

	if (!json_is_string(value) || !is_number(name))
		return json_incref(value);
	number = strtol(json_string_value(value), &end, 10);
	if (end == json_string_value(value) || *end != '\0')
		return json_incref(value);
	return json_integer(number);
}

static json_t *shaped(json_t *tree);

static void shape_member(json_t *out, const char *name, json_t *value)
{
	for (size_t i = 0; i < sizeof(renames) / sizeof(renames[0]); i++) {
		json_t *list;

		/* An empty one comes as a plain "Entries=". */
		if (strcmp(renames[i].form, name) != 0 && strcmp(renames[i].json, name) != 0)
			continue;
		list = list_of(value);
		if (renames[i].key != NULL) {
			json_object_set_new(out, renames[i].json,
					    map_of(list, renames[i].key, renames[i].value));
			json_decref(list);
		} else {
			json_object_set_new(out, renames[i].json, list);
		}
		return;
	}
	json_object_set_new(out, name, typed(name, value));
}

static json_t *shaped(json_t *tree)
{
	json_t *out = json_object(), *value;
	const char *name;

	json_object_foreach(tree, name, value) {
		json_t *inner = json_is_object(value) ? shaped(value) : json_incref(value);

		shape_member(out, name, inner);
		json_decref(inner);
	}
	return out;
}

/* Puts value at a.b.c, making the objects on the way. */
static bool tree_put(json_t *tree, char *path, json_t *value)
{
	for (int depth = 0; depth < LIMIT_FORM_DEPTH; depth++) {
		char *dot = strchr(path, '.');
		json_t *inner;

		if (dot == NULL)
			return json_object_set(tree, path, value) == 0;
		*dot = '\0';
		inner = json_object_get(tree, path);
		if (!json_is_object(inner)) {
			inner = json_object();
			json_object_set_new(tree, path, inner);
		}
		tree = inner;
		path = dot + 1;
	}
	return false;
}

static bool put_parameter(json_t *tree, char *parameter, size_t bytes)
{
	char *equals = memchr(parameter, '=', bytes), *value;
	size_t name_bytes = equals == NULL ? bytes : (size_t)(equals - parameter);
	long name_length, value_length = 0;
	json_t *string;
	bool ok;

	value = parameter + name_bytes + (equals == NULL ? 0 : 1);
	if (equals != NULL)
		value_length = http_decode(value, bytes - name_bytes - 1);
	name_length = http_decode(parameter, name_bytes);
	if (name_length <= 0 || value_length < 0)
		return false;
	string = json_stringn(value, (size_t)value_length);
	if (string == NULL)
		return false;
	parameter[name_length] = '\0';
	ok = tree_put(tree, parameter, string);
	json_decref(string);
	return ok;
}

json_t *query_form_parse(const char *body, size_t bytes)
{
	char *copy = xalloc_checked(strndup(body, bytes)), *at = copy, *end = copy + strlen(copy);
	json_t *tree = json_object(), *out = NULL;

	while (at < end) {
		size_t length = strcspn(at, "&");
		char *next = at + length + 1;

		if (length > 0 && !put_parameter(tree, at, length))
			goto out;
		at = next;
	}
	out = shaped(tree);
out:
	json_decref(tree);
	free(copy);
	return out;
}
