/* SPDX-License-Identifier: Apache-2.0 */
/* queue_sqs_redrive.c - the way back out of the dead-letter queue.
 *
 * SQS does the moving, in a message move task; here one is started and watched to its end.  The task goes on
 * without us, and one that runs already is watched as if it were ours, provided that it leads here.
 * A task has no name once it has ended, so it is known by being newer than the newest one before it. */
#include <stdlib.h>
#include <string.h>

#include "base/backoff.h"
#include "base/mem.h"
#include "base/random.h"
#include "queue/queue_sqs.h"

enum { LOOK_TRIES = 10 };       /* failed looks in a row */
static const double look_first_s = 0.5, look_max_s = 5;

struct sqs_redrive {
	struct sqs_errand errand;
	char arn[LIMIT_SQS_ARN_BYTES], dead_letter[LIMIT_SQS_ARN_BYTES];
	unsigned looks, failures;       /* failures in a row */
	bool started;                   /* looks are for our task, not for one before it */
	int64_t before;                 /* when the newest task before ours was started */
	uint64_t moved;
	struct error doubt;             /* why it is not known that ours was started; NONE: it was */
	queue_progress_fn *progress;
	queue_redrive_fn *done;
};

static void redrive_dispose(struct sqs_errand *errand)
{
	free(container_of(errand, struct sqs_redrive, errand));
}

static void redrive_end(struct sqs_redrive *redrive, const struct error *err)
{
	queue_redrive_fn *done = redrive->done;
	void *arg = redrive->errand.arg;
	uint64_t moved = redrive->moved;
	struct error copy = err != NULL ? *err : (struct error){ 0 };

	sqs_errand_end(&redrive->errand);
	done(arg, moved, err != NULL ? &copy : NULL);
}

/* -- the watch -------------------------------------------------------------------------------------- */

static void look_later(struct sqs_redrive *redrive)
{
	redrive->looks++;
	sqs_arm(redrive->errand.queue, &redrive->errand.timer,
		backoff_s(redrive->looks, look_first_s, look_max_s, random_unit()));
}

static void on_look_failed(struct sqs_redrive *redrive, const struct error *err)
{
	struct error copy = *err;

	if (error_may_pass(err->kind) && ++redrive->failures < LOOK_TRIES) {
		look_later(redrive);
		return;
	}
	if (redrive->started)
		error_prefix(&copy, "messages are being moved, but how far it is can't be seen");
	redrive_end(redrive, &copy);
}

static void on_under_way(struct sqs_redrive *redrive, const struct sqs_move *move)
{
	redrive->moved = move->moved;
	look_later(redrive);
	if (redrive->progress != NULL)
		redrive->progress(redrive->errand.arg, move->moved, move->total);
}

static bool leads_here(const struct sqs_redrive *redrive, const struct sqs_move *move)
{
	return move->destination != NULL && strcmp(move->destination, redrive->arn) == 0;
}

static void on_ended(struct sqs_redrive *redrive, const struct sqs_move *move)
{
	struct error err = { 0 };

	redrive->moved = move->moved;
	if (move->state == SQS_MOVE_CANCELLED)
		error_set(&err, ERROR_REFUSED, "the move from %s was cancelled", redrive->dead_letter);
	if (move->state == SQS_MOVE_FAILED) {
		error_set(&err, ERROR_REFUSED, "the move from %s has failed: %s", redrive->dead_letter,
			move->failure != NULL ? move->failure : "without a reason");
		error_set_code(&err, move->failure != NULL ? move->failure : "");
	}
	redrive_end(redrive, err.kind != ERROR_NONE ? &err : NULL);
}

/* The list after the start. */
static void watch(struct sqs_redrive *redrive, const struct sqs_move *move)
{
	struct error err;
	bool news = move->state != SQS_MOVE_NONE && move->started > redrive->before;

	if (redrive->doubt.kind != ERROR_NONE && !(news && leads_here(redrive, move))) {
		err = redrive->doubt;
		error_prefix(&err, "no move to this queue is under way");
		redrive_end(redrive, &err);
	} else if (!news) {
		error_set(&err, ERROR_TEMPORARY, "SQS doesn't know yet of the move from %s", redrive->dead_letter);
		on_look_failed(redrive, &err);
	} else if (move->state == SQS_MOVE_RUNNING) {
		redrive->doubt = (struct error){ 0 };
		redrive->failures = 0;
		on_under_way(redrive, move);
	} else
		on_ended(redrive, move);
}

