/* SPDX-License-Identifier: Apache-2.0 */
/* sqs_queue.c - the life of a message in its queue: sent, ready, in flight, back or gone. */
#include "sqs_queue.h"

#include "sqs.h"
#include "sqs_group.h"
#include "text.h"
#include "xalloc.h"

#define HANDLE_INVALID "The input receipt handle is invalid."

static int64_t queue_now_ms(const struct sqs_queue *queue)
{
	return world_now_ms(queue->sqs->world);
}

static void message_note(const struct sqs_message *message, enum ledger_event event)
{
	struct sqs_queue *queue = message->queue;

	ledger_message_event(queue->sqs->world->ledger, message->ledger, event,
			     queue_now_ms(queue));
}

/* The only place that changes a state: counts, groups and the ready list follow it. */
static void message_move(struct sqs_message *message, enum sqs_state state)
{
	struct sqs_queue *queue = message->queue;

	queue->counts[message->state]--;
	queue->counts[state]++;
	if (message->group != NULL) {
		message->group->in_flight -= message->state == SQS_IN_FLIGHT;
		message->group->in_flight += state == SQS_IN_FLIGHT;
		message->state = state;
		sqs_group_update(queue, message->group);
		return;
	}
	message->state = state;
	list_remove(&message->node);
	if (state == SQS_READY) {
		list_add_tail(&queue->ready, &message->node);
		sqs_mark_dirty(queue);
	}
}

static void on_alarm(struct alarm *alarm)
{
	struct sqs_message *message = container_of(alarm, struct sqs_message, alarm);

	if (message->state == SQS_IN_FLIGHT)
		message_note(message, LEDGER_RETURNED);
	message_move(message, SQS_READY);
}

static void queue_take_slot(struct sqs_queue *queue, struct sqs_message *message)
{
	if (queue->free_count > 0) {
		message->slot = queue->free_slots[--queue->free_count];
	} else {
		if (queue->slot_count == queue->slot_room) {
			queue->slot_room = queue->slot_room == 0 ? 64 : queue->slot_room * 2;
			queue->slots = xrealloc(queue->slots,
						queue->slot_room * sizeof(struct sqs_message *));
			queue->free_slots = xrealloc(queue->free_slots,
						     queue->slot_room * sizeof(uint32_t));
		}
		message->slot = queue->slot_count++;
	}
	queue->slots[message->slot] = message;
}

/* The message is new here: takes a place in the state it has. */
static void queue_enter(struct sqs_queue *queue, struct sqs_message *message)
{
	message->queue = queue;
	message->sequence = sqs_next_sequence(queue->sqs);
	list_init(&message->node);
	queue_take_slot(queue, message);
	queue->counts[message->state]++;
	if (queue->settings.fifo) {
		sqs_group_enter(queue, message);
	} else if (message->state == SQS_READY) {
		list_add_tail(&queue->ready, &message->node);
		sqs_mark_dirty(queue);
	}
}

static void queue_leave(struct sqs_queue *queue, struct sqs_message *message)
{
	sim_clock_clear(queue->sqs->world->clock, &message->alarm);
	queue->counts[message->state]--;
	queue->slots[message->slot] = NULL;
	queue->free_slots[queue->free_count++] = message->slot;
	if (message->group != NULL) {
		message->group->in_flight -= message->state == SQS_IN_FLIGHT;
		sqs_group_leave(queue, message);
	} else {
		list_remove(&message->node);
	}
}

static void message_destroy(struct sqs_message *message)
{
	queue_leave(message->queue, message);
	json_decref(message->body);
	json_decref(message->attributes);
	free(message->group_id);
	free(message->dedup_id);
	free(message->trace);
	free(message->source_arn);
	free(message);
}

/* ---- sending ---- */

static void hash_field(struct text *text, const void *data, size_t bytes)
{
	unsigned char length[4] = { (unsigned char)(bytes >> 24), (unsigned char)(bytes >> 16),
				    (unsigned char)(bytes >> 8), (unsigned char)bytes };

	text_add(text, length, sizeof(length));
	text_add(text, data, bytes);
}

static int compare_names(const void *left, const void *right)
{
	return strcmp(*(const char *const *)left, *(const char *const *)right);
}

