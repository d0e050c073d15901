/* SPDX-License-Identifier: Apache-2.0 */
/* job_message_check.c - see job_message_check.h.  A message comes from a stranger and its texts end
 * up in logs, terminals, HTTP headers and environments, so control characters are refused in
 * everything that names something. */
#include "job/job_message_check.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/quantity.h"
#include "job/job.h"
#include "job/job_message.h"

enum { QUOTED_BYTES = 80, SHOWN_BYTES = 64 };

/* "found ..." for a value of the wrong type. */
static const char *type_found(const json_t *value)
{
	if (value == NULL)
		return "nothing";
	switch (json_typeof(value)) {
	case JSON_OBJECT: return "an object";
	case JSON_ARRAY: return "an array";
	case JSON_STRING: return "a string";
	case JSON_INTEGER:
	case JSON_REAL: return "a number";
	case JSON_TRUE: return "true";
	case JSON_FALSE: return "false";
	case JSON_NULL: return "null";
	}
	return "something else";
}

/* The text in quotes, cut between characters, with what would disturb a log line as "?". */
static const char *quoted(const char *text, char out[QUOTED_BYTES])
{
	size_t len = strlen(text);
	bool cut = len > SHOWN_BYTES;

	if (cut) {
		len = SHOWN_BYTES;
		while (len > 0 && ((unsigned char)text[len] & 0xc0) == 0x80)
			len--;
	}
	snprintf(out, QUOTED_BYTES, "\"%.*s%s\"", (int)len, text, cut ? "..." : "");
	for (char *at = out; *at != '\0'; at++) {
		if ((unsigned char)*at < 0x20 || *at == 0x7f)
			*at = '?';
	}
	return out;
}

static bool fail(struct error *err, const char *member, const char *expected, const char *found)
{
	error_set(err, ERROR_INVALID, "%s: expected %s, found %s", member, expected, found);
	return false;
}

static bool fail_value(struct error *err, const char *member, const char *expected, const json_t *value)
{
	char text[QUOTED_BYTES];

	if (json_is_string(value))
		return fail(err, member, expected, quoted(json_string_value(value), text));
	if (json_is_integer(value)) {
		snprintf(text, sizeof(text), "%" PRId64, (int64_t)json_integer_value(value));
		return fail(err, member, expected, text);
	}
	if (json_is_real(value)) {
		snprintf(text, sizeof(text), "%g", json_real_value(value));
		return fail(err, member, expected, text);
	}
	return fail(err, member, expected, type_found(value));
}

/* C0, DEL, and the C1 controls in their UTF-8 form. */
static bool has_control(const char *text)
{
	for (const unsigned char *at = (const unsigned char *)text; *at != '\0'; at++) {
		if (*at < 0x20 || *at == 0x7f || (at[0] == 0xc2 && at[1] >= 0x80 && at[1] < 0xa0))
			return true;
	}
	return false;
}

bool job_message_id_is_sound(const char *id)
{
	size_t len = strlen(id);

	if (len == 0 || len > LIMIT_JOB_ID_BYTES)
		return false;
	for (; *id != '\0'; id++) {
		if (*id <= 0x20 || *id >= 0x7f)
			return false;
	}
	return true;
}

static bool check_id(const char *member, const json_t *value, struct error *err)
{
	static const char expected[] = "a string of 1 to 128 printable ASCII characters without spaces";

	_Static_assert(LIMIT_JOB_ID_BYTES == 128, "the text above says 128");
	if (!json_is_string(value))
		return fail(err, member, expected, type_found(value));
	if (strlen(json_string_value(value)) > LIMIT_JOB_ID_BYTES) {
		char found[QUOTED_BYTES];

		snprintf(found, sizeof(found), "%zu bytes", strlen(json_string_value(value)));
		return fail(err, member, expected, found);
	}
	return job_message_id_is_sound(json_string_value(value)) || fail_value(err, member, expected, value);
}

static bool check_text(const char *member, const json_t *value, size_t limit, struct error *err)
{
	char expected[QUOTED_BYTES];
	char found[QUOTED_BYTES];
	size_t len;

	snprintf(expected, sizeof(expected), "a string of 1 to %zu bytes without control characters", limit);
	if (!json_is_string(value))
		return fail(err, member, expected, type_found(value));
	len = strlen(json_string_value(value));
	if (len > limit) {
		snprintf(found, sizeof(found), "%zu bytes", len);
		return fail(err, member, expected, found);
	}
	if (len == 0 || has_control(json_string_value(value)))
		return fail_value(err, member, expected, value);
	return true;
}

