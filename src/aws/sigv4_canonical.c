/* SPDX-License-Identifier: Apache-2.0 */
/* sigv4_canonical.c - see sigv4_canonical.h. */
#include "aws/sigv4_canonical.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"

/* Proxies and libcurl add, drop or change these; the SDKs leave them out for the same reason. */
static const char *const unsigned_names[] = {
	"authorization", "cache-control", "connection", "expect", "from", "keep-alive", "max-forwards",
	"pragma", "referer", "te", "trailer", "transfer-encoding", "upgrade", "user-agent", "x-amzn-trace-id",
};

struct signed_header {
	const struct sigv4_header *header;      /* the caller's array keeps the order of equal names */
};

struct query_part { char *name, *value; };

void sigv4_add_encoded(struct buf *text, const char *bytes, size_t size, const char *keep)
{
	static const char unreserved[] = "-_.~";

	for (size_t i = 0; i < size; i++) {
		unsigned char c = (unsigned char)bytes[i];
		bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9')
			|| (c != '\0' && (strchr(unreserved, c) != NULL || strchr(keep, c) != NULL));

		if (plain)
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

static int nibble(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)tolower((unsigned char)c);
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
	struct query_part *parts = xcalloc(LIMIT_SIGV4_QUERY_PARTS, sizeof(*parts));
	size_t count = split_query(query != NULL ? query : "", parts);
	bool ok = count <= LIMIT_SIGV4_QUERY_PARTS;

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
	if (strncasecmp(name, "proxy-", 6) == 0 || strncasecmp(name, "sec-", 4) == 0)
		return false;
	for (size_t i = 0; i < sizeof(unsigned_names) / sizeof(unsigned_names[0]); i++)
		if (strcasecmp(name, unsigned_names[i]) == 0)
			return false;
	return true;
}

static int compare_headers(const void *a, const void *b)
{
	const struct signed_header *left = a, *right = b;
	int order = strcasecmp(left->header->name, right->header->name);

	return order != 0 ? order : (left->header > right->header) - (left->header < right->header);
}

/* The headers to sign, by name; false when there are too many. */
static bool sort_headers(const struct sigv4_header *headers, size_t count, struct signed_header *sorted, size_t *used)
{
	*used = 0;
	if (count > LIMIT_SIGV4_HEADERS)
		return false;
	for (size_t i = 0; i < count; i++)
		if (is_signed(headers[i].name))
			sorted[(*used)++].header = &headers[i];
	qsort(sorted, *used, sizeof(*sorted), compare_headers);
	return true;
}

static bool same_name(const struct signed_header *sorted, size_t i)
{
	return i > 0 && strcasecmp(sorted[i].header->name, sorted[i - 1].header->name) == 0;
}

static void add_lower(struct buf *text, const char *name)
{
	for (; *name != '\0'; name++)
		buf_add_char(text, (char)tolower((unsigned char)*name));
}

/* Trimmed, and with one blank for each run of blanks and line folds. */
static void add_value(struct buf *text, const char *value)
{
	static const char blanks[] = " \t\r\n";

	value += strspn(value, blanks);
	while (*value != '\0') {
		size_t len = strcspn(value, blanks);

		buf_add(text, value, len);
		value += len;
		value += strspn(value, blanks);
		if (*value != '\0')
			buf_add_char(text, ' ');
	}
}

bool sigv4_add_headers(struct buf *text, const struct sigv4_header *headers, size_t count)
{
	struct signed_header sorted[LIMIT_SIGV4_HEADERS];
	size_t used;

	if (!sort_headers(headers, count, sorted, &used))
		return false;
	for (size_t i = 0; i < used; i++) {
		if (same_name(sorted, i)) {
			buf_add_char(text, ',');
		} else {
			if (i > 0)
				buf_add_char(text, '\n');
			add_lower(text, sorted[i].header->name);
			buf_add_char(text, ':');
		}
		add_value(text, sorted[i].header->value);
	}
	return buf_add_char(text, '\n');
}

bool sigv4_add_signed_names(struct buf *text, const struct sigv4_header *headers, size_t count)
{
	struct signed_header sorted[LIMIT_SIGV4_HEADERS];
	size_t used;

	if (!sort_headers(headers, count, sorted, &used))
		return false;
	for (size_t i = 0; i < used; i++) {
		if (same_name(sorted, i))
			continue;
		if (i > 0)
			buf_add_char(text, ';');
		add_lower(text, sorted[i].header->name);
	}
	return !text->overflowed;
}
