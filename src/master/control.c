/* SPDX-License-Identifier: Apache-2.0 */
/* control.c - see control.h.  The socket and its clients; what they may ask is control_commands.c. */
#include "master/control.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/descriptor.h"
#include "base/mem.h"
#include "master/master.h"

enum { CONTROL_BACKLOG = 16, CONTROL_PAUSE_S = 1 };

static struct ev_loop *loop_of(const struct control *control)
{
	return control->master->loop;
}

/* -- a client --------------------------------------------------------------------------------- */

static void client_destroy(struct control_client *client)
{
	struct control *control = client->control;

	ev_io_stop(loop_of(control), &client->readable);
	ev_io_stop(loop_of(control), &client->writable);
	ev_timer_stop(loop_of(control), &client->idle);
	list_remove(&client->link);
	control->client_count--;
	descriptor_close(&client->fd);
	buf_finish(&client->in);
	buf_finish(&client->out);
	free(client);
	/* There is room for one who was left in the backlog. */
	if (control->fd >= 0)
		ev_io_start(loop_of(control), &control->acceptable);
}

/* What the socket takes; false when the client is gone. */
static bool send_out(struct control_client *client)
{
	while (client->sent < client->out.size) {
		ssize_t n = send(client->fd, client->out.bytes + client->sent, client->out.size - client->sent,
			MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN || errno == EWOULDBLOCK;
		client->sent += (size_t)n;
	}
	buf_clear(&client->out);
	client->sent = 0;
	return true;
}

/* Sends, and decides what it waits for next.  The client may be gone afterwards. */
static void flush(struct control_client *client)
{
	struct ev_loop *loop = loop_of(client->control);

	if (!send_out(client) || (client->ended && client->out.size == 0 && client->wait == CONTROL_WAIT_NONE)) {
		client_destroy(client);
		return;
	}
	if (client->out.size > 0)
		ev_io_start(loop, &client->writable);
	else
		ev_io_stop(loop, &client->writable);
	if (client->wait == CONTROL_WAIT_NONE)
		ev_timer_again(loop, &client->idle);
	else
		ev_timer_stop(loop, &client->idle);
}

static void on_writable(struct ev_loop *loop, ev_io *io, int revents)
{
	(void)loop;
	(void)revents;
	flush(container_of(io, struct control_client, writable));
}

static void on_idle(struct ev_loop *loop, ev_timer *timer, int revents)
{
	(void)loop;
	(void)revents;
	client_destroy(container_of(timer, struct control_client, idle));
}

/* Answers the lines that are there; not while an answer is owed. */
static void answer_lines(struct control_client *client)
{
	while (client->wait == CONTROL_WAIT_NONE && client->in.size > 0) {
		char *end = memchr(client->in.bytes, '\n', client->in.size);

		if (end == NULL)
			break;
		control_command(client, client->in.bytes, (size_t)(end - client->in.bytes));
		buf_consume(&client->in, (size_t)(end - client->in.bytes) + 1);
	}
}

/* Reads once, which is at most a line's worth; false when it is gone for good. */
static bool read_some(struct control_client *client)
{
	char chunk[LIMIT_CONTROL_LINE_BYTES];
	ssize_t n = recv(client->fd, chunk, sizeof(chunk), MSG_DONTWAIT);

	if (n < 0)
		return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
	if (n == 0) {
		/* Done sending is no reason not to be answered. */
		client->ended = true;
		ev_io_stop(loop_of(client->control), &client->readable);
		return client->wait != CONTROL_WAIT_NONE || client->out.size > 0;
	}
	if (!buf_add(&client->in, chunk, (size_t)n)) {
		/* This is its answer, whatever it waited for. */
		client->wait = CONTROL_WAIT_NONE;
		buf_clear(&client->in);
		control_end(client, CONTROL_USAGE, "the line is too long");
		client->ended = true;
		ev_io_stop(loop_of(client->control), &client->readable);
	}
	return true;
}

/* Once it has spoken: an answer to nothing would be lost with the write that fails for it. */
static void refuse_stranger(struct control_client *client)
{
	buf_clear(&client->in);
	control_end(client, CONTROL_FAILED, "only root and the user of gantryd may ask");
	client->ended = true;
	ev_io_stop(loop_of(client->control), &client->readable);
}

static void on_readable(struct ev_loop *loop, ev_io *io, int revents)
{
	struct control_client *client = container_of(io, struct control_client, readable);

	(void)loop;
	(void)revents;
	if (!read_some(client)) {
		client_destroy(client);
		return;
	}
	if (client->stranger)
		refuse_stranger(client);
	else
		answer_lines(client);
	flush(client);
}

static struct control_client *client_create(struct control *control, int fd)
{
	struct control_client *client = xnew(struct control_client);

	client->control = control;
	client->fd = fd;
	buf_init(&client->in, 2 * LIMIT_CONTROL_LINE_BYTES);
	buf_init(&client->out, LIMIT_CONTROL_REPLY_BYTES);
	ev_io_init(&client->readable, on_readable, fd, EV_READ);
	ev_io_init(&client->writable, on_writable, fd, EV_WRITE);
	ev_init(&client->idle, on_idle);
	client->idle.repeat = CONTROL_IDLE_S;
	list_append(&control->clients, &client->link);
	control->client_count++;
	ev_io_start(loop_of(control), &client->readable);
	return client;
}

/* -- the socket ------------------------------------------------------------------------------- */

static bool may_ask(struct control *control, int fd)
{
	struct ucred peer;
	socklen_t size = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0)
		return false;
	if (peer.uid == 0 || peer.uid == geteuid())
		return true;
	log_warn(&control->master->log, "control socket: process %d of user %u was refused", (int)peer.pid,
		(unsigned)peer.uid);
	return false;
}

