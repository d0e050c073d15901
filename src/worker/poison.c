/* SPDX-License-Identifier: Apache-2.0 */
/* poison.c - see poison.h.
 *
 * The master tells the survivors what a worker that died by its own fault had in hand (ipc/in_hand.h);
 * the store counts that once per dead worker, whoever notes it.  Who handles a message or launches a job
 * asks the count before (the store itself where an admission brings the intent along), and what has crashed two is recorded, told and settled instead.  A job that may
 * be running is never given up for this: that would let another of its project start beside it. */
#include "worker/poison.h"

#include <stdlib.h>

#include "base/mem.h"

struct question {
	struct worker *worker;
	char *key;
	poison_fn *done;
	void *arg;
};

static void on_counted(void *arg, size_t count, const struct error *err)
{
	struct question *question = arg;
	struct worker *worker = question->worker;

	if (err != NULL && !worker->leaving)
		log_warn(&worker->log, "whether %s has crashed workers is not known: %s; handling it", question->key,
			err->text);
	if (!worker->leaving)
		question->done(question->arg, err == NULL && count >= POISON_CRASHES);
	free(question->key);
	free(question);
}

void poison_ask(struct worker *worker, const char *key, poison_fn *done, void *arg)
{
	struct question *question = xnew(struct question);

	*question = (struct question){ .worker = worker, .key = xstrdup(key), .done = done, .arg = arg };
	store_crashes(worker->store, key, on_counted, question);
}

char *poison_message_key(const char *queue, const char *message_id)
{
	return xasprintf("%s/%s", queue, message_id);
}

static void on_noted(void *arg, const struct error *err)
{
	struct worker *worker = arg;

	if (err != NULL)
		log_error(&worker->log, "a worker's crash was not counted: %s; what it had in hand may crash one more",
			err->text);
	worker->crash_notes--;
	if (!worker->leaving)
		worker_begin(worker);
}

void poison_note(struct worker *worker, const char *owner, const char *key)
{
	log_error(&worker->log, "worker %s crashed while it handled %s; at %d crashes that is handled no more",
		owner, key, POISON_CRASHES);
	worker->crash_notes++;
	store_note_crash(worker->store, key, owner, on_noted, worker);
}
