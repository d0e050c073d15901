/* SPDX-License-Identifier: Apache-2.0 */
/* postgresql_dial.c - see postgresql_dial.h.  Names first, one host after the other; then libpq tries what was found. */
#include "net/postgresql_dial.h"

#include <netdb.h>
#include <stdlib.h>

#include "base/list.h"
#include "base/mem.h"
#include "net/resolver.h"

struct postgresql_dial {
	struct ev_loop *loop;
	const struct postgresql_url *url;
	size_t host;                    /* the one that is being looked up */
	struct resolver *resolver;
	struct postgresql_addresses found;
	PGconn *conn;
	ev_io io;
	ev_timer turn;                  /* begins */
	ev_timer deadline;
	postgresql_dialled_fn *done;
	void *arg;
};

static void look_up(struct postgresql_dial *dial);

/* -- watchers ------------------------------------------------------------------------------------ */

static void timer_start(struct postgresql_dial *dial, ev_timer *timer)
{
	ev_timer_start(dial->loop, timer);
	ev_unref(dial->loop);
}

static void timer_stop(struct postgresql_dial *dial, ev_timer *timer)
{
	/* Pending: it has stopped by itself, and was not heard yet. */
	if (ev_is_active(timer) || ev_is_pending(timer))
		ev_ref(dial->loop);
	ev_timer_stop(dial->loop, timer);
}

static void io_stop(struct postgresql_dial *dial)
{
	if (!ev_is_active(&dial->io))
		return;
	ev_ref(dial->loop);
	ev_io_stop(dial->loop, &dial->io);
}

/* Set anew each time: it may have another socket, of the same number. */
static void io_watch(struct postgresql_dial *dial, int events)
{
	io_stop(dial);
	ev_io_set(&dial->io, PQsocket(dial->conn), events);
	ev_io_start(dial->loop, &dial->io);
	ev_unref(dial->loop);
}

/* -- the end ------------------------------------------------------------------------------------- */

static void forget_addresses(struct postgresql_addresses *found)
{
	free(found->hosts);
	free(found->addresses);
	free(found->ports);
	*found = (struct postgresql_addresses){ 0 };
}

static void release(struct postgresql_dial *dial)
{
	io_stop(dial);
	timer_stop(dial, &dial->turn);
	timer_stop(dial, &dial->deadline);
	resolver_cancel(dial->resolver);
	forget_addresses(&dial->found);
	free(dial);
}

static void succeed(struct postgresql_dial *dial)
{
	postgresql_dialled_fn *done = dial->done;
	PGconn *conn = dial->conn;
	void *arg = dial->arg;

	release(dial);
	done(arg, conn, NULL);
}

static void fail(struct postgresql_dial *dial, const char *why)
{
	postgresql_dialled_fn *done = dial->done;
	PGconn *conn = dial->conn;
	void *arg = dial->arg;

	release(dial);
	done(arg, NULL, why);
	/* Why may be its last word. */
	PQfinish(conn);
}

/* -- the way there ------------------------------------------------------------------------------- */

static void on_polled(struct postgresql_dial *dial, PostgresPollingStatusType status)
{
	switch (status) {
	case PGRES_POLLING_READING:
		io_watch(dial, EV_READ);
		return;
	case PGRES_POLLING_WRITING:
		io_watch(dial, EV_WRITE);
		return;
	case PGRES_POLLING_OK:
		if (PQsetnonblocking(dial->conn, 1) == 0)
			succeed(dial);
		else
			fail(dial, PQerrorMessage(dial->conn));
		return;
	default:
		fail(dial, PQerrorMessage(dial->conn));
		return;
	}
}

static void on_io(struct ev_loop *loop, ev_io *io, int revents)
{
	struct postgresql_dial *dial = container_of(io, struct postgresql_dial, io);

	(void)loop, (void)revents;
	on_polled(dial, PQconnectPoll(dial->conn));
}

static void connect_start(struct postgresql_dial *dial)
{
	dial->conn = postgresql_connect_start(dial->url, dial->found.hosts != NULL ? &dial->found : NULL);
	if (dial->conn == NULL || PQstatus(dial->conn) == CONNECTION_BAD)
		fail(dial, dial->conn != NULL ? PQerrorMessage(dial->conn) : "no memory");
	else
		on_polled(dial, PGRES_POLLING_WRITING);
}

static void append(char **list, const char *part)
{
	char *longer = *list != NULL ? xasprintf("%s,%s", *list, part) : xstrdup(part);

	free(*list);
	*list = longer;
}

static void add_address(struct postgresql_dial *dial, const char *host, const char *address, const char *port)
{
	append(&dial->found.hosts, host);
	append(&dial->found.ports, port);
	append(&dial->found.addresses, address);
}

static void on_addresses(void *arg, const struct resolver_address *addresses, size_t count, const struct error *err)
{
	struct postgresql_dial *dial = arg;
	bool resolve;
	char *host = postgresql_url_host(dial->url, dial->host, &resolve);
	char *port = postgresql_url_port(dial->url, dial->host);

	dial->resolver = NULL;
	for (size_t i = 0; err == NULL && i < count; i++) {
		char text[NI_MAXHOST];

		if (getnameinfo((const struct sockaddr *)&addresses[i].storage, addresses[i].size, text, sizeof(text), NULL, 0,
			NI_NUMERICHOST) == 0)
			add_address(dial, host, text, port);
	}
	if (err != NULL)
		log_debug(dial->url->log, "%s", err->text);
	free(host);
	free(port);
	dial->host++;
	look_up(dial);
}

static void look_up(struct postgresql_dial *dial)
{
	for (; dial->host < dial->url->hosts; dial->host++) {
		bool resolve;
		char *host = postgresql_url_host(dial->url, dial->host, &resolve);
		char *port = postgresql_url_port(dial->url, dial->host);

		if (resolve)
			dial->resolver = resolver_start(dial->loop, host, (unsigned)strtoul(port, NULL, 10), on_addresses, dial);
		else
			add_address(dial, host != NULL ? host : "", "", port);
		free(host);
		free(port);
		if (resolve)
			return;
	}
	if (dial->url->hosts > 0 && dial->found.hosts == NULL)
		fail(dial, "its name has no address");
	else
		connect_start(dial);
}

static void on_turn(struct ev_loop *loop, ev_timer *timer, int revents)
{
	(void)revents;
	/* It has stopped by itself. */
	ev_ref(loop);
	look_up(container_of(timer, struct postgresql_dial, turn));
}

static void on_deadline(struct ev_loop *loop, ev_timer *timer, int revents)
{
	(void)revents;
	ev_ref(loop);
	fail(container_of(timer, struct postgresql_dial, deadline), "it does not take the connection");
}

struct postgresql_dial *postgresql_dial_start(struct ev_loop *loop, const struct postgresql_url *url,
	postgresql_dialled_fn *done, void *arg)
{
	struct postgresql_dial *dial = xnew(struct postgresql_dial);

	dial->loop = loop;
	dial->url = url;
	dial->done = done;
	dial->arg = arg;
	ev_init(&dial->io, on_io);
	ev_now_update(loop);
	ev_timer_init(&dial->turn, on_turn, 0., 0.);
	ev_timer_init(&dial->deadline, on_deadline, POSTGRESQL_CONNECT_S, 0.);
	timer_start(dial, &dial->turn);
	timer_start(dial, &dial->deadline);
	return dial;
}

void postgresql_dial_cancel(struct postgresql_dial *dial)
{
	PGconn *conn = dial != NULL ? dial->conn : NULL;

	if (dial != NULL)
		release(dial);
	PQfinish(conn);
}
