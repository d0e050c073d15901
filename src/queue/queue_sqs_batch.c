/* SPDX-License-Identifier: Apache-2.0 */
/* queue_sqs_batch.c - one DeleteMessageBatch or ChangeMessageVisibilityBatch.
 *
 * Knows which messages are in it and under which handle each was sent, and finds out what became
 * of every single one: a call that succeeded may have failed for some.  What follows from that is
 * up to whoever sent the batch. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "queue/queue_sqs.h"

static const char *const actions[SQS_ACTIONS] = {
	[SQS_RENEW] = "ChangeMessageVisibilityBatch",
	[SQS_DELETE] = "DeleteMessageBatch",
	[SQS_RELEASE] = "ChangeMessageVisibilityBatch",
};

static const double entry_retry_s = 0.5;

void sqs_batch_destroy(struct sqs_batch *batch)
{
	for (size_t i = 0; i < batch->count; i++) {
		if (batch->messages[i] != NULL && batch->messages[i]->batch == batch)
			batch->messages[i]->batch = NULL;
		free(batch->receipts[i]);
	}
	aws_call_cancel(batch->call);
	list_remove(&batch->link);
	free(batch);
}

bool sqs_batch_is_current(const struct sqs_batch *batch, size_t i)
{
	return strcmp(batch->messages[i]->face.receipt, batch->receipts[i]) == 0;
}

bool sqs_batch_is_awaited(const struct sqs_batch *batch)
{
	for (size_t i = 0; batch->action == SQS_RENEW && i < batch->count; i++) {
		if (batch->messages[i] != NULL && batch->messages[i]->phase == SQS_SETTLING)
			return true;
	}
	return false;
}

double sqs_batch_note(struct sqs_batch *batch, struct sqs_trouble *trouble, const struct sqs_answer *answers,
	const struct error *whole)
{
	const struct error *failed = NULL;
	bool progress = false;

	for (size_t i = 0; i < batch->count; i++) {
		if (answers[i].outcome == SQS_AGAIN)
			failed = &answers[i].error;
		else
			progress = true;
	}
	if (whole != NULL || failed == NULL || !progress) {
		sqs_trouble_note(batch->queue, trouble, whole != NULL ? whole : failed);
		return sqs_trouble_delay_s(trouble);
	}
	/* SQS works, a few entries did not: no reason to slow down more with each such answer. */
	sqs_trouble_note(batch->queue, trouble, NULL);
	batch->queue->face.figures.failures++;
	log_debug(&batch->queue->face.log, "%s: some of %zu entries are tried again: %s", trouble->doing, batch->count,
		failed->text);
	return entry_retry_s;
}

/* The call failed as a whole.  Input that SQS refuses may be one bad entry among ten: then each is
 * tried alone, and only an entry that fails alone is judged. */
static void spread(struct sqs_batch *batch, struct error *err, struct sqs_answer *answers)
{
	bool ours = (err->kind == ERROR_INVALID || err->kind == ERROR_LOST) &&
		    strcmp(err->code, "QueueDoesNotExist") != 0;

	if (ours && batch->count > 1) {
		error_prefix(err, "a batch of %zu was refused, each is tried alone", batch->count);
		err->kind = ERROR_TEMPORARY;
	}
	for (size_t i = 0; i < batch->count; i++) {
		answers[i].error = *err;
		answers[i].outcome = SQS_AGAIN;
		if (ours && batch->count == 1)
			answers[i].outcome = sqs_outcome_of(err->code, err->text, true);
		else if (ours && batch->messages[i] != NULL)
			batch->messages[i]->alone = true;
		if (answers[i].outcome == SQS_LOST)
			answers[i].error.kind = ERROR_LOST;
	}
}

/* Those that the holder still holds. */
static size_t collect_renewed(const struct sqs_batch *batch, const struct sqs_answer *answers,
	struct queue_message **renewed)
{
	size_t count = 0;

	for (size_t i = 0; batch->action == SQS_RENEW && i < batch->count; i++) {
		struct sqs_message *message = batch->messages[i];

		if (message != NULL && answers[i].outcome == SQS_DONE && message->phase != SQS_SETTLING)
			renewed[count++] = &message->face;
	}
	return count;
}

static void on_reply(void *arg, const struct aws_reply *reply, const struct error *err)
{
	struct sqs_batch *batch = arg;
	struct queue_sqs *queue = batch->queue;
	struct sqs_answer *answers = xcalloc(batch->count, sizeof(*answers));
	struct queue_message *renewed[SQS_BATCH];
	struct error whole = err != NULL ? *err : (struct error){ 0 };
	size_t count;

	batch->call = NULL;
	if (err != NULL)
		spread(batch, &whole, answers);
	else
		sqs_batch_parse(reply->doc, batch->count, answers);
	for (size_t i = 0; i < batch->count; i++) {
		if (batch->messages[i] != NULL)
			batch->messages[i]->batch = NULL;
	}
	batch->done(batch, answers, err != NULL ? &whole : NULL);
	count = collect_renewed(batch, answers, renewed);
	free(answers);
	sqs_batch_destroy(batch);
	sqs_tell(queue, renewed, count);
}

void sqs_batch_send(struct queue_sqs *queue, enum sqs_action action, struct sqs_message *const *messages,
	const unsigned *visibility_s, size_t count, struct sqs_patience patience, sqs_batch_fn *done)
{
	struct sqs_batch *batch = xnew(struct sqs_batch);
	struct sqs_entry entries[SQS_BATCH];
	struct sqs_input input;

	*batch = (struct sqs_batch){
		.queue = queue, .action = action, .count = count, .done = done, .sent_s = clock_monotonic_s(),
	};
	list_append(&queue->batches, &batch->link);
	for (size_t i = 0; i < count; i++) {
		batch->messages[i] = messages[i];
		batch->receipts[i] = xstrdup(messages[i]->face.receipt);
		batch->visibility_s[i] = visibility_s != NULL ? visibility_s[i] : 0;
		messages[i]->batch = batch;
		messages[i]->slot = (unsigned)i;
		entries[i] = (struct sqs_entry){ batch->receipts[i], batch->visibility_s[i] };
	}
	input = action == SQS_DELETE ? sqs_delete_input(queue->address.url, entries, count)
				     : sqs_visibility_input(queue->address.url, entries, count);
	batch->call = sqs_call(queue, actions[action], input, patience, on_reply, batch);
}
