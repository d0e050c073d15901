/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../cmocka_all.h"
#include "aws/aws_place.h"
#include "aws/aws_settings.h"
#include "conformance.h"

static const char config[] =
	"[default]\nregion = eu-north-1\nca_bundle = /profile/ca.pem\nmax_attempts = 7\n"
	"endpoint_url = http://profile:1\nservices = s\n"
	"[services s]\nsqs =\n  endpoint_url = http://section:2\n"
	"[profile fips]\nuse_fips_endpoint = true\nuse_dualstack_endpoint = TRUE\n"
	"[profile ignoring]\nignore_configured_endpoint_urls = true\nendpoint_url = http://profile:1\n"
	"[profile broken]\nmax_attempts = many\n"
	"[profile empty]\n";

struct variable { const char *name, *value; };

static const struct {
	const char *name, *profile;
	struct variable variables[3];
	struct conf_aws conf;
	const char *want;       /* "region tries ca fips dual sqs ecs"; or what the error tells */
	bool refused;
} cases[] = {
	{ "nothing", "empty", { { 0 } }, { 0 }, "- 3 - 0 0 - -", false },
	{ "profile", NULL, { { 0 } }, { 0 }, "eu-north-1 7 /profile/ca.pem 0 0 http://section:2/ http://profile:1/", false },
	{ "second variable for the region", NULL, { { "AWS_DEFAULT_REGION", "us-east-2" } }, { 0 },
		"us-east-2 7 /profile/ca.pem 0 0 http://section:2/ http://profile:1/", false },
	{ "environment over profile", NULL, { { "AWS_REGION", "us-east-1" }, { "AWS_DEFAULT_REGION", "us-east-2" },
		{ "AWS_MAX_ATTEMPTS", "2" } }, { 0 }, "us-east-1 2 /profile/ca.pem 0 0 http://section:2/ http://profile:1/", false },
	{ "configuration over environment", "empty", { { "AWS_REGION", "us-east-1" } }, { .region = (char *)"ap-east-1" },
		"ap-east-1 3 - 0 0 - -", false },
	{ "an empty variable is none", NULL, { { "AWS_REGION", "" }, { "AWS_CA_BUNDLE", "" } }, { 0 },
		"eu-north-1 7 /profile/ca.pem 0 0 http://section:2/ http://profile:1/", false },
	{ "CA from the environment", NULL, { { "AWS_CA_BUNDLE", "/env/ca.pem" } }, { 0 },
		"eu-north-1 7 /env/ca.pem 0 0 http://section:2/ http://profile:1/", false },
	{ "service variable over general one", NULL, { { "AWS_ENDPOINT_URL", "http://all:3" },
		{ "AWS_ENDPOINT_URL_SQS", "http://sqs:4" } }, { 0 }, "eu-north-1 7 /profile/ca.pem 0 0 http://sqs:4/ http://all:3/",
		false },
	{ "configuration over variables", "empty", { { "AWS_ENDPOINT_URL_SQS", "http://sqs:4" } },
		{ .endpoint_url = (char *)"http://conf:5" }, "- 3 - 0 0 http://conf:5/ http://conf:5/", false },
	{ "service key over general one", "empty", { { 0 } }, { .endpoint_url = (char *)"http://conf:5",
		.ecs_endpoint_url = (char *)"http://ecs:6/x", .sqs_endpoint_url = (char *)"http://SQS:80" },
		"- 3 - 0 0 http://sqs/ http://ecs:6/x", false },
	{ "ignored", NULL, { { "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true" }, { "AWS_ENDPOINT_URL", "http://all:3" } }, { 0 },
		"eu-north-1 7 /profile/ca.pem 0 0 - -", false },
	{ "ignored by the profile", "ignoring", { { 0 } }, { 0 }, "- 3 - 0 0 - -", false },
	{ "our own are not ignored", "ignoring", { { 0 } }, { .endpoint_url = (char *)"http://conf:5" },
		"- 3 - 0 0 http://conf:5/ http://conf:5/", false },
	{ "FIPS and dual-stack", "fips", { { 0 } }, { 0 }, "- 3 - 1 1 - -", false },
	{ "environment switches FIPS off", "fips", { { "AWS_USE_FIPS_ENDPOINT", "False" } }, { 0 }, "- 3 - 0 1 - -", false },
	{ "FIPS with an endpoint", "fips", { { "AWS_ENDPOINT_URL_SQS", "http://sqs:4" } }, { 0 },
		"AWS_ENDPOINT_URL_SQS cannot be used together with FIPS", true },
	{ "broken flag", "empty", { { "AWS_USE_DUALSTACK_ENDPOINT", "yes" } }, { 0 }, "AWS_USE_DUALSTACK_ENDPOINT: expected true",
		true },
	{ "no tries", "empty", { { "AWS_MAX_ATTEMPTS", "0" } }, { 0 }, "AWS_MAX_ATTEMPTS: expected a number", true },
	{ "negative tries", "empty", { { "AWS_MAX_ATTEMPTS", "-1" } }, { 0 }, "AWS_MAX_ATTEMPTS: expected a number", true },
	{ "tries in words", "broken", { { 0 } }, { 0 }, "max_attempts: expected a number from 1 to 20, found \"many\"", true },
	{ "broken endpoint", "empty", { { "AWS_ENDPOINT_URL", "localhost" } }, { 0 }, "AWS_ENDPOINT_URL: \"localhost\" is not",
		true },
	{ "password in an endpoint", "empty", { { 0 } }, { .endpoint_url = (char *)"http://a:hunter2@h/" },
		"aws.endpoint_url: an endpoint URL may not hold", true },
};

