/* SPDX-License-Identifier: Apache-2.0 */
/* json_write.h - jansson's values as compact text, as json_dumps() with JSON_COMPACT writes them.
 *
 * json_dumps() looks for values that hold themselves, with a table of printed pointers, for each
 * object of each call; ours are trees.
 *
 * What would be made a tree only to be written can be written at once, piece by piece. */
#ifndef BASE_JSON_WRITE_H
#define BASE_JSON_WRITE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

/* Appends value, which must not hold itself; false: the buf's limit would be passed. */
bool json_write(struct buf *out, const json_t *value);

/* The pieces.  The comma before a member or an element comes by itself; that the brackets match and that each
 * value in an object follows its name is the caller's affair.  False: the buf's limit would be passed, or a text is
 * not UTF-8, which JSON can't carry; what out holds then is no JSON. */
bool json_write_open(struct buf *out, char bracket);
bool json_write_close(struct buf *out, char bracket);
/* Of the member whose value is written next, by these or by json_write(). */
bool json_write_name(struct buf *out, const char *name);
bool json_write_string(struct buf *out, const char *text);
bool json_write_integer(struct buf *out, int64_t value);
bool json_write_true(struct buf *out);
/* A name and its string. */
bool json_write_member(struct buf *out, const char *name, const char *text);

#endif
