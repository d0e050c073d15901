/* SPDX-License-Identifier: Apache-2.0 */
/* http_server.c - connections: bytes in, one request at a time, bytes out.
 * An answer is composed in the connection's buffer and written at once; only what the socket does
 * not take waits for it.  A connection that waits for its answer is still read from, as that is
 * how a client's leaving shows. */
#include "http_server.h"

#include "list.h"
#include "text.h"
#include "xalloc.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
	HTTP_BACKLOG = 1024,
	HTTP_READ_BYTES = 16 * 1024,
	HTTP_KEPT_BYTES = 256 * 1024,   /* a larger buffer is given back when it is empty */
};

struct http_exchange {
	struct http_server *server;
	struct list peers;
	int fd;
	ev_io readable, writable;
	ev_timer drip;
	struct text in, out;
	size_t written;                 /* bytes of out that are gone */
	size_t drip_bytes;              /* 0: not dripping */
	size_t drip_due;                /* out may be written up to here */
	struct http_request request;
	bool head_read;                 /* request is valid, its body may be incomplete */
	bool waiting;                   /* a request was handed out and has no answer yet */
	bool processing;                /* inside exchange_process(): don't free, don't re-enter */
	bool close;                     /* after out is written */
	bool doomed;                    /* to be freed as soon as nobody is inside */
	http_gone_fn *gone;
	void *gone_arg;
};

struct http_server {
	struct ev_loop *loop;
	int fd;
	unsigned short port;
	unsigned long connections;
	ev_io acceptable;
	struct list exchanges;
	http_handle_fn *handle;
	void *arg;
	long date_s;
	char date[40];
};

static void exchange_process(struct http_exchange *);

static const char *status_text(int status)
{
	switch (status) {
	case 200: return "OK";
	case 400: return "Bad Request";
	case 401: return "Unauthorized";
	case 403: return "Forbidden";
	case 404: return "Not Found";
	case 405: return "Method Not Allowed";
	case 411: return "Length Required";
	case 413: return "Payload Too Large";
	case 500: return "Internal Server Error";
	case 502: return "Bad Gateway";
	case 503: return "Service Unavailable";
	default: return "Status";
	}
}

static void exchange_free(struct http_exchange *exchange)
{
	struct ev_loop *loop = exchange->server->loop;

	ev_io_stop(loop, &exchange->readable);
	ev_io_stop(loop, &exchange->writable);
	ev_timer_stop(loop, &exchange->drip);
	list_remove(&exchange->peers);
	close(exchange->fd);
	text_finish(&exchange->in);
	text_finish(&exchange->out);
	free(exchange);
}

/* The end of a connection, from whatever side. */
static void exchange_end(struct http_exchange *exchange)
{
	http_gone_fn *gone = exchange->gone;

	exchange->gone = NULL;
	if (gone != NULL)
		gone(exchange->gone_arg);
	if (exchange->processing)
		exchange->doomed = true;
	else
		exchange_free(exchange);
}

/* False when the connection is no more. */
static bool exchange_flush(struct http_exchange *exchange)
{
	struct text *out = &exchange->out;

	while (exchange->written < out->bytes) {
		size_t end = exchange->drip_bytes > 0 ? exchange->drip_due : out->bytes;
		ssize_t bytes;

		if (exchange->written >= end)
			return true;
		bytes = send(exchange->fd, out->data + exchange->written, end - exchange->written,
			     MSG_NOSIGNAL);
		if (bytes < 0 && errno == EINTR)
			continue;
		if (bytes < 0 && errno == EAGAIN) {
			ev_io_start(exchange->server->loop, &exchange->writable);
			return true;
		}
		if (bytes < 0) {
			exchange_end(exchange);
			return false;
		}
		exchange->written += (size_t)bytes;
	}
	ev_io_stop(exchange->server->loop, &exchange->writable);
	ev_timer_stop(exchange->server->loop, &exchange->drip);
	exchange->drip_bytes = 0;
	exchange->written = 0;
	text_clear(out);
	if (out->room > HTTP_KEPT_BYTES)
		text_finish(out);
	if (exchange->close && !exchange->waiting) {
		exchange_end(exchange);
		return false;
	}
	return true;
}

static void drip_more(struct http_exchange *exchange)
{
	exchange->drip_due += exchange->drip_bytes;
	if (exchange->drip_due > exchange->out.bytes)
		exchange->drip_due = exchange->out.bytes;
}

static void on_drip(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct http_exchange *exchange = container_of(timer, struct http_exchange, drip);

	(void)loop, (void)revents;
	drip_more(exchange);
	if (exchange_flush(exchange))
		exchange_process(exchange);
}

