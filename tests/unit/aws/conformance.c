/* SPDX-License-Identifier: Apache-2.0 */
#include "../cmocka_all.h"

#include "conformance.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

extern char **environ;

const char *conformance_folder(void)
{
	static char path[4096];
	const char *given = getenv("GANTRY_AWS_CONFORMANCE");
	const char *top = getenv("abs_top_srcdir");

	if (given != NULL)
		return given;
	snprintf(path, sizeof(path), "%s/../shared/data/aws-conformance", top != NULL ? top : ".");
	return access(path, R_OK) == 0 ? path : NULL;
}

json_t *conformance_load(const char *name)
{
	char path[4096];
	json_error_t why;
	json_t *doc;

	if (conformance_folder() == NULL)
		return NULL;
	snprintf(path, sizeof(path), "%s/%s", conformance_folder(), name);
	doc = json_load_file(path, 0, &why);
	if (doc == NULL)
		fail_msg("%s: %s", path, why.text);
	return doc;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st;
	(void)type;
	(void)at;
	return remove(path);
}

static char scratch[64];

static void remove_scratch(void)
{
	nftw(scratch, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

const char *scratch_folder(void)
{
	if (scratch[0] == '\0') {
		snprintf(scratch, sizeof(scratch), "/tmp/gantry-unit-aws-XXXXXX");
		if (mkdtemp(scratch) == NULL)
			fail_msg("mkdtemp: %s", strerror(errno));
		atexit(remove_scratch);
	}
	return scratch;
}

const char *scratch_write(const char *name, const char *text)
{
	static char paths[8][256];
	static unsigned next;
	char *path = paths[next++ % 8];
	char *slash;
	FILE *file;

	snprintf(path, 256, "%s/%s", scratch_folder(), name);
	for (slash = strchr(path + strlen(scratch) + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		mkdir(path, 0700);
		*slash = '/';
	}
	file = fopen(path, "we");
	if (file == NULL)
		fail_msg("%s: %s", path, strerror(errno));
	fputs(text, file);
	fclose(file);
	return path;
}

void scratch_remove(const char *name)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", scratch_folder(), name);
	unlink(path);
}

void clear_environment(void)
{
	char name[256];

	for (size_t i = 0; environ[i] != NULL;) {
		if (strncmp(environ[i], "AWS_", 4) != 0) {
			i++;
			continue;
		}
		snprintf(name, sizeof(name), "%.*s", (int)strcspn(environ[i], "="), environ[i]);
		unsetenv(name);
	}
	setenv("HOME", scratch_folder(), 1);
	scratch_remove(".aws/config");
	scratch_remove(".aws/credentials");
}
