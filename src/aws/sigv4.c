/* SPDX-License-Identifier: Apache-2.0 */
/* sigv4.c - see sigv4.h.  The canonical form of a request is in sigv4_canonical.c. */
#include "aws/sigv4.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

#include "aws/sigv4_canonical.h"
#include "base/log.h"
#include "base/mem.h"

enum { DATE_BYTES = 8 };        /* of the stamp */

struct digest { unsigned char bytes[SIGV4_DIGEST_BYTES]; };

static void sha256(const void *bytes, size_t size, struct digest *digest)
{
	if (EVP_Digest(bytes, size, digest->bytes, NULL, EVP_sha256(), NULL) != 1)
		panic("sigv4: OpenSSL has no SHA-256");
}

static void hmac(const void *key, size_t key_bytes, const void *bytes, size_t size, struct digest *digest)
{
	if (HMAC(EVP_sha256(), key, (int)key_bytes, bytes, size, digest->bytes, NULL) == NULL)
		panic("sigv4: OpenSSL has no HMAC-SHA-256");
}

static void hex(const struct digest *digest, char text[2 * SIGV4_DIGEST_BYTES + 1])
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < sizeof(digest->bytes); i++) {
		text[2 * i] = digits[digest->bytes[i] >> 4];
		text[2 * i + 1] = digits[digest->bytes[i] & 15];
	}
	text[2 * SIGV4_DIGEST_BYTES] = '\0';
}

void sigv4_stamp(time_t when, char stamp[SIGV4_STAMP_BYTES])
{
	struct tm tm;

	gmtime_r(&when, &tm);
	if (strftime(stamp, SIGV4_STAMP_BYTES, "%Y%m%dT%H%M%SZ", &tm) == 0)
		stamp[0] = '\0';
}

static bool add_scope(const struct sigv4_request *request, struct buf *text)
{
	return buf_printf(text, "%.*s/%s/%s/aws4_request", DATE_BYTES, request->stamp, request->region,
		request->service);
}

bool sigv4_canonical_request(const struct sigv4_request *request, struct buf *text)
{
	char payload[2 * SIGV4_DIGEST_BYTES + 1];
	struct digest digest;

	sha256(request->body, request->body_bytes, &digest);
	hex(&digest, payload);
	buf_printf(text, "%s\n", request->method);
	sigv4_add_path(text, request->path, request->keep_dots);
	buf_add_char(text, '\n');
	if (!sigv4_add_query(text, request->query))
		return false;
	buf_add_char(text, '\n');
	if (!sigv4_add_headers(text, request->headers, request->header_count))
		return false;
	buf_add_char(text, '\n');
	if (!sigv4_add_signed_names(text, request->headers, request->header_count))
		return false;
	buf_printf(text, "\n%s", payload);
	return !text->overflowed;
}

bool sigv4_string_to_sign(const struct sigv4_request *request, struct buf *text)
{
	char canonical_hex[2 * SIGV4_DIGEST_BYTES + 1];
	struct digest digest;
	struct buf canonical;
	bool ok;

	buf_init(&canonical, LIMIT_SIGV4_TEXT_BYTES);
	ok = sigv4_canonical_request(request, &canonical);
	sha256(buf_text(&canonical), canonical.size, &digest);
	hex(&digest, canonical_hex);
	buf_finish(&canonical);
	buf_printf(text, "AWS4-HMAC-SHA256\n%s\n", request->stamp);
	add_scope(request, text);
	buf_printf(text, "\n%s", canonical_hex);
	return ok && !text->overflowed;
}

static void derive(const struct sigv4_request *request, struct digest *key)
{
	char *first = xasprintf("AWS4%s", request->secret_key);

	hmac(first, strlen(first), request->stamp, DATE_BYTES, key);
	xfree_secret(first);
	hmac(key, sizeof(*key), request->region, strlen(request->region), key);
	hmac(key, sizeof(*key), request->service, strlen(request->service), key);
	hmac(key, sizeof(*key), "aws4_request", strlen("aws4_request"), key);
}

/* The cache is searched by digest, so that it holds no copy of the secret. */
static void name_key(const struct sigv4_request *request, struct digest *of)
{
	struct digest secret;
	struct buf name;

	sha256(request->secret_key, strlen(request->secret_key), &secret);
	buf_init(&name, LIMIT_SIGV4_TEXT_BYTES);
	buf_add(&name, secret.bytes, sizeof(secret.bytes));
	add_scope(request, &name);
	sha256(buf_text(&name), name.size, of);
	buf_finish(&name);
}

static void signing_key(struct sigv4_keys *keys, const struct sigv4_request *request, struct digest *key)
{
	struct sigv4_key *slot;
	struct digest of;

	if (keys == NULL) {
		derive(request, key);
		return;
	}
	name_key(request, &of);
	for (size_t i = 0; i < SIGV4_KEYS; i++) {
		slot = &keys->at[i];
		if (slot->used && memcmp(slot->of, of.bytes, sizeof(of.bytes)) == 0) {
			memcpy(key->bytes, slot->key, sizeof(key->bytes));
			return;
		}
	}
	derive(request, key);
	slot = &keys->at[keys->next];
	keys->next = (keys->next + 1) % SIGV4_KEYS;
	memcpy(slot->of, of.bytes, sizeof(slot->of));
	memcpy(slot->key, key->bytes, sizeof(slot->key));
	slot->used = true;
}

bool sigv4_sign(struct sigv4_keys *keys, const struct sigv4_request *request, struct buf *authorization)
{
	char signature_hex[2 * SIGV4_DIGEST_BYTES + 1];
	struct digest key, signature;
	struct buf text;
	bool ok;

	buf_init(&text, LIMIT_SIGV4_TEXT_BYTES);
	ok = sigv4_string_to_sign(request, &text);
	signing_key(keys, request, &key);
	hmac(&key, sizeof(key), buf_text(&text), text.size, &signature);
	OPENSSL_cleanse(&key, sizeof(key));
	buf_finish(&text);
	hex(&signature, signature_hex);
	buf_printf(authorization, "AWS4-HMAC-SHA256 Credential=%s/", request->access_key);
	add_scope(request, authorization);
	buf_add_text(authorization, ", SignedHeaders=");
	ok = ok && sigv4_add_signed_names(authorization, request->headers, request->header_count);
	buf_printf(authorization, ", Signature=%s", signature_hex);
	return ok && !authorization->overflowed;
}

void sigv4_keys_finish(struct sigv4_keys *keys)
{
	OPENSSL_cleanse(keys, sizeof(*keys));
}
