/* SPDX-License-Identifier: Apache-2.0 */
/* conf_value.h - one value of a configuration, between text and field, by its row. */
#ifndef CONF_CONF_VALUE_H
#define CONF_CONF_VALUE_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/texts.h"
#include "conf/conf_schema.h"

/* The row's field within the struct that its table fills. */
void *conf_field(const struct conf_row *row, void *section);
const void *conf_field_const(const struct conf_row *row, const void *section);

/* The struct of an option; NULL when it is not there, unless make. */
void *conf_option(const struct conf_row *row, void *section, bool make);

/* Whether a row counts in this section: what belongs to one `type` alone counts with that type only. */
bool conf_row_counts(const struct conf_row *rows, const struct conf_row *row, const void *section);
/* Of several rows of one key, for one type each, the one that counts; else the first; NULL: no such key. */
const struct conf_row *conf_row_of(const struct conf_row *rows, const char *key, const void *section);

/* Elements of a map or a list. */
size_t conf_element_count(const struct conf_row *row, const void *section);
void *conf_element(const struct conf_row *row, const void *section, size_t index);
/* Adds a zeroed element at the end; name (copied) only for a map. */
void *conf_element_add(const struct conf_row *row, void *section, const char *name);
/* A map's element by name, or NULL. */
void *conf_element_find(const struct conf_row *row, const void *section, const char *name);

/* Reads the text of a scalar kind into its field, within the row's bounds; false leaves the field as
 * it was.  Templates are not checked here: their names are the job's (job/template.h). */
bool conf_value_parse(const struct conf_row *row, const char *text, void *field);
/* Reads the texts of a list from between ", ", as a default is written; false when one is not among the
 * row's words. */
bool conf_texts_parse(const struct conf_row *row, const char *text, struct texts *texts);
/* Appends a scalar's text, which conf_value_parse() reads back; false when it is not given (NULL). */
bool conf_value_format(const struct conf_row *row, const void *field, struct buf *out);
/* As above with secrets shown as "********". */
bool conf_value_format_masked(const struct conf_row *row, const void *field, struct buf *out);
/* Appends what the row takes, in words: "a duration from 10s to 12h". */
void conf_value_expected(const struct conf_row *row, struct buf *out);

/* Frees all that the rows' fields hold. */
void conf_section_finish(const struct conf_row *rows, void *section);

#endif
