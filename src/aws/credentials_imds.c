/* SPDX-License-Identifier: Apache-2.0 */
/* credentials_imds.c - credentials of an EC2 instance's role, from its metadata service, version 2 only:
 * version 1 gives them to whoever can make us fetch a URL.
 * Protocol: Amazon EC2 User Guide, "Use the Instance Metadata Service", "Retrieve security credentials". */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "aws/credentials_impl.h"
#include "aws/metadata.h"
#include "base/clock.h"
#include "base/list.h"
#include "base/mem.h"

enum {
	IMDS_TRY_MS = 1000,
	IMDS_TRIES = 3,
	IMDS_TOKEN_S = 21600,           /* the longest life there is */
	IMDS_TOKEN_SPARE_S = 120,       /* a token this near its end is not used any more */
	LIMIT_IMDS_TRY_MS = 60000,
	LIMIT_IMDS_TRIES = 10,
	LIMIT_IMDS_TOKEN_BYTES = 4096,
	LIMIT_IMDS_ROLE_BYTES = 256,
};

#define IMDS_PAUSE_S 0.2
#define IMDS_ROLES_PATH "/latest/meta-data/iam/security-credentials/"

struct imds_provider {
	struct credentials_provider provider;
	struct metadata_call call;
	char *base;                     /* "http://169.254.169.254" */
	unsigned try_ms, tries;
	bool last_resort;
	bool answered;                  /* somebody is there */
	bool loaded;                    /* it has worked, so a later failure may pass */
	char *token;                    /* secret; kept between loads; NULL: none */
	double token_until_s;           /* monotonic */
	bool token_is_new;              /* fetched in this load: a 401 is not because of its age */
	char role[LIMIT_IMDS_ROLE_BYTES];
	credentials_loaded_fn *done;
	void *arg;
};

static void fetch_token(struct imds_provider *imds);

static void finish(struct imds_provider *imds, struct credentials *take, const struct error *err)
{
	imds->loaded = imds->loaded || take != NULL;
	imds->done(imds->arg, take, err);
}

/* A source that never worked and says no is set up wrongly. */
static enum error_kind kind_of_no(const struct imds_provider *imds)
{
	return imds->loaded ? ERROR_TEMPORARY : ERROR_REFUSED;
}

static void forget_token(struct imds_provider *imds)
{
	xfree_secret(imds->token);
	imds->token = NULL;
}

static void ask(struct imds_provider *imds, const char *method, const char *path, const char *header,
	metadata_done_fn *done)
{
	char *url = xasprintf("%s%s", imds->base, path);
	const struct metadata_request request = {
		.method = method, .url = url, .headers = { header },
		.timeout_ms = imds->try_ms, .tries = imds->tries, .pause_s = IMDS_PAUSE_S,
	};

	metadata_start(&imds->call, &request, done, imds);
	free(url);
}

static void ask_with_token(struct imds_provider *imds, const char *path, metadata_done_fn *done)
{
	char *header = xasprintf("x-aws-ec2-metadata-token: %s", imds->token);

	ask(imds, "GET", path, header, done);
	xfree_secret(header);
}

/* What every answer to a GET may be besides the thing asked for; true when the load goes on elsewhere. */
static bool handle_no(struct imds_provider *imds, const struct http_reply *reply, const char *what,
	const struct error *err)
{
	struct error why;

	if (err != NULL) {
		finish(imds, NULL, err);
		return true;
	}
	if (reply->status == 200)
		return false;
	if (reply->status == 401 && !imds->token_is_new) {
		forget_token(imds);
		fetch_token(imds);
		return true;
	}
	error_set(&why, kind_of_no(imds), "IMDS at %s answered HTTP status %ld to the request for %s%s", imds->base,
		reply->status, what, reply->status == 404 ? ": this instance has no role (instance profile)" : "");
	finish(imds, NULL, &why);
	return true;
}

