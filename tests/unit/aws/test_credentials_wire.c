/* SPDX-License-Identifier: Apache-2.0 */
/* Credentials over real connections, from peers that behave well and badly. */
#include "../cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../net/http_peer.h"
#include "aws/credentials.h"
#include "base/clock.h"
#include "conformance.h"

#define FUTURE "2100-01-02T03:04:05Z"
#define DOCUMENT "{\"Code\":\"Success\",\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"S\",\"Token\":\"T\"," \
	"\"Expiration\":\"" FUTURE "\"}"
#define STS_REPLY "<a><Credentials><AccessKeyId>RA</AccessKeyId><SecretAccessKey>RS</SecretAccessKey>" \
	"<SessionToken>RT</SessionToken><Expiration>" FUTURE "</Expiration></Credentials></a>"

struct result { bool done; struct error err; char text[64]; };

static void on_result(void *arg, const struct credentials *credentials, const struct error *err)
{
	struct result *result = arg;

	result->done = true;
	if (err != NULL)
		result->err = *err;
	else
		snprintf(result->text, sizeof(result->text), "%s/%s/%s", credentials->access_key, credentials->secret_key,
			credentials->session_token);
}

struct world {
	struct ev_loop *loop;
	struct log log;
	struct http_peer peer;
	char url[64];
};

static void enter(struct world *world, const struct peer_step *steps, size_t count)
{
	world->loop = ev_loop_new(EVFLAG_AUTO);
	log_init(&world->log, NULL, "%s", "");
	http_peer_init(&world->peer, world->loop, steps, count);
	clear_environment();
	snprintf(world->url, sizeof(world->url), "http://127.0.0.1:%u", world->peer.port);
	/* Nobody is there: whoever goes by the proxy finds nothing. */
	setenv("http_proxy", "http://127.0.0.1:1", 1);
	setenv("no_proxy", "", 1);
}

static void leave(struct world *world)
{
	http_peer_finish(&world->peer);
	ev_loop_destroy(world->loop);
	unsetenv("http_proxy");
	unsetenv("no_proxy");
}

static struct result load(struct world *world, const char *sts_endpoint)
{
	static const struct conf_aws conf;
	struct http_client *http = http_client_create(world->loop, &world->log, NULL);
	struct profile *profile = profile_load(NULL, NULL);
	const struct credentials_env env = {
		.loop = world->loop, .log = &world->log, .http = http, .conf = &conf, .profile = profile,
		.region = "eu-west-1", .sts_endpoint = sts_endpoint,
	};
	struct result result = { 0 };
	struct credentials_source *source = credentials_create(&env, &result.err);

	if (source != NULL) {
		credentials_get(source, on_result, &result);
		while (!result.done && ev_run(world->loop, EVRUN_ONCE))
			;
	}
	credentials_destroy(source);
	http_client_destroy(http);
	profile_destroy(profile);
	return result;
}

static void assert_request(const struct http_peer *peer, size_t i, const char *line)
{
	if (i >= peer->request_count)
		fail_msg("request %zu never came", i);
	if (strncmp(peer->requests[i].head, line, strlen(line)) != 0)
		fail_msg("found \"%s\", want \"%s\"", peer->requests[i].head, line);
}

static void test_imds_is_asked_past_any_proxy(void **state)
{
	static const struct peer_step steps[] = {
		{ .act = PEER_ANSWER_CLOSE, .body = "tok==" },
		{ .act = PEER_ANSWER_CLOSE, .body = "role-1\n" },
		{ .act = PEER_ANSWER, .body = DOCUMENT },
	};
	struct result result;
	struct world world;

	(void)state;
	enter(&world, steps, ARRAY_SIZE(steps));
	setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", world.url, 1);
	result = load(&world, NULL);
	assert_string_equal(result.text, "A/S/T");
	assert_int_equal(world.peer.request_count, 3);
	assert_request(&world.peer, 0, "PUT /latest/api/token HTTP/1.1\r\n");
	assert_string_equal(http_peer_header(&world.peer.requests[0], "x-aws-ec2-metadata-token-ttl-seconds"), "21600");
	assert_string_equal(http_peer_header(&world.peer.requests[0], "Content-Length"), "0");
	assert_request(&world.peer, 1, "GET /latest/meta-data/iam/security-credentials/ HTTP/1.1\r\n");
	assert_string_equal(http_peer_header(&world.peer.requests[1], "x-aws-ec2-metadata-token"), "tok==");
	assert_request(&world.peer, 2, "GET /latest/meta-data/iam/security-credentials/role-1 HTTP/1.1\r\n");
	leave(&world);
}

