/* SPDX-License-Identifier: Apache-2.0 */
/* credentials_text.c - struct credentials and the texts that they come in; see credentials_impl.h. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "aws/credentials_impl.h"
#include "aws/skew.h"
#include "base/clock.h"
#include "base/descriptor.h"
#include "base/json_at.h"
#include "base/mem.h"

struct credentials *credentials_new(const char *access_key, const char *secret_key, const char *session_token,
	int64_t expires_ms)
{
	struct credentials *credentials = xnew(struct credentials);

	credentials->access_key = xstrdup(access_key);
	credentials->secret_key = xstrdup(secret_key);
	credentials->session_token = xstrdup(session_token);
	credentials->expires_ms = expires_ms;
	credentials->signer = sigv4_signer_create(credentials->access_key, credentials->secret_key);
	credentials->holders = 1;
	return credentials;
}

struct credentials *credentials_copy(const struct credentials *credentials)
{
	return credentials_new(credentials->access_key, credentials->secret_key, credentials->session_token,
		credentials->expires_ms);
}

struct credentials *credentials_hold(const struct credentials *credentials)
{
	struct credentials *held = (struct credentials *)credentials;

	held->holders++;
	return held;
}

void credentials_free(struct credentials *credentials)
{
	if (credentials == NULL || --credentials->holders > 0)
		return;
	sigv4_signer_destroy(credentials->signer);
	free(credentials->access_key);
	xfree_secret(credentials->secret_key);
	xfree_secret(credentials->session_token);
	free(credentials);
}

static bool has_control(const char *text)
{
	for (; text != NULL && *text != '\0'; text++) {
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			return true;
	}
	return false;
}

bool credentials_check(const struct credentials *credentials, struct error *err)
{
	const char *what = has_control(credentials->access_key) ? "access key" :
		has_control(credentials->secret_key) ? "secret key" :
		has_control(credentials->session_token) ? "session token" : NULL;

	if (what != NULL)
		error_set(err, ERROR_REFUSED, "the %s has a line end or another control character in it", what);
	return what == NULL;
}

/* jansson frees texts as they are. */
static void wipe_member(json_t *doc, const char *name)
{
	json_t *member = json_object_get(doc, name);
	const char *text = json_string_value(member);

	if (text != NULL)
		explicit_bzero((char *)text, json_string_length(member));
}

static struct credentials *read_document(const json_t *doc, struct error *err)
{
	const char *access_key = json_at_string(doc, "AccessKeyId");
	const char *secret_key = json_at_string(doc, "SecretAccessKey");
	const char *token = json_at_string(doc, "Token");
	const char *expiration = json_at_string(doc, "Expiration");
	const char *code = json_at_string(doc, "Code");
	const char *message = json_at_string(doc, "Message");
	int64_t expires_ms = 0;

	if (code != NULL && strcmp(code, "Success") != 0) {
		error_set(err, ERROR_TEMPORARY, "the source answered %.80s: %.200s", code,
			message != NULL ? message : "without saying why");
		error_set_code(err, code);
		return NULL;
	}
	if (access_key == NULL || access_key[0] == '\0' || secret_key == NULL || secret_key[0] == '\0') {
		error_set(err, ERROR_TEMPORARY, "the source's answer has no %s",
			access_key == NULL || access_key[0] == '\0' ? "AccessKeyId" : "SecretAccessKey");
		return NULL;
	}
	if (expiration != NULL && !clock_parse_stamp(expiration, &expires_ms)) {
		error_set(err, ERROR_TEMPORARY, "the source's answer has an unreadable Expiration: \"%.40s\"", expiration);
		return NULL;
	}
	return credentials_new(access_key, secret_key, token != NULL && token[0] != '\0' ? token : NULL, expires_ms);
}

struct credentials *credentials_parse(const char *json, size_t size, struct error *err)
{
	struct credentials *credentials;
	struct error why = { 0 };
	json_t *doc = json_at_parse(json, size, &why);

	if (doc == NULL) {
		error_set(err, ERROR_TEMPORARY, "the source's answer is %s", why.text);
		return NULL;
	}
	credentials = read_document(doc, err);
	wipe_member(doc, "SecretAccessKey");
	wipe_member(doc, "Token");
	json_decref(doc);
	return credentials;
}

void credentials_localize(struct credentials *credentials, const struct http_reply *reply)
{
	struct skew skew = { 0 };

	if (credentials->expires_ms != 0 && skew_sample(&skew, http_reply_header(reply, "Date"),
	    http_reply_header(reply, "Age"), reply->sent_s, reply->received_s) && fabs(skew.offset_s) > SKEW_WARN_S)
		credentials->expires_ms -= (int64_t)(skew.offset_s * 1000);
}

char *credentials_read_token(const char *path, struct error *err)
{
	struct error why = { 0 };
	size_t size;
	char *token = descriptor_read_file(path, LIMIT_CREDENTIALS_TOKEN_BYTES, &size, &why);

	if (token == NULL) {
		error_set(err, ERROR_TEMPORARY, "token file %s", why.text);
		return NULL;
	}
	while (size > 0 && (token[size - 1] == '\n' || token[size - 1] == '\r'))
		token[--size] = '\0';
	if (size == 0 || strlen(token) != size) {
		error_set(err, ERROR_TEMPORARY, "token file %s: %s", path, size == 0 ? "empty" : "has a NUL byte");
		explicit_bzero(token, size);
		free(token);
		return NULL;
	}
	return token;
}
