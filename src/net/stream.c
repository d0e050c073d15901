/* SPDX-License-Identifier: Apache-2.0 */
/* stream.c - see stream.h. */
#include "net/stream.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/buf.h"
#include "base/descriptor.h"
#include "base/list.h"
#include "base/mem.h"
#include "net/resolver.h"

enum stream_state {
	STREAM_RESOLVING,
	STREAM_CONNECTING,      /* to addresses[tried - 1] */
	STREAM_HANDSHAKE,       /* TLS */
	STREAM_OPEN,
	STREAM_CLOSED,          /* has no socket any more; the owner is being told */
};

struct stream {
	struct ev_loop *loop;
	enum stream_state state;
	char *host, *unix_path;
	unsigned port;
	SSL_CTX *tls;
	SSL *ssl;
	int fd;
	ev_io io;
	ev_timer deadline;              /* to open */
	ev_timer patience;              /* for one address, when there are others */
	ev_idle tell;                   /* tells of the end, in a turn of its own */
	struct resolver *resolver;
	struct resolver_address addresses[LIMIT_RESOLVER_ADDRESSES];
	size_t count, tried;
	double timeout_s;
	struct buf unsent;
	uint64_t sent;
	bool tls_wants_write;           /* the last TLS call does */
	bool write_needs_read;          /* TLS must read before it can write */
	struct error why;
	const struct stream_events *events;
	void *arg;
};

static void try_next(struct stream *stream);

SSL_CTX *stream_tls_create(struct error *err)
{
	SSL_CTX *tls = SSL_CTX_new(TLS_client_method());

	if (tls == NULL || SSL_CTX_set_default_verify_paths(tls) != 1
	    || SSL_CTX_set_min_proto_version(tls, TLS1_2_VERSION) != 1) {
		error_set(err, ERROR_REFUSED, "cannot set up TLS: %s", ERR_reason_error_string(ERR_get_error()));
		SSL_CTX_free(tls);
		return NULL;
	}
	SSL_CTX_set_verify(tls, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_mode(tls, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	return tls;
}

static void drop_socket(struct stream *stream)
{
	ev_io_stop(stream->loop, &stream->io);
	ev_timer_stop(stream->loop, &stream->patience);
	SSL_free(stream->ssl);
	stream->ssl = NULL;
	stream->tls_wants_write = false;
	descriptor_close(&stream->fd);
}

/* Ends the stream; stream->why is set. */
static void end(struct stream *stream)
{
	drop_socket(stream);
	resolver_cancel(stream->resolver);
	stream->resolver = NULL;
	ev_timer_stop(stream->loop, &stream->deadline);
	stream->state = STREAM_CLOSED;
	ev_idle_start(stream->loop, &stream->tell);
}

static void on_tell(struct ev_loop *loop, ev_idle *tell, int revents)
{
	struct stream *stream = container_of(tell, struct stream, tell);

	(void)revents;
	ev_idle_stop(loop, tell);
	stream->events->closed(stream->arg, &stream->why);
}

/* Waiting */

static void set_interest(struct stream *stream, int events)
{
	if (ev_is_active(&stream->io) && (stream->io.events & (EV_READ | EV_WRITE)) == events)
		return;
	ev_io_stop(stream->loop, &stream->io);
	ev_io_set(&stream->io, stream->fd, events);
	ev_io_start(stream->loop, &stream->io);
}

static void watch(struct stream *stream)
{
	switch (stream->state) {
	case STREAM_CONNECTING:
		set_interest(stream, EV_WRITE);
		break;
	case STREAM_HANDSHAKE:
		set_interest(stream, stream->tls_wants_write ? EV_WRITE : EV_READ);
		break;
	case STREAM_OPEN:
		set_interest(stream, EV_READ | (stream->unsent.size > 0 && !stream->write_needs_read ? EV_WRITE : 0));
		break;
	case STREAM_RESOLVING:
	case STREAM_CLOSED:
		break;
	}
}

/* TLS */

static const char *tls_reason(const struct stream *stream)
{
	long verdict = SSL_get_verify_result(stream->ssl);
	unsigned long code = ERR_peek_last_error();

	if (verdict != X509_V_OK)
		return X509_verify_cert_error_string(verdict);
	if (code == 0)
		return errno != 0 ? strerror(errno) : "the connection was closed";
	return ERR_reason_error_string(code) != NULL ? ERR_reason_error_string(code) : "protocol error";
}

/* What a TLS call that returned n waits for; false: nothing, it has failed. */
static bool tls_waits(struct stream *stream, int n)
{
	int error = SSL_get_error(stream->ssl, n);

	stream->tls_wants_write = error == SSL_ERROR_WANT_WRITE;
	return error == SSL_ERROR_WANT_WRITE || error == SSL_ERROR_WANT_READ;
}

static bool start_tls(struct stream *stream)
{
	unsigned char address[sizeof(struct in6_addr)];
	bool digits = inet_pton(AF_INET, stream->host, address) == 1 || inet_pton(AF_INET6, stream->host, address) == 1;

	stream->ssl = SSL_new(stream->tls);
	if (stream->ssl == NULL || SSL_set_fd(stream->ssl, stream->fd) != 1)
		return false;
	if (digits)
		return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(stream->ssl), stream->host) == 1;
	return SSL_set1_host(stream->ssl, stream->host) == 1
		&& SSL_set_tlsext_host_name(stream->ssl, stream->host) == 1;
}

static void open_up(struct stream *stream)
{
	ev_timer_stop(stream->loop, &stream->deadline);
	ev_timer_stop(stream->loop, &stream->patience);
	stream->state = STREAM_OPEN;
	watch(stream);
	stream->events->opened(stream->arg);
}

static void shake_hands(struct stream *stream)
{
	int n;

	ERR_clear_error();
	errno = 0;
	n = SSL_connect(stream->ssl);
	if (n == 1) {
		open_up(stream);
	} else if (tls_waits(stream, n)) {
		watch(stream);
	} else {
		error_set(&stream->why, ERROR_TEMPORARY, "no TLS with %s:%u: %s", stream->host, stream->port,
			tls_reason(stream));
		try_next(stream);
	}
}

/* Connecting */

static void on_connected(struct stream *stream)
{
	socklen_t size = sizeof(int);
	int error = 0;

	if (getsockopt(stream->fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0)
		error = errno;
	if (error != 0) {
		errno = error;
		error_set_errno(&stream->why, ERROR_TEMPORARY, "cannot connect to %s:%u", stream->host, stream->port);
		try_next(stream);
	} else if (stream->tls == NULL) {
		open_up(stream);
	} else if (start_tls(stream)) {
		stream->state = STREAM_HANDSHAKE;
		shake_hands(stream);
	} else {
		error_set(&stream->why, ERROR_TEMPORARY, "cannot start TLS with %s:%u", stream->host, stream->port);
		end(stream);
	}
}

static void set_socket_options(int fd)
{
	int on = 1, idle_s = 30, interval_s = 15;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof(idle_s));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval_s, sizeof(interval_s));
}

