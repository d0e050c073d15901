/* SPDX-License-Identifier: Apache-2.0 */
/* launch.c - from a granted job to a running task, at most once per attempt.
 *
 * Intent first, launch second, handle third: a crash between any two leaves enough in the store for
 * another worker to go on.  Every repeat says the same under the same token.  Once the token may
 * have been forgotten by the peer, we look before we launch, and what cannot be known ends the job
 * as "uncertain" instead of running it twice.  Rates and capacity are waited for, however long it
 * takes; they never use up an attempt.  A job that was cancelled on this way is never asked for again. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "job/job_token.h"
#include "worker/counters.h"
#include "worker/holding.h"
#include "worker/poison.h"
#include "worker/tell.h"

enum { CAPACITY_FIRST_S = 1, CAPACITY_MAX_S = 60, REPEAT_MAX_S = 20, PAUSE_MAX_S = 60 };
static const double TURN_NOTED_AFTER_S = 1.5;
static const double LOOK_AFTER_S = 3;   /* a launch may not be listed in its first moments */

static void intend(struct holding *holding);
static void ask(struct holding *holding);
static void look(struct holding *holding);

void launch_fail(struct holding *holding, const char *reason, const char *text)
{
	struct job_result result;

	job_result_set(&result, JOB_FAILED, reason, JOB_NO_EXIT_CODE, "%s", text);
	settle_begin(holding, &result);
}

/* It was cancelled, or ended otherwise, since we heard of it last; under the present token nothing was
 * asked for.  The store has news that say so. */
static void not_intended(struct holding *holding, const struct error *err)
{
	if (holding->cancelling) {
		cancel_end(holding);
		return;
	}
	log_info(holding_log(holding), "not launched: %s", err->text);
	holding_enter(holding, HOLDING_WAITING);
	adopt_sweep(holding->worker);
}

static void on_intended(void *arg, const struct error *err)
{
	struct holding *holding = arg;
	struct worker *worker = holding->worker;

	if (!holding_call_end(holding) || holding->phase != HOLDING_INTENDING)
		return;
	holding_take(holding);
	if (err != NULL && err->kind == ERROR_INVALID) {
		not_intended(holding, err);
	} else if (err != NULL) {
		holding_store_failed(holding, err, "the intent", intend);
	} else if (holding->cancelling) {
		cancel_end(holding);
	} else {
		holding->job->state = JOB_LAUNCHING;
		holding_enter(holding, HOLDING_LAUNCHING);
		ask(holding);
	}
	holding_put(worker);
}

static void intend(struct holding *holding)
{
	holding_call_begin(holding);
	store_intend(holding->worker->store, holding->job, on_intended, holding);
}

static void reject_removed(struct holding *holding)
{
	char *text = xasprintf("no deployer \"%s\" is configured any more", holding->job->deployer);

	launch_fail(holding, "rejected", text);
	free(text);
}

static void freeze(const struct deployer *deployer, struct job *job, char *take_request)
{
	struct job_attempt *attempt = &job->attempt;
	int64_t timeout_ms = deployer->conf->timeout_ms;

	free(attempt->request);
	free(attempt->handle);
	attempt->request = take_request;
	attempt->handle = NULL;
	job->exit_code = JOB_NO_EXIT_CODE;
	attempt->intended_ms = clock_steady_ms();
	attempt->started_ms = 0;
	attempt->timeout_ms = timeout_ms > 0 ? timeout_ms : JOB_NO_TIMEOUT;
	attempt->bound = deployer->conf->type == CONF_DEPLOYER_PROCESS;
}

/* Freezes the parameters of an attempt or step. */
static bool draw_up(const struct deployer *deployer, struct job *job, unsigned number, unsigned step, struct error *err)
{
	struct job_attempt *attempt = &job->attempt;
	char *request;

	attempt->number = number;
	attempt->step = step;
	free(attempt->token);
	attempt->token = job_token(job->id, number, step);
	request = exec_prepare(deployer->exec, job, err);
	if (request != NULL)
		freeze(deployer, job, request);
	return request != NULL;
}

/* What is amiss is found, and told, once the job is there. */
bool launch_draw_up(struct worker *worker, struct job *job)
{
	const struct deployer *deployer = worker_find_deployer(worker, job->deployer);
	struct error err;

	if (!worker_may_launch(worker) || deployer == NULL)
		return false;
	if (draw_up(deployer, job, 1, 0, &err))
		return true;
	job->attempt.number = 0;
	xreplace(&job->attempt.token, NULL);
	return false;
}

void launch_intended(struct holding *holding)
{
	counters_free(holding);
	holding_enter(holding, HOLDING_LAUNCHING);
	ask(holding);
}

/* Stores what the next attempt or step is. */
static void prepare_screened(struct holding *holding)
{
	struct error err;

	if (holding->deployer == NULL || holding->deployer == &holding->worker->removed ||
	    holding->deployer == &holding->worker->removed_process) {
		reject_removed(holding);
		return;
	}
	if (!draw_up(holding->deployer, holding->job, holding->next_number, holding->next_step, &err)) {
		launch_fail(holding, "rejected", err.text);
		return;
	}
	holding->maybe_launched = false;
	holding->asked_s = 0;
	free(holding->result);
	holding->result = NULL;
	holding_enter(holding, HOLDING_INTENDING);
	intend(holding);
}

