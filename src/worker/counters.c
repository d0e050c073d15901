/* SPDX-License-Identifier: Apache-2.0 */
/* counters.c - see counters.h. */
#include "worker/counters.h"

#include <stdio.h>
#include <unistd.h>

#include "aws/aws.h"
#include "base/clock.h"

_Static_assert((int)AWS_OUTCOME_OK == (int)FIGURES_AWS_OK && (int)AWS_OUTCOME_THROTTLED == (int)FIGURES_AWS_THROTTLED &&
	(int)AWS_OUTCOME_REFUSED == (int)FIGURES_AWS_REFUSED &&
	(int)AWS_OUTCOME_SERVER_ERROR == (int)FIGURES_AWS_SERVER_ERROR &&
	(int)AWS_OUTCOME_NO_ANSWER == (int)FIGURES_AWS_NO_ANSWER, "an outcome is the same number in both");

void counters_init(struct worker *worker)
{
	struct error err;

	if (worker->heritage.figures_fd < 0)
		return;
	worker->figures = figures_map(worker->heritage.figures_fd, &err);
	if (worker->figures == NULL)
		log_warn(&worker->log, "%s; nothing is counted", err.text);
	close(worker->heritage.figures_fd);
	worker->heritage.figures_fd = -1;
}

void counters_finish(struct worker *worker)
{
	figures_unmap(worker->figures);
	worker->figures = NULL;
}

static void on_outcome(void *arg, enum aws_service service, const char *action, enum aws_outcome outcome, bool retry)
{
	struct worker *worker = arg;

	figures_count_aws(worker->figures, aws_service_name(service), action, (unsigned)outcome, retry);
}

static void make_rows(struct worker *worker, struct deployer *deployer)
{
	const char *name = deployer->conf->name;

	deployer->counters = (struct deployer_counters){
		.jobs = figures_row(worker->figures, FIGURES_DEPLOYER, name),
		.wait = figures_row(worker->figures, FIGURES_WAIT, name),
		.launch = figures_row(worker->figures, FIGURES_LAUNCH, name),
		.run = figures_row(worker->figures, FIGURES_RUN, name),
		.settle = figures_row(worker->figures, FIGURES_SETTLE, name),
	};
}

void counters_begin(struct worker *worker)
{
	/* First, while there is room: what is copied cannot share the row for others, where it would be overwritten. */
	counters_copy(worker);
	for (size_t i = 0; i < worker->conf->deployer_count; i++)
		make_rows(worker, &worker->deployers[i]);
	aws_watch(worker->aws, on_outcome, worker);
}

/* -- what is counted elsewhere ------------------------------------------------------------------ */

static void copy_queue(struct worker *worker, const struct intake *intake)
{
	struct figures_row *row = figures_row(worker->figures, FIGURES_QUEUE, intake->conf->name);
	struct queue_figures figures;

	queue_figures(intake->queue, &figures);
	figures_set(row, FIGURES_RECEIVED, figures.received);
	figures_set(row, FIGURES_SETTLED, figures.settled);
	figures_set(row, FIGURES_EMPTY_RECEIVES, figures.empty_receives);
	figures_set(row, FIGURES_QUEUE_FAILURES, figures.failures);
	figures_set(row, FIGURES_LEASES_LOST, figures.lost);
}

static void copy_process(struct worker *worker)
{
	struct figures_row *row = figures_row(worker->figures, FIGURES_PROCESS, role_name(ROLE_WORKER));
	struct store_figures figures = { 0 };

	if (worker->store != NULL)
		store_figures(worker->store, &figures);
	figures_set(row, FIGURES_LOG_DROPPED, log_dropped());
	figures_set(row, FIGURES_COMMITS, figures.commits);
	figures_set(row, FIGURES_WRITES, figures.writes);
	figures_set(row, FIGURES_BUSY, figures.busy);
}

void counters_copy(struct worker *worker)
{
	if (worker->figures == NULL)
		return;
	for (size_t i = 0; worker->intakes != NULL && i < worker->conf->queue_count; i++) {
		if (worker->intakes[i].queue != NULL)
			copy_queue(worker, &worker->intakes[i]);
	}
	copy_process(worker);
}

/* -- the way of a job --------------------------------------------------------------------------- */

/* Those that are configured no more have rows only once they count something. */
static const struct deployer_counters *counters_of(struct holding *holding)
{
	struct worker *worker = holding->worker;
	struct deployer *deployer = holding->deployer != NULL ? holding->deployer : &worker->removed;

	if (deployer->counters.jobs == NULL && worker->figures != NULL)
		make_rows(worker, deployer);
	return &deployer->counters;
}

void counters_free(struct holding *holding)
{
	holding->free_s = clock_monotonic_s();
}

/* From its acceptance to its first launch: all that it has waited for. */
void counters_launched(struct holding *holding)
{
	const struct deployer_counters *counters = counters_of(holding);
	const struct job *job = holding->job;

	figures_add(counters->jobs, FIGURES_LAUNCHED, 1);
	if (job->failures == 0 && job->losses == 0)
		figures_observe(counters->wait, (double)(clock_steady_ms() - job->accepted_ms) / 1000);
	if (holding->free_s > 0)
		figures_observe(counters->launch, clock_monotonic_s() - holding->free_s);
	holding->free_s = 0;
}

void counters_run_ended(struct holding *holding)
{
	int64_t started_ms = holding->job->attempt.started_ms;

	holding->ended_s = clock_monotonic_s();
	if (started_ms > 0)
		figures_observe(counters_of(holding)->run, (double)(clock_steady_ms() - started_ms) / 1000);
}

void counters_tried_again(struct holding *holding, bool infrastructure)
{
	figures_add(counters_of(holding)->jobs, infrastructure ? FIGURES_RETRIED_INFRASTRUCTURE : FIGURES_RETRIED_FAILURE, 1);
	/* That was not the job's end. */
	holding->ended_s = 0;
}

void counters_ended(struct holding *holding, enum job_state state)
{
	static const enum figures_deployer values[JOB_STATES] = {
		[JOB_SUCCEEDED] = FIGURES_SUCCEEDED, [JOB_FAILED] = FIGURES_FAILED, [JOB_CANCELLED] = FIGURES_CANCELLED,
		[JOB_SUPERSEDED] = FIGURES_SUPERSEDED,
	};

	if (job_state_final(state))
		figures_add(counters_of(holding)->jobs, values[state], 1);
}

void counters_end_seen(struct holding *holding)
{
	if (holding->ended_s <= 0)
		holding->ended_s = clock_monotonic_s();
}

void counters_settled(struct holding *holding)
{
	figures_observe(counters_of(holding)->settle, clock_monotonic_s() - holding->ended_s);
}
