/* SPDX-License-Identifier: Apache-2.0 */
/* sigv4_canonical.c - see sigv4_canonical.h. */
#include "aws/sigv4_canonical.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"

/* Proxies and libcurl add, drop or change these; the SDKs leave them out for the same reason. */
static const char *const unsigned_names[] = {
	"authorization", "cache-control", "connection", "expect", "from", "keep-alive", "max-forwards",
	"pragma", "referer", "te", "trailer", "transfer-encoding", "upgrade", "user-agent", "x-amzn-trace-id",
};

struct query_part { char *name, *value; };

static bool is_unreserved(unsigned char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9')
		|| c == '-' || c == '_' || c == '.' || c == '~';
}

void sigv4_add_encoded(struct buf *text, const char *bytes, size_t size, const char *keep)
{
	for (size_t i = 0; i < size; i++) {
		unsigned char c = (unsigned char)bytes[i];

		if (is_unreserved(c) || (c != '\0' && strchr(keep, c) != NULL))
			buf_add_char(text, (char)c);
		else
			buf_printf(text, "%%%02X", c);
	}
}

/* Drops the last segment of an already resolved path. */
static void drop_segment(struct buf *path)
{
	while (path->size > 0 && path->bytes[--path->size] != '/')
		;
}

static void add_resolved(struct buf *resolved, const char *path)
{
	const char *at = path;
	bool slash = *path != '\0' && path[strlen(path) - 1] == '/';

	while (*at != '\0') {
		size_t len;

		at += strspn(at, "/");
		len = strcspn(at, "/");
		if (len == 2 && memcmp(at, "..", 2) == 0) {
			drop_segment(resolved);
		} else if (len > 0 && !(len == 1 && *at == '.')) {
			buf_add_char(resolved, '/');
			buf_add(resolved, at, len);
		}
		at += len;
	}
	if (resolved->size == 0 || slash)
		buf_add_char(resolved, '/');
}

