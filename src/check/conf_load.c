/* SPDX-License-Identifier: Apache-2.0 */
/* conf_load.c - see conf_load.h.  The order matters: env_file before everything, as its names may
 * stand in any value, and whether there is a supervisor.user before the defaults that depend on it. */
#include "check/conf_load.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/descriptor.h"
#include "base/mem.h"
#include "check/conf_fill.h"
#include "check/conf_rules.h"
#include "check/env_file.h"
#include "check/yaml_reader.h"
#include "conf/conf_paths.h"

void check_finish(struct check *check)
{
	complaints_finish(&check->complaints);
	complaints_finish(&check->env_complaints);
	free(check->env_file);
	check->env_file = NULL;
}

void check_print(struct check *check, const char *file)
{
	if (check->env_file != NULL)
		complaints_print(&check->env_complaints, check->env_file);
	complaints_print(&check->complaints, file);
}

static bool is_sound(const struct check *check)
{
	return check->complaints.count == 0 && check->env_complaints.count == 0;
}

/* The tree of a file; NULL with nothing said: it is empty. */
static struct yaml_node *read_tree(const char *file, struct check *check)
{
	static const struct place start = { 1, 1 };
	struct yaml_node *root;
	struct error err;
	size_t size;
	char *text = descriptor_read_file(file, LIMIT_YAML_BYTES, &size, &err);

	if (text == NULL) {
		const char *reason = err.text;

		if (strncmp(reason, file, strlen(file)) == 0 && strncmp(reason + strlen(file), ": ", 2) == 0)
			reason += strlen(file) + 2;
		complain(&check->complaints, start, "", "expected a file of at most 1 MiB that can be read, found %s",
			reason);
		return NULL;
	}
	root = yaml_read(text, size, &check->complaints);
	explicit_bzero(text, size);
	free(text);
	return root;
}

/* The directory of file, absolute, the caller's to free. */
static char *directory_of(const char *file)
{
	char *whole = realpath(file, NULL);
	char *slash;

	if (whole == NULL)
		return xstrdup(".");
	slash = strrchr(whole, '/');
	slash[slash == whole] = '\0';
	return whole;
}

/* -- env_file --------------------------------------------------------------------------------- */

static void read_env_file(struct check *check, const struct yaml_node *node, struct pairs *pairs, bool *missing)
{
	struct error err;
	size_t size;
	char *text;

	*missing = access(check->env_file, F_OK) != 0 && errno == ENOENT;
	if (*missing)
		return;
	text = descriptor_read_file(check->env_file, LIMIT_ENV_FILE_BYTES, &size, &err);
	if (text == NULL || strlen(text) != size)
		complain(&check->complaints, node->place, "env_file",
			"expected a text file of at most 256 KiB that can be read, found %s",
			text == NULL ? err.text : "a NUL in it");
	else
		env_file_parse(text, pairs, &check->env_complaints);
	if (text != NULL)
		explicit_bzero(text, size);
	free(text);
}

/* Finds and reads env_file, with the real environment for its own variables. */
static void load_env_file(const struct conf_filler *filler, const struct yaml_node *root, struct check *check,
	struct pairs *pairs, struct variables *variables)
{
	const struct yaml_entry *entry = yaml_find(root, "env_file");
	bool missing = false;

	if (entry == NULL ||
	    !conf_fill_scalar(filler, conf_row_find(conf_schema, "env_file"), &check->env_file, entry->node, "env_file"))
		return;
	read_env_file(check, entry->node, pairs, &missing);
	variables->file = pairs;
	variables->missing_file = missing ? check->env_file : NULL;
}

/* What the children get: only what the environment itself does not have, so that they may set all. */
static void keep_environment(const struct pairs *from, struct pairs *to)
{
	for (size_t i = 0; i < from->count; i++) {
		if (getenv(from->at[i].name) == NULL)
			pairs_set(to, from->at[i].name, from->at[i].value);
	}
}

static void finish_secret_pairs(struct pairs *pairs)
{
	for (size_t i = 0; i < pairs->count; i++)
		explicit_bzero(pairs->at[i].value, strlen(pairs->at[i].value));
	pairs_finish(pairs);
}

/* -- the whole -------------------------------------------------------------------------------- */

static bool has_user(const struct yaml_node *root)
{
	const struct yaml_entry *entry = yaml_find_path(root, "supervisor.user");

	return entry != NULL && !yaml_is_null(entry->node);
}

static void fill(struct conf *conf, const struct yaml_node *root, const char *file, struct check *check)
{
	struct variables variables = { 0 };
	struct pairs env = { 0 };
	struct conf_paths paths;
	char *directory = directory_of(file);
	struct conf_filler filler = {
		.directory = directory, .variables = &variables, .paths = &paths, .complaints = &check->complaints,
	};
	static const struct place start = { 1, 1 };

	conf_paths_init(&paths, has_user(root));
	load_env_file(&filler, root, check, &env, &variables);
	conf->env_file = xstrdup(check->env_file);
	conf_fill_section(&filler, conf_schema, conf, root, start, "");
	conf_rules_check(conf, root, &check->complaints);
	keep_environment(&env, &conf->environment);
	finish_secret_pairs(&env);
	conf_paths_finish(&paths);
	free(directory);
}

struct conf *conf_load(const char *file, struct check *check)
{
	struct yaml_node *root = read_tree(file, check);
	struct conf *conf;

	if (root == NULL && !is_sound(check))
		return NULL;
	conf = xnew(struct conf);
	fill(conf, root, file, check);
	yaml_destroy(root);
	if (is_sound(check))
		return conf;
	conf_destroy(conf);
	return NULL;
}

/* One text of a file whose rest may be wrong. */
static bool load_one(const char *file, struct check *check, const char *path, char **value)
{
	const struct variables variables = { 0 };
	const struct conf_filler filler = {
		.directory = ".", .variables = &variables, .complaints = &check->complaints,
	};
	struct yaml_node *root = read_tree(file, check);
	const struct yaml_entry *entry = yaml_find_path(root, path);

	*value = NULL;
	if (entry != NULL)
		conf_fill_scalar(&filler, conf_row_at(path), value, entry->node, path);
	yaml_destroy(root);
	return is_sound(check);
}

bool conf_load_user(const char *file, struct check *check, char **user)
{
	return load_one(file, check, "supervisor.user", user);
}

bool conf_load_control_socket(const char *file, struct check *check, char **path)
{
	return load_one(file, check, "supervisor.control_socket", path);
}
