/* SPDX-License-Identifier: Apache-2.0 */
/* The whole way from configuration to credentials, with the peers' answers given. */
#include "../cmocka_all.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aws/credentials.h"
#include "aws/credentials_container.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "conformance.h"
#include "fake_http.h"

enum { CASE_VARIABLES = 6, CASE_EXCHANGES = 8, LIMIT_TEST_TEXT = 64 << 10 };

/* One request that must come, and its answer. */
struct exchange {
	const char *method, *url;
	const char *header;             /* one that must be there, "Name: value"; NULL: any */
	const char *body_part;          /* that the body must hold; NULL: any */
	bool is_signed;                 /* there is an Authorization header of SigV4 */
	struct fake_answer answer;
};

static const struct exchange *exchanges;
static size_t exchange_count, exchange_next;
static const char *case_name;

static void answer(const struct fake_request *request, struct fake_answer *reply)
{
	const struct exchange *want;
	const char *authorization = fake_request_header(request, "Authorization");
	bool is_signed = authorization != NULL && strncmp(authorization, "AWS4-HMAC-SHA256 ", 17) == 0;

	if (exchange_next == exchange_count)
		fail_msg("%s: one request too many: %s %s", case_name, request->method, request->url);
	want = &exchanges[exchange_next++];
	if (strcmp(want->method, request->method) != 0 || strcmp(want->url, request->url) != 0)
		fail_msg("%s: found %s %s, want %s %s", case_name, request->method, request->url, want->method, want->url);
	if (want->header != NULL) {
		char *name = strndup(want->header, strcspn(want->header, ":"));
		const char *value = fake_request_header(request, name);

		if (value == NULL || strcmp(value, want->header + strlen(name) + 2) != 0)
			fail_msg("%s: %s %s: %s: found %s, want %s", case_name, request->method, request->url, name,
				value != NULL ? value : "nothing", want->header);
		free(name);
	}
	if (want->body_part != NULL && strstr(request->body, want->body_part) == NULL)
		fail_msg("%s: \"%s\" is not in \"%s\"", case_name, want->body_part, request->body);
	if (is_signed != want->is_signed)
		fail_msg("%s: %s %s is %ssigned", case_name, request->method, request->url, is_signed ? "" : "not ");
	/* What is on this host is asked directly, STS like everything else. */
	if (request->direct != (strcmp(request->method, "POST") != 0))
		fail_msg("%s: %s %s with a proxy", case_name, request->method, request->url);
	*reply = want->answer;
}

struct result {
	bool done;
	struct error err;
	char *text;                     /* "access/secret/token", ours */
	int64_t expires_ms;
};

static void on_result(void *arg, const struct credentials *credentials, const struct error *err)
{
	struct result *result = arg;

	assert_false(result->done);
	result->done = true;
	if (err != NULL) {
		assert_null(credentials);
		result->err = *err;
		return;
	}
	result->text = xasprintf("%s/%s/%s", credentials->access_key, credentials->secret_key,
		credentials->session_token != NULL ? credentials->session_token : "-");
	result->expires_ms = credentials->expires_ms;
}

/* From the environment as it is to an answer. */
static void run(struct result *result, const struct conf_aws *conf, const char *region)
{
	struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
	struct fake_http fake;
	struct profile *profile = profile_load(conf->profile, &result->err);
	struct credentials_env env = { .loop = loop, .conf = conf, .profile = profile };
	struct credentials_source *source;

	*result = (struct result){ 0 };
	assert_non_null(profile);
	fake_http_init(&fake, loop, answer);
	env.http = fake.client;
	env.region = region != NULL ? region : profile_env("AWS_REGION");
	if (env.region == NULL)
		env.region = profile_get(profile, "region");
	source = credentials_create(&env, &result->err);
	if (source != NULL) {
		credentials_get(source, on_result, result);
		assert_false(result->done);
		while (!result->done && ev_run(loop, EVRUN_ONCE))
			;
		assert_true(result->done);
		credentials_destroy(source);
	}
	assert_int_equal(fake.open, 0);
	fake_http_finish(&fake);
	profile_destroy(profile);
	ev_loop_destroy(loop);
}

static void set_exchanges(const char *name, const struct exchange *list, size_t count)
{
	case_name = name;
	exchanges = list;
	exchange_count = count;
	exchange_next = 0;
}

static void set_variable(const char *variable)
{
	char *name = strndup(variable, strcspn(variable, "="));

	setenv(name, variable + strlen(name) + 1, 1);
	free(name);
}

