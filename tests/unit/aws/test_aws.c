/* SPDX-License-Identifier: Apache-2.0 */
/* One call against a scripted peer: what is sent, what each answer makes of it, how often it is tried. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../cmocka_all.h"
#include "aws/aws.h"
#include "aws/aws_impl.h"
#include "base/clock.h"
#include "base/mem.h"
#include "fake_credentials.h"
#include "../net/http_peer.h"

enum { LATE_S = 120 };           /* a test that takes this long has failed */

struct fixture {
	struct ev_loop *loop;
	struct http_peer peer;
	struct conf_aws conf;
	struct aws *aws;
	ev_timer late;
};

struct outcome {
	struct fixture *fixture;
	unsigned told;
	bool failed, destroy;
	struct error err;
	long status;
	char request_id[64];
	json_t *doc, *error_doc;
	char *body;
};

static const char *const variables[] = {
	"AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_MAX_ATTEMPTS", "AWS_ENDPOINT_URL",
	"AWS_ENDPOINT_URL_SQS", "AWS_ENDPOINT_URL_ECS", "AWS_CA_BUNDLE", "AWS_USE_FIPS_ENDPOINT",
	"AWS_USE_DUALSTACK_ENDPOINT", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "AWS_DISABLE_CLOCK_SKEW_CORRECTION",
	"AWS_EC2_METADATA_DISABLED", "AWS_EC2_METADATA_SERVICE_ENDPOINT", "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE",
	"http_proxy", "https_proxy",
};

static void clear_environment(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(variables); i++)
		unsetenv(variables[i]);
	setenv("AWS_CONFIG_FILE", "/dev/null", 1);
	setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null", 1);
}

static void on_late(struct ev_loop *loop, ev_timer *timer, int revents)
{
	(void)loop;
	(void)timer;
	(void)revents;
	fail_msg("nothing happened for %d s", LATE_S);
}

static void setup(struct fixture *fixture, const struct peer_step *steps, size_t count)
{
	struct error err = { 0 };

	*fixture = (struct fixture){ .loop = ev_loop_new(EVFLAG_AUTO) };
	fake_credentials = (struct fake_credentials){ .access_key = "AKIDFIRST" };
	http_peer_init(&fixture->peer, fixture->loop, steps, count);
	fixture->conf.region = xstrdup("eu-west-1");
	fixture->conf.endpoint_url = xasprintf("http://127.0.0.1:%u", fixture->peer.port);
	fixture->aws = aws_create(fixture->loop, NULL, &fixture->conf, &err);
	if (fixture->aws == NULL)
		fail_msg("%s", err.text);
	ev_timer_init(&fixture->late, on_late, LATE_S, 0.);
}

static void teardown(struct fixture *fixture)
{
	aws_destroy(fixture->aws);
	http_peer_finish(&fixture->peer);
	ev_loop_destroy(fixture->loop);
	free(fixture->conf.region);
	free(fixture->conf.endpoint_url);
}

static void on_reply(void *arg, const struct aws_reply *reply, const struct error *err)
{
	struct outcome *outcome = arg;

	outcome->told++;
	outcome->failed = err != NULL;
	if (err != NULL)
		outcome->err = *err;
	outcome->status = reply->status;
	snprintf(outcome->request_id, sizeof(outcome->request_id), "%s", reply->request_id);
	outcome->doc = json_incref(reply->doc);
	outcome->error_doc = json_incref(reply->error_doc);
	outcome->body = xstrndup(reply->body, reply->body_bytes);
	if (outcome->destroy) {
		aws_destroy(outcome->fixture->aws);
		outcome->fixture->aws = NULL;
	}
	ev_break(outcome->fixture->loop, EVBREAK_ONE);
}

static void outcome_finish(struct outcome *outcome)
{
	json_decref(outcome->doc);
	json_decref(outcome->error_doc);
	free(outcome->body);
}

static void wait_for(struct fixture *fixture, const struct outcome *outcome)
{
	ev_timer_set(&fixture->late, LATE_S, 0.);
	ev_timer_start(fixture->loop, &fixture->late);
	while (outcome->told == 0)
		ev_run(fixture->loop, 0);
	ev_timer_stop(fixture->loop, &fixture->late);
	assert_int_equal(outcome->told, 1);
}

static void run(struct fixture *fixture, const struct aws_request *request, struct outcome *outcome)
{
	*outcome = (struct outcome){ .fixture = fixture };
	aws_call(fixture->aws, request, on_reply, outcome);
	assert_int_equal(outcome->told, 0);
	wait_for(fixture, outcome);
}

