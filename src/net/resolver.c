/* SPDX-License-Identifier: Apache-2.0 */
/* resolver.c - see resolver.h. */
#include "net/resolver.h"

#include <ares.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "base/mem.h"

enum {
	TRY_MS = 1500,          /* for an answer of one server */
	TRIES = 2,
};

struct resolver {
	struct ev_loop *loop;
	ares_channel channel;           /* NULL once over */
	struct list sockets;
	ev_timer timer;                 /* c-ares' own timeouts */
	ev_idle tell;                   /* the outcome, in a turn of its own */
	char *host;
	struct resolver_address addresses[LIMIT_RESOLVER_ADDRESSES];
	size_t count;
	struct error err;
	bool over;
	resolver_done_fn *done;
	void *arg;
};

struct resolver_socket {
	struct list link;               /* resolver::sockets */
	struct resolver *resolver;
	ev_io io;
};

static void resolver_destroy(struct resolver *resolver)
{
	struct resolver_socket *sock, *next;

	if (resolver->channel != NULL)
		ares_destroy(resolver->channel);
	ares_library_cleanup();
	list_each_safe(sock, next, &resolver->sockets, link) {
		ev_io_stop(resolver->loop, &sock->io);
		free(sock);
	}
	ev_timer_stop(resolver->loop, &resolver->timer);
	ev_idle_stop(resolver->loop, &resolver->tell);
	free(resolver->host);
	free(resolver);
}

static void on_tell(struct ev_loop *loop, ev_idle *tell, int revents)
{
	struct resolver *resolver = container_of(tell, struct resolver, tell);

	(void)revents;
	ev_idle_stop(loop, tell);
	resolver->done(resolver->arg, resolver->addresses, resolver->count,
		resolver->err.kind != ERROR_NONE ? &resolver->err : NULL);
	resolver_destroy(resolver);
}

/* From within c-ares, and also from within ares_destroy(). */
static void on_addresses(void *arg, int status, int timeouts, struct ares_addrinfo *info)
{
	struct resolver *resolver = arg;

	(void)timeouts;
	if (status != ARES_SUCCESS) {
		error_set(&resolver->err, ERROR_TEMPORARY, "cannot look up \"%.200s\": %s", resolver->host,
			ares_strerror(status));
	} else {
		for (struct ares_addrinfo_node *node = info->nodes; node != NULL; node = node->ai_next) {
			struct resolver_address *address = &resolver->addresses[resolver->count];

			if (resolver->count == LIMIT_RESOLVER_ADDRESSES || node->ai_addrlen > sizeof(address->storage))
				break;
			memcpy(&address->storage, node->ai_addr, node->ai_addrlen);
			address->size = node->ai_addrlen;
			resolver->count++;
		}
		ares_freeaddrinfo(info);
		if (resolver->count == 0)
			error_set(&resolver->err, ERROR_TEMPORARY, "\"%.200s\" has no address", resolver->host);
	}
	resolver->over = true;
	if (status != ARES_EDESTRUCTION)
		ev_idle_start(resolver->loop, &resolver->tell);
}

static void set_timer(struct resolver *resolver)
{
	struct timeval wait, *left;

	ev_timer_stop(resolver->loop, &resolver->timer);
	left = ares_timeout(resolver->channel, NULL, &wait);
	if (resolver->over || left == NULL)
		return;
	ev_timer_set(&resolver->timer, (double)left->tv_sec + (double)left->tv_usec / 1e6, 0.);
	ev_timer_start(resolver->loop, &resolver->timer);
}

static void on_timer(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct resolver *resolver = container_of(timer, struct resolver, timer);

	(void)loop;
	(void)revents;
	ares_process_fd(resolver->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
	set_timer(resolver);
}

/* c-ares may close the socket, and so free this watcher, while it works. */
static void on_io(struct ev_loop *loop, ev_io *io, int revents)
{
	struct resolver *resolver = container_of(io, struct resolver_socket, io)->resolver;
	int fd = io->fd;

	(void)loop;
	ares_process_fd(resolver->channel, revents & EV_READ ? fd : ARES_SOCKET_BAD,
		revents & EV_WRITE ? fd : ARES_SOCKET_BAD);
	set_timer(resolver);
}

static struct resolver_socket *find_socket(struct resolver *resolver, int fd)
{
	struct resolver_socket *sock;

	list_each(sock, &resolver->sockets, link)
		if (sock->io.fd == fd)
			return sock;
	sock = xnew(struct resolver_socket);
	sock->resolver = resolver;
	ev_io_init(&sock->io, on_io, fd, 0);
	list_append(&resolver->sockets, &sock->link);
	return sock;
}

static void on_want_socket(void *arg, ares_socket_t fd, int readable, int writable)
{
	struct resolver *resolver = arg;
	struct resolver_socket *sock = find_socket(resolver, fd);

	ev_io_stop(resolver->loop, &sock->io);
	if (!readable && !writable) {
		list_remove(&sock->link);
		free(sock);
		return;
	}
	ev_io_set(&sock->io, fd, (readable ? EV_READ : 0) | (writable ? EV_WRITE : 0));
	ev_io_start(resolver->loop, &sock->io);
}

struct resolver *resolver_start(struct ev_loop *loop, const char *host, unsigned port, resolver_done_fn *done,
	void *arg)
{
	struct resolver *resolver = xnew(struct resolver);
	struct ares_options options = {
		.timeout = TRY_MS, .tries = TRIES, .sock_state_cb = on_want_socket, .sock_state_cb_data = resolver,
	};
	struct ares_addrinfo_hints hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM,
		.ai_flags = ARES_AI_NUMERICSERV };
	char service[16];
	int status;

	resolver->loop = loop;
	resolver->host = xstrdup(host);
	resolver->done = done;
	resolver->arg = arg;
	list_init(&resolver->sockets);
	ev_init(&resolver->timer, on_timer);
	ev_idle_init(&resolver->tell, on_tell);
	ev_set_priority(&resolver->tell, EV_MAXPRI);
	snprintf(service, sizeof(service), "%u", port);
	ares_library_init(ARES_LIB_INIT_ALL);
	status = ares_init_options(&resolver->channel, &options,
		ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB);
	if (status != ARES_SUCCESS) {
		resolver->channel = NULL;
		on_addresses(resolver, status, 0, NULL);
		return resolver;
	}
	ares_getaddrinfo(resolver->channel, host, service, &hints, on_addresses, resolver);
	set_timer(resolver);
	return resolver;
}

void resolver_cancel(struct resolver *resolver)
{
	if (resolver != NULL)
		resolver_destroy(resolver);
}
