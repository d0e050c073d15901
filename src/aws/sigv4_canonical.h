/* SPDX-License-Identifier: Apache-2.0 */
/* sigv4_canonical.h - the parts of a request in the one form that both ends sign. */
#ifndef AWS_SIGV4_CANONICAL_H
#define AWS_SIGV4_CANONICAL_H

#include <stdbool.h>
#include <stddef.h>

#include "aws/sigv4.h"
#include "base/buf.h"

/* Resolved and encoded once more: "%20" becomes "%2520", as every service but S3 wants it. */
void sigv4_add_path(struct buf *text, const char *path, bool keep_dots);
/* Sorted by name, then value.  False: more than LIMIT_SIGV4_QUERY_PARTS. */
bool sigv4_add_query(struct buf *text, const char *query);
/* The headers that are signed, by name; equal names stay in their order. */
struct sigv4_sorted {
	const struct sigv4_header *at[LIMIT_SIGV4_HEADERS];
	size_t count;
};
/* False: more than LIMIT_SIGV4_HEADERS.  The headers are lent. */
bool sigv4_sort(struct sigv4_sorted *sorted, const struct sigv4_header *headers, size_t count);
/* "name:value\n" each. */
bool sigv4_add_headers(struct buf *text, const struct sigv4_sorted *headers);
/* "content-type;host;x-amz-date" */
bool sigv4_add_signed_names(struct buf *text, const struct sigv4_sorted *headers);
/* Percent-encodes all but A-Z a-z 0-9 - _ . ~ and the bytes in keep. */
void sigv4_add_encoded(struct buf *text, const char *bytes, size_t size, const char *keep);

#endif
