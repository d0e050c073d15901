/* SPDX-License-Identifier: Apache-2.0 */
/* webhook_signature.c - see webhook_signature.h. */
#include "notify/webhook_signature.h"

#include <inttypes.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"

static const char prefix[] = "whsec_";
enum { PREFIX_BYTES = sizeof(prefix) - 1 };

struct key {
	unsigned char bytes[512];
	size_t size;
};

/* The form was checked with the configuration; what decodes to nothing signs as the text that it is. */
static void take_key(struct key *key, const char *secret)
{
	size_t len = strlen(secret);
	int size = -1;

	if (strncmp(secret, prefix, PREFIX_BYTES) == 0 && (len - PREFIX_BYTES) / 4 * 3 <= sizeof(key->bytes))
		size = EVP_DecodeBlock(key->bytes, (const unsigned char *)secret + PREFIX_BYTES, (int)(len - PREFIX_BYTES));
	if (size > 0) {
		/* It counts the padding. */
		for (const char *end = secret + len; end[-1] == '=' && size > 0; end--)
			size--;
		key->size = (size_t)size;
		return;
	}
	key->size = len < sizeof(key->bytes) ? len : sizeof(key->bytes);
	memcpy(key->bytes, secret, key->size);
}

static void add_signature(struct buf *out, const char *secret, const struct buf *text)
{
	unsigned char digest[EVP_MAX_MD_SIZE], base64[2 * EVP_MAX_MD_SIZE];
	unsigned size = 0;
	struct key key;

	take_key(&key, secret);
	if (HMAC(EVP_sha256(), key.bytes, (int)key.size, (const unsigned char *)text->bytes, text->size, digest, &size) == NULL)
		fatal("OpenSSL has no HMAC-SHA256");
	explicit_bzero(&key, sizeof(key));
	EVP_EncodeBlock(base64, digest, (int)size);
	buf_printf(out, "%sv1,%s", out->size > 0 ? " " : "", (const char *)base64);
}

char *webhook_signature(const char *secret, const char *old_secret, const char *id, int64_t timestamp_s,
	const char *body)
{
	struct buf text, out;

	if (secret == NULL)
		return NULL;
	buf_init(&text, strlen(id) + strlen(body) + 32);
	buf_init(&out, 256);
	buf_printf(&text, "%s.%" PRId64 ".%s", id, timestamp_s, body);
	add_signature(&out, secret, &text);
	if (old_secret != NULL)
		add_signature(&out, old_secret, &text);
	buf_finish(&text);
	return buf_take(&out);
}
