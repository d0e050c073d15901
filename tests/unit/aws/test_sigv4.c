/* SPDX-License-Identifier: Apache-2.0 */
/* Golden cases, a folder each: context.json, request.txt, and the canonical request, string to sign and signature
 * that another implementation made of them.  Our own are in tests/data/sigv4; GANTRY_SIGV4_VECTORS names
 * a tree of more. */
#include <dirent.h>
#include <jansson.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "../cmocka_all.h"
#include "aws/sigv4.h"
#include "base/descriptor.h"
#include "base/json_at.h"
#include "base/mem.h"

enum { LIMIT_FILE_BYTES = 1 << 20, MAX_HEADERS = 32, OWN_CASES = 5 };

struct vector {
	char *request, *context_text, *canonical, *to_sign, *signature;
	json_t *context;
	char *method, *path, *query, *body;
	struct sigv4_header headers[MAX_HEADERS];
	size_t count;
	char stamp[SIGV4_STAMP_BYTES];
	char digest[2 * SIGV4_DIGEST_BYTES + 1];
};

static char *read_part(const char *folder, const char *name)
{
	char *path = xasprintf("%s/%s", folder, name);
	struct error err = { 0 };
	char *text = descriptor_read_file(path, LIMIT_FILE_BYTES, NULL, &err);

	if (text == NULL)
		fail_msg("%s: %s", path, err.text);
	free(path);
	return text;
}

/* "2015-08-30T12:36:00Z" without its punctuation. */
static void set_stamp(struct vector *vector)
{
	const char *from = json_at_string(vector->context, "timestamp");
	size_t used = 0;

	for (; *from != '\0' && used + 1 < sizeof(vector->stamp); from++)
		if (*from != '-' && *from != ':')
			vector->stamp[used++] = *from;
	vector->stamp[used] = '\0';
}

static void add_header(struct vector *vector, const char *name, const char *value)
{
	assert_true(vector->count < MAX_HEADERS);
	vector->headers[vector->count++] = (struct sigv4_header){ name, value };
}

/* Splits request.txt in place; a line that begins with a blank goes on with the header before it. */
static void split_request(struct vector *vector)
{
	char *at = vector->request, *end = strchr(at, '\n'), *http;

	*end = '\0';
	vector->method = at;
	at = strchr(at, ' ');
	*at++ = '\0';
	http = strstr(at, " HTTP/1.1");
	assert_non_null(http);
	*http = '\0';
	vector->path = at;
	vector->query = strchr(at, '?');
	if (vector->query != NULL)
		*vector->query++ = '\0';
	at = end + 1;
	while (*at != '\0' && *at != '\n') {
		char *next = at;

		do {
			next = strchr(next, '\n');
			assert_non_null(next);
			next++;
		} while (*next == ' ' || *next == '\t');
		next[-1] = '\0';
		end = strchr(at, ':');
		assert_non_null(end);
		*end = '\0';
		add_header(vector, at, end + 1);
		at = next;
	}
	vector->body = *at == '\n' ? at + 1 : at;
}

static void set_digest(struct vector *vector)
{
	unsigned char digest[SIGV4_DIGEST_BYTES];

	assert_int_equal(EVP_Digest(vector->body, strlen(vector->body), digest, NULL, EVP_sha256(), NULL), 1);
	for (size_t i = 0; i < sizeof(digest); i++)
		snprintf(vector->digest + 2 * i, 3, "%02x", digest[i]);
}

static void load(struct vector *vector, const char *folder)
{
	const char *token;

	*vector = (struct vector){ 0 };
	vector->context_text = read_part(folder, "context.json");
	vector->context = json_at_parse(vector->context_text, strlen(vector->context_text), NULL);
	assert_non_null(vector->context);
	vector->request = read_part(folder, "request.txt");
	vector->canonical = read_part(folder, "header-canonical-request.txt");
	vector->to_sign = read_part(folder, "header-string-to-sign.txt");
	vector->signature = read_part(folder, "header-signature.txt");
	split_request(vector);
	set_stamp(vector);
	add_header(vector, "X-Amz-Date", vector->stamp);
	token = json_at_string(vector->context, "credentials.token");
	if (token != NULL && !json_is_true(json_at(vector->context, "omit_session_token")))
		add_header(vector, "X-Amz-Security-Token", token);
	if (json_is_true(json_at(vector->context, "sign_body"))) {
		set_digest(vector);
		add_header(vector, "x-amz-content-sha256", vector->digest);
	}
}

static void unload(struct vector *vector)
{
	free(vector->request);
	free(vector->context_text);
	free(vector->canonical);
	free(vector->to_sign);
	free(vector->signature);
	json_decref(vector->context);
}

