/* SPDX-License-Identifier: Apache-2.0 */
/* http_peer.c - see http_peer.h. */
#include "http_peer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/list.h"
#include "base/log.h"
#include "base/mem.h"

enum { LIMIT_PEER_BYTES = 64 << 20 };

struct peer_connection {
	struct peer_connection *next;
	struct http_peer *peer;
	unsigned number;
	int fd;
	ev_io in, out;
	ev_timer drip;
	bool dripping, closing;
	struct buf received, sending;
};

static void connection_close(struct peer_connection *connection)
{
	struct peer_connection **at = &connection->peer->open;

	while (*at != connection)
		at = &(*at)->next;
	*at = connection->next;
	ev_io_stop(connection->peer->loop, &connection->in);
	ev_io_stop(connection->peer->loop, &connection->out);
	ev_timer_stop(connection->peer->loop, &connection->drip);
	close(connection->fd);
	buf_finish(&connection->received);
	buf_finish(&connection->sending);
	free(connection);
}

static bool send_some(struct peer_connection *connection, size_t most)
{
	size_t size = connection->sending.size < most ? connection->sending.size : most;
	ssize_t n = send(connection->fd, connection->sending.bytes, size, MSG_NOSIGNAL | MSG_DONTWAIT);

	if (n < 0 && errno != EAGAIN) {
		connection_close(connection);
		return false;
	}
	if (n > 0)
		buf_consume(&connection->sending, (size_t)n);
	if (connection->sending.size > 0)
		return true;
	ev_io_stop(connection->peer->loop, &connection->out);
	ev_timer_stop(connection->peer->loop, &connection->drip);
	if (connection->closing)
		connection_close(connection);
	return false;
}

static void on_writable(struct ev_loop *loop, ev_io *io, int revents)
{
	(void)loop;
	(void)revents;
	send_some(container_of(io, struct peer_connection, out), 1 << 20);
}

static void on_drip(struct ev_loop *loop, ev_timer *timer, int revents)
{
	(void)loop;
	(void)revents;
	send_some(container_of(timer, struct peer_connection, drip), 1);
}

static void compose(struct peer_connection *connection, const struct peer_step *step)
{
	size_t bytes = step->body == NULL ? 0 : step->body_bytes > 0 ? step->body_bytes : strlen(step->body);
	struct buf *out = &connection->sending;

	if (step->act != PEER_RAW) {
		buf_printf(out, "HTTP/1.1 %d Said\r\n%s", step->status > 0 ? step->status : 200,
			step->headers != NULL ? step->headers : "");
		buf_printf(out, "Content-Length: %zu\r\n\r\n", step->act == PEER_TRUNCATE ? bytes + 100 : bytes);
	}
	buf_add(out, step->body != NULL ? step->body : "", bytes);
	connection->closing = step->act == PEER_ANSWER_CLOSE || step->act == PEER_TRUNCATE || step->act == PEER_RAW;
}

static void serve(struct peer_connection *connection, const struct peer_step *step)
{
	struct linger rude = { .l_onoff = 1 };

	switch (step->act) {
	case PEER_HANG:
		return;
	case PEER_RESET:
		setsockopt(connection->fd, SOL_SOCKET, SO_LINGER, &rude, sizeof(rude));
		connection_close(connection);
		return;
	case PEER_CLOSE:
		connection_close(connection);
		return;
	default:
		compose(connection, step);
	}
	if (step->act == PEER_DRIP)
		ev_timer_start(connection->peer->loop, &connection->drip);
	else
		ev_io_start(connection->peer->loop, &connection->out);
}

