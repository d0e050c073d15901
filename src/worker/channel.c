/* SPDX-License-Identifier: Apache-2.0 */
/* channel.c - the worker's end of the channel to the master. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/descriptor.h"
#include "worker/counters.h"
#include "worker/deliver.h"
#include "worker/poison.h"
#include "worker/worker.h"

enum { READS_A_TURN = 64 };
static const double NEWS_LINGER_S = 0.5;

static void send_report(struct worker *worker, struct report *report)
{
	report->sequence = ++worker->report_sequence;
	if (!report_send(worker->heritage.channel_fd, report, -1) && errno != EPIPE && errno != ECONNRESET)
		worker->reports_dropped++;
}

void channel_send(struct worker *worker, enum report_kind kind, const char *name, const char *text)
{
	struct report report = { 0 };

	report_init(&report, kind, worker->heritage.generation);
	report.config_hash = worker->heritage.config_hash;
	snprintf(report.name, sizeof(report.name), "%s", name);
	snprintf(report.text, sizeof(report.text), "%s", text);
	send_report(worker, &report);
}

static uint64_t resident_bytes(void)
{
	unsigned long long pages = 0;
	FILE *file = fopen("/proc/self/statm", "re");

	if (file == NULL)
		return 0;
	if (fscanf(file, "%*u %llu", &pages) != 1)
		pages = 0;
	fclose(file);
	return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void send_queue(struct worker *worker, struct intake *intake)
{
	struct queue_figures figures;
	struct report report = { 0 };

	queue_figures(intake->queue, &figures);
	report_init(&report, REPORT_QUEUE, worker->heritage.generation);
	snprintf(report.name, sizeof(report.name), "%s", intake->conf->name);
	if (figures.degraded)
		snprintf(report.text, sizeof(report.text), "%s", figures.error.text);
	report.queue = (struct report_queue){
		.held = figures.held,
		.receiving = figures.receiving,
		.received = figures.received,
		.settled = figures.settled,
		.empty_receives = figures.empty_receives,
		.failures = figures.failures,
		.last_receive_age_ms = figures.last_receive_s > 0
			? (int64_t)((clock_monotonic_s() - figures.last_receive_s) * 1000) : -1,
		.degraded = figures.degraded,
	};
	send_report(worker, &report);
}

/* An error that came once may have passed unseen; these two are tried until they succeed. */
static bool store_is_in_trouble(const struct worker *worker)
{
	for (size_t i = 0; worker->state >= WORKER_PARKED && i < worker->conf->queue_count; i++) {
		if (worker->intakes[i].failures > 0)
			return true;
	}
	return worker->unrenewed;
}

void channel_send_alive(struct worker *worker)
{
	struct report report = { 0 };
	struct store_figures figures = { 0 };

	counters_copy(worker);
	report_init(&report, REPORT_ALIVE, worker->heritage.generation);
	if (worker->store != NULL)
		store_figures(worker->store, &figures);
	report.worker = (struct report_worker){
		.held = (uint32_t)worker->holdings.count,
		.running = worker->running,
		.dropped_reports = worker->reports_dropped,
		.log_dropped = (uint32_t)log_dropped(),
		.jobs_done = worker->jobs_done,
		.rss_bytes = resident_bytes(),
		.longest_commit_us = (uint32_t)(figures.longest_commit_s * 1e6),
		.degraded = store_is_in_trouble(worker),
	};
	if (report.worker.degraded)
		snprintf(report.text, sizeof(report.text), "%s", worker->store_trouble);
	send_report(worker, &report);
	if (worker->state == WORKER_PARKED)
		channel_send(worker, REPORT_READY, "", worker->degraded);
	for (size_t i = 0; worker->state >= WORKER_PARKED && i < worker->conf->queue_count; i++)
		send_queue(worker, &worker->intakes[i]);
}

void channel_send_scale(struct worker *worker, unsigned wanted, uint64_t depth)
{
	struct report report = { 0 };

	report_init(&report, REPORT_SCALE, worker->heritage.generation);
	report.scale = (struct report_scale){ .wanted = wanted, .depth = depth };
	send_report(worker, &report);
}

static void on_news(struct ev_loop *loop, ev_timer *timer, int revents)
{
	(void)loop;
	(void)revents;
	channel_send_alive(container_of(timer, struct worker, news));
}

void channel_note_trouble(struct worker *worker, const struct error *err)
{
	snprintf(worker->store_trouble, sizeof(worker->store_trouble), "%s", err->text);
	channel_news(worker);
}

