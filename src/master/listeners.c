/* SPDX-License-Identifier: Apache-2.0 */
/* listeners.c - see listeners.h.  When they are opened and closed is the reload's decision. */
#include "master/listeners.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/descriptor.h"
#include "base/mem.h"
#include "conf/conf_schema.h"

enum {
	LISTEN_BACKLOG = 1024,
	LISTEN_FIRST_FD = 3,            /* of the service manager's */
	LISTEN_TEXT_BYTES = INET6_ADDRSTRLEN + 16,
};

void listeners_init(struct listeners *listeners, const struct log *log)
{
	*listeners = (struct listeners){ .log = log };
	list_init(&listeners->all);
}

static void destroy(struct listener *listener)
{
	const char *path = listen_address_path(&listener->address);

	if (path != NULL)
		local_socket_remove(path, &listener->name);
	descriptor_close(&listener->fd);
	list_remove(&listener->link);
	free(listener->text);
	free(listener);
}

static struct listener *add(struct listeners *listeners, const char *text, int fd)
{
	struct listener *listener = xnew(struct listener);

	listener->text = xstrdup(text);
	listener->fd = fd;
	list_append(&listeners->all, &listener->link);
	return listener;
}

static struct listener *find(const struct listeners *listeners, const struct listen_address *address)
{
	struct listener *listener;

	list_each(listener, &listeners->all, link) {
		if (listen_address_same(&listener->address, address))
			return listener;
	}
	return NULL;
}

int listeners_find(const struct listeners *listeners, const char *text)
{
	const struct listener *listener;
	struct listen_address address;

	if (!listen_address_parse(text, &address))
		return -1;
	listener = find(listeners, &address);
	return listener != NULL ? listener->fd : -1;
}

void listeners_inherit(struct listeners *listeners, const char *text, int fd, struct local_name name, bool lent)
{
	struct listener *listener = add(listeners, text, fd);

	/* A text that is not understood any more is one that no configuration names: it is closed soon. */
	listen_address_parse(text, &listener->address);
	listener->name = name;
	listener->lent = lent;
}

/* -- opening ---------------------------------------------------------------------------------- */

static void describe(const struct listen_address *address, char text[LISTEN_TEXT_BYTES])
{
	char host[INET6_ADDRSTRLEN] = "";

	if (address->any.sa_family == AF_INET) {
		inet_ntop(AF_INET, &address->ip4.sin_addr, host, sizeof(host));
		snprintf(text, LISTEN_TEXT_BYTES, "%s:%u", host, ntohs(address->ip4.sin_port));
	} else {
		inet_ntop(AF_INET6, &address->ip6.sin6_addr, host, sizeof(host));
		snprintf(text, LISTEN_TEXT_BYTES, "[%s]:%u", host, ntohs(address->ip6.sin6_port));
	}
}

static bool bind_and_listen(int fd, const struct listen_address *address)
{
	const int on = 1;

	/* A connection of our last life that lingers in TIME_WAIT does not hold up the next one; and [::] is
	 * not 0.0.0.0 as well, which may be configured beside it. */
	return setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 &&
		(address->any.sa_family != AF_INET6 ||
		 setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) == 0) &&
		bind(fd, &address->any, listen_address_size(address)) == 0 && listen(fd, LISTEN_BACKLOG) == 0;
}

static int open_network(const char *text, const struct listen_address *address, struct error *err)
{
	int fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd >= 0 && bind_and_listen(fd, address))
		return fd;
	error_set_errno(err, ERROR_REFUSED, "api.listen: %s", text);
	descriptor_close(&fd);
	return -1;
}

/* With port 0 the kernel has chosen one, which is worth a word. */
static void announce(const struct listeners *listeners, const struct listener *listener)
{
	struct listen_address bound = listener->address;
	socklen_t size = sizeof(bound);
	char text[LISTEN_TEXT_BYTES];

	if (listen_address_path(&listener->address) == NULL && getsockname(listener->fd, &bound.any, &size) == 0) {
		describe(&bound, text);
		log_info(listeners->log, "listening on %s", text);
	} else {
		log_info(listeners->log, "listening on %s", listener->text);
	}
}