static void on_writable(struct ev_loop *loop, ev_io *io, int revents)
{
	struct http_exchange *exchange = container_of(io, struct http_exchange, writable);

	(void)loop, (void)revents;
	if (exchange_flush(exchange))
		exchange_process(exchange);
}

static void server_format_date(struct http_server *server, long wall_s)
{
	struct tm tm;
	time_t now = wall_s;

	gmtime_r(&now, &tm);
	strftime(server->date, sizeof(server->date), "%a, %d %b %Y %H:%M:%S GMT", &tm);
	server->date_s = wall_s;
}

void http_server_set_date(struct http_server *server, long wall_s)
{
	if (server->date_s != wall_s)
		server_format_date(server, wall_s);
}

/* Forgets the request that was answered; what follows it in the buffer moves to the front. */
static void exchange_next_request(struct http_exchange *exchange)
{
	size_t used = exchange->request.head_bytes + exchange->request.body_bytes;

	exchange->waiting = false;
	exchange->head_read = false;
	exchange->gone = NULL;
	ev_io_start(exchange->server->loop, &exchange->readable);
	if (!exchange->request.keep_alive)
		exchange->close = true;
	exchange->in.bytes -= used;
	memmove(exchange->in.data, exchange->in.data + used, exchange->in.bytes);
	if (exchange->in.bytes == 0 && exchange->in.room > HTTP_KEPT_BYTES)
		text_finish(&exchange->in);
}

static void add_header(struct text *out, const char *name, const char *value)
{
	text_add_string(out, name);
	text_add_string(out, value);
	text_add(out, "\r\n", 2);
}

static void exchange_compose(struct http_exchange *exchange, const struct http_answer *answer)
{
	struct text *out = &exchange->out;
	size_t promised = answer->promised_bytes > 0 ? answer->promised_bytes : answer->bytes;

	text_add_string(out, "HTTP/1.1 ");
	text_add_number(out, answer->status);
	add_header(out, " ", status_text(answer->status));
	add_header(out, "Date: ", exchange->server->date);
	text_add_string(out, "Content-Length: ");
	text_add_number(out, (int64_t)promised);
	text_add(out, "\r\n", 2);
	if (answer->content_type != NULL)
		add_header(out, "Content-Type: ", answer->content_type);
	if (answer->headers != NULL)
		text_add_string(out, answer->headers);
	if (answer->close || !exchange->request.keep_alive)
		add_header(out, "Connection: ", "close");
	text_add(out, "\r\n", 2);
	text_add(out, answer->body, answer->bytes);
}

void http_exchange_answer(struct http_exchange *exchange, const struct http_answer *answer)
{
	size_t start = exchange->out.bytes;

	exchange_compose(exchange, answer);
	if (answer->close)
		exchange->close = true;
	if (answer->drip_bytes > 0) {
		exchange->drip_bytes = answer->drip_bytes;
		exchange->drip_due = start;
		drip_more(exchange);
		ev_timer_set(&exchange->drip, answer->drip_ms / 1000.0, answer->drip_ms / 1000.0);
		ev_timer_start(exchange->server->loop, &exchange->drip);
	}
	exchange_next_request(exchange);
	if (exchange->processing || !exchange_flush(exchange))
		return;
	/* The next request waits for the loop: who answers late is not ready for its effects. */
	if (exchange->in.bytes > 0)
		ev_feed_event(exchange->server->loop, &exchange->writable, EV_WRITE);
}

void http_exchange_abort(struct http_exchange *exchange)
{
	exchange->gone = NULL;
	exchange_end(exchange);
}

static void exchange_refuse(struct http_exchange *exchange, enum http_parsed why)
{
	struct http_answer answer = { .status = 400, .close = true };

	if (why == HTTP_TOO_LARGE)
		answer.status = 413;
	else if (why == HTTP_LENGTH_REQUIRED)
		answer.status = 411;
	exchange->request.keep_alive = false;
	exchange_compose(exchange, &answer);
	exchange->close = true;
	text_clear(&exchange->in);
}

/* True when a whole request lies in the buffer. */
static bool exchange_parse(struct http_exchange *exchange)
{
	struct http_request *request = &exchange->request;
	struct text *in = &exchange->in;

	if (!exchange->head_read) {
		char *old = in->data;
		enum http_parsed parsed;

		parsed = in->bytes == 0 ? HTTP_INCOMPLETE
					: http_request_parse(request, in->data, in->bytes);
		if (parsed == HTTP_INCOMPLETE)
			return false;
		if (parsed != HTTP_HEAD_READ) {
			exchange_refuse(exchange, parsed);
			return false;
		}
		exchange->head_read = true;
		if (request->head_bytes + request->body_bytes > in->bytes) {
			text_reserve(in, request->head_bytes + request->body_bytes - in->bytes);
			http_request_move(request, old, in->data);
			if (request->expects_continue)
				text_add_string(&exchange->out, "HTTP/1.1 100 Continue\r\n\r\n");
		}
	}
	return request->head_bytes + request->body_bytes <= in->bytes;
}

