/* SPDX-License-Identifier: Apache-2.0 */
/* conf_fill.c - see conf_fill.h.  A value that is wrong is complained about and left at its zero;
 * the rest goes on, so that one check finds all there is to find. */
#include "check/conf_fill.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/texts.h"
#include "check/found.h"
#include "check/nearest.h"
#include "check/scalar.h"
#include "conf/conf_value.h"
#include "job/template.h"

static char *expected(const struct conf_row *row)
{
	struct buf text;

	buf_init(&text, 1024);
	conf_value_expected(row, &text);
	return buf_take(&text);
}

/* -- complaints about a value ----------------------------------------------------------------- */

/* Of a URL only the password is a secret, which cannot be there without an "@" or a query. */
static bool is_hidden(const struct conf_row *row, const struct yaml_node *node)
{
	return row->secret && (row->kind != CONF_URL || node->kind != YAML_SCALAR || strpbrk(node->value, "@?") != NULL);
}

/* The word of a build with more parts that text is or begins with ("redis", "redis://..."). */
static const char *absent_word(const struct conf_row *row, const char *text)
{
	for (size_t i = 0; row->absent != NULL && row->absent[i] != NULL; i++) {
		size_t len = strlen(row->absent[i]);

		if (strncmp(text, row->absent[i], len) == 0 &&
		    (text[len] == '\0' || (row->kind == CONF_URL && text[len] == ':')))
			return row->absent[i];
	}
	return NULL;
}

static const char *bool_hint(const char *text)
{
	static const char *const pairs[][2] = {
		{ "yes", "true" }, { "on", "true" }, { "1", "true" },
		{ "no", "false" }, { "off", "false" }, { "0", "false" },
	};

	for (size_t i = 0; i < sizeof(pairs) / sizeof(*pairs); i++) {
		if (strcasecmp(text, pairs[i][0]) == 0)
			return pairs[i][1];
	}
	return NULL;
}

/* What may have been meant, the caller's to free, or NULL. */
static char *hint(const struct conf_row *row, const char *text)
{
	struct nearest nearest;
	char *seconds;
	int64_t ignored;

	nearest_init(&nearest, text);
	if (row->kind == CONF_DURATION) {
		seconds = xasprintf("%ss", text);
		if (conf_value_parse(row, seconds, &ignored))
			return seconds;
		free(seconds);
		return NULL;
	}
	if (row->kind == CONF_BOOL) {
		nearest.best = bool_hint(text);
		nearest_offer(&nearest, "true");
		nearest_offer(&nearest, "false");
	} else if (row->kind == CONF_ENUM || row->kind == CONF_WORD || row->kind == CONF_PATH) {
		for (size_t i = 0; row->words != NULL && row->words[i] != NULL; i++)
			nearest_offer(&nearest, row->words[i]);
	}
	return xstrdup(nearest.best);
}

static void complain_value(const struct conf_filler *filler, const struct conf_row *row, const struct yaml_node *node,
	const char *text, const char *path)
{
	char *wanted = expected(row);
	const char *absent = absent_word(row, text);
	char *what = absent != NULL ? xasprintf("\"%s\", which is not in this build", absent) :
		found(node, is_hidden(row, node));
	/* A hint is made from the text, so it would tell what a variable holds. */
	char *meant = row->secret || absent != NULL || strcmp(text, node->value) != 0 ? NULL : hint(row, text);

	complain(filler->complaints, node->place, path, "expected %s, found %s%s%s%s", wanted, what,
		meant != NULL ? "; did you mean \"" : "", meant != NULL ? meant : "", meant != NULL ? "\"?" : "");
	free(wanted);
	free(what);
	free(meant);
}

static bool check_template(const struct conf_filler *filler, const struct conf_row *row, const struct yaml_node *node,
	const char *text, const char *path)
{
	struct error err;

	if (row->words != NULL ? template_check_names(text, row->words, &err) : template_check(text, &err))
		return true;
	if (row->secret)
		complain(filler->complaints, node->place, path,
			"expected a template with known names, found a value that is not shown");
	else
		complain(filler->complaints, node->place, path, "%s", err.text);
	return false;
}

/* -- values ----------------------------------------------------------------------------------- */