/* Takes one whole request out of what was received; false when there is none yet. */
static bool take_request(struct peer_connection *connection)
{
	struct http_peer *peer = connection->peer;
	struct peer_request request = { .connection = connection->number };
	char *end = connection->received.size > 0 ? strstr(connection->received.bytes, "\r\n\r\n") : NULL;
	const char *length;
	size_t head, body;

	if (end == NULL)
		return false;
	head = (size_t)(end - connection->received.bytes) + 2;
	request.head = xstrndup(connection->received.bytes, head);
	length = http_peer_header(&request, "Content-Length");
	body = length != NULL ? strtoul(length, NULL, 10) : 0;
	if (connection->received.size < head + 2 + body) {
		free(request.head);
		return false;
	}
	request.body = xstrndup(connection->received.bytes + head + 2, body);
	buf_consume(&connection->received, head + 2 + body);
	peer->requests = xreallocarray(peer->requests, peer->request_count + 1, sizeof(request));
	peer->requests[peer->request_count++] = request;
	return true;
}

static void on_readable(struct ev_loop *loop, ev_io *io, int revents)
{
	struct peer_connection *connection = container_of(io, struct peer_connection, in);
	struct http_peer *peer = connection->peer;
	char bytes[65536];
	ssize_t n = recv(connection->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
	size_t step;

	(void)loop;
	(void)revents;
	if (n <= 0) {
		if (n == 0 || errno != EAGAIN)
			connection_close(connection);
		return;
	}
	buf_add(&connection->received, bytes, (size_t)n);
	if (!take_request(connection))
		return;
	step = peer->request_count - 1;
	serve(connection, &peer->steps[step < peer->step_count ? step : peer->step_count - 1]);
}

static void on_connect(struct ev_loop *loop, ev_io *io, int revents)
{
	struct http_peer *peer = container_of(io, struct http_peer, io);
	int fd = accept4(peer->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct peer_connection *connection;

	(void)revents;
	if (fd < 0)
		return;
	connection = xnew(struct peer_connection);
	connection->peer = peer;
	connection->number = ++peer->connections;
	connection->fd = fd;
	buf_init(&connection->received, LIMIT_PEER_BYTES);
	buf_init(&connection->sending, LIMIT_PEER_BYTES);
	ev_io_init(&connection->in, on_readable, fd, EV_READ);
	ev_io_init(&connection->out, on_writable, fd, EV_WRITE);
	ev_timer_init(&connection->drip, on_drip, 0.05, 0.05);
	ev_io_start(loop, &connection->in);
	connection->next = peer->open;
	peer->open = connection;
}

void http_peer_init(struct http_peer *peer, struct ev_loop *loop, const struct peer_step *steps, size_t count)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof(address);

	*peer = (struct http_peer){ .loop = loop, .steps = steps, .step_count = count };
	peer->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (peer->fd < 0 || bind(peer->fd, (struct sockaddr *)&address, size) != 0 || listen(peer->fd, 64) != 0
	    || getsockname(peer->fd, (struct sockaddr *)&address, &size) != 0)
		fatal("cannot listen: %s", strerror(errno));
	peer->port = ntohs(address.sin_port);
	ev_io_init(&peer->io, on_connect, peer->fd, EV_READ);
	ev_io_start(loop, &peer->io);
}

void http_peer_finish(struct http_peer *peer)
{
	while (peer->open != NULL)
		connection_close(peer->open);
	ev_io_stop(peer->loop, &peer->io);
	close(peer->fd);
	for (size_t i = 0; i < peer->request_count; i++) {
		free(peer->requests[i].head);
		free(peer->requests[i].body);
	}
	free(peer->requests);
}

const char *http_peer_header(const struct peer_request *request, const char *name)
{
	static char value[8192];
	size_t len = strlen(name);
	const char *at = request->head;

	while ((at = strstr(at, "\r\n")) != NULL) {
		at += 2;
		if (strncasecmp(at, name, len) != 0 || at[len] != ':')
			continue;
		at += len + 1;
		at += strspn(at, " ");
		snprintf(value, sizeof(value), "%.*s", (int)strcspn(at, "\r"), at);
		return value;
	}
	return NULL;
}
