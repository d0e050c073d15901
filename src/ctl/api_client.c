/* SPDX-License-Identifier: Apache-2.0 */
/* api_client.c - see api_client.h. */
#include "ctl/api_client.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "conf/listen_address.h"

enum { API_TIMEOUT_MS = 20000, LIMIT_PATH_BYTES = 4096 };

struct api_client {
	struct http_client *http;
	char *base;                     /* "http://127.0.0.1:7777" */
	char *unix_path;                /* NULL: over TCP */
	char *authorization;            /* a header line; NULL: none */
};

static bool has_text(const struct texts *texts, const char *text)
{
	for (size_t i = 0; i < texts->count; i++) {
		if (strcmp(texts->at[i], text) == 0)
			return true;
	}
	return false;
}

static const char *choose_token(const struct conf_api *api)
{
	const char *given = getenv("GANTRY_TOKEN");

	if (given != NULL && given[0] != '\0')
		return given;
	for (size_t i = 0; api != NULL && i < api->token_count; i++) {
		const struct conf_token *token = &api->tokens[i];

		if (has_text(&token->projects, "*") && (has_text(&token->may, "read") || has_text(&token->may, "admin")))
			return token->token;
	}
	return NULL;
}

/* Somebody's "any address" is, from here, this host. */
static char *tcp_base(const struct conf_api *api, const char *listen)
{
	const char *port = strrchr(listen, ':');
	const char *scheme = api->tls.certificate != NULL ? "https" : "http";

	if (strncmp(listen, "0.0.0.0:", 8) == 0)
		return xasprintf("%s://127.0.0.1%s", scheme, port);
	if (strncmp(listen, "[::]:", 5) == 0)
		return xasprintf("%s://[::1]%s", scheme, port);
	return xasprintf("%s://%s", scheme, listen);
}

static bool choose_address(struct api_client *client, const struct conf_api *api)
{
	const char *given = getenv("GANTRY_API_URL");
	const char *tcp = NULL;
	struct listen_address address;

	if (given != NULL && given[0] != '\0') {
		client->base = xasprintf("%.*s", (int)(strlen(given) - (given[strlen(given) - 1] == '/')), given);
		return true;
	}
	for (size_t i = 0; api != NULL && i < api->listen.count; i++) {
		const char *text = api->listen.at[i];

		if (!listen_address_parse(text, &address))
			continue;
		if (listen_address_path(&address) != NULL) {
			client->unix_path = xstrdup(listen_address_path(&address));
			client->base = xstrdup("http://localhost");
			return true;
		}
		if (tcp == NULL && strcmp(strrchr(text, ':'), ":0") != 0)
			tcp = text;
	}
	if (api != NULL && api->url != NULL)
		client->base = xasprintf("%.*s", (int)(strlen(api->url) - (api->url[strlen(api->url) - 1] == '/')), api->url);
	else if (tcp != NULL)
		client->base = tcp_base(api, tcp);
	return client->base != NULL;
}

struct api_client *api_client_create(const struct conf *conf, struct ev_loop *loop, const struct log *log, struct error *err)
{
	struct api_client *client = xnew(struct api_client);
	const char *token = choose_token(conf->api);

	if (!choose_address(client, conf->api)) {
		error_set(err, ERROR_REFUSED, conf->api == NULL ? "the configuration has no api" :
			"no address of the api is known; GANTRY_API_URL says it");
		api_client_destroy(client);
		return NULL;
	}
	client->authorization = token != NULL ? xasprintf("Authorization: Bearer %s", token) : NULL;
	client->http = http_client_create(loop, log, &(struct http_client_options){ .user_agent = "gantryctl" });
	return client;
}

void api_client_destroy(struct api_client *client)
{
	if (client == NULL)
		return;
	http_client_destroy(client->http);
	free(client->base);
	free(client->unix_path);
	xfree_secret(client->authorization);
	free(client);
}

struct http_call *api_client_get(struct api_client *client, const char *path, int64_t offset, size_t size,
	http_done_fn *done, void *arg)
{
	char range[80];
	char *url = xasprintf("%s%s", client->base, path);
	const char *const headers[] = { range, client->authorization, NULL };
	struct http_request request = {
		.method = "GET", .url = url, .headers = headers, .timeout_ms = API_TIMEOUT_MS, .reply_limit = size + LIMIT_PATH_BYTES,
		.unix_path = client->unix_path, .direct = client->unix_path != NULL,
	};
	struct http_call *call;

	snprintf(range, sizeof(range), "Range: bytes=%" PRId64 "-%" PRId64, offset, offset + (int64_t)size - 1);
	call = http_client_start(client->http, &request, done, arg);
	free(url);
	return call;
}

char *api_client_escape(const char *id)
{
	struct buf out;

	buf_init(&out, LIMIT_PATH_BYTES);
	for (; *id != '\0'; id++) {
		unsigned char c = (unsigned char)*id;

		if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || strchr("-._~", c) != NULL)
			buf_add_char(&out, (char)c);
		else
			buf_printf(&out, "%%%02X", c);
	}
	return buf_take(&out);
}