static const struct aws_request receive = { .service = AWS_SQS, .action = "ReceiveMessage" };

static void test_request_as_sent(void **state)
{
	static const struct peer_step steps[] = {
		{ .headers = "x-amzn-RequestId: abc-1\r\nDate: Thu, 01 Jan 2026 00:05:01 GMT\r\n", .body = "{\"Messages\":[1]}" },
		{ .body = "" },
	};
	struct aws_request request = receive;
	const struct peer_request *sent;
	struct aws_figures figures;
	struct fixture fixture;
	struct outcome outcome;
	char host[32];

	(void)state;
	setup(&fixture, steps, ARRAY_SIZE(steps));
	fake_credentials.session_token = "TOKENTOKEN";
	request.input = json_pack("{s:s}", "QueueUrl", "https://sqs/1/q");
	run(&fixture, &request, &outcome);
	json_decref(request.input);
	assert_false(outcome.failed);
	assert_int_equal(json_array_size(json_object_get(outcome.doc, "Messages")), 1);
	assert_string_equal(outcome.request_id, "abc-1");
	outcome_finish(&outcome);
	sent = &fixture.peer.requests[0];
	assert_string_equal(sent->body, "{\"QueueUrl\":\"https://sqs/1/q\"}");
	assert_string_equal(http_peer_header(sent, "X-Amz-Target"), "AmazonSQS.ReceiveMessage");
	assert_string_equal(http_peer_header(sent, "Content-Type"), "application/x-amz-json-1.0");
	assert_string_equal(http_peer_header(sent, "x-amzn-query-mode"), "true");
	assert_string_equal(http_peer_header(sent, "X-Amz-Security-Token"), "TOKENTOKEN");
	snprintf(host, sizeof(host), "127.0.0.1:%u", fixture.peer.port);
	assert_string_equal(http_peer_header(sent, "Host"), host);
	assert_non_null(strstr(http_peer_header(sent, "Authorization"), "/eu-west-1/sqs/aws4_request, SignedHeaders="
		"content-type;host;x-amz-date;x-amz-security-token;x-amz-target;x-amzn-query-mode, Signature="));
	assert_memory_equal(sent->head, "POST / HTTP/1.1\r\n", 17);
	/* An empty answer and an absent input are both {}. */
	run(&fixture, &receive, &outcome);
	assert_false(outcome.failed);
	assert_true(json_is_object(outcome.doc) && json_object_size(outcome.doc) == 0);
	outcome_finish(&outcome);
	assert_string_equal(fixture.peer.requests[1].body, "{}");
	assert_int_equal(fixture.peer.connections, 1);
	aws_figures(fixture.aws, &figures);
	assert_int_equal(figures.calls[AWS_SQS], 2);
	assert_int_equal(figures.failures, 0);
	teardown(&fixture);
}