static void on_keys(void *arg, const struct http_reply *reply, const struct error *err)
{
	struct imds_provider *imds = arg;
	struct credentials *credentials;
	struct error why = { 0 };

	if (handle_no(imds, reply, "its role's credentials", err))
		return;
	credentials = credentials_parse(reply->body, reply->body_bytes, &why);
	if (credentials == NULL) {
		if (strcmp(why.code, "AssumeRoleUnauthorizedAccess") == 0)
			why.kind = kind_of_no(imds);
		error_prefix(&why, "IMDS at %s, role %s", imds->base, imds->role);
	} else {
		credentials_localize(credentials, reply);
	}
	finish(imds, credentials, credentials != NULL ? NULL : &why);
}

/* The first line of the list; it becomes part of a path. */
static bool read_role(struct imds_provider *imds, const struct http_reply *reply)
{
	size_t start = strspn(reply->body, " \t\r\n");
	size_t size = strcspn(reply->body + start, "\r\n");

	if (size == 0 || size >= sizeof(imds->role))
		return false;
	for (size_t i = 0; i < size; i++) {
		char c = reply->body[start + i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		      (c != '\0' && strchr("+=,.@_-", c) != NULL)))
			return false;
	}
	memcpy(imds->role, reply->body + start, size);
	imds->role[size] = '\0';
	return true;
}

static void on_role(void *arg, const struct http_reply *reply, const struct error *err)
{
	struct imds_provider *imds = arg;
	struct error why;
	char *path;

	if (handle_no(imds, reply, "its role's name", err))
		return;
	if (!read_role(imds, reply)) {
		error_set(&why, ERROR_TEMPORARY, "IMDS at %s answered no role name", imds->base);
		finish(imds, NULL, &why);
		return;
	}
	path = xasprintf("%s%s", IMDS_ROLES_PATH, imds->role);
	ask_with_token(imds, path, on_keys);
	free(path);
}

static void fetch_role(struct imds_provider *imds)
{
	ask_with_token(imds, IMDS_ROLES_PATH, on_role);
}

static bool is_header_text(const char *text, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		if (text[i] <= ' ' || text[i] == 0x7f)
			return false;
	}
	return size > 0 && size <= LIMIT_IMDS_TOKEN_BYTES;
}

static bool take_token(struct imds_provider *imds, const struct http_reply *reply)
{
	const char *life = http_reply_header(reply, "x-aws-ec2-metadata-token-ttl-seconds");
	long life_s = life != NULL ? strtol(life, NULL, 10) : IMDS_TOKEN_S;
	size_t size = reply->body_bytes;

	while (size > 0 && (reply->body[size - 1] == '\n' || reply->body[size - 1] == '\r'))
		size--;
	if (!is_header_text(reply->body, size))
		return false;
	if (life_s <= 0 || life_s > IMDS_TOKEN_S)
		life_s = IMDS_TOKEN_S;
	forget_token(imds);
	imds->token = xstrndup(reply->body, size);
	imds->token_until_s = clock_monotonic_s() + (double)life_s - IMDS_TOKEN_SPARE_S;
	return true;
}

/* A packet's hops are counted down on its way into a container's network, and the reply to PUT has
 * only as many as HttpPutResponseHopLimit says: with one, it is never seen in there. */
static void no_token(struct imds_provider *imds, const struct error *err)
{
	struct error why;

	error_set(&why, imds->last_resort && !imds->answered ? ERROR_REFUSED : ERROR_TEMPORARY,
		"%.240s (not on EC2? in a container the instance's HttpPutResponseHopLimit must be 2 or more)", err->text);
	finish(imds, NULL, &why);
}

static void on_token(void *arg, const struct http_reply *reply, const struct error *err)
{
	struct imds_provider *imds = arg;
	struct error why;

	if (err != NULL) {
		no_token(imds, err);
		return;
	}
	imds->answered = true;
	if (reply->status == 200 && take_token(imds, reply)) {
		imds->token_is_new = true;
		fetch_role(imds);
		return;
	}
	if (reply->status == 403)
		error_set(&why, kind_of_no(imds), "IMDS at %s: request forbidden: IMDS is disabled", imds->base);
	else
		error_set(&why, kind_of_no(imds), "IMDS at %s gave no token: HTTP status %ld", imds->base, reply->status);
	finish(imds, NULL, &why);
}

static void fetch_token(struct imds_provider *imds)
{
	ask(imds, "PUT", "/latest/api/token", "x-aws-ec2-metadata-token-ttl-seconds: 21600", on_token);
}

