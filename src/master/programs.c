/* SPDX-License-Identifier: Apache-2.0 */
/* programs.c - see programs.h. */
#include "master/programs.h"

#include <errno.h>
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
	*programs = (struct programs){ .check_fd = -1, .worker_fd = -1, .api_fd = -1, .shim_fd = -1 };
}

void programs_finish(struct programs *programs)
{
	descriptor_close(&programs->check_fd);
	descriptor_close(&programs->worker_fd);
	descriptor_close(&programs->api_fd);
	descriptor_close(&programs->shim_fd);
	programs->opened = false;
}

static bool pin(int *fd, const char *name, bool may_lack, struct error *err)
{
	const char *elsewhere = secure_getenv("GANTRY_LIBEXECDIR");
	char *path;
	bool ok;

	if (*fd >= 0)
		return true;
	path = xasprintf("%s/%s", elsewhere != NULL ? elsewhere : LIBEXECDIR, name);
	ok = may_lack && access(path, F_OK) != 0 && errno == ENOENT;
	if (!ok) {
		*fd = spawn_pin(path, err);
		ok = *fd >= 0;
	}
	free(path);
	return ok;
}

bool programs_open(struct programs *programs, struct error *err)
{
	if (!programs->opened)
		programs->opened = pin(&programs->check_fd, "gantry-check", false, err) &&
			pin(&programs->worker_fd, "gantry-worker", false, err) &&
			pin(&programs->api_fd, "gantry-api", true, err) &&
			pin(&programs->shim_fd, "gantry-shim", true, err);
	return programs->opened;
}

void programs_exec_check(const char *conf_path, struct error *err)
{
	char *const argv[] = { "gantry-check", (char *)conf_path, NULL };
	int fd = -1;

	if (!pin(&fd, "gantry-check", false, err))
		return;
	signals_reset();
	syscall(SYS_execveat, fd, "", argv, environ, AT_EMPTY_PATH);
	error_set_errno(err, ERROR_REFUSED, "gantry-check cannot be executed");
	descriptor_close(&fd);
}
