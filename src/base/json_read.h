/* SPDX-License-Identifier: Apache-2.0 */
/* json_read.h - the short way from JSON text to jansson's values, for what services usually answer.
 *
 * jansson's own reader looks at each byte through several calls; with it a third of a worker's work
 * was the reading of answers.  This one knows only what is common.  It never keeps what jansson
 * refuses, and whatever it does not know (an error, a surrogate, a number of 19 digits, objects
 * nested deeply) it leaves to jansson, whose verdict and words count.
 *
 * A task in ECS's answer has a hundred values, of which a launch reads one.  Whoever says what it reads is
 * spared the reading, making and freeing of all others. */
#ifndef BASE_JSON_READ_H
#define BASE_JSON_READ_H

#include <jansson.h>
#include <stddef.h>

/* An object or array of size bytes, read as json_loadb() with JSON_REJECT_DUPLICATES reads it; the
 * caller owns the reference.  NULL: ask json_loadb().
 *
 * wanted: names of members, NULL behind the last; NULL itself: all.  Members of other names, at any depth, are
 * left out with all that is in them, unread: their quotes and brackets say where they end, and whether what is between
 * these is JSON is not asked. */
json_t *json_read(const char *text, size_t size, const char *const *wanted);
/* One string of a text that we have made ourselves, the caller's to free.  path: names of members from the outermost
 * in, NULL behind the last; of an array its first element counts.  NULL: it isn't there. */
char *json_read_string(const char *text, const char *const *path);

#endif
