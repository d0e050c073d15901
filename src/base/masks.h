/* SPDX-License-Identifier: Apache-2.0 */
/* masks.h - secrets that must not be read in a text that grows.
 *
 * A byte of the text that any occurrence of a secret covers is shown as an asterisk, so a masked text is as
 * long as the text itself: offsets into one are offsets into the other, whatever is masked today and was not
 * yesterday.  Whether a byte is covered depends on its neighbourhood alone, never on how the text was cut.
 *
 * A submitter may bring secrets, so what they cost is bounded: reading a text takes time in proportion to its
 * length, however many they are and however much alike.  More than fit are never left out in silence: then
 * nothing of the text is shown but where its lines end. */
#ifndef BASE_MASKS_H
#define BASE_MASKS_H

#include <stdbool.h>
#include <stddef.h>

enum {
	MASK_LEAST_BYTES = 6,           /* shorter ones would mask words that are no secret */
	LIMIT_MASK_PIECE_BYTES = 1024,  /* a longer secret is looked for in pieces */
	LIMIT_MASKS_BYTES = 32 << 10,   /* of all, each counted as often as it was added; 24 times that is kept */
};

struct masks;

struct masks *masks_create(void);
/* NULL is allowed, here and below: there are no secrets. */
void masks_destroy(struct masks *masks);
/* Each line of secret counts for itself, as programs print long ones (keys) line by line.  NULL is allowed. */
void masks_add(struct masks *masks, const char *secret);
/* Some secrets are not known: from now on all of the text is one, except for its newlines. */
void masks_hide_all(struct masks *masks);
/* It is so, by the above or as more were added than LIMIT_MASKS_BYTES. */
bool masks_hides_all(const struct masks *masks);
/* Bytes of the longest one; 0: there are none, and the text is shown as it is. */
size_t masks_longest(const struct masks *masks);
/* Copies bytes[from..to) to out, masked.  The window must reach masks_longest() - 1 further on both sides, as
 * far as the text does. */
void masks_copy(struct masks *masks, const char *bytes, size_t size, size_t from, size_t to, char *out);
/* How many bytes at the end may be the beginning of a secret, so that nobody knows yet how they are shown. */
size_t masks_open_end(struct masks *masks, const char *bytes, size_t size);

#endif
