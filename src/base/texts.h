/* SPDX-License-Identifier: Apache-2.0 */
/* texts.h - a list of texts, and a list of named texts, in the order they were added. */
#ifndef BASE_TEXTS_H
#define BASE_TEXTS_H

#include <stdbool.h>
#include <stddef.h>

/* Both own their texts; a zeroed struct is an empty list. */
struct texts { char **at; size_t count; };
struct pair { char *name, *value; };
struct pairs { struct pair *at; size_t count; };

void texts_add(struct texts *texts, const char *text);
void texts_finish(struct texts *texts);
/* Whether one of the globs (fnmatch(3), without flags) matches text. */
bool texts_match(const struct texts *globs, const char *text);

/* A name that is there already gets the new value and keeps its place. */
void pairs_set(struct pairs *pairs, const char *name, const char *value);
void pairs_finish(struct pairs *pairs);
/* The value, or NULL. */
const char *pairs_find(const struct pairs *pairs, const char *name);

#endif
