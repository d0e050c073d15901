/* SPDX-License-Identifier: Apache-2.0 */
/* intake.c - a received batch, towards admitted jobs.
 *
 * The whole batch is screened (screening.c), understood, admitted in one transaction, with the intents of those that
 * may launch, and only then acted on.  What is no job is refusal.c's. */
#include <stdlib.h>
#include <string.h>

#include "base/backoff.h"
#include "base/mem.h"
#include "base/random.h"
#include "conf/conf_job.h"
#include "worker/faults.h"
#include "worker/holding.h"
#include "worker/poison.h"
#include "worker/refusal.h"
#include "worker/screening.h"
#include "worker/tell.h"

enum {
	ADMIT_RETRY_MAX_S = 10,
	/* What a commit can use.  More would only wait here, each with its request in memory, while other workers had
	 * nothing to do. */
	LIMIT_AHEAD = 64,
};

/* A received batch on its way into the store. */
struct batch {
	struct list link;               /* intake.batches */
	struct intake *intake;
	ev_timer retry;
	size_t count;
	struct queue_message **messages;
	struct store_admission *admissions;
};

static void admit(struct batch *batch);
static void batch_destroy(struct batch *batch);

void intake_init(struct intake *intake, struct worker *worker, const struct conf_queue *conf)
{
	intake->worker = worker;
	intake->conf = conf;
	intake->is_events = conf_is_events_queue(worker->conf, conf->name);
	log_init(&intake->log, &worker->log, "queue %s", conf->name);
	list_init(&intake->screenings);
	list_init(&intake->batches);
	list_init(&intake->refusals);
}

void intake_close(struct intake *intake)
{
	queue_destroy(intake->queue);
	intake->queue = NULL;
}

void intake_finish(struct intake *intake)
{
	if (intake->worker == NULL)
		return;
	screenings_finish(intake);
	while (!list_empty(&intake->batches))
		batch_destroy(list_first(&intake->batches, struct batch, link));
	refusals_finish(intake);
}

void intake_update_room(struct intake *intake)
{
	struct queue_figures figures;
	const struct worker *worker = intake->worker;
	unsigned room = 0;

	channel_news(intake->worker);
	if (worker->state != WORKER_ACTIVE)
		return;
	queue_figures(intake->queue, &figures);
	if (intake->failures == 0 && figures.held < intake->conf->max_in_flight && intake->ahead < LIMIT_AHEAD) {
		room = intake->conf->max_in_flight - figures.held;
		if (room > LIMIT_AHEAD - intake->ahead)
			room = LIMIT_AHEAD - intake->ahead;
	}
	queue_set_room(intake->queue, room);
}

void intake_start(struct worker *worker)
{
	for (size_t i = 0; i < worker->conf->queue_count; i++) {
		intake_update_room(&worker->intakes[i]);
		queue_start(worker->intakes[i].queue);
	}
}

/* -- understanding ---------------------------------------------------------------------------- */

static void fill_message_ref(struct job *job, const struct queue_message *message)
{
	struct job_message_ref *ref = &job->message;

	xreplace(&ref->id, message->id);
	xreplace(&ref->receipt, message->receipt);
	xreplace(&ref->group, message->group);
	ref->received_ms = message->received_ms;
	ref->hidden_until_ms = message->hidden_until_ms;
	ref->deliveries = message->deliveries;
}

static struct job *understand(struct intake *intake, const struct queue_message *message, struct error *err)
{
	struct job *job = conf_job_parse(intake->worker->conf, intake->conf, message->id, message->body, message->body_bytes,
		err);

	if (job != NULL)
		fill_message_ref(job, message);
	return job;
}

/* -- admitting -------------------------------------------------------------------------------- */

