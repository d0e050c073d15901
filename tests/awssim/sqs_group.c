/* SPDX-License-Identifier: Apache-2.0 */
/* sqs_group.c - the order within groups, deduplication, receive attempts. */
#include "sqs_group.h"

#include "sqs.h"
#include "xalloc.h"

void sqs_group_enter(struct sqs_queue *queue, struct sqs_message *message)
{
	struct table_node *node = table_find(&queue->groups, message->group_id);
	struct sqs_group *group;
	struct list *before;

	if (node == NULL) {
		size_t bytes = strlen(message->group_id) + 1;

		group = xcalloc(1, sizeof(*group) + bytes);
		memcpy(group->id, message->group_id, bytes);
		list_init(&group->ready);
		list_init(&group->messages);
		table_insert(&queue->groups, &group->by_name, group->id);
	} else {
		group = container_of(node, struct sqs_group, by_name);
	}
	message->group = group;
	before = group->messages.prev;
	while (before != &group->messages &&
	       container_of(before, struct sqs_message, node)->sequence > message->sequence)
		before = before->prev;
	list_add_head(before, &message->node);
	sqs_group_update(queue, group);
}

void sqs_group_leave(struct sqs_queue *queue, struct sqs_message *message)
{
	struct sqs_group *group = message->group;

	list_remove(&message->node);
	message->group = NULL;
	if (!list_empty(&group->messages)) {
		sqs_group_update(queue, group);
		return;
	}
	list_remove(&group->ready);
	table_remove(&queue->groups, &group->by_name);
	free(group);
}

static bool group_is_ready(const struct sqs_group *group)
{
	return group->in_flight == 0 && !list_empty(&group->messages) &&
	       container_of(group->messages.next, struct sqs_message, node)->state == SQS_READY;
}

void sqs_group_update(struct sqs_queue *queue, struct sqs_group *group)
{
	if (!group_is_ready(group)) {
		list_remove(&group->ready);
	} else if (list_empty(&group->ready)) {
		list_add_tail(&queue->ready_groups, &group->ready);
		sqs_mark_dirty(queue);
	}
}

/* ---- deduplication ---- */

struct dedup {
	struct table_node by_key;
	struct list order;
	int64_t expires_ms;
	struct sqs_sent sent;
	char key[];
};

enum { DEDUP_KEY_ROOM = 2 * (SQS_ID_MAX + 1) };

/* Gives its length.  The ids have been checked, so they fit. */
static size_t dedup_key(const struct sqs_queue *queue, const char *group, const char *dedup_id,
			char key[DEDUP_KEY_ROOM])
{
	size_t group_bytes = queue->settings.group_dedup ? strlen(group) : 0;
	size_t id_bytes = strlen(dedup_id);

	if (group_bytes + 1 + id_bytes >= DEDUP_KEY_ROOM)
		abort();
	memcpy(key, group, group_bytes);
	key[group_bytes] = '\n';
	memcpy(key + group_bytes + 1, dedup_id, id_bytes + 1);
	return group_bytes + 1 + id_bytes;
}

static void dedup_free(struct sqs_queue *queue, struct dedup *dedup)
{
	table_remove(&queue->dedup, &dedup->by_key);
	list_remove(&dedup->order);
	free(dedup);
}

static void dedup_expire(struct sqs_queue *queue, int64_t now_ms)
{
	while (!list_empty(&queue->dedup_order)) {
		struct dedup *oldest = container_of(queue->dedup_order.next, struct dedup, order);

		if (oldest->expires_ms > now_ms)
			return;
		dedup_free(queue, oldest);
	}
}

const struct sqs_sent *sqs_dedup_find(struct sqs_queue *queue, const char *group,
				      const char *dedup_id)
{
	char key[DEDUP_KEY_ROOM];
	struct table_node *node;

	dedup_expire(queue, world_now_ms(queue->sqs->world));
	dedup_key(queue, group, dedup_id, key);
	node = table_find(&queue->dedup, key);
	return node == NULL ? NULL : &container_of(node, struct dedup, by_key)->sent;
}

void sqs_dedup_add(struct sqs_queue *queue, const char *group, const char *dedup_id,
		   const struct sqs_sent *sent)
{
	char key[DEDUP_KEY_ROOM];
	size_t bytes = dedup_key(queue, group, dedup_id, key);
	struct dedup *dedup = xcalloc(1, sizeof(*dedup) + bytes + 1);

	memcpy(dedup->key, key, bytes + 1);
	dedup->sent = *sent;
	dedup->expires_ms = world_now_ms(queue->sqs->world) + SQS_DEDUP_S * 1000;
	table_insert(&queue->dedup, &dedup->by_key, dedup->key);
	list_add_tail(&queue->dedup_order, &dedup->order);
}

void sqs_dedup_clear(struct sqs_queue *queue)
{
	while (!list_empty(&queue->dedup_order))
		dedup_free(queue, container_of(queue->dedup_order.next, struct dedup, order));
}

/* ---- receive attempts ---- */

struct attempt {
	struct list node;
	int64_t expires_ms;
	unsigned count;
	struct sqs_receipt receipts[SQS_RECEIVE_MAX];
	char id[];
};

static struct attempt *attempt_of(struct sqs_queue *queue, const char *id)
{
	int64_t now_ms = world_now_ms(queue->sqs->world);
	struct list *node, *next;

	list_each(node, next, &queue->attempts) {
		struct attempt *attempt = container_of(node, struct attempt, node);

		if (attempt->expires_ms <= now_ms) {
			list_remove(node);
			free(attempt);
		} else if (strcmp(attempt->id, id) == 0) {
			return attempt;
		}
	}
	return NULL;
}

/* All or nothing: one message that was deleted or received anew makes it an ordinary receive. */
unsigned sqs_attempt_find(struct sqs_queue *queue, const char *id,
			  struct sqs_message *taken[SQS_RECEIVE_MAX])
{
	struct attempt *attempt = attempt_of(queue, id);

	if (attempt == NULL)
		return 0;
	for (unsigned i = 0; i < attempt->count; i++) {
		const struct sqs_receipt *receipt = &attempt->receipts[i];
		struct sqs_message *message = queue->slots[receipt->slot];

		if (message == NULL || message->sequence != receipt->sequence ||
		    message->receipt != receipt->receipt || message->state != SQS_IN_FLIGHT) {
			list_remove(&attempt->node);
			free(attempt);
			return 0;
		}
		taken[i] = message;
	}
	return attempt->count;
}

void sqs_attempt_add(struct sqs_queue *queue, const char *id, struct sqs_message *const *taken,
		     unsigned count)
{
	struct attempt *attempt = xcalloc(1, sizeof(*attempt) + strlen(id) + 1);

	memcpy(attempt->id, id, strlen(id) + 1);
	attempt->expires_ms = world_now_ms(queue->sqs->world) + SQS_ATTEMPT_S * 1000;
	attempt->count = count;
	for (unsigned i = 0; i < count; i++)
		attempt->receipts[i] = (struct sqs_receipt){
			.slot = taken[i]->slot,
			.sequence = taken[i]->sequence,
			.receipt = taken[i]->receipt,
		};
	list_add_tail(&queue->attempts, &attempt->node);
}

void sqs_attempt_clear(struct sqs_queue *queue)
{
	struct list *node, *next;

	list_each(node, next, &queue->attempts)
		free(container_of(node, struct attempt, node));
	list_init(&queue->attempts);
}
