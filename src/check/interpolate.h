/* SPDX-License-Identifier: Apache-2.0 */
/* interpolate.h - ${NAME} and ${NAME:-default} in values.
 *
 * "$$" is a dollar, and so is "$" before anything but "{".  What is put in is not looked at again,
 * and it cannot change the structure of the file, which is read by then. */
#ifndef CHECK_INTERPOLATE_H
#define CHECK_INTERPOLATE_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/texts.h"

/* The variables: the process's environment wins over the file's. */
struct variables {
	const struct pairs *file;       /* lent; NULL: none */
	const char *missing_file;       /* lent; an env_file that is not there, for the error's sake */
};

const char *variables_find(const struct variables *variables, const char *name);

/* Appends text with its variables to out.  *used tells whether there was any.  False when one is not
 * set or not well-formed: err says "expected X, found Y". */
bool interpolate(const char *text, const struct variables *variables, struct buf *out, bool *used, struct error *err);

#endif
