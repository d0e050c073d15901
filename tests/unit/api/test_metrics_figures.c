/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "../cmocka_all.h"
#include "api/metrics_impl.h"

/* The page for rows as the master tells them. */
static char *page_of(const char *rows, const char *accept)
{
	json_t *figures = json_loads(rows, 0, NULL);
	struct metrics_page page;

	assert_non_null(figures);
	metrics_page_init(&page, accept);
	metrics_add_figures(&page, figures);
	assert_true(metrics_page_close(&page));
	json_decref(figures);
	return buf_take(&page.text);
}

static void want_line(const char *text, const char *line)
{
	const char *at = strstr(text, line);

	if (at == NULL || (at != text && at[-1] != '\n') || at[strlen(line)] != '\n')
		fail_msg("no line %s in:\n%s", line, text);
}

static void rows_become_samples(void **state)
{
	static const struct { const char *name, *rows, *want; } cases[] = {
		{ "one number", "[{\"kind\":\"queue\",\"name\":\"a\",\"values\":[7,5]}]", "gantry_queue_settled_total{queue=\"a\"} 5" },
		{ "zeroes at the end are not told", "[{\"kind\":\"queue\",\"name\":\"a\",\"values\":[]}]",
		  "gantry_queue_received_total{queue=\"a\"} 0" },
		{ "a name in two parts", "[{\"kind\":\"aws\",\"name\":\"ecs/RunTask\",\"values\":[3,1]}]",
		  "gantry_aws_requests_total{service=\"ecs\",action=\"RunTask\",outcome=\"throttled\"} 1" },
		{ "what the page had no room for", "[{\"kind\":\"aws\",\"name\":\"(other)\",\"values\":[3]}]",
		  "gantry_aws_requests_total{service=\"(other)\",action=\"\",outcome=\"ok\"} 3" },
		{ "characters that end a label", "[{\"kind\":\"sink\",\"name\":\"a\\\"b\\\\c\\nd\",\"values\":[1]}]",
		  "gantry_deliveries_total{sink=\"a\\\"b\\\\c\\nd\",outcome=\"delivered\"} 1" },
		{ "a status", "[{\"kind\":\"route\",\"name\":\"GET /v1/jobs\",\"values\":[0,4]}]",
		  "gantry_api_requests_total{route=\"GET /v1/jobs\",code=\"202\"} 4" },
		{ "a kind of a later version", "[{\"kind\":\"unknown\",\"name\":\"x\",\"values\":[1]},"
		  "{\"kind\":\"reloads\",\"name\":\"refused\",\"values\":[2]}]", "gantry_reloads_total{verdict=\"refused\"} 2" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char *text = page_of(cases[i].rows, NULL);

		want_line(text, cases[i].want);
		free(text);
	}
}

static void buckets_are_cumulated(void **state)
{
	/* 14 bounds, what is above them, the sum in microseconds. */
	char *text = page_of("[{\"kind\":\"launch\",\"name\":\"d\",\"values\":[1,0,2,0,0,0,0,0,0,0,0,0,0,0,4,2500000]}]", NULL);

	(void)state;
	want_line(text, "gantry_launch_duration_seconds_bucket{deployer=\"d\",le=\"0.005\"} 1");
	want_line(text, "gantry_launch_duration_seconds_bucket{deployer=\"d\",le=\"0.01\"} 1");
	want_line(text, "gantry_launch_duration_seconds_bucket{deployer=\"d\",le=\"0.025\"} 3");
	want_line(text, "gantry_launch_duration_seconds_bucket{deployer=\"d\",le=\"300.0\"} 3");
	want_line(text, "gantry_launch_duration_seconds_bucket{deployer=\"d\",le=\"+Inf\"} 7");
	want_line(text, "gantry_launch_duration_seconds_sum{deployer=\"d\"} 2.5");
	want_line(text, "gantry_launch_duration_seconds_count{deployer=\"d\"} 7");
	free(text);
}

static void openmetrics_names_a_counter_without_its_suffix_and_ends(void **state)
{
	char *text = page_of("[]", "application/openmetrics-text; version=1.0.0, text/plain;q=0.5");
	const char *end = "# EOF\n";

	(void)state;
	want_line(text, "# TYPE gantry_reloads counter");
	assert_string_equal(text + strlen(text) - strlen(end), end);
	free(text);
	text = page_of("[]", "text/plain");
	want_line(text, "# TYPE gantry_reloads_total counter");
	assert_null(strstr(text, "EOF"));
	free(text);
}

static void a_page_that_is_too_large_is_not_sent_in_part(void **state)
{
	struct metrics_page page;

	(void)state;
	metrics_page_init(&page, NULL);
	while (!page.text.overflowed)
		metrics_single(&page, "gantry_x", "gauge", "text", 1);
	assert_false(metrics_page_close(&page));
	metrics_page_finish(&page);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows_become_samples),
		cmocka_unit_test(buckets_are_cumulated),
		cmocka_unit_test(openmetrics_names_a_counter_without_its_suffix_and_ends),
		cmocka_unit_test(a_page_that_is_too_large_is_not_sent_in_part),
	};

	return cmocka_run_group_tests_name("metrics_figures", tests, NULL, NULL);
}
