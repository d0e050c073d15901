/* SPDX-License-Identifier: Apache-2.0 */
/* master_status.c - see master_status.h. */
#include "api/master_status.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "api/api.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "ipc/control_line.h"
#include "ipc/status_record.h"

static const double fresh_s = 1;                /* an answer is good for this long */
static const double answer_s = 5;               /* the master has this long */

struct asker {
	struct list link;
	master_status_fn *done;
	void *arg;
};

struct master_status {
	struct api *api;
	const char *question;
	struct list askers;
	json_t *doc;                    /* the last answer; NULL: none yet */
	double asked_s;                 /* when it was had */
	int fd;                         /* of the question under way, or -1 */
	ev_io readable;
	ev_timer timer;                 /* the answer is overdue; or it is fresh and only to be told */
	struct buf in;
	json_t *coming;
};

struct master_status *master_status_create(struct api *api, const char *question)
{
	struct master_status *status = xnew(struct master_status);

	status->api = api;
	status->question = question;
	status->fd = -1;
	list_init(&status->askers);
	buf_init(&status->in, LIMIT_CONTROL_REPLY_BYTES);
	return status;
}

static void close_question(struct master_status *status)
{
	ev_timer_stop(status->api->loop, &status->timer);
	if (status->fd >= 0) {
		ev_io_stop(status->api->loop, &status->readable);
		close(status->fd);
	}
	status->fd = -1;
	buf_clear(&status->in);
	json_decref(status->coming);
	status->coming = NULL;
}

static void tell(struct master_status *status, const struct error *err)
{
	struct list told;

	list_init(&told);
	list_splice(&told, &status->askers);
	while (!list_empty(&told)) {
		struct asker *asker = list_first(&told, struct asker, link);

		list_remove(&asker->link);
		asker->done(asker->arg, err == NULL ? status->doc : NULL, err);
		free(asker);
	}
}

void master_status_destroy(struct master_status *status)
{
	struct error err;

	if (status == NULL)
		return;
	close_question(status);
	error_set(&err, ERROR_TEMPORARY, "gantryd is leaving");
	tell(status, &err);
	json_decref(status->doc);
	buf_finish(&status->in);
	free(status);
}

static void fail(struct master_status *status, const char *why)
{
	struct error err;

	error_set(&err, ERROR_TEMPORARY, "the master: %s", why);
	close_question(status);
	tell(status, &err);
}

static void take_answer(struct master_status *status)
{
	json_decref(status->doc);
	status->doc = status->coming;
	status->coming = NULL;
	status->asked_s = clock_monotonic_s();
	close_question(status);
	tell(status, NULL);
}

/* False when the question is over. */
static bool take_line(struct master_status *status, const char *text, size_t size)
{
	struct control_line line;
	struct error err;
	bool over;

	if (!control_line_parse(&line, text, size, &err)) {
		fail(status, err.text);
		return false;
	}
	over = strcmp(line.name, "end") == 0;
	if (!over)
		status_record_add(status->coming, &line);
	control_line_finish(&line);
	if (over)
		take_answer(status);
	return !over;
}

static void take_lines(struct master_status *status)
{
	const char *newline;

	while (status->in.size > 0 && (newline = memchr(status->in.bytes, '\n', status->in.size)) != NULL) {
		size_t size = (size_t)(newline - status->in.bytes);

		if (!take_line(status, status->in.bytes, size))
			return;
		buf_consume(&status->in, size + 1);
	}
}

static void on_readable(struct ev_loop *loop, ev_io *io, int revents)
{
	struct master_status *status = container_of(io, struct master_status, readable);
	char bytes[16384];
	ssize_t n = read(io->fd, bytes, sizeof(bytes));

	(void)loop, (void)revents;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0)
		fail(status, n < 0 ? strerror(errno) : "closed the connection before it answered");
	else if (!buf_add(&status->in, bytes, (size_t)n))
		fail(status, "its answer is too large");
	else
		take_lines(status);
}

static void on_timer(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct master_status *status = container_of(timer, struct master_status, timer);

	(void)loop, (void)revents;
	if (status->fd < 0 && status->doc != NULL)
		tell(status, NULL);
	else if (status->fd < 0)
		fail(status, "its control socket does not answer");
	else
		fail(status, "no answer in time");
}

/* A Unix socket connects at once or not at all, and takes a line of ours whole. */
static int connect_now(const char *path, const char *question)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd;

	if (strlen(path) >= sizeof(address.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(address.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -1;
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0 ||
		send(fd, question, strlen(question), MSG_NOSIGNAL | MSG_MORE) != (ssize_t)strlen(question) ||
		send(fd, "\n", 1, MSG_NOSIGNAL) != 1) {
		close(fd);
		return -1;
	}
	return fd;
}

static void wait_for(struct master_status *status, double s)
{
	ev_timer_stop(status->api->loop, &status->timer);
	ev_timer_init(&status->timer, on_timer, s, 0.);
	ev_timer_start(status->api->loop, &status->timer);
}

static void ask(struct master_status *status)
{
	status->fd = connect_now(status->api->conf->supervisor.control_socket, status->question);
	if (status->fd < 0) {
		/* Told from the timer: never from inside the call. */
		json_decref(status->doc);
		status->doc = NULL;
		wait_for(status, 0);
		return;
	}
	status->coming = status_record_create();
	ev_io_init(&status->readable, on_readable, status->fd, EV_READ);
	ev_io_start(status->api->loop, &status->readable);
	wait_for(status, answer_s);
}

void master_status_ask(struct master_status *status, master_status_fn *done, void *arg)
{
	struct asker *asker = xnew(struct asker);

	*asker = (struct asker){ .done = done, .arg = arg };
	list_append(&status->askers, &asker->link);
	if (status->fd >= 0 || ev_is_active(&status->timer))
		return;
	if (status->doc != NULL && clock_monotonic_s() - status->asked_s < fresh_s)
		wait_for(status, 0);
	else
		ask(status);
}
