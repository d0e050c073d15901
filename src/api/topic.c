/* SPDX-License-Identifier: Apache-2.0 */
/* topic.c - see topic.h. */
#include "api/topic.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

void topic_init(struct topic *topic)
{
	*topic = (struct topic){ 0 };
	list_init(&topic->entries);
}

static void entry_destroy(struct topic *topic, struct topic_entry *entry)
{
	if (entry->text == NULL)
		topic->gone--;
	table_remove(&topic->keys, &entry->by_key);
	list_remove(&entry->link);
	free(entry->key);
	free(entry->text);
	free(entry->project);
	for (size_t i = 0; i < LIMIT_TOPIC_FORMER; i++)
		free(entry->former[i]);
	free(entry);
}

void topic_finish(struct topic *topic)
{
	struct topic_entry *entry, *next;

	list_each_safe(entry, next, &topic->entries, link)
		entry_destroy(topic, entry);
	table_finish(&topic->keys);
}

void topic_begin_round(struct topic *topic)
{
	topic->round++;
}

static struct topic_entry *entry_of(struct topic *topic, const char *key)
{
	struct table_link *link = table_find(&topic->keys, key);
	struct topic_entry *entry;

	if (link != NULL)
		return container_of(link, struct topic_entry, by_key);
	entry = xnew(struct topic_entry);
	entry->key = xstrdup(key);
	list_append(&topic->entries, &entry->link);
	table_add(&topic->keys, &entry->by_key, entry->key);
	topic->gone++;
	return entry;
}

static void mark_changed(struct topic *topic, struct topic_entry *entry)
{
	entry->change = ++topic->change;
	list_remove(&entry->link);
	list_append(&topic->entries, &entry->link);
}

static bool was_of(const struct topic_entry *entry, const char *project)
{
	for (size_t i = 0; i < LIMIT_TOPIC_FORMER && entry->former[i] != NULL; i++) {
		if (strcmp(entry->former[i], project) == 0)
			return true;
	}
	return false;
}

/* True: it is another's from now on. */
static bool give_to(struct topic_entry *entry, const char *project)
{
	bool moves = entry->project != NULL && project != NULL && strcmp(entry->project, project) != 0;

	if (moves && !was_of(entry, entry->project))
		xreplace(&entry->former[entry->formers++ % LIMIT_TOPIC_FORMER], entry->project);
	xreplace(&entry->project, project);
	return moves;
}

void topic_put(struct topic *topic, const char *event, const char *key, const char *project, bool open, char *take_text)
{
	struct topic_entry *entry = entry_of(topic, key);
	bool moves = give_to(entry, project);

	entry->round = topic->round;
	entry->event = event;
	entry->open = open;
	if (!moves && entry->text != NULL && strcmp(entry->text, take_text) == 0) {
		free(take_text);
		return;
	}
	if (entry->text == NULL)
		topic->gone--;
	free(entry->text);
	entry->text = take_text;
	mark_changed(topic, entry);
	if (moves)
		entry->moved = entry->change;
}

void topic_remove(struct topic *topic, struct topic_entry *entry)
{
	if (entry->text == NULL)
		return;
	free(entry->text);
	entry->text = NULL;
	topic->gone++;
	mark_changed(topic, entry);
}

/* From the end: a reader is seldom far behind. */
struct topic_entry *topic_after(struct topic *topic, uint64_t change)
{
	struct list *link = topic->entries.prev;

	while (link != &topic->entries && container_of(link, struct topic_entry, link)->change > change)
		link = link->prev;
	return link->next != &topic->entries ? container_of(link->next, struct topic_entry, link) : NULL;
}

struct topic_entry *topic_next(struct topic *topic, struct topic_entry *entry)
{
	return entry->link.next != &topic->entries ? container_of(entry->link.next, struct topic_entry, link) : NULL;
}

void topic_reader_begin(struct topic_reader *reader, const struct topic *topic)
{
	*reader = (struct topic_reader){ .joined = topic->change, .whole = topic->change };
}

bool topic_reader_keeps_up(const struct topic_reader *reader, const struct topic *topic, uint64_t *behind)
{
	uint64_t from = reader->told > reader->joined ? reader->told : reader->joined;

	if (topic->gone > LIMIT_TOPIC_GONE && from < topic->change)
		return false;
	*behind = from < *behind ? from : *behind;
	return true;
}

static bool is_theirs(const struct texts *projects, const char *project)
{
	return projects == NULL || project == NULL || texts_match(projects, project);
}

static bool was_theirs(const struct texts *projects, const struct topic_entry *entry)
{
	for (size_t i = 0; i < LIMIT_TOPIC_FORMER && entry->former[i] != NULL; i++) {
		if (texts_match(projects, entry->former[i]))
			return true;
	}
	return false;
}

enum topic_news topic_news(const struct topic_entry *entry, const struct texts *projects, const struct topic_reader *reader)
{
	if (is_theirs(projects, entry->project)) {
		if (entry->text != NULL)
			return TOPIC_TEXT;
		return entry->change > reader->joined ? TOPIC_GONE : TOPIC_NOTHING;
	}
	/* Given away since: as if it had gone. */
	if (entry->moved > reader->whole && was_theirs(projects, entry))
		return TOPIC_GONE;
	return TOPIC_NOTHING;
}

void topic_forget_gone(struct topic *topic, uint64_t change)
{
	struct topic_entry *entry, *next;

	if (topic->gone == 0)
		return;
	list_each_safe(entry, next, &topic->entries, link) {
		if (entry->change > change)
			return;
		if (entry->text == NULL)
			entry_destroy(topic, entry);
	}
}
