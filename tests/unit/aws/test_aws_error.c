/* SPDX-License-Identifier: Apache-2.0 */
/* Answers as they come off the wire are in test_aws.c; here is the table of meanings and the cleaning of texts. */
#include <stdio.h>
#include <string.h>

#include "../cmocka_all.h"
#include "aws/aws_error.h"
#include "base/buf.h"

static const struct {
	const char *code, *text;
	enum aws_service service;
	long status;
	enum error_kind want;
	enum retry_cause want_retry;
	bool want_credentials;
} meanings[] = {
	{ "Throttling", "", AWS_SQS, 400, ERROR_THROTTLED, RETRY_THROTTLED, false },
	{ "RequestThrottled", "", AWS_SQS, 403, ERROR_THROTTLED, RETRY_THROTTLED, false },
	{ "OverLimit", "", AWS_SQS, 403, ERROR_THROTTLED, RETRY_THROTTLED, false },
	{ "KmsThrottled", "", AWS_SQS, 400, ERROR_THROTTLED, RETRY_THROTTLED, false },
	{ "PriorRequestNotComplete", "", AWS_SQS, 400, ERROR_THROTTLED, RETRY_THROTTLED, false },
	{ "ClientException", "Capacity is short: the PROVISIONING task quota of the cluster is reached", AWS_ECS, 400,
		ERROR_THROTTLED, RETRY_THROTTLED, false },
	{ "ClientException", "You've reached the limit on the number of vCPUs you can run concurrently", AWS_ECS, 400,
		ERROR_THROTTLED, RETRY_THROTTLED, false },
	{ "ClientException", "Container named x is missing", AWS_ECS, 400, ERROR_INVALID, RETRY_NEVER, false },
	{ "QueueDoesNotExist", "the queue Throttled-Jobs", AWS_SQS, 400, ERROR_REFUSED, RETRY_NEVER, false },
	{ "ServerException", "", AWS_ECS, 500, ERROR_AMBIGUOUS, RETRY_TRANSIENT, false },
	{ "InternalError", "", AWS_SNS, 500, ERROR_AMBIGUOUS, RETRY_TRANSIENT, false },
	{ "RequestTimeout", "", AWS_SQS, 400, ERROR_AMBIGUOUS, RETRY_TRANSIENT, false },
	{ "IDPCommunicationError", "", AWS_STS, 400, ERROR_AMBIGUOUS, RETRY_TRANSIENT, false },
	{ "SomethingNew", "", AWS_SQS, 502, ERROR_AMBIGUOUS, RETRY_TRANSIENT, false },
	{ "SomethingNew", "", AWS_SQS, 505, ERROR_AMBIGUOUS, RETRY_NEVER, false },
	{ "SomethingNew", "", AWS_ECS, 505, ERROR_AMBIGUOUS, RETRY_TRANSIENT, false },
	{ "SomethingNew", "", AWS_SQS, 403, ERROR_REFUSED, RETRY_NEVER, false },
	{ "SomethingNew", "", AWS_SQS, 404, ERROR_INVALID, RETRY_NEVER, false },
	{ "SomethingNew", "", AWS_SQS, 400, ERROR_INVALID, RETRY_NEVER, false },
	{ "ExpiredToken", "", AWS_STS, 403, ERROR_REFUSED, RETRY_NEVER, true },
	{ "ExpiredTokenException", "", AWS_ECS, 400, ERROR_REFUSED, RETRY_NEVER, true },
	{ "UnrecognizedClientException", "", AWS_SQS, 400, ERROR_REFUSED, RETRY_NEVER, true },
	{ "InvalidClientTokenId", "", AWS_SNS, 403, ERROR_REFUSED, RETRY_NEVER, true },
	{ "AccessDeniedException", "", AWS_ECS, 400, ERROR_REFUSED, RETRY_NEVER, false },
	{ "ClusterNotFoundException", "", AWS_ECS, 400, ERROR_REFUSED, RETRY_NEVER, false },
	{ "SignatureDoesNotMatch", "", AWS_SQS, 403, ERROR_REFUSED, RETRY_NEVER, false },
	{ "KmsAccessDenied", "", AWS_SQS, 400, ERROR_REFUSED, RETRY_NEVER, false },
	{ "ReceiptHandleIsInvalid", "", AWS_SQS, 404, ERROR_LOST, RETRY_NEVER, false },
	{ "MessageNotInflight", "", AWS_SQS, 400, ERROR_LOST, RETRY_NEVER, false },
	{ NULL, "", AWS_SQS, 404, ERROR_REFUSED, RETRY_NEVER, false },
	{ NULL, "", AWS_SQS, 401, ERROR_REFUSED, RETRY_NEVER, false },
	{ NULL, "", AWS_SQS, 407, ERROR_REFUSED, RETRY_NEVER, false },
	{ NULL, "", AWS_SQS, 408, ERROR_AMBIGUOUS, RETRY_TRANSIENT, false },
	{ NULL, "", AWS_SQS, 413, ERROR_INVALID, RETRY_NEVER, false },
	{ NULL, "", AWS_SQS, 429, ERROR_THROTTLED, RETRY_THROTTLED, false },
	{ NULL, "", AWS_SQS, 504, ERROR_AMBIGUOUS, RETRY_TRANSIENT, false },
	{ NULL, "", AWS_SQS, 302, ERROR_REFUSED, RETRY_NEVER, false },
};

static void test_meanings(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(meanings); i++) {
		struct aws_error error = { .named = meanings[i].code != NULL };
		struct aws_meaning got;

		snprintf(error.code, sizeof(error.code), "%s", error.named ? meanings[i].code : "HTTP");
		snprintf(error.text, sizeof(error.text), "%s", meanings[i].text);
		got = aws_error_meaning(&error, meanings[i].service, meanings[i].status);
		if (got.kind != meanings[i].want || got.retry != meanings[i].want_retry
		    || got.credentials != meanings[i].want_credentials)
			fail_msg("%s %ld: %s, retry %d", error.code, meanings[i].status, error_kind_name(got.kind), got.retry);
	}
}

static void test_clean(void **state)
{
	static const struct { const char *text, *want; } cases[] = {
		{ "plain", "plain" },
		{ "one\ntwo", "one" },
		{ "a\tb\x01" "c", "a b c" },
		{ "'x' is not valid in Authorization header: 'AWS4-HMAC-SHA256 Credential=A'", "'x' is not valid in" },
		{ "got AWS4-HMAC-SHA256 Credential=A", "got" },
		{ "needs Signature=abc", "needs" },
		{ "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 does not match", "* does not match" },
		{ "id 0123456789abcdef stays", "id 0123456789abcdef stays" },
		{ "", "" },
	};
	char clean[LIMIT_AWS_TEXT_BYTES], longest[2000];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		aws_error_clean(cases[i].text, clean);
		assert_string_equal(clean, cases[i].want);
	}
	/* A character that does not fit is left out whole. */
	for (size_t shift = 0; shift < 4; shift++) {
		size_t used = shift;

		memset(longest, 'x', shift);
		for (; used + 3 < sizeof(longest); used += 3)
			memcpy(longest + used, "\xe2\x82\xac", 3);
		longest[used] = '\0';
		aws_error_clean(longest, clean);
		assert_true(strlen(clean) > LIMIT_AWS_TEXT_BYTES - 6);
		assert_int_equal((strlen(clean) - shift) % 3, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_meanings),
		cmocka_unit_test(test_clean),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
