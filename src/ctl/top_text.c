/* SPDX-License-Identifier: Apache-2.0 */
/* top_text.c - see top_text.h. */
#include "config.h"

#include "ctl/top_text.h"

#include <curses.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <wctype.h>

/* The next character of the text as it may be shown; how many bytes it has, 0 at the end. */
static size_t next_character(const char *text, wchar_t *c)
{
	mbstate_t state = { 0 };
	size_t size;

	if (*text == '\0')
		return 0;
	size = mbrtowc(c, text, strlen(text), &state);
	if (size == (size_t)-1 || size == (size_t)-2) {
		*c = L'?';
		return 1;
	}
	if (!iswprint((wint_t)*c) || wcwidth(*c) < 1)
		*c = L'?';
	return size;
}

size_t top_text_fit(const char *text, int columns, wchar_t out[TOP_TEXT_COLUMNS_MAX + 1])
{
	int used = 0;
	size_t count = 0, size;
	wchar_t c;

	if (columns > TOP_TEXT_COLUMNS_MAX)
		columns = TOP_TEXT_COLUMNS_MAX;
	while ((size = next_character(text, &c)) > 0 && used + wcwidth(c) <= columns) {
		out[count++] = c;
		used += wcwidth(c);
		text += size;
	}
	for (; used < columns; used++)
		out[count++] = L' ';
	out[count] = L'\0';
	return count;
}

void top_text_put(int row, int column, int columns, const char *text)
{
	wchar_t wide[TOP_TEXT_COLUMNS_MAX + 1];
	size_t count;

	if (columns > COLS - column)
		columns = COLS - column;
	if (row < 0 || row >= LINES || columns <= 0)
		return;
	count = top_text_fit(text, columns, wide);
	mvaddnwstr(row, column, wide, (int)count);
}

int top_text_printf(int row, int column, int columns, const char *fmt, ...)
{
	char text[1024];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	top_text_put(row, column, columns, text);
	return column + columns;
}
