/* SPDX-License-Identifier: Apache-2.0 */
/* metrics_figures.c - counters and histograms from the rows that the processes count in (ipc/figures.h).
 *
 * What the numbers of a row mean is the tables here.  How many values a label can have is bounded by the
 * rows of a page (LIMIT_FIGURES_ROWS), whose names are configured or are words of ours. */
#include <stdio.h>
#include <string.h>

#include "api/metrics_impl.h"
#include "ipc/figures.h"

enum { BOUND_BYTES = 32 };

static const char *const causes[] = { "crashed", "refused", "hung" };
static const char *const outcomes[] = { "ok", "throttled", "refused", "server_error", "no_answer" };
static const char *const ends[] = { "succeeded", "failed", "cancelled", "superseded" };
static const char *const reasons[] = { "failure", "infrastructure" };
static const char *const deliveries[] = { "delivered", "failed", "dead" };

struct counters {
	enum figures_kind kind;
	const char *name, *help;
	const char *label, *second;     /* of the row's name; second: what is behind its first slash, NULL: nothing */
	unsigned first;                 /* the number it is in, or the first of count */
	unsigned count;
	const char *by;                 /* label that tells the numbers apart; NULL: there is one */
	const char *const *values;      /* of that label */
};

#define ONE(kind, first, label, second, name, help) { kind, name, help, label, second, first, 1, NULL, NULL }
#define MANY(kind, first, label, second, by, values, name, help) \
	{ kind, name, help, label, second, first, sizeof(values) / sizeof(*(values)), by, values }

static const struct counters counters[] = {
	MANY(FIGURES_DEPLOYER, FIGURES_SUCCEEDED, "deployer", NULL, "state", ends, "gantry_jobs_ended_total",
		"Jobs that came to their end in a worker's hands."),
	ONE(FIGURES_DEPLOYER, FIGURES_LAUNCHED, "deployer", NULL, "gantry_launches_total", "Tasks and commands launched."),
	MANY(FIGURES_DEPLOYER, FIGURES_RETRIED_FAILURE, "deployer", NULL, "reason", reasons, "gantry_attempt_retries_total",
		"Attempts that ended and were followed by another: the deployment failed, or its infrastructure took it away."),
	ONE(FIGURES_QUEUE, FIGURES_RECEIVED, "queue", NULL, "gantry_queue_received_total", "Messages received."),
	ONE(FIGURES_QUEUE, FIGURES_SETTLED, "queue", NULL, "gantry_queue_settled_total", "Messages settled."),
	ONE(FIGURES_QUEUE, FIGURES_EMPTY_RECEIVES, "queue", NULL, "gantry_queue_empty_receives_total",
		"Receives that brought nothing."),
	ONE(FIGURES_QUEUE, FIGURES_QUEUE_FAILURES, "queue", NULL, "gantry_queue_failures_total", "Calls of the queue that failed."),
	ONE(FIGURES_QUEUE, FIGURES_LEASES_LOST, "queue", NULL, "gantry_queue_leases_lost_total",
		"Messages whose visibility ended while they were held."),
	MANY(FIGURES_AWS, FIGURES_AWS_OK, "service", "action", "outcome", outcomes, "gantry_aws_requests_total",
		"Requests to AWS, each retry counted, by what came of them."),
	ONE(FIGURES_AWS, FIGURES_AWS_RETRIES, "service", "action", "gantry_aws_retries_total",
		"Requests to AWS that repeated an earlier one of the same call."),
	MANY(FIGURES_SINK, FIGURES_DELIVERED, "sink", NULL, "outcome", deliveries, "gantry_deliveries_total",
		"Tries to deliver a notification, and deliveries given up (dead)."),
	ONE(FIGURES_RELOADS, 0, "verdict", NULL, "gantry_reloads_total", "Reloads by how they ended."),
	MANY(FIGURES_RESTARTS, FIGURES_CRASHED, "role", NULL, "cause", causes, "gantry_restarts_total",
		"Processes that were replaced because they ended unasked."),
	ONE(FIGURES_PROCESS, FIGURES_LOG_DROPPED, "role", NULL, "gantry_log_lines_dropped_total", "Log lines that nobody took."),
	ONE(FIGURES_PROCESS, FIGURES_COMMITS, "role", NULL, "gantry_store_commits_total", "Transactions of the store."),
	ONE(FIGURES_PROCESS, FIGURES_WRITES, "role", NULL, "gantry_store_writes_total", "Changes that were in these."),
	ONE(FIGURES_PROCESS, FIGURES_BUSY, "role", NULL, "gantry_store_busy_total",
		"Transactions that had to wait for another process."),
};

static const struct { enum figures_kind kind; const char *name, *label, *help; } histograms[] = {
	{ FIGURES_WAIT, "gantry_wait_duration_seconds", "deployer",
	  "From a job's acceptance to its first launch: delays, locks and capacity." },
	{ FIGURES_LAUNCH, "gantry_launch_duration_seconds", "deployer",
	  "From being free to launch (lock granted, delay over) to the launch's answer." },
	{ FIGURES_RUN, "gantry_run_duration_seconds", "deployer", "From an attempt's launch to its end." },
	{ FIGURES_SETTLE, "gantry_settle_duration_seconds", "deployer",
	  "From seeing a job's end to the answer that its message is deleted." },
	{ FIGURES_ROUTE_TIME, "gantry_api_request_duration_seconds", "route", "From a request's head to its answer." },
};

