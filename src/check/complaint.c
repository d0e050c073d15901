/* SPDX-License-Identifier: Apache-2.0 */
/* complaint.c - see complaint.h. */
#include "check/complaint.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

void complaints_finish(struct complaints *complaints)
{
	for (size_t i = 0; i < complaints->count; i++) {
		free(complaints->at[i].path);
		free(complaints->at[i].text);
	}
	free(complaints->at);
	*complaints = (struct complaints){ 0 };
}

/* A key or a value may hold anything; one complaint stays one line that a terminal can show. */
static void disarm(char *text)
{
	for (; *text != '\0'; text++) {
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			*text = '?';
	}
}

void complain(struct complaints *complaints, struct place place, const char *path, const char *fmt, ...)
{
	struct complaint complaint = { .place = place, .serial = complaints->count };
	va_list args;

	if (complaints->count == LIMIT_COMPLAINTS) {
		complaints->dropped++;
		return;
	}
	va_start(args, fmt);
	complaint.text = xvasprintf(fmt, args);
	va_end(args);
	complaint.path = xstrdup(*path != '\0' ? path : "document");
	disarm(complaint.text);
	disarm(complaint.path);
	complaints->at = xreallocarray(complaints->at, complaints->count + 1, sizeof(*complaints->at));
	complaints->at[complaints->count++] = complaint;
}

bool complaints_about(const struct complaints *complaints, const char *path)
{
	for (size_t i = 0; i < complaints->count; i++) {
		if (strcmp(complaints->at[i].path, path) == 0)
			return true;
	}
	return false;
}

static int compare(const void *left, const void *right)
{
	const struct complaint *a = left, *b = right;

	if (a->place.line != b->place.line)
		return a->place.line < b->place.line ? -1 : 1;
	if (a->place.column != b->place.column)
		return a->place.column < b->place.column ? -1 : 1;
	return a->serial < b->serial ? -1 : 1;
}

void complaints_print(struct complaints *complaints, const char *file)
{
	if (complaints->count > 0)
		qsort(complaints->at, complaints->count, sizeof(*complaints->at), compare);
	for (size_t i = 0; i < complaints->count; i++) {
		const struct complaint *complaint = &complaints->at[i];

		fprintf(stderr, "%s:%u:%u: %s: %s\n", file, complaint->place.line, complaint->place.column,
			complaint->path, complaint->text);
	}
	if (complaints->dropped > 0)
		fprintf(stderr, "%s: and %zu more\n", file, complaints->dropped);
}
