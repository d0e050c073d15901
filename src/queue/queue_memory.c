/* SPDX-License-Identifier: Apache-2.0 */
/* queue_memory.c - see queue_memory.h.
 *
 * One timer of zero length does everything that must not happen inside a call: deliveries and
 * completions.  What a test may do to the queue is in queue_memory_hands.c. */
#include "queue/queue_memory_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"

enum { MEMORY_BATCH = 10 };

static struct memory_message *message_of(struct queue_message *message)
{
	return container_of(message, struct memory_message, face);
}

void queue_memory_wake(struct queue_memory *queue)
{
	if (!ev_is_active(&queue->turn)) {
		ev_timer_set(&queue->turn, 0., 0.);
		ev_timer_start(queue->face.env.loop, &queue->turn);
	}
}

struct memory_entry *queue_memory_find(const struct queue_memory *queue, const char *id)
{
	struct memory_entry *entry;

	list_each(entry, &queue->entries, link) {
		if (strcmp(entry->id, id) == 0)
			return entry;
	}
	return NULL;
}

/* -- messages ------------------------------------------------------------------------------------- */

static struct memory_message *hold(struct queue_memory *queue, const char *id, const char *receipt,
	const char *group, const char *body)
{
	struct memory_message *message = xnew(struct memory_message);

	message->id = xstrdup(id);
	message->receipt = xstrdup(receipt);
	message->group = xstrdup(group);
	message->body = xstrdup(body);
	message->face = (struct queue_message){
		.queue = &queue->face, .id = message->id, .receipt = message->receipt, .group = message->group,
		.body = message->body, .body_bytes = body != NULL ? strlen(body) : 0,
		.received_ms = clock_wall_ms(),
		.hidden_until_ms = clock_wall_ms() + queue->face.conf->visibility_timeout_ms,
	};
	list_append(&queue->held, &message->link);
	queue->face.figures.held++;
	return message;
}

/* Takes it out of the queue, which may vanish before the memory is freed. */
static void message_detach(struct memory_message *message)
{
	if (message->entry != NULL && message->entry->held == message)
		message->entry->held = NULL;
	list_remove(&message->link);
	message->face.queue->figures.held--;
}

static void message_dispose(struct memory_message *message)
{
	free(message->id);
	free(message->receipt);
	free(message->group);
	free(message->body);
	free(message);
}

static void message_free(struct memory_message *message)
{
	message_detach(message);
	message_dispose(message);
}

static void entry_free(struct memory_entry *entry)
{
	list_remove(&entry->link);
	free(entry->id);
	free(entry->body);
	free(entry->group);
	free(entry);
}

/* A message of its group is held: as in SQS no other one is handed out meanwhile. */
static bool is_blocked(const struct queue_memory *queue, const struct memory_entry *entry)
{
	struct memory_entry *at;

	if (!queue->ordered || entry->group == NULL)
		return false;
	list_each(at, &queue->entries, link) {
		if (at->hidden && at->group != NULL && strcmp(at->group, entry->group) == 0)
			return true;
	}
	return false;
}

static struct memory_message *deliver_entry(struct queue_memory *queue, struct memory_entry *entry)
{
	char *receipt = xasprintf("receipt-%u", ++queue->next_receipt);
	struct memory_message *message = hold(queue, entry->id, receipt, entry->group, entry->body);

	free(receipt);
	entry->deliveries++;
	entry->hidden = true;
	entry->held = message;
	message->entry = entry;
	message->face.deliveries = entry->deliveries;
	return message;
}

/* One receive: of an ordered queue the rest of a group may come along in the same batch. */
static bool deliver(struct queue_memory *queue)
{
	struct queue_message *batch[MEMORY_BATCH];
	struct memory_entry *entry;
	struct memory_entry *chosen[MEMORY_BATCH];
	size_t count = 0;

	if (!queue->started || queue->stopped)
		return false;
	list_each(entry, &queue->entries, link) {
		if (count == MEMORY_BATCH || count == queue->room)
			break;
		if (!entry->hidden && !is_blocked(queue, entry))
			chosen[count++] = entry;
	}
	for (size_t i = 0; i < count; i++)
		batch[i] = &deliver_entry(queue, chosen[i])->face;
	if (count == 0)
		return false;
	queue->room -= (unsigned)count;
	queue->face.figures.received += count;
	queue->face.figures.last_receive_s = clock_monotonic_s();
	queue->face.events.received(queue->face.events.arg, batch, count);
	return true;
}

