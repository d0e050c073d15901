/* SPDX-License-Identifier: Apache-2.0 */
/* byte_range.h - the header Range (RFC 9110, 14.2), as far as we serve it: one range of bytes. */
#ifndef API_BYTE_RANGE_H
#define API_BYTE_RANGE_H

#include <stdint.h>

enum byte_range_verdict {
	BYTE_RANGE_NONE,                /* not given, several, or nonsense: the whole is the answer, as the RFC allows */
	BYTE_RANGE_PART,                /* from and to are set */
	BYTE_RANGE_UNSATISFIABLE,       /* begins behind the end */
};

/* The bytes from *from up to, but not including, *to, of size bytes.  header may be NULL. */
enum byte_range_verdict byte_range_parse(const char *header, int64_t size, int64_t *from, int64_t *to);

#endif
