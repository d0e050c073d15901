/* SPDX-License-Identifier: Apache-2.0 */
/* scalar.h - the text that a scalar of the file stands for: its variables put in, its file read. */
#ifndef CHECK_SCALAR_H
#define CHECK_SCALAR_H

#include <stdbool.h>

#include "check/conf_fill.h"

/* A new text, to be freed with xfree_secret(), or NULL: with a complaint, or because nothing is
 * given (the value is null, or of variables that are all empty). */
char *scalar_text(const struct conf_filler *filler, const struct yaml_node *node, const struct conf_row *row,
	const char *expected, const char *path);
/* path, relative to directory unless absolute; the caller's to free. */
char *path_from(const char *directory, const char *path);

#endif