static void hash_attribute(struct text *text, const char *name, const json_t *attribute)
{
	const char *type = json_string_value(json_object_get(attribute, "DataType"));
	const json_t *value = json_object_get(attribute, "StringValue");

	hash_field(text, name, strlen(name));
	hash_field(text, type, strlen(type));
	if (value != NULL) {
		text_add(text, "\1", 1);
		hash_field(text, json_string_value(value), json_string_length(value));
	} else {
		const char *encoded =
			json_string_value(json_object_get(attribute, "BinaryValue"));
		size_t room = encoded == NULL ? 0 : strlen(encoded);
		unsigned char *raw = xcalloc(1, room + 1);
		long bytes = encoded == NULL ? 0 : base64_decode(encoded, raw, room);

		text_add(text, "\2", 1);
		hash_field(text, raw, bytes < 0 ? 0 : (size_t)bytes);
		free(raw);
	}
}

/* MD5OfMessageAttributes: every name, type and value with its length before it, by name. */
static void md5_of_attributes(struct digest *digest, json_t *attributes, char *md5)
{
	const char **names, *name;
	struct text text = { 0 };
	size_t count = 0;
	json_t *attribute;

	md5[0] = '\0';
	if (json_object_size(attributes) == 0)
		return;
	names = xcalloc(json_object_size(attributes), sizeof(*names));
	json_object_foreach(attributes, name, attribute)
		names[count++] = name;
	qsort(names, count, sizeof(*names), compare_names);
	for (size_t i = 0; i < count; i++)
		hash_attribute(&text, names[i], json_object_get(attributes, names[i]));
	digest_md5_hex(digest, text.data, text.bytes, md5);
	text_finish(&text);
	free(names);
}

static struct sqs_message *message_create(struct sqs_queue *queue, const struct sqs_draft *draft)
{
	struct world *world = queue->sqs->world;
	struct sqs_message *message = xcalloc(1, sizeof(*message));

	message->alarm.ring = on_alarm;
	world_uuid(world, message->id);
	message->body = json_incref(draft->body);
	message->attributes = json_incref(draft->attributes);
	digest_md5_hex(world->digest, json_string_value(draft->body),
		       json_string_length(draft->body), message->md5);
	md5_of_attributes(world->digest, draft->attributes, message->attributes_md5);
	message->group_id = xstrdup_null(draft->group_id);
	message->dedup_id = xstrdup_null(draft->dedup_id);
	message->trace = xstrdup_null(draft->trace);
	message->sent_ms = world_now_ms(world);
	message->state = draft->delay_s > 0 ? SQS_DELAYED : SQS_READY;
	message->ledger = ledger_message(world->ledger, queue->name, message->id, draft->group_id,
					 message->sent_ms);
	return message;
}

void sqs_queue_send(struct sqs_queue *queue, const struct sqs_draft *draft, struct sqs_sent *sent)
{
	const struct sqs_sent *before;
	struct sqs_message *message;

	if (queue->settings.fifo) {
		before = sqs_dedup_find(queue, draft->group_id, draft->dedup_id);
		if (before != NULL) {
			*sent = *before;
			return;
		}
	}
	message = message_create(queue, draft);
	queue_enter(queue, message);
	if (draft->delay_s > 0)
		sim_clock_set(queue->sqs->world->clock, &message->alarm,
			      message->sent_ms + draft->delay_s * 1000);
	memcpy(sent->id, message->id, sizeof(sent->id));
	memcpy(sent->md5, message->md5, sizeof(sent->md5));
	memcpy(sent->attributes_md5, message->attributes_md5, sizeof(sent->attributes_md5));
	sent->sequence = queue->settings.fifo ? message->sequence : 0;
	if (queue->settings.fifo)
		sqs_dedup_add(queue, draft->group_id, draft->dedup_id, sent);
}

/* ---- receiving ---- */

static bool message_is_old(const struct sqs_message *message)
{
	return message->sent_ms + message->queue->settings.retention_s * 1000 <=
	       queue_now_ms(message->queue);
}