/* -- the start -------------------------------------------------------------------------------------- */

static void on_started(void *arg, const struct aws_reply *reply, const struct error *err)
{
	struct sqs_redrive *redrive = arg;

	(void)reply;
	redrive->errand.call = NULL;
	/* No answer; or one is running already, which may be that of a try whose answer was lost: the list tells. */
	if (err != NULL && err->kind != ERROR_AMBIGUOUS && strcmp(err->code, "UnsupportedOperation") != 0) {
		redrive_end(redrive, err);
		return;
	}
	if (err != NULL)
		redrive->doubt = *err;
	redrive->started = true;
	look_later(redrive);
}

/* The list before the start. */
static void begin(struct sqs_redrive *redrive, const struct sqs_move *move)
{
	struct error err;

	redrive->failures = 0;
	if (move->state != SQS_MOVE_RUNNING) {
		redrive->before = move->started;
		redrive->errand.call = sqs_call(redrive->errand.queue, "StartMessageMoveTask",
			sqs_move_input(redrive->dead_letter, redrive->arn), (struct sqs_patience){ 0 }, on_started,
			redrive);
	} else if (leads_here(redrive, move)) {
		redrive->before = move->started - 1;
		redrive->started = true;
		on_under_way(redrive, move);
	} else {
		error_set(&err, ERROR_INVALID, "a move from %s to %s is under way", redrive->dead_letter,
			move->destination != NULL ? move->destination : "where its messages came from");
		redrive_end(redrive, &err);
	}
}

static void on_look(void *arg, const struct aws_reply *reply, const struct error *err)
{
	struct sqs_redrive *redrive = arg;
	struct sqs_move move;

	redrive->errand.call = NULL;
	if (err != NULL) {
		on_look_failed(redrive, err);
		return;
	}
	sqs_move_parse(reply->doc, &move);
	if (redrive->started)
		watch(redrive, &move);
	else
		begin(redrive, &move);
}

static void look(struct sqs_redrive *redrive)
{
	redrive->errand.call = sqs_call(redrive->errand.queue, "ListMessageMoveTasks",
		sqs_move_list_input(redrive->dead_letter), (struct sqs_patience){ 0 }, on_look, redrive);
}

static void on_attributes(void *arg, const struct aws_reply *reply, const struct error *err)
{
	struct sqs_redrive *redrive = arg;
	struct sqs_attributes attributes;
	struct error none;

	redrive->errand.call = NULL;
	if (err != NULL) {
		redrive_end(redrive, err);
		return;
	}
	sqs_attributes_parse(reply->doc, &attributes);
	if (attributes.dead_letter[0] == '\0' || attributes.arn[0] == '\0') {
		error_set(&none, ERROR_INVALID, "queue %s has no dead-letter queue: no redrive policy is set",
			queue_name(&redrive->errand.queue->face));
		redrive_end(redrive, &none);
		return;
	}
	memcpy(redrive->arn, attributes.arn, sizeof(redrive->arn));
	memcpy(redrive->dead_letter, attributes.dead_letter, sizeof(redrive->dead_letter));
	look(redrive);
}

static void on_step(struct ev_loop *loop, ev_timer *timer, int revents)
{
	(void)loop;
	(void)revents;
	look(container_of(timer, struct sqs_redrive, errand.timer));
}

void sqs_redrive(struct queue *face, queue_progress_fn *progress, queue_redrive_fn *done, void *arg)
{
	struct queue_sqs *queue = container_of(face, struct queue_sqs, face);
	struct sqs_redrive *redrive = xnew(struct sqs_redrive);

	redrive->progress = progress;
	redrive->done = done;
	sqs_errand_init(&redrive->errand, queue, arg, on_step, redrive_dispose);
	redrive->errand.call = sqs_call(queue, "GetQueueAttributes", sqs_attributes_input(queue->address.url),
		(struct sqs_patience){ 0 }, on_attributes, redrive);
}