void channel_news(struct worker *worker)
{
	if (ev_is_active(&worker->news))
		return;
	ev_timer_set(&worker->news, NEWS_LINGER_S, 0.);
	ev_timer_start(worker->loop, &worker->news);
}

/* The old descriptor stays the sink until the new one is: no line falls in between. */
static void reopen_log(struct worker *worker, int fd)
{
	enum log_level level = LOG_LEVEL_INFO;
	enum log_format format = LOG_FORMAT_LOGFMT;
	int old = log_fd();

	if (fd < 0)
		return;
	log_level_parse(worker->conf->log.level, &level);
	log_format_parse(worker->conf->log.format, &format);
	log_open_fd(fd, format, level);
	if (old > STDERR_FILENO)
		close(old);
}

static void obey(struct worker *worker, const struct report *report, int passed_fd)
{
	switch ((enum report_kind)report->kind) {
	case REPORT_GO:
		worker_go(worker);
		break;
	case REPORT_DRAIN:
		worker->last = report->drain.last != 0;
		drain_start(worker, report->deadline_ms, report->text[0] != '\0' ? report->text : "told to drain");
		break;
	case REPORT_RELEASE:
	case REPORT_EXIT:
		if (worker->state <= WORKER_PARKED)
			worker_leave(worker, EXIT_SUCCESS);
		else
			drain_release(worker);
		break;
	case REPORT_REOPEN:
		reopen_log(worker, passed_fd);
		break;
	case REPORT_PING:
		channel_send_alive(worker);
		break;
	case REPORT_ADOPT:
		adopt_start(worker);
		deliver_wake(worker->deliver);
		break;
	case REPORT_SWEEP:
		adopt_sweep(worker);
		break;
	case REPORT_ORPHANS:
		if (worker->state == WORKER_ACTIVE || worker->state == WORKER_DRAINING)
			adopt_orphans(worker, report->name, report->text);
		break;
	case REPORT_CRASHED_ON:
		if (worker->state == WORKER_ACTIVE || worker->state == WORKER_DRAINING)
			poison_note(worker, report->name, report->text);
		break;
	default:
		log_warn(&worker->log, "the master said %s, which is not for workers", report_kind_name(report->kind));
		break;
	}
}

/* False when there is no more for now. */
static bool read_one(struct worker *worker)
{
	struct report report;
	int passed_fd = -1;

	switch (report_receive(worker->heritage.channel_fd, &report, &passed_fd)) {
	case REPORT_READ_ONE:
		obey(worker, &report, passed_fd);
		if (passed_fd >= 0 && report.kind != REPORT_REOPEN)
			close(passed_fd);
		return true;
	case REPORT_READ_BAD:
		log_warn(&worker->log, "a report of the master was not understood");
		return true;
	case REPORT_READ_EOF:
		ev_io_stop(worker->loop, &worker->channel);
		worker->last = true;
		drain_start(worker, worker->heritage.drain_timeout_ms, "the master is gone");
		return false;
	case REPORT_READ_NONE:
		break;
	}
	return false;
}

static void on_readable(struct ev_loop *loop, ev_io *io, int revents)
{
	struct worker *worker = container_of(io, struct worker, channel);

	(void)loop;
	(void)revents;
	worker->listening = true;
	for (int i = 0; i < READS_A_TURN && read_one(worker); i++)
		;
	worker->listening = false;
	worker_begin(worker);
}

static void on_heartbeat(struct ev_loop *loop, ev_timer *timer, int revents)
{
	(void)loop;
	(void)revents;
	channel_send_alive(container_of(timer, struct worker, heartbeat));
}

void channel_start(struct worker *worker)
{
	double period_s = (double)worker->heritage.heartbeat_ms / 1000;

	descriptor_set_nonblocking(worker->heritage.channel_fd, true);
	ev_io_init(&worker->channel, on_readable, worker->heritage.channel_fd, EV_READ);
	ev_io_start(worker->loop, &worker->channel);
	ev_init(&worker->news, on_news);
	ev_timer_init(&worker->heartbeat, on_heartbeat, period_s, period_s);
	if (period_s > 0)
		ev_timer_start(worker->loop, &worker->heartbeat);
}

void channel_stop(struct worker *worker)
{
	ev_io_stop(worker->loop, &worker->channel);
	ev_timer_stop(worker->loop, &worker->heartbeat);
	ev_timer_stop(worker->loop, &worker->news);
	/* The last word: the page outlives us. */
	counters_copy(worker);
}
