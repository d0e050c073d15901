/* SPDX-License-Identifier: Apache-2.0 */
/* conf_commands.c - conf and check. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/conf_canonical.h"
#include "ctl/ctl.h"

/* "FILE:LINE:COLUMN: text", as gantryd -t says it; what has no place in the file is all text. */
static json_t *complaint_record(const char *line, const char *file)
{
	size_t size = strlen(file);
	int at = 0, row = 0, column = 0;

	if (strncmp(line, file, size) != 0 || sscanf(line + size, ":%d:%d: %n", &row, &column, &at) < 2 || at == 0)
		return json_pack("{s:o}", "text", json_at_text(line));
	return json_pack("{s:i,s:i,s:o}", "line", row, "column", column, "text", json_at_text(line + size + at));
}

static int check_json(const char *file)
{
	json_t *complaints = json_array(), *doc;
	char *text, *rest;
	int status = ctl_check_quietly(file, &text);

	for (char *line = strtok_r(text, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest)) {
		if (status != CONTROL_DONE)
			json_array_append_new(complaints, complaint_record(line, file));
	}
	doc = json_pack("{s:o,s:b,s:o}", "file", json_at_text(file), "ok", status == CONTROL_DONE, "errors", complaints);
	ctl_print_json(doc);
	json_decref(doc);
	free(text);
	return status;
}

int run_check(struct ctl *ctl, int argc, char **argv)
{
	const char *file = argc == 2 ? argv[1] : ctl->file;

	if (argc > 2)
		return command_usage("check");
	return ctl->json ? check_json(file) : ctl_check(file);
}

/* Whether a canonical key is `wanted` or stands below it. */
static bool matches(const char *key, size_t key_size, const char *wanted)
{
	size_t size = wanted != NULL ? strlen(wanted) : 0;

	if (size == 0)
		return true;
	return key_size >= size && strncmp(key, wanted, size) == 0 && (key_size == size || key[size] == '.');
}

static bool print_line(struct ctl *ctl, json_t *doc, char *line, const char *wanted)
{
	char *tab = strchr(line, '\t');

	if (tab == NULL || !matches(line, (size_t)(tab - line), wanted))
		return false;
	*tab = '\0';
	if (ctl->json)
		json_object_set_new(doc, line, json_at_text(tab + 1));
	else
		printf("%s = %s\n", line, tab + 1);
	return true;
}

int run_conf(struct ctl *ctl, int argc, char **argv)
{
	const struct conf *conf;
	json_t *doc = json_object();
	struct buf text;
	size_t shown = 0;
	char *rest;

	if (argc > 2 || (conf = ctl_conf(ctl)) == NULL) {
		json_decref(doc);
		return argc > 2 ? command_usage("conf") : CONTROL_FAILED;
	}
	buf_init(&text, LIMIT_CONF_BYTES);
	conf_canonical_write(conf, true, &text);
	for (char *line = strtok_r(text.bytes, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest))
		shown += print_line(ctl, doc, line, argc == 2 ? argv[1] : NULL);
	if (ctl->json)
		json_dumpf(doc, stdout, JSON_INDENT(2));
	if (ctl->json)
		putchar('\n');
	json_decref(doc);
	buf_finish(&text);
	if (shown == 0 && argc == 2)
		fprintf(stderr, "gantryctl: no key \"%s\" is set; see gantry.yaml(5)\n", argv[1]);
	return shown > 0 ? CONTROL_DONE : CONTROL_FAILED;
}
