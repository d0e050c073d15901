/* SPDX-License-Identifier: Apache-2.0 */
/* sqs_move.c - message move tasks: the way back out of a dead letter queue.
 * Messages go one by one from an alarm, at the rate asked for, to the queue they came from or to
 * the one named, under new ids. */
#include "sqs.h"

#include "xalloc.h"

enum {
	MOVE_TICK_MS = 10,
	MOVE_DEFAULT_PER_S = 500,
	MOVES_REMEMBERED = 10,          /* per source queue */
};

enum move_status {
	MOVE_RUNNING,
	MOVE_COMPLETED,
	MOVE_CANCELLED,
	MOVE_FAILED,
};

static const char *const status_names[] = {
	[MOVE_RUNNING] = "RUNNING",
	[MOVE_COMPLETED] = "COMPLETED",
	[MOVE_CANCELLED] = "CANCELLED",
	[MOVE_FAILED] = "FAILED",
};

struct sqs_move {
	struct list peers;
	struct alarm alarm;
	struct sqs *sqs;
	struct sqs_queue *source;
	char *destination_arn;          /* NULL: where each message came from */
	char handle[UUID_ROOM];
	enum move_status status;
	json_int_t per_s, moved, to_move;
	json_int_t asked_per_s;         /* 0: not said */
	int64_t started_ms;
	const char *failure;            /* NULL: none */
};

static struct sqs_queue *move_destination(const struct sqs_move *move,
					  const struct sqs_message *message)
{
	const char *arn = move->destination_arn != NULL ? move->destination_arn
							: message->source_arn;

	return arn == NULL ? NULL : sqs_find_arn(move->sqs, arn);
}

static void move_end(struct sqs_move *move, enum move_status status, const char *failure)
{
	sim_clock_clear(move->sqs->world->clock, &move->alarm);
	move->status = status;
	move->failure = failure;
}

static void on_move(struct alarm *alarm)
{
	struct sqs_move *move = container_of(alarm, struct sqs_move, alarm);
	int64_t now_ms = world_now_ms(move->sqs->world);
	json_int_t due = (now_ms - move->started_ms) * move->per_s / 1000 + 1;

	while (move->moved < due) {
		struct sqs_message *message = sqs_queue_first_ready(move->source);
		struct sqs_queue *destination;

		if (message == NULL) {
			move_end(move, MOVE_COMPLETED, NULL);
			return;
		}
		destination = move_destination(move, message);
		if (destination == NULL) {
			move_end(move, MOVE_FAILED, "CouldNotDetermineMessageSource");
			return;
		}
		sqs_queue_adopt(destination, message, true);
		message->receives = message->receives_elsewhere = 0;
		message->first_received_ms = 0;
		free(message->source_arn);
		message->source_arn = NULL;
		move->moved++;
	}
	sim_clock_set(move->sqs->world->clock, &move->alarm, now_ms + MOVE_TICK_MS);
}

static bool is_dead_letter_queue(struct sqs *sqs, const struct sqs_queue *queue)
{
	struct list *node, *next;

	list_each(node, next, &sqs->queues) {
		const char *arn = container_of(node, struct sqs_queue, peers)
					  ->settings.dead_letter_arn;

		if (arn != NULL && strcmp(arn, queue->arn) == 0)
			return true;
	}
	return false;
}

static bool check_start(struct sqs *sqs, const struct sqs_queue *source, const char *destination,
			json_int_t per_s, struct aws_error *error)
{
	struct list *node, *next;

	if (!is_dead_letter_queue(sqs, source)) {
		aws_error_set(error, "InvalidParameterValue",
			      "Source queue must be configured as a Dead Letter Queue.");
		return false;
	}
	if (destination != NULL && sqs_find_arn(sqs, destination) == NULL) {
		aws_error_set(error, "ResourceNotFoundException",
			      "The resource that you specified for the DestinationArn parameter "
			      "doesn't exist.");
		return false;
	}
	if (per_s < 0 || per_s > 500) {
		aws_error_set(error, "InvalidParameterValue",
			      "Value for parameter MaxNumberOfMessagesPerSecond must be between 1 "
			      "and 500.");
		return false;
	}
	list_each(node, next, &sqs->moves) {
		struct sqs_move *move = container_of(node, struct sqs_move, peers);

		if (move->source == source && move->status == MOVE_RUNNING) {
			aws_error_set(error, "UnsupportedOperation",
				      "There is already a task running. Only one active task is "
				      "allowed for a source queue arn at a given time.");
			return false;
		}
	}
	return true;
}

