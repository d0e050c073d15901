/* SPDX-License-Identifier: Apache-2.0 */
/* settle.c - an ended job, towards a deleted message.
 *
 * Store first, acknowledge second: a crash in between finds the job finished and deletes the message
 * then; the other order would lose the result for good.  Last the store is told that the message is
 * gone, lazily and for many jobs at once: forgetting that costs one useless delete. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "worker/counters.h"
#include "worker/faults.h"
#include "worker/holding.h"
#include "worker/tell.h"

enum { NOTE_BATCH = 100 };
static const double NOTE_LINGER_S = 0.2, NOTE_AGAIN_S = 1;

static void store_result(struct holding *holding);
static void learn_end(struct holding *holding);
static void note_within(struct worker *worker, double after_s);

static void tell_granted(struct worker *worker, const struct store_grant *grant)
{
	if (grant->owner == NULL && worker->state == WORKER_ACTIVE)
		adopt_start(worker);
	else if (grant->owner == NULL)
		channel_send(worker, REPORT_RELEASED, "", "");
	else if (strcmp(grant->owner, worker->heritage.owner) == 0)
		adopt_sweep(worker);
	else
		channel_send(worker, REPORT_WAKE, grant->owner, "");
}

static void ended(struct holding *holding, enum job_state state)
{
	holding->worker->jobs_done++;
	counters_ended(holding, state);
	/* The store has it, and it is larger than the rest of the job, of which hundreds may wait for their deletion. */
	free(holding->result);
	holding->result = NULL;
	settle_message(holding);
}

static void on_end_learnt(void *arg, const struct job *job, const struct error *err)
{
	struct holding *holding = arg;
	bool known = job != NULL && job_state_final(job->state);

	if (!holding_call_end(holding))
		return;
	if (err != NULL) {
		holding_store_failed(holding, err, "the result", learn_end);
		return;
	}
	if (known)
		tell_ended(holding->worker, job);
	ended(holding, known ? job->state : holding->result->state);
}

/* A commit that was said to have failed may have happened: then the job has its result, and what was told with it is
 * not told twice.  Or others ended it while ours was on its way: nobody but us tells of their end. */
static void learn_end(struct holding *holding)
{
	holding_call_begin(holding);
	store_find(holding->worker->store, holding->job->id, on_end_learnt, holding);
}

static void on_finished(void *arg, const struct store_grant *grants, size_t count, const struct error *err)
{
	struct holding *holding = arg;
	struct worker *worker = holding->worker;

	for (size_t i = 0; i < count; i++)
		tell_granted(worker, &grants[i]);
	if (!holding_call_end(holding))
		return;
	if (err != NULL && err->kind != ERROR_INVALID) {
		holding_store_failed(holding, err, "the result", store_result);
		return;
	}
	if (err != NULL) {
		log_warn(holding_log(holding), "the result was not taken: %s; going on with its message", err->text);
		learn_end(holding);
		return;
	}
	ended(holding, holding->result->state);
}

static void store_result(struct holding *holding)
{
	holding_call_begin(holding);
	tell_result(holding->worker, holding->job, holding->result);
	store_finish(holding->worker->store, holding->job, holding->result, on_finished, holding);
}

static void record_failure(struct holding *holding)
{
	const struct job *job = holding->job;
	const struct job_result *result = holding->result;
	bool launched = job->attempt.handle != NULL;
	struct job ended = *job;        /* lent: only its end is another */
	char *text = xasprintf("%s: %s", result->reason, result->detail);
	bool poison = strcmp(result->reason, "poison") == 0;
	struct fault fault = {
		.kind = poison ? "poison" : launched ? "task_failed" : "launch_failed",
		.job_id = job->id,
		.by = &ended,
		.project = job->project,
		.queue = job->queue,
		.text = text,
	};
	char *key = xasprintf("%s/%s/%u", fault.kind, job->id, job->attempt.number);

	ended.state = result->state;
	faults_record(holding->worker, &fault, key, NULL, NULL);
	free(key);
	free(text);
}

void settle_begin(struct holding *holding, const struct job_result *result)
{
	/* It may be the one in there. */
	memmove(holding_result(holding), result, sizeof(*result));
	counters_end_seen(holding);
	holding_enter(holding, HOLDING_FINISHING);
	if (result->state == JOB_FAILED) {
		log_warn(holding_log(holding), "failed: %s: %s", result->reason, result->detail);
		record_failure(holding);
	} else {
		log_info(holding_log(holding), "%s", job_state_name(result->state));
	}
	store_result(holding);
}

/* The message is gone, or was never there: one lazy note, and the job leaves our hands. */
static void gone(struct holding *holding)
{
	struct worker *worker = holding->worker;

	holding->message = NULL;
	holding->job->message.settled = true;
	holding_enter(holding, HOLDING_NOTING);
	if (holding->intake != NULL)
		intake_update_room(holding->intake);
	list_append(&worker->noting, &holding->link);
	note_within(worker, NOTE_LINGER_S);
}

