/* SPDX-License-Identifier: Apache-2.0 */
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "worker/deliver.h"

enum { BENCH_DEADLINE_S = 120, BENCH_TURNS = 10 };

static void fill_queue(struct conf_queue *conf, const char *name)
{
	conf->name = xstrdup(name);
	conf->url = xasprintf("memory:%s", name);
	conf->max_in_flight = 100;
	conf->visibility_timeout_ms = 30000;
}

static struct conf *make_conf(bool ordered, bool events)
{
	struct conf *conf = xnew(struct conf);

	conf->store = xstrdup(BENCH_STORE);
	conf->log.level = xstrdup("error");
	conf->log.format = xstrdup("logfmt");
	conf->log.to = xstrdup("stderr");
	conf->supervisor.lease_ms = 30000;
	conf->queue_count = events ? 2 : 1;
	conf->queues = xcalloc(conf->queue_count, sizeof(*conf->queues));
	fill_queue(&conf->queues[0], ordered ? "deploys.fifo" : "deploys");
	conf->queues[0].default_deployer = xstrdup("mystical");
	if (events) {
		fill_queue(&conf->queues[1], "events");
		conf->ecs.events = xstrdup("events");
	}
	conf->deployer_count = 1;
	conf->deployers = xnew(struct conf_deployer);
	conf->deployers[0].name = xstrdup("mystical");
	conf->deployers[0].lock.key = xstrdup("{{ project }}");
	conf->deployers[0].attempts = 1;
	return conf;
}

static struct queue *attach_queue(struct worker *worker, size_t i, const struct queue_events *listener)
{
	struct queue_env env = { .loop = worker->loop, .log = &worker->log };
	struct intake *intake = &worker->intakes[i];
	struct queue_events events = *listener;

	intake_init(intake, worker, &worker->conf->queues[i]);
	events.arg = intake;
	intake->queue = queue_memory_create(intake->conf, &env, &events);
	return intake->queue;
}

static void attach(struct bench *bench)
{
	struct worker *worker = bench->worker;
	struct exec_env exec_env = { .loop = worker->loop, .log = &worker->log, .started_by = "gantry/unit" };
	struct store_options store_options = {
		.loop = worker->loop, .log = &worker->log, .owner = worker->heritage.owner, .lease_ms = 30000,
		.migrate = true,
	};
	struct error err;

	worker->intakes = xcalloc(worker->conf->queue_count + 1, sizeof(*worker->intakes));
	worker->deployers = xcalloc(2, sizeof(*worker->deployers));
	bench->queue = attach_queue(worker, 0, &intake_events);
	if (worker->conf->queue_count > 1)
		bench->events = attach_queue(worker, 1, &event_events);
	worker->deployers[0] = (struct deployer){ .conf = bench->deployer_conf };
	worker->deployers[0].exec = bench->exec = exec_memory_create(bench->deployer_conf, &exec_env);
	/* It is the same peer that its tasks run on. */
	worker->removed = (struct deployer){ .conf = &worker_removed_conf, .exec = bench->exec };
	worker->store = store_open(BENCH_STORE, &store_options, &err);
	assert_non_null(worker->store);
	worker->deliver = deliver_create(worker, &err);
	assert_non_null(worker->deliver);
}

static struct bench *create(bool ordered, bool events)
{
	struct bench *bench = xnew(struct bench);
	struct heritage heritage = {
		.slots = 1, .drain_timeout_ms = 1000, .in_hand_fd = -1, .shim_fd = -1, .figures_fd = -1, .owner = "unit/1",
	};
	struct conf *conf = make_conf(ordered, events);
	int fds[2];

	log_set_level(LOG_LEVEL_ERROR);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
	heritage.channel_fd = fds[0];
	bench->master_fd = fds[1];
	bench->queue_conf = &conf->queues[0];
	bench->deployer_conf = &conf->deployers[0];
	bench->worker = worker_create(&heritage, conf);
	attach(bench);
	bench->worker->state = WORKER_PARKED;
	adopt_start_ticking(bench->worker);
	worker_go(bench->worker);
	return bench;
}

