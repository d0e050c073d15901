/* SPDX-License-Identifier: Apache-2.0 */
/* deploy_reader.c - see deploy_reader.h. */
#include "api/deploy_reader.h"

#include <stdlib.h>

#include "base/list.h"
#include "base/mem.h"
#include "base/table.h"

struct reader {
	struct table_link by_key;
	struct list link;               /* readers.oldest: who called last is last */
	char *key;
	int64_t offset;
};

struct deploy_readers {
	struct table by_key;
	struct list oldest;
};

struct deploy_readers *deploy_readers_create(void)
{
	struct deploy_readers *readers = xnew(struct deploy_readers);

	list_init(&readers->oldest);
	return readers;
}

static void forget(struct deploy_readers *readers, struct reader *reader)
{
	table_remove(&readers->by_key, &reader->by_key);
	list_remove(&reader->link);
	free(reader->key);
	free(reader);
}

void deploy_readers_destroy(struct deploy_readers *readers)
{
	if (readers == NULL)
		return;
	while (!list_empty(&readers->oldest))
		forget(readers, list_first(&readers->oldest, struct reader, link));
	table_finish(&readers->by_key);
	free(readers);
}

/* A name has no newline, nor has an address; an id has no blank. */
int64_t *deploy_reader_offset(struct deploy_readers *readers, const char *token_name, const char *peer, const char *job_id,
	unsigned attempt)
{
	char *key = xasprintf("%s\n%s\n%s %u", token_name, peer, job_id, attempt);
	struct table_link *link = table_find(&readers->by_key, key);
	struct reader *reader;

	if (link != NULL) {
		free(key);
		reader = container_of(link, struct reader, by_key);
	} else {
		if (readers->by_key.count >= LIMIT_DEPLOY_READERS)
			forget(readers, list_first(&readers->oldest, struct reader, link));
		reader = xnew(struct reader);
		reader->key = key;
		list_init(&reader->link);
		table_add(&readers->by_key, &reader->by_key, key);
	}
	list_remove(&reader->link);
	list_append(&readers->oldest, &reader->link);
	return &reader->offset;
}
