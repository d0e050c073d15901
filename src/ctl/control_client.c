/* SPDX-License-Identifier: Apache-2.0 */
/* control_client.c - see control_client.h.  gantryctl has nothing else to do, so this one blocks,
 * with a deadline. */
#include "ctl/control_client.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/descriptor.h"

struct conversation {
	int fd;
	double deadline_s;
	struct buf in;
	control_line_fn *fn;
	void *arg;
	bool ended;
	enum control_status status;
};

static int connect_to(const char *path, struct error *why)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd;

	if (strlen(path) >= sizeof(address.sun_path)) {
		error_set(why, ERROR_INVALID, "%s: too long for a Unix socket", path);
		return -1;
	}
	strncpy(address.sun_path, path, sizeof(address.sun_path) - 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
		bool absent = errno == ENOENT || errno == ECONNREFUSED;

		error_set_errno(why, ERROR_TEMPORARY, "%s at %s", absent ? "no gantryd listens" : "cannot ask gantryd", path);
		descriptor_close(&fd);
	}
	return fd;
}

static void end(struct conversation *talk, const struct control_line *line, struct error *why)
{
	const char *status = control_line_find(line, "status");
	const char *text = control_line_find(line, "why");

	talk->ended = true;
	talk->status = status != NULL ? (enum control_status)atoi(status) : CONTROL_FAILED;
	if (talk->status != CONTROL_DONE)
		error_set(why, ERROR_REFUSED, "%s", text != NULL ? text : "refused");
}

static bool take_line(struct conversation *talk, const char *text, size_t size, struct error *why)
{
	struct control_line line;

	if (!control_line_parse(&line, text, size, why))
		return false;
	if (strcmp(line.name, "end") == 0)
		end(talk, &line, why);
	else if (talk->fn != NULL)
		talk->fn(talk->arg, &line);
	control_line_finish(&line);
	return true;
}

static bool take_lines(struct conversation *talk, struct error *why)
{
	const char *newline;

	while (!talk->ended && talk->in.size > 0 && (newline = memchr(talk->in.bytes, '\n', talk->in.size)) != NULL) {
		size_t size = (size_t)(newline - talk->in.bytes);

		if (!take_line(talk, talk->in.bytes, size, why))
			return false;
		buf_consume(&talk->in, size + 1);
	}
	return true;
}

/* One read; false when there will be no more. */
static bool read_some(struct conversation *talk, struct error *why)
{
	struct pollfd ready = { .fd = talk->fd, .events = POLLIN };
	double left_s = talk->deadline_s - clock_monotonic_s();
	int polled = left_s > 0 ? poll(&ready, 1, (int)(left_s * 1000) + 1) : 0;
	char chunk[4096];
	ssize_t n;

	if (polled < 0 && errno == EINTR)
		return true;
	if (polled == 0) {
		talk->status = CONTROL_DEFERRED;
		error_set(why, ERROR_TEMPORARY, "gantryd gave no answer in time; what was asked may still happen");
		return false;
	}
	n = read(talk->fd, chunk, sizeof(chunk));
	if (n < 0 && errno == EINTR)
		return true;
	if (n <= 0) {
		talk->status = CONTROL_UNREACHABLE;
		error_set(why, ERROR_TEMPORARY, "gantryd closed the connection before it answered");
		return false;
	}
	if (!buf_add(&talk->in, chunk, (size_t)n)) {
		error_set(why, ERROR_INVALID, "gantryd's answer is larger than %d bytes", LIMIT_CONTROL_REPLY_BYTES);
		return false;
	}
	return take_lines(talk, why);
}

enum control_status control_ask(struct ctl *ctl, const char *request, double timeout_s, control_line_fn *fn, void *arg,
	struct error *why)
{
	char *path = ctl_socket_path(ctl);
	struct conversation talk = {
		.fd = connect_to(path, why), .deadline_s = clock_monotonic_s() + timeout_s, .fn = fn, .arg = arg,
		.status = CONTROL_FAILED,
	};

	free(path);
	if (talk.fd < 0)
		return CONTROL_UNREACHABLE;
	buf_init(&talk.in, LIMIT_CONTROL_REPLY_BYTES);
	if (descriptor_write_all(talk.fd, request, strlen(request)) && descriptor_write_all(talk.fd, "\n", 1)) {
		while (!talk.ended && read_some(&talk, why))
			;
	} else {
		talk.status = CONTROL_UNREACHABLE;
		error_set_errno(why, ERROR_TEMPORARY, "cannot ask gantryd");
	}
	buf_finish(&talk.in);
	close(talk.fd);
	return talk.status;
}
