/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../cmocka_all.h"
#include "aws/skew.h"
#include "base/clock.h"
#include "base/json_at.h"
#include "conformance.h"

static const double noon_s = 1767268800;        /* Thu, 01 Jan 2026 12:00:00 GMT */

static const struct { const char *text; double want_s; } dates[] = {
	{ "Thu, 01 Jan 2026 12:00:00 GMT", 1767268800 },
	{ "Thu, 1 Jan 2026 12:00:00 GMT", 1767268800 },
	{ "Sat, 29 Feb 2020 00:00:00 GMT", 1582934400 },
	{ "Thu, 01 Jan 2026 12:00:00", -1 },
	{ "Thu, 01 Jan 2026 12:00:00 GMT+1", -1 },
	{ "Thu, 01 Foo 2026 12:00:00 GMT", -1 },
	{ "Thu, 41 Jan 2026 12:00:00 GMT", -1 },
	{ "Thu, 01 Jan 2026 25:00:00 GMT", -1 },
	{ "Thu, 01 Jan 2026 12:-1:00 GMT", -1 },
	{ "2026-01-01T12:00:00Z", -1 },
	{ "", -1 },
};

static void test_dates(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(dates); i++) {
		double got_s = -1;

		if (skew_parse_date(dates[i].text, &got_s) != (dates[i].want_s >= 0) || got_s != dates[i].want_s)
			fail_msg("%s: got %f", dates[i].text, got_s);
	}
}

static const struct {
	const char *name, *date, *age;
	double sent_s, took_s, want_s;
	bool want;
} samples[] = {
	{ "agrees", "Thu, 01 Jan 2026 12:00:01 GMT", NULL, 0, 2, 0, true },
	{ "ahead by five minutes", "Thu, 01 Jan 2026 12:05:01 GMT", NULL, 0, 2, 300, true },
	{ "behind by a day", "Wed, 31 Dec 2025 12:00:00 GMT", NULL, 0, 0, -86400, true },
	{ "longest round trip", "Thu, 01 Jan 2026 12:07:30 GMT", NULL, 0, 900, 0, true },
	{ "round trip too long", "Thu, 01 Jan 2026 12:10:00 GMT", NULL, 0, 901, 7, false },
	{ "answered by a cache", "Thu, 01 Jan 2026 08:00:00 GMT", "14400", 0, 2, 7, false },
	{ "no date", NULL, NULL, 0, 2, 7, false },
	{ "broken date", "now", NULL, 0, 2, 7, false },
};

static void test_samples(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(samples); i++) {
		struct skew skew = { .offset_s = 7 }, disabled = { .disabled = true };
		double sent_s = noon_s + samples[i].sent_s, received_s = sent_s + samples[i].took_s;

		if (skew_sample(&skew, samples[i].date, samples[i].age, sent_s, received_s) != samples[i].want
		    || fabs(skew.offset_s - samples[i].want_s) > 1e-6)
			fail_msg("%s: offset %f", samples[i].name, skew.offset_s);
		assert_false(skew_sample(&disabled, samples[i].date, samples[i].age, sent_s, received_s));
		assert_true(disabled.offset_s == 0);
	}
}

static const struct {
	const char *name, *code, *text;
	double offset_s, signed_s;
	bool want;
} explanations[] = {
	{ "five minutes", "InvalidSignatureException", "", 300, 0, true },
	{ "two minutes", "InvalidSignatureException", "", 120, 0, false },
	{ "behind", "SignatureDoesNotMatch", "", -300, 0, true },
	{ "was corrected already", "SignatureDoesNotMatch", "", 300, 299, false },
	{ "correction was wrong", "RequestTimeTooSkewed", "", 0, 300, true },
	{ "other code", "QueueDoesNotExist", "", 300, 0, false },
	{ "only the text tells", "IncompleteSignature", "Signature expired: 1 is now earlier than 2", 300, 0, true },
	{ "denied", "AccessDeniedException", "", 300, 0, true },
};

static void test_explanations(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(explanations); i++) {
		struct skew skew = { .offset_s = explanations[i].offset_s };

		if (skew_explains(&skew, explanations[i].code, explanations[i].text, explanations[i].signed_s)
		    != explanations[i].want)
			fail_msg("%s", explanations[i].name);
		skew.disabled = true;
		assert_false(skew_explains(&skew, explanations[i].code, explanations[i].text, explanations[i].signed_s));
	}
}

static double seconds_of(const json_t *attempt, const char *member)
{
	const char *stamp = json_at_string(attempt, member);
	int64_t ms = 0;

	assert_non_null(stamp);
	assert_true(clock_parse_stamp(stamp, &ms));
	return (double)ms / 1000.0;
}

/* Plays one attempt; returns whether it failed and is to be made again for the clock. */
static bool play(struct skew *skew, const json_t *attempt, const char *name)
{
	double sent_s = seconds_of(attempt, "clientTimeAtSend"), signed_s = skew->offset_s;
	const json_t *headers = json_at_object(attempt, "response.headers");
	const char *code = json_at_string(attempt, "response.errorCode");

	if (fabs(sent_s + skew->offset_s - seconds_of(attempt, "expectedSigningTime")) > 1)
		fail_msg("%s: signed with an offset of %f", name, skew->offset_s);
	skew_sample(skew, json_at_string(headers, "Date"), json_at_string(headers, "Age"), sent_s,
		seconds_of(attempt, "clientTimeAtReceive"));
	return code != NULL && skew_explains(skew, code, "", signed_s);
}

static void play_operation(struct skew *skew, const json_t *operation, const char *name)
{
	const json_t *attempts = json_at_array(operation, "attempts");
	bool again = false, success;
	int64_t most = 3;
	double number;

	assert_true(json_at_number(operation, "initialClientSkew", &number));
	if (skew->offset_s == 0)
		skew->offset_s = number;
	json_at_integer(operation, "maxAttempts", &most);
	for (size_t i = 0; i < json_array_size(attempts); i++) {
		assert_true(i == 0 || (again && (int64_t)i < most));
		again = play(skew, json_array_get(attempts, i), name);
	}
	success = strcmp(json_at_string(operation, "expectedOutcome"), "success") == 0;
	/* A failure that would be made again was only ended by the number of attempts. */
	assert_true(success || !again || (int64_t)json_array_size(attempts) == most);
	assert_true(json_at_number(operation, "expectedClientSkew", &number));
	if (fabs(skew->offset_s - number) > 1)
		fail_msg("%s: offset %f, want %f", name, skew->offset_s, number);
}

static void test_shared_cases(void **state)
{
	json_t *doc = conformance_load("clock-skew-test-cases.json");
	const json_t *tests = json_at_array(doc, "tests");

	(void)state;
	for (size_t i = 0; i < json_array_size(tests); i++) {
		const json_t *test = json_array_get(tests, i), *operations = json_at_array(test, "operations");
		struct skew skew = { 0 };

		for (size_t k = 0; k < json_array_size(operations); k++)
			play_operation(&skew, json_array_get(operations, k), json_at_string(test, "description"));
	}
	print_message("# %zu shared cases\n", json_array_size(tests));
	if (doc != NULL)
		assert_true(json_array_size(tests) > 0);
	json_decref(doc);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_dates),
		cmocka_unit_test(test_samples),
		cmocka_unit_test(test_explanations),
		cmocka_unit_test(test_shared_cases),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
