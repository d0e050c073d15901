/* SPDX-License-Identifier: Apache-2.0 */
/* process_dir.c - see process_dir.h.
 *
 * The order of reading is the reverse of the shim's order of writing, with the lock between: who finds
 * the lock free afterwards looks for the result once more. */
#include "exec/process_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/descriptor.h"
#include "base/mem.h"

static char *path_in(const char *directory, const char *name)
{
	return xasprintf("%s/%s", directory, name);
}

char *process_dir_path(const char *state_dir, const char *token)
{
	return xasprintf("%s/" PROCESS_JOBS "/%s", state_dir, token);
}

static bool exists(const char *directory, const char *name)
{
	char *path = path_in(directory, name);
	bool there = faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;

	free(path);
	return there;
}

/* -- records ---------------------------------------------------------------------------------- */

/* A record, the caller's to free; NULL when it is not there, or not whole. */
static char *read_record(const char *directory, const char *name)
{
	char *path = path_in(directory, name);
	char *text = descriptor_read_file(path, LIMIT_PROCESS_RECORD_BYTES, NULL, NULL);
	const char *end = text != NULL ? strstr(text, "\nend\n") : NULL;

	free(path);
	if (end != NULL)
		return text;
	free(text);
	return NULL;
}

/* The value of a key's line, cut to size. */
static bool record_text(const char *record, const char *key, char *value, size_t size)
{
	size_t len = strlen(key);

	for (const char *line = record; line != NULL; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, key, len) == 0 && line[len] == ' ') {
			snprintf(value, size, "%.*s", (int)strcspn(line + len + 1, "\n"), line + len + 1);
			return true;
		}
	}
	value[0] = '\0';
	return false;
}

static long long record_number(const char *record, const char *key)
{
	char value[32];

	return record_text(record, key, value, sizeof(value)) ? strtoll(value, NULL, 10) : 0;
}

static bool read_started(const char *directory, struct process_status *status)
{
	char *record = read_record(directory, PROCESS_STARTED);

	if (record == NULL)
		return false;
	record_text(record, "job", status->job, sizeof(status->job));
	record_text(record, "boot", status->boot, sizeof(status->boot));
	record_text(record, "cgroup", status->cgroup, sizeof(status->cgroup));
	status->shim = (pid_t)record_number(record, "shim");
	status->session = (pid_t)record_number(record, "session");
	status->since = (unsigned long long)record_number(record, "since");
	status->started_ms = record_number(record, "time");
	free(record);
	return true;
}

static bool read_exit(const char *directory, const char *name, struct process_status *status)
{
	char *record = read_record(directory, name);

	if (record == NULL)
		return false;
	record_text(record, "how", status->how, sizeof(status->how));
	record_text(record, "text", status->text, sizeof(status->text));
	record_text(record, "boot", status->end_boot, sizeof(status->end_boot));
	status->code = (int)record_number(record, "code");
	status->signal = (int)record_number(record, "signal");
	status->step = (unsigned)record_number(record, "step");
	status->stopped = record_number(record, "stopped") != 0;
	status->stopped_by = (pid_t)record_number(record, "stopped_by");
	status->killed = record_number(record, "killed") != 0;
	status->ended_ms = record_number(record, "ended_ms");
	status->user_us = record_number(record, "user_us");
	status->system_us = record_number(record, "system_us");
	status->max_rss_kb = record_number(record, "max_rss_kb");
	free(record);
	return true;
}

/* What a shim left on a disk that took no file. */
static bool read_lost(const char *directory, struct process_status *status)
{
	char *path = path_in(directory, PROCESS_EXIT_LOST);
	char text[256];
	ssize_t n = readlink(path, text, sizeof(text) - 1);
	int stopped = 0;
	bool ok;

	free(path);
	text[n > 0 ? n : 0] = '\0';
	ok = sscanf(text, "%31s code %d signal %d stopped %d errno %d", status->how, &status->code, &status->signal,
		&stopped, &status->lost_errno) == 5;
	status->stopped = stopped != 0;
	return ok;
}

/* -- the lock --------------------------------------------------------------------------------- */

