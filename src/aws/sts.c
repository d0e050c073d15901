/* SPDX-License-Identifier: Apache-2.0 */
/* sts.c - see sts.h. */
#include "aws/sts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "aws/aws_error.h"
#include "aws/credentials_impl.h"
#include "aws/endpoint.h"
#include "aws/retry.h"
#include "aws/service.h"
#include "aws/sigv4.h"
#include "aws/skew.h"
#include "aws/xml_tag.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/list.h"
#include "base/mem.h"
#include "base/random.h"

struct sts {
	struct ev_loop *loop;
	struct http_client *http;
	struct endpoint endpoint;
	char *region;                   /* in the signature */
	struct skew skew;
};

struct sts_call {
	struct sts *sts;
	struct http_call *try;          /* NULL between tries */
	ev_timer pause;
	char *form;                     /* may hold a token */
	struct credentials *signer;     /* NULL: not signed */
	unsigned tries;                 /* begun */
	double signed_offset_s;         /* the skew that the last try was signed with */
	struct error last;              /* of the tries so far */
	sts_done_fn *done;
	void *arg;
};

static void try_once(struct sts_call *call);

static bool is_true(const struct profile *profile, const char *variable, const char *key)
{
	const char *value = profile_env(variable);

	if (value == NULL)
		value = profile_get(profile, key);
	return value != NULL && strcasecmp(value, "true") == 0;
}

/* Regions that existed when STS had one endpoint for the world. */
static bool is_legacy_region(const char *region)
{
	static const char *const regions[] = {
		"ap-northeast-1", "ap-south-1", "ap-southeast-1", "ap-southeast-2", "aws-global", "ca-central-1",
		"eu-central-1", "eu-north-1", "eu-west-1", "eu-west-2", "eu-west-3", "sa-east-1", "us-east-1",
		"us-east-2", "us-west-1", "us-west-2",
	};

	for (size_t i = 0; i < sizeof(regions) / sizeof(regions[0]); i++) {
		if (strcmp(region, regions[i]) == 0)
			return true;
	}
	return false;
}

/* The region to ask in: the one configured, or the world's where AWS_STS_REGIONAL_ENDPOINTS wants that. */
static const char *region_to_ask(const struct credentials_env *env)
{
	const char *mode = profile_env("AWS_STS_REGIONAL_ENDPOINTS");

	if (mode == NULL)
		mode = profile_get(env->profile, "sts_regional_endpoints");
	if (mode != NULL && strcasecmp(mode, "legacy") == 0 && is_legacy_region(env->region))
		return "aws-global";
	return env->region;
}

static char *find_endpoint(const struct credentials_env *env, const char *region, struct error *err)
{
	bool fips = is_true(env->profile, "AWS_USE_FIPS_ENDPOINT", "use_fips_endpoint");
	bool dual_stack = is_true(env->profile, "AWS_USE_DUALSTACK_ENDPOINT", "use_dualstack_endpoint");

	if (env->sts_endpoint != NULL)
		return xstrdup(env->sts_endpoint);
	/* The world's endpoint has neither form. */
	return endpoint_of_service(AWS_STS, fips || dual_stack ? env->region : region, fips, dual_stack, err);
}

struct sts *sts_create(const struct credentials_env *env, struct error *err)
{
	struct sts *sts = xnew(struct sts);
	const char *region;
	char *url;
	bool ok;

	if (env->region == NULL) {
		error_set(err, ERROR_REFUSED, "a role needs a region to ask STS in: set aws.region or AWS_REGION");
		free(sts);
		return NULL;
	}
	region = env->sts_endpoint != NULL ? env->region : region_to_ask(env);
	url = find_endpoint(env, region, err);
	ok = url != NULL && endpoint_parse(&sts->endpoint, url, err);
	free(url);
	if (!ok) {
		if (err != NULL)
			err->kind = ERROR_REFUSED;
		error_prefix(err, "STS endpoint");
		sts_destroy(sts);
		return NULL;
	}
	sts->loop = env->loop;
	sts->http = env->http;
	sts->region = xstrdup(endpoint_signing_region(region));
	sts->skew.disabled = is_true(env->profile, "AWS_DISABLE_CLOCK_SKEW_CORRECTION", "disable_clock_skew_correction");
	return sts;
}

void sts_destroy(struct sts *sts)
{
	if (sts == NULL)
		return;
	endpoint_finish(&sts->endpoint);
	free(sts->region);
	free(sts);
}