/* -- what happens in the turn ----------------------------------------------------------------------- */

static bool tell_lost(struct queue_memory *queue)
{
	struct memory_message *message = list_first(&queue->lost, struct memory_message, link);

	if (message == NULL)
		return false;
	list_remove(&message->link);
	list_append(&queue->held, &message->link);
	error_set(&message->error, ERROR_LOST, "the lease of message %s is gone", message->id);
	queue->face.figures.lost++;
	if (queue->face.events.lost != NULL)
		queue->face.events.lost(queue->face.events.arg, &message->face, &message->error);
	return true;
}

static bool tell_expiring(struct queue_memory *queue)
{
	struct memory_message *message = list_first(&queue->expiring, struct memory_message, link);

	if (message == NULL)
		return false;
	list_remove(&message->link);
	list_append(&queue->held, &message->link);
	if (queue->face.events.expiring != NULL)
		queue->face.events.expiring(queue->face.events.arg, &message->face);
	return true;
}

static bool tell_settled(struct queue_memory *queue)
{
	struct memory_message *message = list_first(&queue->settling, struct memory_message, link);

	if (message == NULL)
		return false;
	queue->face.figures.settled++;
	message_detach(message);
	if (message->done != NULL)
		message->done(message->arg, message->error.kind != ERROR_NONE ? &message->error : NULL);
	message_dispose(message);
	return true;
}

/* A look counts as a delivery, as it does in SQS. */
static void tell_peeked(struct queue_memory *queue, const struct memory_answer *answer)
{
	struct queue_peeked *messages = xcalloc(answer->count + 1, sizeof(*messages));
	struct memory_entry *entry;
	size_t count = 0;

	list_each(entry, &queue->entries, link) {
		if (entry->hidden || count == answer->count)
			continue;
		messages[count++] = (struct queue_peeked){
			.id = entry->id, .group = entry->group, .body = entry->body, .body_bytes = strlen(entry->body),
			.deliveries = ++entry->deliveries, .sent_ms = entry->sent_ms,
		};
	}
	answer->peeked(answer->arg, messages, count, NULL);
	free(messages);
}

static void tell_depth(struct queue_memory *queue, const struct memory_answer *answer)
{
	struct queue_depth depth = { .oldest_age_ms = -1 };
	struct memory_entry *entry;

	list_each(entry, &queue->entries, link) {
		int64_t age_ms = clock_wall_ms() - entry->sent_ms;

		depth.hidden += entry->hidden;
		depth.visible += !entry->hidden;
		if (age_ms > depth.oldest_age_ms)
			depth.oldest_age_ms = age_ms;
	}
	if (queue->has_dead_letters)
		snprintf(depth.dead_letter, sizeof(depth.dead_letter), "%s, buried", queue_name(&queue->face));
	answer->measured(answer->arg, &depth, NULL);
}

static void tell_redriven(struct queue_memory *queue, const struct memory_answer *answer)
{
	struct memory_entry *entry;
	struct error err;
	uint64_t moved = 0;

	list_each(entry, &queue->buried, link)
		moved++;
	list_splice(&queue->entries, &queue->buried);
	error_set(&err, ERROR_INVALID, "queue %s has no dead-letter queue", queue_name(&queue->face));
	answer->redriven(answer->arg, moved, queue->has_dead_letters ? NULL : &err);
}

static bool tell_answer(struct queue_memory *queue)
{
	struct memory_answer *answer = list_first(&queue->answers, struct memory_answer, link);
	struct memory_answer copy;

	if (answer == NULL)
		return false;
	copy = *answer;
	list_remove(&answer->link);
	free(answer);
	if (copy.peeked != NULL)
		tell_peeked(queue, &copy);
	else if (copy.measured != NULL)
		tell_depth(queue, &copy);
	else if (copy.redriven != NULL)
		tell_redriven(queue, &copy);
	else if (copy.sent != NULL)
		copy.sent(copy.arg, copy.count, copy.error.kind != ERROR_NONE ? &copy.error : NULL);
	else if (copy.done != NULL)
		copy.done(copy.arg, copy.error.kind != ERROR_NONE ? &copy.error : NULL);
	return true;
}

