/* SPDX-License-Identifier: Apache-2.0 */
/* webhook_signature.h - how a receiver knows that a post is ours: Standard Webhooks 1.0.
 *
 * The text that is signed is "ID.TIMESTAMP.BODY", with HMAC-SHA256; a signature is "v1," and its base64.  Several,
 * of several secrets, stand beside each other with a space between. */
#ifndef NOTIFY_WEBHOOK_SIGNATURE_H
#define NOTIFY_WEBHOOK_SIGNATURE_H

#include <stdint.h>

/* The value of webhook-signature, the caller's to free; NULL without a secret.  A secret is "whsec_" and base64, or the
 * key itself; old_secret may be NULL. */
char *webhook_signature(const char *secret, const char *old_secret, const char *id, int64_t timestamp_s,
	const char *body);

#endif
