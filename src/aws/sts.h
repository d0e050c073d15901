/* SPDX-License-Identifier: Apache-2.0 */
/* sts.h - AWS's Security Token Service: credentials for a role.
 *
 * Stands below aws.h, which needs credentials before it can make a call, so it makes its own: few,
 * repeated in the standard mode, signed with what it is given or not at all.
 * Protocol: AWS STS API Reference, AssumeRole and AssumeRoleWithWebIdentity, version 2011-06-15. */
#ifndef AWS_STS_H
#define AWS_STS_H

#include <ev.h>

#include "aws/credentials.h"

enum {
	STS_TRY_MS = 2400,              /* two fit into what a load may take */
	LIMIT_STS_FORM_BYTES = 256 << 10,
};

struct sts;
struct sts_call;

struct sts_request {
	const char *role_arn;
	const char *session_name;               /* NULL: "gantryd-<pid>-<time>" */
	const char *external_id;                /* NULL: none */
	unsigned duration_s;                    /* 0: STS's default */
	const struct credentials *signer;       /* AssumeRole is signed with these */
	const char *web_identity;               /* a token: AssumeRoleWithWebIdentity, without signer; secret */
};

/* The endpoint of env's region, or env's sts_endpoint.  ERROR_REFUSED: neither makes one. */
struct sts *sts_create(const struct credentials_env *env, struct error *err);
void sts_destroy(struct sts *sts);

/* take is the receiver's.  ERROR_REFUSED: STS said no. */
typedef void sts_done_fn(void *arg, struct credentials *take, const struct error *err);
/* Copies the request.  done comes once, never from inside this call. */
struct sts_call *sts_assume(struct sts *sts, const struct sts_request *request, sts_done_fn *done, void *arg);
/* No completion after this.  NULL is allowed.  why (may be NULL): what the last try met, if any. */
void sts_call_cancel(struct sts_call *call, struct error *why);

#endif
