/* SPDX-License-Identifier: Apache-2.0 */
/* log_piece.h - where a log that is read in blocks may be cut.
 *
 * A log is bytes, what we answer is UTF-8: half a character at a block's end would become two that nobody
 * wrote. */
#ifndef API_LOG_PIECE_H
#define API_LOG_PIECE_H

#include <stdbool.h>
#include <stddef.h>

/* How many of the bytes make whole characters: up to three less, when the last one is not complete. */
size_t log_piece_characters(const char *bytes, size_t size);
/* How many to give away now: up to the last line's end; without one, nothing before the block is full.
 * room: how many bytes would fit; complete: nothing will be added to the log. */
size_t log_piece_lines(const char *bytes, size_t size, size_t room, bool complete);

#endif
