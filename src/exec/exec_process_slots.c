/* SPDX-License-Identifier: Apache-2.0 */
/* exec_process_slots.c - a deployer's `parallel`, over all workers of a host.
 *
 * A slot is a locked file.  The lock is of an open file description, taken by a worker and left to a shim, so
 * it is held exactly as long as that or its guard lives, and no count can be wrong after a crash.
 * Asking is done without locking: a failed try for a lock would look like a slot that was given back.
 * Only one worker at a time counts and takes, behind a lock on the directory; who finds it busy looks
 * again a moment later. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/descriptor.h"
#include "base/mem.h"
#include "exec/exec_process.h"

enum { LIMIT_SLOTS = 4096 };

char *process_slots_path(const char *state_dir, const char *deployer)
{
	return xasprintf("%s/" PROCESS_PARALLEL "/%s", state_dir, deployer);
}

static char *slot_path(const char *slots, unsigned number)
{
	return xasprintf("%s/%u", slots, number);
}

static bool is_held(int fd)
{
	struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	return fcntl(fd, F_OFD_GETLK, &whole) == 0 && whole.l_type != F_UNLCK;
}

/* Also those beyond `parallel`, from when there were more of them. */
static unsigned count_held(const char *slots)
{
	unsigned held = 0;

	for (unsigned i = 0; i < LIMIT_SLOTS; i++) {
		char *path = slot_path(slots, i);
		int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

		free(path);
		if (fd < 0)
			break;
		held += is_held(fd);
		close(fd);
	}
	return held;
}

static enum process_slot try_slot(const char *slots, unsigned number, int *fd, struct error *err)
{
	struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	char *path = slot_path(slots, number);
	enum process_slot slot = PROCESS_SLOT_NONE_FREE;
	int asking_fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	*fd = -1;
	if (asking_fd < 0 || !is_held(asking_fd)) {
		*fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
		if (*fd < 0) {
			error_set_errno(err, ERROR_TEMPORARY, "%s", path);
			slot = PROCESS_SLOT_FAILED;
		} else if (fcntl(*fd, F_OFD_SETLK, &whole) == 0) {
			slot = PROCESS_SLOT_TAKEN;
		} else {
			descriptor_close(fd);
		}
	}
	descriptor_close(&asking_fd);
	free(path);
	return slot;
}

enum process_slot process_slot_take(const char *state_dir, const char *deployer, unsigned parallel, int *fd,
	struct error *err)
{
	char *slots = process_slots_path(state_dir, deployer);
	enum process_slot slot = PROCESS_SLOT_NONE_FREE;
	int gate_fd;

	*fd = -1;
	if (mkdir(slots, 0700) != 0 && errno != EEXIST) {
		error_set_errno(err, ERROR_TEMPORARY, "%s", slots);
		free(slots);
		return PROCESS_SLOT_FAILED;
	}
	gate_fd = open(slots, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (gate_fd < 0) {
		error_set_errno(err, ERROR_TEMPORARY, "%s", slots);
		slot = PROCESS_SLOT_FAILED;
	} else if (flock(gate_fd, LOCK_EX | LOCK_NB) == 0 && count_held(slots) < parallel) {
		for (unsigned i = 0; i < parallel && slot == PROCESS_SLOT_NONE_FREE; i++)
			slot = try_slot(slots, i, fd, err);
	}
	descriptor_close(&gate_fd);
	free(slots);
	return slot;
}
