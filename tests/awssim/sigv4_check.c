/* SPDX-License-Identifier: Apache-2.0 */
/* sigv4_check.c - Signature Version 4 from the server's side: rebuild what the client must have
 * signed, sign it with the key of that name, compare. */
#include "sigv4_check.h"

#include "text.h"

#include <ctype.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
	SIGV4_WINDOW_S = 5 * 60,
	SIGV4_TIME_BYTES = sizeof("20261122T060000Z") - 1,
	SIGV4_DATE_BYTES = 8,
	LIMIT_QUERY_PARAMETERS = 128,
};

#define ALGORITHM "AWS4-HMAC-SHA256"

/* The Authorization header, cut up. */
struct authorization {
	char text[4096];
	char *key_id, *date, *region, *service;
	char *signed_headers;
	char *signature;
};

static char *authorization_field(char *text, const char *name)
{
	char *at = strstr(text, name);

	if (at == NULL || (at > text && at[-1] != ' ' && at[-1] != ','))
		return NULL;
	return at + strlen(name);
}

static bool authorization_parse(struct authorization *authorization, const char *header)
{
	char *credential, *terminator;

	if (strlen(header) >= sizeof(authorization->text))
		return false;
	snprintf(authorization->text, sizeof(authorization->text), "%s",
		 header + sizeof(ALGORITHM) - 1);
	credential = authorization_field(authorization->text, "Credential=");
	authorization->signed_headers = authorization_field(authorization->text, "SignedHeaders=");
	authorization->signature = authorization_field(authorization->text, "Signature=");
	if (credential == NULL || authorization->signed_headers == NULL ||
	    authorization->signature == NULL)
		return false;
	credential[strcspn(credential, ", ")] = '\0';
	authorization->signed_headers[strcspn(authorization->signed_headers, ", ")] = '\0';
	authorization->signature[strcspn(authorization->signature, ", ")] = '\0';
	authorization->key_id = strtok_r(credential, "/", &terminator);
	authorization->date = strtok_r(NULL, "/", &terminator);
	authorization->region = strtok_r(NULL, "/", &terminator);
	authorization->service = strtok_r(NULL, "/", &terminator);
	return authorization->service != NULL && strcmp(terminator, "aws4_request") == 0;
}

/* ---- the canonical request ---- */

static bool is_unreserved(char letter)
{
	return isalnum((unsigned char)letter) || strchr("-_.~", letter) != NULL;
}

static void add_encoded(struct text *text, const char *string, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++) {
		if (string[i] != '\0' && is_unreserved(string[i]))
			text_add(text, &string[i], 1);
		else
			text_addf(text, "%%%02X", (unsigned char)string[i]);
	}
}

/* Empty, "." and ".." segments resolved, each segment encoded once more than on the wire. */
static void add_path(struct text *canonical, const char *path)
{
	size_t root = canonical->bytes;
	bool slash_at_end = true;

	text_add_string(canonical, "/");
	for (const char *at = path + 1; *at != '\0';) {
		size_t bytes = strcspn(at, "/");

		slash_at_end = at[bytes] == '/';
		if (bytes == 2 && strncmp(at, "..", 2) == 0) {
			while (canonical->bytes > root + 1 &&
			       canonical->data[--canonical->bytes - 1] != '/')
				;
			slash_at_end = true;
		} else if (bytes == 0 || (bytes == 1 && *at == '.')) {
			slash_at_end = true;
		} else {
			add_encoded(canonical, at, bytes);
			text_add_string(canonical, "/");
		}
		at += bytes + (at[bytes] == '/');
	}
	if (!slash_at_end && canonical->bytes > root + 1)
		canonical->bytes--;
	canonical->data[canonical->bytes] = '\0';
}

/* By key, then by value: "a=2" comes before "a-b=1", though '=' is greater than '-'. */
static int compare_parameters(const void *left, const void *right)
{
	const char *a = *(char *const *)left, *b = *(char *const *)right;
	size_t a_key = strcspn(a, "="), b_key = strcspn(b, "=");
	int order = memcmp(a, b, a_key < b_key ? a_key : b_key);

	if (order != 0)
		return order;
	if (a_key != b_key)
		return a_key < b_key ? -1 : 1;
	return strcmp(a + a_key, b + b_key);
}

/* One "key=value", decoded and encoded anew, so that every spelling is the canonical one. */
static char *canonical_parameter(const char *at, size_t bytes)
{
	char *decoded = strndup(at, bytes);
	size_t key_bytes = strcspn(decoded, "=");
	bool has_value = decoded[key_bytes] == '=';
	char *value = decoded + key_bytes + (has_value ? 1 : 0);
	struct text out = { 0 };
	long length;

	length = http_decode(value, strlen(value));
	if (length >= 0) {
		struct text tail = { 0 };

		add_encoded(&tail, value, (size_t)length);
		length = http_decode(decoded, key_bytes);
		if (length >= 0)
			add_encoded(&out, decoded, (size_t)length);
		text_add_string(&out, "=");
		text_add(&out, tail.data, tail.bytes);
		text_finish(&tail);
	}
	free(decoded);
	text_reserve(&out, 1);
	return out.data;
}

