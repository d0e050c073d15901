/* SPDX-License-Identifier: Apache-2.0 */
/* profile.c - see profile.h.  Which files, which profile, and which of two values counts; how a
 * file is written is profile_file.h's. */
#include "aws/profile.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/descriptor.h"
#include "base/mem.h"

struct profile {
	char *name;
	bool named;                     /* by our caller or the environment */
	char *paths[PROFILE_FILE_KINDS];
	struct profile_file *files[PROFILE_FILE_KINDS];         /* NULL: not there */
};

const char *profile_env(const char *variable)
{
	const char *value = getenv(variable);

	return value != NULL && value[strspn(value, " \t")] != '\0' ? value : NULL;
}

static char *find_path(const char *variable, const char *under_home)
{
	const char *path = profile_env(variable);
	const char *home = profile_env("HOME");

	if (path != NULL && strncmp(path, "~/", 2) == 0 && home != NULL)
		return xasprintf("%s/%s", home, path + 2);
	if (path != NULL)
		return xstrdup(path);
	return home != NULL ? xasprintf("%s/%s", home, under_home) : xstrdup("");
}

/* A device can only be /dev/null: the usual way to say that there shall be no such file. */
static bool is_there(const char *path)
{
	struct stat st;

	if (path[0] == '\0')
		return false;
	if (stat(path, &st) != 0)
		return errno != ENOENT && errno != ENOTDIR;
	return !S_ISCHR(st.st_mode);
}

static bool read_file(struct profile *profile, enum profile_file_kind kind, struct error *err)
{
	const char *path = profile->paths[kind];
	struct error why = { 0 };
	size_t size;
	char *text;

	if (!is_there(path))
		return true;
	text = descriptor_read_file(path, LIMIT_PROFILE_FILE_BYTES, &size, &why);
	if (text == NULL) {
		error_set(err, ERROR_REFUSED, "AWS shared file %s", why.text);
		return false;
	}
	profile->files[kind] = profile_file_parse(kind, path, text, size, err);
	explicit_bzero(text, size);
	free(text);
	return profile->files[kind] != NULL;
}

struct profile *profile_load(const char *name, struct error *err)
{
	struct profile *profile = xnew(struct profile);

	if (name == NULL || name[0] == '\0')
		name = profile_env("AWS_PROFILE");
	if (name == NULL)
		name = profile_env("AWS_DEFAULT_PROFILE");
	profile->named = name != NULL;
	profile->name = xstrdup(name != NULL ? name : "default");
	profile->paths[PROFILE_FILE_CONFIG] = find_path("AWS_CONFIG_FILE", ".aws/config");
	profile->paths[PROFILE_FILE_CREDENTIALS] = find_path("AWS_SHARED_CREDENTIALS_FILE", ".aws/credentials");
	for (int kind = 0; kind < PROFILE_FILE_KINDS; kind++) {
		if (!read_file(profile, kind, err)) {
			profile_destroy(profile);
			return NULL;
		}
	}
	return profile;
}

void profile_destroy(struct profile *profile)
{
	if (profile == NULL)
		return;
	for (int kind = 0; kind < PROFILE_FILE_KINDS; kind++) {
		free(profile->paths[kind]);
		profile_file_destroy(profile->files[kind]);
	}
	free(profile->name);
	free(profile);
}

const char *profile_name(const struct profile *profile)
{
	return profile->name;
}

bool profile_is_named(const struct profile *profile)
{
	return profile->named;
}

const char *profile_path(const struct profile *profile, enum profile_file_kind kind)
{
	return profile->paths[kind];
}

static const struct profile_section *find(const struct profile *profile, enum profile_file_kind kind, const char *name)
{
	if (profile->files[kind] == NULL)
		return NULL;
	return profile_file_find(profile->files[kind], PROFILE_SECTION_PROFILE, name);
}

bool profile_exists(const struct profile *profile, const char *name)
{
	if (name == NULL)
		name = profile->name;
	return find(profile, PROFILE_FILE_CONFIG, name) != NULL ||
	       find(profile, PROFILE_FILE_CREDENTIALS, name) != NULL;
}

const char *profile_get_in(const struct profile *profile, enum profile_file_kind kind, const char *name,
	const char *key)
{
	return profile_section_get(find(profile, kind, name), key);
}

const char *profile_get_of(const struct profile *profile, const char *name, const char *key)
{
	const char *value = profile_get_in(profile, PROFILE_FILE_CREDENTIALS, name, key);

	return value != NULL ? value : profile_get_in(profile, PROFILE_FILE_CONFIG, name, key);
}

const char *profile_get(const struct profile *profile, const char *key)
{
	return profile_get_of(profile, profile->name, key);
}

const char *profile_service(const struct profile *profile, const char *service, const char *key)
{
	const char *services = profile_get(profile, "services");
	const struct profile_file *config = profile->files[PROFILE_FILE_CONFIG];

	if (services == NULL || config == NULL)
		return NULL;
	return profile_section_part(profile_file_find(config, PROFILE_SECTION_SERVICES, services), service, key);
}
