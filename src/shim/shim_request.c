/* SPDX-License-Identifier: Apache-2.0 */
/* shim_request.c - reads what the worker asked for (process_call.h). */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "shim/shim.h"

/* Whether text begins with key ("name="); *value is what follows. */
static bool is(const char *text, const char *key, const char **value)
{
	size_t len = strlen(key);

	if (strncmp(text, key, len) != 0)
		return false;
	*value = text + len;
	return true;
}

/* Moves behind a number that is followed by end; a number that is none leaves errno set. */
static long long number(const char **at, int base, char end)
{
	char *behind;
	long long value;

	errno = **at >= '0' && **at <= '9' ? 0 : EINVAL;
	value = strtoll(*at, &behind, base);
	if (errno == 0 && *behind != end)
		errno = EINVAL;
	*at = behind + (*behind != '\0');
	return value;
}

static long long whole_number(const char *text, int base)
{
	return number(&text, base, '\0');
}

static bool read_identity(struct shim_request *request, const char *value)
{
	request->uid = (uid_t)number(&value, 10, ':');
	if (errno != 0)
		return false;
	request->gid = (gid_t)number(&value, 10, ':');
	while (errno == 0 && *value != '\0') {
		bool last = strchr(value, ',') == NULL;

		if (request->group_count == LIMIT_SHIM_GROUPS)
			return false;
		request->groups[request->group_count++] = (gid_t)number(&value, 10, last ? '\0' : ',');
	}
	request->other_user = true;
	return errno == 0;
}

static bool read_limit(struct shim_request *request, const char *value)
{
	struct shim_limit *limit = &request->limits[request->limit_count];

	if (request->limit_count++ == LIMIT_SHIM_RLIMITS)
		return false;
	limit->resource = (int)number(&value, 10, ':');
	if (errno != 0)
		return false;
	limit->value = (rlim_t)whole_number(value, 10);
	return errno == 0;
}

/* at is NULL while they are counted. */
static void add(struct shim_words *words, const char *value)
{
	if (words->at != NULL)
		words->at[words->count] = (char *)value;
	words->count++;
}

static bool read_words(struct shim_request *request, const char *text)
{
	const char *value;

	if (is(text, SHIM_KEY_ARGUMENT, &value))
		add(&request->arguments, value);
	else if (is(text, SHIM_KEY_LINE, &value))
		add(&request->lines, value);
	else if (is(text, SHIM_KEY_ALLOWED, &value))
		add(&request->allowed, value);
	else if (is(text, SHIM_KEY_ENVIRONMENT, &value))
		add(&request->environment, value);
	else if (is(text, SHIM_KEY_DOTENV_LINE, &value))
		add(&request->dotenv_lines, value);
	else
		return false;
	return true;
}

static bool read_single(struct shim_request *request, const char *text)
{
	const char *value;

	errno = 0;
	if (is(text, SHIM_KEY_DIRECTORY, &value))
		request->directory = value;
	else if (is(text, SHIM_KEY_JOB, &value))
		request->job = value;
	else if (is(text, SHIM_KEY_CHDIR, &value))
		request->chdir = value;
	else if (is(text, SHIM_KEY_DOTENV, &value))
		request->dotenv = value;
	else if (is(text, SHIM_KEY_CGROUP, &value))
		request->cgroup = value;
	else if (is(text, SHIM_KEY_IDENTITY, &value))
		return read_identity(request, value);
	else if (is(text, SHIM_KEY_LIMIT, &value))
		return read_limit(request, value);
	else if (is(text, SHIM_KEY_UMASK, &value))
		request->umask = (mode_t)whole_number(value, 8);
	else if (is(text, SHIM_KEY_NICE, &value))
		request->nice = (int)whole_number(value, 10);
	else if (is(text, SHIM_KEY_KILL_AFTER, &value))
		request->kill_after_ms = whole_number(value, 10);
	else if (is(text, SHIM_KEY_LOG_LIMIT, &value))
		request->log_limit = whole_number(value, 10);
	else if (is(text, SHIM_KEY_SLOT, &value))
		request->slot = true;
	else
		return false;
	return errno == 0;
}

static void reserve(struct shim_words *words)
{
	words->at = calloc(words->count + 1, sizeof(*words->at));
	words->count = 0;
}

static bool reserve_words(struct shim_request *request)
{
	struct shim_words *all[] = { &request->arguments, &request->lines, &request->allowed, &request->environment,
		&request->dotenv_lines };

	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
		reserve(all[i]);
		if (all[i]->at == NULL)
			return false;
	}
	return true;
}

/* Twice over the texts: the first time the words are only counted. */
static bool read_all(struct shim_request *request, const char *bytes, size_t size, char *text)
{
	for (int pass = 0; pass < 2; pass++) {
		if (pass == 1 && !reserve_words(request)) {
			snprintf(text, LIMIT_SHIM_TEXT_BYTES, "request: %s", strerror(errno));
			return false;
		}
		for (const char *at = bytes; at < bytes + size; at += strlen(at) + 1) {
			if (read_words(request, at) || pass == 1 || read_single(request, at))
				continue;
			snprintf(text, LIMIT_SHIM_TEXT_BYTES, "request: \"%.64s\" is not understood", at);
			return false;
		}
	}
	return true;
}

bool shim_request_read(struct shim_request *request, int fd, char text[LIMIT_SHIM_TEXT_BYTES])
{
	struct stat st;
	char *bytes;

	*request = (struct shim_request){ .kill_after_ms = 10000, .umask = 022 };
	if (fstat(fd, &st) != 0 || st.st_size <= 0 || st.st_size > LIMIT_SHIM_REQUEST_BYTES) {
		snprintf(text, LIMIT_SHIM_TEXT_BYTES, "request: not there, or too large");
		return false;
	}
	/* It stays mapped, as all texts are in it; writable for those who want a char *. */
	bytes = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	if (bytes == MAP_FAILED || bytes[st.st_size - 1] != '\0') {
		snprintf(text, LIMIT_SHIM_TEXT_BYTES, "request: cannot be read whole");
		return false;
	}
	if (!read_all(request, bytes, (size_t)st.st_size, text))
		return false;
	if (request->directory == NULL || (request->arguments.count == 0) == (request->lines.count == 0)) {
		snprintf(text, LIMIT_SHIM_TEXT_BYTES, "request: needs a directory, and a command or lines");
		return false;
	}
	return true;
}