static int open_lock(const char *directory, int flags)
{
	char *path = path_in(directory, PROCESS_LOCK);
	int fd = open(path, flags | O_CLOEXEC | O_NOFOLLOW, 0600);

	free(path);
	return fd;
}

/* Asking takes no lock, so it never makes a shim believe that another is at it. */
bool process_dir_is_held(const char *directory)
{
	struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	int fd = open_lock(directory, O_RDONLY);
	bool held = fd >= 0 && fcntl(fd, F_OFD_GETLK, &whole) == 0 && whole.l_type != F_UNLCK;

	descriptor_close(&fd);
	return held;
}

static enum process_state state_of(const char *directory, struct process_status *status)
{
	bool held, started;

	if (read_exit(directory, PROCESS_EXIT, status)) {
		read_started(directory, status);
		return PROCESS_ENDED;
	}
	held = process_dir_is_held(directory);
	started = read_started(directory, status);
	if (held)
		return started ? PROCESS_RUNNING : PROCESS_STARTING;
	if (!started)
		return exists(directory, PROCESS_VOID) ? PROCESS_GIVEN_UP : PROCESS_NONE;
	if (read_exit(directory, PROCESS_EXIT, status) || read_exit(directory, PROCESS_EXIT_NEW, status) ||
	    read_lost(directory, status))
		return PROCESS_ENDED;
	return PROCESS_DEAD;
}

bool process_dir_read(const char *directory, struct process_status *status, struct error *err)
{
	*status = (struct process_status){ .state = PROCESS_NONE };
	if (access(directory, R_OK | X_OK) != 0) {
		if (errno == ENOENT)
			return true;
		error_set_errno(err, ERROR_TEMPORARY, "%s", directory);
		return false;
	}
	status->state = state_of(directory, status);
	return true;
}

/* With the lock in our hands no shim can be between its look and its start. */
bool process_dir_give_up(const char *directory, struct error *err)
{
	struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	char *path = path_in(directory, PROCESS_VOID);
	int fd, void_fd = -1;
	bool ok = false;

	if (mkdir(directory, 0700) != 0 && errno != EEXIST)
		error_set_errno(err, ERROR_TEMPORARY, "%s", directory);
	fd = open_lock(directory, O_RDWR | O_CREAT);
	if (fd < 0 || fcntl(fd, F_OFD_SETLK, &whole) != 0) {
		error_set_errno(err, ERROR_TEMPORARY, "%s/" PROCESS_LOCK, directory);
	} else if (exists(directory, PROCESS_STARTED)) {
		error_set(err, ERROR_TEMPORARY, "%s: has been started", directory);
	} else {
		void_fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
		ok = void_fd >= 0;
		if (!ok)
			error_set_errno(err, ERROR_TEMPORARY, "%s", path);
	}
	descriptor_close(&void_fd);
	descriptor_close(&fd);
	free(path);
	return ok;
}

/* -- other files ------------------------------------------------------------------------------ */

void process_dir_write_stop(const char *directory, const char *reason)
{
	char *path = path_in(directory, PROCESS_STOP);
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);

	/* Who cannot say why stops it all the same; the first reason stays. */
	if (fd >= 0 && !descriptor_write_all(fd, reason, strlen(reason)))
		unlink(path);
	descriptor_close(&fd);
	free(path);
}

char *process_dir_read_stop(const char *directory)
{
	char *path = path_in(directory, PROCESS_STOP);
	char *text = descriptor_read_file(path, LIMIT_PROCESS_RECORD_BYTES, NULL, NULL);

	free(path);
	return text;
}

int process_dir_open(const char *directory, const char *name)
{
	char *path = path_in(directory, name);
	/* The deployment may have put anything there: a pipe must not make the reader wait. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat st;

	free(path);
	if (fd >= 0 && (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))) {
		descriptor_close(&fd);
		errno = EINVAL;
	}
	return fd;
}

bool process_dir_remove(const char *directory)
{
	DIR *dir = opendir(directory);
	struct dirent *entry;

	while (dir != NULL && (entry = readdir(dir)) != NULL) {
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			unlinkat(dirfd(dir), entry->d_name, 0);
	}
	if (dir != NULL)
		closedir(dir);
	return rmdir(directory) == 0;
}
