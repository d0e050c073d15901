/* SPDX-License-Identifier: Apache-2.0 */
/* template.c - see template.h.  One walker serves both calls: checking is expanding into nothing. */
#include "job/template.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json_at.h"

enum { LIMIT_TEMPLATE_NAME_BYTES = 128 };

static const char known[] = "id project deployer queue commit ref stage attempt fence body payload.NAME";

enum name {
	NAME_ID, NAME_PROJECT, NAME_DEPLOYER, NAME_QUEUE, NAME_COMMIT, NAME_REF, NAME_STAGE, NAME_ATTEMPT,
	NAME_FENCE, NAME_BODY, NAMES, NAME_PAYLOAD = NAMES, NAME_UNKNOWN,
};

static const char *const names[NAMES] = {
	[NAME_ID] = "id",         [NAME_PROJECT] = "project", [NAME_DEPLOYER] = "deployer", [NAME_QUEUE] = "queue",
	[NAME_COMMIT] = "commit", [NAME_REF] = "ref",         [NAME_STAGE] = "stage",       [NAME_ATTEMPT] = "attempt",
	[NAME_FENCE] = "fence",   [NAME_BODY] = "body",
};

static const char payload_prefix[] = "payload.";
enum { PAYLOAD_PREFIX_BYTES = sizeof(payload_prefix) - 1 };

/* A path that json_at() takes: "a.b[0].c". */
static bool path_is_sound(const char *path)
{
	const char *at = path;

	for (;;) {
		size_t len = strspn(at, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-");

		if (len == 0)
			return false;
		at += len;
		while (*at == '[') {
			len = strspn(at + 1, "0123456789");
			if (len == 0 || len > 6 || at[1 + len] != ']')
				return false;
			at += len + 2;
		}
		if (*at == '\0')
			return true;
		if (*at++ != '.')
			return false;
	}
}

static enum name name_parse(const char *text)
{
	for (int i = 0; i < NAMES; i++) {
		if (strcmp(text, names[i]) == 0)
			return (enum name)i;
	}
	if (strncmp(text, payload_prefix, PAYLOAD_PREFIX_BYTES) == 0 && path_is_sound(text + PAYLOAD_PREFIX_BYTES))
		return NAME_PAYLOAD;
	return NAME_UNKNOWN;
}

/* What a message holds is put in as people would read it; what is missing or null is nothing. */
static void put_json(const json_t *value, struct buf *out)
{
	char *text;

	if (value == NULL || json_is_null(value))
		return;
	if (json_is_string(value)) {
		buf_add(out, json_string_value(value), json_string_length(value));
		return;
	}
	text = json_at_dump(value);
	buf_add_text(out, text);
	free(text);
}

static void put_text(const char *text, struct buf *out)
{
	if (text != NULL)
		buf_add_text(out, text);
}

static void put(enum name name, const char *text, const struct template_values *values, struct buf *out)
{
	const struct job *job = values->job;

	switch (name) {
	case NAME_ID: put_text(job->id, out); break;
	case NAME_PROJECT: put_text(job->project, out); break;
	case NAME_DEPLOYER: put_text(job->deployer, out); break;
	case NAME_QUEUE: put_text(job->queue, out); break;
	case NAME_COMMIT: put_text(job->commit, out); break;
	case NAME_REF: put_text(job->ref, out); break;
	case NAME_STAGE: put_text(job->stage, out); break;
	case NAME_ATTEMPT: buf_printf(out, "%u", job->attempt.number); break;
	case NAME_FENCE: buf_printf(out, "%" PRId64, job->grant); break;
	case NAME_BODY: put_text(values->body != NULL ? values->body : job->body, out); break;
	case NAME_PAYLOAD: put_json(json_at(values->payload, text + PAYLOAD_PREFIX_BYTES), out); break;
	case NAME_UNKNOWN: break;
	}
}

/* Reads "{{ name }}" at *at and moves behind it. */
static bool read_name(const char **at, char name[LIMIT_TEMPLATE_NAME_BYTES], struct error *err)
{
	const char *begin = *at + 2;
	const char *end = strstr(begin, "}}");
	size_t len;

	if (end == NULL) {
		error_set(err, ERROR_INVALID, "expected \"}}\" after \"{{\", found the end of the text");
		return false;
	}
	*at = end + 2;
	begin += strspn(begin, " \t");
	while (end > begin && (end[-1] == ' ' || end[-1] == '\t'))
		end--;
	len = end > begin ? (size_t)(end - begin) : 0;
	if (len >= LIMIT_TEMPLATE_NAME_BYTES) {
		error_set(err, ERROR_INVALID, "expected a name of at most %d bytes in \"{{ }}\", found %zu",
			LIMIT_TEMPLATE_NAME_BYTES - 1, len);
		return false;
	}
	memcpy(name, begin, len);
	name[len] = '\0';
	return true;
}

/* put_name is asked for each name; out is NULL when only the form is checked. */
static bool walk(const char *text, template_put_fn *put_name, void *arg, const char *known_names, struct buf *out,
	struct error *err)
{
	char name[LIMIT_TEMPLATE_NAME_BYTES];

	for (;;) {
		const char *open = strstr(text, "{{");

		if (out != NULL)
			buf_add(out, text, open != NULL ? (size_t)(open - text) : strlen(text));
		if (open == NULL)
			return true;
		if (!read_name(&open, name, err))
			return false;
		if (!put_name(arg, name, out)) {
			error_set(err, ERROR_INVALID, "expected one of %s in \"{{ }}\", found \"%s\"", known_names, name);
			return false;
		}
		text = open;
	}
}

static bool put_of_job(void *arg, const char *text, struct buf *out)
{
	enum name name = name_parse(text);

	if (name != NAME_UNKNOWN && out != NULL)
		put(name, text, arg, out);
	return name != NAME_UNKNOWN;
}

static bool fits(const char *text, const struct buf *out, struct error *err)
{
	if (out->overflowed)
		error_set(err, ERROR_INVALID, "expected at most %zu bytes from \"%.64s\", found more", out->limit, text);
	return !out->overflowed;
}

bool template_wants_payload(const char *text)
{
	return strstr(text, payload_prefix) != NULL;
}

bool template_check(const char *text, struct error *err)
{
	return walk(text, put_of_job, NULL, known, NULL, err);
}

bool template_expand(const char *text, const struct template_values *values, struct buf *out, struct error *err)
{
	struct template_values lent = *values;

	return walk(text, put_of_job, &lent, known, out, err) && fits(text, out, err);
}

/* -- over other names --------------------------------------------------------------------------- */

static bool is_one_of(void *arg, const char *name, struct buf *out)
{
	const char *const *names_of_caller = arg;

	(void)out;
	while (*names_of_caller != NULL && strcmp(*names_of_caller, name) != 0)
		names_of_caller++;
	return *names_of_caller != NULL;
}

bool template_check_names(const char *text, const char *const *names_of_caller, struct error *err)
{
	struct buf list;
	bool ok;

	buf_init(&list, LIMIT_ERROR_TEXT_BYTES);
	for (size_t i = 0; names_of_caller[i] != NULL; i++)
		buf_printf(&list, "%s%s", i > 0 ? " " : "", names_of_caller[i]);
	ok = walk(text, is_one_of, (void *)names_of_caller, buf_text(&list), NULL, err);
	buf_finish(&list);
	return ok;
}

bool template_expand_names(const char *text, template_put_fn *put_name, void *arg, struct buf *out, struct error *err)
{
	return walk(text, put_name, arg, "the known names", out, err) && fits(text, out, err);
}