static bool start_connect(struct stream *stream, const struct sockaddr *address, socklen_t size)
{
	stream->fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (stream->fd < 0)
		return false;
	if (address->sa_family != AF_UNIX)
		set_socket_options(stream->fd);
	if (connect(stream->fd, address, size) == 0 || errno == EINPROGRESS) {
		stream->state = STREAM_CONNECTING;
		watch(stream);
		return true;
	}
	return false;
}

/* The next address, each with its share of the time; with none left, the stream ends for why. */
static void try_next(struct stream *stream)
{
	drop_socket(stream);
	while (stream->tried < stream->count) {
		const struct resolver_address *address = &stream->addresses[stream->tried++];
		size_t left = stream->count - stream->tried + 1;
		double share_s = ev_timer_remaining(stream->loop, &stream->deadline) / (double)left;

		if (start_connect(stream, (const struct sockaddr *)&address->storage, address->size)) {
			if (left > 1) {
				ev_timer_set(&stream->patience, share_s > 0 ? share_s : 0, 0.);
				ev_timer_start(stream->loop, &stream->patience);
			}
			return;
		}
		error_set_errno(&stream->why, ERROR_TEMPORARY, "cannot connect to %s:%u", stream->host, stream->port);
		drop_socket(stream);
	}
	end(stream);
}

static void on_resolved(void *arg, const struct resolver_address *addresses, size_t count, const struct error *err)
{
	struct stream *stream = arg;

	stream->resolver = NULL;
	if (err != NULL) {
		stream->why = *err;
		end(stream);
		return;
	}
	memcpy(stream->addresses, addresses, count * sizeof(*addresses));
	stream->count = count;
	try_next(stream);
}

static void on_deadline(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct stream *stream = container_of(timer, struct stream, deadline);

	(void)loop;
	(void)revents;
	if (stream->unix_path != NULL)
		error_set(&stream->why, ERROR_TEMPORARY, "no connection to %s within %.0fs", stream->unix_path,
			stream->timeout_s);
	else
		error_set(&stream->why, ERROR_TEMPORARY, "no connection to %s:%u within %.0fs", stream->host, stream->port,
			stream->timeout_s);
	end(stream);
}

static void on_patience(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct stream *stream = container_of(timer, struct stream, patience);

	(void)loop;
	(void)revents;
	error_set(&stream->why, ERROR_TEMPORARY, "no connection to %s:%u in time", stream->host, stream->port);
	try_next(stream);
}

static void connect_unix(struct stream *stream)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	if (strlen(stream->unix_path) >= sizeof(address.sun_path)) {
		error_set(&stream->why, ERROR_TEMPORARY, "the path %s is too long for a socket", stream->unix_path);
		end(stream);
		return;
	}
	memcpy(address.sun_path, stream->unix_path, strlen(stream->unix_path) + 1);
	if (!start_connect(stream, (const struct sockaddr *)&address, sizeof(address))) {
		error_set_errno(&stream->why, ERROR_TEMPORARY, "cannot connect to %s", stream->unix_path);
		end(stream);
	}
}

/* Reading and writing */