static void on_screened(void *arg, bool poison)
{
	struct holding *holding = arg;
	struct worker *worker = holding->worker;

	if (!holding_call_end(holding) || holding->phase != HOLDING_SCREENING)
		return;
	holding_take(holding);
	if (poison)
		launch_fail(holding, "poison", POISON_TEXT);
	else
		prepare_screened(holding);
	holding_put(worker);
}

/* Attempt `number` at a fallback step. */
static void prepare(struct holding *holding, unsigned number, unsigned step)
{
	if (holding->cancelling) {
		cancel_end(holding);
		return;
	}
	holding->next_number = number;
	holding->next_step = step;
	holding_enter(holding, HOLDING_SCREENING);
	holding_call_begin(holding);
	poison_ask(holding->worker, holding->job->id, on_screened, holding);
}

/* A pause between two attempts, which may have been begun by another worker.  It is taken once: a wall
 * clock that was set back must not make it longer than it can be. */
static bool pause_first(struct holding *holding)
{
	double left_s = (double)(holding->job->not_before_ms - clock_steady_ms()) / 1000;

	holding->job->not_before_ms = 0;
	if (left_s <= 0)
		return false;
	holding_enter(holding, HOLDING_PAUSED);
	holding->retry = launch_begin;
	ev_timer_set(&holding->timer, left_s < PAUSE_MAX_S ? left_s : PAUSE_MAX_S, 0.);
	ev_timer_start(holding->worker->loop, &holding->timer);
	holding_note_wait(holding, "another attempt: the last ended as %s",
		holding->job->reason != NULL ? holding->job->reason : "failed");
	return true;
}

void launch_begin(struct holding *holding)
{
	if (!worker_may_launch(holding->worker)) {
		holding_enter(holding, HOLDING_WAITING);
		return;
	}
	if (pause_first(holding))
		return;
	counters_free(holding);
	prepare(holding, holding->job->attempt.number + 1, 0);
}

static void on_started(void *arg, const struct error *err);

static void store_handle(struct holding *holding)
{
	holding_call_begin(holding);
	tell_started(holding->worker, holding->job);
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
		log_error(holding_log(holding), "the task's name was not stored: %s; its token finds it", err->text);
	else
		holding_store_failed(holding, err, "the task's name", store_handle);
}

static void launched(struct holding *holding, const char *handle)
{
	struct job *job = holding->job;

	xreplace(&job->attempt.handle, handle);
	job->attempt.started_ms = clock_steady_ms();
	if (!holding->cancelling)
		job->state = JOB_RUNNING;
	log_info(holding_log(holding), "attempt %u of project %s runs as %s", job->attempt.number, job->project, handle);
	holding_enter(holding, HOLDING_RUNNING);
	holding_count_running(holding, true);
	counters_launched(holding);
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

/* Where the present step asked for room. */
static const char *place(const struct holding *holding)
{
	const struct conf_deployer *conf = holding->deployer->conf;

	if (conf->capacity_providers.count > 0)
		return conf->capacity_providers.at[holding->job->attempt.step % conf->capacity_providers.count];
	return conf->launch_type != NULL ? conf->launch_type : "the cluster";
}

/* Before the next step a look: an answer that names no capacity has started a task now and then.  The
 * fallbacks follow at once; when all have been asked, a wait, longer with each round. */
static void no_capacity(struct holding *holding, const struct error *err)
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
	holding_note_wait(holding, "capacity: %s on %s", err->code[0] != '\0' ? err->code : err->text, place(holding));
}

static void throttled(struct holding *holding, const struct error *err)
{
	log_info(holding_log(holding), "not launched yet: %s", err->text);
	if (exec_is_capacity(err)) {
		no_capacity(holding, err);
	} else {
		holding_retry_later(holding, ask, CAPACITY_FIRST_S, CAPACITY_MAX_S);
		holding_note_wait(holding, "rate: %s", err->code[0] != '\0' ? err->code : err->text);
	}
}

/* A refusal says nothing about an earlier ask that was not answered: that may have started the task. */
static void refused(struct holding *holding, const struct error *err)
{
	if (!holding->maybe_launched) {
		launch_fail(holding, "launch_failed", err->text);
		return;
	}
	log_warn(holding_log(holding), "launch refused: %s; looking whether an earlier ask has started it", err->text);
	job_result_set(holding_result(holding), JOB_FAILED, "launch_failed", JOB_NO_EXIT_CODE, "%s", err->text);
	launch_find(holding);
}

/* No answer, or one that says no, and nobody wants it any more. */
static void not_launched(struct holding *holding, const struct error *err)
{
	if (holding->maybe_launched || exec_is_capacity(err))
		launch_find(holding);
	else
		cancel_end(holding);
}