/* What AWS, emulators, proxies and broken networks answer.  want_tries counts requests with three tries allowed. */
static const struct {
	const char *name;
	struct peer_step step;
	enum aws_service service;
	enum error_kind want;
	const char *want_code;
	unsigned want_tries;
} bad[] = {
	{ "HTML with 200", { .body = "<html><body>Welcome to the hotel</body></html>" }, AWS_SQS, ERROR_AMBIGUOUS, "", 3 },
	{ "truncated JSON", { .body = "{\"Messages\":[{\"MessageId\":\"1\"," }, AWS_SQS, ERROR_AMBIGUOUS, "", 3 },
	{ "truncated transfer", { .act = PEER_TRUNCATE, .body = "{\"Mess" }, AWS_SQS, ERROR_AMBIGUOUS, "", 3 },
	{ "an array", { .body = "[]" }, AWS_SQS, ERROR_AMBIGUOUS, "", 3 },
	{ "a string", { .body = "\"ok\"" }, AWS_SQS, ERROR_AMBIGUOUS, "", 3 },
	{ "a member twice", { .body = "{\"a\":1,\"a\":2}" }, AWS_SQS, ERROR_AMBIGUOUS, "", 3 },
	{ "trailing garbage", { .body = "{}{}" }, AWS_SQS, ERROR_AMBIGUOUS, "", 3 },
	{ "NUL in the body", { .body = "{\"a\":\0}", .body_bytes = 7 }, AWS_SQS, ERROR_AMBIGUOUS, "", 3 },
	{ "not UTF-8", { .body = "{\"a\":\"\xff\"}" }, AWS_SQS, ERROR_AMBIGUOUS, "", 3 },
	{ "no answer", { .act = PEER_CLOSE }, AWS_SQS, ERROR_AMBIGUOUS, "", 3 },
	{ "reset", { .act = PEER_RESET }, AWS_SQS, ERROR_AMBIGUOUS, "", 3 },
	{ "no HTTP", { .act = PEER_RAW, .body = "220 mail ESMTP\r\n" }, AWS_SQS, ERROR_AMBIGUOUS, "", 3 },
	{ "empty 500", { .status = 500 }, AWS_SQS, ERROR_AMBIGUOUS, "HTTP 500", 3 },
	{ "503 in XML", { .status = 503, .body = "<?xml version=\"1.0\"?>\n<ErrorResponse><Error><Type>Receiver</Type>"
		"<Code>ServiceUnavailable</Code><Message>Busy &amp; late</Message></Error></ErrorResponse>" }, AWS_SQS,
		ERROR_AMBIGUOUS, "ServiceUnavailable", 3 },
	{ "503 page of a proxy", { .status = 503, .body = "<html><h1>503</h1></html>" }, AWS_SQS, ERROR_AMBIGUOUS,
		"HTTP 503", 3 },
	{ "501 of SQS", { .status = 501 }, AWS_SQS, ERROR_AMBIGUOUS, "HTTP 501", 1 },
	{ "501 of ECS", { .status = 501 }, AWS_ECS, ERROR_AMBIGUOUS, "HTTP 501", 3 },
	{ "403 that is throttling", { .status = 403, .body = "{\"__type\":\"com.amazonaws.sqs#RequestThrottled\"}" },
		AWS_SQS, ERROR_THROTTLED, "RequestThrottled", 2 },
	{ "429 without a code", { .status = 429 }, AWS_SQS, ERROR_THROTTLED, "HTTP 429", 2 },
	{ "400 that is throttling", { .status = 400, .body = "{\"__type\":\"ThrottlingException\",\"message\":\"Rate exceeded\"}" },
		AWS_ECS, ERROR_THROTTLED, "ThrottlingException", 2 },
	{ "hidden throttling", { .status = 400, .body = "{\"__type\":\"InvalidParameterException\",\"message\":\"Error retrieving "
		"security group information for [sg-1]: Request limit exceeded. (ErrorCode: RequestLimitExceeded)\"}" },
		AWS_ECS, ERROR_THROTTLED, "InvalidParameterException", 2 },
	{ "no such queue", { .status = 400, .body = "{\"__type\":\"com.amazonaws.sqs#QueueDoesNotExist\",\"message\":\"no\"}" },
		AWS_SQS, ERROR_REFUSED, "QueueDoesNotExist", 1 },
	{ "no such queue, by the header alone", { .status = 400, .body = "{\"__type\":\"Sender\",\"message\":\"no\"}",
		.headers = "x-amzn-query-error: AWS.SimpleQueueService.NonExistentQueue;Sender\r\n" }, AWS_SQS, ERROR_REFUSED,
		"QueueDoesNotExist", 1 },
	{ "access denied", { .status = 400, .body = "{\"__type\":\"AccessDeniedException\",\"Message\":\"not authorized\"}" },
		AWS_ECS, ERROR_REFUSED, "AccessDeniedException", 1 },
	{ "code with a tail", { .status = 400, .body = "{\"__type\":\"aws.ecs#ClusterNotFoundException:http://x/,y\"}" },
		AWS_ECS, ERROR_REFUSED, "ClusterNotFoundException", 1 },
	{ "code in a header", { .status = 403, .headers = "x-amzn-ErrorType: MissingAuthenticationToken:http://x/\r\n",
		.body = "{\"message\":\"Missing\"}" }, AWS_ECS, ERROR_REFUSED, "MissingAuthenticationToken", 1 },
	{ "invalid parameter", { .status = 400, .body = "{\"__type\":\"InvalidParameterException\",\"message\":\"bad\"}" },
		AWS_ECS, ERROR_INVALID, "InvalidParameterException", 1 },
	{ "error with wrong types", { .status = 400, .body = "{\"__type\":7,\"message\":[1]}" }, AWS_ECS, ERROR_INVALID,
		"HTTP 400", 1 },
	{ "404 page", { .status = 404, .body = "<html>not here</html>" }, AWS_SQS, ERROR_REFUSED, "HTTP 404", 1 },
	{ "redirect", { .status = 301, .headers = "Location: http://127.0.0.1:1/\r\n" }, AWS_SQS, ERROR_REFUSED,
		"HTTP 301", 1 },
	{ "dead receipt handle", { .status = 404, .body = "{\"__type\":\"com.amazonaws.sqs#ReceiptHandleIsInvalid\"}" },
		AWS_SQS, ERROR_LOST, "ReceiptHandleIsInvalid", 1 },
};

