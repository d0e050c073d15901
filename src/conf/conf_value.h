/* SPDX-License-Identifier: Apache-2.0 */
/* conf_value.h - one value of a configuration, between text and field, by its row. */
#ifndef CONF_CONF_VALUE_H
#define CONF_CONF_VALUE_H

#include <stdbool.h>

#include "base/buf.h"
#include "conf/conf_schema.h"

/* The row's field within the struct that its table fills. */
void *conf_field(const struct conf_row *row, void *section);
const void *conf_field_const(const struct conf_row *row, const void *section);

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
/* Appends a scalar's text, which conf_value_parse() reads back; false when it is not given (NULL). */
bool conf_value_format(const struct conf_row *row, const void *field, struct buf *out);
/* As above with secrets shown as "********". */
bool conf_value_format_masked(const struct conf_row *row, const void *field, struct buf *out);
/* Appends what the row takes, in words: "a duration from 10s to 12h". */
void conf_value_expected(const struct conf_row *row, struct buf *out);

/* Frees all that the rows' fields hold. */
void conf_section_finish(const struct conf_row *rows, void *section);

#endif
