/* SPDX-License-Identifier: Apache-2.0 */
/* backlog.c - looks at the depth of queues that have thresholds, and of all when workers come and go by it.
 *
 * One worker of a generation looks (slot 0), as one call an interval and queue is enough.  A threshold that is
 * passed is told in the log, and an alarm to the sinks of `errors` as well.  How many workers the backlog is worth
 * is told to the master, which decides (scale.h there).  A queue that cannot say how much it holds counts
 * for nothing; while one does not answer, nothing is told. */
#include "worker/backlog.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "worker/faults.h"

struct look {
	struct backlog *backlog;
	struct intake *intake;
	enum backlog_level level;
};

struct backlog {
	struct worker *worker;
	ev_timer timer;
	struct look *looks;             /* one per queue that is looked at */
	size_t count;
	size_t open;                    /* looks that are not answered yet */
	bool known;                     /* some queue has said how much it holds */
	bool failed;                    /* and another did not answer */
	int64_t depth;                  /* of all that did */
};

enum backlog_level backlog_level_of(enum backlog_level before, int64_t depth, unsigned warn_depth, unsigned alarm_depth)
{
	const unsigned thresholds[] = { [BACKLOG_WARN] = warn_depth, [BACKLOG_ALARM] = alarm_depth };

	for (int level = BACKLOG_ALARM; level > BACKLOG_USUAL; level--) {
		int64_t threshold = thresholds[level];

		if ((int)before >= level)
			threshold -= threshold >= 10 ? threshold / 10 : threshold > 1;
		if (thresholds[level] > 0 && depth >= threshold)
			return (enum backlog_level)level;
	}
	return BACKLOG_USUAL;
}

unsigned backlog_workers(int64_t depth, unsigned depth_per_worker, unsigned min, unsigned max)
{
	int64_t worth = depth_per_worker > 0 ? (depth + depth_per_worker - 1) / depth_per_worker : 0;

	return worth < min ? min : worth > max ? max : (unsigned)worth;
}

static void tell_alarm(struct look *look, int64_t depth)
{
	char text[160];
	struct fault fault = { .kind = "queue_depth", .queue = look->intake->conf->name, .text = text };

	snprintf(text, sizeof(text), "%" PRId64 " messages wait, alarm_depth is %u", depth, look->intake->conf->alarm_depth);
	faults_record(look->backlog->worker, &fault, NULL, NULL, NULL);
}

static void judge(struct look *look, int64_t depth)
{
	const struct conf_queue *conf = look->intake->conf;
	enum backlog_level before = look->level;

	look->level = backlog_level_of(before, depth, conf->warn_depth, conf->alarm_depth);
	if (look->level == before)
		return;
	if (look->level == BACKLOG_USUAL)
		log_info(&look->intake->log, "%" PRId64 " messages wait: as usual again", depth);
	else if (look->level == BACKLOG_WARN)
		log_warn(&look->intake->log, "%" PRId64 " messages wait, warn_depth is %u", depth, conf->warn_depth);
	else
		log_error(&look->intake->log, "%" PRId64 " messages wait, alarm_depth is %u", depth, conf->alarm_depth);
	if (look->level == BACKLOG_ALARM)
		tell_alarm(look, depth);
}

/* Never beyond the processors unless told. */
static unsigned most_workers(const struct conf_scale *scale)
{
	long processors = sysconf(_SC_NPROCESSORS_ONLN);

	if (scale->max > 0)
		return scale->max;
	return processors > (long)scale->min ? (unsigned)processors : scale->min;
}

static void tell_master(struct backlog *backlog)
{
	const struct conf_scale *scale = &backlog->worker->conf->supervisor.scale;

	if (scale->depth_per_worker > 0 && backlog->known && !backlog->failed)
		channel_send_scale(backlog->worker,
			backlog_workers(backlog->depth, scale->depth_per_worker, scale->min, most_workers(scale)),
			(uint64_t)backlog->depth);
}

static void on_depth(void *arg, const struct queue_depth *depth, const struct error *err)
{
	struct look *look = arg;
	struct backlog *backlog = look->backlog;

	if (err != NULL) {
		backlog->failed = true;
		log_debug(&look->intake->log, "its depth is not known: %s", err->text);
	} else if (depth->visible >= 0) {
		backlog->known = true;
		backlog->depth += depth->visible;
		judge(look, depth->visible);
	}
	if (--backlog->open == 0)
		tell_master(backlog);
}

static void on_timer(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct backlog *backlog = container_of(timer, struct backlog, timer);

	(void)loop, (void)revents;
	if (backlog->open > 0)
		return;
	backlog->known = backlog->failed = false;
	backlog->depth = 0;
	backlog->open = backlog->count;
	for (size_t i = 0; i < backlog->count; i++)
		queue_depth(backlog->looks[i].intake->queue, on_depth, &backlog->looks[i]);
}

static bool is_looked_at(const struct worker *worker, const struct intake *intake)
{
	return !intake->is_events && (worker->conf->supervisor.scale.depth_per_worker > 0 ||
		intake->conf->warn_depth > 0 || intake->conf->alarm_depth > 0);
}

void backlog_start(struct worker *worker)
{
	struct backlog *backlog;
	double every_s = (double)worker->conf->supervisor.depth_interval_ms / 1000;

	if (worker->heritage.slot != 0 || worker->backlog != NULL)
		return;
	backlog = xnew(struct backlog);
	backlog->worker = worker;
	backlog->looks = xcalloc(worker->conf->queue_count, sizeof(*backlog->looks));
	for (size_t i = 0; i < worker->conf->queue_count; i++) {
		if (is_looked_at(worker, &worker->intakes[i]))
			backlog->looks[backlog->count++] = (struct look){ .backlog = backlog, .intake = &worker->intakes[i] };
	}
	ev_timer_init(&backlog->timer, on_timer, every_s, every_s);
	if (backlog->count > 0)
		ev_timer_start(worker->loop, &backlog->timer);
	worker->backlog = backlog;
}

void backlog_stop(struct worker *worker)
{
	if (worker->backlog != NULL)
		ev_timer_stop(worker->loop, &worker->backlog->timer);
}

/* The queues are gone, and with them the looks that were open. */
void backlog_finish(struct worker *worker)
{
	backlog_stop(worker);
	if (worker->backlog != NULL)
		free(worker->backlog->looks);
	free(worker->backlog);
	worker->backlog = NULL;
}