/* True when it left for the dead letter queue instead of being received once more. */
static bool message_gave_up(struct sqs_message *message)
{
	struct sqs_queue *queue = message->queue, *dead_letters;
	const struct sqs_settings *settings = &queue->settings;

	if (settings->dead_letter_arn == NULL ||
	    message->receives - message->receives_elsewhere < (unsigned)settings->max_receives)
		return false;
	dead_letters = sqs_find_arn(queue->sqs, settings->dead_letter_arn);
	if (dead_letters == NULL || dead_letters == queue)
		return false;
	message_note(message, LEDGER_DEAD_LETTERED);
	free(message->source_arn);
	message->source_arn = xstrdup(queue->arn);
	sqs_queue_adopt(dead_letters, message, false);
	return true;
}

void sqs_queue_adopt(struct sqs_queue *queue, struct sqs_message *message, bool new_id)
{
	queue_leave(message->queue, message);
	if (new_id)
		world_uuid(queue->sqs->world, message->id);
	message->state = SQS_READY;
	message->receives_elsewhere = message->receives;
	queue_enter(queue, message);
}

/* A second copy with the same id: at-least-once delivery as clients see it. */
static void message_duplicate(const struct sqs_message *message)
{
	struct sqs_message *copy = xcalloc(1, sizeof(*copy));

	*copy = *message;
	copy->alarm = (struct alarm){ .ring = on_alarm };
	json_incref(copy->body);
	json_incref(copy->attributes);
	copy->group_id = xstrdup_null(message->group_id);
	copy->dedup_id = xstrdup_null(message->dedup_id);
	copy->trace = xstrdup_null(message->trace);
	copy->source_arn = xstrdup_null(message->source_arn);
	copy->state = SQS_READY;
	queue_enter(message->queue, copy);
}

static void message_hide(struct sqs_message *message, json_int_t visibility_s)
{
	struct sqs_queue *queue = message->queue;
	int64_t now_ms = queue_now_ms(queue);

	if (visibility_s < 0)
		visibility_s = queue->settings.visibility_s;
	message->receipt++;
	message->receives++;
	message->received_ms = now_ms;
	if (message->first_received_ms == 0)
		message->first_received_ms = now_ms;
	message_move(message, SQS_IN_FLIGHT);
	message_note(message, LEDGER_RECEIVED);
	sim_clock_set(queue->sqs->world->clock, &message->alarm, now_ms + visibility_s * 1000);
	if (!queue->settings.fifo && queue->sqs->duplicate > 0 &&
	    dice_chance(&queue->sqs->world->dice, queue->sqs->duplicate))
		message_duplicate(message);
}

/* True when the message can be handed out; otherwise it is no longer here. */
static bool message_check(struct sqs_message *message)
{
	if (message_is_old(message)) {
		message_note(message, LEDGER_PURGED);
		message_destroy(message);
		return false;
	}
	return !message_gave_up(message);
}

static unsigned take_standard(struct sqs_queue *queue, unsigned max, struct sqs_message **taken)
{
	unsigned count = 0;

	while (count < max && !list_empty(&queue->ready) &&
	       queue->counts[SQS_IN_FLIGHT] + count < SQS_IN_FLIGHT_MAX) {
		struct sqs_message *message =
			container_of(queue->ready.next, struct sqs_message, node);

		if (!message_check(message))
			continue;
		list_remove(&message->node);
		taken[count++] = message;
	}
	return count;
}

/* As many as there are of one group, then the next group.  The group is off the ready list while
 * it is being emptied, as its messages change state only afterwards. */
static unsigned take_fifo(struct sqs_queue *queue, unsigned max, struct sqs_message **taken)
{
	unsigned count = 0;

	while (count < max && !list_empty(&queue->ready_groups) &&
	       queue->counts[SQS_IN_FLIGHT] + count < SQS_IN_FLIGHT_MAX) {
		struct sqs_group *group =
			container_of(queue->ready_groups.next, struct sqs_group, ready);
		struct sqs_message *message =
			container_of(group->messages.next, struct sqs_message, node);
		struct list *node;

		if (!message_check(message))
			continue;       /* the group may be gone with it */
		list_remove(&group->ready);
		taken[count++] = message;
		for (node = message->node.next; node != &group->messages && count < max;
		     node = node->next) {
			message = container_of(node, struct sqs_message, node);
			if (message->state != SQS_READY || message_is_old(message) ||
			    (queue->settings.dead_letter_arn != NULL &&
			     message->receives - message->receives_elsewhere >=
				     (unsigned)queue->settings.max_receives))
				break;
			taken[count++] = message;
		}
	}
	return count;
}