/* Hands out every whole request of the buffer, until one is not answered at once. */
static void exchange_process(struct http_exchange *exchange)
{
	if (exchange->processing)
		return;
	exchange->processing = true;
	while (!exchange->waiting && !exchange->close && !exchange->doomed &&
	       exchange->drip_bytes == 0 && exchange_parse(exchange)) {
		exchange->waiting = true;
		exchange->server->handle(exchange->server->arg, exchange);
	}
	exchange->processing = false;
	if (exchange->doomed)
		exchange_free(exchange);
	else if (exchange->out.bytes > 0)
		exchange_flush(exchange);
}

/* While a request waits, its strings point into the buffer: it must not move then. */
static size_t exchange_room(struct http_exchange *exchange)
{
	struct text *in = &exchange->in;

	if (!exchange->head_read)
		text_reserve(in, HTTP_READ_BYTES);
	return in->room - in->bytes - 1;
}

static void on_readable(struct ev_loop *loop, ev_io *io, int revents)
{
	struct http_exchange *exchange = container_of(io, struct http_exchange, readable);
	size_t room = exchange_room(exchange);
	ssize_t bytes;

	(void)revents;
	if (room == 0) {
		ev_io_stop(loop, io);   /* a pipelining client that waits for an answer */
		return;
	}
	bytes = recv(exchange->fd, exchange->in.data + exchange->in.bytes, room, 0);
	if (bytes < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (bytes <= 0) {
		exchange_end(exchange);
		return;
	}
	exchange->in.bytes += (size_t)bytes;
	exchange->in.data[exchange->in.bytes] = '\0';
	exchange_process(exchange);
}

static void on_acceptable(struct ev_loop *loop, ev_io *io, int revents)
{
	struct http_server *server = container_of(io, struct http_server, acceptable);
	int fd, on = 1;

	(void)revents;
	while ((fd = accept4(server->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		struct http_exchange *exchange = xcalloc(1, sizeof(*exchange));

		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		exchange->server = server;
		exchange->fd = fd;
		ev_io_init(&exchange->readable, on_readable, fd, EV_READ);
		ev_io_init(&exchange->writable, on_writable, fd, EV_WRITE);
		ev_init(&exchange->drip, on_drip);
		list_add_tail(&server->exchanges, &exchange->peers);
		ev_io_start(loop, &exchange->readable);
		server->connections++;
	}
}

static int listen_on(unsigned short *port)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(*port) };
	socklen_t bytes = sizeof(address);
	int fd, on = 1;

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    listen(fd, HTTP_BACKLOG) < 0 ||
	    getsockname(fd, (struct sockaddr *)&address, &bytes) < 0) {
		int saved = errno;

		close(fd);
		errno = saved;
		return -1;
	}
	*port = ntohs(address.sin_port);
	return fd;
}

struct http_server *http_server_create(struct ev_loop *loop, unsigned short port,
				       http_handle_fn *handle, void *arg)
{
	struct http_server *server;
	int fd = listen_on(&port);

	if (fd < 0)
		return NULL;
	server = xcalloc(1, sizeof(*server));
	server->loop = loop;
	server->fd = fd;
	server->port = port;
	server->handle = handle;
	server->arg = arg;
	list_init(&server->exchanges);
	server_format_date(server, time(NULL));
	ev_io_init(&server->acceptable, on_acceptable, fd, EV_READ);
	ev_io_start(loop, &server->acceptable);
	return server;
}

void http_server_destroy(struct http_server *server)
{
	if (server == NULL)
		return;
	while (!list_empty(&server->exchanges))
		exchange_end(container_of(server->exchanges.next, struct http_exchange, peers));
	ev_io_stop(server->loop, &server->acceptable);
	close(server->fd);
	free(server);
}

unsigned short http_server_port(const struct http_server *server)
{
	return server->port;
}

unsigned long http_server_connections(const struct http_server *server)
{
	return server->connections;
}

const struct http_request *http_exchange_request(const struct http_exchange *exchange)
{
	return &exchange->request;
}

void http_exchange_watch(struct http_exchange *exchange, http_gone_fn *gone, void *arg)
{
	exchange->gone = gone;
	exchange->gone_arg = arg;
}
