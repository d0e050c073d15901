/* SPDX-License-Identifier: Apache-2.0 */
/* exec_ecs_cluster.c - DescribeTasks: one schedule of looks per cluster, for all deployers of a worker.
 *
 * A call is filled up to a hundred tasks with those that would be due soon.  When there are more looks
 * than the rate allows, each of them just comes later.  What a look means for its task is said in
 * exec_ecs_watch.c; here is only decided what a failed call means, and that is nothing about the tasks:
 * they are looked at again, slower and slower while calls fail.  But when ECS itself refuses what a call
 * says, one name among the hundred may be to blame. */
#include <stdlib.h>
#include <string.h>

#include "base/backoff.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/random.h"
#include "exec/exec_ecs.h"

enum {
	REPEAT_LOG_S = 300,
	THIN = ECS_DESCRIBE_MAX / 2,
	LIMIT_CALLS_DUE = 50,                   /* are counted; more are not asked for at once */
};
static const double retry_first_s = 0.5, retry_max_s = 30, human_retry_s = 60;
static const double at_once_s = 0.002;          /* a timer may come this much early */
/* Calls with less than half of the tasks that they have room for don't follow each other faster; until then it is seen
 * so often whether there are more. */
static const double thin_every_s = 0.2, thin_check_s = 0.02;

struct ecs_describe {
	struct list link;               /* ecs_cluster.describes */
	struct ecs_cluster *cluster;
	struct aws_call *call;
	size_t count;
	struct ecs_watch *watches[ECS_DESCRIBE_MAX];    /* NULL: not watched any more */
};

static void cluster_run(struct ecs_cluster *cluster);

static void on_due(struct ev_loop *loop, ev_timer *timer, int revents)
{
	(void)loop;
	(void)revents;
	cluster_run(container_of(timer, struct ecs_cluster, timer));
}

struct ecs_cluster *ecs_cluster_get(struct ecs_account *account, const char *name)
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

void ecs_cluster_put(struct ecs_cluster *cluster)
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

void ecs_cluster_look_in(struct ecs_watch *watch, double delay_s)
{
	struct ecs_cluster *cluster = watch->cluster;

	schedule_put(&cluster->schedule, &watch->entry, clock_monotonic_s() + delay_s);
	if (schedule_first(&cluster->schedule) == &watch->entry)
		rearm(cluster);
}

/* -- what a call brought ---------------------------------------------------------------------------- */

static void note_failure(struct ecs_cluster *cluster, const struct error *err)
{
	double now_s = clock_monotonic_s();
	bool human = err->kind == ERROR_REFUSED;
	bool news = cluster->failures == 0 || strcmp(cluster->error.code, err->code) != 0 ||
		    cluster->error.kind != err->kind || now_s - cluster->logged_s >= REPEAT_LOG_S;

	if (err->kind == ERROR_THROTTLED)
		rate_share_throttled(&cluster->account->describe_rate);
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
	rate_share_accepted(&cluster->account->describe_rate);
	if (cluster->failures == 0)
		return;
	log_info(&cluster->account->log, "watching the tasks in cluster %s works again after %.0fs", cluster->name,
		clock_monotonic_s() - cluster->failing_since_s);
	cluster->failures = 0;
	cluster->not_before_s = 0;
}

/* Only these are about what the call says.  Any other 400 may be a proxy's, and an answer that is too large
 * to be read says nothing about the tasks in it. */
static bool is_about_a_name(const struct error *err)
{
	return err->kind == ERROR_INVALID &&
	       (strcmp(err->code, "InvalidParameterException") == 0 || strcmp(err->code, "ClientException") == 0);
}

/* One bad name among a hundred: each is looked at alone then, and one that is refused alone is as good
 * as missing. */
static void take_refused(struct ecs_describe *describe, const struct error *err, double now_s)
{
	if (describe->count > 1 || describe->watches[0] == NULL || describe->watches[0]->missing == 0)
		log_warn(&describe->cluster->account->log, "a look at %zu tasks in cluster %s was refused: %s",
			describe->count, describe->cluster->name, err->text);
	for (size_t i = 0; i < describe->count; i++) {
		struct ecs_watch *watch = describe->watches[i];

		if (watch == NULL)
			continue;
		if (describe->count == 1)
			ecs_watch_take_missing(watch, now_s);
		else {
			watch->alone = true;
			ecs_cluster_look_in(watch, 0);
		}
	}
}

static void take_failed(struct ecs_describe *describe, const struct error *err, double now_s)
{
	if (is_about_a_name(err)) {
		take_refused(describe, err, now_s);
		return;
	}
	note_failure(describe->cluster, err);
	for (size_t i = 0; i < describe->count; i++) {
		if (describe->watches[i] != NULL)
			ecs_cluster_look_in(describe->watches[i], 0);
	}
}