bool conf_fill_scalar(const struct conf_filler *filler, const struct conf_row *row, void *field,
	const struct yaml_node *node, const char *path)
{
	char *wanted = expected(row);
	char *text = scalar_text(filler, node, row, wanted, path);
	bool ok = false;

	free(wanted);
	if (text == NULL)
		return false;
	if (!conf_value_parse(row, text, field))
		complain_value(filler, row, node, text, path);
	else
		ok = row->kind != CONF_TEMPLATE || check_template(filler, row, node, text, path);
	if (ok && row->kind == CONF_PATH && row->relative) {
		char *whole = path_from(filler->directory, text);

		xreplace(field, whole);
		free(whole);
	}
	xfree_secret(text);
	return ok;
}

static bool check_count(const struct conf_filler *filler, const struct conf_row *row, const struct yaml_node *node,
	const char *path)
{
	if ((int64_t)node->count <= row->max)
		return true;
	complain(filler->complaints, node->place, path, "expected at most %d, found %zu", (int)row->max, node->count);
	return false;
}

static bool check_kind(const struct conf_filler *filler, const struct conf_row *row, const struct yaml_node *node,
	enum yaml_kind kind, const char *path)
{
	char *wanted, *what;

	if (node->kind == kind)
		return true;
	wanted = expected(row);
	what = found(node, row->secret);
	complain(filler->complaints, node->place, path, "expected %s, found %s", wanted, what);
	free(wanted);
	free(what);
	return false;
}

/* The text of one element; NULL when there is none to be had. */
static char *element_text(const struct conf_filler *filler, const struct conf_row *row, const struct yaml_node *node,
	const char *path)
{
	static const struct conf_row line = { .kind = CONF_TEXT, .min = 1, .max = 2048 };
	static const struct conf_row template = { .kind = CONF_TEMPLATE, .min = 0, .max = LIMIT_CONF_TEXT_BYTES };
	struct conf_row element = row->kind == CONF_TEXTS ? line : template;
	size_t complaints = filler->complaints->count;
	char *text = NULL;

	if (row->words != NULL)
		element = (struct conf_row){ .kind = CONF_WORD, .words = row->words };
	element.secret = row->secret;
	element.kept = row->kept;
	if (yaml_is_null(node)) {
		complain(filler->complaints, node->place, path, "expected a text, found nothing");
		return NULL;
	}
	if (conf_fill_scalar(filler, &element, &text, node, path))
		return text;
	xfree_secret(text);
	/* Variables that are all empty: an argument keeps its place, a subnet would be none. */
	return row->kind != CONF_TEXTS && filler->complaints->count == complaints ? xstrdup("") : NULL;
}

static void fill_texts(const struct conf_filler *filler, const struct conf_row *row, struct texts *texts,
	const struct yaml_node *node, const char *path)
{
	if (!check_kind(filler, row, node, YAML_LIST, path) || !check_count(filler, row, node, path))
		return;
	for (size_t i = 0; i < node->count; i++) {
		char *at = xasprintf("%s.%zu", path, i);
		char *text = element_text(filler, row, node->entries[i].node, at);

		if (text != NULL)
			texts_add(texts, text);
		free(text);
		free(at);
	}
}

static void fill_pairs(const struct conf_filler *filler, const struct conf_row *row, struct pairs *pairs,
	const struct yaml_node *node, const char *path)
{
	if (!check_kind(filler, row, node, YAML_MAPPING, path) || !check_count(filler, row, node, path))
		return;
	for (size_t i = 0; i < node->count; i++) {
		char *at = xasprintf("%s.%s", path, node->entries[i].key);
		char *text = element_text(filler, row, node->entries[i].node, at);

		if (text != NULL)
			pairs_set(pairs, node->entries[i].key, text);
		xfree_secret(text);
		free(at);
	}
}

static void fill_map(const struct conf_filler *filler, const struct conf_row *row, void *section,
	const struct yaml_node *node, const char *path)
{
	if (!check_kind(filler, row, node, YAML_MAPPING, path) || !check_count(filler, row, node, path))
		return;
	for (size_t i = 0; i < node->count; i++) {
		const struct yaml_entry *entry = &node->entries[i];
		char *at;

		if (!conf_name_is_sound(entry->key)) {
			complain(filler->complaints, entry->place, path,
				"expected a name of letters, digits, \"_\" and \"-\", found \"%.64s\"", entry->key);
			continue;
		}
		at = xasprintf("%s.%s", path, entry->key);
		conf_fill_section(filler, row->rows, conf_element_add(row, section, entry->key), entry->node,
			entry->place, at);
		free(at);
	}
}

