/* SPDX-License-Identifier: Apache-2.0 */
/* topic.h - texts that change, each under a key, for readers who catch up at their own pace.
 *
 * Each change has a number, and only the last text of a key is kept: a reader that comes late, or is slow,
 * is told how things are, not how they came to be so.  So a reader is one number, and holds nothing.  What
 * vanishes leaves a gone entry until nobody is behind it. */
#ifndef API_TOPIC_H
#define API_TOPIC_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "base/table.h"

struct topic_entry {
	struct list link;               /* topic.entries */
	struct table_link by_key;       /* topic.keys */
	char *key;
	const char *event;              /* what its readers know it as; static */
	char *text;                     /* NULL: gone */
	char *project;                  /* whose it is; NULL: everyone's */
	uint64_t change;                /* the number of its last change */
	uint64_t round;                 /* it was put in last */
	bool open;                      /* the putter's: it may still change */
};

struct topic {
	struct list entries;            /* the oldest change first */
	struct table keys;
	uint64_t change;                /* the last number */
	uint64_t round;
	size_t gone;                    /* entries without text */
};

void topic_init(struct topic *topic);
void topic_finish(struct topic *topic);
/* Entries that are put from here on can be told from the others. */
void topic_begin_round(struct topic *topic);
/* Takes text.  The same text as before is no change. */
void topic_put(struct topic *topic, const char *event, const char *key, const char *project, bool open, char *take_text);
void topic_remove(struct topic *topic, struct topic_entry *entry);
/* The first entry with a later change than that, or NULL. */
struct topic_entry *topic_after(struct topic *topic, uint64_t change);
/* The entry after that one, or NULL. */
struct topic_entry *topic_next(struct topic *topic, struct topic_entry *entry);
/* All readers are at that change or past it. */
void topic_forget_gone(struct topic *topic, uint64_t change);

#endif