static void add_query(struct text *canonical, const char *query)
{
	char *parameters[LIMIT_QUERY_PARAMETERS];
	size_t count = 0;

	while (*query != '\0' && count < LIMIT_QUERY_PARAMETERS) {
		size_t bytes = strcspn(query, "&");

		if (bytes > 0)
			parameters[count++] = canonical_parameter(query, bytes);
		query += bytes + (query[bytes] == '&');
	}
	qsort(parameters, count, sizeof(parameters[0]), compare_parameters);
	for (size_t i = 0; i < count; i++) {
		text_addf(canonical, "%s%s", i > 0 ? "&" : "", parameters[i]);
		free(parameters[i]);
	}
}

/* Inner runs of blanks become one. */
static void add_header_value(struct text *canonical, const char *value)
{
	while (*value != '\0') {
		size_t plain = strcspn(value, " \t");

		text_add(canonical, value, plain);
		value += plain;
		if (*value == '\0')
			break;
		text_add(canonical, " ", 1);
		value += strspn(value, " \t");
	}
}

static bool add_header(struct text *canonical, const struct http_request *request,
		       const char *name, size_t name_bytes)
{
	bool found = false;

	text_add(canonical, name, name_bytes);
	for (unsigned i = 0; i < request->header_count; i++) {
		const struct http_header *header = &request->headers[i];

		if (strlen(header->name) != name_bytes ||
		    strncmp(header->name, name, name_bytes) != 0)
			continue;
		text_add_string(canonical, found ? "," : ":");
		add_header_value(canonical, header->value);
		found = true;
	}
	text_add_string(canonical, "\n");
	return found;
}

static bool is_signed(const char *signed_headers, const char *name)
{
	size_t name_bytes = strlen(name);

	for (const char *at = signed_headers; *at != '\0'; at += at[strcspn(at, ";")] == ';' ?
	     strcspn(at, ";") + 1 : strcspn(at, ";")) {
		if (strcspn(at, ";") == name_bytes && strncmp(at, name, name_bytes) == 0)
			return true;
	}
	return false;
}

static bool build_canonical(struct text *canonical, const struct http_request *request,
			    const struct authorization *authorization, struct digest *digest)
{
	const char *given = http_request_header(request, "x-amz-content-sha256");
	char hash[DIGEST_SHA256_HEX];
	bool complete = true;

	text_add_string(canonical, request->method);
	text_add_string(canonical, "\n");
	add_path(canonical, request->path);
	text_add_string(canonical, "\n");
	add_query(canonical, request->query);
	text_add_string(canonical, "\n");
	for (const char *at = authorization->signed_headers; *at != '\0';) {
		size_t bytes = strcspn(at, ";");

		complete &= add_header(canonical, request, at, bytes);
		at += bytes + (at[bytes] == ';');
	}
	digest_sha256_hex(digest, request->body, request->body_bytes, hash);
	text_add_string(canonical, "\n");
	text_add_string(canonical, authorization->signed_headers);
	text_add_string(canonical, "\n");
	text_add_string(canonical, hash);
	return complete && (given == NULL || strcmp(given, hash) == 0);
}

/* ---- the checks, in the order AWS makes them ---- */

static bool time_parse(const char *stamp, int64_t *wall_s)
{
	struct tm tm = { 0 };
	char *end = strptime(stamp, "%Y%m%dT%H%M%SZ", &tm);

	if (strlen(stamp) != SIGV4_TIME_BYTES || end == NULL || *end != '\0')
		return false;
	*wall_s = timegm(&tm);
	return true;
}

static void time_format(int64_t wall_s, char *stamp, size_t room)
{
	time_t time = (time_t)wall_s;
	struct tm tm;

	gmtime_r(&time, &tm);
	strftime(stamp, room, "%Y%m%dT%H%M%SZ", &tm);
}

static bool check_time(const char *stamp, const struct authorization *authorization,
		       int64_t wall_s, struct aws_error *error)
{
	char now[32], edge[32];
	int64_t signed_s;

	if (stamp == NULL || !time_parse(stamp, &signed_s)) {
		aws_error_set(error, "IncompleteSignatureException",
			      "Date in X-Amz-Date is missing or malformed.");
		return false;
	}
	if (strncmp(stamp, authorization->date, SIGV4_DATE_BYTES) != 0 ||
	    strlen(authorization->date) != SIGV4_DATE_BYTES) {
		aws_error_set(error, "InvalidSignatureException",
			      "Date in Credential scope does not match YYYYMMDD from ISO-8601 "
			      "version of date from HTTP: '%s' != '%.8s', from '%s'.",
			      authorization->date, stamp, stamp);
		return false;
	}
	time_format(wall_s, now, sizeof(now));
	if (signed_s < wall_s - SIGV4_WINDOW_S) {
		time_format(wall_s - SIGV4_WINDOW_S, edge, sizeof(edge));
		aws_error_set(error, "InvalidSignatureException",
			      "Signature expired: %s is now earlier than %s (%s - 5 min.)", stamp,
			      edge, now);
		return false;
	}
	if (signed_s > wall_s + SIGV4_WINDOW_S) {
		time_format(wall_s + SIGV4_WINDOW_S, edge, sizeof(edge));
		aws_error_set(error, "InvalidSignatureException",
			      "Signature not yet current: %s is still later than %s (%s + 5 min.)",
			      stamp, edge, now);
		return false;
	}
	return true;
}

