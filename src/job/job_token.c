/* SPDX-License-Identifier: Apache-2.0 */
/* job_token.c - see job_token.h.  The parts are joined by newlines, which no job id contains. */
#include "job/job_token.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"

char *job_token(const char *job_id, unsigned number, unsigned step)
{
	static const char digits[] = "0123456789abcdef";
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned size = 0;
	char *text = xasprintf("%s\n%u\n%u", job_id, number, step);
	char *token;

	if (EVP_Digest(text, strlen(text), digest, &size, EVP_sha256(), NULL) != 1)
		panic("job_token: OpenSSL has no SHA-256");
	free(text);
	token = xcalloc(size * 2 + 1, 1);
	for (unsigned i = 0; i < size; i++) {
		token[2 * i] = digits[digest[i] >> 4];
		token[2 * i + 1] = digits[digest[i] & 15];
	}
	return token;
}
