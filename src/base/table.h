/* SPDX-License-Identifier: Apache-2.0 */
/* table.h - finds an object by its text key, in constant time.
 *
 * The link lives inside the object and the key belongs to the object; the table owns neither. */
#ifndef BASE_TABLE_H
#define BASE_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct table_link {
	struct table_link *next;        /* in the same bucket */
	const char *key;                /* the object's; set by table_add(); NULL when in no table */
	uint64_t hash;
};

struct table {
	struct table_link **buckets;    /* NULL while empty */
	size_t size;                    /* number of buckets, a power of two or 0 */
	size_t count;
};

/* A zeroed struct table is an empty one.  finish frees the buckets, not the objects. */
void table_finish(struct table *table);
/* The key must not be in the table yet and must stay as it is while it is. */
void table_add(struct table *table, struct table_link *link, const char *key);
/* The link with that key, or NULL. */
struct table_link *table_find(const struct table *table, const char *key);
/* A link that is in no table is left alone. */
void table_remove(struct table *table, struct table_link *link);
/* Any link, or NULL when the table is empty. */
struct table_link *table_any(const struct table *table);
/* Calls fn for each link; fn may remove the link that it is given, nothing else. */
void table_each(struct table *table, void (*fn)(struct table_link *link, void *arg), void *arg);

#endif
