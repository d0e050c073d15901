/* SPDX-License-Identifier: Apache-2.0 */
/* feed_look.c - see feed_look.h.
 *
 * Unfinished jobs are listed by state, in the order in which a job passes through them: one that moves on
 * between two answers is seen twice and not missed, and the later record counts.  One that is in no list any
 * more has most likely ended; the newest list shows it only if it was accepted lately, so it is looked up. */
#include "api/feed_look.h"

#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "api/depths.h"
#include "api/master_status.h"
#include "api/routes.h"
#include "base/clock.h"
#include "base/json_at.h"
#include "base/mem.h"
#include "job/job_record.h"
#include "store/store_record.h"

static const double look_s = 1;
static const double late_s = 5;                 /* without all answers: what is shown is old */

enum {
	FEED_OPEN_MAX = 200,            /* unfinished jobs of one state */
	FEED_NEWEST_MAX = 50,
	FEED_ENDED_MAX = 100,           /* ended jobs that are kept */
	FEED_LOCKS_MAX = 1000,
	FEED_LOOKUPS_MAX = 200,         /* of jobs that left the lists, in one look */
};

static void put_doc(struct feed_look *look, const char *event, const char *name, const char *project, bool open,
	json_t *take_doc)
{
	char *key = xasprintf("%s/%s", event, name);

	topic_put(&look->topic, event, key, project, open, json_at_dump(take_doc));
	json_decref(take_doc);
	free(key);
}

static void put_trouble(struct feed_look *look, const char *text)
{
	put_doc(look, "trouble", "", NULL, false, json_pack("{s:o}", "text", json_at_text(text)));
}

/* -- the end of a look -------------------------------------------------------------------------- */

static bool is_job(const struct topic_entry *entry)
{
	return strcmp(entry->event, "job") == 0;
}

/* The oldest change of an ended job goes first. */
static void drop_old_ended(struct feed_look *look)
{
	struct topic_entry *entry, *next;
	size_t ended = 0;

	list_each(entry, &look->topic.entries, link)
		ended += entry->text != NULL && is_job(entry) && !entry->open;
	list_each_safe(entry, next, &look->topic.entries, link) {
		if (ended <= FEED_ENDED_MAX)
			return;
		/* What the newest list shows would come again with the next look. */
		if (entry->text == NULL || !is_job(entry) || entry->open || entry->round == look->topic.round)
			continue;
		topic_remove(&look->topic, entry);
		ended--;
	}
}

static void end_look(struct feed_look *look)
{
	if (!look->on) {
		topic_finish(&look->topic);
		topic_init(&look->topic);
		look->looked = false;
		return;
	}
	if (look->trouble.kind == ERROR_NONE)
		drop_old_ended(look);
	put_trouble(look, look->trouble.kind != ERROR_NONE ? look->trouble.text : NULL);
	look->looked = true;
	look->done(look->arg);
}

static void answered(struct feed_look *look, const struct error *err)
{
	if (err != NULL && look->trouble.kind == ERROR_NONE)
		look->trouble = *err;
	if (--look->awaited == 0)
		end_look(look);
}

/* -- jobs that left the lists ------------------------------------------------------------------- */

struct lookup {
	struct feed_look *look;
	char *key;
};

static void put_job(struct feed_look *look, const struct job *job)
{
	put_doc(look, "job", job->id, job->project, !job_state_final(job->state), job_record_brief(job));
}

static void on_found(void *arg, const struct job *job, const struct error *err)
{
	struct lookup *lookup = arg;
	struct feed_look *look = lookup->look;
	struct table_link *link = table_find(&look->topic.keys, lookup->key);

	/* One that has not ended is behind the newest of its state, which are all that is shown. */
	if (job != NULL && job_state_final(job->state))
		put_job(look, job);
	else if (err == NULL && link != NULL)
		topic_remove(&look->topic, container_of(link, struct topic_entry, by_key));
	free(lookup->key);
	free(lookup);
	answered(look, err);
}

static void look_up(struct feed_look *look, const struct topic_entry *entry)
{
	struct lookup *lookup = xnew(struct lookup);

	lookup->look = look;
	lookup->key = xstrdup(entry->key);
	look->awaited++;
	store_find(look->api->store, strchr(entry->key, '/') + 1, on_found, lookup);
}

/* All lists are there: what was put in none of them has gone. */
static void sweep(struct feed_look *look)
{
	struct topic_entry *entry, *next;
	unsigned lookups = 0;
	uint64_t last = look->topic.change;

	if (look->trouble.kind != ERROR_NONE || !look->on)
		return;
	list_each_safe(entry, next, &look->topic.entries, link) {
		/* What is removed moves to the end. */
		if (entry->change > last)
			break;
		if (entry->text == NULL || entry->round == look->topic.round || strcmp(entry->event, "trouble") == 0)
			continue;
		if (!is_job(entry))
			topic_remove(&look->topic, entry);
		else if (entry->open && lookups++ < FEED_LOOKUPS_MAX)
			look_up(look, entry);
	}
}

/* -- the lists ---------------------------------------------------------------------------------- */

/* The last of them sweeps, which may look for more. */
static void listed(struct feed_look *look, const struct error *err)
{
	if (err != NULL && look->trouble.kind == ERROR_NONE)
		look->trouble = *err;
	if (look->awaited == 1)
		sweep(look);
	answered(look, NULL);
}

static void on_jobs(void *arg, const struct job *const *jobs, size_t count, const struct error *err)
{
	struct feed_look *look = arg;

	for (size_t i = 0; err == NULL && i < count; i++)
		put_job(look, jobs[i]);
	listed(look, err);
}