static const char *or_dash(const char *text)
{
	return text != NULL ? text : "-";
}

static void test_load(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct aws_settings settings;
		struct error err = { 0 };
		struct profile *profile;
		char got[LIMIT_ERROR_TEXT_BYTES];
		bool ok;

		clear_environment();
		scratch_write(".aws/config", config);
		for (size_t k = 0; k < ARRAY_SIZE(cases[i].variables) && cases[i].variables[k].name != NULL; k++)
			setenv(cases[i].variables[k].name, cases[i].variables[k].value, 1);
		profile = profile_load(cases[i].profile, &err);
		if (profile == NULL)
			fail_msg("%s: %s", cases[i].name, err.text);
		ok = aws_settings_load(&settings, &cases[i].conf, profile, &err);
		if (ok)
			snprintf(got, sizeof(got), "%s %u %s %d %d %s %s", or_dash(settings.region), settings.tries,
				or_dash(settings.ca_bundle), settings.fips, settings.dual_stack,
				or_dash(settings.endpoints[AWS_SQS]), or_dash(settings.endpoints[AWS_ECS]));
		else
			snprintf(got, sizeof(got), "%s", err.text);
		if (ok == cases[i].refused || strncmp(got, cases[i].want, strlen(cases[i].want)) != 0
		    || strstr(got, "hunter2") != NULL)
			fail_msg("%s: got %s", cases[i].name, got);
		if (!ok)
			assert_int_equal(err.kind, ERROR_REFUSED);
		aws_settings_finish(&settings);
		profile_destroy(profile);
	}
}

static const struct {
	const char *name, *configured, *origin;
	bool fips;
	const char *want;
} places[] = {
	{ "public", NULL, NULL, false, "https://sqs.eu-west-1.amazonaws.com/" },
	{ "queue's origin", NULL, "http://localhost:9324", false, "http://localhost:9324/" },
	{ "configured over origin", "http://conf:5", "http://localhost:9324", false, "http://conf:5/" },
	{ "FIPS instead of the queue's plain host", NULL, "https://sqs.eu-west-1.amazonaws.com", true,
		"https://sqs-fips.eu-west-1.amazonaws.com/" },
	{ "FIPS does not move an emulator", NULL, "http://localhost:9324", true, "http://localhost:9324/" },
};

static void test_endpoint(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		struct aws_settings settings = { .fips = places[i].fips };
		struct endpoint endpoint;
		struct error err = { 0 };

		settings.endpoints[AWS_SQS] = (char *)places[i].configured;
		if (!aws_settings_endpoint(&settings, AWS_SQS, "eu-west-1", places[i].origin, &endpoint, &err))
			fail_msg("%s: %s", places[i].name, err.text);
		assert_string_equal(endpoint.url, places[i].want);
		endpoint_finish(&endpoint);
	}
}

static struct aws_place *hold(struct aws_places *all, const char *region, const char *origin)
{
	static const struct aws_settings settings;
	struct error err = { 0 };
	struct aws_place *place = aws_place_hold(all, &settings, AWS_SQS, region, origin, &err);

	if (place == NULL)
		fail_msg("%s %s: %s", region, origin != NULL ? origin : "-", err.text);
	return place;
}

/* Found again while they are in use or were used lately, and never mixed up. */
static void test_places_are_kept(void **state)
{
	struct aws_places all;
	struct aws_place *held, *global, *other;
	struct error err = { 0 };
	char origin[64], url[64];

	(void)state;
	aws_places_init(&all);
	held = hold(&all, "eu-west-1", NULL);
	assert_string_equal(held->endpoint.url, "https://sqs.eu-west-1.amazonaws.com/");
	global = hold(&all, "aws-global", "http://127.0.0.1:1");
	assert_string_equal(global->region, "us-east-1");
	assert_ptr_equal(hold(&all, "eu-west-1", NULL), held);
	other = hold(&all, "us-east-1", "http://127.0.0.1:1");
	assert_ptr_not_equal(other, global);
	assert_ptr_equal(hold(&all, "us-east-1", "http://127.0.0.1:1"), other);
	aws_place_drop(global);
	aws_place_drop(other);
	aws_place_drop(other);
	for (unsigned i = 0; i < 3 * AWS_PLACES; i++) {
		snprintf(origin, sizeof(origin), "http://127.0.0.1:%u", 1000 + i);
		snprintf(url, sizeof(url), "%s/", origin);
		other = hold(&all, "eu-west-1", origin);
		assert_string_equal(other->endpoint.url, url);
		aws_place_drop(other);
		assert_true(all.count <= AWS_PLACES);
		other = hold(&all, "eu-west-1", i > 0 ? "http://127.0.0.1:1000" : origin);      /* always wanted, always kept */
		if (i == 0)
			global = other;
		assert_ptr_equal(other, global);
		aws_place_drop(other);
	}
	assert_ptr_equal(hold(&all, "eu-west-1", NULL), held);
	assert_null(aws_place_hold(&all, &(struct aws_settings){ 0 }, AWS_SQS, "No Region", NULL, &err));
	assert_int_equal(err.kind, ERROR_INVALID);
	for (unsigned i = 0; i < AWS_PLACES + 5; i++) {         /* all in use: there may be more of them */
		snprintf(origin, sizeof(origin), "http://127.0.0.1:%u", 2000 + i);
		hold(&all, "eu-west-1", origin);
	}
	assert_ptr_equal(hold(&all, "eu-west-1", NULL), held);
	aws_places_finish(&all);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_load),
		cmocka_unit_test(test_endpoint),
		cmocka_unit_test(test_places_are_kept),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	scratch_remove(".aws/config");
	return failed;
}
