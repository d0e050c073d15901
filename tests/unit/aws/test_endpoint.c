/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "../cmocka_all.h"
#include "aws/endpoint.h"

static const struct {
	enum aws_service service;
	const char *region;
	bool fips, dual;
	const char *want;       /* NULL: refused */
} rules[] = {
	{ AWS_SQS, "us-east-1", false, false, "https://sqs.us-east-1.amazonaws.com" },
	{ AWS_ECS, "eu-central-1", false, false, "https://ecs.eu-central-1.amazonaws.com" },
	{ AWS_SQS, "cn-north-1", false, false, "https://sqs.cn-north-1.amazonaws.com.cn" },
	{ AWS_SQS, "cn-north-1", false, true, "https://sqs.cn-north-1.api.amazonwebservices.com.cn" },
	{ AWS_LOGS, "eusc-de-east-1", false, false, "https://logs.eusc-de-east-1.amazonaws.eu" },
	{ AWS_SQS, "us-iso-east-1", false, false, "https://sqs.us-iso-east-1.c2s.ic.gov" },
	{ AWS_SQS, "us-isob-east-1", false, false, "https://sqs.us-isob-east-1.sc2s.sgov.gov" },
	{ AWS_SQS, "eu-isoe-west-1", false, false, "https://sqs.eu-isoe-west-1.cloud.adc-e.uk" },
	{ AWS_SQS, "us-isof-south-1", false, false, "https://sqs.us-isof-south-1.csp.hci.ic.gov" },
	{ AWS_SQS, "us-east-1", true, false, "https://sqs-fips.us-east-1.amazonaws.com" },
	{ AWS_SQS, "us-east-1", false, true, "https://sqs.us-east-1.api.aws" },
	{ AWS_SQS, "us-east-1", true, true, "https://sqs-fips.us-east-1.api.aws" },
	{ AWS_SQS, "us-gov-west-1", true, false, "https://sqs.us-gov-west-1.amazonaws.com" },
	{ AWS_STS, "us-gov-west-1", true, false, "https://sts.us-gov-west-1.amazonaws.com" },
	{ AWS_ECS, "us-gov-west-1", true, false, "https://ecs-fips.us-gov-west-1.amazonaws.com" },
	{ AWS_STS, "eu-west-1", false, false, "https://sts.eu-west-1.amazonaws.com" },
	{ AWS_STS, "aws-global", false, false, "https://sts.amazonaws.com" },
	{ AWS_SNS, "aws-global", false, false, "https://sns.us-east-1.amazonaws.com" },
	{ AWS_SQS, "xx-new-9", false, false, "https://sqs.xx-new-9.amazonaws.com" },
	{ AWS_SQS, "", false, false, NULL },
	{ AWS_SQS, "evil.example.com/", false, false, NULL },
	{ AWS_SQS, "US-EAST-1", false, false, NULL },
	{ AWS_SQS, "us-east-1#", false, false, NULL },
	{ AWS_SQS, "-x", false, false, NULL },
};

static void test_rules(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rules); i++) {
		struct error err = { 0 };
		char *got = endpoint_of_service(rules[i].service, rules[i].region, rules[i].fips, rules[i].dual, &err);

		if (rules[i].want == NULL) {
			assert_null(got);
			assert_int_equal(err.kind, ERROR_INVALID);
		} else {
			assert_non_null(got);
			assert_string_equal(got, rules[i].want);
		}
		free(got);
	}
}

