/* SPDX-License-Identifier: Apache-2.0 */
/* worker.c - composes the ports and runs the loop; see worker.h. */
#include "worker/worker.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "aws/aws.h"
#include "base/mem.h"
#include "worker/backlog.h"
#include "worker/counters.h"
#include "worker/deliver.h"
#include "worker/holding.h"
#include "worker/retention.h"

struct intake *worker_find_intake(struct worker *worker, const char *queue_name)
{
	for (size_t i = 0; i < worker->conf->queue_count; i++) {
		if (strcmp(worker->intakes[i].conf->name, queue_name) == 0)
			return &worker->intakes[i];
	}
	return NULL;
}

struct deployer *worker_find_deployer(struct worker *worker, const char *name)
{
	for (size_t i = 0; i < worker->conf->deployer_count; i++) {
		if (strcmp(worker->deployers[i].conf->name, name) == 0)
			return &worker->deployers[i];
	}
	return NULL;
}

bool worker_may_launch(const struct worker *worker)
{
	return worker->state == WORKER_ACTIVE || worker->state == WORKER_DRAINING;
}

void worker_leave(struct worker *worker, int status)
{
	worker->exit_status = status;
	ev_break(worker->loop, EVBREAK_ALL);
}

void worker_go(struct worker *worker)
{
	if (worker->state != WORKER_PARKED) {
		log_debug(&worker->log, "told GO once more");
		return;
	}
	worker->state = WORKER_ACTIVE;
	worker->beginning = true;
	worker_begin(worker);
}

/* Behind the word GO there may be others that say what crashed the worker before us: they are read, and
 * counted in the store, before anything is handled that may crash us too. */
void worker_begin(struct worker *worker)
{
	if (!worker->beginning || worker->listening || worker->crash_notes > 0 || worker->state != WORKER_ACTIVE)
		return;
	worker->beginning = false;
	intake_start(worker);
	adopt_start(worker);
	deliver_wake(worker->deliver);
	backlog_start(worker);
}

static void on_term(struct ev_loop *loop, ev_signal *signal, int revents)
{
	struct worker *worker = container_of(signal, struct worker, on_term);

	(void)loop;
	(void)revents;
	drain_start(worker, worker->heritage.drain_timeout_ms, "signal TERM");
}

static void on_quit(struct ev_loop *loop, ev_signal *signal, int revents)
{
	struct worker *worker = container_of(signal, struct worker, on_quit);

	(void)loop;
	(void)revents;
	if (worker->state <= WORKER_PARKED)
		worker_leave(worker, EXIT_SUCCESS);
	else
		drain_release(worker);
}

static void start_signals(struct worker *worker)
{
	ev_signal_init(&worker->on_term, on_term, SIGTERM);
	ev_signal_init(&worker->on_quit, on_quit, SIGQUIT);
	ev_signal_start(worker->loop, &worker->on_term);
	ev_signal_start(worker->loop, &worker->on_quit);
}

static bool create_intakes(struct worker *worker, struct error *err)
{
	struct queue_env env = { .loop = worker->loop, .log = &worker->log, .aws = worker->aws };

	worker->intakes = xcalloc(worker->conf->queue_count + 1, sizeof(*worker->intakes));
	for (size_t i = 0; i < worker->conf->queue_count; i++) {
		struct intake *intake = &worker->intakes[i];
		struct queue_events events = intake_events;

		intake_init(intake, worker, &worker->conf->queues[i]);
		if (intake->is_events)
			events = event_events;
		events.arg = intake;
		intake->queue = queue_create(intake->conf, &env, &events, err);
		if (intake->queue == NULL) {
			error_prefix(err, "queue %s", intake->conf->name);
			return false;
		}
	}
	return true;
}

const struct conf_deployer worker_removed_conf = {
	.name = (char *)"removed",
	.type = CONF_DEPLOYER_ECS,
	.task_definition = (char *)"",
	.container = (char *)"",
	.attempts = 1,
};

const struct conf_deployer worker_removed_process_conf = {
	.name = (char *)"removed",
	.type = CONF_DEPLOYER_PROCESS,
	.attempts = 1,
};

static bool create_removed(struct worker *worker, const struct exec_env *env, struct error *err)
{
	worker->removed = (struct deployer){
		.conf = &worker_removed_conf, .exec = exec_create(&worker_removed_conf, env, err),
	};
	worker->removed_process = (struct deployer){
		.conf = &worker_removed_process_conf, .exec = exec_create(&worker_removed_process_conf, env, err),
	};
	return worker->removed.exec != NULL && worker->removed_process.exec != NULL;
}

