/* SPDX-License-Identifier: Apache-2.0 */
/* launch.c - from a granted job to a running task, at most once per attempt.
 *
 * Intent first, launch second, handle third: a crash between any two leaves enough in the store for
 * another worker to go on.  Every repeat says the same under the same token.  Once the token may
 * have been forgotten by the peer, we look before we launch, and what cannot be known ends the job
 * as "uncertain" instead of running it twice.  Rates and capacity are waited for, however long it
 * takes; they never use up an attempt. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "job/job_token.h"
#include "worker/holding.h"

enum { CAPACITY_FIRST_S = 1, CAPACITY_MAX_S = 60, REPEAT_MAX_S = 20, PAUSE_MAX_S = 60 };

static void intend(struct holding *holding);
static void ask(struct holding *holding);
static void look(struct holding *holding);

static void fail(struct holding *holding, const char *reason, const char *text)
{
	struct job_result result;

	job_result_set(&result, JOB_FAILED, reason, JOB_NO_EXIT_CODE, "%s", text);
	settle_begin(holding, &result);
}

static void on_intended(void *arg, const struct error *err)
{
	struct holding *holding = arg;

	if (!holding_call_end(holding))
		return;
	if (err != NULL) {
		holding_store_failed(holding, err, "the intent", intend);
		return;
	}
	holding->job->state = JOB_LAUNCHING;
	holding_enter(holding, HOLDING_LAUNCHING);
	ask(holding);
}

static void intend(struct holding *holding)
{
	holding_call_begin(holding);
	store_intend(holding->worker->store, holding->job, on_intended, holding);
}

static void reject_removed(struct holding *holding)
{
	char *text = xasprintf("no deployer \"%s\" is configured any more", holding->job->deployer);

	fail(holding, "rejected", text);
	free(text);
}

/* Freezes the parameters of attempt `number` at a fallback step and stores them. */
static void prepare(struct holding *holding, unsigned number, unsigned step)
{
	struct job_attempt *attempt = &holding->job->attempt;
	struct error err;
	char *request;

	if (holding->deployer == NULL || holding->deployer == &holding->worker->removed) {
		reject_removed(holding);
		return;
	}
	attempt->number = number;
	attempt->step = step;
	request = exec_prepare(holding->deployer->exec, holding->job, &err);
	if (request == NULL) {
		fail(holding, "rejected", err.text);
		return;
	}
	free(attempt->request);
	free(attempt->token);
	free(attempt->handle);
	attempt->request = request;
	attempt->token = job_token(holding->job->id, number, step);
	attempt->handle = NULL;
	attempt->intended_ms = clock_wall_ms();
	attempt->started_ms = 0;
	holding->maybe_launched = false;
	holding->result.reason[0] = '\0';
	holding_enter(holding, HOLDING_INTENDING);
	intend(holding);
}

/* A pause between two attempts, which may have been begun by another worker.  It is taken once: a wall
 * clock that was set back must not make it longer than it can be. */
static bool pause_first(struct holding *holding)
{
	double left_s = (double)(holding->job->not_before_ms - clock_wall_ms()) / 1000;

	holding->job->not_before_ms = 0;
	if (left_s <= 0)
		return false;
	holding_enter(holding, HOLDING_PAUSED);
	holding->retry = launch_begin;
	ev_timer_set(&holding->timer, left_s < PAUSE_MAX_S ? left_s : PAUSE_MAX_S, 0.);
	ev_timer_start(holding->worker->loop, &holding->timer);
	return true;
}

void launch_begin(struct holding *holding)
{
	if (!worker_may_launch(holding->worker)) {
		holding_enter(holding, HOLDING_WAITING);
		return;
	}
	if (!pause_first(holding))
		prepare(holding, holding->job->attempt.number + 1, 0);
}

static void on_started(void *arg, const struct error *err);

static void store_handle(struct holding *holding)
{
	holding_call_begin(holding);
	store_started(holding->worker->store, holding->job, on_started, holding);
}

/* The watch does not wait for this: the intent and its token are enough to find the task again, as long
 * as the token lives. */
static void on_started(void *arg, const struct error *err)
{
	struct holding *holding = arg;

	if (!holding_call_end(holding) || err == NULL || holding->phase != HOLDING_RUNNING)
		return;
	if (err->kind == ERROR_INVALID)
		log_error(&holding->log, "the task's name was not stored: %s; its token finds it", err->text);
	else
		holding_store_failed(holding, err, "the task's name", store_handle);
}

static void launched(struct holding *holding, const char *handle)
{
	struct job *job = holding->job;

	xreplace(&job->attempt.handle, handle);
	job->attempt.started_ms = clock_wall_ms();
	job->state = JOB_RUNNING;
	log_info(&holding->log, "attempt %u of project %s runs as %s", job->attempt.number, job->project, handle);
	holding_enter(holding, HOLDING_RUNNING);
	holding_count_running(holding, true);
	store_handle(holding);
	watch_begin(holding);
}

