/* SPDX-License-Identifier: Apache-2.0 */
/* profile_file.h - the text of one shared file of AWS, as sections of keys and values.
 *
 * Only the form is known here: which sections there are and what they hold.  Which profile is
 * meant and what its keys mean is profile.h's.  Values may be secret and are wiped.
 * Format: AWS SDKs and Tools Reference Guide, "Shared config and credentials files". */
#ifndef AWS_PROFILE_FILE_H
#define AWS_PROFILE_FILE_H

#include <stddef.h>

#include "base/error.h"

enum profile_file_kind {
	PROFILE_FILE_CONFIG,            /* [default], [profile x], [services x], [sso-session x] */
	PROFILE_FILE_CREDENTIALS,       /* [x] */
	PROFILE_FILE_KINDS
};

enum profile_section_kind { PROFILE_SECTION_PROFILE, PROFILE_SECTION_SERVICES, PROFILE_SECTION_SSO_SESSION };

enum {
	LIMIT_PROFILE_FILE_BYTES = 1 << 20,
	LIMIT_PROFILE_FILE_LINES = 50000,
	LIMIT_PROFILE_LINE_BYTES = 64 << 10,
	LIMIT_PROFILE_SECTION_KEYS = 512,
};

struct profile_file;
struct profile_section;

/* label names the file in errors: "LABEL:LINE: expected ...".  ERROR_REFUSED: malformed or over a limit. */
struct profile_file *profile_file_parse(enum profile_file_kind kind, const char *label, const char *text, size_t size,
	struct error *err);
void profile_file_destroy(struct profile_file *file);
/* NULL when there is none; names are compared as they are. */
const struct profile_section *profile_file_find(const struct profile_file *file, enum profile_section_kind kind,
	const char *name);
/* The value, or NULL; section may be NULL.  A nested value is a line
 * "name = value" for each part, a newline before each. */
const char *profile_section_get(const struct profile_section *section, const char *key);
/* One part of a nested value: ("sqs", "endpoint_url"). */
const char *profile_section_part(const struct profile_section *section, const char *key, const char *part);

#endif
