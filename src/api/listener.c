/* SPDX-License-Identifier: Apache-2.0 */
/* listener.c - see listener.h.
 *
 * libmicrohttpd's own timeout counts from the last byte, so a client that sends one now and then holds a
 * connection for ever: each connection has a deadline of ours until its request is whole.  Nor does it see the
 * end of what a client says when that arrives together with the last bytes (its epoll is edge-triggered, and
 * it reads no further than it needs), so clients that ask and vanish would fill all connections: ends are
 * watched for here, and such a connection gets just the time to be answered. */
#include "api/listener.h"

#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "api/request.h"
#include "base/clock.h"
#include "base/mem.h"

enum {
	CONNECTION_MEMORY_BYTES = 32 << 10,     /* head and bookkeeping; bodies are ours */
	HANGUPS_AT_ONCE = 64,
};
static const double leaving_s = 1;              /* for what was said before the end to be read */

/* An open connection. */
struct peer {
	struct list link;               /* listener.peers or leaving; neither while it is answered */
	int fd;
	bool hung_up;                   /* will say no more; may still listen */
	double deadline_s;              /* monotonic, for the next whole request */
	struct request *request;        /* under way; then there is no deadline once it is whole */
};

static void rearm_overdue(struct listener *listener)
{
	struct peer *first = list_first(&listener->peers, struct peer, link);
	struct peer *leaving = list_first(&listener->leaving, struct peer, link);
	double left_s;

	ev_timer_stop(listener->options.loop, &listener->overdue);
	if (first == NULL || (leaving != NULL && leaving->deadline_s < first->deadline_s))
		first = leaving;
	if (first == NULL)
		return;
	left_s = first->deadline_s - clock_monotonic_s();
	ev_timer_set(&listener->overdue, left_s > 0 ? left_s : 0., 0.);
	ev_timer_start(listener->options.loop, &listener->overdue);
}

/* All of a list wait equally long, so the newest is last. */
static void give_time(struct listener *listener, struct peer *peer)
{
	struct list *list = peer->hung_up ? &listener->leaving : &listener->peers;

	list_remove(&peer->link);
	peer->deadline_s = clock_monotonic_s() + (peer->hung_up ? leaving_s : listener->options.head_s);
	list_append(list, &peer->link);
	if (!ev_is_active(&listener->overdue) || list_first(list, struct peer, link) == peer)
		rearm_overdue(listener);
}

static void end_overdue(struct list *list, double now_s)
{
	struct peer *peer, *next;

	list_each_safe(peer, next, list, link) {
		if (peer->deadline_s > now_s)
			break;
		/* Off the list, so that it is told once; MHD sees the end and tells us. */
		list_remove(&peer->link);
		shutdown(peer->fd, SHUT_RDWR);
	}
}

static void on_overdue(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct listener *listener = container_of(timer, struct listener, overdue);
	double now_s = clock_monotonic_s();

	(void)loop, (void)revents;
	end_overdue(&listener->peers, now_s);
	end_overdue(&listener->leaving, now_s);
	rearm_overdue(listener);
}

/* -- clients that hang up ----------------------------------------------------------------------- */

static void watch_hangup(struct listener *listener, struct peer *peer)
{
	struct epoll_event event = { .events = EPOLLRDHUP | EPOLLET, .data = { .ptr = peer } };

	/* One that cannot be watched has its deadline. */
	(void)epoll_ctl(listener->hangups_fd, EPOLL_CTL_ADD, peer->fd, &event);
}

static void on_hangups(struct ev_loop *loop, ev_io *io, int revents)
{
	struct listener *listener = container_of(io, struct listener, hangups);
	struct epoll_event events[HANGUPS_AT_ONCE];
	int count = epoll_wait(io->fd, events, HANGUPS_AT_ONCE, 0);

	(void)loop, (void)revents;
	for (int i = 0; i < count; i++) {
		struct peer *peer = events[i].data.ptr;

		peer->hung_up = true;
		/* Else it is being answered, and leaves after that, or it was told to end. */
		if (!list_empty(&peer->link))
			give_time(listener, peer);
	}
}

static void run(struct listener *listener)
{
	MHD_run(listener->daemon);
}

static void on_readable(struct ev_loop *loop, ev_io *io, int revents)
{
	(void)loop, (void)revents;
	run(container_of(io, struct listener, readable));
}

static void on_timer(struct ev_loop *loop, ev_timer *timer, int revents)
{
	(void)loop, (void)revents;
	run(container_of(timer, struct listener, timer));
}