static void on_turn(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct queue_memory *queue = container_of(timer, struct queue_memory, turn);
	bool gone = false;

	(void)loop;
	(void)revents;
	queue->gone = &gone;
	while (!gone && (tell_expiring(queue) || tell_lost(queue) || tell_settled(queue) || tell_answer(queue) ||
			 deliver(queue)))
		;
	if (!gone)
		queue->gone = NULL;
}

/* -- the table -------------------------------------------------------------------------------------- */

static bool memory_ordered(const struct queue *face)
{
	return memory_of(face)->ordered;
}

static void answer_later(struct queue_memory *queue, const struct memory_answer *given)
{
	struct memory_answer *answer = xnew(struct memory_answer);

	*answer = *given;
	list_append(&queue->answers, &answer->link);
	queue_memory_wake(queue);
}

static void memory_probe(struct queue *face, queue_done_fn *done, void *arg)
{
	struct queue_memory *queue = memory_of(face);
	struct memory_answer answer = { .done = done, .arg = arg };

	if (queue->probe_fails != ERROR_NONE)
		error_set(&answer.error, queue->probe_fails, "the probe fails as it was told to");
	answer_later(queue, &answer);
}

static void memory_start(struct queue *face)
{
	memory_of(face)->started = true;
	queue_memory_wake(memory_of(face));
}

static void memory_set_room(struct queue *face, unsigned room)
{
	memory_of(face)->room = room;
	queue_memory_wake(memory_of(face));
}

static void memory_stop(struct queue *face, queue_done_fn *done, void *arg)
{
	memory_of(face)->stopped = true;
	answer_later(memory_of(face), &(struct memory_answer){ .done = done, .arg = arg });
}

static struct queue_message *memory_resume(struct queue *face, const struct job_message_ref *ref)
{
	struct queue_memory *queue = memory_of(face);
	struct memory_message *message = hold(queue, ref->id, ref->receipt, ref->group, NULL);
	struct memory_entry *entry = queue_memory_find(queue, ref->id);

	message->face.deliveries = ref->deliveries;
	message->face.received_ms = ref->received_ms;
	message->face.hidden_until_ms = ref->hidden_until_ms;
	message->entry = entry;
	if (entry != NULL)
		entry->held = message;
	return &message->face;
}

static void memory_update(struct queue_message *held, const char *receipt, int64_t hidden_until_ms)
{
	struct memory_message *message = message_of(held);

	xreplace(&message->receipt, receipt);
	held->receipt = message->receipt;
	held->hidden_until_ms = hidden_until_ms;
}

static void memory_supersede(struct queue_message *held, struct queue_message *newer)
{
	struct memory_message *message = message_of(held);
	struct memory_message *from = message_of(newer);

	memory_update(held, newer->receipt, newer->hidden_until_ms);
	held->deliveries = newer->deliveries;
	held->received_ms = newer->received_ms;
	message->entry = from->entry;
	if (from->entry != NULL)
		from->entry->held = message;
	message_free(from);
}

static void memory_drop_body(struct queue_message *face)
{
	struct memory_message *message = message_of(face);

	xreplace(&message->body, NULL);
	face->body = NULL;
}

/* The entry is found by the handle it was handed out with last; an older handle is dead. */
static void memory_settle(struct queue_message *face, enum queue_verdict verdict, queue_done_fn *done, void *arg)
{
	struct memory_message *message = message_of(face);
	struct queue_memory *queue = memory_of(face->queue);
	struct memory_entry *entry = message->entry;

	message->done = done;
	message->arg = arg;
	message->error = (struct error){ 0 };
	if (queue->settle_fails != ERROR_NONE)
		error_set(&message->error, queue->settle_fails, "the settle fails as it was told to");
	else if (entry == NULL || entry->held != message)
		error_set(&message->error, ERROR_LOST, "the receipt handle of message %s is dead", face->id);
	else if (verdict == QUEUE_DONE) {
		message->entry = NULL;
		entry->held = NULL;
		list_remove(&entry->link);
		list_append(&queue->deleted, &entry->link);
	} else
		entry->hidden = false;
	list_remove(&message->link);
	list_append(&queue->settling, &message->link);
	queue_memory_wake(queue);
}