/* False: the stream has ended. */
static bool flush(struct stream *stream)
{
	stream->write_needs_read = false;
	while (stream->unsent.size > 0) {
		ssize_t n;

		ERR_clear_error();
		errno = 0;
		if (stream->ssl != NULL)
			n = SSL_write(stream->ssl, stream->unsent.bytes,
				stream->unsent.size < STREAM_READ_BYTES ? (int)stream->unsent.size : STREAM_READ_BYTES);
		else
			n = send(stream->fd, stream->unsent.bytes, stream->unsent.size, MSG_NOSIGNAL);
		if (n > 0) {
			stream->sent += (uint64_t)n;
			buf_consume(&stream->unsent, (size_t)n);
			continue;
		}
		if (stream->ssl != NULL ? tls_waits(stream, (int)n) : errno == EAGAIN || errno == EINTR) {
			stream->write_needs_read = stream->ssl != NULL && !stream->tls_wants_write;
			return true;
		}
		error_set(&stream->why, ERROR_TEMPORARY, "the connection broke: %s",
			stream->ssl != NULL ? tls_reason(stream) : strerror(errno));
		end(stream);
		return false;
	}
	return true;
}

/* Hands on what there is, at most one buffer of it; the last thing done in an event. */
static void receive(struct stream *stream)
{
	char bytes[STREAM_READ_BYTES];
	ssize_t n;

	ERR_clear_error();
	errno = 0;
	n = stream->ssl != NULL ? SSL_read(stream->ssl, bytes, sizeof(bytes))
		: recv(stream->fd, bytes, sizeof(bytes), 0);
	if (n > 0) {
		/* TLS may hold more than the socket shows. */
		if (stream->ssl != NULL && SSL_pending(stream->ssl) > 0)
			ev_feed_event(stream->loop, &stream->io, EV_READ);
		watch(stream);
		stream->events->received(stream->arg, bytes, (size_t)n);
	} else if (stream->ssl != NULL ? tls_waits(stream, (int)n) : n < 0 && (errno == EAGAIN || errno == EINTR)) {
		watch(stream);
	} else if (n == 0) {
		error_set(&stream->why, ERROR_TEMPORARY, "the peer closed the connection");
		end(stream);
	} else {
		error_set(&stream->why, ERROR_TEMPORARY, "the connection broke: %s",
			stream->ssl != NULL ? tls_reason(stream) : strerror(errno));
		end(stream);
	}
}

static void on_io(struct ev_loop *loop, ev_io *io, int revents)
{
	struct stream *stream = container_of(io, struct stream, io);

	(void)loop;
	if (stream->state == STREAM_CONNECTING) {
		on_connected(stream);
	} else if (stream->state == STREAM_HANDSHAKE) {
		shake_hands(stream);
	} else if (stream->state == STREAM_OPEN && flush(stream)) {
		/* A TLS write may have waited for bytes, so both are tried on both. */
		if (revents & EV_READ || stream->ssl != NULL)
			receive(stream);
		else
			watch(stream);
	}
}

struct stream *stream_open(struct ev_loop *loop, const struct stream_target *target,
	const struct stream_events *events, void *arg)
{
	struct stream *stream = xnew(struct stream);

	stream->loop = loop;
	stream->fd = -1;
	stream->host = xstrdup(target->host);
	stream->unix_path = target->host == NULL ? xstrdup(target->unix_path) : NULL;
	stream->port = target->port;
	stream->tls = target->tls;
	stream->timeout_s = target->timeout_s;
	stream->events = events;
	stream->arg = arg;
	buf_init(&stream->unsent, LIMIT_STREAM_UNSENT_BYTES);
	ev_init(&stream->io, on_io);
	ev_idle_init(&stream->tell, on_tell);
	ev_set_priority(&stream->tell, EV_MAXPRI);
	ev_init(&stream->patience, on_patience);
	ev_now_update(loop);
	ev_timer_init(&stream->deadline, on_deadline, target->timeout_s, 0.);
	ev_timer_start(loop, &stream->deadline);
	if (stream->unix_path != NULL)
		connect_unix(stream);
	else
		stream->resolver = resolver_start(loop, stream->host, stream->port, on_resolved, stream);
	return stream;
}

void stream_close(struct stream *stream)
{
	if (stream == NULL)
		return;
	/* Says goodbye if that can be done at once; an answer is not waited for. */
	if (stream->ssl != NULL && stream->state == STREAM_OPEN) {
		ERR_clear_error();
		SSL_shutdown(stream->ssl);
	}
	drop_socket(stream);
	resolver_cancel(stream->resolver);
	ev_timer_stop(stream->loop, &stream->deadline);
	ev_idle_stop(stream->loop, &stream->tell);
	buf_finish(&stream->unsent);
	free(stream->host);
	free(stream->unix_path);
	free(stream);
}

bool stream_send(struct stream *stream, const void *bytes, size_t size)
{
	if (size > stream->unsent.limit - stream->unsent.size)
		return false;
	buf_add(&stream->unsent, bytes, size);
	watch(stream);
	return true;
}

uint64_t stream_sent(const struct stream *stream)
{
	return stream->sent;
}