static bool open_one(struct listeners *listeners, const char *text, const struct identity *identity,
	struct error *err)
{
	struct local_name name = { 0 };
	struct listen_address address;
	struct listener *listener;
	const char *path;
	int fd;

	if (!listen_address_parse(text, &address)) {
		error_set(err, ERROR_INVALID, "api.listen: %s is no address", text);
		return false;
	}
	if (find(listeners, &address) != NULL)
		return true;
	path = listen_address_path(&address);
	if (path != NULL)
		fd = local_socket_listen("api.listen:", path, LISTEN_BACKLOG, identity, &name, err);
	else
		fd = open_network(text, &address, err);
	if (fd < 0)
		return false;
	listener = add(listeners, text, fd);
	listener->address = address;
	listener->name = name;
	announce(listeners, listener);
	return true;
}

bool listeners_open(struct listeners *listeners, const struct conf *conf, const struct identity *identity,
	struct error *err)
{
	struct list *last = listeners->all.prev;

	for (size_t i = 0; conf->api != NULL && i < conf->api->listen.count; i++) {
		if (open_one(listeners, conf->api->listen.at[i], identity, err))
			continue;
		/* They are behind those that were there. */
		while (listeners->all.prev != last)
			destroy(container_of(listeners->all.prev, struct listener, link));
		return false;
	}
	return true;
}

/* -- closing ---------------------------------------------------------------------------------- */

static bool is_named(const struct listener *listener, const struct conf *conf)
{
	struct listen_address address;

	for (size_t i = 0; conf != NULL && conf->api != NULL && i < conf->api->listen.count; i++) {
		if (listen_address_parse(conf->api->listen.at[i], &address) &&
		    listen_address_same(&address, &listener->address))
			return true;
	}
	return false;
}

void listeners_keep(struct listeners *listeners, const struct conf *conf)
{
	struct listener *listener, *next;

	list_each_safe(listener, next, &listeners->all, link) {
		/* A lent one can be had only once. */
		if (listener->lent || is_named(listener, conf))
			continue;
		log_info(listeners->log, "no longer listening on %s", listener->text);
		destroy(listener);
	}
}

void listeners_close(struct listeners *listeners)
{
	struct listener *listener, *next;

	list_each_safe(listener, next, &listeners->all, link)
		destroy(listener);
}

/* -- the service manager's -------------------------------------------------------------------- */

static bool is_listening(int fd, struct listen_address *address)
{
	socklen_t size = sizeof(*address), on_size = sizeof(int);
	int on = 0;

	memset(address, 0, sizeof(*address));
	return getsockname(fd, &address->any, &size) == 0 &&
		getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &on, &on_size) == 0 && on != 0 &&
		(address->any.sa_family == AF_INET || address->any.sa_family == AF_INET6 ||
		 address->any.sa_family == AF_UNIX);
}

static void borrow_one(struct listeners *listeners, int fd)
{
	struct listen_address address;
	char network[LISTEN_TEXT_BYTES], *text;
	struct listener *listener;

	if (!is_listening(fd, &address)) {
		log_warn(listeners->log, "descriptor %d of LISTEN_FDS is no socket that listens", fd);
		return;
	}
	descriptor_set_cloexec(fd, true);
	descriptor_set_nonblocking(fd, true);
	if (listen_address_path(&address) == NULL)
		describe(&address, network);
	text = listen_address_path(&address) == NULL ? xstrdup(network) :
		xasprintf("unix:%s", listen_address_path(&address));
	listener = add(listeners, text, fd);
	listener->address = address;
	listener->lent = true;
	log_info(listeners->log, "listening on %s, which the service manager has opened", text);
	free(text);
}

void listeners_borrow(struct listeners *listeners)
{
	const char *count = secure_getenv("LISTEN_FDS"), *pid = secure_getenv("LISTEN_PID");

	if (count != NULL && pid != NULL && strtol(pid, NULL, 10) == (long)getpid()) {
		for (int i = 0; i < atoi(count) && i < LIMIT_CONF_LISTENERS; i++)
			borrow_one(listeners, LISTEN_FIRST_FD + i);
	}
	/* They are taken: neither a child nor the program after an upgrade is to take them again. */
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDNAMES");
}
