/* SPDX-License-Identifier: Apache-2.0 */
/* exec_ecs_watch.c - waits for the ends of tasks: one schedule of looks per cluster, for all deployers
 * of a worker.
 *
 * A task is looked at every second while it is young and more seldom with its age, so that a short
 * deployment is not kept waiting and ten thousand long ones cost a few calls a second.  A call is
 * filled up to a hundred tasks with those that would be due soon.  When there are more looks than the
 * rate allows, each of them just comes later.
 *
 * A task that is MISSING may not be visible yet, or not any more.  Only when it has stayed away for five
 * minutes, twice at least, is it given up as "unknown".  A call that fails changes nothing. */
#include <stdlib.h>
#include <string.h>

#include "base/backoff.h"
#include "base/clock.h"
#include "base/json_at.h"
#include "base/mem.h"
#include "base/random.h"
#include "exec/exec_ecs.h"

enum { REPEAT_LOG_S = 300 };
static const double interval_min_s = 1, interval_max_s = 30;
static const double missing_interval_s = 2, stopping_interval_s = 2;
static const double retry_first_s = 0.5, retry_max_s = 30, human_retry_s = 60;
static const double at_once_s = 0.002;          /* a timer may come this much early */

struct ecs_describe {
	struct list link;               /* ecs_cluster.describes */
	struct ecs_cluster *cluster;
	struct aws_call *call;
	size_t count;
	struct ecs_watch *watches[ECS_DESCRIBE_MAX];    /* NULL: not watched any more */
};

double ecs_watch_interval_s(double age_s)
{
	double interval_s = age_s / 10;

	return interval_s < interval_min_s ? interval_min_s : interval_s > interval_max_s ? interval_max_s : interval_s;
}

/* -- clusters --------------------------------------------------------------------------------------- */

static void cluster_run(struct ecs_cluster *cluster);

static void on_due(struct ev_loop *loop, ev_timer *timer, int revents)
{
	(void)loop;
	(void)revents;
	cluster_run(container_of(timer, struct ecs_cluster, timer));
}

static struct ecs_cluster *cluster_get(struct ecs_account *account, const char *name)
{
	struct ecs_cluster *cluster;

	list_each(cluster, &account->clusters, link) {
		if (strcmp(cluster->name, name) == 0) {
			cluster->watches++;
			return cluster;
		}
	}
	cluster = xnew(struct ecs_cluster);
	cluster->account = account;
	cluster->name = xstrdup(name);
	cluster->watches = 1;
	list_init(&cluster->describes);
	list_init(&cluster->news);
	ev_timer_init(&cluster->timer, on_due, 0., 0.);
	list_append(&account->clusters, &cluster->link);
	return cluster;
}

static void describe_free(struct ecs_describe *describe)
{
	for (size_t i = 0; i < describe->count; i++) {
		if (describe->watches[i] != NULL && describe->watches[i]->describe == describe)
			describe->watches[i]->describe = NULL;
	}
	describe->cluster->calls--;
	aws_call_cancel(describe->call);
	list_remove(&describe->link);
	free(describe);
}

static void cluster_put(struct ecs_cluster *cluster)
{
	if (--cluster->watches > 0)
		return;
	while (!list_empty(&cluster->describes))
		describe_free(list_first(&cluster->describes, struct ecs_describe, link));
	ev_timer_stop(cluster->account->loop, &cluster->timer);
	schedule_finish(&cluster->schedule);
	list_remove(&cluster->link);
	free(cluster->name);
	free(cluster);
}

static void rearm(struct ecs_cluster *cluster)
{
	const struct schedule_entry *first = schedule_first(&cluster->schedule);
	double now_s = clock_monotonic_s(), at_s;

	if (first == NULL || cluster->calls >= LIMIT_ECS_DESCRIBES) {
		ev_timer_stop(cluster->account->loop, &cluster->timer);
		return;
	}
	at_s = first->due_s > cluster->not_before_s ? first->due_s : cluster->not_before_s;
	ecs_arm(cluster->account, &cluster->timer, at_s - now_s);
}