#define IMDS "http://169.254.169.254"
#define ROLES "/latest/meta-data/iam/security-credentials/"
#define DOCUMENT(end) "{\"Code\":\"Success\",\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"S\",\"Token\":\"T\"," \
	"\"Expiration\":\"" end "\"}"
#define FUTURE "2100-01-02T03:04:05Z"
#define STS_REPLY "<AssumeRoleResponse><AssumeRoleResult><Credentials>\n <SessionToken> RT&amp;= </SessionToken>" \
	"<SecretAccessKey>RS</SecretAccessKey><Expiration>" FUTURE "</Expiration>\n<AccessKeyId>RA</AccessKeyId>" \
	"</Credentials></AssumeRoleResult></AssumeRoleResponse>"
#define STS_ERROR(code) "<ErrorResponse><Error><Type>Sender</Type><Code>" code "</Code><Message>because</Message>" \
	"</Error></ErrorResponse>"
#define TOKEN_OK { "PUT", IMDS "/latest/api/token", "x-aws-ec2-metadata-token-ttl-seconds: 21600", NULL, false, \
	{ .status = 200, .body = "tok==" } }
#define AWAY { .kind = ERROR_TEMPORARY }

static const struct {
	const char *name;
	const char *variables[CASE_VARIABLES];
	const char *config, *token;     /* files; TOKEN in a variable's value or in config is the token's path */
	struct exchange exchanges[CASE_EXCHANGES];
	const char *want;               /* "access/secret/token" */
	const char *want_error;         /* a part of its text */
	enum error_kind want_kind;
} cases[] = {
	{ .name = "IMDS",
	  .exchanges = { TOKEN_OK,
		{ "GET", IMDS ROLES, "x-aws-ec2-metadata-token: tok==", NULL, false, { .status = 200, .body = "r-1\nother\n" } },
		{ "GET", IMDS ROLES "r-1", "x-aws-ec2-metadata-token: tok==", NULL, false,
		  { .status = 200, .body = DOCUMENT(FUTURE) } } },
	  .want = "A/S/T" },
	{ .name = "IMDS over IPv6", .variables = { "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE=ipv6" },
	  .exchanges = { { "PUT", "http://[fd00:ec2::254]/latest/api/token", NULL, NULL, false, { .status = 403 } } },
	  .want_error = "request forbidden: IMDS is disabled", .want_kind = ERROR_REFUSED },
	{ .name = "IMDS elsewhere", .variables = { "AWS_EC2_METADATA_SERVICE_ENDPOINT=http://127.0.0.1:81//" },
	  .exchanges = { { "PUT", "http://127.0.0.1:81/latest/api/token", NULL, NULL, false, { .status = 404 } } },
	  .want_error = "gave no token: HTTP status 404", .want_kind = ERROR_REFUSED },
	{ .name = "IMDS nowhere", .variables = { "AWS_EC2_METADATA_SERVICE_ENDPOINT=ftp://x" },
	  .want_error = "expected http://HOST", .want_kind = ERROR_REFUSED },
	{ .name = "IMDS in a wrong mode", .config = "[default]\nec2_metadata_service_endpoint_mode = IPv5\n",
	  .want_error = "expected IPv4 or IPv6, found \"IPv5\"", .want_kind = ERROR_REFUSED },
	{ .name = "IMDS: nobody there is nothing configured", .variables = { "AWS_METADATA_SERVICE_NUM_ATTEMPTS=1" },
	  .exchanges = { { "PUT", IMDS "/latest/api/token", NULL, NULL, false, AWAY } },
	  .want_error = "no AWS credentials; looked at aws.access_key in gantry.yaml, AWS_ACCESS_KEY_ID",
	  .want_kind = ERROR_REFUSED },
	{ .name = "IMDS: the hop limit is told", .variables = { "AWS_METADATA_SERVICE_NUM_ATTEMPTS=2" },
	  .exchanges = { { "PUT", IMDS "/latest/api/token", NULL, NULL, false, AWAY },
		{ "PUT", IMDS "/latest/api/token", NULL, NULL, false, AWAY } },
	  .want_error = "HttpPutResponseHopLimit must be 2 or more", .want_kind = ERROR_REFUSED },
	{ .name = "IMDS: nobody there though it is named", .variables = { "AWS_METADATA_SERVICE_NUM_ATTEMPTS=1" },
	  .config = "[default]\nregion=eu-west-1\nrole_arn=r\ncredential_source=Ec2InstanceMetadata\n",
	  .exchanges = { { "PUT", IMDS "/latest/api/token", NULL, NULL, false, AWAY } },
	  .want_error = "the peer is away", .want_kind = ERROR_TEMPORARY },
	{ .name = "IMDS: failing", .variables = { "AWS_METADATA_SERVICE_NUM_ATTEMPTS=1" },
	  .exchanges = { TOKEN_OK, { "GET", IMDS ROLES, NULL, NULL, false, { .status = 503 } } },
	  .want_error = "HTTP status 503", .want_kind = ERROR_TEMPORARY },
	{ .name = "IMDS: no role", .exchanges = { TOKEN_OK, { "GET", IMDS ROLES, NULL, NULL, false, { .status = 404 } } },
	  .want_error = "this instance has no role", .want_kind = ERROR_REFUSED },
	{ .name = "IMDS: a new token refused", .exchanges = { TOKEN_OK,
		{ "GET", IMDS ROLES, NULL, NULL, false, { .status = 401 } } },
	  .want_error = "HTTP status 401", .want_kind = ERROR_REFUSED },
	{ .name = "IMDS: a role that is a path", .exchanges = { TOKEN_OK,
		{ "GET", IMDS ROLES, NULL, NULL, false, { .status = 200, .body = "../../x" } } },
	  .want_error = "no role name", .want_kind = ERROR_TEMPORARY },
	{ .name = "IMDS: a token that is two lines", .exchanges = {
		{ "PUT", IMDS "/latest/api/token", NULL, NULL, false, { .status = 200, .body = "a\r\nX: y" } } },
	  .want_error = "gave no token", .want_kind = ERROR_REFUSED },
	{ .name = "IMDS: says no in a 200", .exchanges = { TOKEN_OK,
		{ "GET", IMDS ROLES, NULL, NULL, false, { .status = 200, .body = "r" } },
		{ "GET", IMDS ROLES "r", NULL, NULL, false,
		  { .status = 200, .body = "{\"Code\":\"AssumeRoleUnauthorizedAccess\",\"Message\":\"why\"}" } } },
	  .want_error = "AssumeRoleUnauthorizedAccess: why", .want_kind = ERROR_REFUSED },
	{ .name = "IMDS: out of order in a 200", .exchanges = { TOKEN_OK,
		{ "GET", IMDS ROLES, NULL, NULL, false, { .status = 200, .body = "r" } },
		{ "GET", IMDS ROLES "r", NULL, NULL, false, { .status = 200, .body = "{\"Code\":\"InternalError\"}" } } },
	  .want_error = "InternalError", .want_kind = ERROR_TEMPORARY },
	{ .name = "IMDS: ended ones", .exchanges = { TOKEN_OK,
		{ "GET", IMDS ROLES, NULL, NULL, false, { .status = 200, .body = "r" } },
		{ "GET", IMDS ROLES "r", NULL, NULL, false, { .status = 200, .body = DOCUMENT("2001-01-01T00:00:00Z") } } },
	  .want_error = "already ended", .want_kind = ERROR_TEMPORARY },

	{ .name = "container", .variables = { "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI=/c?id=1" },
	  .exchanges = { { "GET", "http://169.254.170.2/c?id=1", "Accept: application/json", NULL, false,
		{ .status = 200, .body = DOCUMENT(FUTURE) } } },
	  .want = "A/S/T" },
	{ .name = "container: a token in the environment", .variables = {
		"AWS_CONTAINER_CREDENTIALS_FULL_URI=https://pod/c", "AWS_CONTAINER_AUTHORIZATION_TOKEN=sesame" },
	  .exchanges = { { "GET", "https://pod/c", "Authorization: sesame", NULL, false,
		{ .status = 200, .body = DOCUMENT(FUTURE) } } },
	  .want = "A/S/T" },
	{ .name = "container: a token in a file wins", .variables = {
		"AWS_CONTAINER_CREDENTIALS_FULL_URI=http://169.254.170.23/v1/credentials",
		"AWS_CONTAINER_AUTHORIZATION_TOKEN=sesame", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=TOKEN" },
	  .token = "filed\n",
	  .exchanges = { { "GET", "http://169.254.170.23/v1/credentials", "Authorization: filed", NULL, false,
		{ .status = 200, .body = DOCUMENT(FUTURE) } } },
	  .want = "A/S/T" },
	{ .name = "container: a token with a line end in it", .variables = {
		"AWS_CONTAINER_CREDENTIALS_FULL_URI=http://localhost/c", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=TOKEN" },
	  .token = "a\r\nX: y", .want_error = "has a line end in it", .want_kind = ERROR_REFUSED },
	{ .name = "container: a token variable with a line end", .variables = {
		"AWS_CONTAINER_CREDENTIALS_FULL_URI=http://localhost/c", "AWS_CONTAINER_AUTHORIZATION_TOKEN=a\n" },
	  .want_error = "has a line end in it", .want_kind = ERROR_REFUSED },
	{ .name = "container: an empty token file", .variables = {
		"AWS_CONTAINER_CREDENTIALS_FULL_URI=http://localhost/c", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=TOKEN" },
	  .token = "\n", .want_error = "empty", .want_kind = ERROR_REFUSED },
	{ .name = "container: says no", .variables = { "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI=/c" },
	  .exchanges = { { "GET", "http://169.254.170.2/c", NULL, NULL, false,
		{ .status = 403, .body = "{\"Code\":\"AccessDenied\",\"Message\":\"not you\"}" } } },
	  .want_error = "AccessDenied: not you", .want_kind = ERROR_REFUSED },
	{ .name = "container: HTML", .variables = { "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI=/c" },
	  .exchanges = { { "GET", "http://169.254.170.2/c", NULL, NULL, false, { .status = 200, .body = "<html>" } } },
	  .want_error = "not JSON", .want_kind = ERROR_TEMPORARY },
	{ .name = "container: half an answer", .variables = { "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI=/c" },
	  .exchanges = { { "GET", "http://169.254.170.2/c", NULL, NULL, false,
		{ .status = 200, .body = "{\"AccessKeyId\":\"A\"}" } } },
	  .want_error = "has no SecretAccessKey", .want_kind = ERROR_TEMPORARY },
	{ .name = "container: a session token with a line end", .variables = {
		"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI=/c" },
	  .exchanges = { { "GET", "http://169.254.170.2/c", NULL, NULL, false, { .status = 200,
		.body = "{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"S\",\"Token\":\"T\\r\\nX: y\"}" } } },
	  .want_error = "session token has a line end", .want_kind = ERROR_REFUSED },
	{ .name = "container: never falls through to IMDS", .variables = {
		"AWS_CONTAINER_CREDENTIALS_FULL_URI=http://example.com/c" },
	  .want_error = "http only to a loopback address", .want_kind = ERROR_REFUSED },

	{ .name = "web identity", .variables = { "AWS_WEB_IDENTITY_TOKEN_FILE=TOKEN", "AWS_ROLE_ARN=arn:aws:iam::1:role/r",
		"AWS_ROLE_SESSION_NAME=me@here", "AWS_REGION=eu-west-1" }, .token = "ab.c/d",
	  .exchanges = { { "POST", "https://sts.eu-west-1.amazonaws.com/",
		"Content-Type: application/x-www-form-urlencoded; charset=utf-8",
		"Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fr"
		"&RoleSessionName=me%40here&WebIdentityToken=ab.c%2Fd", false, { .status = 200, .body = STS_REPLY } } },
	  .want = "RA/RS/RT&=" },
	{ .name = "web identity: no file", .variables = { "AWS_WEB_IDENTITY_TOKEN_FILE=/nowhere/t", "AWS_ROLE_ARN=r",
		"AWS_REGION=eu-west-1" },
	  .want_error = "No such file or directory", .want_kind = ERROR_REFUSED },
	{ .name = "web identity: no region", .variables = { "AWS_WEB_IDENTITY_TOKEN_FILE=TOKEN", "AWS_ROLE_ARN=r" },
	  .token = "t", .want_error = "needs a region", .want_kind = ERROR_REFUSED },
	{ .name = "web identity: refused", .variables = { "AWS_WEB_IDENTITY_TOKEN_FILE=TOKEN", "AWS_ROLE_ARN=r",
		"AWS_REGION=us-gov-west-1" }, .token = "t",
	  .exchanges = { { "POST", "https://sts.us-gov-west-1.amazonaws.com/", NULL, NULL, false,
		{ .status = 403, .body = STS_ERROR("AccessDenied") } } },
	  .want_error = "AccessDenied: because", .want_kind = ERROR_REFUSED },
	{ .name = "web identity: the issuer is away for a moment", .variables = { "AWS_WEB_IDENTITY_TOKEN_FILE=TOKEN",
		"AWS_ROLE_ARN=r", "AWS_REGION=cn-north-1" }, .token = "t",
	  .exchanges = { { "POST", "https://sts.cn-north-1.amazonaws.com.cn/", NULL, NULL, false,
			{ .status = 400, .body = STS_ERROR("IDPCommunicationError") } },
		{ "POST", "https://sts.cn-north-1.amazonaws.com.cn/", NULL, NULL, false, { .status = 502, .body = "<html>" } },
		{ "POST", "https://sts.cn-north-1.amazonaws.com.cn/", NULL, NULL, false,
			{ .status = 200, .body = STS_REPLY } } },
	  .want = "RA/RS/RT&=" },
	{ .name = "web identity: STS is away", .variables = { "AWS_WEB_IDENTITY_TOKEN_FILE=TOKEN",
		"AWS_ROLE_ARN=r", "AWS_REGION=us-east-1", "AWS_STS_REGIONAL_ENDPOINTS=legacy" }, .token = "t",
	  .exchanges = { { "POST", "https://sts.amazonaws.com/", NULL, NULL, false, AWAY },
		{ "POST", "https://sts.amazonaws.com/", NULL, NULL, false, AWAY },
		{ "POST", "https://sts.amazonaws.com/", NULL, NULL, false, AWAY } },
	  .want_error = "the peer is away", .want_kind = ERROR_TEMPORARY },
	{ .name = "web identity: no credentials in a 200", .variables = { "AWS_WEB_IDENTITY_TOKEN_FILE=TOKEN",
		"AWS_ROLE_ARN=r", "AWS_REGION=us-east-1" }, .token = "t",
	  .exchanges = { { "POST", "https://sts.us-east-1.amazonaws.com/", NULL, NULL, false,
		{ .status = 200, .body = "<a><AccessKeyId>x</AccessKeyId><SecretAccessKey/><SessionToken>t</SessionToken></a>" } } },
	  .want_error = "STS's answer has no", .want_kind = ERROR_TEMPORARY },

	{ .name = "role over keys", .variables = { "AWS_REGION=ap-northeast-1" },
	  .config = "[default]\nrole_arn=arn:x\nsource_profile=s\nexternal_id=e d\nduration_seconds=1200\n"
		"role_session_name=n\n[profile s]\naws_access_key_id=k\naws_secret_access_key=q\n",
	  .exchanges = { { "POST", "https://sts.ap-northeast-1.amazonaws.com/", NULL,
		"Action=AssumeRole&Version=2011-06-15&RoleArn=arn%3Ax&RoleSessionName=n&ExternalId=e%20d&DurationSeconds=1200",
		true, { .status = 200, .body = STS_REPLY } } },
	  .want = "RA/RS/RT&=" },
	{ .name = "role over role over web identity", .variables = { "AWS_REGION=us-east-1" }, .token = "t",
	  .config = "[default]\nrole_arn=arn:1\nsource_profile=b\n[profile b]\nrole_arn=arn:2\nsource_profile=c\n"
		"[profile c]\nrole_arn=arn:3\nweb_identity_token_file=TOKEN\n",
	  .exchanges = {
		{ "POST", "https://sts.us-east-1.amazonaws.com/", NULL, "RoleArn=arn%3A3", false,
		  { .status = 200, .body = STS_REPLY } },
		{ "POST", "https://sts.us-east-1.amazonaws.com/", "X-Amz-Security-Token: RT&=", "RoleArn=arn%3A2", true,
		  { .status = 200, .body = STS_REPLY } },
		{ "POST", "https://sts.us-east-1.amazonaws.com/", NULL, "RoleArn=arn%3A1", true,
		  { .status = 403, .body = STS_ERROR("AccessDenied") } } },
	  .want_error = "role arn:1: STS at sts.us-east-1.amazonaws.com: AccessDenied", .want_kind = ERROR_REFUSED },
	{ .name = "FIPS", .variables = { "AWS_REGION=us-east-2", "AWS_USE_FIPS_ENDPOINT=true",
		"AWS_USE_DUALSTACK_ENDPOINT=true" },
	  .config = "[default]\nrole_arn=r\nsource_profile=default\naws_access_key_id=k\naws_secret_access_key=q\n",
	  .exchanges = { { "POST", "https://sts-fips.us-east-2.api.aws/", NULL, NULL, true,
		{ .status = 200, .body = STS_REPLY } } },
	  .want = "RA/RS/RT&=" },
};

/* text with the path of the token file in place of TOKEN, the caller's. */
static char *with_token_path(const char *text, const char *path)
{
	const char *at = text != NULL ? strstr(text, "TOKEN") : NULL;

	/* A variable may have the word in its name. */
	while (at != NULL && at > text && at[-1] != '=' && at[-1] != ' ')
		at = strstr(at + 1, "TOKEN");
	if (at == NULL)
		return xstrdup(text != NULL ? text : "");
	return xasprintf("%.*s%s%s", (int)(at - text), text, path, at + 5);
}

static void check(const struct result *result, const char *want, const char *want_error, enum error_kind want_kind)
{
	if (want != NULL && (result->text == NULL || strcmp(result->text, want) != 0))
		fail_msg("%s: found \"%s\", want \"%s\"", case_name, result->text != NULL ? result->text : result->err.text,
			want);
	if (want_error != NULL && strstr(result->err.text, want_error) == NULL)
		fail_msg("%s: found \"%s\", want \"%s\"", case_name, result->text != NULL ? result->text : result->err.text,
			want_error);
	if (want_error != NULL && result->err.kind != want_kind)
		fail_msg("%s: the error is %s: %s", case_name, error_kind_name(result->err.kind), result->err.text);
	if (exchange_next != exchange_count)
		fail_msg("%s: only %zu of %zu requests came", case_name, exchange_next, exchange_count);
}

static void test_asks_whom_the_chain_names(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct conf_aws conf = { 0 };
		struct result result = { 0 };
		const char *token_path;
		size_t count = 0;
		char *text;

		clear_environment();
		token_path = scratch_write("token", cases[i].token != NULL ? cases[i].token : "");
		text = with_token_path(cases[i].config, token_path);
		scratch_write(".aws/config", text);
		free(text);
		for (size_t k = 0; k < CASE_VARIABLES && cases[i].variables[k] != NULL; k++) {
			text = with_token_path(cases[i].variables[k], token_path);
			set_variable(text);
			free(text);
		}
		while (count < CASE_EXCHANGES && cases[i].exchanges[count].method != NULL)
			count++;
		set_exchanges(cases[i].name, cases[i].exchanges, count);
		run(&result, &conf, NULL);
		check(&result, cases[i].want, cases[i].want_error, cases[i].want_kind);
		free(result.text);
	}
}

/* Which containers' endpoints may be asked */

static const struct { const char *relative, *full, *want, *want_error; } uris[] = {
	{ "/c", NULL, "http://169.254.170.2/c", NULL },
	{ "/c?a=1", "http://localhost/", "http://169.254.170.2/c?a=1", NULL },
	{ "c", NULL, NULL, "does not begin with '/'" },
	{ "@evil/", NULL, NULL, "does not begin with '/'" },
	{ "/c d", NULL, NULL, "blank or a control character" },
	{ NULL, "https://anywhere:8443/c", "https://anywhere:8443/c", NULL },
	{ NULL, "HTTP://LOCALHOST/c", "HTTP://LOCALHOST/c", NULL },
	{ NULL, "http://127.9.9.9:1/c", "http://127.9.9.9:1/c", NULL },
	{ NULL, "http://[::1]/c", "http://[::1]/c", NULL },
	{ NULL, "http://[::1]:80/c", "http://[::1]:80/c", NULL },
	{ NULL, "http://[fd00:ec2::23]/v1", "http://[fd00:ec2::23]/v1", NULL },
	{ NULL, "http://[FD00:EC2:0::23]/v1", "http://[FD00:EC2:0::23]/v1", NULL },
	{ NULL, "http://169.254.170.23", "http://169.254.170.23", NULL },
	{ NULL, "http://169.254.170.24/", NULL, "http only to" },
	{ NULL, "http://[fd00:ec2::24]/", NULL, "http only to" },
	{ NULL, "http://localhost.evil.example/", NULL, "http only to" },
	{ NULL, "http://127.0.0.1.evil.example/", NULL, "http only to" },
	{ NULL, "http://128.0.0.1/", NULL, "http only to" },
	{ NULL, "http://0/", NULL, "http only to" },
	{ NULL, "http://127.0.0.1@evil.example/", NULL, "did not specify a host" },
	{ NULL, "http://localhost\\@evil.example/", NULL, "did not specify a host" },
	{ NULL, "http://127.0.0.1%2eevil.example/", NULL, "did not specify a host" },
	{ NULL, "http://[::1].evil.example/", NULL, "did not specify a host" },
	{ NULL, "http://[::1/", NULL, "did not specify a host" },
	{ NULL, "http:///c", NULL, "did not specify a host" },
	{ NULL, "http://:80/c", NULL, "did not specify a host" },
	{ NULL, "/c", NULL, "did not specify a host" },
	{ NULL, "file:///etc/passwd", NULL, "did not specify a host" },
	{ NULL, "http://localhost/\r\nX: y", NULL, "blank or a control character" },
};

static void test_asks_only_endpoints_on_this_host(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(uris); i++) {
		struct error err = { 0 };
		char *url = credentials_container_url(uris[i].relative, uris[i].full, &err);

		if (uris[i].want != NULL && (url == NULL || strcmp(url, uris[i].want) != 0))
			fail_msg("%s: %s", uris[i].want, url != NULL ? url : err.text);
		if (uris[i].want == NULL && (url != NULL || strstr(err.text, uris[i].want_error) == NULL))
			fail_msg("%s: %s", uris[i].full != NULL ? uris[i].full : uris[i].relative,
				url != NULL ? url : err.text);
		free(url);
	}
}

static void test_agrees_with_the_sdks_on_containers(void **state)
{
	json_t *doc = conformance_load("ecs-tests.json");
	json_t *test;
	size_t i = 0;

	(void)state;
	json_array_foreach(json_object_get(doc, "tests"), i, test) {
		json_t *env = json_object_get(test, "env"), *result = json_object_get(test, "result");
		const char *relative = json_string_value(json_object_get(env, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"));
		const char *full = json_string_value(json_object_get(env, "AWS_CONTAINER_CREDENTIALS_FULL_URI"));
		const char *want = json_string_value(json_object_get(result, "Ok"));
		const char *docs = json_string_value(json_object_get(test, "docs"));
		struct error err = { 0 };
		char *url;

		/* That there is nothing at all is the chain's to see. */
		if (relative == NULL && full == NULL) {
			assert_null(want);
			continue;
		}
		url = credentials_container_url(relative, full, &err);
		if (want != NULL && (url == NULL || strcmp(url, want) != 0))
			fail_msg("%s: found %s, want %s", docs, url != NULL ? url : err.text, want);
		if (want == NULL && (url != NULL || strstr(err.text, "did not specify a host") == NULL))
			fail_msg("%s: found %s", docs, url != NULL ? url : err.text);
		free(url);
	}
	assert_true(doc == NULL || i > 0);
	print_message("# %zu cases of the SDKs\n", i);
	json_decref(doc);
}

/* The SDKs' cases of the whole chain: an environment, files, and the recorded traffic */

/* What we say where a recorded case fails. */
static const struct { const char *folder, *ours; } failures[] = {
	{ "eks_pod_identity_no_token_file", "No such file or directory" },
	{ "imds_default_chain_error", "no AWS credentials" },
	{ "imds_disabled", "no AWS credentials" },
	{ "imds_no_iam_role", "this instance has no role" },
	{ "imds_token_fail", "request forbidden: IMDS is disabled" },
	{ "profile_overrides_web_identity", "credential_source = Environment, which is not there" },
	{ "web_identity_source_profile_no_env", "web_identity_token_file but no role_arn" },
	{ "web_identity_token_invalid_jwt", "InvalidIdentityToken: No OpenIDConnect provider found in your account" },
};

static const char *text_at(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

static const char *first_header(const json_t *headers, const char *name)
{
	return json_string_value(json_array_get(json_object_get(headers, name), 0));
}

static void read_request(const json_t *request, struct exchange *exchange)
{
	const json_t *headers = json_object_get(request, "headers");
	const char *token = first_header(headers, "x-aws-ec2-metadata-token");
	const char *authorization = first_header(headers, "authorization");

	exchange->method = text_at(request, "method");
	exchange->url = text_at(request, "uri");
	exchange->header = token != NULL ? xasprintf("x-aws-ec2-metadata-token: %s", token) : NULL;
	exchange->is_signed = authorization != NULL && strncmp(authorization, "AWS4", 4) == 0;
}

/* The requests in their order, each with its answer; texts are lent by doc but for header and body_part. */
static size_t read_traffic(const json_t *doc, struct exchange list[CASE_EXCHANGES])
{
	size_t of_connection[CASE_EXCHANGES] = { 0 };
	size_t count = 0, i;
	json_t *event;

	memset(list, 0, CASE_EXCHANGES * sizeof(list[0]));
	json_array_foreach(json_object_get(doc, "events"), i, event) {
		json_int_t id = json_integer_value(json_object_get(event, "connection_id"));
		const json_t *action = json_object_get(event, "action");
		const json_t *request = json_object_get(json_object_get(action, "Request"), "request");
		const json_t *response = json_object_get(json_object_get(json_object_get(action, "Response"), "response"), "Ok");
		const json_t *data = json_object_get(action, "Data");
		struct exchange *exchange;

		assert_true(id >= 0 && id < CASE_EXCHANGES && count <= CASE_EXCHANGES);
		if (request != NULL) {
			of_connection[id] = count;
			read_request(request, &list[count++]);
		}
		exchange = &list[of_connection[id]];
		if (response != NULL)
			exchange->answer.status = (long)json_integer_value(json_object_get(response, "status"));
		if (data != NULL && strcmp(text_at(data, "direction"), "Response") == 0)
			exchange->answer.body = text_at(json_object_get(data, "data"), "Utf8");
		else if (data != NULL)
			exchange->body_part = strndup(text_at(json_object_get(data, "data"), "Utf8"),
				strcspn(text_at(json_object_get(data, "data"), "Utf8"), "&"));
	}
	return count;
}

/* Copies a file of the case into the scratch folder, where it finds its token file. */
static void copy_file(const char *folder, const char *from, const char *to)
{
	char path[512];
	static char text[LIMIT_TEST_TEXT];
	char *at, *changed;
	FILE *file;

	snprintf(path, sizeof(path), "%s/default-credential-provider-chain/%s/fs/%s", conformance_folder(), folder, from);
	file = fopen(path, "re");
	if (file == NULL) {
		scratch_remove(to);
		return;
	}
	text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
	fclose(file);
	at = strstr(text, "= /token.jwt");
	changed = at == NULL ? xstrdup(text) :
		xasprintf("%.*s= %s/token.jwt%s", (int)(at - text), text, scratch_folder(), at + 12);
	scratch_write(to, changed);
	free(changed);
}

static void set_case_environment(const char *folder, const json_t *env)
{
	const char *name;
	json_t *value;

	clear_environment();
	copy_file(folder, "home/.aws/config", ".aws/config");
	copy_file(folder, "home/.aws/credentials", ".aws/credentials");
	copy_file(folder, "token.jwt", "token.jwt");
	json_object_foreach((json_t *)env, name, value) {
		char *path = xasprintf("%s%s", scratch_folder(), json_string_value(value));

		if (strncmp(name, "AWS_", 4) == 0)
			setenv(name, strstr(name, "_FILE") != NULL ? path : json_string_value(value), 1);
		free(path);
	}
}

static const char *our_failure(const char *folder)
{
	for (size_t i = 0; i < ARRAY_SIZE(failures); i++) {
		if (strcmp(failures[i].folder, folder) == 0)
			return failures[i].ours;
	}
	fail_msg("no words for %s", folder);
	return NULL;
}

static json_t *load_part(const char *folder, const char *file)
{
	char path[512];

	snprintf(path, sizeof(path), "default-credential-provider-chain/%s/%s", folder, file);
	return conformance_load(path);
}

static void run_recorded_case(const char *folder)
{
	json_t *test = load_part(folder, "test-case.json"), *traffic = load_part(folder, "http-traffic.json");
	json_t *env = load_part(folder, "env.json");
	json_t *ok = json_object_get(json_object_get(test, "result"), "Ok");
	const struct conf_aws conf = { 0 };
	struct exchange list[CASE_EXCHANGES];
	size_t count = read_traffic(traffic, list);
	json_int_t expiry_s = json_integer_value(json_object_get(ok, "expiry"));
	int64_t shift_ms = expiry_s > 0 ? (expiry_s - 1800) * 1000 - clock_wall_ms() : 0;
	struct result result = { 0 };

	set_case_environment(folder, env);
	set_exchanges(folder, list, count);
	clock_shift(0, shift_ms);
	/* The recorder had a region of its own where the case has none. */
	run(&result, &conf, getenv("AWS_REGION") == NULL ? "us-east-1" : NULL);
	clock_shift(0, -shift_ms);
	if (ok != NULL) {
		const char *token = text_at(ok, "session_token");
		char *want = xasprintf("%s/%s/%s", text_at(ok, "access_key_id"), text_at(ok, "secret_access_key"),
			token != NULL ? token : "-");

		check(&result, want, NULL, ERROR_NONE);
		if (result.expires_ms != expiry_s * 1000)
			fail_msg("%s: ends at %lld", folder, (long long)result.expires_ms);
		free(want);
	} else {
		assert_int_not_equal(result.err.kind, ERROR_NONE);
		check(&result, NULL, our_failure(folder), result.err.kind);
	}
	for (size_t i = 0; i < count; i++) {
		free((char *)list[i].header);
		free((char *)list[i].body_part);
	}
	free(result.text);
	json_decref(test);
	json_decref(traffic);
	json_decref(env);
}

static void test_agrees_with_the_sdks_on_the_chain(void **state)
{
	char path[512];
	struct dirent *entry;
	unsigned count = 0;
	DIR *dir;

	(void)state;
	if (conformance_folder() == NULL)
		return;
	snprintf(path, sizeof(path), "%s/default-credential-provider-chain", conformance_folder());
	dir = opendir(path);
	if (dir == NULL)
		fail_msg("%s is not there", path);
	while ((entry = readdir(dir)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		run_recorded_case(entry->d_name);
		count++;
	}
	closedir(dir);
	assert_true(count > 0);
	print_message("# %u cases of the SDKs\n", count);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_asks_whom_the_chain_names),
		cmocka_unit_test(test_asks_only_endpoints_on_this_host),
		cmocka_unit_test(test_agrees_with_the_sdks_on_containers),
		cmocka_unit_test(test_agrees_with_the_sdks_on_the_chain),
	};

	log_set_level(LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
