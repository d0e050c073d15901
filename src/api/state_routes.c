/* SPDX-License-Identifier: Apache-2.0 */
/* state_routes.c - what goes on as a whole: workers, queues, locks, health. */
#include <stdlib.h>
#include <string.h>

#include "api/depths.h"
#include "api/master_status.h"
#include "api/pending.h"
#include "api/routes.h"
#include "base/json_at.h"
#include "base/mem.h"
#include "ipc/status_record.h"
#include "store/store_record.h"

enum { LOCKS_DEFAULT = 100, LOCKS_MAX = 1000 };

/* A page that is asked for. */
struct locks_page {
	struct pending *pending;
	size_t max;
};

static json_t *locks_doc(const struct request *request, const struct store_lock *locks, size_t count, size_t max)
{
	json_t *doc = json_object(), *list = json_array();

	for (size_t i = 0; i < count; i++) {
		if (locks[i].project == NULL || auth_may_project(request, locks[i].project))
			json_array_append_new(list, store_lock_record(&locks[i]));
	}
	json_object_set_new(doc, "locks", list);
	if (count == max)
		json_object_set_new(doc, "after", json_at_text(locks[count - 1].key));
	return doc;
}

static void on_locks(void *arg, const struct store_lock *locks, size_t count, const struct error *err)
{
	struct locks_page *page = arg;
	struct request *request = pending_end(page->pending);

	if (request != NULL && err != NULL)
		answer_failed(request, err);
	else if (request != NULL)
		request_answer_json(request, MHD_HTTP_OK, locks_doc(request, locks, count, page->max));
	free(page);
}

void answer_locks(struct api *api, struct request *request)
{
	struct locks_page *page;
	int64_t max;

	if (!request_query_number(request, "count", 1, LOCKS_MAX, LOCKS_DEFAULT, &max))
		return;
	page = xnew(struct locks_page);
	*page = (struct locks_page){ .pending = pending_begin(api, request), .max = (size_t)max };
	store_locks(api->store, request_query(request, "after"), (size_t)max, on_locks, page);
}

void answer_healthz(struct api *api, struct request *request)
{
	(void)api;
	request_answer_json(request, MHD_HTTP_OK, json_pack("{s:s}", "status", "alive"));
}

/* -- what the master knows ---------------------------------------------------------------------- */

static void on_workers(void *arg, const json_t *doc, const struct error *err)
{
	struct request *request = pending_end(arg);

	if (request == NULL)
		return;
	if (err != NULL)
		answer_failed(request, err);
	else
		request_answer_json(request, MHD_HTTP_OK, json_deep_copy(doc));
}

void answer_workers(struct api *api, struct request *request)
{
	master_status_ask(api->master, on_workers, pending_begin(api, request));
}

static int64_t number_of(const json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

static void add_number(json_t *sum, const json_t *part, const char *key)
{
	json_object_set_new(sum, key, json_integer(number_of(sum, key) + number_of(part, key)));
}

static json_t *known(int64_t number)
{
	return number >= 0 ? json_integer(number) : json_null();
}

/* Over the last minute; null when nothing was heard of it, or it is the store's, from which nothing is received. */
static void add_rates(json_t *sum, const struct conf_queue *conf, const json_t *status)
{
	static const char *const keys[] = { "received_per_minute", "settled_per_minute" };
	const json_t *rate = conf->type != CONF_QUEUE_STORE ? status_record_rate(status, conf->name) : NULL;

	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++)
		json_object_set_new(sum, keys[i], known(rate != NULL ? number_of(rate, keys[i]) : -1));
}

/* One queue over all workers.  A receive that any of them completed says that it answers. */
static json_t *queue_sum(const struct conf_queue *conf, const json_t *status, const struct queue_depth *depth)
{
	static const char *const sums[] = { "held", "receiving", "received", "settled", "empty_receives", "failures" };
	static const char *const types[CONF_QUEUE_TYPES] = {
		[CONF_QUEUE_SQS] = "sqs", [CONF_QUEUE_REDIS] = "redis",
		[CONF_QUEUE_REDIS_STREAM] = "redis-stream", [CONF_QUEUE_STORE] = "store",
	};
	json_t *sum = json_object();
	int64_t age_ms = -1;
	const json_t *part;
	size_t i;

	json_object_set_new(sum, "name", json_at_text(conf->name));
	json_object_set_new(sum, "type", json_at_text(types[conf->type]));
	json_array_foreach(json_object_get(status, "queues"), i, part) {
		int64_t at_ms = number_of(part, "last_receive_age_ms");

		if (strcmp(json_string_value(json_object_get(part, "name")), conf->name) != 0)
			continue;
		for (size_t k = 0; k < sizeof(sums) / sizeof(*sums); k++)
			add_number(sum, part, sums[k]);
		if (at_ms >= 0 && (age_ms < 0 || at_ms < age_ms))
			age_ms = at_ms;
	}
	json_object_set_new(sum, "last_receive_age_ms", known(age_ms));
	add_rates(sum, conf, status);
	json_object_set_new(sum, "depth", known(depth != NULL ? depth->visible : -1));
	json_object_set_new(sum, "oldest_age_ms", known(depth != NULL ? depth->oldest_age_ms : -1));
	return sum;
}

