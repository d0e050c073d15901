/* SPDX-License-Identifier: Apache-2.0 */
/* credentials_plan.h - where credentials shall come from.  Only the decision: no call, no token read.
 *
 * The first place that is configured decides.  One that is configured and wrong (half a key pair, a
 * loop of roles) is an error: going on would make us someone else without a word.
 * Order: the SDKs' credential provider chain, with gantry.yaml's own keys before it. */
#ifndef AWS_CREDENTIALS_PLAN_H
#define AWS_CREDENTIALS_PLAN_H

#include <stdbool.h>
#include <stddef.h>

#include "aws/profile.h"
#include "base/error.h"
#include "conf/conf.h"

enum {
	LIMIT_CREDENTIALS_ROLES = 8,            /* roles assumed one from the other */
	LIMIT_CREDENTIALS_FROM_BYTES = 192,
	LIMIT_CREDENTIALS_LOOKED_BYTES = 448,
};

enum credentials_base {
	CREDENTIALS_NONE,               /* nothing is configured and IMDS is switched off */
	CREDENTIALS_KEYS,
	CREDENTIALS_WEB_IDENTITY,
	CREDENTIALS_CONTAINER,
	CREDENTIALS_IMDS,
	CREDENTIALS_BASES
};

struct credentials_role {
	const char *profile;            /* that asks for it */
	const char *role_arn;
	const char *session_name;       /* NULL: ours */
	const char *external_id;        /* NULL: none */
	unsigned duration_s;            /* 0: STS's default */
};

/* Texts are lent by the configuration, the environment and the profile. */
struct credentials_plan {
	enum credentials_base base;
	char from[LIMIT_CREDENTIALS_FROM_BYTES];        /* the base, for people */
	const char *access_key, *secret_key, *session_token;    /* CREDENTIALS_KEYS; token NULL: none */
	const char *token_file;                         /* CREDENTIALS_WEB_IDENTITY */
	struct credentials_role web;                    /* the same */
	struct credentials_role roles[LIMIT_CREDENTIALS_ROLES]; /* to assume, [0] with the base's credentials */
	size_t role_count;
	bool last_resort;               /* IMDS, only because nothing else is configured */
	char looked[LIMIT_CREDENTIALS_LOOKED_BYTES];    /* places where nothing was found */
};

/* ERROR_REFUSED: what is wrong, and where. */
bool credentials_plan_make(struct credentials_plan *plan, const struct conf_aws *conf, const struct profile *profile,
	struct error *err);

#endif