struct sqs_move *sqs_move_start(struct sqs *sqs, struct sqs_queue *source,
				const char *destination_arn, json_int_t per_s,
				struct aws_error *error)
{
	struct sqs_move *move;

	if (!check_start(sqs, source, destination_arn, per_s, error))
		return NULL;
	move = xcalloc(1, sizeof(*move));
	move->sqs = sqs;
	move->source = source;
	move->destination_arn = xstrdup_null(destination_arn);
	move->asked_per_s = per_s;
	move->per_s = per_s > 0 ? per_s : MOVE_DEFAULT_PER_S;
	move->to_move = (json_int_t)source->counts[SQS_READY];
	move->started_ms = world_now_ms(sqs->world);
	move->alarm.ring = on_move;
	world_uuid(sqs->world, move->handle);
	list_add_head(&sqs->moves, &move->peers);
	sim_clock_set(sqs->world->clock, &move->alarm, move->started_ms);
	return move;
}

const char *sqs_move_handle(const struct sqs_move *move)
{
	return move->handle;
}

bool sqs_move_cancel(struct sqs *sqs, const char *handle, json_int_t *moved,
		     struct aws_error *error)
{
	struct list *node, *next;

	list_each(node, next, &sqs->moves) {
		struct sqs_move *move = container_of(node, struct sqs_move, peers);

		if (strcmp(move->handle, handle) != 0 || move->status != MOVE_RUNNING)
			continue;
		move_end(move, MOVE_CANCELLED, NULL);
		*moved = move->moved;
		return true;
	}
	aws_error_set(error, "ResourceNotFoundException", "Task does not exist.");
	return false;
}

static json_t *move_describe(const struct sqs_move *move)
{
	json_t *out = json_pack("{s:s, s:s, s:I, s:I, s:I}", "Status", status_names[move->status],
				"SourceArn", move->source->arn,
				"ApproximateNumberOfMessagesMoved", move->moved,
				"ApproximateNumberOfMessagesToMove", move->to_move,
				"StartedTimestamp", (json_int_t)move->started_ms);

	if (move->status == MOVE_RUNNING)
		json_object_set_new(out, "TaskHandle", json_string(move->handle));
	if (move->destination_arn != NULL)
		json_object_set_new(out, "DestinationArn", json_string(move->destination_arn));
	if (move->asked_per_s > 0)
		json_object_set_new(out, "MaxNumberOfMessagesPerSecond",
				    json_integer(move->asked_per_s));
	if (move->failure != NULL)
		json_object_set_new(out, "FailureReason", json_string(move->failure));
	return out;
}

json_t *sqs_move_list(struct sqs *sqs, const struct sqs_queue *source, json_int_t max)
{
	json_t *out = json_array();
	struct list *node, *next;

	if (max > MOVES_REMEMBERED)
		max = MOVES_REMEMBERED;
	list_each(node, next, &sqs->moves) {
		struct sqs_move *move = container_of(node, struct sqs_move, peers);

		if (move->source == source && (json_int_t)json_array_size(out) < max)
			json_array_append_new(out, move_describe(move));
	}
	return out;
}

void sqs_move_forget(struct sqs *sqs, const struct sqs_queue *queue)
{
	struct list *node, *next;

	list_each(node, next, &sqs->moves) {
		struct sqs_move *move = container_of(node, struct sqs_move, peers);

		if (queue != NULL && move->source != queue)
			continue;
		sim_clock_clear(sqs->world->clock, &move->alarm);
		list_remove(node);
		free(move->destination_arn);
		free(move);
	}
}
