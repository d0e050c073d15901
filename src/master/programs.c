/* SPDX-License-Identifier: Apache-2.0 */
/* programs.c - see programs.h. */
#include "master/programs.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/descriptor.h"
#include "base/mem.h"
#include "master/signals.h"
#include "master/spawn.h"

void programs_init(struct programs *programs)
{
	*programs = (struct programs){ .check_fd = -1, .worker_fd = -1 };
}

void programs_finish(struct programs *programs)
{
	descriptor_close(&programs->check_fd);
	descriptor_close(&programs->worker_fd);
}

static bool pin(int *fd, const char *name, struct error *err)
{
	const char *elsewhere = secure_getenv("GANTRY_LIBEXECDIR");
	char *path;

	if (*fd >= 0)
		return true;
	path = xasprintf("%s/%s", elsewhere != NULL ? elsewhere : LIBEXECDIR, name);
	*fd = spawn_pin(path, err);
	free(path);
	return *fd >= 0;
}

bool programs_open(struct programs *programs, struct error *err)
{
	return pin(&programs->check_fd, "gantry-check", err) && pin(&programs->worker_fd, "gantry-worker", err);
}

void programs_exec_check(const char *conf_path, struct error *err)
{
	char *const argv[] = { "gantry-check", (char *)conf_path, NULL };
	int fd = -1;

	if (!pin(&fd, "gantry-check", err))
		return;
	signals_reset();
	syscall(SYS_execveat, fd, "", argv, environ, AT_EMPTY_PATH);
	error_set_errno(err, ERROR_REFUSED, "gantry-check cannot be executed");
	descriptor_close(&fd);
}
