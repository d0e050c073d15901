/* SPDX-License-Identifier: Apache-2.0 */
/* metrics.c - GET /metrics: asks all who know something at once, and answers when the last has.
 *
 * What one of them cannot say is left out; the rest is worth having all the same.  gantry-api(8) describes
 * each metric. */
#include <stdlib.h>
#include <string.h>

#include "api/depths.h"
#include "api/master_status.h"
#include "api/metrics_impl.h"
#include "api/pending.h"
#include "api/routes.h"
#include "base/clock.h"
#include "base/mem.h"

struct scrape {
	struct pending *pending;
	unsigned waiting;               /* answers */
	json_t *status;                 /* the master's; NULL: none */
	bool counted;                   /* totals has the jobs */
	struct store_totals totals;     /* -1: not known */
};

/* -- what the store knows ----------------------------------------------------------------------- */

static void add_jobs(struct metrics_page *page, const uint64_t jobs[JOB_STATES])
{
	metrics_family(page, "gantry_jobs", "gauge", "Jobs in the store by state.");
	for (int i = 0; i < JOB_STATES; i++) {
		const struct metric_label labels[LIMIT_METRIC_LABELS] = { { "state", job_state_name((enum job_state)i) } };

		metrics_sample(page, "gantry_jobs", labels, (double)jobs[i]);
	}
}

static void add_total(struct metrics_page *page, const char *name, const char *help, int64_t value)
{
	if (value >= 0)
		metrics_single(page, name, "gauge", help, (double)value);
}

static void add_totals(struct metrics_page *page, const struct store_totals *totals)
{
	int64_t age_ms = clock_steady_ms() - totals->oldest_waiting_ms;

	add_total(page, "gantry_locks_held", "Lock keys that are held.", totals->held_locks);
	add_total(page, "gantry_lock_waiters", "Jobs that wait for a lock key.", totals->lock_waiters);
	add_total(page, "gantry_outbox_open_deliveries", "Notifications that are still to be delivered.",
		totals->open_deliveries);
	add_total(page, "gantry_outbox_dead_deliveries", "Notifications that were given up.", totals->dead_deliveries);
	if (totals->oldest_waiting_ms >= 0)
		metrics_single(page, "gantry_jobs_oldest_waiting_seconds", "gauge",
			"Since the oldest job that was not launched yet was accepted; 0: there is none.",
			totals->oldest_waiting_ms > 0 && age_ms > 0 ? (double)age_ms / 1000 : 0);
}

/* -- what this process knows ---------------------------------------------------------------------- */

static void add_depth(struct metrics_page *page, const struct conf_queue *queue, const char *state, int64_t messages)
{
	const struct metric_label labels[LIMIT_METRIC_LABELS] = {
		{ "queue", queue->name }, { "state", state },
	};

	if (messages >= 0)
		metrics_sample(page, "gantry_queue_messages", labels, (double)messages);
}

static void add_depths(struct metrics_page *page, struct api *api)
{
	metrics_family(page, "gantry_queue_messages", "gauge", "Messages in a queue, as it says itself, by their state.");
	for (size_t i = 0; i < api->conf->queue_count; i++) {
		const struct queue_depth *depth = depths_at(api->depths, i);

		if (depth == NULL)
			continue;
		add_depth(page, &api->conf->queues[i], "visible", depth->visible);
		add_depth(page, &api->conf->queues[i], "hidden", depth->hidden);
		add_depth(page, &api->conf->queues[i], "delayed", depth->delayed);
	}
}

static size_t count_followers(const struct api *api)
{
	const struct request *request;
	size_t count = 0;

	for (size_t i = 0; i < api->listener_count; i++) {
		list_each(request, &api->listeners[i]->requests, link)
			count += request->route != NULL && request->route->answer == answer_events;
	}
	return count;
}

static void add_own(struct metrics_page *page, const struct api *api)
{
	size_t connections = 0;

	for (size_t i = 0; i < api->listener_count; i++)
		connections += api->listeners[i]->peer_count;
	metrics_single(page, "gantry_api_connections", "gauge", "Open connections of the process that answers.",
		(double)connections);
	metrics_single(page, "gantry_api_log_followers", "gauge", "Those of them that follow a job and its log.",
		(double)count_followers(api));
}

/* -- asking -------------------------------------------------------------------------------------- */

static void answer(struct api *api, struct request *request, const struct scrape *scrape)
{
	struct metrics_page page;

	metrics_page_init(&page, request_header(request, MHD_HTTP_HEADER_ACCEPT));
	if (scrape->status != NULL) {
		metrics_add_state(&page, api->conf, scrape->status);
		metrics_add_processes(&page, scrape->status);
		metrics_add_figures(&page, json_object_get(scrape->status, "figures"));
	}
	if (scrape->counted)
		add_jobs(&page, scrape->totals.jobs);
	add_totals(&page, &scrape->totals);
	add_depths(&page, api);
	add_own(&page, api);
	if (metrics_page_close(&page))
		request_answer_text(request, MHD_HTTP_OK, metrics_page_type(&page), buf_text(&page.text), page.text.size);
	else
		request_answer_error(request, MHD_HTTP_INTERNAL_SERVER_ERROR, "too large", "more than %d bytes of metrics",
			LIMIT_METRICS_BYTES);
	metrics_page_finish(&page);
}

static void one_less(struct scrape *scrape)
{
	struct api *api = scrape->pending->api;
	struct request *request;

	if (--scrape->waiting > 0)
		return;
	request = pending_end(scrape->pending);
	if (request != NULL)
		answer(api, request, scrape);
	json_decref(scrape->status);
	free(scrape);
}

static void on_status(void *arg, const json_t *doc, const struct error *err)
{
	struct scrape *scrape = arg;

	if (err == NULL)
		scrape->status = json_incref((json_t *)doc);
	one_less(scrape);
}

static void on_totals(void *arg, const struct store_totals *totals, const struct error *err)
{
	struct scrape *scrape = arg;

	scrape->counted = err == NULL;
	if (err == NULL)
		scrape->totals = *totals;
	one_less(scrape);
}

static void on_depths(void *arg)
{
	one_less(arg);
}

void answer_metrics(struct api *api, struct request *request)
{
	struct scrape *scrape = xnew(struct scrape);

	scrape->pending = pending_begin(api, request);
	scrape->totals = (struct store_totals){
		.held_locks = -1, .lock_waiters = -1, .open_deliveries = -1, .dead_deliveries = -1, .oldest_waiting_ms = -1,
	};
	scrape->waiting = 3;
	master_status_ask(api->master_figures, on_status, scrape);
	store_totals(api->store, on_totals, scrape);
	depths_ask(api->depths, on_depths, scrape);
}
