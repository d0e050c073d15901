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
#include "base/texts.h"

enum {
	LIMIT_TOPIC_FORMER = 8,
	LIMIT_TOPIC_GONE = 10000,       /* entries that have gone, kept for readers that lag */
};

struct topic_entry {
	struct list link;               /* topic.entries */
	struct table_link by_key;       /* topic.keys */
	char *key;
	const char *event;              /* what its readers know it as; static */
	char *text;                     /* NULL: gone */
	char *project;                  /* whose it is; NULL: everyone's */
	char *former[LIMIT_TOPIC_FORMER];       /* whose it has been before: the last few, or NULL */
	size_t formers;                 /* how often one was noted there */
	uint64_t moved;                 /* the change that made it another's; 0: none did */
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

/* How far a reader is; all are changes of the topic. */
struct topic_reader {
	uint64_t joined;                /* it came then, and is told nothing that had gone before */
	uint64_t told;                  /* up to this one */
	uint64_t whole;                 /* the last one when it had been told all there was */
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
/* A reader that knows nothing: it comes, or is to forget all. */
void topic_reader_begin(struct topic_reader *reader, const struct topic *topic);
/* Lowers behind to the first change that is kept for this reader.  False: it lags too far behind too much, and has to
 * begin again. */
bool topic_reader_keeps_up(const struct topic_reader *reader, const struct topic *topic, uint64_t *behind);
/* What a reader that may see these projects (NULL: all) is to be told of an entry.  What it never saw, as it came
 * later or may not see it, is not told as gone. */
enum topic_news { TOPIC_NOTHING, TOPIC_TEXT, TOPIC_GONE };
enum topic_news topic_news(const struct topic_entry *entry, const struct texts *projects, const struct topic_reader *reader);
/* All readers are at that change or past it. */
void topic_forget_gone(struct topic *topic, uint64_t change);

#endif
