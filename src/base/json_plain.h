/* SPDX-License-Identifier: Apache-2.0 */
/* json_plain.h - where a JSON string stops standing for itself (RFC 8259, section 7). */
#ifndef BASE_JSON_PLAIN_H
#define BASE_JSON_PLAIN_H

#include <stdbool.h>

/* The first quote, backslash or control character from at on, or end.  *ascii becomes false when there are other
 * bytes than ASCII before it, which nobody has looked at, and else stays as it is. */
const char *json_plain_end(const char *at, const char *end, bool *ascii);

#endif