static bool create_deployers(struct worker *worker, struct error *err)
{
	char host[128] = "host";
	char started_by[160], shim_path[32];
	struct exec_env env = {
		.loop = worker->loop, .log = &worker->log, .rates = &worker->rates, .aws = worker->aws,
		.run_task_per_s = worker->conf->aws.run_task_rate, .started_by = started_by, .state_dir = worker->conf->supervisor.state_dir,
	};

	gethostname(host, sizeof(host) - 1);
	snprintf(started_by, sizeof(started_by), "gantry/%s", host);
	/* The very program of our generation, whatever the package manager has put in its place since. */
	snprintf(shim_path, sizeof(shim_path), "/proc/self/fd/%d", worker->heritage.shim_fd);
	if (worker->heritage.shim_fd >= 0)
		env.shim_path = shim_path;
	worker->deployers = xcalloc(worker->conf->deployer_count + 1, sizeof(*worker->deployers));
	for (size_t i = 0; i < worker->conf->deployer_count; i++) {
		struct deployer *deployer = &worker->deployers[i];

		deployer->conf = &worker->conf->deployers[i];
		deployer->exec = exec_create(deployer->conf, &env, err);
		if (deployer->exec == NULL) {
			error_prefix(err, "deployer %s", deployer->conf->name);
			return false;
		}
	}
	return create_removed(worker, &env, err);
}

/* Everything that needs no answer from outside. */
static bool create_parts(struct worker *worker, struct error *err)
{
	worker->aws = aws_create(worker->loop, &worker->log, &worker->conf->aws, err);
	if (worker->aws == NULL || !create_intakes(worker, err) || !create_deployers(worker, err))
		return false;
	counters_begin(worker);
	worker->deliver = deliver_create(worker, err);
	return worker->deliver != NULL;
}

/* Without it a crash is a crash and blames nothing. */
static void map_in_hand(struct worker *worker)
{
	struct error err;

	if (worker->heritage.in_hand_fd < 0)
		return;
	worker->in_hand = in_hand_map(worker->heritage.in_hand_fd, &err);
	if (worker->in_hand == NULL)
		log_warn(&worker->log, "%s", err.text);
	close(worker->heritage.in_hand_fd);
	worker->heritage.in_hand_fd = -1;
}

struct worker *worker_create(const struct heritage *heritage, struct conf *take_conf)
{
	struct worker *worker = xnew(struct worker);

	worker->heritage = *heritage;
	worker->conf = take_conf;
	worker->loop = ev_loop_new(EVFLAG_AUTO | EVFLAG_NOENV);
	if (worker->loop == NULL)
		fatal("no event loop could be made");
	log_init(&worker->log, NULL, "worker %d generation %u", (int)getpid(), heritage->generation);
	map_in_hand(worker);
	counters_init(worker);
	rates_init(worker);
	settle_init(worker);
	start_signals(worker);
	channel_start(worker);
	return worker;
}

static void on_flush(struct ev_loop *loop, ev_prepare *prepare, int revents)
{
	(void)loop, (void)prepare, (void)revents;
	log_flush();
}

/* Last of all that is done before a wait, as that may log too. */
static void run_loop(struct worker *worker)
{
	ev_prepare_init(&worker->flush, on_flush);
	ev_set_priority(&worker->flush, EV_MINPRI);
	ev_prepare_start(worker->loop, &worker->flush);
	log_gather(true);
	ev_run(worker->loop, 0);
	log_gather(false);
	ev_prepare_stop(worker->loop, &worker->flush);
}

int worker_run(struct worker *worker)
{
	struct error err;

	channel_send(worker, REPORT_HELLO, "", "");
	if (!create_parts(worker, &err)) {
		log_error(&worker->log, "cannot become ready: %s", err.text);
		channel_send(worker, REPORT_REFUSED, "", err.text);
		return 2;
	}
	warmup_start(worker);
	run_loop(worker);
	return worker->exit_status;
}

static void free_holding(struct table_link *link, void *arg)
{
	struct holding *holding = container_of(link, struct holding, by_id);

	(void)arg;
	holding_drop(holding);
}

void worker_destroy(struct worker *worker)
{
	if (worker == NULL)
		return;
	warmup_cancel(worker);
	worker->state = WORKER_RELEASING;
	worker->leaving = true;
	table_each(&worker->holdings, free_holding, NULL);
	channel_stop(worker);
	adopt_stop_ticking(worker);
	ev_timer_stop(worker->loop, &worker->note_linger);
	ev_timer_stop(worker->loop, &worker->deadline);
	ev_signal_stop(worker->loop, &worker->on_term);
	ev_signal_stop(worker->loop, &worker->on_quit);
	for (size_t i = 0; worker->intakes != NULL && i < worker->conf->queue_count; i++)
		intake_close(&worker->intakes[i]);
	backlog_finish(worker);
	for (size_t i = 0; worker->deployers != NULL && i < worker->conf->deployer_count; i++)
		exec_destroy(worker->deployers[i].exec);
	exec_destroy(worker->removed.exec);
	exec_destroy(worker->removed_process.exec);
	store_close(worker->store);
	retention_destroy(worker->retention);
	deliver_destroy(worker->deliver);
	holdings_finish(worker);
	adopt_finish(worker);
	for (size_t i = 0; worker->intakes != NULL && i < worker->conf->queue_count; i++)
		intake_finish(&worker->intakes[i]);
	aws_destroy(worker->aws);
	free(worker->intakes);
	free(worker->deployers);
	table_finish(&worker->holdings);
	conf_destroy(worker->conf);
	ev_loop_destroy(worker->loop);
	in_hand_unmap(worker->in_hand);
	counters_finish(worker);
	free(worker);
}
