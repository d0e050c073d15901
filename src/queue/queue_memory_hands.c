/* SPDX-License-Identifier: Apache-2.0 */
/* queue_memory_hands.c - the hands of a test: what it may do to the queue behind its holder's back. */
#include "base/clock.h"
#include "base/mem.h"
#include "queue/queue_memory_impl.h"

const char *queue_memory_put(struct queue *face, const char *body, const char *group)
{
	struct queue_memory *queue = memory_of(face);
	struct memory_entry *entry = xnew(struct memory_entry);

	entry->id = xasprintf("message-%u", ++queue->next_id);
	entry->body = xstrdup(body);
	entry->group = xstrdup(group);
	entry->sent_ms = clock_wall_ms();
	list_append(&queue->entries, &entry->link);
	queue_memory_wake(queue);
	return entry->id;
}

void queue_memory_redeliver(struct queue *face, const char *id)
{
	struct memory_entry *entry = queue_memory_find(memory_of(face), id);

	if (entry == NULL)
		return;
	entry->hidden = false;
	queue_memory_wake(memory_of(face));
}

void queue_memory_lose(struct queue *face, const char *id)
{
	struct queue_memory *queue = memory_of(face);
	struct memory_entry *entry = queue_memory_find(queue, id);

	if (entry == NULL || entry->held == NULL)
		return;
	list_remove(&entry->held->link);
	list_append(&queue->lost, &entry->held->link);
	queue_memory_wake(queue);
}

void queue_memory_expire(struct queue *face, const char *id)
{
	struct queue_memory *queue = memory_of(face);
	struct memory_entry *entry = queue_memory_find(queue, id);

	if (entry == NULL || entry->held == NULL)
		return;
	list_remove(&entry->held->link);
	list_append(&queue->expiring, &entry->held->link);
	queue_memory_wake(queue);
}

void queue_memory_bury(struct queue *face, const char *id)
{
	struct queue_memory *queue = memory_of(face);
	struct memory_entry *entry = queue_memory_find(queue, id);

	if (entry == NULL || entry->hidden)
		return;
	list_remove(&entry->link);
	list_append(&queue->buried, &entry->link);
	queue->has_dead_letters = true;
}

void queue_memory_fail_settles(struct queue *face, enum error_kind kind)
{
	memory_of(face)->settle_fails = kind;
}

void queue_memory_fail_probes(struct queue *face, enum error_kind kind)
{
	memory_of(face)->probe_fails = kind;
}

size_t queue_memory_count(const struct queue *face)
{
	struct memory_entry *entry;
	size_t count = 0;

	list_each(entry, &memory_of(face)->entries, link)
		count++;
	return count;
}

unsigned queue_memory_deliveries(const struct queue *face, const char *id)
{
	struct memory_entry *entry = queue_memory_find(memory_of(face), id);

	return entry != NULL ? entry->deliveries : 0;
}
