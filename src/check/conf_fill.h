/* SPDX-License-Identifier: Apache-2.0 */
/* conf_fill.h - fills a struct conf from YAML nodes, row by row of the schema. */
#ifndef CHECK_CONF_FILL_H
#define CHECK_CONF_FILL_H

#include "check/complaint.h"
#include "check/interpolate.h"
#include "check/yaml_reader.h"
#include "conf/conf_paths.h"
#include "conf/conf_schema.h"

enum { LIMIT_SECRET_FILE_BYTES = 64 << 10 };

struct conf_filler {
	const char *directory;                  /* relative paths start here */
	const struct variables *variables;
	const struct conf_paths *paths;         /* for defaults */
	struct complaints *complaints;
};

/* Fills the fields of section by its rows; node NULL or null: all by default. */
void conf_fill_section(const struct conf_filler *filler, const struct conf_row *rows, void *section,
	const struct yaml_node *node, struct place place, const char *path);
/* Fills one scalar field; false when it stays as it was, with a complaint or without: not given. */
bool conf_fill_scalar(const struct conf_filler *filler, const struct conf_row *row, void *field,
	const struct yaml_node *node, const char *path);

#endif
