/* SPDX-License-Identifier: Apache-2.0 */
/* complaint.h - all that is wrong with a file, a line each, in the order of the file.
 *
 * "FILE:LINE:COLUMN: key.path: expected X, found Y; did you mean "Z"?" */
#ifndef CHECK_COMPLAINT_H
#define CHECK_COMPLAINT_H

#include <stdbool.h>
#include <stddef.h>

enum { LIMIT_COMPLAINTS = 200 };        /* more are counted, not kept */

/* Counted from 1, as editors do. */
struct place {
	unsigned line, column;
};

struct complaint {
	struct place place;
	size_t serial;                  /* of two at one place, the first made comes first */
	char *path;
	char *text;
};

struct complaints {
	struct complaint *at;
	size_t count;
	size_t dropped;
};

void complaints_finish(struct complaints *complaints);
/* fmt gives what follows the path; path "" becomes "document". */
void complain(struct complaints *complaints, struct place place, const char *path, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
/* Whether something was said about exactly this key. */
bool complaints_about(const struct complaints *complaints, const char *path);
/* Writes them, sorted, to standard error, with file in front. */
void complaints_print(struct complaints *complaints, const char *file);

#endif
