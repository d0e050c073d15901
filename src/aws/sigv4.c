/* SPDX-License-Identifier: Apache-2.0 */
/* sigv4.c - see sigv4.h.  The canonical form of a request is in sigv4_canonical.c.
 *
 * A signature is three digests of some hundred bytes.  To look SHA-256 up in OpenSSL and to make a context for it costs
 * more than any of them, so a signer does both once. */
#include "aws/sigv4.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "aws/sigv4_canonical.h"
#include "base/log.h"
#include "base/mem.h"

enum {
	DATE_BYTES = 8,         /* of the stamp */
	BLOCK_BYTES = 64,       /* of SHA-256 */
	HEX_BYTES = 2 * SIGV4_DIGEST_BYTES,
};

struct digest { unsigned char bytes[SIGV4_DIGEST_BYTES]; };

/* The key of one day, region and service. */
struct signing_key {
	char date[DATE_BYTES];
	char *region, *service;         /* NULL: the place is free */
	struct digest key;              /* secret */
};

struct sigv4_signer {
	const char *access_key, *secret_key;
	EVP_MD *sha256;
	EVP_MD_CTX *context;            /* for one digest after the other */
	struct signing_key keys[SIGV4_KEYS];
	size_t next;                    /* the key to give up when there is no room */
	struct buf text;                /* to be signed: empty between two signatures, but for its memory */
};

/* The digest of two texts, one behind the other. */
static void sha256(struct sigv4_signer *signer, const void *first, size_t first_bytes, const void *second,
	size_t second_bytes, struct digest *digest)
{
	if (signer->context == NULL) {
		signer->sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
		signer->context = EVP_MD_CTX_new();
	}
	if (signer->sha256 == NULL || signer->context == NULL
	    || EVP_DigestInit_ex2(signer->context, signer->sha256, NULL) != 1
	    || EVP_DigestUpdate(signer->context, first, first_bytes) != 1
	    || EVP_DigestUpdate(signer->context, second, second_bytes) != 1
	    || EVP_DigestFinal_ex(signer->context, digest->bytes, NULL) != 1)
		panic("sigv4: OpenSSL has no SHA-256");
}

/* RFC 2104.  OpenSSL's own looks digest and MAC up by name and makes four contexts, each time. */
static void hmac(struct sigv4_signer *signer, const void *key, size_t key_bytes, const void *text, size_t size,
	struct digest *out)
{
	unsigned char inner[BLOCK_BYTES] = { 0 }, outer[BLOCK_BYTES];
	struct digest digest;

	if (key_bytes > sizeof(inner)) {
		sha256(signer, key, key_bytes, "", 0, &digest);
		memcpy(inner, digest.bytes, sizeof(digest.bytes));
	} else {
		memcpy(inner, key, key_bytes);
	}
	for (size_t i = 0; i < BLOCK_BYTES; i++) {
		outer[i] = inner[i] ^ 0x5c;
		inner[i] ^= 0x36;
	}
	sha256(signer, inner, sizeof(inner), text, size, &digest);
	sha256(signer, outer, sizeof(outer), digest.bytes, sizeof(digest.bytes), out);
	OPENSSL_cleanse(inner, sizeof(inner));
	OPENSSL_cleanse(outer, sizeof(outer));
	OPENSSL_cleanse(&digest, sizeof(digest));
}

static bool add_hex(struct buf *text, const struct digest *digest)
{
	static const char digits[] = "0123456789abcdef";
	char hex[HEX_BYTES];

	for (size_t i = 0; i < sizeof(digest->bytes); i++) {
		hex[2 * i] = digits[digest->bytes[i] >> 4];
		hex[2 * i + 1] = digits[digest->bytes[i] & 15];
	}
	return buf_add(text, hex, sizeof(hex));
}

void sigv4_stamp(time_t when, char stamp[SIGV4_STAMP_BYTES])
{
	struct tm tm;

	gmtime_r(&when, &tm);
	if (strftime(stamp, SIGV4_STAMP_BYTES, "%Y%m%dT%H%M%SZ", &tm) == 0)
		memset(stamp, 0, SIGV4_STAMP_BYTES);
}

/* The texts that are signed */

static bool add_scope(struct buf *text, const struct sigv4_request *request)
{
	return buf_add(text, request->stamp, DATE_BYTES) && buf_add_char(text, '/') && buf_add_text(text, request->region)
		&& buf_add_char(text, '/') && buf_add_text(text, request->service) && buf_add_text(text, "/aws4_request");
}

static bool add_canonical(struct sigv4_signer *signer, const struct sigv4_request *request,
	const struct sigv4_sorted *headers, struct buf *text)
{
	struct digest payload;

	sha256(signer, request->body, request->body_bytes, "", 0, &payload);
	buf_add_text(text, request->method);
	buf_add_char(text, '\n');
	sigv4_add_path(text, request->path, request->keep_dots);
	buf_add_char(text, '\n');
	if (!sigv4_add_query(text, request->query))
		return false;
	buf_add_char(text, '\n');
	sigv4_add_headers(text, headers);
	buf_add_char(text, '\n');
	sigv4_add_signed_names(text, headers);
	buf_add_char(text, '\n');
	add_hex(text, &payload);
	return !text->overflowed;
}