/* The peer remembers what it decided under a token, also that there was no room: asking again under
 * the same one would be told the same for ever.  So each further try for room is a step of its own. */
static void next_step(struct holding *holding)
{
	const struct job_attempt *attempt = &holding->job->attempt;

	prepare(holding, attempt->number, attempt->step + 1);
}

/* Before the next step a look: an answer that names no capacity has started a task now and then.  The
 * fallbacks follow at once; when all have been asked, a wait, longer with each round. */
static void no_capacity(struct holding *holding)
{
	const struct job_attempt *attempt = &holding->job->attempt;
	unsigned steps = exec_steps(holding->deployer->exec);

	holding_enter(holding, HOLDING_LOOKING);
	if ((attempt->step + 1) % steps != 0) {
		look(holding);
		return;
	}
	holding->failures = attempt->step / steps;
	holding_retry_later(holding, look, CAPACITY_FIRST_S, CAPACITY_MAX_S);
}

static void throttled(struct holding *holding, const struct error *err)
{
	log_info(&holding->log, "not launched yet: %s", err->text);
	if (exec_is_capacity(err))
		no_capacity(holding);
	else
		holding_retry_later(holding, ask, CAPACITY_FIRST_S, CAPACITY_MAX_S);
}

/* A refusal says nothing about an earlier ask that was not answered: that may have started the task. */
static void refused(struct holding *holding, const struct error *err)
{
	if (!holding->maybe_launched) {
		fail(holding, "launch_failed", err->text);
		return;
	}
	log_warn(&holding->log, "launch refused: %s; looking whether an earlier ask has started it", err->text);
	job_result_set(&holding->result, JOB_FAILED, "launch_failed", JOB_NO_EXIT_CODE, "%s", err->text);
	holding_enter(holding, HOLDING_LOOKING);
	look(holding);
}

static void on_launched(void *arg, const char *handle, const struct error *err)
{
	struct holding *holding = arg;

	holding->launch = NULL;
	if (err == NULL) {
		launched(holding, handle);
		return;
	}
	switch (err->kind) {
	case ERROR_THROTTLED:
		throttled(holding, err);
		break;
	case ERROR_TEMPORARY:
	case ERROR_AMBIGUOUS:
		holding->maybe_launched = holding->maybe_launched || err->kind == ERROR_AMBIGUOUS;
		log_warn(&holding->log, "launch unanswered: %s; asking again under the same token", err->text);
		holding_retry_later(holding, ask, 0.2, REPEAT_MAX_S);
		break;
	default:
		refused(holding, err);
		break;
	}
}

static void ask(struct holding *holding)
{
	const struct job_attempt *attempt = &holding->job->attempt;
	struct exec *exec = holding->deployer->exec;

	if (clock_wall_ms() - attempt->intended_ms > exec_token_life_ms(exec)) {
		/* Every ask was answered with "not now": there is nothing to look for, a new token will do. */
		if (!holding->maybe_launched) {
			next_step(holding);
			return;
		}
		holding_enter(holding, HOLDING_LOOKING);
		look(holding);
		return;
	}
	holding->launch = exec_launch(exec, attempt->request, attempt->token, on_launched, holding);
}

/* What the look says about an intent whose token may be forgotten: a task that is not found may
 * have ended and been forgotten too. */
static void looked_late(struct holding *holding)
{
	fail(holding, "uncertain",
		"the launch was asked for and never answered, and it is too late to ask again without risking a second one");
}

static void on_looked(void *arg, const char *handle, const struct error *err)
{
	struct holding *holding = arg;
	const struct job_attempt *attempt = &holding->job->attempt;

	holding->launch = NULL;
	if (!holding_call_end(holding))
		return;
	if (handle != NULL)
		launched(holding, handle);
	else if (err != NULL && error_may_pass(err->kind))
		holding_retry_later(holding, look, 1, REPEAT_MAX_S);
	else if (err != NULL)
		fail(holding, "uncertain", err->text);
	else if (holding->result.reason[0] != '\0')
		fail(holding, holding->result.reason, holding->result.detail);
	else if (clock_wall_ms() - attempt->intended_ms > exec_token_life_ms(holding->deployer->exec))
		looked_late(holding);
	else
		next_step(holding);
}

static void look(struct holding *holding)
{
	const struct job_attempt *attempt = &holding->job->attempt;

	holding_call_begin(holding);
	exec_look(holding->deployer->exec, attempt->request, attempt->token, attempt->intended_ms, on_looked, holding);
}

void launch_resume(struct holding *holding)
{
	/* What the one before us asked and heard nobody knows. */
	holding->maybe_launched = true;
	holding_enter(holding, HOLDING_LAUNCHING);
	ask(holding);
}
