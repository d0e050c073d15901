/* SPDX-License-Identifier: Apache-2.0 */
/* events.c - task state changes that EventBridge puts into a queue.
 *
 * They make ends known at once; they are never the only source: an event may be late, twice or lost, and
 * the watch still asks now and then.  So each is deleted whatever came of it.  Any worker may receive an
 * event about any task: one that nobody here watches is looked up by the GANTRY_JOB that the task was
 * given, and its owner is told through the store.  That is done for ends only, as telling costs a write. */
#include <string.h>

#include "base/clock.h"
#include "base/json_at.h"
#include "worker/holding.h"
#include "worker/screening.h"

static const double LONG_AWAY_S = 60;

static bool is_end(const char *status)
{
	return strcmp(status, "STOPPED") == 0 || strcmp(status, "DELETED") == 0;
}

/* The job that a task was launched for, lent, or NULL. */
static const char *job_of(const json_t *task)
{
	const json_t *container, *variable;
	size_t i, k;

	json_array_foreach(json_at_array(task, "overrides.containerOverrides"), i, container) {
		json_array_foreach(json_at_array(container, "environment"), k, variable) {
			const char *name = json_at_string(variable, "name");

			if (name != NULL && strcmp(name, "GANTRY_JOB") == 0)
				return json_at_string(variable, "value");
		}
	}
	return NULL;
}

static bool heard_here(struct worker *worker, const char *arn, const json_t *task)
{
	for (size_t i = 0; i < worker->conf->deployer_count; i++) {
		if (exec_hear(worker->deployers[i].exec, arn, task))
			return true;
	}
	return exec_hear(worker->removed.exec, arn, task);
}

static void on_told(void *arg, const struct store_answer *answer, const struct error *err)
{
	struct worker *worker = arg;

	if (err != NULL) {
		log_debug(&worker->log, "a task's end was not passed on: %s; its owner will see it by itself",
			err->text);
		return;
	}
	if (answer->verdict != STORE_ASKED_BEGUN)
		return;
	if (answer->owner != NULL)
		channel_send(worker, REPORT_WAKE, answer->owner, "");
	else
		adopt_start(worker);
}

/* False: no such event as we expect. */
static bool hear(struct worker *worker, const json_t *event)
{
	const char *type = json_at_string(event, "detail-type");
	const json_t *task = json_object_get(event, "detail");
	const char *arn = json_at_string(task, "taskArn");
	const char *status = json_at_string(task, "lastStatus");
	struct holding *holding;
	const char *job;

	if (type == NULL || strcmp(type, "ECS Task State Change") != 0 || arn == NULL || status == NULL)
		return false;
	if (heard_here(worker, arn, task) || !is_end(status))
		return true;
	job = job_of(task);
	if (job == NULL || strlen(job) > LIMIT_JOB_ID_BYTES)
		return true;
	holding = holding_find(worker, job);
	if (holding != NULL)
		holding->heard = true;
	else
		store_tell_owner(worker->store, job, on_told, worker);
	return true;
}

static void on_deleted(void *arg, const struct error *err)
{
	struct intake *intake = arg;

	if (err != NULL)
		log_debug(&intake->log, "an event could not be deleted: %s; it comes again", err->text);
	intake->admitting--;
	intake_update_room(intake);
	drain_check(intake->worker);
}

static void take(struct intake *intake, struct queue_message *message)
{
	struct error err = { 0 };
	json_t *event;

	event = json_at_parse(message->body, message->body_bytes, &err);
	if (!hear(intake->worker, event)) {
		intake->strange++;
		log_debug(&intake->log, "message %s is no task state change%s%s; deleted, the %lluth of its kind",
			message->id, err.text[0] != '\0' ? ": " : "", err.text, (unsigned long long)intake->strange);
	}
	json_decref(event);
	intake->admitting++;
	queue_settle(message, QUEUE_DONE, on_deleted, intake);
}

static void set_events(struct intake *intake, bool come)
{
	struct worker *worker = intake->worker;

	if (intake->events_come == come)
		return;
	intake->events_come = come;
	log_info(&intake->log, come ? "task events come; tasks are asked after only now and then"
		: "no task events; tasks are asked after as without them");
	for (size_t i = 0; i < worker->conf->deployer_count; i++)
		exec_set_events(worker->deployers[i].exec, come);
	exec_set_events(worker->removed.exec, come);
}

static void pass(struct intake *intake, struct queue_message **messages, size_t count)
{
	struct worker *worker = intake->worker;

	for (size_t i = 0; i < count; i++) {
		intake_take(intake, messages[i]);
		take(intake, messages[i]);
		holding_put(worker);
	}
}

static void on_received(void *arg, struct queue_message **messages, size_t count)
{
	struct intake *intake = arg;

	screening_begin(intake, messages, count, pass);
	events_check(intake->worker);
	intake_update_room(intake);
}

/* A receive that completed, even an empty one, is proof that events would come. */
void events_check(struct worker *worker)
{
	struct queue_figures figures;

	for (size_t i = 0; i < worker->conf->queue_count; i++) {
		struct intake *intake = &worker->intakes[i];

		if (!intake->is_events)
			continue;
		queue_figures(intake->queue, &figures);
		if (worker->state != WORKER_ACTIVE)
			set_events(intake, false);
		else if (!figures.degraded)
			set_events(intake, intake->events_come || figures.last_receive_s > 0);
		else if (clock_monotonic_s() - figures.last_receive_s > LONG_AWAY_S)
			set_events(intake, false);
	}
}

const struct queue_events event_events = { .received = on_received };
