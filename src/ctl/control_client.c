/* SPDX-License-Identifier: Apache-2.0 */
/* control_client.c - see control_client.h.  A command that has nothing else to do blocks, with a deadline. */
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
#include "base/list.h"
#include "base/mem.h"

struct conversation {
	int fd;
	double deadline_s;
	struct buf in;
	control_line_fn *fn;
	void *arg;
	bool ended;
	enum control_status status;
};

/* flags: SOCK_NONBLOCK or 0. */
static int connect_to(const char *path, int flags, struct error *why)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd;

	if (strlen(path) >= sizeof(address.sun_path)) {
		error_set(why, ERROR_INVALID, "%s: too long for a Unix socket", path);
		return -1;
	}
	strncpy(address.sun_path, path, sizeof(address.sun_path) - 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
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

static void give_up(struct conversation *talk, struct error *why)
{
	talk->status = CONTROL_DEFERRED;
	error_set(why, ERROR_TEMPORARY, "gantryd gave no answer in time; what was asked may still happen");
}

/* One read; false when there will be no more. */
static bool read_some(struct conversation *talk, struct error *why)
{
	char chunk[4096];
	ssize_t n = read(talk->fd, chunk, sizeof(chunk));

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
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

/* False when there will be no more. */
static bool wait_and_read(struct conversation *talk, struct error *why)
{
	struct pollfd ready = { .fd = talk->fd, .events = POLLIN };
	double left_s = talk->deadline_s - clock_monotonic_s();
	int polled = left_s > 0 ? poll(&ready, 1, (int)(left_s * 1000) + 1) : 0;

	if (polled < 0 && errno == EINTR)
		return true;
	if (polled == 0) {
		give_up(talk, why);
		return false;
	}
	return read_some(talk, why);
}

enum control_status control_ask(struct ctl *ctl, const char *request, double timeout_s, control_line_fn *fn, void *arg,
	struct error *why)
{
	char *path = ctl_socket_path(ctl);
	struct conversation talk = {
		.fd = connect_to(path, 0, why), .deadline_s = clock_monotonic_s() + timeout_s, .fn = fn, .arg = arg,
		.status = CONTROL_FAILED,
	};

	free(path);
	if (talk.fd < 0)
		return CONTROL_UNREACHABLE;
	buf_init(&talk.in, LIMIT_CONTROL_REPLY_BYTES);
	if (descriptor_write_all(talk.fd, request, strlen(request)) && descriptor_write_all(talk.fd, "\n", 1)) {
		while (!talk.ended && wait_and_read(&talk, why))
			;
	} else {
		talk.status = CONTROL_UNREACHABLE;
		error_set_errno(why, ERROR_TEMPORARY, "cannot ask gantryd");
	}
	buf_finish(&talk.in);
	close(talk.fd);
	return talk.status;
}

/* -- on a loop -------------------------------------------------------------------------------- */

struct control_call {
	struct ev_loop *loop;
	struct conversation talk;
	struct error why;
	ev_io readable;
	ev_timer deadline;              /* at once when there was no beginning */
	control_done_fn *done;
	void *arg;
};

static void call_finish(struct control_call *call)
{
	control_done_fn *done = call->done;
	void *arg = call->arg;
	enum control_status status = call->talk.status;
	struct error why = call->why;

	control_call_cancel(call);
	done(arg, status, status == CONTROL_DONE ? NULL : &why);
}

static void on_readable(struct ev_loop *loop, ev_io *readable, int revents)
{
	struct control_call *call = container_of(readable, struct control_call, readable);

	(void)loop, (void)revents;
	if (!read_some(&call->talk, &call->why) || call->talk.ended)
		call_finish(call);
}

static void on_deadline(struct ev_loop *loop, ev_timer *deadline, int revents)
{
	struct control_call *call = container_of(deadline, struct control_call, deadline);

	(void)loop, (void)revents;
	if (call->talk.fd >= 0)
		give_up(&call->talk, &call->why);
	call_finish(call);
}

/* A request is far smaller than a socket's buffer. */
static bool send_request(struct conversation *talk, const char *request, struct error *why)
{
	char *line = xasprintf("%s\n", request);
	bool ok = send(talk->fd, line, strlen(line), MSG_NOSIGNAL) == (ssize_t)strlen(line);

	if (!ok)
		error_set_errno(why, ERROR_TEMPORARY, "cannot ask gantryd");
	free(line);
	return ok;
}

struct control_call *control_call_start(struct ev_loop *loop, const char *path, const char *request, double timeout_s,
	control_line_fn *fn, control_done_fn *done, void *arg)
{
	struct control_call *call = xnew(struct control_call);
	bool begun;

	call->loop = loop;
	call->done = done;
	call->arg = arg;
	call->talk = (struct conversation){ .fd = connect_to(path, SOCK_NONBLOCK, &call->why), .fn = fn, .arg = arg,
					    .status = CONTROL_UNREACHABLE };
	buf_init(&call->talk.in, LIMIT_CONTROL_REPLY_BYTES);
	begun = call->talk.fd >= 0 && send_request(&call->talk, request, &call->why);
	if (!begun)
		descriptor_close(&call->talk.fd);
	ev_io_init(&call->readable, on_readable, call->talk.fd, EV_READ);
	if (begun)
		ev_io_start(loop, &call->readable);
	ev_timer_init(&call->deadline, on_deadline, begun ? timeout_s : 0., 0.);
	ev_timer_start(loop, &call->deadline);
	return call;
}

void control_call_cancel(struct control_call *call)
{
	if (call == NULL)
		return;
	ev_io_stop(call->loop, &call->readable);
	ev_timer_stop(call->loop, &call->deadline);
	buf_finish(&call->talk.in);
	descriptor_close(&call->talk.fd);
	free(call);
}