static void on_prepare(struct ev_loop *loop, ev_prepare *prepare, int revents)
{
	struct listener *listener = container_of(prepare, struct listener, prepare);
	MHD_UNSIGNED_LONG_LONG ms;

	(void)revents;
	if (listener->kicked) {
		listener->kicked = false;
		run(listener);
	}
	ev_timer_stop(loop, &listener->timer);
	if (MHD_get_timeout(listener->daemon, &ms) != MHD_YES)
		return;
	ev_timer_set(&listener->timer, (double)ms / 1000, 0.);
	ev_timer_start(loop, &listener->timer);
}

/* MHD must not be run from inside one of its own calls, so it is run before the next wait. */
void listener_kick(struct listener *listener)
{
	listener->kicked = true;
}

/* -- what MHD tells us -------------------------------------------------------------------------- */

static void on_connection(void *arg, struct MHD_Connection *connection, void **socket_context,
	enum MHD_ConnectionNotificationCode code)
{
	struct listener *listener = arg;
	const union MHD_ConnectionInfo *info;
	struct peer *peer = *socket_context;

	if (code == MHD_CONNECTION_NOTIFY_STARTED) {
		info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
		peer = xnew(struct peer);
		peer->fd = info->connect_fd;
		list_init(&peer->link);
		*socket_context = peer;
		listener->peer_count++;
		give_time(listener, peer);
		watch_hangup(listener, peer);
		return;
	}
	(void)epoll_ctl(listener->hangups_fd, EPOLL_CTL_DEL, peer->fd, NULL);
	list_remove(&peer->link);
	free(peer);
	*socket_context = NULL;
	listener->peer_count--;
	listener->options.idle(listener->options.arg);
}

static struct peer *peer_of(struct MHD_Connection *connection)
{
	return MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
}

static void on_completed(void *arg, struct MHD_Connection *connection, void **context,
	enum MHD_RequestTerminationCode code)
{
	struct listener *listener = arg;
	struct request *request = *context;
	struct peer *peer = peer_of(connection);

	(void)code;
	*context = NULL;
	if (request == NULL)
		return;
	request_destroy(request);
	if (peer != NULL) {
		peer->request = NULL;
		give_time(listener, peer);
	}
	listener->options.idle(listener->options.arg);
}

static enum MHD_Result begin(struct listener *listener, struct MHD_Connection *connection, const char *url,
	const char *method, void **context)
{
	struct request *request = request_create(listener, connection, method, url);
	struct peer *peer = peer_of(connection);

	*context = request;
	peer->request = request;
	if (listener->options.admit(listener->options.arg, request))
		return MHD_YES;
	return request_send(request);
}

static enum MHD_Result on_request(void *arg, struct MHD_Connection *connection, const char *url, const char *method,
	const char *version, const char *data, size_t *size, void **context)
{
	struct listener *listener = arg;
	struct request *request = *context;

	(void)version;
	if (request == NULL)
		return begin(listener, connection, url, method, context);
	if (request_is_answered(request))
		return request_send(request);
	if (*size > 0) {
		request_add_body(request, data, *size);
		*size = 0;
		return MHD_YES;
	}
	if (!request->whole) {
		request->whole = true;
		list_remove(&peer_of(connection)->link);
		if (request->body.overflowed)
			request_answer_error(request, MHD_HTTP_CONTENT_TOO_LARGE, "body too large",
				"a body has at most %zu bytes", listener->options.body_limit);
		else
			listener->options.handle(listener->options.arg, request);
	}
	if (request_is_answered(request))
		return request_send(request);
	request_suspend(request);
	return MHD_YES;
}

static void on_complaint(void *arg, const char *fmt, va_list args)
{
	struct listener *listener = arg;
	char *text = xvasprintf(fmt, args);

	log_debug(&listener->log, "%s", text);
	free(text);
}

/* -- life ------------------------------------------------------------------------------------- */

static struct MHD_Daemon *start(struct listener *listener)
{
	const struct listener_options *options = &listener->options;
	bool tls = options->certificate != NULL && !listener->local;
	struct MHD_OptionItem items[] = {
		{ MHD_OPTION_LISTEN_SOCKET, options->fd, NULL },
		{ MHD_OPTION_CONNECTION_LIMIT, (intptr_t)options->connections, NULL },
		{ MHD_OPTION_CONNECTION_TIMEOUT, (intptr_t)options->idle_s, NULL },
		{ MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONNECTION_MEMORY_BYTES, NULL },
		{ MHD_OPTION_NOTIFY_CONNECTION, (intptr_t)on_connection, listener },
		{ MHD_OPTION_NOTIFY_COMPLETED, (intptr_t)on_completed, listener },
		{ tls ? MHD_OPTION_HTTPS_MEM_CERT : MHD_OPTION_END, 0, (void *)options->certificate },
		{ tls ? MHD_OPTION_HTTPS_MEM_KEY : MHD_OPTION_END, 0, (void *)options->key },
		{ MHD_OPTION_END, 0, NULL },
	};

