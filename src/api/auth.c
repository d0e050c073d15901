/* SPDX-License-Identifier: Apache-2.0 */
/* auth.c - see auth.h. */
#include "api/auth.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "api/routes.h"
#include "base/clock.h"
#include "base/json_at.h"
#include "base/mem.h"

enum { DIGEST_BYTES = 32 };

struct known {
	const struct conf_token *conf;
	unsigned char digest[DIGEST_BYTES];
	unsigned scopes;
	double tokens;                  /* of its rate; a second's worth at most */
	double at_s;
	unsigned streams;               /* open now */
};

struct auth {
	struct known *known;
	size_t count;
};

static bool digest(const char *text, unsigned char out[DIGEST_BYTES])
{
	unsigned size = DIGEST_BYTES;

	return EVP_Digest(text, strlen(text), out, &size, EVP_sha256(), NULL) == 1;
}

static unsigned scopes_of(const struct conf_token *conf)
{
	static const struct { const char *name; unsigned scopes; } names[] = {
		{ "submit", SCOPE_SUBMIT }, { "read", SCOPE_READ }, { "admin", SCOPE_SUBMIT | SCOPE_READ | SCOPE_ADMIN },
	};
	unsigned scopes = 0;

	for (size_t i = 0; i < conf->may.count; i++) {
		for (size_t n = 0; n < sizeof(names) / sizeof(*names); n++) {
			if (strcmp(conf->may.at[i], names[n].name) == 0)
				scopes |= names[n].scopes;
		}
	}
	return scopes;
}

struct auth *auth_create(const struct conf_api *conf)
{
	struct auth *auth = xnew(struct auth);

	auth->count = conf->token_count;
	auth->known = xcalloc(conf->token_count, sizeof(*auth->known));
	for (size_t i = 0; i < auth->count; i++) {
		struct known *known = &auth->known[i];

		known->conf = &conf->tokens[i];
		known->scopes = scopes_of(known->conf);
		known->tokens = known->conf->rate;
		known->at_s = clock_monotonic_s();
		if (!digest(known->conf->token, known->digest))
			fatal("no SHA-256");
	}
	return auth;
}

void auth_destroy(struct auth *auth)
{
	if (auth == NULL)
		return;
	OPENSSL_cleanse(auth->known, auth->count * sizeof(*auth->known));
	free(auth->known);
	free(auth);
}

/* "Authorization: Bearer T" or "x-deployster-token: T". */
static const char *given_token(const struct request *request)
{
	const char *header = request_header(request, MHD_HTTP_HEADER_AUTHORIZATION);

	if (header != NULL && strncasecmp(header, "Bearer ", 7) == 0)
		return header + 7 + strspn(header + 7, " ");
	return request_header(request, "x-deployster-token");
}

/* Looks at all of them, whichever it is. */
static struct known *find(struct auth *auth, const char *token)
{
	unsigned char wanted[DIGEST_BYTES];
	struct known *found = NULL;

	if (token == NULL || !digest(token, wanted))
		return NULL;
	for (size_t i = 0; i < auth->count; i++) {
		if (CRYPTO_memcmp(auth->known[i].digest, wanted, DIGEST_BYTES) == 0)
			found = &auth->known[i];
	}
	return found;
}

static bool take_one(struct known *known)
{
	double now_s = clock_monotonic_s();
	double rate = known->conf->rate;

	if (known->conf->rate == 0)
		return true;
	known->tokens += (now_s - known->at_s) * rate;
	if (known->tokens > rate)
		known->tokens = rate;
	known->at_s = now_s;
	if (known->tokens < 1)
		return false;
	known->tokens--;
	return true;
}

static void refuse(struct request *request, unsigned status, const char *detail)
{
	if (request->route->legacy)
		request_answer_error(request, MHD_HTTP_FORBIDDEN, "Unauthorized", "%s", "");
	else
		request_answer_error(request, status, status == MHD_HTTP_UNAUTHORIZED ? "unauthorized" : "forbidden", "%s", detail);
	if (status == MHD_HTTP_UNAUTHORIZED && !request->route->legacy)
		MHD_add_response_header(request->response, MHD_HTTP_HEADER_WWW_AUTHENTICATE, "Bearer");
}

bool auth_admit(struct auth *auth, struct request *request)
{
	struct known *known;

	request->may_all = request->listener->local && (request->peer_uid == 0 || request->peer_uid == geteuid());
	if (request->may_all || request->route->scope == SCOPE_NONE)
		return true;
	known = find(auth, given_token(request));
	if (known == NULL) {
		refuse(request, MHD_HTTP_UNAUTHORIZED, "expected Authorization: Bearer with a token of the configuration");
		return false;
	}
	request->token = known->conf;
	request->who = known->conf->name;
	if (!take_one(known)) {
		request_answer_error(request, MHD_HTTP_TOO_MANY_REQUESTS, "too many requests", "this token may %u a second",
			known->conf->rate);
		MHD_add_response_header(request->response, MHD_HTTP_HEADER_RETRY_AFTER, "1");
		return false;
	}
	if ((known->scopes & (unsigned)request->route->scope) == 0) {
		refuse(request, MHD_HTTP_FORBIDDEN, "this token is not good for that");
		return false;
	}
	return true;
}

unsigned *auth_streams(struct auth *auth, const struct request *request)
{
	for (size_t i = 0; request->token != NULL && i < auth->count; i++) {
		if (auth->known[i].conf == request->token)
			return &auth->known[i].streams;
	}
	return NULL;
}

const struct texts *auth_projects(const struct request *request)
{
	const struct texts *projects = request->token != NULL ? &request->token->projects : NULL;

	if (request->may_all || projects == NULL)
		return NULL;
	for (size_t i = 0; i < projects->count; i++) {
		if (strcmp(projects->at[i], "*") == 0)
			return NULL;
	}
	return projects;
}

bool auth_may_project(const struct request *request, const char *project)
{
	const struct texts *projects = auth_projects(request);

	return projects == NULL || texts_match(projects, project);
}

void answer_access(struct api *api, struct request *request)
{
	static const struct { const char *name; unsigned scope; } names[] = {
		{ "submit", SCOPE_SUBMIT }, { "read", SCOPE_READ }, { "admin", SCOPE_ADMIN },
	};
	unsigned scopes = request->token != NULL ? scopes_of(request->token) : SCOPE_SUBMIT | SCOPE_READ | SCOPE_ADMIN;
	const struct texts *projects = auth_projects(request);
	json_t *doc = json_object(), *may = json_array(), *list = json_array();

	(void)api;
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		if ((scopes & names[i].scope) != 0)
			json_array_append_new(may, json_string(names[i].name));
	}
	for (size_t i = 0; projects != NULL && i < projects->count; i++)
		json_array_append_new(list, json_at_text(projects->at[i]));
	if (projects == NULL)
		json_array_append_new(list, json_string("*"));
	json_object_set_new(doc, "name", json_at_text(request->who));
	json_object_set_new(doc, "may", may);
	json_object_set_new(doc, "projects", list);
	request_answer_json(request, MHD_HTTP_OK, doc);
}