static void unanswered(struct holding *holding, const struct error *err)
{
	log_warn(holding_log(holding), "launch unanswered: %s; asking again under the same token", err->text);
	holding_retry_later(holding, ask, 0.2, REPEAT_MAX_S);
	holding_note_wait(holding, "an answer to its launch: %s", err->text);
}

static void take_answer(struct holding *holding, const char *handle, const struct error *err)
{
	if (err == NULL) {
		launched(holding, handle);
		return;
	}
	holding->maybe_launched = holding->maybe_launched || err->kind == ERROR_AMBIGUOUS;
	if (holding->cancelling)
		not_launched(holding, err);
	else if (err->kind == ERROR_THROTTLED)
		throttled(holding, err);
	else if (err->kind == ERROR_TEMPORARY || err->kind == ERROR_AMBIGUOUS)
		unanswered(holding, err);
	else
		refused(holding, err);
}

static void on_launched(void *arg, const char *handle, const struct error *err)
{
	struct holding *holding = arg;
	struct worker *worker = holding->worker;

	holding_take(holding);
	holding->launch = NULL;
	holding->asked_s = clock_monotonic_s();
	ev_timer_stop(worker->loop, &holding->timer);
	take_answer(holding, handle, err);
	holding_put(worker);
}

/* A launch that is not answered may wait for its turn, for hours. */
static void note_turn(struct holding *holding)
{
	const char *text = holding->launch != NULL ? exec_launch_waits_for(holding->launch) : NULL;

	if (text != NULL)
		holding_note_wait(holding, "capacity: %s", text);
}

static void ask(struct holding *holding)
{
	const struct job_attempt *attempt = &holding->job->attempt;
	struct exec *exec = holding->deployer->exec;

	if (clock_steady_ms() - attempt->intended_ms > exec_token_life_ms(exec)) {
		/* Every ask was answered with "not now": there is nothing to look for, a new token will do. */
		if (!holding->maybe_launched) {
			next_step(holding);
			return;
		}
		launch_find(holding);
		return;
	}
	holding->launch = exec_launch(exec, attempt->request, attempt->token, on_launched, holding);
	holding->retry = note_turn;
	ev_timer_stop(holding->worker->loop, &holding->timer);
	ev_timer_set(&holding->timer, TURN_NOTED_AFTER_S, 0.);
	ev_timer_start(holding->worker->loop, &holding->timer);
}

/* What the look says about an intent whose token may be forgotten: a task that is not found may
 * have ended and been forgotten too. */
static void looked_late(struct holding *holding)
{
	launch_fail(holding, "uncertain",
		"the launch was asked for and never answered, and it is too late to ask again without risking a second one");
}

static void look_again(struct holding *holding, const struct error *err)
{
	holding_retry_later(holding, look, 1, REPEAT_MAX_S);
	holding_note_wait(holding, "an answer whether it was launched: %s", err->text);
}

static void take_look(struct holding *holding, const char *handle, const struct error *err)
{
	const struct job_attempt *attempt = &holding->job->attempt;

	if (handle != NULL)
		launched(holding, handle);
	else if (err != NULL && error_may_pass(err->kind))
		look_again(holding, err);
	else if (err != NULL)
		launch_fail(holding, "uncertain", err->text);
	else if (holding->cancelling)
		cancel_end(holding);
	else if (holding->result != NULL)
		launch_fail(holding, holding->result->reason, holding->result->detail);
	else if (clock_steady_ms() - attempt->intended_ms > exec_token_life_ms(holding->deployer->exec))
		looked_late(holding);
	else
		next_step(holding);
}

static void on_looked(void *arg, const char *handle, const struct error *err)
{
	struct holding *holding = arg;
	struct worker *worker = holding->worker;

	if (!holding_call_end(holding))
		return;
	holding_take(holding);
	holding->looking = false;
	take_look(holding, handle, err);
	holding_put(worker);
}

/* Not right after an ask: what it has started might not be listed yet, and not finding it is proof. */
static void look(struct holding *holding)
{
	const struct job_attempt *attempt = &holding->job->attempt;
	double wait_s = holding->asked_s + LOOK_AFTER_S - clock_monotonic_s();

	if (holding->asked_s > 0 && wait_s > 0) {
		holding->retry = look;
		ev_timer_stop(holding->worker->loop, &holding->timer);
		ev_timer_set(&holding->timer, wait_s, 0.);
		ev_timer_start(holding->worker->loop, &holding->timer);
		return;
	}
	holding->looking = true;
	holding_call_begin(holding);
	exec_look(holding->deployer->exec, attempt->request, attempt->token, attempt->intended_ms, on_looked, holding);
}

void launch_find(struct holding *holding)
{
	if (holding->launch != NULL) {
		exec_launch_cancel(holding->launch);
		holding->launch = NULL;
		holding->asked_s = clock_monotonic_s();
	}
	holding_enter(holding, HOLDING_LOOKING);
	look(holding);
}

void launch_resume(struct holding *holding)
{
	counters_free(holding);
	/* What the one before us asked and heard nobody knows. */
	holding->maybe_launched = true;
	holding_enter(holding, HOLDING_LAUNCHING);
	ask(holding);
}