static void batch_destroy(struct batch *batch)
{
	struct intake *intake = batch->intake;

	list_remove(&batch->link);
	ev_timer_stop(intake->worker->loop, &batch->retry);
	for (size_t i = 0; i < batch->count; i++) {
		job_destroy(batch->admissions[i].job);
		free(batch->admissions[i].owner);
	}
	intake->ahead -= (unsigned)batch->count;
	free(batch->messages);
	free(batch->admissions);
	free(batch);
	intake->admitting--;
}

static void admitted_new(struct intake *intake, struct store_admission *admission, struct queue_message *message)
{
	struct holding *holding;

	/* Releasing: it was ours for a moment, and given up with the others. */
	if (admission->released || intake->worker->state >= WORKER_RELEASING) {
		queue_forget(message);
		return;
	}
	queue_message_drop_body(message);
	holding = holding_create(intake->worker, admission->job, message);
	admission->job = NULL;
	log_info(holding_log(holding), "accepted from queue %s for project %s: %s", intake->conf->name, holding->job->project,
		job_state_name(holding->job->state));
	tell_accepted(intake->worker, holding->job);
	if (holding->job->state == JOB_WAITING)
		holding_enter(holding, HOLDING_WAITING);
	else if (holding->job->attempt.number > 0)
		launch_intended(holding);
	else
		launch_begin(holding);
}

static void on_redelivery_settled(void *arg, const struct error *err)
{
	struct intake *intake = arg;

	(void)err;
	intake->admitting--;
	intake_update_room(intake);
	drain_check(intake->worker);
}

/* A drain waits for the delete: a process that leaves before it is sent costs one more redelivery. */
static void settle_redelivery(struct intake *intake, struct queue_message *message)
{
	intake->admitting++;
	queue_settle(message, QUEUE_DONE, on_redelivery_settled, intake);
}

static void admitted_ours(struct intake *intake, struct store_admission *admission, struct queue_message *message)
{
	struct holding *holding = holding_find(intake->worker, admission->job->id);

	if (holding == NULL) {
		queue_forget(message);
		adopt_unheard_of(intake->worker, admission->job->id);
	} else if (holding->message != NULL && strcmp(holding->message->id, message->id) == 0) {
		queue_supersede(holding->message, message);
	} else if (holding->phase < HOLDING_SETTLING && holding->message == NULL) {
		holding->message = message;
		message->arg = holding;
	} else {
		/* The same job under another message, or one that is being settled: this one is done. */
		settle_redelivery(intake, message);
	}
}

static void admitted(struct intake *intake, struct store_admission *admission, struct queue_message *message)
{
	switch (admission->verdict) {
	case STORE_ADMITTED_NEW:
		admitted_new(intake, admission, message);
		break;
	case STORE_ADMITTED_OURS:
		admitted_ours(intake, admission, message);
		break;
	case STORE_ADMITTED_OTHERS:
		queue_forget(message);
		if (admission->owner != NULL)
			channel_send(intake->worker, REPORT_WAKE, admission->owner, "");
		else
			adopt_start(intake->worker);
		break;
	case STORE_ADMITTED_REJECTED:
		tell_ended(intake->worker, admission->job);
		settle_redelivery(intake, message);
		break;
	case STORE_ADMITTED_FINISHED:
		settle_redelivery(intake, message);
		break;
	}
}

static void on_admitted(void *arg, const struct error *err)
{
	struct batch *batch = arg;
	struct intake *intake = batch->intake;
	struct worker *worker = intake->worker;

	if (intake->queue == NULL || (err != NULL && worker->leaving))
		return;
	if (err != NULL) {
		if (intake->failures++ == 0)
			log_error(&intake->log, "messages could not be stored: %s; receiving pauses until they can", err->text);
		channel_note_trouble(worker, err);
		ev_timer_set(&batch->retry, backoff_s(intake->failures, 0.1, ADMIT_RETRY_MAX_S, random_unit()), 0.);
		ev_timer_start(worker->loop, &batch->retry);
		intake_update_room(intake);
		return;
	}
	if (intake->failures > 0)
		log_info(&intake->log, "the store takes messages again; receiving goes on");
	intake->failures = 0;
	for (size_t i = 0; i < batch->count; i++) {
		in_hand_take(worker->in_hand, batch->admissions[i].job->id);
		admitted(intake, &batch->admissions[i], batch->messages[i]);
		holding_put(worker);
	}
	if (worker->state != WORKER_ACTIVE)
		channel_send(worker, REPORT_RELEASED, "", "");
	batch_destroy(batch);
	intake_update_room(intake);
	drain_check(worker);
}