static struct key *check_key(const struct http_request *request, const char *key_id,
			     struct key_ring *ring, int64_t now_ms, struct aws_error *error)
{
	const char *token = http_request_header(request, "x-amz-security-token");
	struct key *key = key_ring_find(ring, key_id);

	if (key == NULL || (key->token == NULL) != (token == NULL) ||
	    (token != NULL && strcmp(token, key->token) != 0)) {
		aws_error_set(error, "UnrecognizedClientException",
			      "The security token included in the request is invalid.");
		return NULL;
	}
	if (key->expires_ms != 0 && now_ms >= key->expires_ms) {
		aws_error_set(error, "ExpiredTokenException",
			      "The security token included in the request is expired");
		return NULL;
	}
	return key;
}

/* Every x-amz-* header has to be signed, or it could be changed on the way. */
static bool check_coverage(const struct http_request *request, const char *signed_headers,
			   struct aws_error *error)
{
	if (!is_signed(signed_headers, "host")) {
		aws_error_set(error, "InvalidSignatureException",
			      "'Host' or ':authority' must be a 'SignedHeader' in the AWS "
			      "Authorization.");
		return false;
	}
	for (unsigned i = 0; i < request->header_count; i++) {
		const char *name = request->headers[i].name;

		if (strncmp(name, "x-amz-", 6) == 0 && !is_signed(signed_headers, name)) {
			aws_error_set(error, "InvalidSignatureException",
				      "'%s' must be a 'SignedHeader' in the AWS Authorization.",
				      name);
			return false;
		}
	}
	return true;
}

static bool check_signature(const struct http_request *request, const char *stamp,
			    const struct authorization *authorization, struct key *key,
			    struct digest *digest, struct aws_error *error)
{
	unsigned char signature[DIGEST_SHA256_BYTES];
	char hash[DIGEST_SHA256_HEX], want[DIGEST_SHA256_HEX];
	struct text canonical = { 0 };
	bool ok = build_canonical(&canonical, request, authorization, digest);

	digest_sha256_hex(digest, canonical.data, canonical.bytes, hash);
	text_clear(&canonical);
	text_addf(&canonical, ALGORITHM "\n%s\n%s/%s/%s/aws4_request\n%s", stamp,
		  authorization->date, authorization->region, authorization->service, hash);
	digest_hmac(digest,
		    key_derive(key, digest, authorization->date, authorization->region,
			       authorization->service),
		    DIGEST_SHA256_BYTES, canonical.data, canonical.bytes, signature);
	text_finish(&canonical);
	hex_encode(signature, sizeof(signature), want);
	ok = ok && strlen(authorization->signature) == sizeof(want) - 1 &&
	     CRYPTO_memcmp(authorization->signature, want, sizeof(want) - 1) == 0;
	if (!ok)
		aws_error_set(error, "InvalidSignatureException",
			      "The request signature we calculated does not match the signature "
			      "you provided. Check your AWS Secret Access Key and signing method. "
			      "Consult the service documentation for details.");
	return ok;
}

bool sigv4_check(const struct http_request *request, const char *service, struct key_ring *ring,
		 struct digest *digest, struct sigv4_time time, struct aws_error *error)
{
	const char *header = http_request_header(request, "authorization");
	const char *stamp = http_request_header(request, "x-amz-date");
	struct authorization authorization;
	struct key *key;

	if (header == NULL) {
		aws_error_set(error, "MissingAuthenticationTokenException",
			      "Request is missing Authentication Token");
		return false;
	}
	if (strncmp(header, ALGORITHM " ", sizeof(ALGORITHM)) != 0 ||
	    !authorization_parse(&authorization, header)) {
		aws_error_set(error, "IncompleteSignatureException",
			      "Authorization header requires 'Credential', 'Signature' and "
			      "'SignedHeaders' parameters.");
		return false;
	}
	if (service != NULL && strcmp(authorization.service, service) != 0) {
		aws_error_set(error, "InvalidSignatureException",
			      "Credential should be scoped to correct service: '%s'.", service);
		return false;
	}
	key = check_key(request, authorization.key_id, ring, time.now_ms, error);
	return key != NULL && check_time(stamp, &authorization, time.wall_s, error) &&
	       check_coverage(request, authorization.signed_headers, error) &&
	       check_signature(request, stamp, &authorization, key, digest, error);
}
