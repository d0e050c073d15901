/* SPDX-License-Identifier: Apache-2.0 */
/* base64.h - RFC 4648, section 4. */
#ifndef BASE_BASE64_H
#define BASE_BASE64_H

#include <stddef.h>

/* The decoded bytes, terminated beyond their size, the caller's to free; NULL when text is no base64.  Line ends are
 * passed over, and the padding may be missing. */
char *base64_decode(const char *text, size_t text_bytes, size_t *size);

#endif