static void test_bad_answers(void **state)
{
	(void)state;
	assert_true(ARRAY_SIZE(bad) >= 20);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct aws_request request = { .service = bad[i].service, .action = "Act" };
		struct fixture fixture;
		struct outcome outcome;

		setup(&fixture, &bad[i].step, 1);
		/* Throttled calls wait for up to a second; two tries show as much as three. */
		if (bad[i].want == ERROR_THROTTLED)
			request.tries = 2;
		run(&fixture, &request, &outcome);
		if (!outcome.failed || outcome.err.kind != bad[i].want || strcmp(outcome.err.code, bad[i].want_code) != 0
		    || fixture.peer.request_count != bad[i].want_tries)
			fail_msg("%s: %zu tries, %s, code \"%s\": %s", bad[i].name, fixture.peer.request_count,
				error_kind_name(outcome.err.kind), outcome.err.code, outcome.err.text);
		assert_null(outcome.doc);
		outcome_finish(&outcome);
		teardown(&fixture);
	}
}

static void test_reply_at_and_over_its_limit(void **state)
{
	size_t size = LIMIT_AWS_REPLY_BYTES;
	char *body = xcalloc(1, size + 2);
	struct peer_step step = { .body = body, .body_bytes = size };
	struct fixture fixture;
	struct outcome outcome;

	(void)state;
	memset(body, 'x', size + 1);
	memcpy(body, "{\"a\":\"", 6);
	memcpy(body + size - 2, "\"}", 2);
	setup(&fixture, &step, 1);
	run(&fixture, &receive, &outcome);
	assert_false(outcome.failed);
	outcome_finish(&outcome);
	step.body_bytes = size + 1;
	run(&fixture, &receive, &outcome);
	assert_true(outcome.failed);
	assert_int_equal(outcome.err.kind, ERROR_AMBIGUOUS);
	assert_non_null(strstr(outcome.err.text, "limit"));
	assert_int_equal(fixture.peer.request_count, 2);
	outcome_finish(&outcome);
	teardown(&fixture);
	free(body);
}

static void test_slow_answers_end_in_time(void **state)
{
	static const struct peer_step steps[] = { { .act = PEER_DRIP, .body = "{}" }, { .act = PEER_HANG } };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		struct aws_request request = { .service = AWS_SQS, .action = "Act", .timeout_ms = 150, .tries = 2 };
		struct fixture fixture;
		struct outcome outcome;

		setup(&fixture, &steps[i], 1);
		run(&fixture, &request, &outcome);
		assert_int_equal(outcome.err.kind, ERROR_AMBIGUOUS);
		assert_int_equal(fixture.peer.request_count, 2);
		outcome_finish(&outcome);
		teardown(&fixture);
	}
}

static void test_retry_succeeds(void **state)
{
	static const struct peer_step steps[] = { { .status = 500 }, { .status = 502 }, { .body = "{\"a\":1}" } };
	struct aws_figures figures;
	struct fixture fixture;
	struct outcome outcome;

	(void)state;
	setup(&fixture, steps, ARRAY_SIZE(steps));
	run(&fixture, &receive, &outcome);
	assert_false(outcome.failed);
	assert_int_equal(fixture.peer.request_count, 3);
	aws_figures(fixture.aws, &figures);
	assert_int_equal(figures.retries, 2);
	assert_int_equal(figures.calls[AWS_SQS], 3);
	/* Two retries were paid for and the last one's cost came back. */
	assert_int_equal(fixture.aws->buckets[AWS_SQS].tokens, RETRY_BUCKET - RETRY_COST);
	outcome_finish(&outcome);
	teardown(&fixture);
}

/* A lost try may have had its effect, whatever a later one is told. */
static void test_uncertainty_is_not_forgotten(void **state)
{
	static const struct peer_step steps[] = {
		{ .act = PEER_CLOSE }, { .status = 400, .body = "{\"__type\":\"ThrottlingException\"}" },
	};
	struct aws_request request = { .service = AWS_ECS, .action = "RunTask", .tries = 2 };
	struct fixture fixture;
	struct outcome outcome;

	(void)state;
	setup(&fixture, steps, ARRAY_SIZE(steps));
	run(&fixture, &request, &outcome);
	assert_int_equal(outcome.err.kind, ERROR_AMBIGUOUS);
	assert_string_equal(outcome.err.code, "ThrottlingException");
	outcome_finish(&outcome);
	teardown(&fixture);
}

