/* SPDX-License-Identifier: Apache-2.0 */
/* digest.h - MD5, SHA-256 and HMAC, and the letters they are written in.
 * The OpenSSL contexts are made once, as making one costs more than hashing a small body. */
#ifndef AWSSIM_DIGEST_H
#define AWSSIM_DIGEST_H

#include <stddef.h>

enum {
	DIGEST_MD5_BYTES = 16,
	DIGEST_SHA256_BYTES = 32,
	DIGEST_MD5_HEX = 2 * DIGEST_MD5_BYTES + 1,
	DIGEST_SHA256_HEX = 2 * DIGEST_SHA256_BYTES + 1,
};

/* One piece of what is hashed; a list of them saves copying. */
struct digest_piece {
	const void *data;
	size_t bytes;
};

struct digest;

struct digest *digest_create(void);
void digest_destroy(struct digest *);
void digest_md5(struct digest *, const struct digest_piece *, size_t pieces, unsigned char *out);
void digest_md5_hex(struct digest *, const void *data, size_t bytes, char *out);
void digest_sha256_hex(struct digest *, const void *data, size_t bytes, char *out);
void digest_hmac(struct digest *, const void *key, size_t key_bytes, const void *data,
		 size_t bytes, unsigned char *out);

void hex_encode(const unsigned char *data, size_t bytes, char *out);    /* out: 2 * bytes + 1 */
/* out: 4 * ceil(bytes / 3) + 1 */
void base64_encode(const unsigned char *data, size_t bytes, char *out);
/* Gives the number of bytes, or -1 for what is not base64 or has more than room bytes. */
long base64_decode(const char *string, unsigned char *out, size_t room);

#endif