static bool is_kind(const json_t *row, enum figures_kind kind)
{
	const char *name = json_string_value(json_object_get(row, "kind"));

	return name != NULL && strcmp(name, figures_kind_name(kind)) == 0;
}

static const char *name_of(const json_t *row)
{
	const char *name = json_string_value(json_object_get(row, "name"));

	return name != NULL ? name : "";
}

static double value_of(const json_t *row, size_t at)
{
	return (double)json_integer_value(json_array_get(json_object_get(row, "values"), at));
}

/* The labels of a row's name; the next free one is returned.  before is where the first part is kept. */
static size_t label_row(const struct counters *of, const json_t *row, char before[FIGURES_NAME_BYTES],
	struct metric_label labels[LIMIT_METRIC_LABELS])
{
	const char *name = name_of(row), *slash = of->second != NULL ? strchr(name, '/') : NULL;

	snprintf(before, FIGURES_NAME_BYTES, "%.*s", slash != NULL ? (int)(slash - name) : FIGURES_NAME_BYTES - 1, name);
	labels[0] = (struct metric_label){ of->label, before };
	if (of->second == NULL)
		return 1;
	labels[1] = (struct metric_label){ of->second, slash != NULL ? slash + 1 : "" };
	return 2;
}

static void add_counters(struct metrics_page *page, const struct counters *of, const json_t *figures)
{
	const json_t *row;
	size_t i;

	metrics_family(page, of->name, "counter", of->help);
	json_array_foreach(figures, i, row) {
		struct metric_label labels[LIMIT_METRIC_LABELS] = { 0 };
		char before[FIGURES_NAME_BYTES];
		size_t used;

		if (!is_kind(row, of->kind))
			continue;
		used = label_row(of, row, before, labels);
		for (unsigned k = 0; k < of->count; k++) {
			if (of->by != NULL)
				labels[used] = (struct metric_label){ of->by, of->values[k] };
			metrics_sample(page, of->name, labels, value_of(row, of->first + k));
		}
	}
}

/* Statuses that were never answered are left out: there are many of them for each route. */
static void add_requests(struct metrics_page *page, const json_t *figures)
{
	static const char name[] = "gantry_api_requests_total";
	const json_t *row;
	char code[16];
	size_t i;

	metrics_family(page, name, "counter", "HTTP requests answered.");
	json_array_foreach(figures, i, row) {
		for (size_t k = 0; is_kind(row, FIGURES_ROUTE) && k <= FIGURES_CODES; k++) {
			const struct metric_label labels[LIMIT_METRIC_LABELS] = { { "route", name_of(row) }, { "code", code } };

			snprintf(code, sizeof(code), "%u", k < FIGURES_CODES ? figures_codes[k] : 0);
			if (k == FIGURES_CODES)
				snprintf(code, sizeof(code), "other");
			if (value_of(row, k) > 0)
				metrics_sample(page, name, labels, value_of(row, k));
		}
	}
}

static void add_part(struct metrics_page *page, const char *name, const char *part, const struct metric_label *label,
	const char *bound, double value)
{
	struct metric_label labels[LIMIT_METRIC_LABELS] = { *label };
	char whole[96];

	if (bound != NULL)
		labels[1] = (struct metric_label){ "le", bound };
	snprintf(whole, sizeof(whole), "%s_%s", name, part);
	metrics_sample(page, whole, labels, value);
}

static void add_histogram(struct metrics_page *page, const char *name, const struct metric_label *label,
	enum figures_kind kind, const json_t *row)
{
	size_t count;
	const double *bounds = figures_bounds(kind, &count);
	char bound[BOUND_BYTES] = "+Inf";
	double below = 0;

	for (size_t i = 0; i <= count; i++) {
		below += value_of(row, i);
		if (i < count)
			metrics_bound(bounds[i], bound, sizeof(bound));
		else
			snprintf(bound, sizeof(bound), "+Inf");
		add_part(page, name, "bucket", label, bound, below);
	}
	add_part(page, name, "sum", label, NULL, value_of(row, count + 1) * 1e-6);
	add_part(page, name, "count", label, NULL, below);
}

void metrics_add_figures(struct metrics_page *page, const json_t *figures)
{
	const json_t *row;
	size_t at;

	for (size_t i = 0; i < sizeof(counters) / sizeof(*counters); i++)
		add_counters(page, &counters[i], figures);
	add_requests(page, figures);
	for (size_t i = 0; i < sizeof(histograms) / sizeof(*histograms); i++) {
		metrics_family(page, histograms[i].name, "histogram", histograms[i].help);
		json_array_foreach(figures, at, row) {
			const struct metric_label label = { histograms[i].label, name_of(row) };

			if (is_kind(row, histograms[i].kind))
				add_histogram(page, histograms[i].name, &label, histograms[i].kind, row);
		}
	}
}
