/* SPDX-License-Identifier: Apache-2.0 */
/* event_pieces.h - pieces of a log as they are told, kept for the others who read the same.
 *
 * Those who follow a deployment live are all at its end, and those who come late read one after the other what
 * was read before: to make a piece of JSON once is enough for most of them.  Bytes of a log never change, so
 * what was made stays true; a piece may have been made when the log was shorter. */
#ifndef API_EVENT_PIECES_H
#define API_EVENT_PIECES_H

#include <stddef.h>
#include <stdint.h>

enum { EVENT_PIECES = 8, EVENT_PIECES_STRIDE_BYTES = 16 << 10 };

struct event_piece {
	char *text;                     /* NULL: none is kept here */
	unsigned attempt;
	int64_t offset;
	size_t log_bytes;               /* how many of the log it tells */
};

/* A zeroed one is empty. */
struct event_pieces {
	struct event_piece at[EVENT_PIECES];
};

void event_pieces_finish(struct event_pieces *pieces);
/* Lent until the next call; NULL: it is to be made. */
const struct event_piece *event_pieces_find(const struct event_pieces *pieces, unsigned attempt, int64_t offset);
/* Takes text, and forgets another piece for it. */
const struct event_piece *event_pieces_keep(struct event_pieces *pieces, unsigned attempt, int64_t offset, size_t log_bytes,
	char *take_text);

#endif
