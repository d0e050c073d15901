/* SPDX-License-Identifier: Apache-2.0 */
/* json_write.h - jansson's values as compact text, as json_dumps() with JSON_COMPACT writes them.
 *
 * json_dumps() looks for values that hold themselves, with a table of printed pointers, for each
 * object of each call; ours are trees. */
#ifndef BASE_JSON_WRITE_H
#define BASE_JSON_WRITE_H

#include <jansson.h>
#include <stdbool.h>

#include "base/buf.h"

/* Appends value, which must not hold itself; false: the buf's limit would be passed. */
bool json_write(struct buf *out, const json_t *value);

#endif
