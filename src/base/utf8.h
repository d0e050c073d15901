/* SPDX-License-Identifier: Apache-2.0 */
/* utf8.h - which bytes are UTF-8: RFC 3629's, so no overlong forms, no surrogates, nothing above U+10FFFF. */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* Bytes of the character that begins at text, of which left bytes are there; 0: none does.  NUL is one. */
size_t utf8_length(const char *text, size_t left);
bool utf8_is_valid(const char *text, size_t size);

#endif
