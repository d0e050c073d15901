/* SPDX-License-Identifier: Apache-2.0 */
/* env_file.h - a file of NAME=VALUE lines, as shells and dotenv libraries write them.
 *
 * Blank lines and lines that begin with # are skipped, "export " before a name too.  A value is
 * taken as it is up to " #" or the end of the line; in single quotes it is literal; in double quotes
 * \n \t \" \\ \$ are understood.  Quoted values may span lines.  Nothing is expanded. */
#ifndef CHECK_ENV_FILE_H
#define CHECK_ENV_FILE_H

#include <stdbool.h>

#include "base/texts.h"
#include "check/complaint.h"

enum {
	LIMIT_ENV_FILE_BYTES = 256 << 10,
	LIMIT_ENV_FILE_NAMES = 1024,
};

/* Adds to pairs; a later line wins over an earlier one.  Complaints have places in the file itself,
 * and no path but the name: values are never part of them.  False when there is one. */
bool env_file_parse(const char *text, struct pairs *pairs, struct complaints *complaints);

#endif