static void test_nothing_sent_is_temporary(void **state)
{
	static const struct peer_step step = { 0 };
	struct aws_request request = { .service = AWS_SNS, .action = "Publish", .text = "Action=Publish", .tries = 2 };
	struct fixture fixture;
	struct outcome outcome;

	(void)state;
	setup(&fixture, &step, 1);
	xreplace(&fixture.aws->settings.endpoints[AWS_SNS], "http://nowhere.invalid/");
	run(&fixture, &request, &outcome);
	assert_int_equal(outcome.err.kind, ERROR_TEMPORARY);
	outcome_finish(&outcome);
	teardown(&fixture);
}

static void test_empty_bucket_ends_retries(void **state)
{
	static const struct peer_step step = { .status = 500 };
	struct aws_request request = receive;
	struct fixture fixture;
	struct outcome outcome;
	double before_s;

	(void)state;
	setup(&fixture, &step, 1);
	fixture.aws->buckets[AWS_SQS].tokens = RETRY_COST - 1;
	run(&fixture, &request, &outcome);
	assert_int_equal(fixture.peer.request_count, 1);
	outcome_finish(&outcome);
	/* A long poll waits before it tells, so that a loop of them can't spin; the server's wish shows that. */
	request.long_poll = true;
	fixture.peer.steps = &(struct peer_step){ .status = 500, .headers = "x-amz-retry-after: 300\r\n" };
	before_s = clock_monotonic_s();
	run(&fixture, &request, &outcome);
	assert_true(clock_monotonic_s() - before_s >= 0.29);
	assert_int_equal(fixture.peer.request_count, 2);
	assert_true(outcome.failed);
	outcome_finish(&outcome);
	teardown(&fixture);
}

static void test_server_sets_the_pace(void **state)
{
	static const struct peer_step steps[] = {
		{ .status = 503, .headers = "x-amz-retry-after: 400\r\n" }, { .body = "{}" },
	};
	struct fixture fixture;
	struct outcome outcome;
	double before_s = clock_monotonic_s();

	(void)state;
	setup(&fixture, steps, ARRAY_SIZE(steps));
	run(&fixture, &receive, &outcome);
	assert_false(outcome.failed);
	assert_true(clock_monotonic_s() - before_s >= 0.39);
	outcome_finish(&outcome);
	teardown(&fixture);
}

static void test_expired_credentials_are_renewed_once(void **state)
{
	static const struct peer_step steps[] = {
		{ .status = 400, .body = "{\"__type\":\"ExpiredTokenException\",\"message\":\"expired\"}" }, { .body = "{}" },
	};
	struct aws_request request = receive;
	struct fixture fixture;
	struct outcome outcome;

	(void)state;
	setup(&fixture, steps, 2);
	fake_credentials.next_access_key = "AKIDSECOND";
	request.tries = 1;
	run(&fixture, &request, &outcome);
	assert_false(outcome.failed);
	assert_int_equal(fake_credentials.rejected, 1);
	assert_non_null(strstr(http_peer_header(&fixture.peer.requests[1], "Authorization"), "Credential=AKIDSECOND/"));
	outcome_finish(&outcome);
	teardown(&fixture);

	/* Refused again: a human must look. */
	setup(&fixture, steps, 1);
	fake_credentials.next_access_key = "AKIDSECOND";
	run(&fixture, &receive, &outcome);
	assert_int_equal(outcome.err.kind, ERROR_REFUSED);
	assert_int_equal(fixture.peer.request_count, 2);
	outcome_finish(&outcome);
	teardown(&fixture);

	/* The same credentials would only be refused again. */
	setup(&fixture, steps, 1);
	run(&fixture, &receive, &outcome);
	assert_int_equal(outcome.err.kind, ERROR_REFUSED);
	assert_int_equal(fixture.peer.request_count, 1);
	outcome_finish(&outcome);
	teardown(&fixture);
}

static void test_waits_for_credentials(void **state)
{
	static const struct peer_step step = { .body = "{}" };
	struct fixture fixture;
	struct outcome outcome;

	(void)state;
	setup(&fixture, &step, 1);
	fake_credentials.late = true;
	run(&fixture, &receive, &outcome);
	assert_false(outcome.failed);
	assert_int_equal(fake_credentials.asked, 1);
	outcome_finish(&outcome);
	fake_credentials.late = true;
	error_set(&fake_credentials.refuse, ERROR_REFUSED, "none in the usual places");
	run(&fixture, &receive, &outcome);
	assert_int_equal(outcome.err.kind, ERROR_REFUSED);
	assert_string_equal(outcome.err.text, "SQS ReceiveMessage: none in the usual places");
	assert_int_equal(fixture.peer.request_count, 1);
	outcome_finish(&outcome);
	teardown(&fixture);
}