/* -- when to look ----------------------------------------------------------------------------------- */

static double interval_s(const struct ecs_watch *watch, double now_s)
{
	double wait_s = ecs_watch_interval_s(now_s - watch->since_s);

	if (watch->missing > 0 && wait_s < missing_interval_s)
		wait_s = missing_interval_s;
	if (watch->stopping && wait_s > stopping_interval_s)
		wait_s = stopping_interval_s;
	return wait_s;
}

static void look_in(struct ecs_watch *watch, double delay_s)
{
	struct ecs_cluster *cluster = watch->cluster;

	schedule_put(&cluster->schedule, &watch->entry, clock_monotonic_s() + delay_s);
	if (schedule_first(&cluster->schedule) == &watch->entry)
		rearm(cluster);
}

void ecs_watch_hurry(struct ecs_watch *watch)
{
	if (watch->describe == NULL && watch->end == NULL)
		look_in(watch, interval_min_s);
}

/* -- telling ---------------------------------------------------------------------------------------- */

static void watch_free(struct ecs_watch *watch)
{
	ecs_stop_finish(watch);
	if (watch->describe != NULL)
		watch->describe->watches[watch->slot] = NULL;
	schedule_remove(&watch->cluster->schedule, &watch->entry);
	list_remove(&watch->news);
	list_remove(&watch->mine);
	cluster_put(watch->cluster);
	free(watch->arn);
	free(watch->container);
	free(watch->end);
	free(watch);
}

static void tell_one(struct ecs_watch *watch)
{
	struct exec_watch_events events = watch->events;
	int64_t running_ms = watch->running_ms;
	struct exec_end *end;

	if (running_ms > 0) {
		watch->running_ms = 0;
		if (watch->end == NULL)
			list_remove(&watch->news);
		if (events.started != NULL)
			events.started(events.arg, running_ms);
		return;
	}
	end = watch->end;
	watch->end = NULL;
	watch_free(watch);
	events.ended(events.arg, end);
	free(end);
}

/* The account may go with the last deployer, in one of these. */
static void tell(struct ecs_account *account)
{
	struct ecs_cluster *cluster, *found;
	bool gone = false;

	account->gone = &gone;
	do {
		found = NULL;
		list_each(cluster, &account->clusters, link) {
			if (!list_empty(&cluster->news))
				found = cluster;
		}
		if (found != NULL)
			tell_one(list_first(&found->news, struct ecs_watch, news));
	} while (!gone && found != NULL);
	if (!gone)
		account->gone = NULL;
}

static void add_news(struct ecs_watch *watch)
{
	list_remove(&watch->news);
	list_append(&watch->cluster->news, &watch->news);
}

/* -- what a look brought ---------------------------------------------------------------------------- */

static void take_end(struct ecs_watch *watch, const json_t *task)
{
	watch->end = xnew(struct exec_end);
	ecs_verdict(task, watch->container, watch->end);
	if (!watch->told_running && watch->end->started_ms > 0)
		watch->running_ms = watch->end->started_ms;
	add_news(watch);
}

static void take_task(struct ecs_watch *watch, const json_t *task, double now_s)
{
	int64_t started_ms;

	watch->missing = 0;
	watch->missing_since_s = 0;
	watch->alone = false;
	if (ecs_task_ended(task)) {
		take_end(watch, task);
		return;
	}
	if (!watch->told_running && ecs_task_running(task)) {
		watch->told_running = true;
		started_ms = ecs_time_ms(task, "startedAt");
		watch->running_ms = started_ms > 0 ? started_ms : clock_wall_ms();
		add_news(watch);
	}
	look_in(watch, interval_s(watch, now_s));
}

static void take_missing(struct ecs_watch *watch, double now_s)
{
	if (watch->missing++ == 0)
		watch->missing_since_s = now_s;
	if (watch->missing < 2 || now_s - watch->missing_since_s < ECS_MISSING_S) {
		look_in(watch, interval_s(watch, now_s));
		return;
	}
	watch->end = xnew(struct exec_end);
	job_result_set(&watch->end->result, JOB_FAILED, "unknown", JOB_NO_EXIT_CODE,
		"ECS has not known the task for %.0f s: its end was not seen", now_s - watch->missing_since_s);
	add_news(watch);
}

