/* SPDX-License-Identifier: Apache-2.0 */
/* ecs_log_cache.c - which streams are kept, in which files, and who reads them; see ecs_log.h. */
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "api/ecs_log_impl.h"
#include "base/clock.h"
#include "base/descriptor.h"
#include "base/mem.h"

/* The quota is 10 to 30 calls a second, by region, for all who read logs of the account. */
static const double calls_per_s = 5, calls_burst = 10;
static const double fresh_s = 2;        /* who comes so shortly after a look gets what that one saw */

struct ecs_logs *ecs_logs_create(const struct ecs_logs_options *options, struct error *err)
{
	struct ecs_logs *logs = xnew(struct ecs_logs);

	logs->loop = options->loop;
	log_init(&logs->log, options->log, "task logs");
	logs->directory = xstrdup(options->directory);
	list_init(&logs->by_use);
	rate_init(&logs->rate, calls_per_s, calls_burst, calls_per_s, clock_monotonic_s());
	logs->aws = aws_create(options->loop, &logs->log, options->aws, err);
	if (logs->aws != NULL)
		return logs;
	ecs_logs_destroy(logs);
	return NULL;
}

struct aws *ecs_logs_aws(struct ecs_logs *logs)
{
	return logs->aws;
}

void ecs_logs_arm(struct ecs_logs *logs, ev_timer *timer, double delay_s)
{
	ev_timer_stop(logs->loop, timer);
	ev_timer_set(timer, delay_s > 0 ? delay_s : 0., 0.);
	ev_timer_start(logs->loop, timer);
}

static void log_destroy(struct ecs_log *log)
{
	struct ecs_logs *logs = log->logs;

	aws_call_cancel(log->call);
	aws_call_cancel(log->tail);
	ev_timer_stop(logs->loop, &log->pause);
	ev_timer_stop(logs->loop, &log->tell);
	table_remove(&logs->by_task, &log->by_task);
	list_remove(&log->link);
	logs->count--;
	logs->bytes -= log->bytes;
	descriptor_close(&log->fd);
	logs_place_finish(&log->place);
	free(log->task);
	free(log->definition);
	free(log->container);
	free(log->token);
	free(log->result);
	free(log);
}

void ecs_logs_destroy(struct ecs_logs *logs)
{
	if (logs == NULL)
		return;
	while (!list_empty(&logs->by_use))
		log_destroy(list_first(&logs->by_use, struct ecs_log, link));
	table_finish(&logs->by_task);
	ecs_log_forget_places(logs);
	aws_destroy(logs->aws);
	free(logs->directory);
	free(logs);
}

/* Forgets one that nobody reads. */
static bool evict(struct ecs_logs *logs)
{
	struct ecs_log *log;

	list_each(log, &logs->by_use, link) {
		if (list_empty(&log->readers) && log->telling == 0) {
			log_destroy(log);
			return true;
		}
	}
	return false;
}

bool ecs_logs_make_room(struct ecs_logs *logs)
{
	while (logs->bytes + LIMIT_ECS_RESULT_BYTES > LIMIT_ECS_LOGS_BYTES) {
		if (!evict(logs))
			return false;
	}
	return true;
}

static struct ecs_log *log_create(struct ecs_logs *logs, const struct ecs_log_task *task)
{
	struct ecs_log *log;

	if (logs->count >= LIMIT_ECS_LOGS)
		evict(logs);
	log = xnew(struct ecs_log);
	log->logs = logs;
	log->task = xstrdup(task->task);
	log->definition = xstrdup(task->definition);
	log->container = xstrdup(task->container);
	log->fd = -1;
	list_init(&log->readers);
	ev_init(&log->pause, ecs_log_on_pause);
	ev_init(&log->tell, ecs_result_on_tell);
	table_add(&logs->by_task, &log->by_task, log->task);
	list_append(&logs->by_use, &log->link);
	logs->count++;
	return log;
}

static struct ecs_log *log_of(struct ecs_logs *logs, const struct ecs_log_task *task)
{
	struct table_link *link = table_find(&logs->by_task, task->task);
	struct ecs_log *log;

	if (link == NULL)
		return log_create(logs, task);
	log = container_of(link, struct ecs_log, by_task);
	list_remove(&log->link);
	list_append(&logs->by_use, &log->link);
	return log;
}

struct ecs_log_reader *ecs_log_open(struct ecs_logs *logs, const struct ecs_log_task *task, ecs_log_news_fn *news, void *arg)
{
	struct ecs_log_reader *reader = xnew(struct ecs_log_reader);
	struct ecs_log *log = log_of(logs, task);

	*reader = (struct ecs_log_reader){ .log = log, .looks = log->looks, .news = news, .arg = arg };
	list_append(&log->readers, &reader->link);
	if (log->place.stream == NULL)
		ecs_log_recall_place(log, task->conf);
	return reader;
}

void ecs_log_follow(struct ecs_log_reader *reader)
{
	reader->follows = true;
	ecs_log_look_again(reader->log);
	ecs_log_go_on(reader->log);
}

void ecs_log_close(struct ecs_log_reader *reader)
{
	if (reader == NULL)
		return;
	list_remove(&reader->link);
	free(reader);
}

/* Each in turn, the readers may close themselves or others, and new ones may come. */
void ecs_log_news(struct ecs_log *log)
{
	struct list told;

	log->telling++;
	list_init(&told);
	list_splice(&told, &log->readers);
	while (!list_empty(&told)) {
		struct ecs_log_reader *reader = list_first(&told, struct ecs_log_reader, link);

		list_remove(&reader->link);
		list_append(&log->readers, &reader->link);
		if (reader->news != NULL)
			reader->news(reader->arg);
	}
	log->telling--;
}

void ecs_log_over(struct ecs_log_reader *reader, int64_t ended_ms)
{
	struct ecs_log *log = reader->log;
	double ago_s = (double)(clock_steady_ms() - ended_ms) / 1000;

	if (log->over)
		return;
	log->over = true;
	log->over_s = clock_monotonic_s() - (ago_s > 0 ? ago_s : 0);
	log->idle = 0;
	ecs_log_go_on(log);
}

int ecs_log_fd(const struct ecs_log_reader *reader)
{
	return reader->log->fd;
}

int64_t ecs_log_size(const struct ecs_log_reader *reader)
{
	return reader->log->bytes;
}

bool ecs_log_fresh(const struct ecs_log_reader *reader)
{
	const struct ecs_log *log = reader->log;
	double now_s = clock_monotonic_s();

	return log->complete || log->looks != reader->looks || (log->looks > 0 && now_s - log->looked_s < fresh_s);
}

bool ecs_log_ended(const struct ecs_log_reader *reader)
{
	const struct ecs_log *log = reader->log;

	return log->complete || log->trouble.kind != ERROR_NONE || (log->over && log->seen_s > 0 && log->seen_s >= log->over_s);
}

bool ecs_log_complete(const struct ecs_log_reader *reader)
{
	return reader->log->complete;
}

const struct error *ecs_log_trouble(const struct ecs_log_reader *reader)
{
	return &reader->log->trouble;
}
