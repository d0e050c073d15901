/* SPDX-License-Identifier: Apache-2.0 */
/* drain.c - how a worker leaves.
 *
 * No new receive is started, but one under way is waited for: what it brings would be hidden from
 * everybody otherwise.  Holdings may finish until the deadline; what is left then goes back into the
 * store with all that the next owner needs, and nothing that runs is disturbed. */
#include <stdlib.h>

#include "base/mem.h"
#include "worker/backlog.h"
#include "worker/deliver.h"
#include "worker/holding.h"

enum { LEAVE_GRACE_MS = 2000 };

static void on_resigned(void *arg, size_t count, const struct error *err)
{
	struct worker *worker = arg;

	if (err != NULL)
		log_warn(&worker->log, "our registration was not removed: %s; its lease ends by itself", err->text);
	if (count > 0)
		channel_send(worker, REPORT_RELEASED, "", "");
	worker_leave(worker, EXIT_SUCCESS);
}

static void resign(struct worker *worker)
{
	if (worker->leaving)
		return;
	worker->leaving = true;
	log_info(&worker->log, "drained: %llu jobs done in this process's life", (unsigned long long)worker->jobs_done);
	store_disown(worker->store, worker->heritage.owner, on_resigned, worker);
}

static bool receives_ended(const struct worker *worker)
{
	for (size_t i = 0; i < worker->conf->queue_count; i++) {
		if (!worker->intakes[i].stopped)
			return false;
	}
	return true;
}

static bool holds_nothing(const struct worker *worker)
{
	for (size_t i = 0; i < worker->conf->queue_count; i++) {
		if (worker->intakes[i].admitting > 0)
			return false;
	}
	return worker->holdings.count == 0 && !worker->adopting && list_empty(&worker->unheard_of) &&
		deliver_is_idle(worker->deliver);
}

void drain_check(struct worker *worker)
{
	if ((worker->state != WORKER_DRAINING && worker->state != WORKER_RELEASED) || !holds_nothing(worker))
		return;
	if (receives_ended(worker)) {
		resign(worker);
	} else if (!worker->told_empty) {
		worker->told_empty = true;
		channel_send(worker, REPORT_EMPTY, "", "");
	}
}

static void on_stopped(void *arg, const struct error *err)
{
	struct intake *intake = arg;

	(void)err;
	intake->stopped = true;
	drain_check(intake->worker);
}

static void stop_receiving(struct worker *worker)
{
	for (size_t i = 0; i < worker->conf->queue_count; i++)
		queue_stop(worker->intakes[i].queue, on_stopped, &worker->intakes[i]);
}

static void arm_deadline(struct worker *worker, double after_s)
{
	if (ev_is_active(&worker->deadline) && ev_timer_remaining(worker->loop, &worker->deadline) <= after_s)
		return;
	ev_timer_stop(worker->loop, &worker->deadline);
	ev_timer_set(&worker->deadline, after_s, 0.);
	ev_timer_start(worker->loop, &worker->deadline);
}

static void on_deadline(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct worker *worker = container_of(timer, struct worker, deadline);

	(void)loop;
	(void)revents;
	if (worker->state == WORKER_DRAINING) {
		drain_release(worker);
	} else if (!worker->leaving) {
		log_warn(&worker->log, "a receive or a delete did not end in time; leaving without it");
		resign(worker);
	}
}

void drain_start(struct worker *worker, int64_t deadline_ms, const char *why)
{
	if (worker->state <= WORKER_PARKED) {
		worker_leave(worker, EXIT_SUCCESS);
		return;
	}
	if (worker->state == WORKER_ACTIVE) {
		log_info(&worker->log, "draining: %s; %zu jobs may finish within %.1f s", why, worker->holdings.count,
			(double)deadline_ms / 1000);
		worker->state = WORKER_DRAINING;
		backlog_stop(worker);
		deliver_drain(worker->deliver);
		ev_init(&worker->deadline, on_deadline);
		arm_deadline(worker, (double)deadline_ms / 1000);
		stop_receiving(worker);
		events_check(worker);
		settle_flush(worker);
		drain_check(worker);
	} else if (worker->state == WORKER_DRAINING) {
		arm_deadline(worker, (double)deadline_ms / 1000);
		if (worker->last) {
			deliver_drain(worker->deliver);
			deliver_wake(worker->deliver);
		}
	}
}

/* -- handing over ----------------------------------------------------------------------------- */

/* The holdings that go back into the store: all but those whose message is being deleted. */
struct handover {
	const struct job **jobs;
	size_t count;
};

static void refresh_ref(struct holding *holding)
{
	const struct queue_message *message = holding->message;
	struct job_message_ref *ref = &holding->job->message;

	xreplace(&ref->receipt, message->receipt);
	ref->received_ms = message->received_ms;
	ref->hidden_until_ms = message->hidden_until_ms;
	ref->deliveries = message->deliveries;
}

static void collect(struct table_link *link, void *arg)
{
	struct holding *holding = container_of(link, struct holding, by_id);
	struct handover *handover = arg;

	if (holding->phase >= HOLDING_SETTLING || (holding->message == NULL && !holding->deleting))
		return;
	if (holding->message != NULL)
		refresh_ref(holding);
	handover->jobs[handover->count++] = holding->job;
}

static void drop(struct table_link *link, void *arg)
{
	struct holding *holding = container_of(link, struct holding, by_id);

	(void)arg;
	if (holding->phase < HOLDING_SETTLING)
		holding_drop(holding);
}

static void on_noted(void *arg, const struct error *err)
{
	struct worker *worker = arg;

	if (err != NULL)
		log_warn(&worker->log, "the newest receipts were not stored: %s", err->text);
}

static double longest_wait_s(const struct worker *worker)
{
	int64_t wait_ms = 0;

	for (size_t i = 0; i < worker->conf->queue_count; i++) {
		if (worker->conf->queues[i].wait_time_ms > wait_ms)
			wait_ms = worker->conf->queues[i].wait_time_ms;
	}
	return (double)(wait_ms + LEAVE_GRACE_MS) / 1000;
}

static void on_released(void *arg, size_t count, const struct error *err)
{
	struct worker *worker = arg;

	if (err != NULL)
		log_error(&worker->log, "jobs were not handed over: %s; others take them when our lease ends", err->text);
	else
		log_info(&worker->log, "handed over %zu jobs", count);
	channel_send(worker, REPORT_RELEASED, "", "");
	worker->state = WORKER_RELEASED;
	ev_timer_stop(worker->loop, &worker->deadline);
	arm_deadline(worker, longest_wait_s(worker));
	drain_check(worker);
}

void drain_release(struct worker *worker)
{
	struct handover handover = { 0 };

	if (worker->state >= WORKER_RELEASING)
		return;
	if (worker->state == WORKER_ACTIVE)
		drain_start(worker, LEAVE_GRACE_MS, "told to release");
	if (worker->state != WORKER_DRAINING || worker->leaving)
		return;
	worker->state = WORKER_RELEASING;
	/* Told before our own deadline: that one is not for what follows. */
	ev_timer_stop(worker->loop, &worker->deadline);
	arm_deadline(worker, longest_wait_s(worker));
	adopt_stop_ticking(worker);
	settle_flush(worker);
	deliver_release(worker->deliver);
	handover.jobs = xcalloc(worker->holdings.count + 1, sizeof(*handover.jobs));
	table_each(&worker->holdings, collect, &handover);
	store_note_messages(worker->store, handover.jobs, handover.count, on_noted, worker);
	store_disown(worker->store, worker->heritage.owner, on_released, worker);
	free(handover.jobs);
	table_each(&worker->holdings, drop, NULL);
}