static void note_failure(struct ecs_cluster *cluster, const struct error *err)
{
	double now_s = clock_monotonic_s();
	bool human = !error_may_pass(err->kind);
	bool news = cluster->failures == 0 || strcmp(cluster->error.code, err->code) != 0 ||
		    cluster->error.kind != err->kind || now_s - cluster->logged_s >= REPEAT_LOG_S;

	if (err->kind == ERROR_THROTTLED)
		rate_throttled(&cluster->account->describe_rate, now_s);
	if (cluster->failures++ == 0)
		cluster->failing_since_s = now_s;
	cluster->error = *err;
	cluster->not_before_s = now_s + (human ? human_retry_s
		: backoff_s(cluster->failures, retry_first_s, retry_max_s, random_unit()));
	if (!news)
		return;
	cluster->logged_s = now_s;
	log_at(&cluster->account->log, human ? LOG_LEVEL_ERROR : LOG_LEVEL_WARN,
		"watching the %u tasks in cluster %s failed (%s): %s; they are watched again in %.0fs", cluster->watches,
		cluster->name, error_kind_name(err->kind), err->text, cluster->not_before_s - now_s);
}

static void note_success(struct ecs_cluster *cluster)
{
	rate_accepted(&cluster->account->describe_rate, clock_monotonic_s());
	if (cluster->failures == 0)
		return;
	log_info(&cluster->account->log, "watching the tasks in cluster %s works again after %.0fs", cluster->name,
		clock_monotonic_s() - cluster->failing_since_s);
	cluster->failures = 0;
	cluster->not_before_s = 0;
}

/* Input that ECS refuses is one bad name among a hundred: each is looked at alone then, and one that
 * is refused alone is as good as missing. */
static void take_refused(struct ecs_describe *describe, double now_s)
{
	for (size_t i = 0; i < describe->count; i++) {
		struct ecs_watch *watch = describe->watches[i];

		if (watch == NULL)
			continue;
		if (describe->count == 1)
			take_missing(watch, now_s);
		else {
			watch->alone = true;
			look_in(watch, 0);
		}
	}
}

static void take_failed(struct ecs_describe *describe, const struct error *err, double now_s)
{
	if (err->kind == ERROR_INVALID) {
		log_warn(&describe->cluster->account->log, "a look at %zu tasks in cluster %s was refused: %s",
			describe->count, describe->cluster->name, err->text);
		take_refused(describe, now_s);
		return;
	}
	note_failure(describe->cluster, err);
	for (size_t i = 0; i < describe->count; i++) {
		if (describe->watches[i] != NULL)
			look_in(describe->watches[i], 0);
	}
}

static void take_reply(struct ecs_describe *describe, const json_t *doc, double now_s)
{
	note_success(describe->cluster);
	for (size_t i = 0; i < describe->count; i++) {
		struct ecs_watch *watch = describe->watches[i];
		const json_t *task;
		bool missing;

		if (watch == NULL)
			continue;
		task = ecs_find_task(doc, watch->arn, &missing);
		if (task != NULL)
			take_task(watch, task, now_s);
		else if (missing)
			take_missing(watch, now_s);
		else
			look_in(watch, interval_s(watch, now_s));
	}
}

static void on_described(void *arg, const struct aws_reply *reply, const struct error *err)
{
	struct ecs_describe *describe = arg;
	struct ecs_cluster *cluster = describe->cluster;
	struct ecs_account *account = cluster->account;
	double now_s = clock_monotonic_s();

	describe->call = NULL;
	for (size_t i = 0; i < describe->count; i++) {
		if (describe->watches[i] != NULL)
			describe->watches[i]->describe = NULL;
	}
	if (err != NULL)
		take_failed(describe, err, now_s);
	else
		take_reply(describe, reply->doc, now_s);
	describe_free(describe);
	rearm(cluster);
	tell(account);
}

