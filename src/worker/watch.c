/* SPDX-License-Identifier: Apache-2.0 */
/* watch.c - a running task, towards its end.
 *
 * What an end means is said by the exec port; whether there is another attempt is decided here.  A
 * deployment that failed by itself is tried `attempts` times in all.  One that its infrastructure took
 * away (spot, lost host, no start in time) says nothing about the deployment: it is tried again beside
 * that, slower each time, until INFRASTRUCTURE_LOSSES show that nobody can run it at present. */
#include <stdlib.h>
#include <string.h>

#include "base/backoff.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/random.h"
#include "worker/counters.h"
#include "worker/holding.h"
#include "worker/tell.h"

enum { INFRASTRUCTURE_LOSSES = 10, INFRASTRUCTURE_FIRST_S = 1, INFRASTRUCTURE_MAX_S = 60 };

static void on_retry_stored(void *arg, const struct error *err);

static void store_next_attempt(struct holding *holding)
{
	holding_call_begin(holding);
	tell_retrying(holding->worker, holding->job, holding->result);
	store_retry(holding->worker->store, holding->job, on_retry_stored, holding);
}

/* Refused: its end was asked for meanwhile, and the attempt had come to its own before. */
static void on_retry_stored(void *arg, const struct error *err)
{
	struct holding *holding = arg;
	struct worker *worker = holding->worker;

	if (!holding_call_end(holding) || holding->phase != HOLDING_INTENDING)
		return;
	holding_take(holding);
	if (err != NULL && err->kind == ERROR_INVALID) {
		struct job_result result = *holding->result;

		settle_begin(holding, &result);
	} else if (err != NULL) {
		holding_store_failed(holding, err, "the end of an attempt", store_next_attempt);
	} else {
		holding->job->state = JOB_QUEUED;
		launch_begin(holding);
	}
	holding_put(worker);
}

/* Attempts that the infrastructure took away follow each other slower and slower: it may be in trouble. */
static void try_again(struct holding *holding, const struct exec_end *end)
{
	struct job *job = holding->job;

	log_warn(holding_log(holding), "attempt %u ended: %s: %s; trying again", job->attempt.number, end->result.reason,
		end->result.detail);
	counters_tried_again(holding, end->retry == EXEC_RETRY_INFRASTRUCTURE);
	xreplace(&job->reason, end->result.reason);
	job->exit_code = end->result.exit_code;
	*holding_result(holding) = end->result;
	job->not_before_ms = 0;
	if (end->retry == EXEC_RETRY_INFRASTRUCTURE)
		job->not_before_ms = clock_steady_ms() + (int64_t)(1000 * backoff_s(job->losses,
			INFRASTRUCTURE_FIRST_S, INFRASTRUCTURE_MAX_S, random_unit()));
	holding_enter(holding, HOLDING_INTENDING);
	store_next_attempt(holding);
}

/* An end that our stop brought about; one of its own is judged for what it is. */
static bool was_stopped(const struct exec_end *end)
{
	return end->result.state == JOB_CANCELLED || end->retry == EXEC_RETRY_INFRASTRUCTURE;
}

static void lost_too_often(struct holding *holding, const struct exec_end *end)
{
	struct job_result result;

	job_result_set(&result, JOB_FAILED, "infrastructure", end->result.exit_code,
		"the infrastructure took away %u attempts; the last: %s: %s", holding->job->losses, end->result.reason,
		end->result.detail);
	settle_begin(holding, &result);
}

static void judge(struct holding *holding, const struct exec_end *end)
{
	struct job *job = holding->job;
	struct job_result result = end->result;

	if (holding->timed_out && was_stopped(end)) {
		result.state = JOB_FAILED;
		memcpy(result.reason, "timeout", sizeof("timeout"));
		settle_begin(holding, &result);
	} else if (holding->cancelling && was_stopped(end)) {
		cancel_end(holding);
	} else if (result.state != JOB_FAILED || holding->timed_out || holding->cancelling) {
		settle_begin(holding, &result);
	} else if (end->retry == EXEC_RETRY_INFRASTRUCTURE) {
		if (++job->losses <= INFRASTRUCTURE_LOSSES)
			try_again(holding, end);
		else
			lost_too_often(holding, end);
	} else if (++job->failures < holding->deployer->conf->attempts) {
		try_again(holding, end);
	} else {
		settle_begin(holding, &result);
	}
}

static void on_ended(void *arg, const struct exec_end *end)
{
	struct holding *holding = arg;
	struct worker *worker = holding->worker;

	holding_take(holding);
	holding->watch = NULL;
	ev_timer_stop(worker->loop, &holding->timeout);
	holding_count_running(holding, false);
	if (end->started_ms > 0)
		holding->job->attempt.started_ms = end->started_ms;
	counters_run_ended(holding);
	judge(holding, end);
	holding_put(worker);
}

/* -- the deadline ------------------------------------------------------------------------------- */

/* As it was when the attempt began: a reload must not stop what runs, nor forget to.  0: never. */
static double timeout_s(const struct holding *holding)
{
	int64_t frozen_ms = holding->job->attempt.timeout_ms;

	if (frozen_ms == JOB_NO_TIMEOUT)
		return 0;
	return (double)(frozen_ms > 0 ? frozen_ms : holding->deployer->conf->timeout_ms) / 1000;
}

static void time_out(struct holding *holding)
{
	log_warn(holding_log(holding), "still running after its timeout of %.0f s; stopping it", timeout_s(holding));
	holding->timed_out = true;
	exec_stop(holding->watch, "gantry: timeout");
}

static void on_timeout(struct ev_loop *loop, ev_timer *timer, int revents)
{
	(void)loop;
	(void)revents;
	time_out(container_of(timer, struct holding, timeout));
}

/* Counted from the launch by the steady clock, since another worker may have launched it.  Within one owner
 * the loop's clock counts, which nobody sets.  A wall clock that was set back must not make it wait
 * longer than a whole timeout from now.  A deadline that is over is not waited for: the owner before us may
 * have stopped it for that, and its end is at hand. */
static void arm_timeout(struct holding *holding)
{
	const struct job_attempt *attempt = &holding->job->attempt;
	int64_t since_ms = attempt->started_ms > 0 ? attempt->started_ms : attempt->intended_ms;
	double limit_s = timeout_s(holding);
	double age_s = (double)(clock_steady_ms() - since_ms) / 1000;
	double left_s = limit_s - (age_s > 0 ? age_s : 0);

	if (limit_s <= 0)
		return;
	if (left_s <= 0) {
		time_out(holding);
		return;
	}
	ev_timer_init(&holding->timeout, on_timeout, left_s, 0.);
	ev_timer_start(holding->worker->loop, &holding->timeout);
}

void watch_begin(struct holding *holding)
{
	struct job_attempt *attempt = &holding->job->attempt;
	struct exec_watch_events events = { .ended = on_ended, .arg = holding };

	holding->watch = exec_watch(holding->deployer->exec, attempt->handle, attempt->request, attempt->started_ms, &events);
	/* A local command's is looked at once more, for what its output must not show. */
	if (holding->deployer->conf->type != CONF_DEPLOYER_PROCESS) {
		free(attempt->request);
		attempt->request = NULL;
	}
	if (holding->heard)
		exec_hear(holding->deployer->exec, attempt->handle, NULL);
	holding->heard = false;
	if (holding->cancelling)
		cancel_stop(holding);
	else
		arm_timeout(holding);
}