/* Twice by one signer: with a key derived, and with the key kept. */
static void check(const char *folder)
{
	struct sigv4_request request = { 0 };
	struct sigv4_signer *signer;
	struct buf text;
	struct vector vector;
	char *want;

	load(&vector, folder);
	request.method = vector.method;
	request.path = vector.path;
	request.query = vector.query;
	request.headers = vector.headers;
	request.header_count = vector.count;
	request.body = vector.body;
	request.body_bytes = strlen(vector.body);
	request.region = json_at_string(vector.context, "region");
	request.service = json_at_string(vector.context, "service");
	request.stamp = vector.stamp;
	request.keep_dots = json_is_false(json_at(vector.context, "normalize"));
	signer = sigv4_signer_create(json_at_string(vector.context, "credentials.access_key_id"),
		json_at_string(vector.context, "credentials.secret_access_key"));
	buf_init(&text, LIMIT_FILE_BYTES);
	assert_true(sigv4_canonical_request(signer, &request, &text));
	if (strcmp(buf_text(&text), vector.canonical) != 0)
		fail_msg("%s: canonical request\n%s\nwant\n%s", folder, buf_text(&text), vector.canonical);
	buf_clear(&text);
	assert_true(sigv4_string_to_sign(signer, &request, &text));
	assert_string_equal(buf_text(&text), vector.to_sign);
	want = xasprintf(", Signature=%s", vector.signature);
	for (unsigned i = 0; i < 2; i++) {
		buf_clear(&text);
		assert_true(sigv4_sign(signer, &request, &text));
		assert_non_null(strstr(buf_text(&text), want));
		assert_memory_equal(buf_text(&text), "AWS4-HMAC-SHA256 Credential=", 28);
	}
	free(want);
	buf_finish(&text);
	sigv4_signer_destroy(signer);
	unload(&vector);
}

/* Checks each folder below that holds a request.txt; returns how many. */
static unsigned check_tree(const char *root)
{
	DIR *dir = opendir(root);
	struct dirent *entry;
	unsigned found = 0;

	if (dir == NULL)
		return 0;
	while ((entry = readdir(dir)) != NULL) {
		char *folder = xasprintf("%s/%s", root, entry->d_name);
		char *request = xasprintf("%s/request.txt", folder);
		struct stat info;

		if (entry->d_name[0] != '.' && stat(folder, &info) == 0 && S_ISDIR(info.st_mode)) {
			if (stat(request, &info) == 0) {
				check(folder);
				found++;
			} else {
				found += check_tree(folder);
			}
		}
		free(folder);
		free(request);
	}
	closedir(dir);
	return found;
}

static const char *top(void)
{
	const char *srcdir = getenv("abs_top_srcdir");

	return srcdir != NULL ? srcdir : "../..";
}

static void test_own_vectors(void **state)
{
	char *root = xasprintf("%s/tests/data/sigv4", top());

	(void)state;
	assert_int_equal(check_tree(root), OWN_CASES);
	free(root);
}

static void test_more_vectors(void **state)
{
	const char *named = getenv("GANTRY_SIGV4_VECTORS");
	char *root = named != NULL ? xstrdup(named) : xasprintf("%s/../shared/data/sigv4", top());
	unsigned found = check_tree(root);

	(void)state;
	/* Elsewhere than where they are named or kept there is nothing to say about them. */
	if (named != NULL)
		assert_true(found > 0);
	print_message("# %u cases in %s\n", found, root);
	free(root);
}

/* The signature that a signer makes which has made none before. */
static char *sign_alone(const char *secret_key, const struct sigv4_request *request)
{
	struct sigv4_signer *signer = sigv4_signer_create("A", secret_key);
	struct buf text;

	buf_init(&text, 4096);
	assert_true(sigv4_sign(signer, request, &text));
	sigv4_signer_destroy(signer);
	return buf_take(&text);
}

static void check_alone(struct sigv4_signer *signer, const char *secret_key, const struct sigv4_request *request)
{
	char *alone = sign_alone(secret_key, request);
	struct buf text;

	buf_init(&text, 4096);
	assert_true(sigv4_sign(signer, request, &text));
	assert_string_equal(buf_text(&text), alone);
	buf_finish(&text);
	free(alone);
}

static void test_keys_do_not_mix(void **state)
{
	static const char *const stamps[] = { "20260102T235959Z", "20260103T000000Z", "20260102T235959Z" };
	static const char *const services[] = { "sqs", "ecs", "logs" };
	struct sigv4_request request = { .method = "POST", .path = "/" };
	struct sigv4_signer *one = sigv4_signer_create("A", "one"), *two = sigv4_signer_create("A", "two");
	char region[16], *by_one, *by_two;

	(void)state;
	request.region = region;
	for (unsigned i = 0; i < 120; i++) {    /* 40 regions: more than are kept; and days that come and go */
		snprintf(region, sizeof(region), "r-%u", i % 40);
		request.service = services[i % 3];
		for (unsigned k = 0; k < ARRAY_SIZE(stamps); k++) {
			request.stamp = stamps[k];
			check_alone(one, "one", &request);
		}
	}
	for (unsigned i = 0; i < 12; i++) {     /* few enough to be kept, in turns */
		snprintf(region, sizeof(region), "r-%u", i % 2);
		request.service = services[i % 3];
		request.stamp = stamps[i / 6];
		check_alone(one, "one", &request);
		check_alone(two, "two", &request);
	}
	by_one = sign_alone("one", &request);
	by_two = sign_alone("two", &request);
	assert_string_not_equal(by_one, by_two);
	free(by_one);
	free(by_two);
	sigv4_signer_destroy(one);
	sigv4_signer_destroy(two);
}

