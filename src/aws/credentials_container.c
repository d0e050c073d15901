/* SPDX-License-Identifier: Apache-2.0 */
/* credentials_container.c - credentials of an ECS task role or an EKS pod identity, from an endpoint
 * on this host.  Protocol: Amazon ECS Developer Guide, "Task IAM role"; SDKs Reference Guide,
 * "Container credential provider". */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "aws/credentials_container.h"
#include "aws/credentials_impl.h"
#include "aws/metadata.h"
#include "base/list.h"
#include "base/mem.h"

enum {
	CONTAINER_TRY_MS = 1000,
	CONTAINER_TRIES = 4,
	CONTAINER_PAUSE_S = 1,
	LIMIT_CONTAINER_HOST_BYTES = 256,
};

#define CONTAINER_ECS_HOST "169.254.170.2"

struct container_provider {
	struct credentials_provider provider;
	struct ev_loop *loop;
	struct metadata_call call;
	ev_timer failed;                /* completes a load that failed before any request */
	struct error failure;
	char *url;
	char *token_file;               /* NULL: none */
	char *token;                    /* secret; NULL: none; a token file wins */
	bool loaded;                    /* it has worked, so a later failure may pass */
	credentials_loaded_fn *done;
	void *arg;
};

/* Credentials and a token go in the clear over http, so only to what is on this host. */
static bool is_local(const char *host)
{
	static const char *const names[] = { "localhost", CONTAINER_ECS_HOST, "169.254.170.23" };
	struct in_addr four;
	struct in6_addr six, pod;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcasecmp(host, names[i]) == 0)
			return true;
	}
	if (inet_pton(AF_INET, host, &four) == 1)
		return ntohl(four.s_addr) >> 24 == 127;
	if (inet_pton(AF_INET6, host, &six) != 1 || inet_pton(AF_INET6, "fd00:ec2::23", &pod) != 1)
		return false;
	return IN6_IS_ADDR_LOOPBACK(&six) || memcmp(&six, &pod, sizeof(six)) == 0;
}

/* The host of "scheme://host[:port][/...]"; refuses what two readers could read in two ways. */
static bool read_host(const char *rest, char host[LIMIT_CONTAINER_HOST_BYTES])
{
	size_t size = strcspn(rest, "/?#");
	const char *end;

	if (memchr(rest, '@', size) != NULL || memchr(rest, '\\', size) != NULL || memchr(rest, '%', size) != NULL)
		return false;
	end = rest[0] == '[' ? memchr(rest, ']', size) : memchr(rest, ':', size);
	if (rest[0] == '[') {
		if (end == NULL || (end + 1 < rest + size && end[1] != ':'))
			return false;
		rest++;
	}
	if (end != NULL)
		size = (size_t)(end - rest);
	if (size == 0 || size >= LIMIT_CONTAINER_HOST_BYTES)
		return false;
	memcpy(host, rest, size);
	host[size] = '\0';
	return true;
}

char *credentials_container_url(const char *relative, const char *full, struct error *err)
{
	const char *variable = relative != NULL ? "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI" :
		"AWS_CONTAINER_CREDENTIALS_FULL_URI";
	const char *uri = relative != NULL ? relative : full;
	char host[LIMIT_CONTAINER_HOST_BYTES];
	bool http;

	for (const char *c = uri; *c != '\0'; c++) {
		if (*c <= ' ' || *c == 0x7f) {
			error_set(err, ERROR_REFUSED, "%s has a blank or a control character", variable);
			return NULL;
		}
	}
	if (relative != NULL && relative[0] != '/') {
		error_set(err, ERROR_REFUSED, "%s does not begin with '/'", variable);
		return NULL;
	}
	if (relative != NULL)
		return xasprintf("http://%s%s", CONTAINER_ECS_HOST, relative);
	http = strncasecmp(full, "http://", 7) == 0;
	if ((!http && strncasecmp(full, "https://", 8) != 0) || !read_host(full + (http ? 7 : 8), host)) {
		error_set(err, ERROR_REFUSED, "%s did not specify a host: expected http://HOST or https://HOST", variable);
		return NULL;
	}
	if (http && !is_local(host)) {
		error_set(err, ERROR_REFUSED, "%s: http only to a loopback address, 169.254.170.2, 169.254.170.23 or "
			"[fd00:ec2::23], found %s", variable, host);
		return NULL;
	}
	return xstrdup(full);
}