static void take_reply(struct ecs_describe *describe, const json_t *doc, double now_s)
{
	size_t next = 0;

	note_success(describe->cluster);
	for (size_t i = 0; i < describe->count; i++) {
		struct ecs_watch *watch = describe->watches[i];
		const json_t *task;
		bool missing;

		if (watch == NULL)
			continue;
		task = ecs_find_task(doc, watch->arn, &next, &missing);
		watch->seen = watch->seen || task != NULL;
		if (task != NULL)
			ecs_watch_take(watch, task, now_s);
		else if (missing)
			ecs_watch_take_missing(watch, now_s);
		else
			ecs_watch_take_nothing(watch, now_s);
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
	ecs_watches_tell(account);
}

/* -- looking ---------------------------------------------------------------------------------------- */

/* How much earlier than it is due a task comes along with others. */
static double ahead_s(const struct ecs_watch *watch, double now_s)
{
	return pace_ahead_s(ecs_watch_pace_s(watch, now_s));
}

/* Takes off the schedule what is due, and what comes along. */
static size_t gather(struct ecs_cluster *cluster, double now_s, struct ecs_watch **watches)
{
	struct schedule_entry *entry;
	size_t count = 0;

	while (count < ECS_DESCRIBE_MAX && (entry = schedule_first(&cluster->schedule)) != NULL) {
		struct ecs_watch *watch = container_of(entry, struct ecs_watch, entry);
		double by_s = now_s + (count == 0 ? at_once_s : ahead_s(watch, now_s));

		if (entry->due_s > by_s || (watch->alone && count > 0))
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
	struct aws_request request = { .service = AWS_ECS, .action = "DescribeTasks", .reads = ecs_watch_reads };
	const char *arns[ECS_DESCRIBE_MAX];

	describe->cluster = cluster;
	describe->count = count;
	for (size_t i = 0; i < count; i++) {
		describe->watches[i] = watches[i];
		watches[i]->describe = describe;
		watches[i]->slot = i;
		watches[i]->hurry = false;
		arns[i] = watches[i]->arn;
	}
	list_append(&cluster->describes, &describe->link);
	cluster->calls++;
	request.input = ecs_describe_input(cluster->name, arns, count);
	describe->call = aws_call(cluster->account->aws, &request, on_described, describe);
	json_decref(request.input);
}

/* The watch is not looked for any more by the call that is under way for it. */
void ecs_describe_forget(struct ecs_watch *watch)
{
	if (watch->describe != NULL)
		watch->describe->watches[watch->slot] = NULL;
	watch->describe = NULL;
}

/* How many calls it takes to look at what is due. */
static unsigned calls_due(const struct ecs_cluster *cluster, double now_s)
{
	size_t due = schedule_due(&cluster->schedule, now_s + at_once_s, LIMIT_CALLS_DUE * ECS_DESCRIBE_MAX);

	return (unsigned)((due + ECS_DESCRIBE_MAX - 1) / ECS_DESCRIBE_MAX);
}

/* How long the first look waits for others to come along, at least. */
static double company_wait_s(const struct ecs_cluster *cluster, const struct ecs_watch *first, double now_s)
{
	double left_s = cluster->thin_s + thin_every_s - now_s;
	double by_s = now_s + ahead_s(first, now_s);

	if (left_s <= at_once_s || first->alone || schedule_due(&cluster->schedule, by_s, THIN) >= THIN)
		return 0;
	return left_s < thin_check_s ? left_s : thin_check_s;
}

static void cluster_run(struct ecs_cluster *cluster)
{
	double now_s = clock_monotonic_s(), wait_s;
	struct ecs_watch *watches[ECS_DESCRIBE_MAX];
	unsigned due = calls_due(cluster, now_s);

	while (cluster->calls < LIMIT_ECS_DESCRIBES && cluster->not_before_s <= now_s + at_once_s) {
		struct schedule_entry *first = schedule_first(&cluster->schedule);
		size_t count;

		if (first == NULL || first->due_s > now_s + at_once_s)
			break;
		wait_s = company_wait_s(cluster, container_of(first, struct ecs_watch, entry), now_s);
		if (wait_s > 0) {
			ecs_arm(cluster->account, &cluster->timer, wait_s);
			return;
		}
		if (!ecs_account_take_describe(cluster->account, due > 0 ? due-- : 1, &wait_s)) {
			ecs_arm(cluster->account, &cluster->timer, wait_s);
			return;
		}
		count = gather(cluster, now_s, watches);
		if (count < THIN && !watches[0]->alone)
			cluster->thin_s = now_s;
		describe_send(cluster, watches, count);
	}
	rearm(cluster);
}

void ecs_clusters_run(struct ecs_account *account)
{
	struct ecs_cluster *cluster;

	list_each(cluster, &account->clusters, link)
		cluster_run(cluster);
}
