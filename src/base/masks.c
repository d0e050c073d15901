/* SPDX-License-Identifier: Apache-2.0 */
/* masks.c - see masks.h.  Secrets are few and mostly begin with different bytes, so a text is read once, with
 * a table of first bytes; nothing cleverer was worth its code. */
#include "base/masks.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

struct mask {
	char *bytes;                    /* secret */
	size_t size;
	struct mask *next;              /* with the same first byte */
};

struct masks {
	struct mask *by_first[256];
	size_t count, longest;
};

struct masks *masks_create(void)
{
	return xnew(struct masks);
}

void masks_destroy(struct masks *masks)
{
	if (masks == NULL)
		return;
	for (size_t i = 0; i < 256; i++) {
		struct mask *mask;

		while ((mask = masks->by_first[i]) != NULL) {
			masks->by_first[i] = mask->next;
			xfree_secret(mask->bytes);
			free(mask);
		}
	}
	free(masks);
}

static void add_piece(struct masks *masks, const char *bytes, size_t size)
{
	struct mask **first = &masks->by_first[(unsigned char)bytes[0]];
	struct mask *mask;

	for (mask = *first; mask != NULL; mask = mask->next) {
		if (mask->size == size && memcmp(mask->bytes, bytes, size) == 0)
			return;
	}
	if (masks->count >= LIMIT_MASKS)
		return;
	mask = xnew(struct mask);
	*mask = (struct mask){ .bytes = xstrndup(bytes, size), .size = size, .next = *first };
	*first = mask;
	masks->count++;
	if (size > masks->longest)
		masks->longest = size;
}

/* The last piece of a long one overlaps the one before, so that it is no short one. */
static void add_line(struct masks *masks, const char *bytes, size_t size)
{
	while (size > 0 && bytes[size - 1] == '\r')
		size--;
	if (size < MASK_LEAST_BYTES)
		return;
	for (size_t at = 0; at + LIMIT_MASK_PIECE_BYTES < size; at += LIMIT_MASK_PIECE_BYTES)
		add_piece(masks, bytes + at, LIMIT_MASK_PIECE_BYTES);
	if (size > LIMIT_MASK_PIECE_BYTES)
		add_piece(masks, bytes + size - LIMIT_MASK_PIECE_BYTES, LIMIT_MASK_PIECE_BYTES);
	else
		add_piece(masks, bytes, size);
}

void masks_add(struct masks *masks, const char *secret)
{
	while (secret != NULL && *secret != '\0') {
		size_t size = strcspn(secret, "\n");

		add_line(masks, secret, size);
		secret += size + (secret[size] == '\n');
	}
}

size_t masks_longest(const struct masks *masks)
{
	return masks != NULL ? masks->longest : 0;
}

/* Bytes of the longest secret that begins here; 0: none does. */
static size_t match(const struct masks *masks, const char *bytes, size_t size)
{
	size_t longest = 0;

	for (const struct mask *mask = masks->by_first[(unsigned char)bytes[0]]; mask != NULL; mask = mask->next) {
		if (mask->size > longest && mask->size <= size && memcmp(mask->bytes, bytes, mask->size) == 0)
			longest = mask->size;
	}
	return longest;
}

void masks_copy(const struct masks *masks, const char *bytes, size_t size, size_t from, size_t to, char *out)
{
	size_t covered = 0;             /* up to here */

	memcpy(out, bytes + from, to - from);
	for (size_t at = 0; masks != NULL && at < to; at++) {
		size_t matched;

		if (masks->by_first[(unsigned char)bytes[at]] != NULL) {
			matched = match(masks, bytes + at, size - at);
			if (matched > 0 && at + matched > covered)
				covered = at + matched;
		}
		if (at < covered && at >= from)
			out[at - from] = '*';
	}
}

size_t masks_open_end(const struct masks *masks, const char *bytes, size_t size)
{
	size_t longest = masks_longest(masks);

	if (longest == 0)
		return 0;
	for (size_t at = size >= longest ? size - longest + 1 : 0; at < size; at++) {
		for (const struct mask *mask = masks->by_first[(unsigned char)bytes[at]]; mask != NULL; mask = mask->next) {
			if (mask->size > size - at && memcmp(mask->bytes, bytes + at, size - at) == 0)
				return size - at;
		}
	}
	return 0;
}
