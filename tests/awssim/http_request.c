/* SPDX-License-Identifier: Apache-2.0 */
/* http_request.c - the head of a request cut into strings, nothing copied. */
#include "http_request.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static char *skip_blanks(char *at)
{
	while (*at == ' ' || *at == '\t')
		at++;
	return at;
}

/* Ends the line at `at` with a NUL and gives the start of the next one. */
static char *cut_line(char *at, char *end)
{
	char *newline = memchr(at, '\n', (size_t)(end - at));

	if (newline == NULL)
		return NULL;
	*newline = '\0';
	if (newline > at && newline[-1] == '\r')
		newline[-1] = '\0';
	return newline + 1;
}

static bool parse_request_line(struct http_request *request, char *line)
{
	char *target = strchr(line, ' '), *version;

	if (target == NULL)
		return false;
	*target++ = '\0';
	version = strchr(target, ' ');
	if (version == NULL)
		return false;
	*version++ = '\0';
	if (strncmp(version, "HTTP/1.", 7) != 0 || target[0] != '/')
		return false;
	request->method = line;
	request->path = target;
	request->keep_alive = strcmp(version, "HTTP/1.0") != 0;
	target = strchr(target, '?');
	if (target == NULL) {
		request->query = version + strlen(version);
	} else {
		*target = '\0';
		request->query = target + 1;
	}
	return true;
}

static bool parse_header(struct http_request *request, char *line)
{
	struct http_header *header = &request->headers[request->header_count];
	char *colon = strchr(line, ':'), *end;

	if (colon == NULL || colon == line || request->header_count == LIMIT_HEADERS)
		return false;
	*colon = '\0';
	for (char *at = line; at < colon; at++)
		*at = (char)tolower((unsigned char)*at);
	header->name = line;
	header->value = skip_blanks(colon + 1);
	end = header->value + strlen(header->value);
	while (end > header->value && (end[-1] == ' ' || end[-1] == '\t'))
		*--end = '\0';
	request->header_count++;
	return true;
}

static enum http_parsed parse_framing(struct http_request *request)
{
	const char *length = http_request_header(request, "content-length");
	const char *connection = http_request_header(request, "connection");
	const char *expect = http_request_header(request, "expect");
	char *end;
	unsigned long long bytes;

	if (connection != NULL && strcasecmp(connection, "close") == 0)
		request->keep_alive = false;
	request->expects_continue = expect != NULL && strcasecmp(expect, "100-continue") == 0;
	if (http_request_header(request, "transfer-encoding") != NULL)
		return HTTP_LENGTH_REQUIRED;
	if (length == NULL)
		return HTTP_HEAD_READ;
	if (!isdigit((unsigned char)length[0]))
		return HTTP_MALFORMED;
	bytes = strtoull(length, &end, 10);
	if (*end != '\0')
		return HTTP_MALFORMED;
	if (bytes > LIMIT_BODY_BYTES)
		return HTTP_TOO_LARGE;
	request->body_bytes = (size_t)bytes;
	return HTTP_HEAD_READ;
}

enum http_parsed http_request_parse(struct http_request *request, char *data, size_t bytes)
{
	char *end = memmem(data, bytes, "\r\n\r\n", 4), *line, *next;

	if (end == NULL)
		return bytes > LIMIT_HEAD_BYTES ? HTTP_TOO_LARGE : HTTP_INCOMPLETE;
	end += 4;
	if (memchr(data, '\0', (size_t)(end - data)) != NULL)
		return HTTP_MALFORMED;
	request->header_count = 0;
	request->body_bytes = 0;
	request->head_bytes = (size_t)(end - data);
	request->body = end;
	line = data;
	next = cut_line(line, end);
	if (!parse_request_line(request, line))
		return HTTP_MALFORMED;
	for (line = next; line < end; line = next) {
		next = cut_line(line, end);
		if (*line == '\0')
			break;
		if (!parse_header(request, line))
			return HTTP_MALFORMED;
	}
	return parse_framing(request);
}

void http_request_move(struct http_request *request, const char *from, char *to)
{
	request->method = to + (request->method - from);
	request->path = to + (request->path - from);
	request->query = to + (request->query - from);
	request->body = to + (request->body - from);
	for (unsigned i = 0; i < request->header_count; i++) {
		struct http_header *header = &request->headers[i];

		header->name = to + (header->name - from);
		header->value = to + (header->value - from);
	}
}

const char *http_request_header(const struct http_request *request, const char *name)
{
	for (unsigned i = 0; i < request->header_count; i++) {
		if (strcmp(request->headers[i].name, name) == 0)
			return request->headers[i].value;
	}
	return NULL;
}

static int hex_value(char letter)
{
	if (letter >= '0' && letter <= '9')
		return letter - '0';
	letter = (char)(letter | 0x20);
	return letter >= 'a' && letter <= 'f' ? letter - 'a' + 10 : -1;
}

long http_decode(char *string, size_t bytes)
{
	char *out = string;

	for (size_t i = 0; i < bytes; i++) {
		if (string[i] == '%') {
			int high, low;

			if (bytes - i < 3)
				return -1;
			high = hex_value(string[i + 1]);
			low = hex_value(string[i + 2]);
			if (high < 0 || low < 0)
				return -1;
			*out++ = (char)(high << 4 | low);
			i += 2;
		} else {
			*out++ = string[i] == '+' ? ' ' : string[i];
		}
	}
	return out - string;
}

bool http_request_parameter(const struct http_request *request, const char *name, char *value,
			    size_t room)
{
	size_t name_bytes = strlen(name);

	for (const char *at = request->query; *at != '\0'; at += strcspn(at, "&"), at += *at == '&') {
		size_t bytes = strcspn(at, "&");
		long decoded;

		if (strncmp(at, name, name_bytes) != 0 || at[name_bytes] != '=')
			continue;
		bytes -= name_bytes + 1;
		if (bytes >= room)
			return false;
		memcpy(value, at + name_bytes + 1, bytes);
		decoded = http_decode(value, bytes);
		if (decoded < 0)
			return false;
		value[decoded] = '\0';
		return true;
	}
	return false;
}
