/* SPDX-License-Identifier: Apache-2.0 */
/* found.h - how a complaint shows what it found, without giving a secret away. */
#ifndef CHECK_FOUND_H
#define CHECK_FOUND_H

#include <stdbool.h>

#include "check/yaml_reader.h"

enum { LIMIT_FOUND_BYTES = 64 };        /* of a value; the rest is cut */

/* What a node holds: "nothing", "a list", "\"3x\"", "the value of \"${WORKERS}\"".  A variable is
 * shown by its name, as its value may be the wrong one and somebody's password.  NULL: nothing.
 * The caller frees. */
char *found(const struct yaml_node *node, bool secret);

#endif
