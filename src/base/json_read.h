/* SPDX-License-Identifier: Apache-2.0 */
/* json_read.h - the short way from JSON text to jansson's values, for what services usually answer.
 *
 * jansson's own reader looks at each byte through several calls; with it a third of a worker's work
 * was the reading of answers.  This one knows only what is common.  It never takes what jansson
 * refuses, and whatever it does not know (an error, a surrogate, a number of 19 digits, objects
 * nested deeply) it leaves to jansson, whose verdict and words count. */
#ifndef BASE_JSON_READ_H
#define BASE_JSON_READ_H

#include <jansson.h>
#include <stddef.h>

/* An object or array of size bytes, read as json_loadb() with JSON_REJECT_DUPLICATES reads it; the
 * caller owns the reference.  NULL: ask json_loadb(). */
json_t *json_read(const char *text, size_t size);

#endif