static void memory_give_back(struct queue *face, struct queue_message **messages, size_t count)
{
	(void)face;
	for (size_t i = 0; i < count; i++)
		memory_settle(messages[i], QUEUE_RETURN, NULL, NULL);
}

static void memory_forget(struct queue_message *face)
{
	message_free(message_of(face));
}

static void memory_send(struct queue *face, const struct queue_outgoing *messages, size_t count,
	queue_sent_fn *sent, void *arg)
{
	for (size_t i = 0; i < count; i++)
		queue_memory_put(face, messages[i].body, messages[i].group);
	answer_later(memory_of(face), &(struct memory_answer){ .sent = sent, .count = count, .arg = arg });
}

static void memory_peek(struct queue *face, unsigned max, queue_peek_fn *done, void *arg)
{
	answer_later(memory_of(face), &(struct memory_answer){ .peeked = done, .count = max, .arg = arg });
}

static void memory_depth(struct queue *face, queue_depth_fn *done, void *arg)
{
	answer_later(memory_of(face), &(struct memory_answer){ .measured = done, .arg = arg });
}

/* At once, so that nobody could see it under way. */
static void memory_redrive(struct queue *face, queue_progress_fn *progress, queue_redrive_fn *done, void *arg)
{
	(void)progress;
	answer_later(memory_of(face), &(struct memory_answer){ .redriven = done, .arg = arg });
}

static void free_messages(struct list *messages)
{
	while (!list_empty(messages))
		message_free(list_first(messages, struct memory_message, link));
}

static void free_entries(struct list *entries)
{
	while (!list_empty(entries))
		entry_free(list_first(entries, struct memory_entry, link));
}

static void memory_destroy(struct queue *face)
{
	struct queue_memory *queue = memory_of(face);
	struct memory_answer *answer, *next;

	if (queue->gone != NULL)
		*queue->gone = true;
	ev_timer_stop(face->env.loop, &queue->turn);
	free_messages(&queue->held);
	free_messages(&queue->settling);
	free_messages(&queue->lost);
	free_messages(&queue->expiring);
	free_entries(&queue->entries);
	free_entries(&queue->buried);
	free_entries(&queue->deleted);
	list_each_safe(answer, next, &queue->answers, link)
		free(answer);
	free(queue);
}

static const struct queue_impl memory_impl = {
	.destroy = memory_destroy,
	.ordered = memory_ordered,
	.probe = memory_probe,
	.start = memory_start,
	.set_room = memory_set_room,
	.stop = memory_stop,
	.resume = memory_resume,
	.supersede = memory_supersede,
	.update = memory_update,
	.drop_body = memory_drop_body,
	.settle = memory_settle,
	.give_back = memory_give_back,
	.forget = memory_forget,
	.send = memory_send,
	.peek = memory_peek,
	.depth = memory_depth,
	.redrive = memory_redrive,
};

struct queue *queue_memory_create(const struct conf_queue *conf, const struct queue_env *env,
	const struct queue_events *events)
{
	struct queue_memory *queue = xnew(struct queue_memory);
	size_t len = conf->url != NULL ? strlen(conf->url) : 0;

	queue_init(&queue->face, &memory_impl, conf, env, events);
	queue->ordered = len > 5 && strcmp(conf->url + len - 5, ".fifo") == 0;
	list_init(&queue->entries);
	list_init(&queue->buried);
	list_init(&queue->deleted);
	list_init(&queue->held);
	list_init(&queue->settling);
	list_init(&queue->lost);
	list_init(&queue->expiring);
	list_init(&queue->answers);
	ev_timer_init(&queue->turn, on_turn, 0., 0.);
	return &queue->face;
}
