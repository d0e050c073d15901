/* SPDX-License-Identifier: Apache-2.0 */
/* conf_paths.c - see conf_paths.h. */
#include "conf/conf_paths.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"

enum { LIMIT_PATH_BYTES = 4095 };

static const char *absolute_variable(const char *name)
{
	const char *value = getenv(name);

	return value != NULL && *value == '/' && strlen(value) < LIMIT_PATH_BYTES / 2 ? value : NULL;
}

static char *temporary(const char *name)
{
	return xasprintf("/tmp/gantry-%u/%s", (unsigned)geteuid(), name);
}

static char *own_state(void)
{
	const char *dir = absolute_variable("XDG_STATE_HOME");

	if (dir != NULL)
		return xasprintf("%s/gantry", dir);
	dir = absolute_variable("HOME");
	return dir != NULL ? xasprintf("%s/.local/state/gantry", dir) : temporary("state");
}

static char *own_run(void)
{
	const char *dir = absolute_variable("XDG_RUNTIME_DIR");

	return dir != NULL ? xasprintf("%s/gantry", dir) : temporary("gantry");
}

static bool is_ours(const char *system_dir, bool service)
{
	return service || geteuid() == 0 || eaccess(system_dir, W_OK | X_OK) == 0;
}

void conf_paths_init(struct conf_paths *paths, bool service)
{
	static const char state[] = LOCALSTATEDIR "/lib/gantry";
	static const char run[] = RUNSTATEDIR "/gantry";

	paths->state = is_ours(state, service) ? xstrdup(state) : own_state();
	paths->run = is_ours(run, service) ? xstrdup(run) : own_run();
}

void conf_paths_finish(struct conf_paths *paths)
{
	free(paths->state);
	free(paths->run);
	*paths = (struct conf_paths){ 0 };
}

char *conf_paths_expand(const struct conf_paths *paths, const char *text)
{
	struct buf out;

	buf_init(&out, 2 * LIMIT_PATH_BYTES);
	while (*text != '\0') {
		if (strncmp(text, "$STATE", 6) == 0) {
			buf_add_text(&out, paths->state);
			text += 6;
		} else if (strncmp(text, "$RUN", 4) == 0) {
			buf_add_text(&out, paths->run);
			text += 4;
		} else {
			buf_add_char(&out, *text++);
		}
	}
	return buf_take(&out);
}

/* Anybody may make a directory in /tmp before us, and would then own what we put there. */
static bool make_directory(const char *dir, struct error *err)
{
	struct stat st;

	if (mkdir(dir, 0700) == 0)
		return true;
	if (errno != EEXIST) {
		error_set_errno(err, ERROR_REFUSED, "%s cannot be made", dir);
		return false;
	}
	if (strncmp(dir, "/tmp/gantry-", 12) != 0) {
		if (stat(dir, &st) == 0 && S_ISDIR(st.st_mode))
			return true;
		error_set(err, ERROR_REFUSED, "%s is not a directory", dir);
		return false;
	}
	if (lstat(dir, &st) != 0 || !S_ISDIR(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & 022) != 0) {
		error_set(err, ERROR_REFUSED, "%s is not a directory of ours alone", dir);
		return false;
	}
	return true;
}

bool conf_paths_make(const char *file, struct error *err)
{
	char *path = xstrdup(file);
	bool ok = true;

	for (char *slash = strchr(path + (*path == '/'), '/'); ok && slash != NULL; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		/* What is there already may be one that we may enter but not write to: do not ask. */
		ok = (access(path, F_OK) == 0 && strncmp(path, "/tmp/gantry-", 12) != 0) || make_directory(path, err);
		*slash = '/';
	}
	free(path);
	return ok;
}