static void date_header(char *text, size_t size, double seconds)
{
	char date[64];
	time_t when = (time_t)seconds;

	strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S GMT", gmtime(&when));
	snprintf(text, size, "Date: %s\r\n", date);
}

static void test_wrong_clock_is_corrected(void **state)
{
	static const double off_s = 3600;
	struct peer_step steps[2] = {
		{ .status = 403, .body = "{\"__type\":\"InvalidSignatureException\",\"message\":\"Signature expired: 1 is now "
			"earlier than 2\"}" },
		{ .body = "{}" },
	};
	struct aws_request request = receive;
	struct aws_figures figures;
	char date[128], stamp[SIGV4_STAMP_BYTES];
	struct fixture fixture;
	struct outcome outcome;

	(void)state;
	date_header(date, sizeof(date), (double)clock_wall_ms() / 1000.0 + off_s);
	steps[0].headers = steps[1].headers = date;
	setup(&fixture, steps, 2);
	request.long_poll = true;       /* also for these, when they are refused */
	run(&fixture, &request, &outcome);
	assert_false(outcome.failed);
	assert_int_equal(fixture.peer.request_count, 2);
	sigv4_stamp((time_t)((double)clock_wall_ms() / 1000.0 + off_s), stamp);
	assert_memory_equal(http_peer_header(&fixture.peer.requests[1], "X-Amz-Date"), stamp, 11);     /* to the hour */
	aws_figures(fixture.aws, &figures);
	assert_true(figures.skew_s > off_s - 60 && figures.skew_s < off_s + 60);
	outcome_finish(&outcome);
	/* Refused again although the clock is right now: it is the key that is wrong. */
	fixture.peer.step_count = 1;
	run(&fixture, &receive, &outcome);
	assert_int_equal(outcome.err.kind, ERROR_REFUSED);
	assert_int_equal(fixture.peer.request_count, 3);
	outcome_finish(&outcome);
	teardown(&fixture);
}

static void test_clock_correction_can_be_switched_off(void **state)
{
	struct peer_step step = { .status = 403, .body = "{\"__type\":\"RequestTimeTooSkewed\"}" };
	struct aws_figures figures;
	struct fixture fixture;
	struct outcome outcome;
	char date[128];

	(void)state;
	date_header(date, sizeof(date), (double)clock_wall_ms() / 1000.0 + 3600);
	step.headers = date;
	setenv("AWS_DISABLE_CLOCK_SKEW_CORRECTION", "true", 1);
	setup(&fixture, &step, 1);
	unsetenv("AWS_DISABLE_CLOCK_SKEW_CORRECTION");
	run(&fixture, &receive, &outcome);
	assert_int_equal(outcome.err.kind, ERROR_REFUSED);
	assert_int_equal(fixture.peer.request_count, 1);
	aws_figures(fixture.aws, &figures);
	assert_true(figures.skew_s == 0);
	outcome_finish(&outcome);
	teardown(&fixture);
}

static void test_secrets_stay_out_of_errors(void **state)
{
	static const char body[] = "{\"__type\":\"InvalidSignatureException\",\"message\":\"The request signature we calculated does "
		"not match.\\n\\nThe Canonical String for this request should have been\\nx-amz-security-token:SECRETTOKEN\"}";
	static const char body2[] = "{\"__type\":\"IncompleteSignature\",\"message\":\"token SECRETTOKEN is not valid\"}";
	struct peer_step steps[2] = { { .status = 403, .body = body }, { .status = 403, .body = body2 } };
	struct fixture fixture;
	struct outcome outcome;

	(void)state;
	setup(&fixture, steps, 2);
	fake_credentials.session_token = "SECRETTOKEN";
	for (int i = 0; i < 2; i++) {
		run(&fixture, &receive, &outcome);
		assert_true(outcome.failed);
		assert_null(strstr(outcome.err.text, "SECRETTOKEN"));
		outcome_finish(&outcome);
	}
	teardown(&fixture);
}