/* -- looking ---------------------------------------------------------------------------------------- */

/* Takes off the schedule what is due, and what would be due within half of its interval. */
static size_t gather(struct ecs_cluster *cluster, double now_s, struct ecs_watch **watches)
{
	struct schedule_entry *entry;
	size_t count = 0;

	while (count < ECS_DESCRIBE_MAX && (entry = schedule_first(&cluster->schedule)) != NULL) {
		struct ecs_watch *watch = container_of(entry, struct ecs_watch, entry);
		double ahead_s = count > 0 ? interval_s(watch, now_s) / 2 : at_once_s;

		if (entry->due_s > now_s + ahead_s || (watch->alone && count > 0))
			break;
		schedule_remove(&cluster->schedule, entry);
		watches[count++] = watch;
		if (watch->alone)
			break;
	}
	return count;
}

static void describe_send(struct ecs_cluster *cluster, struct ecs_watch **watches, size_t count)
{
	struct ecs_describe *describe = xnew(struct ecs_describe);
	const char *arns[ECS_DESCRIBE_MAX];

	describe->cluster = cluster;
	describe->count = count;
	for (size_t i = 0; i < count; i++) {
		describe->watches[i] = watches[i];
		watches[i]->describe = describe;
		watches[i]->slot = i;
		arns[i] = watches[i]->arn;
	}
	list_append(&cluster->describes, &describe->link);
	cluster->calls++;
	describe->call = ecs_call(cluster->account, "DescribeTasks", ecs_describe_input(cluster->name, arns, count),
		on_described, describe);
}

static void cluster_run(struct ecs_cluster *cluster)
{
	struct rate *rate = &cluster->account->describe_rate;
	double now_s = clock_monotonic_s();
	struct ecs_watch *watches[ECS_DESCRIBE_MAX];

	while (cluster->calls < LIMIT_ECS_DESCRIBES && cluster->not_before_s <= now_s + at_once_s) {
		const struct schedule_entry *first = schedule_first(&cluster->schedule);

		if (first == NULL || first->due_s > now_s + at_once_s)
			break;
		if (!rate_take(rate, now_s)) {
			ecs_arm(cluster->account, &cluster->timer, rate_wait_s(rate, now_s));
			return;
		}
		describe_send(cluster, watches, gather(cluster, now_s, watches));
	}
	rearm(cluster);
}

/* -- watches ---------------------------------------------------------------------------------------- */

struct exec_watch *ecs_watch(struct exec *exec, const char *handle, const char *request, int64_t since_ms,
	const struct exec_watch_events *events)
{
	struct exec_ecs *ecs = container_of(exec, struct exec_ecs, face);
	struct ecs_watch *watch = xnew(struct ecs_watch);
	json_t *doc = request != NULL ? json_at_parse(request, strlen(request), NULL) : NULL;
	const char *name = ecs_request_cluster(doc), *container = ecs_request_container(doc);
	double age_s = (double)(clock_wall_ms() - since_ms) / 1000;

	/* The attempt was launched where its request says, whatever the configuration says now. */
	if (name == NULL)
		name = exec->conf->cluster != NULL ? exec->conf->cluster : "default";
	watch->face.exec = exec;
	watch->cluster = cluster_get(ecs->account, name);
	watch->arn = xstrdup(handle);
	watch->container = xstrdup(container != NULL ? container : exec->conf->container);
	watch->events = *events;
	watch->since_s = clock_monotonic_s() - (since_ms > 0 && age_s > 0 ? age_s : 0);
	list_init(&watch->news);
	list_append(&ecs->watches, &watch->mine);
	ecs_stop_init(watch);
	json_decref(doc);
	look_in(watch, age_s < interval_min_s ? interval_min_s : 0);
	return &watch->face;
}

void ecs_unwatch(struct exec_watch *face)
{
	watch_free(container_of(face, struct ecs_watch, face));
}
