/* SPDX-License-Identifier: Apache-2.0 */
/* json_text.h - JSON written straight into text.
 * jansson's own dump walks every string by character; answers are most of this program's work. */
#ifndef AWSSIM_JSON_TEXT_H
#define AWSSIM_JSON_TEXT_H

#include "text.h"

#include <jansson.h>
#include <stdint.h>

/* A whole value, compact.  Reals are taken for times: three digits after the point. */
void json_text_value(struct text *, json_t *);

/* Members and items one by one: the comma comes by itself, brackets are the caller's. */
void json_text_name(struct text *, const char *name);
void json_text_item(struct text *);
void json_text_string(struct text *, const char *string, size_t bytes);
void json_text_member(struct text *, const char *name, const char *value);      /* NULL: nothing */
void json_text_number_member(struct text *, const char *name, int64_t number);

/* The same for equal values, whatever the order of their members. */
/* Of an object's members but one. */
uint64_t json_text_hash_without(json_t *object, const char *name);
uint64_t json_text_hash(json_t *);

#endif