static void on_paused(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct control *control = container_of(timer, struct control, paused);

	(void)revents;
	if (control->fd >= 0)
		ev_io_start(loop, &control->acceptable);
}

/* Whoever could not be accepted is still there and would wake the loop at once, again and again. */
static void pause_accepting(struct control *control, const char *why)
{
	struct ev_loop *loop = loop_of(control);

	log_warn(&control->master->log, "control socket: %s; tried again in %d s", why, CONTROL_PAUSE_S);
	ev_io_stop(loop, &control->acceptable);
	ev_now_update(loop);
	ev_timer_set(&control->paused, CONTROL_PAUSE_S, 0.);
	ev_timer_start(loop, &control->paused);
}

static void on_acceptable(struct ev_loop *loop, ev_io *io, int revents)
{
	struct control *control = container_of(io, struct control, acceptable);
	struct control_client *client;
	int fd;

	(void)revents;
	if (control->client_count >= LIMIT_CONTROL_CLIENTS) {
		ev_io_stop(loop, io);
		return;
	}
	fd = accept4(control->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0) {
		if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
			pause_accepting(control, strerror(errno));
		return;
	}
	client = client_create(control, fd);
	client->stranger = !may_ask(control, fd);
	flush(client);
}

void control_init(struct control *control, struct master *master)
{
	*control = (struct control){ .master = master, .fd = -1 };
	list_init(&control->clients);
	ev_init(&control->acceptable, on_acceptable);
	ev_init(&control->paused, on_paused);
}

bool control_open(struct control *control, const char *path, struct error *err)
{
	struct local_name name;
	int fd = local_socket_listen("control socket", path, CONTROL_BACKLOG, &control->master->identity, &name, err);

	if (fd < 0)
		return false;
	control_inherit(control, path, fd, name);
	return true;
}

void control_inherit(struct control *control, const char *path, int fd, struct local_name name)
{
	control->path = xstrdup(path);
	control->name = name;
	control->fd = fd;
	ev_io_set(&control->acceptable, fd, EV_READ);
	ev_io_start(loop_of(control), &control->acceptable);
}

void control_inherit_client(struct control *control, int fd, enum control_wait wait)
{
	client_create(control, fd)->wait = wait;
}

void control_withdraw(struct control *control)
{
	if (control->path == NULL)
		return;
	ev_io_stop(loop_of(control), &control->acceptable);
	ev_timer_stop(loop_of(control), &control->paused);
	local_socket_remove(control->path, &control->name);
	descriptor_close(&control->fd);
	free(control->path);
	control->path = NULL;
}

void control_close(struct control *control)
{
	struct control_client *client, *next;

	control_withdraw(control);
	list_each_safe(client, next, &control->clients, link)
		client_destroy(client);
}

/* -- who waits -------------------------------------------------------------------------------- */

static void answer_all(struct control *control, unsigned waits, enum control_status status, const char *why)
{
	struct control_client *client, *next;

	list_each_safe(client, next, &control->clients, link) {
		if (client->wait == CONTROL_WAIT_NONE || (waits & 1u << client->wait) == 0)
			continue;
		client->wait = CONTROL_WAIT_NONE;
		control_end(client, status, why);
		answer_lines(client);
		flush(client);
	}
}

void control_adopt_reload(struct control *control)
{
	struct control_client *client;

	list_each(client, &control->clients, link) {
		if (client->wait == CONTROL_WAIT_NEXT_RELOAD)
			client->wait = CONTROL_WAIT_RELOAD;
	}
}

void control_answer_reload(struct control *control, enum control_status status, const char *why)
{
	answer_all(control, 1u << CONTROL_WAIT_RELOAD, status, why);
}

void control_defer_reload(struct control *control, const char *why)
{
	answer_all(control, 1u << CONTROL_WAIT_NEXT_RELOAD, CONTROL_DEFERRED, why);
}

void control_answer_upgrade(struct control *control, enum control_status status, const char *why)
{
	answer_all(control, 1u << CONTROL_WAIT_UPGRADE, status, why);
}

void control_upgrade_done(struct control *control)
{
	struct control_client *client;

	list_each(client, &control->clients, link) {
		if (client->wait == CONTROL_WAIT_UPGRADE)
			client->wait = CONTROL_WAIT_NEXT_RELOAD;
	}
}

void control_answer_stopping(struct control *control)
{
	answer_all(control, ~(1u << CONTROL_WAIT_STOP), CONTROL_STOPPING, "gantryd is stopping");
}

void control_answer_stopped(struct control *control)
{
	answer_all(control, 1u << CONTROL_WAIT_STOP, CONTROL_DONE, "");
}