static const struct { const char *url, *want_url, *want_host, *want_path; } urls[] = {
	{ "https://SQS.us-east-1.amazonaws.com", "https://sqs.us-east-1.amazonaws.com/", "sqs.us-east-1.amazonaws.com", "/" },
	{ "https://h:443/", "https://h/", "h", "/" },
	{ "http://h:443/", "http://h:443/", "h:443", "/" },
	{ "http://h:80", "http://h/", "h", "/" },
	{ "http://localhost:4566/a/b", "http://localhost:4566/a/b", "localhost:4566", "/a/b" },
	{ "HTTP://localhost:", "http://localhost/", "localhost", "/" },
	{ "http://[::1]:9324/", "http://[::1]:9324/", "[::1]:9324", "/" },
	{ "http://[FD00::1]", "http://[fd00::1]/", "[fd00::1]", "/" },
	{ "https://h/%20", "https://h/%20", "h", "/%20" },
	{ "ftp://h/", NULL, NULL, NULL },
	{ "h:4566", NULL, NULL, NULL },
	{ "http://", NULL, NULL, NULL },
	{ "http:///a", NULL, NULL, NULL },
	{ "http://h:0/", NULL, NULL, NULL },
	{ "http://h:65536/", NULL, NULL, NULL },
	{ "http://h:1x/", NULL, NULL, NULL },
	{ "http://h?x=1", NULL, NULL, NULL },
	{ "http://h/a?x=1", NULL, NULL, NULL },
	{ "http://h/#f", NULL, NULL, NULL },
	{ "http://h/a b", NULL, NULL, NULL },
	{ "http://h/\r\nX: y", NULL, NULL, NULL },
	{ "http://h\r\nX/", NULL, NULL, NULL },
	{ "http://[::1", NULL, NULL, NULL },
	{ "http://[::1]x/", NULL, NULL, NULL },
	{ "http://caf\xc3\xa9/", NULL, NULL, NULL },
	{ "", NULL, NULL, NULL },
};

static void test_parse(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(urls); i++) {
		struct endpoint endpoint;
		struct error err = { 0 };
		bool ok = endpoint_parse(&endpoint, urls[i].url, &err);

		if (ok != (urls[i].want_url != NULL))
			fail_msg("%s: %s", urls[i].url, ok ? "accepted" : err.text);
		if (ok) {
			assert_string_equal(endpoint.url, urls[i].want_url);
			assert_string_equal(endpoint.host, urls[i].want_host);
			assert_string_equal(endpoint.path, urls[i].want_path);
		}
		endpoint_finish(&endpoint);
	}
}

static void test_passwords_are_not_repeated(void **state)
{
	struct endpoint endpoint;
	struct error err = { 0 };

	(void)state;
	assert_false(endpoint_parse(&endpoint, "https://user:hunter2@h/", &err));
	assert_null(strstr(err.text, "hunter2"));
}

static const struct { const char *url, *want; } queues[] = {
	{ "https://sqs.eu-west-1.amazonaws.com/123456789012/q", "eu-west-1" },
	{ "https://sqs-fips.us-east-2.amazonaws.com/1/q", "us-east-2" },
	{ "https://sqs.us-east-1.api.aws/1/q", "us-east-1" },
	{ "https://sqs.cn-north-1.amazonaws.com.cn/1/q", "cn-north-1" },
	{ "https://sqs.eusc-de-east-1.amazonaws.eu/1/q", "eusc-de-east-1" },
	{ "https://eu-west-1.queue.amazonaws.com/1/q", "eu-west-1" },
	{ "https://cn-north-1.queue.amazonaws.com.cn/1/q", "cn-north-1" },
	{ "https://queue.amazonaws.com/1/q", "us-east-1" },
	{ "https://vpce-0a1b-2c3d.sqs.us-east-1.vpce.amazonaws.com/1/q", "us-east-1" },
	{ "https://vpce-0a1b-2c3d-us-east-1a.sqs.us-east-1.vpce.amazonaws.com/1/q", "us-east-1" },
	{ "https://sqs.us-isob-east-1.sc2s.sgov.gov/1/q", "us-isob-east-1" },
	{ "http://localhost:4566/000000000000/q", NULL },
	{ "https://sqs.eu-west-1.amazonaws.com.evil.example/1/q", NULL },
	{ "https://sqs.eu-west-1.notamazonaws.com/1/q", NULL },
	{ "https://s3.eu-west-1.amazonaws.com/1/q", NULL },
	{ "https://amazonaws.com/1/q", NULL },
	{ "not a URL", NULL },
};

static void test_region_of_queue(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(queues); i++) {
		char *got = endpoint_region_of_queue(queues[i].url);

		if ((got == NULL) != (queues[i].want == NULL) || (got != NULL && strcmp(got, queues[i].want) != 0))
			fail_msg("%s: got %s", queues[i].url, got != NULL ? got : "nothing");
		free(got);
	}
}

static void test_origin(void **state)
{
	char *origin = endpoint_origin("http://LocalHost:4566/000000000000/q");

	(void)state;
	assert_string_equal(origin, "http://localhost:4566");
	free(origin);
	assert_null(endpoint_origin("q"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rules),
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_passwords_are_not_repeated),
		cmocka_unit_test(test_region_of_queue),
		cmocka_unit_test(test_origin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
