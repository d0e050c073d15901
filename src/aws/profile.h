/* SPDX-License-Identifier: Apache-2.0 */
/* profile.h - AWS's shared config and credentials files (~/.aws/config, ~/.aws/credentials).
 * Format: AWS SDKs and Tools Reference Guide, "Shared config and credentials files". */
#ifndef AWS_PROFILE_H
#define AWS_PROFILE_H

#include <stdbool.h>

#include "aws/profile_file.h"
#include "base/error.h"

/* All sections of both files; the credentials file wins where both have a profile's key. */
struct profile;

/* Reads the files that AWS_CONFIG_FILE and AWS_SHARED_CREDENTIALS_FILE (or HOME) name; missing files are empty.  name NULL:
 * AWS_PROFILE, else AWS_DEFAULT_PROFILE, else "default".  ERROR_REFUSED: unreadable or malformed, with file and line. */
struct profile *profile_load(const char *name, struct error *err);
void profile_destroy(struct profile *profile);
const char *profile_name(const struct profile *profile);
/* Whether somebody asked for that profile; false when it is "default" because nobody named one. */
bool profile_is_named(const struct profile *profile);
/* Whether a section for the chosen profile (name NULL) or the one named exists. */
bool profile_exists(const struct profile *profile, const char *name);
/* A key of the chosen profile, or NULL.  Keys are lower case. */
const char *profile_get(const struct profile *profile, const char *key);
/* A key of any profile. */
const char *profile_get_of(const struct profile *profile, const char *name, const char *key);
/* A key of a profile as that one file has it: key, secret and token of an identity must not be mixed. */
const char *profile_get_in(const struct profile *profile, enum profile_file_kind kind, const char *name,
	const char *key);
/* A nested key of the profile's `services` section: ("sqs", "endpoint_url"). */
const char *profile_service(const struct profile *profile, const char *service, const char *key);
/* Where that file is, or "" when neither the environment nor HOME says. */
const char *profile_path(const struct profile *profile, enum profile_file_kind kind);
/* An environment variable as the SDKs read it: set to nothing, or to blanks, is not set. */
const char *profile_env(const char *variable);

#endif
