/* SPDX-License-Identifier: Apache-2.0 */
/* sigv4.h - AWS Signature Version 4, in an Authorization header.
 *
 * Pure: what is signed is what the caller gives, and the caller sends exactly that.  So the
 * headers given include Host, X-Amz-Date and, with a session token, X-Amz-Security-Token.
 * Protocol: IAM User Guide, "Create a signed AWS API request". */
#ifndef AWS_SIGV4_H
#define AWS_SIGV4_H

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#include "base/buf.h"

enum {
	SIGV4_STAMP_BYTES = 17,         /* "20260102T030405Z" and the NUL */
	SIGV4_DIGEST_BYTES = 32,
	SIGV4_KEYS = 16,                /* derived keys remembered: regions times services of one process */
	LIMIT_SIGV4_HEADERS = 64,
	LIMIT_SIGV4_QUERY_PARTS = 256,
	LIMIT_SIGV4_TEXT_BYTES = 256 << 10,
};

struct sigv4_header { const char *name, *value; };      /* a value may be folded over lines */

struct sigv4_request {
	const char *method;
	const char *path;               /* as sent, from '/' on, without the query */
	const char *query;              /* as sent, without '?'; NULL: none */
	const struct sigv4_header *headers;
	size_t header_count;
	const char *body;
	size_t body_bytes;
	const char *region, *service;
	const char *stamp;              /* the value of X-Amz-Date */
	bool keep_dots;                 /* leave "." and ".." and "//" in the path alone */
};

/* Who signs: an access key with its secret, and what is kept between two signatures.  Signing keys are derived
 * from the secret once for a day, region and service; they live and end with the signer. */
struct sigv4_signer;

/* Both keys are lent for as long as the signer lives. */
struct sigv4_signer *sigv4_signer_create(const char *access_key, const char *secret_key);
/* Wipes what was derived.  NULL is allowed. */
void sigv4_signer_destroy(struct sigv4_signer *signer);

void sigv4_stamp(time_t when, char stamp[SIGV4_STAMP_BYTES]);
/* Adds the value of the Authorization header to authorization.  False when there are too many headers or a text
 * passes its limit. */
bool sigv4_sign(struct sigv4_signer *signer, const struct sigv4_request *request, struct buf *authorization);
/* The two texts that are signed in between, for tests and for comparing with what AWS says it expected.  text is
 * empty before. */
bool sigv4_canonical_request(struct sigv4_signer *signer, const struct sigv4_request *request, struct buf *text);
bool sigv4_string_to_sign(struct sigv4_signer *signer, const struct sigv4_request *request, struct buf *text);

#endif