static void imds_load(struct credentials_provider *provider, credentials_loaded_fn *done, void *arg)
{
	struct imds_provider *imds = container_of(provider, struct imds_provider, provider);

	imds->done = done;
	imds->arg = arg;
	imds->token_is_new = false;
	if (imds->token != NULL && clock_monotonic_s() < imds->token_until_s)
		fetch_role(imds);
	else
		fetch_token(imds);
}

static void imds_cancel(struct credentials_provider *provider, struct error *why)
{
	struct imds_provider *imds = container_of(provider, struct imds_provider, provider);

	metadata_cancel(&imds->call, why);
}

static void imds_destroy(struct credentials_provider *provider)
{
	struct imds_provider *imds = container_of(provider, struct imds_provider, provider);

	forget_token(imds);
	free(imds->base);
	free(imds);
}

static const struct credentials_provider_ops imds_ops = {
	.load = imds_load,
	.cancel = imds_cancel,
	.destroy = imds_destroy,
};

static const char *setting(const struct profile *profile, const char *variable, const char *key)
{
	const char *value = profile_env(variable);

	return value != NULL ? value : profile_get(profile, key);
}

char *credentials_imds_base(const struct profile *profile, struct error *err)
{
	const char *endpoint = setting(profile, "AWS_EC2_METADATA_SERVICE_ENDPOINT", "ec2_metadata_service_endpoint");
	const char *mode = setting(profile, "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE",
		"ec2_metadata_service_endpoint_mode");
	size_t size;

	if (endpoint != NULL && endpoint[0] != '\0') {
		size = strlen(endpoint);
		while (size > 0 && endpoint[size - 1] == '/')
			size--;
		if (strpbrk(endpoint, " \t\r\n@?#") == NULL && (strncasecmp(endpoint, "http://", 7) == 0 ||
		    strncasecmp(endpoint, "https://", 8) == 0))
			return xstrndup(endpoint, size);
		error_set(err, ERROR_REFUSED, "AWS_EC2_METADATA_SERVICE_ENDPOINT (or ec2_metadata_service_endpoint): "
			"expected http://HOST[:PORT], found something else");
		return NULL;
	}
	if (mode == NULL || mode[0] == '\0' || strcasecmp(mode, "IPv4") == 0)
		return xstrdup("http://169.254.169.254");
	if (strcasecmp(mode, "IPv6") == 0)
		return xstrdup("http://[fd00:ec2::254]");
	error_set(err, ERROR_REFUSED, "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE (or ec2_metadata_service_endpoint_mode): "
		"expected IPv4 or IPv6, found \"%.40s\"", mode);
	return NULL;
}

/* A number in the environment, usual when it is absent or nonsense. */
static unsigned env_number(const char *variable, unsigned scale, unsigned usual, unsigned limit)
{
	const char *text = profile_env(variable);
	char *end;
	double value = text != NULL ? strtod(text, &end) * scale : 0;

	if (text == NULL || *end != '\0' || !(value >= 1))
		return usual;
	return value < limit ? (unsigned)value : limit;
}

struct credentials_provider *credentials_imds_create(const struct credentials_env *env, bool last_resort,
	struct error *err)
{
	char *base = credentials_imds_base(env->profile, err);
	struct imds_provider *imds;

	if (base == NULL)
		return NULL;
	imds = xnew(struct imds_provider);
	imds->provider.ops = &imds_ops;
	imds->base = base;
	imds->last_resort = last_resort;
	imds->try_ms = env_number("AWS_METADATA_SERVICE_TIMEOUT", 1000, IMDS_TRY_MS, LIMIT_IMDS_TRY_MS);
	imds->tries = env_number("AWS_METADATA_SERVICE_NUM_ATTEMPTS", 1, IMDS_TRIES, LIMIT_IMDS_TRIES);
	imds->provider.limit_s = CREDENTIALS_LOAD_S;
	if (imds->provider.limit_s < imds->try_ms * imds->tries / 1000. + CREDENTIALS_LOAD_S / 2.)
		imds->provider.limit_s = imds->try_ms * imds->tries / 1000. + CREDENTIALS_LOAD_S / 2.;
	metadata_init(&imds->call, env->loop, env->http);
	return &imds->provider;
}
