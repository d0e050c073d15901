/* SPDX-License-Identifier: Apache-2.0 */
/* sigv4_check.h - is this request signed by a key we know?
 * An implementation of its own, so that a mistake in the signer under test can't repeat here. */
#ifndef AWSSIM_SIGV4_CHECK_H
#define AWSSIM_SIGV4_CHECK_H

#include "aws_error.h"
#include "digest.h"
#include "http_request.h"
#include "key_ring.h"

#include <stdint.h>

struct sigv4_time {
	int64_t wall_s;         /* what X-Amz-Date is held against, five minutes either way */
	int64_t now_ms;         /* what a session's expiry is held against */
};

/* service: what the credential scope has to name; NULL: anything. */
bool sigv4_check(const struct http_request *, const char *service, struct key_ring *,
		 struct digest *, struct sigv4_time, struct aws_error *);

#endif