struct bench *bench_create(bool ordered)
{
	return create(ordered, false);
}

struct bench *bench_create_events(void)
{
	return create(false, true);
}

struct store *bench_other_store(struct bench *bench, const char *owner)
{
	struct store_options options = {
		.loop = bench->worker->loop, .log = &bench->worker->log, .owner = owner, .lease_ms = 30000, .migrate = true,
	};
	struct error err;
	struct store *store = store_open(BENCH_STORE, &options, &err);

	assert_non_null(store);
	return store;
}

void bench_destroy(struct bench *bench)
{
	int channel_fd = bench->worker->heritage.channel_fd;

	bench->worker->removed.exec = NULL;
	worker_destroy(bench->worker);
	close(channel_fd);
	close(bench->master_fd);
	free(bench);
}

static void on_tick(struct ev_loop *loop, ev_timer *timer, int revents)
{
	(void)loop;
	(void)timer;
	(void)revents;
}

/* A short timer bounds each wait of the loop, so that a promise that never comes true ends the test. */
void bench_run_until(struct bench *bench, const char *what, bench_check_fn *check)
{
	double end_s = clock_monotonic_s() + BENCH_DEADLINE_S;
	ev_timer tick;

	ev_timer_init(&tick, on_tick, 0.05, 0.05);
	ev_timer_start(bench->worker->loop, &tick);
	while (!check(bench)) {
		if (clock_monotonic_s() > end_s)
			fail_msg("%s: not within %d s", what, BENCH_DEADLINE_S);
		ev_run(bench->worker->loop, EVRUN_ONCE);
	}
	ev_timer_stop(bench->worker->loop, &tick);
}

void bench_turn(struct bench *bench)
{
	for (int i = 0; i < BENCH_TURNS; i++)
		ev_run(bench->worker->loop, EVRUN_NOWAIT);
}

struct job *bench_job(struct bench *bench, const char *id)
{
	struct job *job = read_job(bench->worker->store, id);

	if (job == NULL)
		fail_msg("no job %s", id);
	return job;
}

void bench_add_audience(struct bench *bench, const char *const *events, size_t count)
{
	struct conf *conf = bench->worker->conf;

	conf->notify_count = 1;
	conf->notify = xnew(struct conf_sink);
	conf->notify->name = xstrdup("people");
	for (size_t i = 0; i < count; i++)
		texts_add(&conf->notify->when, events[i]);
}

struct said {
	char *events;
	unsigned tries;
	bool done;
};

static void on_said(void *arg, const struct store_delivery *deliveries, size_t count, int64_t next_due_ms,
	const struct error *err)
{
	struct said *said = arg;

	(void)next_due_ms;
	assert_null(err);
	for (size_t i = 0; i < count; i++) {
		char *longer = xasprintf("%s%s ", said->events, deliveries[i].event);

		free(said->events);
		said->events = longer;
		said->tries += deliveries[i].tries;
	}
	said->done = true;
}

char *bench_said(struct bench *bench, unsigned *tries)
{
	const struct store_delivery_filter all = { .max = 10 };
	struct said said = { .events = xstrdup("") };

	store_deliveries(bench->worker->store, &all, on_said, &said);
	while (!said.done)
		ev_run(bench->worker->loop, EVRUN_ONCE);
	if (tries != NULL)
		*tries = said.tries;
	return said.events;
}

bool bench_idle(struct bench *bench)
{
	return bench->worker->holdings.count == 0 && queue_memory_count(bench->queue) == 0;
}

bool bench_one_task(struct bench *bench)
{
	return exec_memory_count(bench->exec) == 1;
}

bool bench_two_tasks(struct bench *bench)
{
	return exec_memory_count(bench->exec) == 2;
}
