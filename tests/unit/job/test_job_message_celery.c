/* SPDX-License-Identifier: Apache-2.0 */
/* What Celery's clients put into Redis and SQS, as job messages. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../cmocka_all.h"
#include "job/job_message_celery.h"

#define HEADERS "\"headers\":{\"lang\":\"py\",\"task\":\"site.deploy\",\"id\":\"c1\",\"eta\":null}"
#define TYPE "\"content-encoding\":\"utf-8\",\"content-type\":\"application/json\""
#define BASE64 "\"properties\":{\"body_encoding\":\"base64\"}"

static const struct { const char *name, *body, *want; } cases[] = {
	/* [["main"], {"project": "p"}, {}] */
	{ "base64", "{\"body\":\"W1sibWFpbiJdLCB7InByb2plY3QiOiAicCJ9LCB7fV0=\"," TYPE "," HEADERS "," BASE64 "}",
	  "{\"args\":[\"main\"],\"id\":\"c1\",\"project\":\"p\",\"task\":\"site.deploy\"}" },
	{ "plain", "{\"body\":\"[[],{\\\"project\\\":\\\"p\\\",\\\"task\\\":1},null]\"," TYPE "," HEADERS "}",
	  "{\"args\":[],\"id\":\"c1\",\"project\":\"p\",\"task\":1}" },
	/* an id among the arguments does not hide the task's */
	{ "id", "{\"body\":\"[[],{\\\"id\\\":7},null]\"," TYPE "," HEADERS "}", "{\"args\":[],\"id\":\"c1\",\"task\":\"site.deploy\"}" },
	{ "none of Celery's", "{\"project\":\"p\"}", NULL },
	{ "nothing", "", NULL },
	{ "protocol 1", "{\"body\":\"e30=\"," TYPE ",\"headers\":{}," BASE64 "}", NULL },
	{ "pickle", "{\"body\":\"gAJ9\",\"content-type\":\"application/x-python-serialize\"," HEADERS "," BASE64 "}", NULL },
	{ "broken base64", "{\"body\":\"W1s\\u0000\"," TYPE "," HEADERS "," BASE64 "}", NULL },
	{ "no arguments", "{\"body\":\"{}\"," TYPE "," HEADERS "}", NULL },
};

static char *sorted(char *text)
{
	json_t *root = json_loads(text, 0, NULL);
	char *again = json_dumps(root, JSON_COMPACT | JSON_SORT_KEYS);

	json_decref(root);
	free(text);
	return again;
}

static void test_unwrap(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct error err = { 0 };
		char *got = job_message_unwrap_celery(cases[i].body, strlen(cases[i].body), &err);

		if ((got == NULL) != (cases[i].want == NULL))
			fail_msg("%s: %s", cases[i].name, got != NULL ? got : err.text);
		if (got == NULL) {
			assert_int_equal(err.kind, ERROR_INVALID);
			assert_non_null(strstr(err.text, "Celery"));
			continue;
		}
		got = sorted(got);
		assert_string_equal(got, cases[i].want);
		free(got);
	}
}

static void a_message_of_sqs_may_be_in_base64_once_more(void **state)
{
	/* {"body":"[[],{},null]","content-type":"application/json","headers":{"id":"c1","task":"t"}} */
	static const char body[] = "eyJib2R5IjoiW1tdLHt9LG51bGxdIiwiY29udGVudC10eXBlIjoiYXBwbGljYXRpb24vanNvbiIsImhlYWRlcnMiOnsi"
		"aWQiOiJjMSIsInRhc2siOiJ0In19";
	char *got = job_message_unwrap_celery(body, strlen(body), NULL);

	(void)state;
	assert_non_null(got);
	free(got);
}

static void an_eta_becomes_a_delay(void **state)
{
	static const struct { const char *after; int hours, least, most; } etas[] = {
		{ "", 0, 3590, 3601 },
		{ ".250000+00:00", 0, 3590, 3602 },
		{ "+02:00", 2, 3590, 3601 },
		{ "Z", 0, 3590, 3601 },
		{ "", -5, 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(etas); i++) {
		time_t at = time(NULL) + 3600 + etas[i].hours * 3600;
		char eta[64], body[512];
		struct tm tm;
		json_t *root;
		char *got;

		strftime(eta, sizeof(eta), "%Y-%m-%dT%H:%M:%S", gmtime_r(&at, &tm));
		snprintf(body, sizeof(body), "{\"body\":\"[[],{},null]\"," TYPE ",\"headers\":{\"id\":\"c\",\"task\":\"t\",\"eta\":\"%s%s\"}}",
			eta, etas[i].after);
		got = job_message_unwrap_celery(body, strlen(body), NULL);
		assert_non_null(got);
		root = json_loads(got, 0, NULL);
		assert_in_range(json_integer_value(json_object_get(root, "delay")), etas[i].least, etas[i].most);
		json_decref(root);
		free(got);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_unwrap),
		cmocka_unit_test(a_message_of_sqs_may_be_in_base64_once_more),
		cmocka_unit_test(an_eta_becomes_a_delay),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