json_t *queue_sums(const struct conf *conf, const json_t *status, const struct depths *depths)
{
	json_t *list = json_array();

	for (size_t i = 0; i < conf->queue_count; i++)
		json_array_append_new(list, queue_sum(&conf->queues[i], status, depths != NULL ? depths_at(depths, i) : NULL));
	return list;
}

struct queues_asked {
	struct pending *pending;
	json_t *status;                 /* of the master */
};

static void on_depths(void *arg)
{
	struct queues_asked *asked = arg;
	struct api *api = asked->pending->api;
	struct request *request = pending_end(asked->pending);

	if (request != NULL)
		request_answer_json(request, MHD_HTTP_OK, json_pack("{s:o}", "queues",
			queue_sums(api->conf, asked->status, api->depths)));
	json_decref(asked->status);
	free(asked);
}

static void on_queues(void *arg, const json_t *doc, const struct error *err)
{
	struct pending *pending = arg;
	struct queues_asked *asked;

	if (err != NULL) {
		struct request *request = pending_end(pending);

		if (request != NULL)
			answer_failed(request, err);
		return;
	}
	asked = xnew(struct queues_asked);
	asked->pending = pending;
	asked->status = json_incref((json_t *)doc);
	depths_ask(pending->api->depths, on_depths, asked);
}

void answer_queues(struct api *api, struct request *request)
{
	master_status_ask(api->master, on_queues, pending_begin(api, request));
}

/* -- readiness -------------------------------------------------------------------------------- */

enum { READY_GRACE_MS = 10000 };                /* past an open receive's wait_time */

/* The first queue that nobody has completed a receive of lately, or NULL. */
static const char *silent_queue(const struct conf *conf, const json_t *sums)
{
	for (size_t i = 0; i < conf->queue_count; i++) {
		const struct conf_queue *queue = &conf->queues[i];
		const json_t *age = json_object_get(json_array_get(sums, i), "last_receive_age_ms");

		if (queue->type == CONF_QUEUE_STORE)
			continue;
		if (!json_is_integer(age) || json_integer_value(age) > queue->wait_time_ms + READY_GRACE_MS)
			return queue->name;
	}
	return NULL;
}

/* Whether a worker that takes jobs has trouble with the store.  What it says of it is not for everybody. */
static bool store_trouble(const json_t *workers)
{
	const json_t *worker;
	size_t i;

	json_array_foreach(workers, i, worker) {
		const char *state = json_at_string(worker, "state");

		if (state != NULL && strcmp(state, "active") == 0 && number_of(worker, "degraded") != 0)
			return true;
	}
	return false;
}

static void on_ready(void *arg, const json_t *doc, const struct error *err)
{
	struct api *api = ((struct pending *)arg)->api;
	struct request *request = pending_end(arg);
	const char *silent;
	json_t *sums;

	if (request == NULL)
		return;
	if (err != NULL) {
		answer_failed(request, err);
		return;
	}
	sums = queue_sums(api->conf, doc, NULL);
	silent = silent_queue(api->conf, sums);
	json_decref(sums);
	if (store_trouble(json_object_get(doc, "workers")))
		request_answer_error(request, MHD_HTTP_SERVICE_UNAVAILABLE, "not ready",
			"a worker cannot write to the store; `gantryctl status` says why");
	else if (silent != NULL)
		request_answer_error(request, MHD_HTTP_SERVICE_UNAVAILABLE, "not ready", "no receive from queue %s was completed lately",
			silent);
	else
		request_answer_json(request, MHD_HTTP_OK, json_pack("{s:s}", "status", "ready"));
}

void answer_readyz(struct api *api, struct request *request)
{
	master_status_ask(api->master, on_ready, pending_begin(api, request));
}