/* By OpenSSL's own HMAC. */
static void chain(unsigned char key[SIGV4_DIGEST_BYTES], size_t key_bytes, const char *text)
{
	unsigned char out[SIGV4_DIGEST_BYTES];

	assert_non_null(HMAC(EVP_sha256(), key, (int)key_bytes, (const unsigned char *)text, strlen(text), out, NULL));
	memcpy(key, out, sizeof(out));
}

static void test_secrets_of_all_lengths(void **state)
{
	const struct sigv4_request request = {
		.method = "POST", .path = "/", .region = "eu-west-1", .service = "ecs", .stamp = "20260102T030405Z", .body = "{}",
		.body_bytes = 2,
	};
	char secret[200] = "", want[2 * SIGV4_DIGEST_BYTES + 1];
	unsigned char key[sizeof(secret) + 4];
	struct sigv4_signer *signer;
	struct buf text;

	(void)state;
	buf_init(&text, 4096);
	for (size_t len = 1; len < sizeof(secret); len++) {     /* shorter and longer than a block of the digest */
		memset(secret, 's', len);
		signer = sigv4_signer_create("A", secret);
		snprintf((char *)key, sizeof(key), "AWS4%s", secret);
		chain(key, 4 + len, "20260102");
		chain(key, SIGV4_DIGEST_BYTES, request.region);
		chain(key, SIGV4_DIGEST_BYTES, request.service);
		chain(key, SIGV4_DIGEST_BYTES, "aws4_request");
		buf_clear(&text);
		assert_true(sigv4_string_to_sign(signer, &request, &text));
		chain(key, SIGV4_DIGEST_BYTES, buf_text(&text));
		for (size_t i = 0; i < SIGV4_DIGEST_BYTES; i++)
			snprintf(want + 2 * i, 3, "%02x", key[i]);
		buf_clear(&text);
		assert_true(sigv4_sign(signer, &request, &text));
		assert_string_equal(text.bytes + text.size - 2 * SIGV4_DIGEST_BYTES, want);
		sigv4_signer_destroy(signer);
	}
	buf_finish(&text);
}

static void test_limits(void **state)
{
	static struct sigv4_header many[LIMIT_SIGV4_HEADERS + 1];
	struct sigv4_request request = {
		.method = "POST", .path = "/", .region = "r", .service = "s", .stamp = "20260102T030405Z",
		.headers = many,
	};
	struct sigv4_signer *signer = sigv4_signer_create("A", "S");
	struct buf text;
	char *query;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(many); i++)
		many[i] = (struct sigv4_header){ "x-a", "1" };
	buf_init(&text, 4096);
	request.header_count = LIMIT_SIGV4_HEADERS;
	assert_true(sigv4_sign(signer, &request, &text));
	request.header_count = LIMIT_SIGV4_HEADERS + 1;
	assert_false(sigv4_sign(signer, &request, &text));
	request.header_count = 0;
	query = xcalloc(2 * LIMIT_SIGV4_QUERY_PARTS + 3, 1);
	for (size_t i = 0; i < LIMIT_SIGV4_QUERY_PARTS; i++)
		memcpy(query + 2 * i, "a&", 2);
	request.query = query;
	buf_clear(&text);
	assert_true(sigv4_sign(signer, &request, &text));
	query[2 * LIMIT_SIGV4_QUERY_PARTS] = 'a';
	assert_false(sigv4_sign(signer, &request, &text));
	free(query);
	buf_finish(&text);
	buf_init(&text, 20);
	request.query = NULL;
	assert_false(sigv4_sign(signer, &request, &text));
	buf_finish(&text);
	buf_init(&text, 4096);
	assert_true(sigv4_sign(signer, &request, &text));       /* a refused text leaves nothing behind */
	check_alone(signer, "S", &request);
	buf_finish(&text);
	sigv4_signer_destroy(signer);
}

static void test_stamp(void **state)
{
	char stamp[SIGV4_STAMP_BYTES];

	(void)state;
	sigv4_stamp(1767323045, stamp);
	assert_string_equal(stamp, "20260102T030405Z");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_own_vectors),
		cmocka_unit_test(test_more_vectors),
		cmocka_unit_test(test_keys_do_not_mix),
		cmocka_unit_test(test_secrets_of_all_lengths),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_stamp),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