static void on_settled(void *arg, const struct error *err)
{
	struct holding *holding = arg;

	if (!holding_call_end(holding))
		return;
	if (err != NULL)
		log_warn(holding_log(holding), "its message could not be deleted: %s; when it comes again it is settled then", err->text);
	else
		counters_settled(holding);
	gone(holding);
}

void settle_message(struct holding *holding)
{
	if (holding->message == NULL) {
		gone(holding);
		return;
	}
	counters_end_seen(holding);
	holding_enter(holding, HOLDING_SETTLING);
	holding_call_begin(holding);
	queue_settle(holding->message, QUEUE_DONE, on_settled, holding);
}

/* -- a message that the queue would take from us while its job goes on -------------------------------- */

static void on_early_noted(void *arg, const struct error *err)
{
	struct holding *holding = arg;

	if (!holding_call_end(holding) || err == NULL)
		return;
	/* A delete too much is all that this costs. */
	if (err->kind == ERROR_LOST)
		holding_store_failed(holding, err, "that its message is gone", NULL);
	else
		log_warn(holding_log(holding), "it was not stored that its message is gone: %s", err->text);
}

static void on_early_settled(void *arg, const struct error *err)
{
	struct holding *holding = arg;
	const struct job *job = holding->job;

	if (!holding_call_end(holding))
		return;
	holding->deleting = false;
	if (err != NULL) {
		log_warn(holding_log(holding), "its message could not be deleted: %s; the job goes on, a redelivery finds it", err->text);
		return;
	}
	if (holding->intake != NULL)
		intake_update_room(holding->intake);
	/* It came again meanwhile, or its job has ended. */
	if (holding->message != NULL || holding->phase >= HOLDING_SETTLING)
		return;
	holding->job->message.settled = true;
	holding_call_begin(holding);
	store_note_messages(holding->worker->store, &job, 1, on_early_noted, holding);
}

/* The job is in the store, which is all that it needs: the message was only its way there. */
void settle_early(struct holding *holding)
{
	struct queue_message *message = holding->message;

	if (message == NULL || holding->phase >= HOLDING_SETTLING)
		return;
	log_info(holding_log(holding), "the queue would take its message back soon; deleting it, the job goes on");
	xreplace(&holding->job->message.receipt, message->receipt);
	holding->message = NULL;
	holding->deleting = true;
	holding_call_begin(holding);
	queue_settle(message, QUEUE_DONE, on_early_settled, holding);
}

/* -- telling the store which messages are gone -------------------------------------------------- */

struct note {
	struct worker *worker;
	size_t count;
	struct holding *holdings[NOTE_BATCH];
};

static void note_within(struct worker *worker, double after_s)
{
	if (ev_is_active(&worker->note_linger))
		return;
	ev_timer_set(&worker->note_linger, after_s, 0.);
	ev_timer_start(worker->loop, &worker->note_linger);
}

static void on_noted(void *arg, const struct error *err)
{
	struct note *note = arg;
	struct worker *worker = note->worker;
	bool again = err != NULL && err->kind != ERROR_LOST && !worker->leaving;

	/* Let go of now, they would stay unsettled in the store for as long as we live. */
	if (again)
		log_warn(&worker->log, "%zu settled messages were not noted: %s; noting them again", note->count, err->text);
	for (size_t i = 0; i < note->count; i++) {
		struct holding *holding = note->holdings[i];

		if (!holding_call_end(holding))
			continue;
		if (again)
			list_append(&worker->noting, &holding->link);
		else
			holding_drop(holding);
	}
	if (!list_empty(&worker->noting))
		note_within(worker, NOTE_AGAIN_S);
	free(note);
}

static void flush_batch(struct worker *worker)
{
	struct note *note = xnew(struct note);
	const struct job *jobs[NOTE_BATCH];

	note->worker = worker;
	while (!list_empty(&worker->noting) && note->count < NOTE_BATCH) {
		struct holding *holding = list_first(&worker->noting, struct holding, link);

		list_remove(&holding->link);
		holding_call_begin(holding);
		jobs[note->count] = holding->job;
		note->holdings[note->count++] = holding;
	}
	store_note_messages(worker->store, jobs, note->count, on_noted, note);
}

void settle_flush(struct worker *worker)
{
	ev_timer_stop(worker->loop, &worker->note_linger);
	while (!list_empty(&worker->noting))
		flush_batch(worker);
}

static void on_note_linger(struct ev_loop *loop, ev_timer *timer, int revents)
{
	(void)loop;
	(void)revents;
	settle_flush(container_of(timer, struct worker, note_linger));
}

void settle_init(struct worker *worker)
{
	list_init(&worker->noting);
	list_init(&worker->dropped);
	list_init(&worker->unheard_of);
	ev_init(&worker->note_linger, on_note_linger);
}