static bool check_project(const char *member, const json_t *value, struct error *err)
{
	return check_text(member, value, LIMIT_JOB_PROJECT_BYTES, err);
}

static bool check_name(const char *member, const json_t *value, struct error *err)
{
	return check_text(member, value, LIMIT_JOB_NAME_BYTES, err);
}

static bool check_ref(const char *member, const json_t *value, struct error *err)
{
	return check_text(member, value, LIMIT_MESSAGE_REF_BYTES, err);
}

static bool check_priority(const char *member, const json_t *value, struct error *err)
{
	_Static_assert(JOB_PRIORITY_MAX == 9, "the text below says 9");
	if (json_is_integer(value) && json_integer_value(value) >= 0 && json_integer_value(value) <= JOB_PRIORITY_MAX)
		return true;
	return fail_value(err, member, "an integer from 0 to 9", value);
}

bool job_message_delay_ms(const json_t *delay, int64_t *ms)
{
	if (json_is_string(delay)) {
		if (!quantity_parse_ms(json_string_value(delay), ms))
			return false;
	} else if (json_is_number(delay)) {
		double seconds = json_number_value(delay);

		if (!(seconds >= 0 && seconds <= LIMIT_MESSAGE_DELAY_S))
			return false;
		*ms = (int64_t)(seconds * 1000 + 0.5);
	} else {
		return false;
	}
	return *ms <= (int64_t)LIMIT_MESSAGE_DELAY_S * 1000;
}

static bool check_delay(const char *member, const json_t *value, struct error *err)
{
	int64_t ms;

	_Static_assert(LIMIT_MESSAGE_DELAY_S == 366 * 86400, "the text below says 366d");
	if (job_message_delay_ms(value, &ms))
		return true;
	return fail_value(err, member, "a duration such as \"30s\", or seconds, up to 366d", value);
}

/* One name of environment; the deployment's own names are ours to set. */
static bool check_variable(const char *name, const json_t *value, struct error *err)
{
	char member[LIMIT_MESSAGE_VARIABLE_BYTES + 16];
	char found[QUOTED_BYTES];
	static const char expected[] = "names of 1 to 256 bytes without \"=\" and control characters, "
		"not beginning with GANTRY_";

	_Static_assert(LIMIT_MESSAGE_VARIABLE_BYTES == 256, "the text above says 256");
	if (*name == '\0' || strlen(name) > LIMIT_MESSAGE_VARIABLE_BYTES || strchr(name, '=') != NULL ||
		has_control(name) || strncmp(name, "GANTRY_", 7) == 0)
		return fail(err, "environment", expected, quoted(name, found));
	if (json_is_string(value))
		return true;
	snprintf(member, sizeof(member), "environment.%s", name);
	return fail(err, member, "a string", type_found(value));
}

static bool check_environment(const char *member, const json_t *value, struct error *err)
{
	const char *name;
	json_t *text;

	if (!json_is_object(value))
		return fail(err, member, "an object of strings", type_found(value));
	if (json_object_size(value) > LIMIT_MESSAGE_ENVIRONMENT) {
		char expected[QUOTED_BYTES], found[QUOTED_BYTES];

		snprintf(expected, sizeof(expected), "at most %d names", LIMIT_MESSAGE_ENVIRONMENT);
		snprintf(found, sizeof(found), "%zu", json_object_size(value));
		return fail(err, member, expected, found);
	}
	json_object_foreach((json_t *)value, name, text) {
		if (!check_variable(name, text, err))
			return false;
	}
	return true;
}

static bool check_array(const char *member, const json_t *value, size_t limit, struct error *err)
{
	char expected[QUOTED_BYTES], found[QUOTED_BYTES];

	snprintf(expected, sizeof(expected), "an array of 1 to %zu strings", limit);
	if (!json_is_array(value))
		return fail(err, member, expected, type_found(value));
	if (json_array_size(value) == 0 || json_array_size(value) > limit) {
		snprintf(found, sizeof(found), "%zu", json_array_size(value));
		return fail(err, member, expected, found);
	}
	for (size_t i = 0; i < json_array_size(value); i++) {
		if (!json_is_string(json_array_get(value, i))) {
			snprintf(expected, sizeof(expected), "%s[%zu]", member, i);
			return fail(err, expected, "a string", type_found(json_array_get(value, i)));
		}
	}
	return true;
}

