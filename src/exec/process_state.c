/* SPDX-License-Identifier: Apache-2.0 */
/* process_state.c - the state directory as a whole: its id, its handles, what is kept in it. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/descriptor.h"
#include "base/mem.h"
#include "base/random.h"
#include "exec/process_dir.h"

/* -- its id ----------------------------------------------------------------------------------- */

bool process_state_find(const char *state_dir, char id[PROCESS_ID_BYTES])
{
	char *path = xasprintf("%s/" PROCESS_ID_FILE, state_dir);
	char *text = descriptor_read_file(path, 2 * PROCESS_ID_BYTES, NULL, NULL);
	bool ok = text != NULL && strspn(text, "0123456789abcdef") == PROCESS_ID_BYTES - 1;

	if (ok)
		memcpy(id, text, PROCESS_ID_BYTES - 1);
	id[ok ? PROCESS_ID_BYTES - 1 : 0] = '\0';
	free(path);
	free(text);
	return ok;
}

/* Whole or not at all, and of several workers that make one at the same time the first one's. */
static bool make_id(const char *state_dir, struct error *err)
{
	char id[RANDOM_ID_BYTES];
	char *fresh, *path = xasprintf("%s/" PROCESS_ID_FILE, state_dir);
	bool ok;
	int fd;

	random_id(id);
	fresh = xasprintf("%s/" PROCESS_ID_FILE ".%s", state_dir, id);
	fd = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	ok = fd >= 0 && descriptor_write_all(fd, id, strlen(id)) && fsync(fd) == 0 &&
		(link(fresh, path) == 0 || errno == EEXIST);
	if (!ok)
		error_set_errno(err, ERROR_REFUSED, "%s", path);
	descriptor_close(&fd);
	unlink(fresh);
	free(fresh);
	free(path);
	return ok;
}

static bool make_directory(const char *path, struct error *err)
{
	if (mkdir(path, 0700) == 0 || errno == EEXIST)
		return true;
	error_set_errno(err, ERROR_REFUSED, "%s", path);
	return false;
}

static bool make_inside(const char *state_dir, const char *name, struct error *err)
{
	char *path = xasprintf("%s/%s", state_dir, name);
	bool ok = make_directory(path, err);

	free(path);
	return ok;
}

/* With the directories above it. */
static bool make_state(const char *state_dir, struct error *err)
{
	char *path = xstrdup(state_dir);
	bool ok = true;

	for (char *slash = strchr(path + 1, '/'); ok && slash != NULL; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		ok = access(path, F_OK) == 0 || make_directory(path, err);
		*slash = '/';
	}
	free(path);
	return ok && make_directory(state_dir, err);
}

bool process_state_open(const char *state_dir, char id[PROCESS_ID_BYTES], struct error *err)
{
	int fd;

	if (!make_state(state_dir, err) || !make_inside(state_dir, PROCESS_JOBS, err) ||
	    !make_inside(state_dir, PROCESS_PARALLEL, err))
		return false;
	if (!process_state_find(state_dir, id)) {
		if (!make_id(state_dir, err))
			return false;
		if (!process_state_find(state_dir, id)) {
			error_set(err, ERROR_REFUSED, "%s/" PROCESS_ID_FILE ": not the id of a state directory", state_dir);
			return false;
		}
		/* What is started in it must be found again after a power cut. */
		fd = open(state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd >= 0)
			fsync(fd);
		descriptor_close(&fd);
	}
	return true;
}

/* -- handles ---------------------------------------------------------------------------------- */

char *process_handle_make(const char *directory, const char *id)
{
	return xasprintf("%s#%s", directory, id);
}

/* Cuts the last part of a path off; false when there is none. */
static bool cut(char *path)
{
	char *slash = strrchr(path, '/');

	if (slash == NULL)
		return false;
	*slash = '\0';
	return true;
}

char *process_handle_directory(const char *handle)
{
	const char *mark = handle != NULL && *handle == '/' ? strrchr(handle, '#') : NULL;
	char id[PROCESS_ID_BYTES];
	char *directory, *state_dir;
	bool ours;

	if (mark == NULL)
		return NULL;
	directory = xstrndup(handle, (size_t)(mark - handle));
	state_dir = xstrdup(directory);
	ours = cut(state_dir) && cut(state_dir) && process_state_find(state_dir, id) && strcmp(id, mark + 1) == 0;
	free(state_dir);
	if (ours)
		return directory;
	free(directory);
	return NULL;
}

/* -- keeping ---------------------------------------------------------------------------------- */

struct process_sweep {
	char *jobs;
	DIR *dir;
	int64_t older_than_ms;
	process_old_fn *old;
	void *arg;
};

struct process_sweep *process_sweep_create(const char *state_dir, int64_t older_than_ms, process_old_fn *old,
	void *arg, struct error *err)
{
	struct process_sweep *sweep = xnew(struct process_sweep);

	sweep->jobs = xasprintf("%s/" PROCESS_JOBS, state_dir);
	sweep->dir = opendir(sweep->jobs);
	sweep->older_than_ms = older_than_ms;
	sweep->old = old;
	sweep->arg = arg;
	if (sweep->dir != NULL)
		return sweep;
	error_set_errno(err, ERROR_TEMPORARY, "%s", sweep->jobs);
	process_sweep_destroy(sweep);
	return NULL;
}

/* The log's time is that of the last word; without one the directory's. */
int64_t process_dir_written_ms(const char *directory)
{
	static const char *const names[] = { PROCESS_LOG, PROCESS_RESULT, "." };
	int64_t last_ms = 0;

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		char *path = xasprintf("%s/%s", directory, names[i]);
		struct stat st;

		if (lstat(path, &st) == 0 && (int64_t)st.st_mtime * 1000 > last_ms)
			last_ms = (int64_t)st.st_mtime * 1000;
		free(path);
	}
	return last_ms;
}

int64_t process_dir_bytes(const char *directory)
{
	static const char *const names[] = { PROCESS_LOG, PROCESS_RESULT };
	int64_t bytes = 0;

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		char *path = xasprintf("%s/%s", directory, names[i]);
		struct stat st;

		if (lstat(path, &st) == 0)
			bytes += (int64_t)st.st_blocks * 512;
		free(path);
	}
	return bytes;
}

static void sweep_one(struct process_sweep *sweep, const char *name)
{
	char *directory = xasprintf("%s/%s", sweep->jobs, name);
	struct process_status status;

	if (process_dir_written_ms(directory) < sweep->older_than_ms && process_dir_read(directory, &status, NULL) &&
	    status.state != PROCESS_RUNNING && status.state != PROCESS_STARTING)
		sweep->old(sweep->arg, status.job, directory);
	free(directory);
}

bool process_sweep_step(struct process_sweep *sweep, size_t max)
{
	for (size_t i = 0; i < max; i++) {
		struct dirent *entry = readdir(sweep->dir);

		if (entry == NULL)
			return false;
		if (entry->d_name[0] != '.')
			sweep_one(sweep, entry->d_name);
	}
	return true;
}

void process_sweep_destroy(struct process_sweep *sweep)
{
	if (sweep == NULL)
		return;
	if (sweep->dir != NULL)
		closedir(sweep->dir);
	free(sweep->jobs);
	free(sweep);
}
