/* SPDX-License-Identifier: Apache-2.0 */
#include "../cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aws/sts.h"
#include "base/clock.h"
#include "conformance.h"
#include "fake_http.h"

#define REPLY "<a><AccessKeyId>A</AccessKeyId><SecretAccessKey>S</SecretAccessKey><SessionToken>T</SessionToken>" \
	"<Expiration>2026-01-02T04:04:05Z</Expiration></a>"
#define SKEWED "<ErrorResponse><Error><Code>SignatureDoesNotMatch</Code><Message>Signature expired</Message></Error>" \
	"</ErrorResponse>"

/* 2026-01-02T03:04:05Z and a little. */
static const int64_t then_ms = 1767323045100;

static struct fake_answer script[4];
static size_t script_next;

static void answer(const struct fake_request *request, struct fake_answer *reply)
{
	(void)request;
	assert_true(script_next < ARRAY_SIZE(script));
	*reply = script[script_next++];
}

struct result { bool done; struct error err; char access_key[64]; int64_t expires_ms; };

static void on_done(void *arg, struct credentials *take, const struct error *err)
{
	struct result *result = arg;

	assert_false(result->done);
	result->done = true;
	if (err != NULL) {
		result->err = *err;
		return;
	}
	snprintf(result->access_key, sizeof(result->access_key), "%s", take->access_key);
	result->expires_ms = take->expires_ms;
	credentials_free(take);
}

struct world {
	struct ev_loop *loop;
	struct fake_http fake;
	struct profile *profile;
	struct conf_aws conf;
	struct credentials_env env;
	struct error err;
};

static struct sts *enter(struct world *world, const char *region, const char *endpoint)
{
	*world = (struct world){ .loop = ev_loop_new(EVFLAG_AUTO), .profile = profile_load(NULL, NULL) };
	fake_http_init(&world->fake, world->loop, answer);
	world->env = (struct credentials_env){
		.loop = world->loop, .http = world->fake.client, .conf = &world->conf, .profile = world->profile,
		.region = region, .sts_endpoint = endpoint,
	};
	script_next = 0;
	return sts_create(&world->env, &world->err);
}

static void leave(struct world *world, struct sts *sts)
{
	sts_destroy(sts);
	assert_int_equal(world->fake.open, 0);
	fake_http_finish(&world->fake);
	profile_destroy(world->profile);
	ev_loop_destroy(world->loop);
}

static struct result assume(struct world *world, struct sts *sts, const char *token)
{
	const struct credentials signer = {
		.access_key = (char *)"AKIDEXAMPLE", .secret_key = (char *)"wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
		.session_token = (char *)token,
	};
	const struct sts_request request = {
		.role_arn = "arn:aws:iam::123456789012:role/deploy", .session_name = "me@here",
		.external_id = "a b/\xc3\xbc", .duration_s = 900, .signer = &signer,
	};
	struct result result = { 0 };

	sts_assume(sts, &request, on_done, &result);
	assert_false(result.done);
	while (!result.done && ev_run(world->loop, EVRUN_ONCE))
		;
	assert_true(result.done);
	return result;
}

/* The signatures are botocore's for the same requests. */
static void test_signs_like_botocore(void **state)
{
	static const struct { const char *token, *authorization; } cases[] = {
		{ NULL, "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260102/eu-west-1/sts/aws4_request, "
		  "SignedHeaders=content-type;host;x-amz-date, "
		  "Signature=8588b5caa36d8ad992c97cfd362c4c66fac0703c0b076f2444a892d3c7606ccc" },
		{ "tok/en+==", "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260102/eu-west-1/sts/aws4_request, "
		  "SignedHeaders=content-type;host;x-amz-date;x-amz-security-token, "
		  "Signature=6dcf2371b10fcb1b8b66cfda0147512919fb51c6e809e800a65bebb4ed00f782" },
	};

	(void)state;
	clear_environment();
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int64_t shift_ms = then_ms - clock_wall_ms();
		struct fake_request *request;
		struct result result;
		struct world world;
		struct sts *sts = enter(&world, "eu-west-1", NULL);

		script[0] = (struct fake_answer){ .status = 200, .body = REPLY };
		clock_shift(0, shift_ms);
		result = assume(&world, sts, cases[i].token);
		clock_shift(0, -shift_ms);
		request = &world.fake.requests[0];
		assert_string_equal(request->url, "https://sts.eu-west-1.amazonaws.com/");
		assert_string_equal(request->body, "Action=AssumeRole&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A"
			"123456789012%3Arole%2Fdeploy&RoleSessionName=me%40here&ExternalId=a%20b%2F%C3%BC&DurationSeconds=900");
		assert_string_equal(fake_request_header(request, "Host"), "sts.eu-west-1.amazonaws.com");
		assert_string_equal(fake_request_header(request, "X-Amz-Date"), "20260102T030405Z");
		assert_string_equal(fake_request_header(request, "Authorization"), cases[i].authorization);
		assert_string_equal(result.access_key, "A");
		assert_int_equal(result.expires_ms, then_ms - 100 + 3600 * 1000);
		leave(&world, sts);
	}
}