unsigned sqs_queue_take(struct sqs_queue *queue, const struct sqs_taking *taking,
			struct sqs_message *taken[SQS_RECEIVE_MAX])
{
	bool attempts = queue->settings.fifo && taking->attempt_id != NULL;
	int64_t now_ms = queue_now_ms(queue);
	unsigned count;

	if (attempts) {
		json_int_t visibility_s = taking->visibility_s < 0 ? queue->settings.visibility_s
								   : taking->visibility_s;

		count = sqs_attempt_find(queue, taking->attempt_id, taken);
		for (unsigned i = 0; i < count; i++)
			sim_clock_set(queue->sqs->world->clock, &taken[i]->alarm,
				      now_ms + visibility_s * 1000);
		if (count > 0)
			return count;
	}
	count = queue->settings.fifo ? take_fifo(queue, taking->max, taken)
				     : take_standard(queue, taking->max, taken);
	for (unsigned i = 0; i < count; i++)
		message_hide(taken[i], taking->visibility_s);
	if (attempts && count > 0)
		sqs_attempt_add(queue, taking->attempt_id, taken, count);
	return count;
}

/* ---- handles ---- */

void sqs_message_handle(const struct sqs_message *message, char handle[SQS_RECEIPT_ROOM])
{
	struct sqs_receipt receipt = {
		.queue = message->queue->serial,
		.slot = message->slot,
		.sequence = message->sequence,
		.receipt = message->receipt,
	};

	sqs_receipt_write(&receipt, handle);
}

/* False with an error for a bad handle; *found is NULL when its message is gone. */
static bool queue_find(struct sqs_queue *queue, const char *handle, struct sqs_receipt *receipt,
		       struct sqs_message **found, struct aws_error *error)
{
	struct sqs_message *message;

	*found = NULL;
	if (!sqs_receipt_read(receipt, handle) || receipt->queue != queue->serial) {
		aws_error_set(error, "ReceiptHandleIsInvalid", HANDLE_INVALID);
		return false;
	}
	if (receipt->slot >= queue->slot_count)
		return true;
	message = queue->slots[receipt->slot];
	if (message != NULL && message->sequence == receipt->sequence)
		*found = message;
	return true;
}

/* Standard queues say yes to any handle they have given; FIFO queues refuse one whose time is
 * over, as its message may be with somebody else already. */
bool sqs_queue_delete(struct sqs_queue *queue, const char *handle, struct aws_error *error)
{
	struct sqs_receipt receipt;
	struct sqs_message *message;

	if (!queue_find(queue, handle, &receipt, &message, error))
		return false;
	if (message == NULL)
		return true;
	if (queue->settings.fifo && (message->receipt != receipt.receipt ||
				     message->state != SQS_IN_FLIGHT)) {
		message_note(message, LEDGER_STALE_DELETE);
		aws_error_set(error, "InvalidParameterValue",
			      "Value %s for parameter ReceiptHandle is invalid. Reason: The "
			      "receipt handle has expired.", handle);
		return false;
	}
	if (message->receipt != receipt.receipt) {
		message_note(message, LEDGER_STALE_DELETE);
		return true;
	}
	message_note(message, LEDGER_DELETED);
	if (!queue->settings.fifo && queue->sqs->resurrect > 0 &&
	    dice_chance(&queue->sqs->world->dice, queue->sqs->resurrect))
		message_duplicate(message);
	message_destroy(message);
	return true;
}