static void fill_list(const struct conf_filler *filler, const struct conf_row *row, void *section,
	const struct yaml_node *node, const char *path)
{
	if (!check_kind(filler, row, node, YAML_LIST, path) || !check_count(filler, row, node, path))
		return;
	for (size_t i = 0; i < node->count; i++) {
		char *at = xasprintf("%s.%zu", path, i);

		conf_fill_section(filler, row->rows, conf_element_add(row, section, NULL), node->entries[i].node,
			node->entries[i].place, at);
		free(at);
	}
}

/* -- sections --------------------------------------------------------------------------------- */

static void fill_default_texts(const struct conf_filler *filler, const struct conf_row *row, void *section)
{
	char *text = conf_paths_expand(filler->paths, row->def);

	if (!conf_texts_parse(row, text, conf_field(row, section)))
		panic("the default of %s is no list of its words", row->key);
	free(text);
}

static void fill_default(const struct conf_filler *filler, const struct conf_row *row, void *section,
	struct place place, const char *path)
{
	char *text, *wanted;

	if (row->kind == CONF_SECTION)
		conf_fill_section(filler, row->rows, conf_field(row, section), NULL, place, path);
	if (!row->required && row->def == NULL)
		return;
	if (row->kind == CONF_TEXTS && row->def != NULL) {
		fill_default_texts(filler, row, section);
		return;
	}
	wanted = expected(row);
	text = row->def != NULL ? conf_paths_expand(filler->paths, row->def) : NULL;
	if (row->required)
		complain(filler->complaints, place, path, "expected %s, found nothing", wanted);
	else if (!conf_value_parse(row, text, conf_field(row, section)))
		complain(filler->complaints, place, path, "expected %s, found the default \"%s\"", wanted, text);
	free(wanted);
	free(text);
}

static void fill_row(const struct conf_filler *filler, const struct conf_row *row, void *section,
	const struct yaml_node *node, struct place place, const char *path)
{
	size_t complaints = filler->complaints->count;
	void *field = conf_field(row, section);

	if (node == NULL || (yaml_is_null(node) && row->kind != CONF_SECTION && row->kind != CONF_OPTION)) {
		fill_default(filler, row, section, node != NULL ? node->place : place, path);
		return;
	}
	switch (row->kind) {
	case CONF_TEXTS: case CONF_TEMPLATES: fill_texts(filler, row, field, node, path); break;
	case CONF_TEMPLATE_PAIRS: fill_pairs(filler, row, field, node, path); break;
	case CONF_SECTION: conf_fill_section(filler, row->rows, field, node, place, path); break;
	case CONF_OPTION:
		if (yaml_is_null(node) || check_kind(filler, row, node, YAML_MAPPING, path))
			conf_fill_section(filler, row->rows, conf_option(row, section, true), node, place, path);
		break;
	case CONF_MAP: fill_map(filler, row, section, node, path); break;
	case CONF_LIST: fill_list(filler, row, section, node, path); break;
	case CONF_ABSENT: break;
	default:
		if (!conf_fill_scalar(filler, row, field, node, path) && filler->complaints->count == complaints)
			fill_default(filler, row, section, node->place, path);
		return;
	}
	if (row->required && node->count == 0 && filler->complaints->count == complaints)
		fill_default(filler, row, section, node->place, path);
}

static void complain_unknown(const struct conf_filler *filler, const struct conf_row *rows, const struct yaml_entry *entry,
	const char *path)
{
	const struct conf_row *row = conf_row_find(rows, entry->key);
	struct nearest nearest;

	if (row != NULL && row->kind == CONF_ABSENT) {
		complain(filler->complaints, entry->place, path, "expected a key of this build, found \"%s\", "
			"which is not in this build", entry->key);
		return;
	}
	nearest_init(&nearest, entry->key);
	for (row = rows; row->key != NULL; row++) {
		if (!row->internal && row->kind != CONF_ABSENT)
			nearest_offer(&nearest, row->key);
	}
	complain(filler->complaints, entry->place, path, "expected a known key, found \"%.64s\"%s%s%s", entry->key,
		nearest.best != NULL ? "; did you mean \"" : "", nearest.best != NULL ? nearest.best : "",
		nearest.best != NULL ? "\"?" : "");
}

