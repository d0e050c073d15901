/* SPDX-License-Identifier: Apache-2.0 */
/* exec_ecs_watch.c - waits for the end of a task, by what is seen or heard of it.
 *
 * How often a task is looked at is said in pace.h; what its deployer's earlier tasks took is learned here.  Where
 * events tell of its changes, it is looked at once, as the first ones may have come before its watch, and then
 * every five minutes: events are fast, and looks are the truth.  Both are judged alike; what is older than what
 * was seen already (its version says so) is not.
 *
 * A task that is MISSING may not be visible yet, or not any more.  Only when it has stayed away for five
 * minutes, twice at least, is it given up as "unknown".
 *
 * One that does not come to run within its provisioning timeout is stopped.  That is decided by a look, not
 * by a timer: a new owner knows nothing about a task before it has seen it. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/json_at.h"
#include "base/mem.h"
#include "exec/exec_ecs.h"

static const double missing_interval_s = 2, stopping_interval_s = 2;
static const double visible_s = 1;              /* a task that is younger need not be visible yet */
static const double hurry_s = 1;
static const double heard_s = 0.25;             /* those that are heard of meanwhile are asked about together */
static const double after_deadline_s = 0.05;

const char *const ecs_watch_reads[] = {
	"tasks", "taskArn", "failures", "arn", "reason",        /* ecs_find_task() */
	"version", "lastStatus", "createdAt", "startedAt", "stoppedAt", /* below */
	"stopCode", "stoppedReason", "containers", "name", "exitCode",     /* ecs_verdict(), with "reason" */
	NULL
};

/* -- when to look ----------------------------------------------------------------------------------- */

static struct exec_ecs *deployer_of(const struct ecs_watch *watch)
{
	return container_of(watch->face.exec, struct exec_ecs, face);
}

/* Seconds until the task has to run; negative: it should.  False: it may take its time. */
static bool deadline(const struct ecs_watch *watch, double now_s, double *left_s)
{
	int64_t timeout_ms = watch->face.exec->conf->provisioning_timeout_ms;

	*left_s = watch->since_s + (double)timeout_ms / 1000 - now_s;
	return timeout_ms > 0 && !watch->told_running && watch->stop == NULL;
}

double ecs_watch_pace_s(const struct ecs_watch *watch, double now_s)
{
	double wait_s = pace_interval_s(&deployer_of(watch)->pace, now_s - watch->since_s), left_s;

	if (watch->seen && deployer_of(watch)->events)
		wait_s = ECS_SWEEP_S;
	if (watch->missing > 0 && now_s - watch->since_s >= visible_s && wait_s < missing_interval_s)
		wait_s = missing_interval_s;
	if (watch->stop != NULL && wait_s > stopping_interval_s)
		wait_s = stopping_interval_s;
	if (deadline(watch, now_s, &left_s) && left_s > 0 && left_s + after_deadline_s < wait_s)
		wait_s = left_s + after_deadline_s;
	return wait_s;
}

/* Until it has been looked at once, its next look stays when it is: what is heard meanwhile may be older than
 * an end that was told to another worker, before this task was known to be ours. */
static void look_by_pace(struct ecs_watch *watch, double now_s)
{
	if (watch->describe != NULL || (!watch->seen && watch->entry.place != 0))
		return;
	if (!watch->hurry)
		ecs_cluster_look_in(watch, ecs_watch_pace_s(watch, now_s));
	else if (watch->entry.place == 0)
		ecs_cluster_look_in(watch, heard_s);
}

static void look_soon(struct ecs_watch *watch, double delay_s)
{
	if (watch->end != NULL)
		return;
	if (watch->describe == NULL && (watch->entry.place == 0 || watch->entry.due_s > clock_monotonic_s() + delay_s))
		ecs_cluster_look_in(watch, delay_s);
}

/* What is heard until that look does not put it off: it may be older than the news that ask for it. */
static void hurry(struct ecs_watch *watch, double delay_s)
{
	watch->hurry = true;
	look_soon(watch, delay_s);
}

void ecs_watch_hurry(struct ecs_watch *watch)
{
	hurry(watch, hurry_s);
}

/* -- telling ---------------------------------------------------------------------------------------- */

