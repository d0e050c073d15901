/* SPDX-License-Identifier: Apache-2.0 */
/* table.c - a chained hash table over FNV-1a, seeded per process so that strangers who choose
 * keys (message ids, project names) cannot choose collisions. */
#include "base/table.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/random.h"

enum { TABLE_FIRST_BUCKETS = 64 };

static uint64_t hash_of(const char *key)
{
	static uint64_t seed;
	uint64_t hash;

	while (seed == 0)
		random_bytes(&seed, sizeof(seed));
	hash = seed;
	for (; *key != '\0'; key++)
		hash = (hash ^ (unsigned char)*key) * 1099511628211u;
	return hash ^ (hash >> 32);
}

static struct table_link **bucket(const struct table *table, uint64_t hash)
{
	return &table->buckets[hash & (table->size - 1)];
}

static void grow(struct table *table)
{
	struct table old = *table;

	table->size = old.size > 0 ? old.size * 2 : TABLE_FIRST_BUCKETS;
	table->buckets = xcalloc(table->size, sizeof(*table->buckets));
	for (size_t i = 0; i < old.size; i++) {
		while (old.buckets[i] != NULL) {
			struct table_link *link = old.buckets[i];
			struct table_link **at = bucket(table, link->hash);

			old.buckets[i] = link->next;
			link->next = *at;
			*at = link;
		}
	}
	free(old.buckets);
}

void table_finish(struct table *table)
{
	free(table->buckets);
	*table = (struct table){ 0 };
}

void table_add(struct table *table, struct table_link *link, const char *key)
{
	struct table_link **at;

	if (table_find(table, key) != NULL)
		panic("table: key '%s' added twice", key);
	if (table->count >= table->size)
		grow(table);
	link->hash = hash_of(key);
	link->key = key;
	at = bucket(table, link->hash);
	link->next = *at;
	*at = link;
	table->count++;
}

struct table_link *table_find(const struct table *table, const char *key)
{
	uint64_t hash;

	if (table->count == 0)
		return NULL;
	hash = hash_of(key);
	for (struct table_link *at = *bucket(table, hash); at != NULL; at = at->next) {
		if (at->hash == hash && strcmp(at->key, key) == 0)
			return at;
	}
	return NULL;
}

void table_remove(struct table *table, struct table_link *link)
{
	if (link->key == NULL || table->size == 0)
		return;
	for (struct table_link **at = bucket(table, link->hash); *at != NULL; at = &(*at)->next) {
		if (*at == link) {
			*at = link->next;
			link->key = NULL;
			table->count--;
			return;
		}
	}
}

struct table_link *table_any(const struct table *table)
{
	for (size_t i = 0; i < table->size; i++) {
		if (table->buckets[i] != NULL)
			return table->buckets[i];
	}
	return NULL;
}

void table_each(struct table *table, void (*fn)(struct table_link *link, void *arg), void *arg)
{
	for (size_t i = 0; i < table->size; i++) {
		struct table_link *next;

		for (struct table_link *at = table->buckets[i]; at != NULL; at = next) {
			next = at->next;
			fn(at, arg);
		}
	}
}
