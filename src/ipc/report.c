/* SPDX-License-Identifier: Apache-2.0 */
/* report.c - see report.h.  Checks form and size, never meaning: what a report may do in which state
 * is the receiver's table. */
#include "ipc/report.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "base/descriptor.h"

static const char *const names[REPORT_KINDS] = {
	[REPORT_HELLO] = "hello",
	[REPORT_READY] = "ready",
	[REPORT_REFUSED] = "refused",
	[REPORT_ALIVE] = "alive",
	[REPORT_QUEUE] = "queue",
	[REPORT_RELEASED] = "released",
	[REPORT_WAKE] = "wake",
	[REPORT_HINT] = "hint",
	[REPORT_EMPTY] = "empty",
	[REPORT_GO] = "go",
	[REPORT_DRAIN] = "drain",
	[REPORT_RELEASE] = "release",
	[REPORT_EXIT] = "exit",
	[REPORT_REOPEN] = "reopen",
	[REPORT_PING] = "ping",
	[REPORT_ADOPT] = "adopt",
	[REPORT_SWEEP] = "sweep",
	[REPORT_ORPHANS] = "orphans",
	[REPORT_CRASHED_ON] = "crashed_on",
	[REPORT_SCALE] = "scale",
};

union passed {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(sizeof(int))];
};

const char *report_kind_name(enum report_kind kind)
{
	return kind < REPORT_KINDS ? names[kind] : "unknown";
}

void report_init(struct report *report, enum report_kind kind, unsigned generation)
{
	*report = (struct report){
		.magic = REPORT_MAGIC,
		.version = REPORT_VERSION,
		.kind = (uint16_t)kind,
		.generation = generation,
	};
}

static void attach(struct msghdr *message, union passed *passed, int fd)
{
	struct cmsghdr *control;

	memset(passed, 0, sizeof(*passed));
	message->msg_control = passed->bytes;
	message->msg_controllen = sizeof(passed->bytes);
	control = CMSG_FIRSTHDR(message);
	control->cmsg_level = SOL_SOCKET;
	control->cmsg_type = SCM_RIGHTS;
	control->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(control), &fd, sizeof(fd));
}

bool report_send(int channel_fd, const struct report *report, int pass_fd)
{
	struct iovec part = { .iov_base = (void *)report, .iov_len = sizeof(*report) };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };
	union passed passed;
	ssize_t n;

	if (pass_fd >= 0)
		attach(&message, &passed, pass_fd);
	do {
		n = sendmsg(channel_fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	return n == (ssize_t)sizeof(*report);
}

/* The one descriptor that may come along; there is room for no second. */
static int detach(struct msghdr *message)
{
	struct cmsghdr *control = CMSG_FIRSTHDR(message);
	int fd = -1;

	if (control != NULL && control->cmsg_level == SOL_SOCKET && control->cmsg_type == SCM_RIGHTS &&
	    control->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(&fd, CMSG_DATA(control), sizeof(fd));
	return fd;
}

static bool well_formed(const struct report *report, ssize_t size, int flags)
{
	return size == (ssize_t)sizeof(*report) && (flags & MSG_TRUNC) == 0 && report->magic == REPORT_MAGIC &&
		report->version == REPORT_VERSION && report->kind < REPORT_KINDS;
}

enum report_read report_receive(int channel_fd, struct report *report, int *passed_fd)
{
	struct iovec part = { .iov_base = report, .iov_len = sizeof(*report) };
	union passed passed;
	struct msghdr message = {
		.msg_iov = &part, .msg_iovlen = 1, .msg_control = passed.bytes, .msg_controllen = sizeof(passed.bytes),
	};
	ssize_t n;
	int fd;

	if (passed_fd != NULL)
		*passed_fd = -1;
	/* A peer that left without reading all of ours is told of first; its last words come behind that. */
	do {
		n = recvmsg(channel_fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	} while (n < 0 && (errno == EINTR || errno == ECONNRESET));
	if (n < 0)
		return errno == EAGAIN || errno == EWOULDBLOCK ? REPORT_READ_NONE : REPORT_READ_EOF;
	if (n == 0)
		return REPORT_READ_EOF;
	fd = detach(&message);
	if (!well_formed(report, n, message.msg_flags) || passed_fd == NULL)
		descriptor_close(&fd);
	if (!well_formed(report, n, message.msg_flags))
		return REPORT_READ_BAD;
	report->name[sizeof(report->name) - 1] = '\0';
	report->text[sizeof(report->text) - 1] = '\0';
	if (passed_fd != NULL)
		*passed_fd = fd;
	return REPORT_READ_ONE;
}