static void test_query_protocol(void **state)
{
	static const struct peer_step steps[] = {
		{ .body = "<PublishResponse><PublishResult><MessageId>m-1</MessageId></PublishResult></PublishResponse>" },
		{ .status = 404, .body = "<ErrorResponse><Error><Type>Sender</Type><Code>NotFound</Code><Message>Topic &quot;x&quot; "
			"does not exist</Message></Error><RequestId>r</RequestId></ErrorResponse>" },
	};
	struct aws_request request = { .service = AWS_SNS, .action = "Publish", .text = "Action=Publish&Version=2010-03-31" };
	struct fixture fixture;
	struct outcome outcome;

	(void)state;
	setup(&fixture, steps, 2);
	run(&fixture, &request, &outcome);
	assert_false(outcome.failed);
	assert_null(outcome.doc);
	assert_string_equal(outcome.body, steps[0].body);
	assert_string_equal(fixture.peer.requests[0].body, request.text);
	assert_null(http_peer_header(&fixture.peer.requests[0], "X-Amz-Target"));
	outcome_finish(&outcome);
	run(&fixture, &request, &outcome);
	assert_string_equal(outcome.err.code, "NotFound");
	assert_int_equal(outcome.err.kind, ERROR_REFUSED);
	assert_non_null(strstr(outcome.err.text, "Topic \"x\" does not exist"));
	outcome_finish(&outcome);
	teardown(&fixture);
}

static void test_error_document_is_passed_on(void **state)
{
	static const struct peer_step step = {
		.status = 400, .body = "{\"__type\":\"ConflictException\",\"message\":\"m\",\"resourceIds\":[\"arn:1\"]}",
	};
	struct aws_request request = { .service = AWS_ECS, .action = "RunTask" };
	struct fixture fixture;
	struct outcome outcome;

	(void)state;
	setup(&fixture, &step, 1);
	run(&fixture, &request, &outcome);
	assert_string_equal(outcome.err.code, "ConflictException");
	assert_string_equal(json_string_value(json_array_get(json_object_get(outcome.error_doc, "resourceIds"), 0)), "arn:1");
	outcome_finish(&outcome);
	teardown(&fixture);
}

static void test_cancel_and_destroy(void **state)
{
	static const struct peer_step steps[] = { { .status = 500 }, { .body = "{}" } };
	struct fixture fixture;
	struct outcome never = { .fixture = &fixture }, last = { .fixture = &fixture, .destroy = true };
	struct aws_request nowhere = receive;

	(void)state;
	nowhere.region = "not a region";
	setup(&fixture, steps, 2);
	free(fixture.aws->settings.endpoints[AWS_SQS]);
	fixture.aws->settings.endpoints[AWS_SQS] = NULL;
	aws_call_cancel(NULL);
	aws_call_cancel(aws_call(fixture.aws, &nowhere, on_reply, &never));             /* failed at birth */
	nowhere.region = NULL;
	nowhere.endpoint = fixture.conf.endpoint_url;
	aws_call_cancel(aws_call(fixture.aws, &nowhere, on_reply, &never));             /* waits for an answer */
	fake_credentials.late = true;
	aws_call_cancel(aws_call(fixture.aws, &nowhere, on_reply, &never));             /* waits for credentials */
	fake_credentials.late = false;
	aws_call(fixture.aws, &nowhere, on_reply, &last);
	aws_call(fixture.aws, &nowhere, on_reply, &never);
	wait_for(&fixture, &last);
	/* Of the two that were left, one told and took everything with it. */
	if (never.told == 0)
		assert_int_equal(last.told, 1);
	outcome_finish(&last);
	outcome_finish(&never);
	teardown(&fixture);
}

static void forget_region(struct fixture *fixture)
{
	free(fixture->aws->settings.region);
	fixture->aws->settings.region = NULL;
}

static void test_region_is_needed(void **state)
{
	static const struct peer_step step = { .body = "{}" };
	struct aws_request request = receive;
	struct fixture fixture;
	struct outcome outcome;

	(void)state;
	setenv("AWS_EC2_METADATA_DISABLED", "true", 1);
	setup(&fixture, &step, 1);
	forget_region(&fixture);
	assert_string_equal(aws_region(fixture.aws), "");
	run(&fixture, &request, &outcome);
	assert_int_equal(outcome.err.kind, ERROR_REFUSED);
	assert_non_null(strstr(outcome.err.text, "AWS_REGION"));
	outcome_finish(&outcome);
	request.region = "us-west-2";
	run(&fixture, &request, &outcome);
	assert_false(outcome.failed);
	assert_non_null(strstr(http_peer_header(&fixture.peer.requests[0], "Authorization"), "/us-west-2/sqs/"));
	outcome_finish(&outcome);
	teardown(&fixture);
	unsetenv("AWS_EC2_METADATA_DISABLED");
}