/* By way of the canonical request, which is in text meanwhile. */
static bool add_string_to_sign(struct sigv4_signer *signer, const struct sigv4_request *request,
	const struct sigv4_sorted *headers, struct buf *text)
{
	struct digest canonical;

	if (!add_canonical(signer, request, headers, text))
		return false;
	sha256(signer, text->bytes, text->size, "", 0, &canonical);
	explicit_bzero(text->bytes, text->size);        /* a session token was in it */
	buf_clear(text);
	buf_add_text(text, "AWS4-HMAC-SHA256\n");
	buf_add_text(text, request->stamp);
	buf_add_char(text, '\n');
	add_scope(text, request);
	buf_add_char(text, '\n');
	add_hex(text, &canonical);
	return !text->overflowed;
}

bool sigv4_canonical_request(struct sigv4_signer *signer, const struct sigv4_request *request, struct buf *text)
{
	struct sigv4_sorted headers;

	return sigv4_sort(&headers, request->headers, request->header_count)
		&& add_canonical(signer, request, &headers, text);
}

bool sigv4_string_to_sign(struct sigv4_signer *signer, const struct sigv4_request *request, struct buf *text)
{
	struct sigv4_sorted headers;

	return sigv4_sort(&headers, request->headers, request->header_count)
		&& add_string_to_sign(signer, request, &headers, text);
}

/* The signing keys */

static void derive(struct sigv4_signer *signer, const struct sigv4_request *request, struct digest *key)
{
	char *first = xasprintf("AWS4%s", signer->secret_key);

	hmac(signer, first, strlen(first), request->stamp, DATE_BYTES, key);
	xfree_secret(first);
	hmac(signer, key, sizeof(*key), request->region, strlen(request->region), key);
	hmac(signer, key, sizeof(*key), request->service, strlen(request->service), key);
	hmac(signer, key, sizeof(*key), "aws4_request", strlen("aws4_request"), key);
}

static void key_finish(struct signing_key *key)
{
	free(key->region);
	free(key->service);
	OPENSSL_cleanse(key, sizeof(*key));
}

/* The place of a region's and service's key, whatever its day; that of another one when there is no room. */
static struct signing_key *key_place(struct sigv4_signer *signer, const struct sigv4_request *request)
{
	struct signing_key *key;

	for (size_t i = 0; i < SIGV4_KEYS && signer->keys[i].region != NULL; i++) {
		key = &signer->keys[i];
		if (strcmp(key->service, request->service) == 0 && strcmp(key->region, request->region) == 0)
			return key;
	}
	key = &signer->keys[signer->next];
	signer->next = (signer->next + 1) % SIGV4_KEYS;
	key_finish(key);
	key->region = xstrdup(request->region);
	key->service = xstrdup(request->service);
	return key;
}

static const struct digest *signing_key(struct sigv4_signer *signer, const struct sigv4_request *request)
{
	struct signing_key *key = key_place(signer, request);

	if (memcmp(key->date, request->stamp, DATE_BYTES) != 0) {
		derive(signer, request, &key->key);
		memcpy(key->date, request->stamp, DATE_BYTES);
	}
	return &key->key;
}

/* The signer */

static bool add_authorization(const struct sigv4_signer *signer, const struct sigv4_request *request,
	const struct sigv4_sorted *headers, const struct digest *signature, struct buf *text)
{
	buf_add_text(text, "AWS4-HMAC-SHA256 Credential=");
	buf_add_text(text, signer->access_key);
	buf_add_char(text, '/');
	add_scope(text, request);
	buf_add_text(text, ", SignedHeaders=");
	sigv4_add_signed_names(text, headers);
	buf_add_text(text, ", Signature=");
	add_hex(text, signature);
	return !text->overflowed;
}

bool sigv4_sign(struct sigv4_signer *signer, const struct sigv4_request *request, struct buf *authorization)
{
	struct sigv4_sorted headers;
	struct digest signature;
	const struct digest *key;
	bool ok;

	if (!sigv4_sort(&headers, request->headers, request->header_count))
		return false;
	ok = add_string_to_sign(signer, request, &headers, &signer->text);
	if (ok) {
		key = signing_key(signer, request);
		hmac(signer, key, sizeof(*key), signer->text.bytes, signer->text.size, &signature);
		ok = add_authorization(signer, request, &headers, &signature, authorization);
	}
	if (signer->text.bytes != NULL)
		explicit_bzero(signer->text.bytes, signer->text.size);
	buf_clear(&signer->text);
	return ok;
}

struct sigv4_signer *sigv4_signer_create(const char *access_key, const char *secret_key)
{
	struct sigv4_signer *signer = xnew(struct sigv4_signer);

	signer->access_key = access_key;
	signer->secret_key = secret_key;
	buf_init(&signer->text, LIMIT_SIGV4_TEXT_BYTES);
	signer->text.secret = true;
	return signer;
}

void sigv4_signer_destroy(struct sigv4_signer *signer)
{
	if (signer == NULL)
		return;
	for (size_t i = 0; i < SIGV4_KEYS; i++)
		key_finish(&signer->keys[i]);
	EVP_MD_CTX_free(signer->context);
	EVP_MD_free(signer->sha256);
	buf_finish(&signer->text);
	free(signer);
}