/* What crashes us here is not in the store yet, and known by its message. */
static bool intend(const struct store_admission *admission, struct job *job)
{
	struct batch *batch = admission->intent_arg;
	struct intake *intake = batch->intake;
	bool ok;

	intake_take(intake, batch->messages[admission - batch->admissions]);
	ok = launch_draw_up(intake->worker, job);
	holding_put(intake->worker);
	return ok;
}

static void admit(struct batch *batch)
{
	struct worker *worker = batch->intake->worker;

	for (size_t i = 0; i < batch->count; i++) {
		batch->admissions[i].released = worker->state != WORKER_ACTIVE;
		batch->admissions[i].intent = intend;
		batch->admissions[i].intent_arg = batch;
	}
	store_admit(worker->store, batch->admissions, batch->count, on_admitted, batch);
}

static void on_retry(struct ev_loop *loop, ev_timer *timer, int revents)
{
	(void)loop;
	(void)revents;
	admit(container_of(timer, struct batch, retry));
}

/* -- what the queue tells us -------------------------------------------------------------------- */

void intake_take(struct intake *intake, const struct queue_message *message)
{
	char *key = poison_message_key(intake->conf->name, message->id);

	in_hand_take(intake->worker->in_hand, key);
	free(key);
}

/* Towards the batch, or refused. */
static void take(struct batch *batch, struct queue_message *message)
{
	struct error err;
	struct job *job;

	job = understand(batch->intake, message, &err);
	if (job == NULL) {
		refusal_begin(batch->intake, message, "malformed", err.text);
		return;
	}
	batch->admissions[batch->count].job = job;
	batch->messages[batch->count++] = message;
}

static void pass(struct intake *intake, struct queue_message **messages, size_t count)
{
	struct batch *batch = xnew(struct batch);

	batch->intake = intake;
	list_append(&intake->batches, &batch->link);
	batch->messages = xcalloc(count, sizeof(*batch->messages));
	batch->admissions = xcalloc(count, sizeof(*batch->admissions));
	ev_init(&batch->retry, on_retry);
	intake->admitting++;
	for (size_t i = 0; i < count; i++) {
		intake_take(intake, messages[i]);
		take(batch, messages[i]);
		holding_put(intake->worker);
	}
	intake->ahead += (unsigned)batch->count;
	if (batch->count > 0)
		admit(batch);
	else
		batch_destroy(batch);
}

static void on_received(void *arg, struct queue_message **messages, size_t count)
{
	struct intake *intake = arg;

	screening_begin(intake, messages, count, pass);
	intake_update_room(intake);
}

static void on_lost(void *arg, struct queue_message *message, const struct error *why)
{
	struct intake *intake = arg;
	struct holding *holding = message->arg;
	struct fault fault = { .kind = "lease_lost", .queue = intake->conf->name, .text = why->text };

	if (holding == NULL)
		return;
	fault.job_id = holding->job->id;
	fault.project = holding->job->project;
	log_warn(holding_log(holding), "its message is no longer ours: %s; the job goes on, a redelivery finds it", why->text);
	faults_record(intake->worker, &fault, NULL, NULL, NULL);
}

/* Without a holding it is not in the store yet, or being settled. */
static void on_expiring(void *arg, struct queue_message *message)
{
	struct holding *holding = message->arg;

	(void)arg;
	if (holding != NULL)
		settle_early(holding);
}

const struct queue_events intake_events = { .received = on_received, .lost = on_lost, .expiring = on_expiring };
