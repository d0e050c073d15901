/* SPDX-License-Identifier: Apache-2.0 */
/* credentials_impl.h - what credentials.c asks of a provider, and the providers there are.
 *
 * A provider knows how to load credentials once.  Keeping them, refreshing them ahead of their end and
 * living with failures is credentials.c's, which starts one load at a time. */
#ifndef AWS_CREDENTIALS_IMPL_H
#define AWS_CREDENTIALS_IMPL_H

#include <stddef.h>

#include "aws/credentials.h"
#include "aws/credentials_plan.h"
#include "base/error.h"

enum {
	LIMIT_CREDENTIALS_REPLY_BYTES = 256 << 10,
	LIMIT_CREDENTIALS_TOKEN_BYTES = 64 << 10,       /* a token file */
	CREDENTIALS_LOAD_S = 5,                         /* one source answers within this */
};

/* err NULL: take is now the caller's.  ERROR_REFUSED: asking again won't help, the caller must know;
 * other kinds: what is cached may be used on. */
typedef void credentials_loaded_fn(void *arg, struct credentials *take, const struct error *err);

struct credentials_provider;

struct credentials_provider_ops {
	/* Calls done once, never from inside the call. */
	void (*load)(struct credentials_provider *provider, credentials_loaded_fn *done, void *arg);
	/* No completion after this.  why (may be NULL) is set if the load has already seen a failure. */
	void (*cancel)(struct credentials_provider *provider, struct error *why);
	void (*destroy)(struct credentials_provider *provider); /* of one that is not loading */
};

struct credentials_provider {
	const struct credentials_provider_ops *ops;
	char name[LIMIT_CREDENTIALS_FROM_BYTES];        /* for people */
	double limit_s;                                 /* a load takes no longer */
	const struct credentials *fixed;                /* ours, and good without a load; else NULL */
};

struct credentials_provider *credentials_static_create(const struct credentials_env *env,
	const struct credentials_plan *plan);
struct credentials_provider *credentials_web_identity_create(const struct credentials_env *env,
	const struct credentials_plan *plan, struct error *err);
struct credentials_provider *credentials_container_create(const struct credentials_env *env, struct error *err);
/* last_resort: that nobody answers means that there are no credentials, not that they are late. */
struct credentials_provider *credentials_imds_create(const struct credentials_env *env, bool last_resort,
	struct error *err);
/* The metadata service's address without a slash at its end, the caller's to free.  ERROR_REFUSED: a setting that is none. */
char *credentials_imds_base(const struct profile *profile, struct error *err);
/* Takes source, also on error. */
struct credentials_provider *credentials_assume_role_create(const struct credentials_env *env,
	struct credentials_provider *source, const struct credentials_role *role, struct error *err);
/* Cancels and frees; NULL is allowed. */
void credentials_provider_destroy(struct credentials_provider *provider);
/* The provider that a plan asks for.  A plan without a base has none: NULL, with the places looked at. */
struct credentials_provider *credentials_provider_create(const struct credentials_env *env,
	const struct credentials_plan *plan, struct error *err);

/* Copies; token may be NULL. */
struct credentials *credentials_new(const char *access_key, const char *secret_key, const char *session_token,
	int64_t expires_ms);
struct credentials *credentials_copy(const struct credentials *credentials);
/* They go into header lines, so none may hold a control character.  ERROR_REFUSED: one does. */
bool credentials_check(const struct credentials *credentials, struct error *err);
/* Reads {"AccessKeyId","SecretAccessKey","Token","Expiration"}, as containers' endpoints and IMDS write it.
 * ERROR_TEMPORARY: it is not that; its "Code" and "Message" are told, nothing else of it. */
struct credentials *credentials_parse(const char *json, size_t size, struct error *err);
/* Puts their end into our clock's time where the Date of the reply they came in shows our clock to be far off:
 * good ones must not look as if they had ended. */
void credentials_localize(struct credentials *credentials, const struct http_reply *reply);
/* A token in a file, without line ends behind it; the caller's, to be wiped.  ERROR_TEMPORARY: unreadable or empty. */
char *credentials_read_token(const char *path, struct error *err);

#endif
