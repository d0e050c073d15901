/* SPDX-License-Identifier: Apache-2.0 */
/* notice_text.c - see notice_text.h. */
#include "notify/notice_text.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/json_at.h"
#include "base/mem.h"
#include "job/template.h"

/* Where a name's value stands, when not under data and its own name. */
static const struct { const char *name, *path; } places[] = {
	{ "host", "host" },
	{ "attempt", "data.attempt.number" },
	{ "started", "data.attempt.started" },
};

static const json_t *find(const json_t *doc, const char *name)
{
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		if (strcmp(places[i].name, name) == 0)
			return json_at(doc, places[i].path);
	}
	return json_object_get(json_object_get(doc, "data"), name);
}

static bool put(void *arg, const char *name, struct buf *out)
{
	const json_t *value = find(arg, name);
	char *text;

	if (json_is_string(value)) {
		buf_add_text(out, json_string_value(value));
	} else if (value != NULL && !json_is_null(value)) {
		text = json_at_dump(value);
		buf_add_text(out, text);
		free(text);
	}
	return true;
}

char *notice_text_value(const json_t *doc, const char *name)
{
	struct buf out;

	buf_init(&out, LIMIT_NOTICE_TEXT_BYTES);
	put((void *)doc, name, &out);
	return buf_take(&out);
}

static void expand(const json_t *doc, const char *template, struct buf *out)
{
	/* Checked with the configuration; what does not fit is cut. */
	template_expand_names(template, put, (void *)doc, out, NULL);
}

static bool says(const json_t *doc, const char *name)
{
	const json_t *value = find(doc, name);

	return value != NULL && !json_is_null(value) && !(json_is_string(value) && json_string_length(value) == 0);
}

static void add_line(const json_t *doc, const char *name, const char *template, struct buf *out)
{
	if (says(doc, name))
		expand(doc, template, out);
}

static void our_text(const json_t *doc, struct buf *out)
{
	expand(doc, "{{ project }}: {{ event }}", out);
	add_line(doc, "reason", ": {{ reason }}", out);
	add_line(doc, "exit_code", " (exit code {{ exit_code }})", out);
	add_line(doc, "detail", "\n{{ detail }}", out);
	buf_add_text(out, "\n\n");
	expand(doc, "job       {{ id }}\ndeployer  {{ deployer }}\n", out);
	add_line(doc, "ref", "ref       {{ ref }}\n", out);
	add_line(doc, "commit", "commit    {{ commit }}\n", out);
	add_line(doc, "attempt", "attempt   {{ attempt }}\n", out);
	add_line(doc, "accepted", "accepted  {{ accepted }}\n", out);
	add_line(doc, "started", "started   {{ started }}\n", out);
	add_line(doc, "finished", "finished  {{ finished }}\n", out);
	add_line(doc, "url", "\n{{ url }}\n", out);
	add_line(doc, "log_tail", "\nThe end of its log:\n\n{{ log_tail }}", out);
}

char *notice_text(const json_t *doc, const char *template)
{
	struct buf out;

	buf_init(&out, LIMIT_NOTICE_TEXT_BYTES);
	if (template != NULL)
		expand(doc, template, &out);
	else
		our_text(doc, &out);
	return buf_take(&out);
}

/* Cut where no UTF-8 character is torn. */
static void cut(char *text, size_t limit)
{
	size_t len = strlen(text);

	if (len <= limit)
		return;
	while (limit > 0 && ((unsigned char)text[limit] & 0xc0) == 0x80)
		limit--;
	text[limit] = '\0';
}

char *notice_text_line(const json_t *doc, const char *template)
{
	struct buf out;
	char *text;

	buf_init(&out, LIMIT_NOTICE_TEXT_BYTES);
	if (template != NULL) {
		expand(doc, template, &out);
	} else {
		expand(doc, "{{ project }}: {{ event }}", &out);
		add_line(doc, "reason", ": {{ reason }}", &out);
	}
	text = buf_take(&out);
	for (char *at = text; *at != '\0'; at++) {
		if ((unsigned char)*at < 0x20 || *at == 0x7f)
			*at = ' ';
	}
	cut(text, LIMIT_NOTICE_LINE_BYTES);
	return text;
}
