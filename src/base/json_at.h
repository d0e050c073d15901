/* SPDX-License-Identifier: Apache-2.0 */
/* json_at.h - reads strangers' JSON by path, over jansson.
 *
 * A path names members and elements: "tasks[0].containers[1].exitCode".  What is not there and
 * what has another type are the same to the reader: NULL, or false.  Values are lent by root. */
#ifndef BASE_JSON_AT_H
#define BASE_JSON_AT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* Parses one JSON text (object or array) of size bytes; duplicate members and trailing bytes are
 * errors, as two readers could read two things.  The caller owns the reference.  NULL on error. */
json_t *json_at_parse(const char *text, size_t size, struct error *err);
/* The same for one who reads only the members, at any depth, whose names are in wanted (NULL behind the last;
 * NULL itself: all).  Others may be missing in what is returned, or there, and what is wrong within them may be let
 * through (json_read.h). */
json_t *json_at_parse_wanted(const char *text, size_t size, const char *const *wanted, struct error *err);
/* As json_at_parse(), for a text whose strings may hold NUL: json_string_length() tells theirs. */
json_t *json_at_parse_binary(const char *text, size_t size, struct error *err);
json_t *json_at(const json_t *root, const char *path);
const char *json_at_string(const json_t *root, const char *path);
/* Integers, and reals without a fraction; AWS writes both. */
bool json_at_integer(const json_t *root, const char *path, int64_t *value);
bool json_at_number(const json_t *root, const char *path, double *value);
/* An array or an object, else NULL. */
json_t *json_at_array(const json_t *root, const char *path);
json_t *json_at_object(const json_t *root, const char *path);
/* The bytes as a text that is UTF-8, the caller's to free: what is not, and each NUL, becomes U+FFFD. */
char *json_at_clean(const char *bytes, size_t size);
/* A string of text, cleaned as above; null for NULL.  Never NULL itself, unlike json_string(): a member
 * that a stranger's byte can make vanish is no member to rely on. */
json_t *json_at_text(const char *text);
/* Compact text in the order of insertion, the caller's to free.  Never NULL. */
char *json_at_dump(const json_t *root);

#endif