static void test_imds_that_is_silent_is_told_with_the_reason(void **state)
{
	static const struct peer_step steps[] = { { .act = PEER_HANG } };
	double begun_s = clock_monotonic_s();
	struct result result;
	struct world world;

	(void)state;
	enter(&world, steps, ARRAY_SIZE(steps));
	setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", world.url, 1);
	setenv("AWS_METADATA_SERVICE_TIMEOUT", "0.7", 1);
	setenv("AWS_METADATA_SERVICE_NUM_ATTEMPTS", "2", 1);
	result = load(&world, NULL);
	assert_int_equal(result.err.kind, ERROR_REFUSED);
	assert_non_null(strstr(result.err.text, "no AWS credentials; looked at"));
	assert_non_null(strstr(result.err.text, "HttpPutResponseHopLimit"));
	assert_int_equal(world.peer.request_count, 2);
	assert_true(clock_monotonic_s() - begun_s < 60);
	leave(&world);
}

static void test_container_is_asked_again_after_a_lost_answer(void **state)
{
	static const struct peer_step steps[] = {
		{ .act = PEER_RESET }, { .act = PEER_TRUNCATE, .body = DOCUMENT }, { .act = PEER_ANSWER, .body = DOCUMENT },
	};
	struct result result;
	struct world world;
	char url[96];

	(void)state;
	enter(&world, steps, ARRAY_SIZE(steps));
	snprintf(url, sizeof(url), "%s/c?a=1", world.url);
	setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", url, 1);
	setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", scratch_write("token", "sesame\n"), 1);
	result = load(&world, NULL);
	assert_string_equal(result.text, "A/S/T");
	assert_int_equal(world.peer.request_count, 3);
	assert_request(&world.peer, 2, "GET /c?a=1 HTTP/1.1\r\n");
	assert_string_equal(http_peer_header(&world.peer.requests[2], "Authorization"), "sesame");
	assert_string_equal(http_peer_header(&world.peer.requests[2], "Accept"), "application/json");
	leave(&world);
}

static void test_sts_is_asked_with_the_host_that_is_signed(void **state)
{
	static const struct peer_step steps[] = { { .act = PEER_ANSWER, .body = STS_REPLY } };
	struct result result;
	struct world world;

	(void)state;
	enter(&world, steps, ARRAY_SIZE(steps));
	unsetenv("http_proxy");
	setenv("AWS_PROFILE", "c", 1);
	scratch_write(".aws/credentials", "[c]\naws_access_key_id=k\naws_secret_access_key=s\n");
	scratch_write(".aws/config", "[profile c]\nrole_arn=arn:x\nrole_session_name=n\nsource_profile=c\n");
	result = load(&world, world.url);
	assert_string_equal(result.text, "RA/RS/RT");
	assert_int_equal(world.peer.request_count, 1);
	assert_request(&world.peer, 0, "POST / HTTP/1.1\r\n");
	assert_string_equal(http_peer_header(&world.peer.requests[0], "Host"), strchr(world.url, '/') + 2);
	assert_string_equal(http_peer_header(&world.peer.requests[0], "Content-Type"),
		"application/x-www-form-urlencoded; charset=utf-8");
	assert_string_equal(world.peer.requests[0].body,
		"Action=AssumeRole&Version=2011-06-15&RoleArn=arn%3Ax&RoleSessionName=n");
	assert_non_null(strstr(http_peer_header(&world.peer.requests[0], "Authorization"), "/eu-west-1/sts/aws4_request"));
	leave(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_imds_is_asked_past_any_proxy),
		cmocka_unit_test(test_imds_that_is_silent_is_told_with_the_reason),
		cmocka_unit_test(test_container_is_asked_again_after_a_lost_answer),
		cmocka_unit_test(test_sts_is_asked_with_the_host_that_is_signed),
	};

	log_set_level(LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