static bool check_command(const char *member, const json_t *value, struct error *err)
{
	return check_array(member, value, LIMIT_MESSAGE_COMMAND, err);
}

/* The deployer's globs are matched against the text, so nothing in it may climb out of them. */
static bool check_directory(const char *member, const json_t *value, struct error *err)
{
	static const char expected[] = "an absolute path without \"..\"";
	const char *path;

	if (!check_text(member, value, LIMIT_MESSAGE_REF_BYTES, err))
		return false;
	path = json_string_value(value);
	if (*path != '/')
		return fail_value(err, member, expected, value);
	while ((path = strstr(path, "/..")) != NULL) {
		path += 3;
		if (*path == '/' || *path == '\0')
			return fail_value(err, member, expected, value);
	}
	return true;
}

static bool check_notify(const char *member, const json_t *value, struct error *err)
{
	char element[QUOTED_BYTES];

	if (!check_array(member, value, LIMIT_MESSAGE_NOTIFY, err))
		return false;
	for (size_t i = 0; i < json_array_size(value); i++) {
		const char *text = json_string_value(json_array_get(value, i));
		bool url = strncmp(text, "http://", 7) == 0 || strncmp(text, "https://", 8) == 0;
		const char *at = strchr(text, '@');
		bool address = !url && at != NULL && at > text && at[1] != '\0';

		if ((url || address) && !has_control(text) && strchr(text, ' ') == NULL)
			continue;
		snprintf(element, sizeof(element), "%s[%zu]", member, i);
		return fail_value(err, element, "an http(s) URL or an e-mail address", json_array_get(value, i));
	}
	return true;
}

/* alias: another name that senders use for the same thing; NULL when there is none. */
static const struct member {
	const char *name, *alias;
	bool (*check)(const char *member, const json_t *value, struct error *err);
} members[] = {
	{ "id", NULL, check_id },
	{ "project", NULL, check_project },
	{ "deployer", NULL, check_name },
	{ "environment", NULL, check_environment },
	{ "command", NULL, check_command },
	{ "commands", NULL, check_command },
	{ "directory", "cd", check_directory },
	{ "delay", NULL, check_delay },
	{ "priority", NULL, check_priority },
	{ "commit", "commit_hash", check_ref },
	{ "ref", "ref_name", check_ref },
	{ "stage", NULL, check_name },
	{ "notify", NULL, check_notify },
};

static const json_t *given(const json_t *message, const char *name)
{
	const json_t *value = name != NULL ? json_object_get(message, name) : NULL;

	return json_is_null(value) ? NULL : value;
}

const char *job_message_other_name(const char *name)
{
	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
		if (members[i].alias == NULL)
			continue;
		if (strcmp(members[i].name, name) == 0)
			return members[i].alias;
		if (strcmp(members[i].alias, name) == 0)
			return members[i].name;
	}
	return NULL;
}

json_t *job_message_member(const json_t *message, const char *name)
{
	const json_t *value = given(message, name);

	for (size_t i = 0; value == NULL && i < sizeof(members) / sizeof(members[0]); i++) {
		if (strcmp(members[i].name, name) == 0)
			value = given(message, members[i].alias);
	}
	return (json_t *)value;
}

static bool check_member(const json_t *message, const struct member *member, struct error *err)
{
	const json_t *value = given(message, member->name);
	const json_t *other = given(message, member->alias);

	if (value != NULL && !member->check(member->name, value, err))
		return false;
	if (other != NULL && !member->check(member->alias, other, err))
		return false;
	if (value != NULL && other != NULL && !json_equal(value, other)) {
		error_set(err, ERROR_INVALID, "%s: expected the same as %s or only one of them, found two values",
			member->alias, member->name);
		return false;
	}
	return true;
}

bool job_message_check(const json_t *message, struct error *err)
{
	if (given(message, "project") == NULL)
		return check_project("project", json_object_get(message, "project"), err);
	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
		if (!check_member(message, &members[i], err))
			return false;
	}
	if (given(message, "command") != NULL && given(message, "commands") != NULL)
		return fail(err, "commands", "only one of command and commands", "both");
	return true;
}
