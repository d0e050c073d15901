/* SPDX-License-Identifier: Apache-2.0 */
/* event_pieces.c - see event_pieces.h.
 *
 * A piece's place follows from its offset, so that readers who are far apart do not push out each other's. */
#include "api/event_pieces.h"

#include <stdlib.h>

void event_pieces_finish(struct event_pieces *pieces)
{
	for (size_t i = 0; i < EVENT_PIECES; i++)
		free(pieces->at[i].text);
	*pieces = (struct event_pieces){ 0 };
}

static size_t place_of(int64_t offset)
{
	return (size_t)(offset / EVENT_PIECES_STRIDE_BYTES) % EVENT_PIECES;
}

const struct event_piece *event_pieces_find(const struct event_pieces *pieces, unsigned attempt, int64_t offset)
{
	const struct event_piece *piece = &pieces->at[place_of(offset)];

	return piece->text != NULL && piece->attempt == attempt && piece->offset == offset ? piece : NULL;
}

const struct event_piece *event_pieces_keep(struct event_pieces *pieces, unsigned attempt, int64_t offset, size_t log_bytes,
	char *take_text)
{
	struct event_piece *piece = &pieces->at[place_of(offset)];

	free(piece->text);
	*piece = (struct event_piece){ .text = take_text, .attempt = attempt, .offset = offset, .log_bytes = log_bytes };
	return piece;
}