void sigv4_add_path(struct buf *text, const char *path, bool keep_dots)
{
	struct buf resolved;

	if (strcmp(path, "/") == 0) {           /* nearly always */
		buf_add_char(text, '/');
		return;
	}
	if (keep_dots) {
		sigv4_add_encoded(text, path, strlen(path), "/");
		return;
	}
	buf_init(&resolved, LIMIT_SIGV4_TEXT_BYTES);
	add_resolved(&resolved, path);
	sigv4_add_encoded(text, resolved.bytes, resolved.size, "/");
	if (resolved.overflowed)
		text->overflowed = true;
	buf_finish(&resolved);
}

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static int nibble(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* A query is sent encoded; decoding first gives every way of writing it the same canonical form. */
static char *recode(const char *bytes, size_t size)
{
	struct buf plain, encoded;

	buf_init(&plain, LIMIT_SIGV4_TEXT_BYTES);
	buf_init(&encoded, 3 * (size_t)LIMIT_SIGV4_TEXT_BYTES);
	for (size_t i = 0; i < size; i++) {
		int high = bytes[i] == '%' && i + 2 < size ? nibble(bytes[i + 1]) : -1;
		int low = high >= 0 ? nibble(bytes[i + 2]) : -1;

		if (low >= 0) {
			buf_add_char(&plain, (char)(high << 4 | low));
			i += 2;
		} else {
			buf_add_char(&plain, bytes[i]);
		}
	}
	sigv4_add_encoded(&encoded, plain.bytes, plain.size, "");
	buf_finish(&plain);
	return buf_take(&encoded);
}

static int compare_parts(const void *a, const void *b)
{
	const struct query_part *left = a, *right = b;
	int order = strcmp(left->name, right->name);

	return order != 0 ? order : strcmp(left->value, right->value);
}

/* Splits query into encoded parts; returns their number, at most LIMIT_SIGV4_QUERY_PARTS + 1. */
static size_t split_query(const char *query, struct query_part *parts)
{
	size_t count = 0;

	while (*query != '\0' && count < LIMIT_SIGV4_QUERY_PARTS) {
		size_t len = strcspn(query, "&");
		const char *equals = memchr(query, '=', len);
		size_t name = equals != NULL ? (size_t)(equals - query) : len;

		if (len > 0) {
			parts[count].name = recode(query, name);
			parts[count].value = equals != NULL ? recode(equals + 1, len - name - 1) : xstrdup("");
			count++;
		}
		query += len;
		query += *query == '&';
	}
	return *query == '\0' ? count : LIMIT_SIGV4_QUERY_PARTS + 1;
}

bool sigv4_add_query(struct buf *text, const char *query)
{
	struct query_part *parts;
	size_t count;
	bool ok;

	if (query == NULL || *query == '\0')
		return true;
	parts = xcalloc(LIMIT_SIGV4_QUERY_PARTS, sizeof(*parts));
	count = split_query(query, parts);
	ok = count <= LIMIT_SIGV4_QUERY_PARTS;
	if (ok) {
		qsort(parts, count, sizeof(*parts), compare_parts);
		for (size_t i = 0; i < count; i++)
			buf_printf(text, "%s%s=%s", i > 0 ? "&" : "", parts[i].name, parts[i].value);
	}
	for (size_t i = 0; i < LIMIT_SIGV4_QUERY_PARTS; i++) {
		free(parts[i].name);
		free(parts[i].value);
	}
	free(parts);
	return ok;
}

static bool is_signed(const char *name)
{
	char first = lower(name[0]);

	if (strncasecmp(name, "proxy-", 6) == 0 || strncasecmp(name, "sec-", 4) == 0)
		return false;
	for (size_t i = 0; i < sizeof(unsigned_names) / sizeof(unsigned_names[0]); i++)
		if (unsigned_names[i][0] == first && strcasecmp(name, unsigned_names[i]) == 0)
			return false;
	return true;
}

/* They are few, and mostly in order. */
bool sigv4_sort(struct sigv4_sorted *sorted, const struct sigv4_header *headers, size_t count)
{
	sorted->count = 0;
	if (count > LIMIT_SIGV4_HEADERS)
		return false;
	for (size_t i = 0; i < count; i++) {
		size_t to = sorted->count;

		if (!is_signed(headers[i].name))
			continue;
		for (; to > 0 && strcasecmp(sorted->at[to - 1]->name, headers[i].name) > 0; to--)
			sorted->at[to] = sorted->at[to - 1];
		sorted->at[to] = &headers[i];
		sorted->count++;
	}
	return true;
}

/* before: the one before it; NULL at the first. */
static bool same_name(const struct sigv4_header *before, const struct sigv4_header *header)
{
	return before != NULL && strcasecmp(header->name, before->name) == 0;
}

static void add_lower(struct buf *text, const char *name)
{
	size_t from = text->size;

	if (buf_add_text(text, name))
		for (char *c = text->bytes + from; *c != '\0'; c++)
			*c = lower(*c);
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Trimmed, and with one blank for each run of blanks and line folds. */
static void add_value(struct buf *text, const char *value)
{
	const char *end;

	while (is_blank(*value))
		value++;
	while (*value != '\0') {
		for (end = value; *end != '\0' && !is_blank(*end); end++)
			;
		buf_add(text, value, (size_t)(end - value));
		for (value = end; is_blank(*value); value++)
			;
		if (*value != '\0')
			buf_add_char(text, ' ');
	}
}

bool sigv4_add_headers(struct buf *text, const struct sigv4_sorted *headers)
{
	const struct sigv4_header *before = NULL;

	for (size_t i = 0; i < headers->count; before = headers->at[i], i++) {
		if (same_name(before, headers->at[i])) {
			buf_add_char(text, ',');
		} else {
			if (i > 0)
				buf_add_char(text, '\n');
			add_lower(text, headers->at[i]->name);
			buf_add_char(text, ':');
		}
		add_value(text, headers->at[i]->value);
	}
	return buf_add_char(text, '\n');
}

bool sigv4_add_signed_names(struct buf *text, const struct sigv4_sorted *headers)
{
	const struct sigv4_header *before = NULL;

	for (size_t i = 0; i < headers->count; before = headers->at[i], i++) {
		if (same_name(before, headers->at[i]))
			continue;
		if (i > 0)
			buf_add_char(text, ';');
		add_lower(text, headers->at[i]->name);
	}
	return !text->overflowed;
}
