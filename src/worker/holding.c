/* SPDX-License-Identifier: Apache-2.0 */
/* holding.c - the lifetime of a struct holding; what moves it along is in launch.c, watch.c and
 * settle.c. */
#include "worker/holding.h"

#include <stdarg.h>
#include <stdlib.h>

#include "base/backoff.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/random.h"

static const double NOTED_WAIT_S = 1;   /* nobody asks why about shorter ones */

static const char *const names[HOLDING_PHASES] = {
	[HOLDING_WAITING] = "waiting",     [HOLDING_PAUSED] = "paused",       [HOLDING_SCREENING] = "screening",
	[HOLDING_INTENDING] = "intending", [HOLDING_LAUNCHING] = "launching", [HOLDING_LOOKING] = "looking",
	[HOLDING_RUNNING] = "running",     [HOLDING_FINISHING] = "finishing", [HOLDING_SETTLING] = "settling",
	[HOLDING_NOTING] = "noting",       [HOLDING_GONE] = "gone",
};

const char *holding_phase_name(enum holding_phase phase)
{
	return phase < HOLDING_PHASES ? names[phase] : "unknown";
}

const struct log *holding_name(const struct holding *holding, struct log *log)
{
	log_init(log, &holding->worker->log, "job %s", holding->job->id);
	return log;
}

static void on_timer(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct holding *holding = container_of(timer, struct holding, timer);
	struct worker *worker = holding->worker;

	(void)loop;
	(void)revents;
	holding_take(holding);
	holding->retry(holding);
	holding_put(worker);
}

struct holding *holding_create(struct worker *worker, struct job *take_job, struct queue_message *message)
{
	struct holding *holding = xnew(struct holding);

	holding->worker = worker;
	holding->job = take_job;
	holding->message = message;
	holding->intake = worker_find_intake(worker, take_job->queue);
	holding->deployer = worker_find_deployer(worker, take_job->deployer);
	if (message != NULL) {
		message->arg = holding;
		/* The store has this one, and the queue keeps the newest. */
		xreplace(&take_job->message.receipt, NULL);
	}
	list_init(&holding->link);
	ev_init(&holding->timer, on_timer);
	table_add(&worker->holdings, &holding->by_id, take_job->id);
	return holding;
}

struct holding *holding_find(struct worker *worker, const char *job_id)
{
	struct table_link *link = table_find(&worker->holdings, job_id);

	return link != NULL ? container_of(link, struct holding, by_id) : NULL;
}

/* Whatever else a job waits for may last for hours, and must not keep the next ones from being received. */
static bool is_ahead(enum holding_phase phase)
{
	return phase == HOLDING_SCREENING || phase == HOLDING_INTENDING;
}

static void count_ahead(struct intake *intake, bool was, bool is)
{
	if (intake == NULL || was == is)
		return;
	intake->ahead += is ? 1 : -1u;
	if (was)
		intake_update_room(intake);
}

void holding_enter(struct holding *holding, enum holding_phase phase)
{
	enum holding_phase before = holding->phase;

	log_debug(holding_log(holding), "%s -> %s", names[before], names[phase]);
	holding->phase = phase;
	holding->failures = 0;
	ev_timer_stop(holding->worker->loop, &holding->timer);
	count_ahead(holding->intake, is_ahead(before), is_ahead(phase));
}

struct job_result *holding_result(struct holding *holding)
{
	if (holding->result == NULL)
		holding->result = xnew(struct job_result);
	return holding->result;
}

void holding_count_running(struct holding *holding, bool running)
{
	if (holding->counted == running)
		return;
	holding->counted = running;
	holding->worker->running += running ? 1 : -1u;
}

static void destroy(struct holding *holding)
{
	list_remove(&holding->link);
	job_destroy(holding->job);
	free(holding->result);
	free(holding);
}

void holding_drop(struct holding *holding)
{
	struct worker *worker = holding->worker;
	struct intake *intake = holding->intake;
	bool settling = holding->phase == HOLDING_SETTLING;

	holding_enter(holding, HOLDING_GONE);
	holding_count_running(holding, false);
	exec_launch_cancel(holding->launch);
	exec_unwatch(holding->watch);
	holding->launch = NULL;
	holding->watch = NULL;
	ev_timer_stop(worker->loop, &holding->timeout);
	/* A message that is being settled is the queue's until it says so. */
	if (holding->message != NULL && !settling)
		queue_forget(holding->message);
	holding->message = NULL;
	list_remove(&holding->link);
	table_remove(&worker->holdings, &holding->by_id);
	if (holding->calls == 0)
		destroy(holding);
	else
		list_append(&worker->dropped, &holding->link);
	if (intake != NULL)
		intake_update_room(intake);
	drain_check(worker);
}

void holdings_finish(struct worker *worker)
{
	while (!list_empty(&worker->dropped))
		destroy(list_first(&worker->dropped, struct holding, link));
}

void holding_retry_later(struct holding *holding, void (*retry)(struct holding *), double first_s, double max_s)
{
	double delay_s = backoff_s(++holding->failures, first_s, max_s, random_unit());

	holding->retry = retry;
	ev_timer_stop(holding->worker->loop, &holding->timer);
	ev_timer_set(&holding->timer, delay_s, 0.);
	ev_timer_start(holding->worker->loop, &holding->timer);
}

static void on_wait_noted(void *arg, const struct error *err)
{
	struct holding *holding = arg;

	if (!holding_call_end(holding) || err == NULL)
		return;
	if (err->kind == ERROR_LOST)
		holding_store_failed(holding, err, "what it waits for", NULL);
	else
		log_debug(holding_log(holding), "what it waits for was not stored: %s", err->text);
}

void holding_note_wait(struct holding *holding, const char *fmt, ...)
{
	bool timed = ev_is_active(&holding->timer);
	double left_s = timed ? ev_timer_remaining(holding->worker->loop, &holding->timer) : 0;
	struct job *job = holding->job;
	va_list args;

	if (timed && left_s <= NOTED_WAIT_S)
		return;
	free(job->waits_for);
	va_start(args, fmt);
	job->waits_for = xvasprintf(fmt, args);
	va_end(args);
	job->next_try_ms = timed ? clock_steady_ms() + (int64_t)(left_s * 1000) : 0;
	holding_call_begin(holding);
	store_note_wait(holding->worker->store, job, on_wait_noted, holding);
}

void holding_take(struct holding *holding)
{
	in_hand_take(holding->worker->in_hand, holding->job->id);
}

void holding_put(struct worker *worker)
{
	in_hand_drop(worker->in_hand);
}

void holding_call_begin(struct holding *holding)
{
	holding->calls++;
}

bool holding_call_end(struct holding *holding)
{
	holding->calls--;
	if (holding->phase != HOLDING_GONE)
		return true;
	if (holding->calls == 0)
		destroy(holding);
	return false;
}

void holding_store_failed(struct holding *holding, const struct error *err, const char *what,
	void (*retry)(struct holding *))
{
	if (err->kind == ERROR_LOST) {
		log_warn(holding_log(holding), "%s was not stored, as another worker owns the job now; leaving it to that one", what);
		holding_drop(holding);
		return;
	}
	if (holding->failures == 0)
		log_error(holding_log(holding), "%s was not stored: %s; trying until it is", what, err->text);
	holding_retry_later(holding, retry, 0.1, 10);
}
