/* SPDX-License-Identifier: Apache-2.0 */
/* nursery.c - see nursery.h.  When there is a nursery, and what if it fails, is the master's choice.
 *
 * Not fork(3): the worker must be a child of the master, which takes a flag that only clone(2) has.  What fork(3)
 * does in the child beside that is done in wake_up(). */
#include "ipc/nursery.h"

#include <errno.h>
#include <linux/close_range.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { NURSERY_MAGIC = 0x63726164, NURSERY_NAME_BYTES = 16 };

struct nursery {
	struct nursery_place *place;
	int *tid;                       /* where the C library keeps the id of this thread */
	struct robust_list_head *robust;
	size_t robust_bytes;
	char name[NURSERY_NAME_BYTES];  /* that the exec gave us */
	int fds[LIMIT_NURSERY_WORKER_FDS];
	size_t fd_count;
};

union control {
	struct cmsghdr header;          /* for the alignment */
	char bytes[CMSG_SPACE(LIMIT_NURSERY_WORKER_FDS * sizeof(int))];
};

int nursery_ask(int channel_fd, const int *fds, size_t fd_count)
{
	uint32_t magic = NURSERY_MAGIC;
	struct iovec part = { &magic, sizeof(magic) };
	union control control = { .bytes = "" };
	struct msghdr message = {
		.msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes,
		.msg_controllen = CMSG_SPACE(fd_count * sizeof(int)),
	};
	struct cmsghdr *rights = CMSG_FIRSTHDR(&message);
	ssize_t n;

	rights->cmsg_level = SOL_SOCKET;
	rights->cmsg_type = SCM_RIGHTS;
	rights->cmsg_len = CMSG_LEN(fd_count * sizeof(int));
	memcpy(CMSG_DATA(rights), fds, fd_count * sizeof(int));
	do {
		n = sendmsg(channel_fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? errno : 0;
}

bool nursery_is_asked_for(int argc, char **argv)
{
	return argc == 2 && strcmp(argv[1], NURSERY_ARGUMENT) == 0;
}

/* -- the nursery ------------------------------------------------------------------------------ */

static void say(int error)
{
	struct nursery_word word = { .error = error };

	send(NURSERY_CHANNEL_FD, &word, sizeof(word), MSG_NOSIGNAL);
}

/* Where the kernel has no such call, or the C library is another one, nothing can be made here. */
static bool find_thread(struct nursery *nursery)
{
	if (prctl(PR_GET_TID_ADDRESS, &nursery->tid) != 0)
		return false;
	if (nursery->tid == NULL || *nursery->tid != (int)getpid()) {
		errno = ENOSYS;
		return false;
	}
	return syscall(SYS_get_robust_list, 0, &nursery->robust, &nursery->robust_bytes) == 0;
}

static bool prepare(struct nursery *nursery)
{
	/* Frozen, it would not see the end of its channel. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_GET_NAME, nursery->name);
	prctl(PR_SET_NAME, "gantry-nursery");
	nursery->place = mmap(NULL, sizeof(*nursery->place), PROT_READ | PROT_WRITE, MAP_SHARED, NURSERY_PLACE_FD, 0);
	if (nursery->place == MAP_FAILED)
		return false;
	/* The kernel tells nobody when it cannot note a pid, as it cannot where the page must come first and we are
	 * being killed. */
	nursery->place->pid = 0;
	mlock(nursery->place, sizeof(*nursery->place));
	return find_thread(nursery);
}

static void take_fds(struct nursery *nursery, struct msghdr *message)
{
	nursery->fd_count = 0;
	for (struct cmsghdr *part = CMSG_FIRSTHDR(message); part != NULL; part = CMSG_NXTHDR(message, part)) {
		if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS)
			continue;
		nursery->fd_count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		memcpy(nursery->fds, CMSG_DATA(part), nursery->fd_count * sizeof(int));
	}
}

/* False at the end of the channel, and for what makes no sense. */
static bool hear(struct nursery *nursery)
{
	uint32_t magic = 0;
	struct iovec part = { &magic, sizeof(magic) };
	union control control;
	struct msghdr message = {
		.msg_iov = &part, .msg_iovlen = 1,
		.msg_control = control.bytes, .msg_controllen = sizeof(control.bytes),
	};
	ssize_t n;

	do {
		n = recvmsg(NURSERY_CHANNEL_FD, &message, MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	if (n != (ssize_t)sizeof(magic) || magic != NURSERY_MAGIC || (message.msg_flags & MSG_CTRUNC) != 0)
		return false;
	take_fds(nursery, &message);
	return nursery->fd_count > 0;
}

/* They came in on the lowest free numbers, above our own: so each one's place is below it, and what is there has been
 * placed already. */
static bool place_fds(const struct nursery *nursery)
{
	for (size_t i = 0; i < nursery->fd_count; i++) {
		if (nursery->fds[i] <= (int)i || dup2(nursery->fds[i], (int)i) < 0)
			return false;
	}
	return syscall(SYS_close_range, (unsigned)nursery->fd_count, ~0U, 0) == 0;
}

/* In the new worker: what fork(3) would have set right, and what an exec would have. */
static void wake_up(struct nursery *nursery, char **argv)
{
	size_t length = strlen(argv[1]);

	*nursery->tid = (int)syscall(SYS_set_tid_address, nursery->tid);
	syscall(SYS_set_robust_list, nursery->robust, nursery->robust_bytes);
	munmap(nursery->place, sizeof(*nursery->place));
	setpgid(0, 0);
	prctl(PR_SET_NAME, nursery->name);
	/* A last byte that is not zero says that the arguments have been written over, and end at the first zero. */
	argv[1][length] = '.';
	argv[1] = NULL;
	if (!place_fds(nursery))
		_exit(NURSERY_FAILED_STATUS);
}

/* The kernel notes the pid before the new one runs and before we may be killed again. */
static pid_t copy_ourselves(struct nursery *nursery)
{
	/* Most machines have the flags first. */
#ifdef __s390x__
	return (pid_t)syscall(SYS_clone, NULL, CLONE_PARENT | CLONE_PARENT_SETTID | SIGCHLD, &nursery->place->pid,
		NULL, NULL);
#else
	return (pid_t)syscall(SYS_clone, CLONE_PARENT | CLONE_PARENT_SETTID | SIGCHLD, NULL, &nursery->place->pid,
		NULL, NULL);
#endif
}

void nursery_run(char **argv)
{
	struct nursery nursery = { .fd_count = 0 };
	int error;

	if (!prepare(&nursery)) {
		say(errno);
		_exit(EXIT_FAILURE);
	}
	say(0);
	while (hear(&nursery)) {
		pid_t pid = copy_ourselves(&nursery);

		if (pid == 0) {
			wake_up(&nursery, argv);
			return;
		}
		error = pid < 0 ? errno : 0;
		for (size_t i = 0; i < nursery.fd_count; i++)
			close(nursery.fds[i]);
		say(error);
	}
	_exit(EXIT_SUCCESS);
}
