/* SPDX-License-Identifier: Apache-2.0 */
/* curl_loop.c - see curl_loop.h. */
#include "net/curl_loop.h"

#include <stdlib.h>

#include "base/list.h"
#include "base/mem.h"

/* Found by GnuTLS before it makes its tables, at the start of every program that is linked with it.  We are, by
 * libraries of libcurl's and libpq's that nobody here calls (and that make the tables first thing, if they ever are):
 * each worker would keep 120 KB of them. */
int _gnutls_global_init_skip(void);

int _gnutls_global_init_skip(void)
{
	return 1;
}

struct curl_loop {
	struct ev_loop *loop;
	struct log log;
	CURLM *multi;
	ev_timer timer;                 /* when libcurl wants to be called without an event */
	ev_idle soon;                   /* the same, in the next turn of the loop */
	struct list sockets;
	curl_loop_done_fn *done;
	curl_loop_broken_fn *broken;
	void *arg;
};

struct curl_socket {
	struct list link;               /* curl_loop::sockets */
	struct curl_loop *curl;
	ev_io io;
};

static void socket_destroy(struct curl_socket *sock)
{
	ev_io_stop(sock->curl->loop, &sock->io);
	list_remove(&sock->link);
	free(sock);
}

/* Reports the transfers that have ended.  Message and handle are copied before the removal, which frees them. */
static void drain(struct curl_loop *curl)
{
	CURLMsg *message;
	int left;

	while ((message = curl_multi_info_read(curl->multi, &left)) != NULL) {
		CURL *easy = message->easy_handle;
		CURLcode result = message->data.result;

		if (message->msg != CURLMSG_DONE)
			continue;
		curl_loop_remove(curl, easy);
		curl->done(curl->arg, easy, result);
	}
}

static void act(struct curl_loop *curl, curl_socket_t fd, int what)
{
	CURLMcode code;
	int running;

	code = curl_multi_socket_action(curl->multi, fd, what, &running);
	if (code == CURLM_OK) {
		drain(curl);
	} else {
		log_error(&curl->log, "libcurl failed: %s; all connections start over", curl_multi_strerror(code));
		curl_loop_rebuild(curl);
	}
}

/* libcurl may close the socket, and so free this watcher, within act(). */
static void on_io(struct ev_loop *loop, ev_io *io, int revents)
{
	struct curl_socket *sock = container_of(io, struct curl_socket, io);
	int what = (revents & EV_READ ? CURL_CSELECT_IN : 0) | (revents & EV_WRITE ? CURL_CSELECT_OUT : 0)
		| (revents & EV_ERROR ? CURL_CSELECT_ERR : 0);

	(void)loop;
	act(sock->curl, io->fd, what);
}

static void on_timer(struct ev_loop *loop, ev_timer *timer, int revents)
{
	(void)loop;
	(void)revents;
	act(container_of(timer, struct curl_loop, timer), CURL_SOCKET_TIMEOUT, 0);
}

static void on_soon(struct ev_loop *loop, ev_idle *soon, int revents)
{
	(void)revents;
	ev_idle_stop(loop, soon);
	act(container_of(soon, struct curl_loop, soon), CURL_SOCKET_TIMEOUT, 0);
}

static int on_want_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *socket_arg)
{
	struct curl_loop *curl = arg;
	struct curl_socket *sock = socket_arg;
	int events = (what & CURL_POLL_IN ? EV_READ : 0) | (what & CURL_POLL_OUT ? EV_WRITE : 0);

	(void)easy;
	if (what == CURL_POLL_REMOVE) {
		if (sock != NULL)
			socket_destroy(sock);
		curl_multi_assign(curl->multi, fd, NULL);
		return 0;
	}
	if (sock == NULL) {
		sock = xnew(struct curl_socket);
		sock->curl = curl;
		list_append(&curl->sockets, &sock->link);
		ev_init(&sock->io, on_io);
		curl_multi_assign(curl->multi, fd, sock);
	}
	ev_io_stop(curl->loop, &sock->io);
	ev_io_set(&sock->io, fd, events);
	ev_io_start(curl->loop, &sock->io);
	return 0;
}

/* Called within libcurl, so nothing is done here but to remember: 0 means now, which is the next turn. */
static int on_want_timer(CURLM *multi, long timeout_ms, void *arg)
{
	struct curl_loop *curl = arg;

	(void)multi;
	ev_timer_stop(curl->loop, &curl->timer);
	ev_idle_stop(curl->loop, &curl->soon);
	if (timeout_ms == 0) {
		ev_idle_start(curl->loop, &curl->soon);
	} else if (timeout_ms > 0) {
		ev_timer_set(&curl->timer, (double)timeout_ms / 1000.0, 0.);
		ev_timer_start(curl->loop, &curl->timer);
	}
	return 0;
}

static void open_multi(struct curl_loop *curl)
{
	curl->multi = curl_multi_init();
	if (curl->multi == NULL)
		fatal("out of memory for libcurl");
	curl_multi_setopt(curl->multi, CURLMOPT_SOCKETFUNCTION, on_want_socket);
	curl_multi_setopt(curl->multi, CURLMOPT_SOCKETDATA, curl);
	curl_multi_setopt(curl->multi, CURLMOPT_TIMERFUNCTION, on_want_timer);
	curl_multi_setopt(curl->multi, CURLMOPT_TIMERDATA, curl);
	curl_multi_setopt(curl->multi, CURLMOPT_PIPELINING, CURLPIPE_NOTHING);
	curl_multi_setopt(curl->multi, CURLMOPT_MAXCONNECTS, (long)CURL_LOOP_CONNECTIONS);
}

static void close_multi(struct curl_loop *curl)
{
	struct curl_socket *sock, *next;

	curl_multi_cleanup(curl->multi);
	curl->multi = NULL;
	list_each_safe(sock, next, &curl->sockets, link)
		socket_destroy(sock);
	ev_timer_stop(curl->loop, &curl->timer);
	ev_idle_stop(curl->loop, &curl->soon);
}

struct curl_loop *curl_loop_create(struct ev_loop *loop, const struct log *log, curl_loop_done_fn *done,
	curl_loop_broken_fn *broken, void *arg)
{
	struct curl_loop *curl = xnew(struct curl_loop);

	curl_global_init(CURL_GLOBAL_DEFAULT);
	curl->loop = loop;
	curl->done = done;
	curl->broken = broken;
	curl->arg = arg;
	log_init(&curl->log, log, "http");
	list_init(&curl->sockets);
	ev_init(&curl->timer, on_timer);
	ev_idle_init(&curl->soon, on_soon);
	/* An idle watcher keeps the loop from sleeping; with the highest priority it isn't put off either. */
	ev_set_priority(&curl->soon, EV_MAXPRI);
	open_multi(curl);
	return curl;
}

void curl_loop_destroy(struct curl_loop *curl)
{
	if (curl == NULL)
		return;
	close_multi(curl);
	curl_global_cleanup();
	free(curl);
}

bool curl_loop_add(struct curl_loop *curl, CURL *easy)
{
	return curl_multi_add_handle(curl->multi, easy) == CURLM_OK;
}

void curl_loop_remove(struct curl_loop *curl, CURL *easy)
{
	curl_multi_remove_handle(curl->multi, easy);
}

void curl_loop_rebuild(struct curl_loop *curl)
{
	curl->broken(curl->arg);
	close_multi(curl);
	open_multi(curl);
}