static void watch_free(struct ecs_watch *watch)
{
	ecs_stop_finish(watch);
	ecs_describe_forget(watch);
	table_remove(&watch->cluster->account->watches, &watch->by_id);
	schedule_remove(&watch->cluster->schedule, &watch->entry);
	list_remove(&watch->news);
	list_remove(&watch->mine);
	ecs_cluster_put(watch->cluster);
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

void ecs_watches_tell(struct ecs_account *account)
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

/* -- what is seen or heard -------------------------------------------------------------------------- */

static void end_with(struct ecs_watch *watch, struct exec_end *end)
{
	watch->end = end;
	ecs_describe_forget(watch);
	schedule_remove(&watch->cluster->schedule, &watch->entry);
	add_news(watch);
}

/* By ECS's clock alone.  What was stopped says nothing of what others take. */
static void learn_from(struct ecs_watch *watch, const json_t *task, int64_t stopped_ms)
{
	int64_t created_ms = ecs_time_ms(task, "createdAt");

	if (watch->stop == NULL && created_ms > 0 && stopped_ms >= created_ms)
		pace_learn(&deployer_of(watch)->pace, (double)(stopped_ms - created_ms) / 1000);
}

static void take_end(struct ecs_watch *watch, const json_t *task)
{
	struct exec_end *end = xnew(struct exec_end);

	ecs_verdict(task, watch->container != NULL ? watch->container : watch->face.exec->conf->container, end);
	learn_from(watch, task, end->stopped_ms);
	/* We were first to stop it, but it was to end anyway. */
	if (watch->stop_wanted && strcmp(end->result.reason, "provisioning_timeout") == 0) {
		job_result_set(&end->result, JOB_CANCELLED, "stopped", JOB_NO_EXIT_CODE, "%s", watch->stop->reason);
		end->retry = EXEC_RETRY_NO;
	}
	if (!watch->told_running && end->started_ms > 0)
		watch->running_ms = end->started_ms;
	end_with(watch, end);
}

static bool is_starting(const json_t *task)
{
	static const char *const states[] = { "PROVISIONING", "PENDING", "ACTIVATING" };
	const char *status = json_at_string(task, "lastStatus");

	for (size_t i = 0; status != NULL && i < sizeof(states) / sizeof(states[0]); i++) {
		if (strcmp(status, states[i]) == 0)
			return ecs_time_ms(task, "startedAt") == 0;
	}
	return false;
}

static void give_up_if_overdue(struct ecs_watch *watch, const json_t *task, double now_s)
{
	const char *status = json_at_string(task, "lastStatus");
	char *reason;
	double left_s;

	if (!deadline(watch, now_s, &left_s) || left_s > 0 || !is_starting(task))
		return;
	reason = xasprintf("%s: %s %.0f s after its launch, and not running", ecs_provisioning_stop, status,
		now_s - watch->since_s);
	log_warn(&watch->face.exec->log, "%s is stopped: %s", watch->arn, reason);
	ecs_stop_begin(watch, reason);
	free(reason);
}

/* Answers and events may overtake each other; versions only grow. */
static bool is_old(struct ecs_watch *watch, const json_t *task)
{
	int64_t version;

	if (!json_at_integer(task, "version", &version))
		return false;
	if (version < watch->version)
		return true;
	watch->version = version;
	return false;
}

void ecs_watch_take(struct ecs_watch *watch, const json_t *task, double now_s)
{
	int64_t started_ms;

	watch->missing = 0;
	watch->missing_since_s = 0;
	watch->alone = false;
	if (is_old(watch, task)) {
		look_by_pace(watch, now_s);
		return;
	}
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
	give_up_if_overdue(watch, task, now_s);
	look_by_pace(watch, now_s);
}

void ecs_watch_take_missing(struct ecs_watch *watch, double now_s)
{
	struct exec_end *end;

	if (watch->missing++ == 0)
		watch->missing_since_s = now_s;
	if (watch->missing < 2 || now_s - watch->missing_since_s < ECS_MISSING_S) {
		look_by_pace(watch, now_s);
		return;
	}
	end = xnew(struct exec_end);
	job_result_set(&end->result, JOB_FAILED, "unknown", JOB_NO_EXIT_CODE,
		"ECS has not known the task for %.0f s: its end was not seen", now_s - watch->missing_since_s);
	end_with(watch, end);
}

void ecs_watch_take_nothing(struct ecs_watch *watch, double now_s)
{
	look_by_pace(watch, now_s);
}

/* -- events ----------------------------------------------------------------------------------------- */

static const char *id_of(const char *arn)
{
	const char *slash = strrchr(arn, '/');

	return slash != NULL ? slash + 1 : arn;
}

static bool is_about(const struct ecs_watch *watch, const json_t *doc)
{
	const char *arn = json_at_string(doc, "taskArn");

	return arn != NULL && ecs_same_task(arn, watch->arn) && json_at_string(doc, "lastStatus") != NULL;
}

/* Whichever deployer of this account watches it. */
bool ecs_hear(struct exec *face, const char *handle, const json_t *doc)
{
	struct ecs_account *account = container_of(face, struct exec_ecs, face)->account;
	struct table_link *link = table_find(&account->watches, id_of(handle));
	struct ecs_watch *watch;

	if (link == NULL)
		return false;
	watch = container_of(link, struct ecs_watch, by_id);
	log_debug(&face->log, "heard of %s: %s", watch->arn,
		is_about(watch, doc) ? json_at_string(doc, "lastStatus") : "something");
	if (watch->end != NULL)
		return true;
	if (!is_about(watch, doc)) {
		hurry(watch, heard_s);
		return true;
	}
	ecs_watch_take(watch, doc, clock_monotonic_s());
	if (!list_empty(&watch->news))
		ecs_arm(account, &account->news_timer, 0);
	return true;
}

void ecs_set_events(struct exec *face, bool come)
{
	struct exec_ecs *exec = container_of(face, struct exec_ecs, face);
	double now_s = clock_monotonic_s();
	struct ecs_watch *watch;

	if (exec->events == come)
		return;
	exec->events = come;
	log_debug(&face->log, "changes of tasks %s; tasks are looked at %s", come ? "come as events" : "do not come as events",
		come ? "every few minutes" : "by their age");
	list_each(watch, &exec->watches, mine) {
		watch->seen = false;
		if (!come)
			look_soon(watch, ecs_watch_pace_s(watch, now_s));
	}
}

/* -- watches ---------------------------------------------------------------------------------------- */

struct exec_watch *ecs_watch(struct exec *exec, const char *handle, const char *request, int64_t since_ms,
	const struct exec_watch_events *events)
{
	struct exec_ecs *ecs = container_of(exec, struct exec_ecs, face);
	struct ecs_watch *watch = xnew(struct ecs_watch);
	char *name = request != NULL ? ecs_request_cluster(request) : NULL;
	char *container = request != NULL ? ecs_request_container(request) : NULL;
	double age_s = (double)(clock_steady_ms() - since_ms) / 1000, first_s = pace_first_s(&ecs->pace);

	/* The attempt was launched where its request says, whatever the configuration says now. */
	if (name == NULL)
		name = xstrdup(exec->conf->cluster != NULL ? exec->conf->cluster : "default");
	watch->face.exec = exec;
	watch->cluster = ecs_cluster_get(ecs->account, name);
	watch->arn = handle;
	if (container != NULL && strcmp(container, exec->conf->container) != 0) {
		watch->container = container;
		container = NULL;
	}
	watch->events = *events;
	watch->since_s = clock_monotonic_s() - (since_ms > 0 && age_s > 0 ? age_s : 0);
	list_init(&watch->news);
	list_append(&ecs->watches, &watch->mine);
	ecs_account_note_arn(ecs->account, handle);
	/* A task is watched once; a second watch of it would only not be found by what is heard. */
	if (table_find(&ecs->account->watches, id_of(watch->arn)) == NULL)
		table_add(&ecs->account->watches, &watch->by_id, id_of(watch->arn));
	free(container);
	free(name);
	ecs_cluster_look_in(watch, age_s < 0 ? first_s : age_s < first_s ? first_s - age_s : 0);
	return &watch->face;
}

void ecs_unwatch(struct exec_watch *face)
{
	watch_free(container_of(face, struct ecs_watch, face));
}