static void add_parameter(struct buf *form, const char *name, const char *value)
{
	static const char unreserved[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~";

	if (value == NULL)
		return;
	buf_printf(form, "&%s=", name);
	for (; *value != '\0'; value++) {
		if (strchr(unreserved, *value) != NULL)
			buf_add_char(form, *value);
		else
			buf_printf(form, "%%%02X", (unsigned char)*value);
	}
}

static char *make_form(const struct sts_request *request)
{
	char session_name[64], duration[16];
	struct buf form;

	snprintf(session_name, sizeof(session_name), "gantryd-%d-%lld", (int)getpid(),
		(long long)(clock_wall_ms() / 1000));
	snprintf(duration, sizeof(duration), "%u", request->duration_s);
	buf_init(&form, LIMIT_STS_FORM_BYTES);
	buf_printf(&form, "Action=%s&Version=2011-06-15",
		request->web_identity != NULL ? "AssumeRoleWithWebIdentity" : "AssumeRole");
	add_parameter(&form, "RoleArn", request->role_arn);
	add_parameter(&form, "RoleSessionName", request->session_name != NULL ? request->session_name : session_name);
	add_parameter(&form, "ExternalId", request->external_id);
	add_parameter(&form, "DurationSeconds", request->duration_s > 0 ? duration : NULL);
	add_parameter(&form, "WebIdentityToken", request->web_identity);
	return buf_take(&form);
}

static void call_free(struct sts_call *call)
{
	credentials_free(call->signer);
	xfree_secret(call->form);
	free(call);
}

static void finish(struct sts_call *call, struct credentials *take, const struct error *err)
{
	sts_done_fn *done = call->done;
	void *arg = call->arg;
	struct error why = { 0 };

	if (err != NULL)
		why = *err;
	call_free(call);
	done(arg, take, err != NULL ? &why : NULL);
}

/* Tries again after a pause; false when the tries are used up. */
static bool again(struct sts_call *call, enum retry_cause cause, const char *retry_after)
{
	int64_t wish_ms = retry_after != NULL ? retry_after_parse(retry_after, (double)clock_wall_ms() / 1000) : -1;

	if (cause == RETRY_NEVER || call->tries >= RETRY_TRIES)
		return false;
	ev_timer_set(&call->pause, retry_delay_s(call->tries - 1, cause, random_unit(), wish_ms), 0.);
	ev_timer_start(call->sts->loop, &call->pause);
	return true;
}

static struct credentials *read_credentials(const struct http_reply *reply, struct error *err)
{
	enum { ACCESS_KEY, SECRET_KEY, TOKEN, EXPIRATION, PARTS };
	static const char *const names[PARTS] = { "AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration" };
	struct credentials *credentials = NULL;
	const char *missing = NULL;
	char *parts[PARTS];
	int64_t expires_ms;

	for (int i = 0; i < PARTS; i++) {
		parts[i] = xml_tag_text(reply->body, reply->body_bytes, names[i]);
		if (parts[i] == NULL || parts[i][0] == '\0')
			missing = names[i];
	}
	if (missing != NULL)
		error_set(err, ERROR_TEMPORARY, "STS's answer has no %s", missing);
	else if (!clock_parse_stamp(parts[EXPIRATION], &expires_ms))
		error_set(err, ERROR_TEMPORARY, "STS's answer has an unreadable Expiration: \"%.40s\"",
			parts[EXPIRATION]);
	else
		credentials = credentials_new(parts[ACCESS_KEY], parts[SECRET_KEY], parts[TOKEN], expires_ms);
	for (int i = 0; i < PARTS; i++)
		xfree_secret(parts[i]);
	return credentials;
}

/* STS said no; tries again where that may help. */
static void on_refusal(struct sts_call *call, const struct http_reply *reply)
{
	struct aws_error said;
	struct aws_meaning meaning;
	bool may_pass;

	aws_error_parse(&said, reply);
	meaning = aws_error_meaning(&said, AWS_STS, reply->status);
	may_pass = error_may_pass(meaning.kind);
	error_set(&call->last, may_pass ? ERROR_TEMPORARY : ERROR_REFUSED, "STS at %s: %s%s%s", call->sts->endpoint.host,
		said.code, said.text[0] != '\0' ? ": " : "", said.text);
	error_set_code(&call->last, said.code);
	if (call->signer != NULL && skew_explains(&call->sts->skew, said.code, said.text, call->signed_offset_s))
		meaning.retry = RETRY_TRANSIENT;
	aws_error_finish(&said);
	if (!again(call, meaning.retry, http_reply_header(reply, "Retry-After")))
		finish(call, NULL, &call->last);
}

static void on_reply(void *arg, const struct http_reply *reply, const struct error *err)
{
	struct sts_call *call = arg;
	struct credentials *credentials;

	call->try = NULL;
	if (err != NULL) {
		error_set(&call->last, err->kind == ERROR_REFUSED ? ERROR_REFUSED : ERROR_TEMPORARY, "STS at %s: %.400s",
			call->sts->endpoint.host, err->text);
		if (!again(call, error_may_pass(err->kind) ? RETRY_TRANSIENT : RETRY_NEVER, NULL))
			finish(call, NULL, &call->last);
		return;
	}
	skew_sample(&call->sts->skew, http_reply_header(reply, "Date"), http_reply_header(reply, "Age"),
		reply->sent_s, reply->received_s);
	if (reply->status != 200) {
		on_refusal(call, reply);
		return;
	}
	credentials = read_credentials(reply, &call->last);
	if (credentials != NULL)
		credentials_localize(credentials, reply);
	finish(call, credentials, credentials != NULL ? NULL : &call->last);
}

static void on_pause(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct sts_call *call = container_of(timer, struct sts_call, pause);

	(void)loop;
	(void)revents;
	try_once(call);
}

/* The lines to send; what is signed and what is sent are the same texts.  False: the texts are too long. */
static bool make_headers(struct sts_call *call, struct buf lines[5], const char *headers[6])
{
	const struct sts *sts = call->sts;
	const char *content_type = service_of(AWS_STS)->content_type;
	char stamp[SIGV4_STAMP_BYTES];
	struct sigv4_header given[4] = {
		{ "Host", sts->endpoint.host }, { "Content-Type", content_type }, { "X-Amz-Date", stamp },
		{ "X-Amz-Security-Token", call->signer != NULL ? call->signer->session_token : NULL },
	};
	size_t count = call->signer == NULL ? 2 : given[3].value == NULL ? 3 : 4;
	bool ok = true;

	call->signed_offset_s = sts->skew.offset_s;
	sigv4_stamp((time_t)((double)clock_wall_ms() / 1000 + sts->skew.offset_s), stamp);
	for (size_t i = 0; i < count; i++) {
		ok = buf_printf(&lines[i], "%s: %s", given[i].name, given[i].value) && ok;
		headers[i] = buf_text(&lines[i]);
	}
	if (call->signer != NULL) {
		const struct sigv4_request request = {
			.method = "POST", .path = sts->endpoint.path, .headers = given, .header_count = count,
			.body = call->form, .body_bytes = strlen(call->form),
			.region = sts->region, .service = service_of(AWS_STS)->label, .stamp = stamp,
		};

		buf_add_text(&lines[count], "Authorization: ");
		ok = sigv4_sign(call->signer->signer, &request, &lines[count]) && ok;
		headers[count] = buf_text(&lines[count]);
		count++;
	}
	headers[count] = NULL;
	return ok;
}

static void try_once(struct sts_call *call)
{
	struct buf lines[5];
	const char *headers[6];
	struct http_request request = {
		.method = "POST",
		.url = call->sts->endpoint.url,
		.headers = headers,
		.body = call->form,
		.body_bytes = strlen(call->form),
		.timeout_ms = STS_TRY_MS,
		.connect_timeout_ms = STS_TRY_MS,
		.reply_limit = LIMIT_CREDENTIALS_REPLY_BYTES,
	};

	for (size_t i = 0; i < 5; i++)
		buf_init(&lines[i], LIMIT_SIGV4_TEXT_BYTES);
	call->tries++;
	/* What is too long to be signed STS will refuse, with words of its own. */
	make_headers(call, lines, headers);
	call->try = http_client_start(call->sts->http, &request, on_reply, call);
	for (size_t i = 0; i < 5; i++) {
		if (lines[i].bytes != NULL)
			explicit_bzero(lines[i].bytes, lines[i].size);
		buf_finish(&lines[i]);
	}
}

struct sts_call *sts_assume(struct sts *sts, const struct sts_request *request, sts_done_fn *done, void *arg)
{
	struct sts_call *call = xnew(struct sts_call);

	call->sts = sts;
	call->form = make_form(request);
	call->signer = request->web_identity == NULL ? credentials_copy(request->signer) : NULL;
	call->done = done;
	call->arg = arg;
	ev_init(&call->pause, on_pause);
	try_once(call);
	return call;
}

void sts_call_cancel(struct sts_call *call, struct error *why)
{
	if (call == NULL)
		return;
	if (why != NULL && call->last.kind != ERROR_NONE)
		*why = call->last;
	http_call_cancel(call->try);
	ev_timer_stop(call->sts->loop, &call->pause);
	call_free(call);
}
