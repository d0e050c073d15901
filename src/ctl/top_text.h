/* SPDX-License-Identifier: Apache-2.0 */
/* top_text.h - texts on the screen, cut to columns.  Private to src/ctl.
 *
 * What is shown is written by strangers: a control character of theirs would steer the operator's terminal, so each
 * becomes a question mark. */
#ifndef CTL_TOP_TEXT_H
#define CTL_TOP_TEXT_H

#include <stddef.h>
#include <wchar.h>

enum { TOP_TEXT_COLUMNS_MAX = 512 };

/* Fills out with at most columns columns of the text, terminated, padded with blanks; how many wide characters. */
size_t top_text_fit(const char *text, int columns, wchar_t out[TOP_TEXT_COLUMNS_MAX + 1]);
/* Puts it at a place of the screen; nothing outside of it is touched. */
void top_text_put(int row, int column, int columns, const char *text);
/* The same, composed; returns the column behind it. */
int top_text_printf(int row, int column, int columns, const char *fmt, ...) __attribute__((format(printf, 4, 5)));

#endif
