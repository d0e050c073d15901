/* SPDX-License-Identifier: Apache-2.0 */
/* configuration.c - gantryctl's view of gantry.yaml: it is read by gantry-check, as for gantryd. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/descriptor.h"
#include "base/mem.h"
#include "conf/conf_canonical.h"
#include "conf/conf_paths.h"
#include "ctl/ctl.h"

enum { LIMIT_COMPLAINTS_BYTES = 4 << 20 };

char *ctl_libexec(const char *program)
{
	const char *directory = secure_getenv("GANTRY_LIBEXECDIR");

	return xasprintf("%s/%s", directory != NULL ? directory : LIBEXECDIR, program);
}

enum complaints { COMPLAINTS_SHOWN, COMPLAINTS_DROPPED, COMPLAINTS_KEPT };

/* Runs gantry-check with the given words; its stdout goes to out_fd when that is not negative, its
 * complaints to our stderr, nowhere, or where its stdout goes. */
static int run_gantry_check(const char *const *argv, int out_fd, enum complaints complaints)
{
	char *path = ctl_libexec("gantry-check");
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		if (out_fd >= 0)
			dup2(out_fd, STDOUT_FILENO);
		if (complaints == COMPLAINTS_DROPPED)
			dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), STDERR_FILENO);
		else if (complaints == COMPLAINTS_KEPT)
			dup2(STDOUT_FILENO, STDERR_FILENO);
		execv(path, (char *const *)argv);
		fprintf(stderr, "gantryctl: %s: %s\n", path, strerror(errno));
		_exit(CONTROL_FAILED);
	}
	free(path);
	if (pid < 0)
		return CONTROL_FAILED;
	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return CONTROL_FAILED;
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : CONTROL_FAILED;
}

int ctl_check(const char *file)
{
	const char *const argv[] = { "gantry-check", file, NULL };

	return run_gantry_check(argv, -1, COMPLAINTS_SHOWN);
}

int ctl_check_quietly(const char *file, char **text)
{
	const char *const argv[] = { "gantry-check", file, NULL };
	FILE *out = tmpfile();
	int status = CONTROL_FAILED;

	*text = NULL;
	if (out != NULL) {
		descriptor_set_cloexec(fileno(out), true);
		status = run_gantry_check(argv, fileno(out), COMPLAINTS_KEPT);
		*text = descriptor_read_all(fileno(out), LIMIT_COMPLAINTS_BYTES, NULL, NULL);
		fclose(out);
	}
	if (*text == NULL)
		*text = xstrdup("");
	return status;
}

const struct conf *ctl_conf(struct ctl *ctl)
{
	const char *const argv[] = { "gantry-check", "--canonical", ctl->file, NULL };
	struct error err;
	FILE *out;

	if (ctl->conf != NULL)
		return ctl->conf;
	out = tmpfile();
	if (out == NULL) {
		fprintf(stderr, "gantryctl: no temporary file: %s\n", strerror(errno));
		return NULL;
	}
	descriptor_set_cloexec(fileno(out), true);
	if (run_gantry_check(argv, fileno(out), COMPLAINTS_SHOWN) == 0) {
		ctl->conf = conf_canonical_read_fd(fileno(out), &err);
		if (ctl->conf == NULL)
			fprintf(stderr, "gantryctl: %s\n", err.text);
	}
	fclose(out);
	return ctl->conf;
}

static char *default_socket_path(void)
{
	struct conf_paths paths;
	char *path;

	conf_paths_init(&paths, false);
	path = conf_paths_expand(&paths, "$RUN/control.sock");
	conf_paths_finish(&paths);
	return path;
}

/* Steering must work while the file is broken: that is when one wants to ask what runs. */
char *ctl_socket_path(struct ctl *ctl)
{
	const char *given = secure_getenv("GANTRY_CONTROL_SOCKET");
	const char *const argv[] = { "gantry-check", "--only-socket", ctl->file, NULL };
	struct error err;
	char *path = NULL;
	FILE *out;

	if (given != NULL)
		return xstrdup(given);
	out = tmpfile();
	if (out != NULL) {
		descriptor_set_cloexec(fileno(out), true);
		if (run_gantry_check(argv, fileno(out), COMPLAINTS_DROPPED) == 0)
			path = descriptor_read_all(fileno(out), LIMIT_CONTROL_LINE_BYTES, NULL, &err);
		fclose(out);
	}
	if (path != NULL)
		path[strcspn(path, "\n")] = '\0';
	if (path == NULL || path[0] == '\0') {
		free(path);
		path = default_socket_path();
	}
	return path;
}