	return MHD_start_daemon(MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG | (tls ? MHD_USE_TLS : 0), 0,
		NULL, NULL, on_request, listener, MHD_OPTION_EXTERNAL_LOGGER, on_complaint, listener, MHD_OPTION_ARRAY, items,
		MHD_OPTION_END);
}

static enum MHD_Result on_no_request(void *arg, struct MHD_Connection *connection, const char *url,
	const char *method, const char *version, const char *data, size_t *size, void **context)
{
	(void)arg, (void)connection, (void)url, (void)method, (void)version, (void)data, (void)size, (void)context;
	return MHD_NO;
}

bool listener_check_tls(const char *certificate, const char *key, struct error *err)
{
	struct MHD_Daemon *daemon = MHD_start_daemon(MHD_USE_TLS | MHD_USE_NO_LISTEN_SOCKET, 0, NULL, NULL, on_no_request,
		NULL, MHD_OPTION_HTTPS_MEM_CERT, certificate, MHD_OPTION_HTTPS_MEM_KEY, key, MHD_OPTION_END);

	if (daemon == NULL) {
		error_set(err, ERROR_REFUSED, "api.tls: certificate and key are not usable, or do not belong together");
		return false;
	}
	MHD_stop_daemon(daemon);
	return true;
}

static bool is_local(int fd)
{
	struct sockaddr_storage address = { 0 };
	socklen_t size = sizeof(address);

	return getsockname(fd, (struct sockaddr *)&address, &size) == 0 && address.ss_family == AF_UNIX;
}

struct listener *listener_create(const struct listener_options *options, struct error *err)
{
	struct listener *listener = xnew(struct listener);

	listener->options = *options;
	listener->local = is_local(options->fd);
	log_init(&listener->log, options->log, "http");
	list_init(&listener->peers);
	list_init(&listener->leaving);
	list_init(&listener->requests);
	ev_timer_init(&listener->overdue, on_overdue, 0., 0.);
	listener->hangups_fd = epoll_create1(EPOLL_CLOEXEC);
	if (listener->hangups_fd < 0) {
		error_set_errno(err, ERROR_REFUSED, "epoll_create1");
		free(listener);
		return NULL;
	}
	listener->daemon = start(listener);
	if (listener->daemon == NULL) {
		error_set(err, ERROR_REFUSED, "HTTP does not start: %s", options->certificate != NULL && !listener->local ?
			"certificate or key is not usable" : "see the lines before");
		close(listener->hangups_fd);
		free(listener);
		return NULL;
	}
	ev_io_init(&listener->readable, on_readable, MHD_get_daemon_info(listener->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd,
		EV_READ);
	ev_io_start(options->loop, &listener->readable);
	ev_io_init(&listener->hangups, on_hangups, listener->hangups_fd, EV_READ);
	ev_io_start(options->loop, &listener->hangups);
	ev_init(&listener->timer, on_timer);
	ev_prepare_init(&listener->prepare, on_prepare);
	ev_prepare_start(options->loop, &listener->prepare);
	return listener;
}

void listener_quiesce(struct listener *listener)
{
	if (listener->quiet)
		return;
	listener->quiet = true;
	MHD_quiesce_daemon(listener->daemon);
	listener_kick(listener);
}

void listener_close_idle(struct listener *listener)
{
	struct peer *peer, *next;

	list_each_safe(peer, next, &listener->peers, link) {
		if (peer->request == NULL)
			shutdown(peer->fd, SHUT_RDWR);
	}
	listener_kick(listener);
}

/* MHD closes a listening socket that it was not made to let go; what is suspended must be resumed first. */
void listener_destroy(struct listener *listener)
{
	struct request *request;

	if (listener == NULL)
		return;
	listener_quiesce(listener);
	list_each(request, &listener->requests, link)
		request_abandon(request);
	ev_prepare_stop(listener->options.loop, &listener->prepare);
	ev_timer_stop(listener->options.loop, &listener->timer);
	ev_io_stop(listener->options.loop, &listener->readable);
	ev_io_stop(listener->options.loop, &listener->hangups);
	MHD_stop_daemon(listener->daemon);
	close(listener->hangups_fd);
	ev_timer_stop(listener->options.loop, &listener->overdue);
	free(listener);
}
