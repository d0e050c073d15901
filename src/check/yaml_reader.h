/* SPDX-License-Identifier: Apache-2.0 */
/* yaml_reader.h - a YAML file as a tree of nodes that know where they stand.
 *
 * Only the part of YAML that a configuration needs: one document of mappings, lists and scalars.
 * Anchors and aliases are refused, so that a small file cannot mean a huge one; of the tags only
 * !file is known; a key that comes twice is an error.  What a scalar means is left to the schema:
 * here `no`, `012` and `1e3` are just texts. */
#ifndef CHECK_YAML_READER_H
#define CHECK_YAML_READER_H

#include <stdbool.h>
#include <stddef.h>

#include "check/complaint.h"

enum {
	LIMIT_YAML_BYTES = 1 << 20,
	LIMIT_YAML_DEPTH = 16,
	LIMIT_YAML_NODES = 100000,
	LIMIT_YAML_KEYS = 1024,                 /* of one mapping, which is searched from the front */
};

enum yaml_kind { YAML_SCALAR, YAML_LIST, YAML_MAPPING };

struct yaml_node {
	enum yaml_kind kind;
	struct place place;
	char *value;                    /* of a scalar */
	bool plain;                     /* a scalar without quotes */
	bool file;                      /* a scalar tagged !file */
	struct yaml_entry *entries;     /* of a list or mapping, in order */
	size_t count;
};

struct yaml_entry {
	char *key;                      /* NULL in a list */
	struct place place;             /* of the key */
	struct yaml_node *node;
};

/* The root, or NULL when there is none: an empty file, without a complaint, or no YAML, with one. */
struct yaml_node *yaml_read(const char *text, size_t size, struct complaints *complaints);
void yaml_destroy(struct yaml_node *node);
/* The entry of a mapping, or NULL; a NULL node has none. */
const struct yaml_entry *yaml_find(const struct yaml_node *node, const char *key);
/* The entry at a dotted path ("errors.0.url"), or NULL. */
const struct yaml_entry *yaml_find_path(const struct yaml_node *root, const char *path);
/* Where to point for a path: at its value, else at what should hold it. */
struct place yaml_place(const struct yaml_node *root, const char *path);
/* A value that was left out: "key:", "key: ~", "key: null". */
bool yaml_is_null(const struct yaml_node *node);

#endif