static void test_corrects_a_wrong_clock_once(void **state)
{
	static const struct { const char *name, *date; unsigned want_requests; const char *want_stamp; } cases[] = {
		{ "an hour late", "Date: Fri, 02 Jan 2026 04:04:05 GMT", 2, "20260102T040405Z" },
		{ "right", "Date: Fri, 02 Jan 2026 03:04:05 GMT", 1, NULL },
	};

	(void)state;
	clear_environment();
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int64_t shift_ms = then_ms - clock_wall_ms();
		struct result result;
		struct world world;
		struct sts *sts = enter(&world, "eu-west-1", NULL);

		for (size_t k = 0; k < ARRAY_SIZE(script); k++)
			script[k] = (struct fake_answer){ .status = 403, .body = SKEWED, .headers = { cases[i].date } };
		clock_shift(0, shift_ms);
		result = assume(&world, sts, NULL);
		clock_shift(0, -shift_ms);
		assert_int_equal(world.fake.count, cases[i].want_requests);
		assert_int_equal(result.err.kind, ERROR_REFUSED);
		assert_string_equal(result.err.code, "SignatureDoesNotMatch");
		/* The fake's clock has gone on by the pause between the tries. */
		if (cases[i].want_stamp != NULL)
			assert_memory_equal(fake_request_header(&world.fake.requests[1], "X-Amz-Date"), cases[i].want_stamp, 13);
		leave(&world, sts);
	}
}

static void test_knows_where_to_ask(void **state)
{
	static const struct {
		const char *name, *variable, *value, *region, *endpoint, *want_url, *want_scope, *want_error;
	} cases[] = {
		{ "regional", NULL, NULL, "us-west-2", NULL, "https://sts.us-west-2.amazonaws.com/", "/us-west-2/sts/", NULL },
		{ "by legacy", "AWS_STS_REGIONAL_ENDPOINTS", "legacy", "us-west-2", NULL, "https://sts.amazonaws.com/",
		  "/us-east-1/sts/", NULL },
		{ "legacy in a newer region", "AWS_STS_REGIONAL_ENDPOINTS", "legacy", "me-south-1", NULL,
		  "https://sts.me-south-1.amazonaws.com/", "/me-south-1/sts/", NULL },
		{ "by regional", "AWS_STS_REGIONAL_ENDPOINTS", "regional", "eu-west-1", NULL,
		  "https://sts.eu-west-1.amazonaws.com/", "/eu-west-1/sts/", NULL },
		{ "FIPS", "AWS_USE_FIPS_ENDPOINT", "true", "us-east-2", NULL, "https://sts-fips.us-east-2.amazonaws.com/",
		  "/us-east-2/sts/", NULL },
		{ "the world's", NULL, NULL, "aws-global", NULL, "https://sts.amazonaws.com/", "/us-east-1/sts/", NULL },
		{ "an endpoint of its own", "AWS_STS_REGIONAL_ENDPOINTS", "legacy", "eu-west-1", "http://127.0.0.1:4566",
		  "http://127.0.0.1:4566/", "/eu-west-1/sts/", NULL },
		{ "no region", NULL, NULL, NULL, NULL, NULL, NULL, "needs a region" },
		{ "no real region", NULL, NULL, "evil.example/", NULL, NULL, NULL, "not the name of an AWS region" },
		{ "no real endpoint", NULL, NULL, "eu-west-1", "gopher://x", NULL, NULL, "not an endpoint URL" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct world world;
		struct sts *sts;

		clear_environment();
		if (cases[i].variable != NULL)
			setenv(cases[i].variable, cases[i].value, 1);
		sts = enter(&world, cases[i].region, cases[i].endpoint);
		if (cases[i].want_error != NULL) {
			assert_null(sts);
			assert_int_equal(world.err.kind, ERROR_REFUSED);
			if (strstr(world.err.text, cases[i].want_error) == NULL)
				fail_msg("%s: \"%s\"", cases[i].name, world.err.text);
			leave(&world, sts);
			continue;
		}
		assert_non_null(sts);
		script[0] = (struct fake_answer){ .status = 200, .body = REPLY };
		assume(&world, sts, NULL);
		if (strcmp(world.fake.requests[0].url, cases[i].want_url) != 0)
			fail_msg("%s: %s", cases[i].name, world.fake.requests[0].url);
		assert_non_null(strstr(fake_request_header(&world.fake.requests[0], "Authorization"), cases[i].want_scope));
		leave(&world, sts);
	}
}

static void test_says_no_more_after_cancel(void **state)
{
	const struct credentials signer = { .access_key = (char *)"A", .secret_key = (char *)"S" };
	const struct sts_request request = { .role_arn = "arn:r", .signer = &signer };
	struct result result = { 0 };
	struct error why = { 0 };
	struct sts_call *call;
	struct world world;
	struct sts *sts;

	(void)state;
	clear_environment();
	sts = enter(&world, "eu-west-1", NULL);
	script[0] = (struct fake_answer){ .kind = ERROR_TEMPORARY };
	script[1] = (struct fake_answer){ .silent = true };
	call = sts_assume(sts, &request, on_done, &result);
	while (world.fake.count < 2 && ev_run(world.loop, EVRUN_ONCE))
		;
	sts_call_cancel(call, &why);
	assert_true(world.fake.requests[1].cancelled);
	assert_non_null(strstr(why.text, "the peer is away"));
	sts_call_cancel(NULL, NULL);
	ev_run(world.loop, 0);
	assert_false(result.done);
	leave(&world, sts);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_signs_like_botocore),
		cmocka_unit_test(test_corrects_a_wrong_clock_once),
		cmocka_unit_test(test_knows_where_to_ask),
		cmocka_unit_test(test_says_no_more_after_cancel),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
