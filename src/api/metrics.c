/* SPDX-License-Identifier: Apache-2.0 */
/* metrics.c - GET /metrics: Prometheus' text format, and OpenMetrics when it is asked for
 * (prometheus.io/docs/instrumenting/exposition_formats, openmetrics.io). */
#include <inttypes.h>
#include <string.h>

#include "api/master_status.h"
#include "api/pending.h"
#include "api/routes.h"
#include "base/buf.h"
#include "base/mem.h"

enum { LIMIT_METRICS_BYTES = 4 << 20 };

/* OpenMetrics names a counter's family without _total, and ends with "# EOF". */
struct page {
	struct buf text;
	bool open;
};

static void begin_family(struct page *page, const char *name, const char *type, const char *help)
{
	size_t size = strlen(name);

	if (page->open && strcmp(type, "counter") == 0)
		size -= strlen("_total");
	buf_printf(&page->text, "# HELP %.*s %s\n# TYPE %.*s %s\n", (int)size, name, help, (int)size, name, type);
}

/* A label's value, with what the format wants escaped. */
static void add_label(struct page *page, const char *name, const char *value)
{
	buf_printf(&page->text, "%s=\"", name);
	for (; *value != '\0'; value++) {
		if (*value == '\\' || *value == '"')
			buf_add_char(&page->text, '\\');
		if (*value == '\n')
			buf_add_text(&page->text, "\\n");
		else
			buf_add_char(&page->text, *value);
	}
	buf_add_char(&page->text, '"');
}

static void add_sample(struct page *page, const char *name, const char *label, const char *label_value, double value)
{
	buf_add_text(&page->text, name);
	if (label != NULL) {
		buf_add_char(&page->text, '{');
		add_label(page, label, label_value);
		buf_add_char(&page->text, '}');
	}
	buf_printf(&page->text, " %.15g\n", value);
}

static void add_jobs(struct page *page, struct api *api)
{
	uint64_t counts[JOB_STATES];
	struct error err;

	if (!store_count(api->store, counts, &err))
		return;
	begin_family(page, "gantry_jobs", "gauge", "Jobs in the store by state.");
	for (int i = 0; i < JOB_STATES; i++)
		add_sample(page, "gantry_jobs", "state", job_state_name((enum job_state)i), (double)counts[i]);
}

static double number_of(const json_t *object, const char *key)
{
	return (double)json_integer_value(json_object_get(object, key));
}

static void add_queues(struct page *page, const json_t *sums)
{
	static const struct { const char *key, *name, *type, *help; double unit; } families[] = {
		{ "held", "gantry_queue_held", "gauge", "Messages that workers hold.", 1 },
		{ "receiving", "gantry_queue_receiving", "gauge", "Receives under way.", 1 },
		{ "received", "gantry_queue_received_total", "counter", "Messages received.", 1 },
		{ "settled", "gantry_queue_settled_total", "counter", "Messages settled.", 1 },
		{ "empty_receives", "gantry_queue_empty_receives_total", "counter", "Receives that brought nothing.", 1 },
		{ "failures", "gantry_queue_failures_total", "counter", "Calls that failed.", 1 },
		{ "last_receive_age_ms", "gantry_queue_last_receive_age_seconds", "gauge",
		  "Since a receive last came back.", 0.001 },
	};
	const json_t *sum;
	size_t i;

	for (size_t k = 0; k < sizeof(families) / sizeof(*families); k++) {
		begin_family(page, families[k].name, families[k].type, families[k].help);
		json_array_foreach(sums, i, sum) {
			if (!json_is_null(json_object_get(sum, families[k].key)))
				add_sample(page, families[k].name, "queue", json_string_value(json_object_get(sum, "name")),
					number_of(sum, families[k].key) * families[k].unit);
		}
	}
}

static void add_workers(struct page *page, const json_t *workers)
{
	static const struct { const char *key, *name, *type, *help; double unit; } families[] = {
		{ "in_flight", "gantry_worker_in_flight", "gauge", "Jobs in memory.", 1 },
		{ "running", "gantry_worker_running", "gauge", "Deployments launched and not ended.", 1 },
		{ "done", "gantry_worker_jobs_total", "counter", "Jobs brought to their end; for the API: requests.", 1 },
		{ "rss_bytes", "gantry_worker_resident_bytes", "gauge", "Memory.", 1 },
		{ "longest_commit_us", "gantry_worker_longest_commit_seconds", "gauge",
		  "The longest time its loop stood still for the store.", 1e-6 },
		{ "log_dropped", "gantry_worker_log_lines_dropped_total", "counter", "Log lines that nobody took.", 1 },
	};
	const json_t *worker;
	size_t i;

	for (size_t k = 0; k < sizeof(families) / sizeof(*families); k++) {
		begin_family(page, families[k].name, families[k].type, families[k].help);
		json_array_foreach(workers, i, worker) {
			buf_printf(&page->text, "%s{role=\"%s\",pid=\"%" JSON_INTEGER_FORMAT "\"} %.15g\n", families[k].name,
				json_string_value(json_object_get(worker, "role")),
				json_integer_value(json_object_get(worker, "pid")), number_of(worker, families[k].key) * families[k].unit);
		}
	}
}

static void add_store(struct page *page, struct api *api)
{
	struct store_figures figures;

	store_figures(api->store, &figures);
	begin_family(page, "gantry_api_store_longest_commit_seconds", "gauge", "The longest commit of the API's own.");
	add_sample(page, "gantry_api_store_longest_commit_seconds", NULL, NULL, figures.longest_commit_s);
	begin_family(page, "gantry_api_requests_total", "counter", "Requests answered by this process.");
	add_sample(page, "gantry_api_requests_total", NULL, NULL, (double)api->answered);
}

/* What the master does not tell is left out: the store's figures are worth having all the same. */
static void on_status(void *arg, const json_t *doc, const struct error *err)
{
	struct api *api = ((struct pending *)arg)->api;
	struct request *request = pending_end(arg);
	const char *accept;
	struct page page;
	json_t *sums;

	if (request == NULL)
		return;
	accept = request_header(request, MHD_HTTP_HEADER_ACCEPT);
	page.open = accept != NULL && strstr(accept, "application/openmetrics-text") != NULL;
	buf_init(&page.text, LIMIT_METRICS_BYTES);
	add_jobs(&page, api);
	add_store(&page, api);
	if (err == NULL) {
		sums = queue_sums(api->conf, doc);
		begin_family(&page, "gantry_generation", "gauge", "The generation that runs.");
		add_sample(&page, "gantry_generation", NULL, NULL, number_of(doc, "generation"));
		add_queues(&page, sums);
		add_workers(&page, json_object_get(doc, "workers"));
		json_decref(sums);
	}
	if (page.open)
		buf_add_text(&page.text, "# EOF\n");
	request_answer_text(request, MHD_HTTP_OK, page.open ? "application/openmetrics-text; version=1.0.0; charset=utf-8" :
		"text/plain; version=0.0.4; charset=utf-8", buf_text(&page.text), page.text.size);
	buf_finish(&page.text);
}

void answer_metrics(struct api *api, struct request *request)
{
	master_status_ask(api->master, on_status, pending_begin(api, request));
}
