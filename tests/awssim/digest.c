/* SPDX-License-Identifier: Apache-2.0 */
/* digest.c - hashes by OpenSSL's EVP; hex and base64 by hand. */
#include "digest.h"

#include "xalloc.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>

struct digest {
	EVP_MD *md5, *sha256;
	EVP_MD_CTX *context;
	EVP_MAC *hmac;
	EVP_MAC_CTX *hmac_context;      /* set to HMAC-SHA-256, only the key is missing */
};

struct digest *digest_create(void)
{
	struct digest *digest = xcalloc(1, sizeof(*digest));
	char name[] = "SHA256";
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, name, 0),
		OSSL_PARAM_construct_end(),
	};

	digest->md5 = xalloc_checked(EVP_MD_fetch(NULL, "MD5", NULL));
	digest->sha256 = xalloc_checked(EVP_MD_fetch(NULL, "SHA256", NULL));
	digest->context = xalloc_checked(EVP_MD_CTX_new());
	digest->hmac = xalloc_checked(EVP_MAC_fetch(NULL, "HMAC", NULL));
	digest->hmac_context = xalloc_checked(EVP_MAC_CTX_new(digest->hmac));
	if (!EVP_MAC_CTX_set_params(digest->hmac_context, params))
		abort();
	return digest;
}

void digest_destroy(struct digest *digest)
{
	if (digest == NULL)
		return;
	EVP_MAC_CTX_free(digest->hmac_context);
	EVP_MAC_free(digest->hmac);
	EVP_MD_CTX_free(digest->context);
	EVP_MD_free(digest->sha256);
	EVP_MD_free(digest->md5);
	free(digest);
}

static void digest_pieces(struct digest *digest, const EVP_MD *type,
			  const struct digest_piece *piece, size_t pieces, unsigned char *out)
{
	if (!EVP_DigestInit_ex2(digest->context, type, NULL))
		abort();
	for (size_t i = 0; i < pieces; i++) {
		if (!EVP_DigestUpdate(digest->context, piece[i].data, piece[i].bytes))
			abort();
	}
	if (!EVP_DigestFinal_ex(digest->context, out, NULL))
		abort();
}

void digest_md5(struct digest *digest, const struct digest_piece *piece, size_t pieces,
		unsigned char *out)
{
	digest_pieces(digest, digest->md5, piece, pieces, out);
}

void digest_md5_hex(struct digest *digest, const void *data, size_t bytes, char *out)
{
	unsigned char raw[DIGEST_MD5_BYTES];

	digest_md5(digest, &(struct digest_piece){ data, bytes }, 1, raw);
	hex_encode(raw, sizeof(raw), out);
}

void digest_sha256_hex(struct digest *digest, const void *data, size_t bytes, char *out)
{
	unsigned char raw[DIGEST_SHA256_BYTES];

	digest_pieces(digest, digest->sha256, &(struct digest_piece){ data, bytes }, 1, raw);
	hex_encode(raw, sizeof(raw), out);
}

void digest_hmac(struct digest *digest, const void *key, size_t key_bytes, const void *data,
		 size_t bytes, unsigned char *out)
{
	size_t out_bytes;

	if (!EVP_MAC_init(digest->hmac_context, key, key_bytes, NULL) ||
	    !EVP_MAC_update(digest->hmac_context, data, bytes) ||
	    !EVP_MAC_final(digest->hmac_context, out, &out_bytes, DIGEST_SHA256_BYTES))
		abort();
}

void hex_encode(const unsigned char *data, size_t bytes, char *out)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < bytes; i++) {
		*out++ = digits[data[i] >> 4];
		*out++ = digits[data[i] & 15];
	}
	*out = '\0';
}

static const char base64_letters[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_encode(const unsigned char *data, size_t bytes, char *out)
{
	for (size_t i = 0; i < bytes; i += 3) {
		unsigned value = (unsigned)data[i] << 16;

		if (i + 1 < bytes)
			value |= (unsigned)data[i + 1] << 8;
		if (i + 2 < bytes)
			value |= data[i + 2];
		*out++ = base64_letters[value >> 18];
		*out++ = base64_letters[value >> 12 & 63];
		*out++ = i + 1 < bytes ? base64_letters[value >> 6 & 63] : '=';
		*out++ = i + 2 < bytes ? base64_letters[value & 63] : '=';
	}
	*out = '\0';
}

long base64_decode(const char *string, unsigned char *out, size_t room)
{
	size_t length = strlen(string), bytes = 0;
	unsigned value = 0, bits = 0;

	if (length % 4 != 0)
		return -1;
	while (length > 0 && string[length - 1] == '=' && length % 4 != 2)
		length--;
	for (size_t i = 0; i < length; i++) {
		const char *letter = memchr(base64_letters, string[i], 64);

		if (letter == NULL)
			return -1;
		value = value << 6 | (unsigned)(letter - base64_letters);
		bits += 6;
		if (bits < 8)
			continue;
		bits -= 8;
		if (bytes == room)
			return -1;
		out[bytes++] = (unsigned char)(value >> bits);
	}
	return (long)bytes;
}
