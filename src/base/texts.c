/* SPDX-License-Identifier: Apache-2.0 */
/* texts.c - see texts.h.  The lists are short (environment variables, subnets), so they are
 * searched from the front. */
#include "base/texts.h"

#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

void texts_add(struct texts *texts, const char *text)
{
	texts->at = xreallocarray(texts->at, texts->count + 1, sizeof(*texts->at));
	texts->at[texts->count++] = xstrdup(text);
}

void texts_finish(struct texts *texts)
{
	for (size_t i = 0; i < texts->count; i++)
		free(texts->at[i]);
	free(texts->at);
	*texts = (struct texts){ 0 };
}

bool texts_match(const struct texts *globs, const char *text)
{
	for (size_t i = 0; i < globs->count; i++) {
		if (fnmatch(globs->at[i], text, 0) == 0)
			return true;
	}
	return false;
}

static struct pair *find(const struct pairs *pairs, const char *name)
{
	for (size_t i = 0; i < pairs->count; i++) {
		if (strcmp(pairs->at[i].name, name) == 0)
			return &pairs->at[i];
	}
	return NULL;
}

void pairs_set(struct pairs *pairs, const char *name, const char *value)
{
	struct pair *pair = find(pairs, name);

	if (pair != NULL) {
		xreplace(&pair->value, value);
		return;
	}
	pairs->at = xreallocarray(pairs->at, pairs->count + 1, sizeof(*pairs->at));
	pairs->at[pairs->count++] = (struct pair){ .name = xstrdup(name), .value = xstrdup(value) };
}

void pairs_finish(struct pairs *pairs)
{
	for (size_t i = 0; i < pairs->count; i++) {
		free(pairs->at[i].name);
		free(pairs->at[i].value);
	}
	free(pairs->at);
	*pairs = (struct pairs){ 0 };
}

const char *pairs_find(const struct pairs *pairs, const char *name)
{
	const struct pair *pair = find(pairs, name);

	return pair != NULL ? pair->value : NULL;
}
