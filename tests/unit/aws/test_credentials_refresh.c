/* SPDX-License-Identifier: Apache-2.0 */
#include "../cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aws/credentials.h"
#include "aws/credentials_refresh.h"
#include "base/clock.h"
#include "conformance.h"
#include "fake_http.h"

enum { MINUTE_MS = 60 * 1000, CACHED_LIFE_S = 3600, LIMIT_ANSWER = 1024 };

static void test_window_follows_the_life(void **state)
{
	static const struct { int64_t life_ms, want_ms; } cases[] = {
		{ 0, 5 * MINUTE_MS }, { 20 * MINUTE_MS, 5 * MINUTE_MS }, { 20 * MINUTE_MS + 1, 15 * MINUTE_MS },
		{ 60 * MINUTE_MS, 15 * MINUTE_MS }, { 90 * MINUTE_MS - 1, 15 * MINUTE_MS },
		{ 90 * MINUTE_MS, 60 * MINUTE_MS }, { 12 * 60 * MINUTE_MS, 60 * MINUTE_MS },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(refresh_advisory_ms(cases[i].life_ms), cases[i].want_ms);
}

static void test_need_is_a_table(void **state)
{
	static const struct { const char *name; struct refresh_state given; enum refresh_need want; } cases[] = {
		{ "none", { .cached = false }, REFRESH_FIRST },
		{ "none, after a failure", { .paused = true }, REFRESH_FIRST },
		{ "lasting", { .cached = true, .lasting = true, .advisory_ms = 900000 }, REFRESH_NOT },
		{ "lasting, rejected", { .cached = true, .lasting = true, .rejected = true }, REFRESH_FIRST },
		{ "far", { .cached = true, .left_ms = 900001, .advisory_ms = 900000 }, REFRESH_NOT },
		{ "far, rejected", { .cached = true, .rejected = true, .left_ms = 900001, .advisory_ms = 900000 },
		  REFRESH_FIRST },
		{ "near", { .cached = true, .left_ms = 900000, .advisory_ms = 900000 }, REFRESH_AHEAD },
		{ "near, after a failure", { .cached = true, .paused = true, .left_ms = 1, .advisory_ms = 900000 },
		  REFRESH_NOT },
		{ "a little more than a minute", { .cached = true, .left_ms = 60001, .advisory_ms = 900000 }, REFRESH_AHEAD },
		{ "a minute", { .cached = true, .left_ms = 60000, .advisory_ms = 900000 }, REFRESH_FIRST },
		{ "past", { .cached = true, .left_ms = -1, .advisory_ms = 900000 }, REFRESH_FIRST },
		{ "past, after a failure", { .cached = true, .paused = true, .left_ms = -99, .advisory_ms = 900000 },
		  REFRESH_NOT },
		{ "rejected, after a failure", { .cached = true, .paused = true, .rejected = true }, REFRESH_NOT },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		if (refresh_need(&cases[i].given) != cases[i].want)
			fail_msg("%s: found %d", cases[i].name, (int)refresh_need(&cases[i].given));
	}
}

static void test_pause_is_spread(void **state)
{
	(void)state;
	assert_true(refresh_pause_s(0) == 300);
	assert_true(refresh_pause_s(0.5) == 450);
	assert_true(refresh_pause_s(0.999) < 600);
}

/* The SDKs' cases, against a source whose answers come from STS */

static const char *answer_kind;         /* as the cases call it */
static int64_t answer_life_s;
static unsigned answers;                /* names the next access key */
static char answer_key[32];             /* the last one given, or what to give */
static char answer_text[LIMIT_ANSWER];

static void answer(const struct fake_request *request, struct fake_answer *reply)
{
	char end[CLOCK_STAMP_BYTES];

	(void)request;
	assert_non_null(answer_kind);
	if (strcmp(answer_kind, "error") == 0) {
		*reply = (struct fake_answer){ .kind = ERROR_TEMPORARY };
	} else if (strcmp(answer_kind, "nonRecoverableError") == 0) {
		*reply = (struct fake_answer){ .status = 403,
			.body = "<ErrorResponse><Error><Code>AccessDenied</Code><Message>no</Message></Error></ErrorResponse>" };
	} else {
		if (strcmp(answer_kind, "staleCredentials") == 0)
			answer_life_s = 0;
		clock_stamp(clock_wall_ms() + answer_life_s * 1000, end);
		snprintf(answer_text, sizeof(answer_text), "<a><AccessKeyId>%s</AccessKeyId><SecretAccessKey>s"
			"</SecretAccessKey><SessionToken>t</SessionToken><Expiration>%s</Expiration></a>", answer_key, end);
		*reply = (struct fake_answer){ .status = 200, .body = answer_text };
	}
}

struct result { bool done; struct error err; char access_key[64]; };

static void on_result(void *arg, const struct credentials *credentials, const struct error *err)
{
	struct result *result = arg;

	result->done = true;
	if (err != NULL)
		result->err = *err;
	else
		snprintf(result->access_key, sizeof(result->access_key), "%s", credentials->access_key);
}

static struct result get(struct ev_loop *loop, struct credentials_source *source, const char *kind, int64_t life_s)
{
	struct result result = { 0 };

	answer_kind = kind;
	answer_life_s = life_s;
	credentials_get(source, on_result, &result);
	while (!result.done && ev_run(loop, EVRUN_ONCE))
		;
	assert_true(result.done);
	answer_kind = NULL;
	return result;
}

/* Seconds until the end of what the cases call valid, advisory, mandatory and expired. */
static int64_t left_s(const char *cached)
{
	static const struct { const char *name; int64_t left_s; } states[] = {
		{ "valid", 3000 }, { "advisory", 600 }, { "mandatory", 30 }, { "expired", -10 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(states); i++) {
		if (strcmp(states[i].name, cached) == 0)
			return states[i].left_s;
	}
	fail_msg("what is %s?", cached);
	return 0;
}

static void pass_time(int64_t seconds)
{
	clock_shift((double)seconds, seconds * 1000);
}

static const char *text_at(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

/* The cases fix the pause after a failure; ours is drawn from 300 to 600 s.  So the time passes that is surely
 * within it, or surely enough. */
static void pass_time_of_case(const json_t *steps, size_t at)
{
	json_int_t seconds = json_integer_value(json_object_get(json_array_get(steps, at), "seconds"));
	bool limited = false;

	for (size_t i = at + 1; i < json_array_size(steps); i++) {
		const json_t *expected = json_object_get(json_array_get(steps, i), "expected");

		if (expected == NULL)
			continue;
		limited = json_is_true(json_object_get(expected, "rateLimited"));
		break;
	}
	if (limited)
		pass_time(seconds < REFRESH_PAUSE_MIN_S ? seconds : REFRESH_PAUSE_MIN_S - 1);
	else
		pass_time(seconds < REFRESH_PAUSE_MAX_S ? REFRESH_PAUSE_MAX_S : seconds);
}

static void check_step(const char *docs, const json_t *step, const struct result *result, const char *cached_key,
	bool contacted, bool configured_window)
{
	const json_t *expected = json_object_get(step, "expected");
	const char *want = text_at(expected, "result");
	const json_t *window = json_object_get(expected, "advisoryWindowSeconds");
	int64_t life_s = json_integer_value(json_object_get(step, "lifetimeSeconds"));

	if (strcmp(want, "cachedCredentials") == 0 && strcmp(result->access_key, cached_key) != 0)
		fail_msg("%s: found \"%s%s\", want the cached ones", docs, result->access_key, result->err.text);
	if (strcmp(want, "newCredentials") == 0 && strcmp(result->access_key, answer_key) != 0)
		fail_msg("%s: found \"%s%s\", want new ones", docs, result->access_key, result->err.text);
	if (strcmp(want, "noCredentialsError") == 0 && result->err.kind != ERROR_TEMPORARY)
		fail_msg("%s: found \"%s%s\", want an error", docs, result->access_key, result->err.text);
	if (strcmp(want, "nonRecoverableError") == 0 && result->err.kind != ERROR_REFUSED)
		fail_msg("%s: found \"%s%s\", want a no", docs, result->access_key, result->err.text);
	if (contacted != json_is_true(json_object_get(expected, "sourceContacted")))
		fail_msg("%s: the source was %sasked", docs, contacted ? "" : "not ");
	/* We have no setting for the window. */
	if (window != NULL && !configured_window && refresh_advisory_ms(life_s * 1000) != json_integer_value(window) * 1000)
		fail_msg("%s: the window is %lld ms", docs, (long long)refresh_advisory_ms(life_s * 1000));
}

static void run_steps(const json_t *test, struct ev_loop *loop, struct credentials_source *source,
	struct fake_http *fake, char cached_key[32])
{
	bool configured = json_object_get(json_object_get(test, "given"), "configuredAdvisoryWindowSeconds") != NULL;
	json_t *step;
	size_t i;

	json_array_foreach(json_object_get(test, "steps"), i, step) {
		const char *type = text_at(step, "type");
		json_t *life = json_object_get(step, "lifetimeSeconds");
		struct result result;

		if (strcmp(type, "advanceTime") == 0) {
			pass_time_of_case(json_object_get(test, "steps"), i);
			continue;
		}
		if (strcmp(type, "invalidate") == 0) {
			credentials_reject(source, text_at(step, "rejectedAccessKeyId"));
			continue;
		}
		snprintf(answer_key, sizeof(answer_key), "NEW-%u", ++answers);
		fake_http_forget(fake);
		result = get(loop, source, text_at(step, "response"), life != NULL ? json_integer_value(life) : CACHED_LIFE_S);
		check_step(text_at(test, "documentation"), step, &result, cached_key, fake->count > 0, configured);
		if (result.access_key[0] != '\0')
			snprintf(cached_key, 32, "%.31s", result.access_key);
	}
}

static void run_case(const json_t *test)
{
	const json_t *given = json_object_get(test, "given");
	const char *cached = text_at(given, "cachedCredentials");
	struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
	const struct conf_aws conf = { 0 };
	struct profile *profile = profile_load(NULL, NULL);
	struct credentials_env env = { .loop = loop, .conf = &conf, .profile = profile, .region = "us-east-1" };
	struct credentials_source *source;
	char cached_key[32] = "AKID-1";
	struct fake_http fake;

	fake_http_init(&fake, loop, answer);
	env.http = fake.client;
	source = credentials_create(&env, NULL);
	assert_non_null(source);
	if (text_at(given, "accessKeyId") != NULL)
		snprintf(cached_key, sizeof(cached_key), "%s", text_at(given, "accessKeyId"));
	if (strcmp(cached, "none") != 0) {
		snprintf(answer_key, sizeof(answer_key), "%s", cached_key);
		get(loop, source, "freshCredentials", CACHED_LIFE_S);
		pass_time(CACHED_LIFE_S - left_s(cached));
	}
	run_steps(test, loop, source, &fake, cached_key);
	credentials_destroy(source);
	fake_http_finish(&fake);
	profile_destroy(profile);
	ev_loop_destroy(loop);
}

static void test_agrees_with_the_sdks(void **state)
{
	json_t *doc = conformance_load("credential-refresh-tests.json");
	json_t *test;
	size_t i = 0;

	(void)state;
	clear_environment();
	setenv("AWS_WEB_IDENTITY_TOKEN_FILE", scratch_write("token", "t"), 1);
	setenv("AWS_ROLE_ARN", "arn:r", 1);
	json_array_foreach(doc, i, test)
		run_case(test);
	assert_true(doc == NULL || i > 0);
	print_message("# %zu cases of the SDKs\n", i);
	json_decref(doc);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_window_follows_the_life),
		cmocka_unit_test(test_need_is_a_table),
		cmocka_unit_test(test_pause_is_spread),
		cmocka_unit_test(test_agrees_with_the_sdks),
	};

	log_set_level(LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
