/* SPDX-License-Identifier: Apache-2.0 */
/* error.c - see error.h.  Text that does not fit is cut; the kind never is. */
#include "base/error.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const char *const names[ERROR_KINDS] = {
	[ERROR_NONE] = "none",           [ERROR_TEMPORARY] = "temporary", [ERROR_THROTTLED] = "throttled",
	[ERROR_AMBIGUOUS] = "ambiguous", [ERROR_REFUSED] = "refused",     [ERROR_INVALID] = "invalid",
	[ERROR_LOST] = "lost",
};

const char *error_kind_name(enum error_kind kind)
{
	return kind < ERROR_KINDS ? names[kind] : "unknown";
}

bool error_may_pass(enum error_kind kind)
{
	return kind == ERROR_TEMPORARY || kind == ERROR_THROTTLED || kind == ERROR_AMBIGUOUS;
}

static void set(struct error *err, enum error_kind kind, const char *fmt, va_list args)
{
	err->kind = kind;
	err->code[0] = '\0';
	vsnprintf(err->text, sizeof(err->text), fmt, args);
}

void error_set(struct error *err, enum error_kind kind, const char *fmt, ...)
{
	va_list args;

	if (err == NULL)
		return;
	va_start(args, fmt);
	set(err, kind, fmt, args);
	va_end(args);
}

void error_set_errno(struct error *err, enum error_kind kind, const char *fmt, ...)
{
	int saved = errno;
	va_list args;
	size_t used;

	if (err == NULL)
		return;
	va_start(args, fmt);
	set(err, kind, fmt, args);
	va_end(args);
	used = strlen(err->text);
	snprintf(err->text + used, sizeof(err->text) - used, ": %s", strerror(saved));
	errno = saved;
}

void error_prefix(struct error *err, const char *fmt, ...)
{
	char before[LIMIT_ERROR_TEXT_BYTES];
	char after[LIMIT_ERROR_TEXT_BYTES];
	va_list args;
	int n;

	if (err == NULL)
		return;
	va_start(args, fmt);
	vsnprintf(before, sizeof(before), fmt, args);
	va_end(args);
	memcpy(after, err->text, sizeof(after));
	n = snprintf(err->text, sizeof(err->text), "%s: ", before);
	if (n > 0 && (size_t)n < sizeof(err->text)) {
		size_t room = sizeof(err->text) - (size_t)n - 1;
		size_t len = strnlen(after, room);

		memcpy(err->text + n, after, len);
		err->text[(size_t)n + len] = '\0';
	}
}

void error_set_code(struct error *err, const char *code)
{
	if (err != NULL)
		snprintf(err->code, sizeof(err->code), "%s", code != NULL ? code : "");
}
