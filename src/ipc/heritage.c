/* SPDX-License-Identifier: Apache-2.0 */
/* heritage.c - see heritage.h.  Which descriptors a child gets is the master's choice; here they are
 * only checked to be there. */
#include "ipc/heritage.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/descriptor.h"

static const char *const names[ROLES] = {
	[ROLE_WORKER] = "worker",
	[ROLE_CHECK] = "check",
	[ROLE_API] = "api",
};

const char *role_name(enum role role)
{
	return role < ROLES ? names[role] : "unknown";
}

int heritage_write(const struct heritage *heritage, struct error *err)
{
	struct heritage copy = *heritage;

	copy.magic = HERITAGE_MAGIC;
	copy.version = HERITAGE_VERSION;
	copy.size = sizeof(copy);
	copy.owner[sizeof(copy.owner) - 1] = '\0';
	return descriptor_sealed_memory("heritage", &copy, sizeof(copy), err);
}

static bool read_whole(struct heritage *heritage, struct error *err)
{
	ssize_t n;

	do {
		n = pread(HERITAGE_FD, heritage, sizeof(*heritage), 0);
	} while (n < 0 && errno == EINTR);
	if (n < 0) {
		error_set_errno(err, ERROR_INVALID, "heritage on descriptor %d (this program is started by gantryd)",
			HERITAGE_FD);
		return false;
	}
	if (n != (ssize_t)sizeof(*heritage) || heritage->magic != HERITAGE_MAGIC ||
	    heritage->version != HERITAGE_VERSION || heritage->size != sizeof(*heritage)) {
		error_set(err, ERROR_INVALID, "heritage is of another version: gantryd and this program "
			"are not of one installation");
		return false;
	}
	heritage->owner[sizeof(heritage->owner) - 1] = '\0';
	return true;
}

/* -1 says that there is none. */
static bool keep(int fd, const char *what, struct error *err)
{
	if (fd < 0 || descriptor_set_cloexec(fd, true))
		return true;
	error_set_errno(err, ERROR_INVALID, "heritage: %s on descriptor %d", what, fd);
	return false;
}

static bool keep_listeners(const struct heritage *heritage, struct error *err)
{
	for (size_t i = 0; i < HERITAGE_LISTENERS && heritage->listener_fds[i] >= 0; i++) {
		if (!keep(heritage->listener_fds[i], "listener", err))
			return false;
	}
	return true;
}

bool heritage_read(struct heritage *heritage, struct error *err)
{
	if (!read_whole(heritage, err))
		return false;
	close(HERITAGE_FD);
	if (heritage->role >= ROLES) {
		error_set(err, ERROR_INVALID, "heritage: unknown role %u", heritage->role);
		return false;
	}
	return keep(heritage->channel_fd, "channel", err) && keep(heritage->config_fd, "configuration", err) &&
		keep(heritage->log_fd, "log", err) && keep(heritage->in_hand_fd, "shared memory", err) &&
		keep(heritage->figures_fd, "figures", err) &&
		keep(heritage->shim_fd, "gantry-shim", err) && keep_listeners(heritage, err);
}
