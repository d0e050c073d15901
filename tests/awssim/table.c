/* SPDX-License-Identifier: Apache-2.0 */
/* table.c - a chained hash table that doubles when it holds one node a bucket. */
#include "table.h"

#include "dice.h"
#include "xalloc.h"

enum { TABLE_FIRST_SIZE = 16 };

static uint64_t table_hash(const char *name)
{
	uint64_t hash = 0xcbf29ce484222325u;

	for (; *name != '\0'; name++)
		hash = (hash ^ (unsigned char)*name) * 0x100000001b3u;
	return dice_mix(hash);
}

void table_finish(struct table *table)
{
	free(table->buckets);
	*table = (struct table){ 0 };
}

struct table_node *table_find(const struct table *table, const char *name)
{
	uint64_t hash = table_hash(name);

	if (table->count == 0)
		return NULL;
	for (struct table_node *node = table->buckets[hash & (table->size - 1)]; node != NULL;
	     node = node->next) {
		if (node->hash == hash && strcmp(node->name, name) == 0)
			return node;
	}
	return NULL;
}

static void table_grow(struct table *table)
{
	size_t size = table->size == 0 ? TABLE_FIRST_SIZE : table->size * 2;
	struct table_node **buckets = xcalloc(size, sizeof(*buckets));

	for (size_t i = 0; i < table->size; i++) {
		struct table_node *node = table->buckets[i], *next;

		for (; node != NULL; node = next) {
			next = node->next;
			node->next = buckets[node->hash & (size - 1)];
			buckets[node->hash & (size - 1)] = node;
		}
	}
	free(table->buckets);
	table->buckets = buckets;
	table->size = size;
}

void table_insert(struct table *table, struct table_node *node, const char *name)
{
	struct table_node **bucket;

	if (table->count == table->size)
		table_grow(table);
	node->name = name;
	node->hash = table_hash(name);
	bucket = &table->buckets[node->hash & (table->size - 1)];
	node->next = *bucket;
	*bucket = node;
	table->count++;
}

void table_remove(struct table *table, struct table_node *node)
{
	struct table_node **link;

	if (node->name == NULL)
		return;
	link = &table->buckets[node->hash & (table->size - 1)];
	while (*link != node)
		link = &(*link)->next;
	*link = node->next;
	node->name = NULL;
	table->count--;
}