bool sqs_queue_set_visibility(struct sqs_queue *queue, const char *handle,
			      json_int_t visibility_s, struct aws_error *error)
{
	int64_t now_ms = queue_now_ms(queue), visible_ms = now_ms + visibility_s * 1000;
	struct sqs_receipt receipt;
	struct sqs_message *message;

	if (!queue_find(queue, handle, &receipt, &message, error))
		return false;
	if (message == NULL || message->receipt != receipt.receipt) {
		aws_error_set(error, "InvalidParameterValue",
			      "Value %s for parameter ReceiptHandle is invalid. Reason: Message "
			      "does not exist or is not available for visibility timeout change.",
			      handle);
		return false;
	}
	if (message->state != SQS_IN_FLIGHT) {
		aws_error_set(error, "MessageNotInflight",
			      "The specified message isn't in flight.");
		return false;
	}
	if (visible_ms > message->received_ms + SQS_VISIBILITY_MAX_S * 1000LL) {
		aws_error_set(error, "InvalidParameterValue",
			      "Value %" JSON_INTEGER_FORMAT " for parameter VisibilityTimeout is "
			      "invalid. Reason: Total VisibilityTimeout for the message is beyond "
			      "the limit [43200 seconds].", visibility_s);
		return false;
	}
	ledger_message_extended(queue->sqs->world->ledger, message->ledger);
	sim_clock_clear(queue->sqs->world->clock, &message->alarm);
	if (visibility_s == 0)
		on_alarm(&message->alarm);
	else
		sim_clock_set(queue->sqs->world->clock, &message->alarm, visible_ms);
	return true;
}

/* ---- the queue itself ---- */

struct sqs_message *sqs_queue_first_ready(struct sqs_queue *queue)
{
	struct sqs_message *first = NULL;

	if (!list_empty(&queue->ready))
		return container_of(queue->ready.next, struct sqs_message, node);
	for (uint32_t i = 0; queue->settings.fifo && i < queue->slot_count; i++) {
		struct sqs_message *message = queue->slots[i];

		if (message != NULL && message->state == SQS_READY &&
		    (first == NULL || message->sequence < first->sequence))
			first = message;
	}
	return first;
}

/* Old ones are at the front of the ready list, as they came first or came back first. */
void sqs_queue_expire(struct sqs_queue *queue)
{
	struct list *node, *next;

	list_each(node, next, &queue->ready) {
		struct sqs_message *message = container_of(node, struct sqs_message, node);

		if (!message_is_old(message))
			return;
		message_note(message, LEDGER_PURGED);
		message_destroy(message);
	}
}

void sqs_queue_purge(struct sqs_queue *queue)
{
	for (uint32_t i = 0; i < queue->slot_count; i++) {
		if (queue->slots[i] == NULL)
			continue;
		message_note(queue->slots[i], LEDGER_PURGED);
		message_destroy(queue->slots[i]);
	}
	sqs_attempt_clear(queue);
}

struct sqs_queue *sqs_queue_create(struct sqs *sqs, const char *name)
{
	struct sqs_queue *queue = xcalloc(1, sizeof(*queue));

	queue->sqs = sqs;
	queue->serial = ++sqs->queue_serial;
	queue->name = xstrdup(name);
	if (asprintf(&queue->url, "%s/" WORLD_ACCOUNT "/%s", sqs->world->origin, name) < 0 ||
	    asprintf(&queue->arn, "arn:aws:sqs:" WORLD_REGION ":" WORLD_ACCOUNT ":%s", name) < 0)
		abort();
	queue->settings = (struct sqs_settings){
		.visibility_s = 30,
		.retention_s = 4 * 86400,
		.max_bytes = SQS_BODY_MAX_BYTES,
		.fifo = strlen(name) > 5 && strcmp(name + strlen(name) - 5, ".fifo") == 0,
	};
	queue->created_ms = queue->modified_ms = world_now_ms(sqs->world);
	list_init(&queue->dirty);
	list_init(&queue->ready);
	list_init(&queue->ready_groups);
	list_init(&queue->dedup_order);
	list_init(&queue->attempts);
	list_init(&queue->waiters);
	list_add_tail(&sqs->queues, &queue->peers);
	table_insert(&sqs->queues_by_name, &queue->by_name, queue->name);
	return queue;
}

void sqs_queue_destroy(struct sqs_queue *queue)
{
	if (queue == NULL)
		return;
	sqs_queue_purge(queue);
	sqs_dedup_clear(queue);
	table_remove(&queue->sqs->queues_by_name, &queue->by_name);
	list_remove(&queue->peers);
	list_remove(&queue->dirty);
	table_finish(&queue->groups);
	table_finish(&queue->dedup);
	sqs_settings_finish(&queue->settings);
	free(queue->slots);
	free(queue->free_slots);
	free(queue->name);
	free(queue->url);
	free(queue->arn);
	free(queue);
}