static char *path_of(const char *path, const char *key)
{
	return xasprintf("%s%s%s", path, *path != '\0' ? "." : "", key);
}

static bool is_known(const struct conf_row *rows, const char *key)
{
	const struct conf_row *row = conf_row_find(rows, key);

	return row != NULL && !row->internal && row->kind != CONF_ABSENT;
}

/* What `type` says decides which keys are known: a type that this build lacks ends the section, and while
 * it is not known (typed) nobody can say what else is missing. */
static bool fill_type(const struct conf_filler *filler, const struct conf_row *rows, void *section,
	const struct yaml_node *node, struct place place, const char *path, bool *typed)
{
	const struct conf_row *row = conf_row_find(rows, "type");
	const struct yaml_entry *entry = yaml_find(node, "type");
	size_t complaints = filler->complaints->count;
	char *at;

	*typed = true;
	if (row == NULL)
		return true;
	at = path_of(path, "type");
	fill_row(filler, row, section, entry != NULL ? entry->node : NULL, place, at);
	free(at);
	*typed = filler->complaints->count == complaints;
	return filler->complaints->count == complaints || entry == NULL || entry->node->kind != YAML_SCALAR ||
		row->absent == NULL || absent_word(row, entry->node->value) == NULL;
}

static void fill_rows(const struct conf_filler *filler, const struct conf_row *rows, void *section,
	const struct yaml_node *node, struct place place, const char *path, bool typed)
{
	for (const struct conf_row *row = rows; row->key != NULL; row++) {
		const struct yaml_entry *entry = yaml_find(node, row->key);
		char *at;

		if (row->internal || row->early || row->kind == CONF_ABSENT || strcmp(row->key, "type") == 0)
			continue;
		if (row->of != NULL && (!typed || !conf_row_counts(rows, row, section)))
			continue;
		at = path_of(path, row->key);
		fill_row(filler, row, section, entry != NULL ? entry->node : NULL, place, at);
		free(at);
	}
}

/* "sqs", or "redis or sqs" of a key with a row for each. */
static char *types_of(const struct conf_row *rows, const char *key)
{
	char *types = NULL;

	for (const struct conf_row *row = rows; row->key != NULL; row++) {
		char *longer;

		if (row->of == NULL || strcmp(row->key, key) != 0)
			continue;
		longer = xasprintf("%s%s%s", types != NULL ? types : "", types != NULL ? " or " : "", row->of);
		free(types);
		types = longer;
	}
	return types;
}

static void complain_of_type(const struct conf_filler *filler, const struct conf_row *rows, const struct yaml_entry *entry,
	const char *path)
{
	char *types = types_of(rows, entry->key);

	complain(filler->complaints, entry->place, path, "expected a key for this type, found \"%s\", which is for type %s",
		entry->key, types);
	free(types);
}

static void check_key(const struct conf_filler *filler, const struct conf_row *rows, const void *section,
	const struct yaml_entry *entry, const char *path, bool typed)
{
	char *at = path_of(path, entry->key);
	const struct conf_row *row;

	if (!is_known(rows, entry->key)) {
		complain_unknown(filler, rows, entry, at);
	} else if (typed) {
		row = conf_row_of(rows, entry->key, section);
		if (!conf_row_counts(rows, row, section))
			complain_of_type(filler, rows, entry, at);
	}
	free(at);
}

void conf_fill_section(const struct conf_filler *filler, const struct conf_row *rows, void *section,
	const struct yaml_node *node, struct place place, const char *path)
{
	static const struct conf_row self = { .kind = CONF_SECTION };
	bool typed;

	if (node != NULL && yaml_is_null(node))
		node = NULL;
	if (node != NULL && !check_kind(filler, &self, node, YAML_MAPPING, path))
		return;
	if (node != NULL)
		place = node->place;
	if (!fill_type(filler, rows, section, node, place, path, &typed))
		return;
	for (size_t i = 0; node != NULL && i < node->count; i++)
		check_key(filler, rows, section, &node->entries[i], path, typed);
	fill_rows(filler, rows, section, node, place, path, typed);
}
