/* SPDX-License-Identifier: Apache-2.0 */
/* member.c - typed access to a request's members. */
#include "member.h"

static const char *type_name(const json_t *value)
{
	switch (json_typeof(value)) {
	case JSON_STRING: return "STRING_VALUE";
	case JSON_INTEGER:
	case JSON_REAL: return "NUMBER_VALUE";
	case JSON_TRUE: return "TRUE_VALUE";
	case JSON_FALSE: return "FALSE_VALUE";
	case JSON_ARRAY: return "START_ARRAY";
	case JSON_OBJECT: return "START_OBJECT";
	default: return "NULL_VALUE";
	}
}

/* True when there is a value to look at. */
static bool member_get(const json_t *object, const char *name, json_t **value)
{
	*value = json_object_get(object, name);
	return *value != NULL && !json_is_null(*value);
}

static bool member_refuse(const char *name, const json_t *value, const char *want,
			  struct aws_error *error)
{
	aws_error_set(error, "SerializationException", "%s can not be converted to %s (%s)",
		      type_name(value), want, name);
	return false;
}

bool member_string(const json_t *object, const char *name, const char **value,
		   struct aws_error *error)
{
	json_t *found;

	if (!member_get(object, name, &found))
		return true;
	if (!json_is_string(found))
		return member_refuse(name, found, "a String", error);
	*value = json_string_value(found);
	return true;
}

bool member_integer(const json_t *object, const char *name, json_int_t *value,
		    struct aws_error *error)
{
	json_t *found;

	if (!member_get(object, name, &found))
		return true;
	if (!json_is_integer(found))
		return member_refuse(name, found, "an Integer", error);
	*value = json_integer_value(found);
	return true;
}

bool member_bool(const json_t *object, const char *name, bool *value, struct aws_error *error)
{
	json_t *found;

	if (!member_get(object, name, &found))
		return true;
	if (!json_is_boolean(found))
		return member_refuse(name, found, "a Boolean", error);
	*value = json_is_true(found);
	return true;
}

bool member_array(const json_t *object, const char *name, json_t **value,
		  struct aws_error *error)
{
	json_t *found;

	if (!member_get(object, name, &found))
		return true;
	if (!json_is_array(found))
		return member_refuse(name, found, "a List", error);
	*value = found;
	return true;
}

bool member_object(const json_t *object, const char *name, json_t **value,
		   struct aws_error *error)
{
	json_t *found;

	if (!member_get(object, name, &found))
		return true;
	if (!json_is_object(found))
		return member_refuse(name, found, "a Structure", error);
	*value = found;
	return true;
}
