/* SPDX-License-Identifier: Apache-2.0 */
/* table.h - things found by name.  The nodes and the names belong to the things themselves. */
#ifndef AWSSIM_TABLE_H
#define AWSSIM_TABLE_H

#include <stddef.h>
#include <stdint.h>

struct table_node {
	struct table_node *next;
	const char *name;       /* NULL: in no table */
	uint64_t hash;
};

struct table {
	struct table_node **buckets;    /* NULL until the first insert */
	size_t size;                    /* a power of two */
	size_t count;
};

void table_finish(struct table *);      /* forgets the nodes, which stay their owners' */
struct table_node *table_find(const struct table *, const char *name);
void table_insert(struct table *, struct table_node *, const char *name);
void table_remove(struct table *, struct table_node *);

#endif
