/* SPDX-License-Identifier: Apache-2.0 */
/* credentials.h - who we are to AWS.
 *
 * A chain of sources, the first that is configured decides (gantry.yaml's keys, environment, profile
 * with role, web identity, shared files, container endpoint, IMDSv2); one that is configured and fails
 * stops the chain.  Credentials are refreshed ahead of their end, one refresh at a time, and kept when
 * a refresh fails (AWS SDKs' static stability). */
#ifndef AWS_CREDENTIALS_H
#define AWS_CREDENTIALS_H

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "aws/profile.h"
#include "aws/sigv4.h"
#include "base/error.h"
#include "base/log.h"
#include "conf/conf.h"
#include "net/http_client.h"

struct credentials {
	char *access_key;
	char *secret_key;               /* secret */
	char *session_token;            /* secret; NULL: none */
	int64_t expires_ms;             /* this host's wall clock; 0: never */
	struct sigv4_signer *signer;    /* signs with these keys, and ends with them */
	unsigned holders;
};

/* Keeps them beyond the time for which they were lent, until credentials_free(). */
struct credentials *credentials_hold(const struct credentials *credentials);
/* The last holder's wipes and frees them.  NULL is allowed. */
void credentials_free(struct credentials *credentials);

struct credentials_source;

struct credentials_env {
	struct ev_loop *loop;
	const struct log *log;
	struct http_client *http;
	const struct conf_aws *conf;
	const struct profile *profile;  /* merged shared files, lent */
	const char *region;             /* for STS */
	const char *sts_endpoint;       /* NULL: regional STS */
};

struct credentials_source *credentials_create(const struct credentials_env *env, struct error *err);
void credentials_destroy(struct credentials_source *source);
/* The credentials now, lent until the next turn of the loop, or NULL when none are at hand (then ask
 * with credentials_get).  Starts a refresh by itself when their end is near. */
const struct credentials *credentials_now(struct credentials_source *source);
/* Calls done when there are some (never from inside this call), or with ERROR_REFUSED: none are configured, or the
 * source said no; ERROR_TEMPORARY: the source did not answer. */
typedef void credentials_fn(void *arg, const struct credentials *credentials, const struct error *err);
void credentials_get(struct credentials_source *source, credentials_fn *done, void *arg);
/* A call with this access key was told that it has expired: forget it, if it is still the one. */
void credentials_reject(struct credentials_source *source, const char *access_key);
/* Forgets waiting completions that carry arg. */
void credentials_cancel(struct credentials_source *source, void *arg);

#endif