static void on_locks(void *arg, const struct store_lock *locks, size_t count, const struct error *err)
{
	struct feed_look *look = arg;

	for (size_t i = 0; err == NULL && i < count; i++) {
		if (locks[i].waiting > 0)
			put_doc(look, "lock", locks[i].key, locks[i].project, false, store_lock_record(&locks[i]));
	}
	listed(look, err);
}

static void on_counts(void *arg, const uint64_t *counts, const struct error *err)
{
	struct feed_look *look = arg;
	json_t *doc;

	if (err == NULL) {
		doc = json_object();
		for (size_t i = 0; i < JOB_STATES; i++)
			json_object_set_new(doc, job_state_name((enum job_state)i), json_integer((json_int_t)counts[i]));
		put_doc(look, "count", "", NULL, false, doc);
	}
	listed(look, err);
}

/* -- the master --------------------------------------------------------------------------------- */

/* Ages change with every look, and are not told. */
static json_t *chosen(const json_t *from, const char *const *keys)
{
	json_t *object = json_object();

	for (; *keys != NULL; keys++) {
		if (json_object_get(from, *keys) != NULL)
			json_object_set(object, *keys, json_object_get(from, *keys));
	}
	return object;
}

static void put_workers(struct feed_look *look, const json_t *workers)
{
	static const char *const keys[] = { "role", "pid", "generation", "slot", "state", "in_flight", "running", "done",
		"degraded", "deaths", NULL };
	const json_t *worker;
	size_t i;

	json_array_foreach(workers, i, worker) {
		json_t *doc = chosen(worker, keys);
		json_int_t rss = json_integer_value(json_object_get(worker, "rss_bytes"));
		char *name = xasprintf("%lld/%s/%lld", json_integer_value(json_object_get(doc, "generation")),
			json_string_value(json_object_get(doc, "role")), json_integer_value(json_object_get(doc, "slot")));

		json_object_set_new(doc, "rss_mib", json_integer((rss + (1 << 19)) >> 20));
		put_doc(look, "worker", name, NULL, false, doc);
		free(name);
	}
}

static void put_queues(struct feed_look *look, const json_t *status)
{
	json_t *sums = queue_sums(look->api->conf, status, look->api->depths), *queue;
	size_t i;

	json_array_foreach(sums, i, queue) {
		const json_t *age = json_object_get(queue, "last_receive_age_ms");

		if (json_is_integer(age))
			job_record_stamp(queue, "last_receive", (clock_steady_ms() - json_integer_value(age)) / 1000 * 1000);
		json_object_del(queue, "last_receive_age_ms");
		put_doc(look, "queue", json_string_value(json_object_get(queue, "name")), NULL, false, json_incref(queue));
	}
	json_decref(sums);
}

static void on_status(void *arg, const json_t *status, const struct error *err)
{
	static const char *const keys[] = { "state", "version", "generation", "last_reload", NULL };
	struct feed_look *look = arg;

	if (err == NULL) {
		put_doc(look, "daemon", "", NULL, false, chosen(status, keys));
		put_workers(look, json_object_get(status, "workers"));
		put_queues(look, status);
	}
	listed(look, err);
}

/* -- each second ---------------------------------------------------------------------------------- */

static void list_state(struct feed_look *look, int state, size_t max)
{
	struct store_filter filter = { .state = state, .max = max };

	look->awaited++;
	store_list(look->api->store, &filter, on_jobs, look);
}

static void begin(struct feed_look *look)
{
	struct api *api = look->api;

	look->trouble = (struct error){ 0 };
	look->began_s = clock_monotonic_s();
	topic_begin_round(&look->topic);
	list_state(look, JOB_WAITING, FEED_OPEN_MAX);
	list_state(look, JOB_QUEUED, FEED_OPEN_MAX);
	list_state(look, JOB_LAUNCHING, FEED_OPEN_MAX);
	list_state(look, JOB_RUNNING, FEED_OPEN_MAX);
	list_state(look, JOB_CANCELLING, FEED_OPEN_MAX);
	list_state(look, -1, FEED_NEWEST_MAX);
	look->awaited += 3;
	store_locks(api->store, NULL, FEED_LOCKS_MAX, on_locks, look);
	store_count(api->store, on_counts, look);
	depths_want(api->depths);
	master_status_ask(api->master, on_status, look);
}

static void on_timer(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct feed_look *look = container_of(timer, struct feed_look, timer);

	(void)loop, (void)revents;
	if (look->awaited == 0) {
		begin(look);
	} else if (clock_monotonic_s() - look->began_s > late_s) {
		put_trouble(look, "the store has not answered for some seconds");
		look->done(look->arg);
	}
}

void feed_look_init(struct feed_look *look, struct api *api, feed_looked_fn *done, void *arg)
{
	*look = (struct feed_look){ .api = api, .done = done, .arg = arg };
	topic_init(&look->topic);
	ev_init(&look->timer, on_timer);
}

void feed_look_start(struct feed_look *look)
{
	if (look->on)
		return;
	look->on = true;
	ev_timer_set(&look->timer, 0., look_s);
	ev_timer_start(look->api->loop, &look->timer);
}

void feed_look_stop(struct feed_look *look)
{
	if (!look->on)
		return;
	look->on = false;
	ev_timer_stop(look->api->loop, &look->timer);
	if (look->awaited == 0)
		end_look(look);
}

void feed_look_finish(struct feed_look *look)
{
	ev_timer_stop(look->api->loop, &look->timer);
	topic_finish(&look->topic);
}