static void finish(struct container_provider *container, struct credentials *take, const struct error *err)
{
	container->loaded = container->loaded || take != NULL;
	container->done(container->arg, take, err);
}

/* A source that never worked and says no is set up wrongly. */
static enum error_kind kind_of_no(const struct container_provider *container)
{
	return container->loaded ? ERROR_TEMPORARY : ERROR_REFUSED;
}

static void on_reply(void *arg, const struct http_reply *reply, const struct error *err)
{
	struct container_provider *container = arg;
	struct credentials *credentials;
	struct error why = { 0 };

	if (err != NULL) {
		finish(container, NULL, err);
		return;
	}
	credentials = credentials_parse(reply->body, reply->body_bytes, &why);
	if (reply->status == 200 && credentials != NULL) {
		credentials_localize(credentials, reply);
		finish(container, credentials, NULL);
		return;
	}
	credentials_free(credentials);
	if (reply->status != 200 && why.code[0] == '\0')
		error_set(&why, ERROR_TEMPORARY, "HTTP status %ld", reply->status);
	if (reply->status >= 400 && reply->status <= 404)
		why.kind = kind_of_no(container);
	error_prefix(&why, "GET %s", container->url);
	finish(container, NULL, &why);
}

static void on_failed(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct container_provider *container = container_of(timer, struct container_provider, failed);
	struct error why = container->failure;

	(void)loop;
	(void)revents;
	finish(container, NULL, &why);
}

/* The token for this load, the caller's to wipe; NULL: none, or *failed. */
static char *read_token(struct container_provider *container, bool *failed)
{
	char *token = container->token_file != NULL ?
		credentials_read_token(container->token_file, &container->failure) : xstrdup(container->token);

	*failed = token == NULL && container->token_file != NULL;
	if (*failed)
		container->failure.kind = kind_of_no(container);
	if (token != NULL && strpbrk(token, "\r\n") != NULL) {
		error_set(&container->failure, ERROR_REFUSED, "the container's authorization token has a line end in it");
		xfree_secret(token);
		*failed = true;
		return NULL;
	}
	return token;
}

static void container_load(struct credentials_provider *provider, credentials_loaded_fn *done, void *arg)
{
	struct container_provider *container = container_of(provider, struct container_provider, provider);
	struct metadata_request request = {
		.method = "GET", .url = container->url, .headers = { "Accept: application/json" },
		.timeout_ms = CONTAINER_TRY_MS, .tries = CONTAINER_TRIES, .pause_s = CONTAINER_PAUSE_S,
	};
	bool failed;
	char *token = read_token(container, &failed);
	char *header = token != NULL ? xasprintf("Authorization: %s", token) : NULL;

	container->done = done;
	container->arg = arg;
	if (failed) {
		ev_timer_set(&container->failed, 0., 0.);
		ev_timer_start(container->loop, &container->failed);
	} else {
		request.headers[1] = header;
		metadata_start(&container->call, &request, on_reply, container);
	}
	xfree_secret(token);
	xfree_secret(header);
}

static void container_cancel(struct credentials_provider *provider, struct error *why)
{
	struct container_provider *container = container_of(provider, struct container_provider, provider);

	ev_timer_stop(container->loop, &container->failed);
	metadata_cancel(&container->call, why);
}

static void container_destroy(struct credentials_provider *provider)
{
	struct container_provider *container = container_of(provider, struct container_provider, provider);

	free(container->url);
	free(container->token_file);
	xfree_secret(container->token);
	free(container);
}

static const struct credentials_provider_ops container_ops = {
	.load = container_load,
	.cancel = container_cancel,
	.destroy = container_destroy,
};

struct credentials_provider *credentials_container_create(const struct credentials_env *env, struct error *err)
{
	char *url = credentials_container_url(profile_env("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"),
		profile_env("AWS_CONTAINER_CREDENTIALS_FULL_URI"), err);
	struct container_provider *container;

	if (url == NULL)
		return NULL;
	container = xnew(struct container_provider);
	container->provider.ops = &container_ops;
	container->provider.limit_s = CREDENTIALS_LOAD_S;
	container->loop = env->loop;
	container->url = url;
	container->token_file = xstrdup(profile_env("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"));
	container->token = xstrdup(profile_env("AWS_CONTAINER_AUTHORIZATION_TOKEN"));
	ev_init(&container->failed, on_failed);
	metadata_init(&container->call, env->loop, env->http);
	return &container->provider;
}
