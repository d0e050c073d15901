/* SPDX-License-Identifier: Apache-2.0 */
/* watch.c - a running task, towards its end.
 *
 * What an end means is said by the exec port; whether there is another attempt is decided here.  A
 * deployment that failed by itself is tried `attempts` times in all; one that its infrastructure
 * took away (spot, lost host) gets up to INFRASTRUCTURE_ATTEMPTS more, as that says nothing about
 * the deployment. */
#include <stdlib.h>
#include <string.h>

#include "base/backoff.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/random.h"
#include "worker/holding.h"

enum { INFRASTRUCTURE_ATTEMPTS = 5, INFRASTRUCTURE_FIRST_S = 1, INFRASTRUCTURE_MAX_S = 30 };

static void on_retry_stored(void *arg, const struct error *err);

static void store_next_attempt(struct holding *holding)
{
	holding_call_begin(holding);
	store_retry(holding->worker->store, holding->job, on_retry_stored, holding);
}

static void on_retry_stored(void *arg, const struct error *err)
{
	struct holding *holding = arg;

	if (!holding_call_end(holding))
		return;
	if (err != NULL) {
		holding_store_failed(holding, err, "the end of an attempt", store_next_attempt);
		return;
	}
	holding->job->state = JOB_QUEUED;
	launch_begin(holding);
}

static bool has_attempt_left(const struct holding *holding, const struct exec_end *end)
{
	unsigned allowed = holding->deployer->conf->attempts;

	if (end->result.state != JOB_FAILED || holding->timed_out)
		return false;
	if (end->retry == EXEC_RETRY_INFRASTRUCTURE)
		allowed += INFRASTRUCTURE_ATTEMPTS;
	return holding->job->attempt.number < allowed;
}

/* Attempts that the infrastructure took away follow each other slower and slower: it may be in trouble. */
static void try_again(struct holding *holding, const struct exec_end *end)
{
	struct job *job = holding->job;

	log_warn(&holding->log, "attempt %u ended: %s: %s; trying again", job->attempt.number, end->result.reason,
		end->result.detail);
	xreplace(&job->reason, end->result.reason);
	job->not_before_ms = 0;
	if (end->retry == EXEC_RETRY_INFRASTRUCTURE)
		job->not_before_ms = clock_wall_ms() + (int64_t)(1000 * backoff_s(job->attempt.number,
			INFRASTRUCTURE_FIRST_S, INFRASTRUCTURE_MAX_S, random_unit()));
	holding_enter(holding, HOLDING_INTENDING);
	store_next_attempt(holding);
}

static void on_ended(void *arg, const struct exec_end *end)
{
	struct holding *holding = arg;
	struct job_result result = end->result;

	holding->watch = NULL;
	ev_timer_stop(holding->worker->loop, &holding->timeout);
	holding_count_running(holding, false);
	if (end->started_ms > 0)
		holding->job->attempt.started_ms = end->started_ms;
	if (has_attempt_left(holding, end)) {
		try_again(holding, end);
		return;
	}
	if (holding->timed_out && result.state != JOB_SUCCEEDED) {
		result.state = JOB_FAILED;
		memcpy(result.reason, "timeout", sizeof("timeout"));
	}
	settle_begin(holding, &result);
}

static void on_timeout(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct holding *holding = container_of(timer, struct holding, timeout);

	(void)loop;
	(void)revents;
	log_warn(&holding->log, "still running after its timeout of %.0f s; stopping it",
		(double)holding->deployer->conf->timeout_ms / 1000);
	holding->timed_out = true;
	exec_stop(holding->watch, "gantry: timeout");
}

/* Counted from the launch by the wall clock, since another worker may have launched it; a jump of
 * that clock backwards must not make it wait longer than a whole timeout from now. */
static void arm_timeout(struct holding *holding)
{
	double timeout_s = (double)holding->deployer->conf->timeout_ms / 1000;
	double age_s = (double)(clock_wall_ms() - holding->job->attempt.started_ms) / 1000;
	double left_s = timeout_s - (age_s > 0 ? age_s : 0);

	ev_timer_init(&holding->timeout, on_timeout, left_s > 0 ? left_s : 0, 0.);
	if (timeout_s > 0)
		ev_timer_start(holding->worker->loop, &holding->timeout);
}

void watch_begin(struct holding *holding)
{
	const struct job_attempt *attempt = &holding->job->attempt;
	struct exec_watch_events events = { .ended = on_ended, .arg = holding };

	holding->watch = exec_watch(holding->deployer->exec, attempt->handle, attempt->request, attempt->started_ms, &events);
	arm_timeout(holding);
}
