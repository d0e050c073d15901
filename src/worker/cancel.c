/* SPDX-License-Identifier: Apache-2.0 */
/* cancel.c - a job whose end somebody asked for.
 *
 * What never ran ends in the store at once, and we hear of it afterwards; only its message is left then.
 * What may run is "cancelling" until it has really stopped: an ask whose answer is not there yet is
 * waited for, one that was never answered is looked for, and nothing is launched any more.  A task
 * that came to its own end before the stop keeps its own verdict. */
#include <stdlib.h>

#include "base/mem.h"
#include "worker/counters.h"
#include "worker/holding.h"
#include "worker/tell.h"

/* The owner before us may have asked a moment ago, and a launch is not listed in its first moments. */
static const double ADOPTED_LOOK_AFTER_S = 5;

static const char *asker(const struct job *job)
{
	return job->cancelled_by != NULL ? job->cancelled_by : "nobody known";
}

static const char *reason_of(const struct job *job)
{
	return job->cancel_reason != NULL ? job->cancel_reason : "cancelled";
}

void cancel_end(struct holding *holding)
{
	const struct job *job = holding->job;
	struct job_result result;

	job_result_set(&result, JOB_CANCELLED, reason_of(job), JOB_NO_EXIT_CODE, "%s by %s", reason_of(job),
		asker(job));
	settle_begin(holding, &result);
}

void cancel_stop(struct holding *holding)
{
	char *text = xasprintf("gantry: %s by %s", reason_of(holding->job), asker(holding->job));

	ev_timer_stop(holding->worker->loop, &holding->timeout);
	exec_stop(holding->watch, text);
	free(text);
}

/* Of what was never asked for, or was answered with a refusal, nothing can run. */
static void begin(struct holding *holding)
{
	holding->cancelling = true;
	switch (holding->phase) {
	case HOLDING_WAITING:
	case HOLDING_PAUSED:
	case HOLDING_SCREENING:
		cancel_end(holding);
		break;
	case HOLDING_LAUNCHING:
		/* One that is only in line has asked for nothing yet. */
		if (holding->launch != NULL && exec_launch_waits_for(holding->launch) != NULL) {
			exec_launch_cancel(holding->launch);
			holding->launch = NULL;
		}
		if (holding->launch != NULL)
			break;
		if (holding->maybe_launched)
			launch_find(holding);
		else
			cancel_end(holding);
		break;
	case HOLDING_LOOKING:
		if (!holding->looking)
			launch_find(holding);
		break;
	case HOLDING_RUNNING:
		cancel_stop(holding);
		break;
	default:
		/* What is on its way into the store is refused there, or is a verdict of its own. */
		break;
	}
}

void cancel_take_news(struct holding *holding, const struct job *news)
{
	struct job *job = holding->job;

	if (holding->cancelling || holding->phase >= HOLDING_FINISHING)
		return;
	xreplace(&job->cancelled_by, news->cancelled_by);
	xreplace(&job->cancel_reason, news->cancel_reason);
	log_info(holding_log(holding), "%s by %s while %s", reason_of(job), asker(job), holding_phase_name(holding->phase));
	if (!job_state_final(news->state)) {
		job->state = JOB_CANCELLING;
		begin(holding);
	} else if (holding->phase <= HOLDING_INTENDING) {
		job->state = news->state;
		tell_ended(holding->worker, news);
		counters_ended(holding, job->state);
		settle_message(holding);
	} else {
		/* The store knows of no launch and we do: it is stopped all the same. */
		log_error(holding_log(holding), "ended in the store while %s here; stopping it",
			holding_phase_name(holding->phase));
		begin(holding);
	}
}

void cancel_resume(struct holding *holding)
{
	const struct job_attempt *attempt = &holding->job->attempt;

	holding->cancelling = true;
	if (attempt->handle != NULL) {
		holding_enter(holding, HOLDING_RUNNING);
		holding_count_running(holding, true);
		watch_begin(holding);
		return;
	}
	if (attempt->request == NULL) {
		cancel_end(holding);
		return;
	}
	holding->maybe_launched = true;
	holding_enter(holding, HOLDING_LOOKING);
	holding->retry = launch_find;
	ev_timer_set(&holding->timer, ADOPTED_LOOK_AFTER_S, 0.);
	ev_timer_start(holding->worker->loop, &holding->timer);
}