/* The peer plays the metadata service first, then SQS. */
static void test_region_of_the_instance(void **state)
{
	static const struct peer_step found[] = {
		{ .body = "metadata-token\n" }, { .body = "ap-south-1\n" }, { .body = "{}" },
	};
	static const struct peer_step refused[] = { { .body = "metadata-token" }, { .status = 404 } };
	struct fixture fixture;
	struct outcome outcome, second = { 0 };

	(void)state;
	setup(&fixture, found, 3);
	setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", fixture.conf.endpoint_url, 1);
	forget_region(&fixture);
	run(&fixture, &receive, &outcome);
	assert_false(outcome.failed);
	assert_memory_equal(fixture.peer.requests[0].head, "PUT /latest/api/token HTTP/1.1\r\n", 32);
	assert_string_equal(http_peer_header(&fixture.peer.requests[1], "x-aws-ec2-metadata-token"), "metadata-token");
	assert_non_null(strstr(http_peer_header(&fixture.peer.requests[2], "Authorization"), "/ap-south-1/sqs/"));
	assert_string_equal(aws_region(fixture.aws), "ap-south-1");
	outcome_finish(&outcome);
	teardown(&fixture);

	/* Two calls wait for one lookup; it is not repeated for the next one. */
	setup(&fixture, refused, 2);
	setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", fixture.conf.endpoint_url, 1);
	forget_region(&fixture);
	second.fixture = &fixture;
	aws_call(fixture.aws, &receive, on_reply, &second);
	run(&fixture, &receive, &outcome);
	wait_for(&fixture, &second);
	assert_int_equal(outcome.err.kind, ERROR_REFUSED);
	assert_int_equal(second.err.kind, ERROR_REFUSED);
	assert_non_null(strstr(second.err.text, "HTTP status 404"));
	outcome_finish(&outcome);
	outcome_finish(&second);
	run(&fixture, &receive, &outcome);
	assert_int_equal(outcome.err.kind, ERROR_REFUSED);
	assert_int_equal(fixture.peer.request_count, 2);
	outcome_finish(&outcome);
	teardown(&fixture);

	/* Destroyed while it looks. */
	setup(&fixture, refused, 2);
	setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", fixture.conf.endpoint_url, 1);
	forget_region(&fixture);
	second.told = 0;
	aws_call(fixture.aws, &receive, on_reply, &second);
	ev_run(fixture.loop, EVRUN_ONCE);
	teardown(&fixture);
	assert_int_equal(second.told, 0);
	unsetenv("AWS_EC2_METADATA_SERVICE_ENDPOINT");
}

static unsigned probed;

static void on_probe(void *arg, const struct error *err)
{
	struct fixture *fixture = arg;

	assert_true((err != NULL) == (fake_credentials.refuse.kind != ERROR_NONE));
	probed++;
	ev_break(fixture->loop, EVBREAK_ONE);
}

static void test_probe(void **state)
{
	static const struct peer_step step = { 0 };
	struct fixture fixture;

	(void)state;
	setup(&fixture, &step, 1);
	probed = 0;
	aws_probe(fixture.aws, on_probe, &fixture);
	assert_int_equal(probed, 0);
	ev_run(fixture.loop, 0);
	assert_int_equal(probed, 1);
	error_set(&fake_credentials.refuse, ERROR_REFUSED, "none");
	aws_probe(fixture.aws, on_probe, &fixture);
	ev_run(fixture.loop, 0);
	assert_int_equal(probed, 2);
	aws_probe(fixture.aws, on_probe, &fixture);
	teardown(&fixture);
	assert_int_equal(probed, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_request_as_sent),
		cmocka_unit_test(test_bad_answers),
		cmocka_unit_test(test_reply_at_and_over_its_limit),
		cmocka_unit_test(test_slow_answers_end_in_time),
		cmocka_unit_test(test_retry_succeeds),
		cmocka_unit_test(test_uncertainty_is_not_forgotten),
		cmocka_unit_test(test_nothing_sent_is_temporary),
		cmocka_unit_test(test_empty_bucket_ends_retries),
		cmocka_unit_test(test_server_sets_the_pace),
		cmocka_unit_test(test_expired_credentials_are_renewed_once),
		cmocka_unit_test(test_waits_for_credentials),
		cmocka_unit_test(test_wrong_clock_is_corrected),
		cmocka_unit_test(test_clock_correction_can_be_switched_off),
		cmocka_unit_test(test_secrets_stay_out_of_errors),
		cmocka_unit_test(test_query_protocol),
		cmocka_unit_test(test_error_document_is_passed_on),
		cmocka_unit_test(test_cancel_and_destroy),
		cmocka_unit_test(test_region_is_needed),
		cmocka_unit_test(test_region_of_the_instance),
		cmocka_unit_test(test_probe),
	};

	signal(SIGPIPE, SIG_IGN);
	clear_environment();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
