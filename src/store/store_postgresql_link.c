/* SPDX-License-Identifier: Apache-2.0 */
/* store_postgresql_link.c - the connection: made without waiting, kept, and made again when it breaks.
 *
 * libpq would look up names by itself and wait for the answer, so it is given addresses.  The watchers here do
 * not keep a loop alive that has nothing else to do; calls that wait for their answer do (store_postgresql.c). */
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/backoff.h"
#include "base/clock.h"
#include "base/mem.h"
#include "store/store_postgresql.h"

static const double FIRST_RETRY_S = 0.1, LONGEST_RETRY_S = 2;

static void look_up(struct store_postgresql *pg);

/* -- watchers ------------------------------------------------------------------------------------ */

static void io_stop(struct store_postgresql *pg)
{
	if (!ev_is_active(&pg->io))
		return;
	ev_ref(pg->store.loop);
	ev_io_stop(pg->store.loop, &pg->io);
}

static void io_watch(struct store_postgresql *pg, int events)
{
	int fd = PQsocket(pg->conn);

	if (ev_is_active(&pg->io) && pg->io.fd == fd && (pg->io.events & (EV_READ | EV_WRITE)) == events)
		return;
	io_stop(pg);
	ev_io_set(&pg->io, fd, events);
	ev_io_start(pg->store.loop, &pg->io);
	ev_unref(pg->store.loop);
}

void store_postgresql_mind(struct store_postgresql *pg)
{
	bool mind = pg->state != LINK_UP || pg->outstanding > 0;
	/* It is a number, not a truth value. */
	bool minded = ev_is_active(&pg->tick) != 0;

	if (mind == minded)
		return;
	if (mind) {
		ev_timer_again(pg->store.loop, &pg->tick);
		ev_unref(pg->store.loop);
	} else {
		ev_ref(pg->store.loop);
		ev_timer_stop(pg->store.loop, &pg->tick);
	}
}

static void retry_stop(struct store_postgresql *pg)
{
	/* Pending: it has stopped by itself, and was not heard yet. */
	if (ev_is_active(&pg->retry) || ev_is_pending(&pg->retry))
		ev_ref(pg->store.loop);
	ev_timer_stop(pg->store.loop, &pg->retry);
}

static void retry_later(struct store_postgresql *pg)
{
	retry_stop(pg);
	ev_timer_set(&pg->retry, backoff_s(pg->failures > 0 ? pg->failures : 1, FIRST_RETRY_S, LONGEST_RETRY_S,
		random_unit()), 0);
	ev_timer_start(pg->store.loop, &pg->retry);
	ev_unref(pg->store.loop);
}

/* -- losing it ----------------------------------------------------------------------------------- */

static void forget_addresses(struct store_postgresql *pg)
{
	free(pg->hosts_found);
	free(pg->hostaddrs);
	free(pg->ports);
	pg->hosts_found = pg->hostaddrs = pg->ports = NULL;
}

static void drop(struct store_postgresql *pg)
{
	io_stop(pg);
	resolver_cancel(pg->resolver);
	pg->resolver = NULL;
	PQfinish(pg->conn);
	pg->conn = NULL;
	pg->state = LINK_DOWN;
}

void store_postgresql_lost(struct store_postgresql *pg, const char *why)
{
	char line[LIMIT_ERROR_TEXT_BYTES];

	store_postgresql_message(why, line, sizeof(line));
	if (pg->away_since_s == 0) {
		pg->away_since_s = clock_monotonic_s();
		log_warn(&pg->store.log, "%s is away: %s; connecting again until it is back", pg->name, line);
	} else {
		log_debug(&pg->store.log, "%s is still away: %s", pg->name, line);
	}
	drop(pg);
	pg->failures++;
	store_postgresql_down(pg);
	store_postgresql_mind(pg);
	retry_later(pg);
}

/* -- making it ----------------------------------------------------------------------------------- */

static void on_polled(struct store_postgresql *pg, PostgresPollingStatusType status)
{
	switch (status) {
	case PGRES_POLLING_READING:
		/* It may have another socket, of the same number. */
		io_stop(pg);
		io_watch(pg, EV_READ);
		return;
	case PGRES_POLLING_WRITING:
		io_stop(pg);
		io_watch(pg, EV_WRITE);
		return;
	case PGRES_POLLING_OK:
		if (PQsetnonblocking(pg->conn, 1) != 0 || PQenterPipelineMode(pg->conn) != 1) {
			store_postgresql_lost(pg, PQerrorMessage(pg->conn));
			return;
		}
		pg->state = LINK_UP;
		io_watch(pg, EV_READ);
		store_postgresql_up(pg);
		return;
	default:
		store_postgresql_lost(pg, PQerrorMessage(pg->conn));
		return;
	}
}

static void connect_start(struct store_postgresql *pg)
{
	pg->conn = store_postgresql_connect_start(pg);
	forget_addresses(pg);
	pg->state = LINK_CONNECTING;
	if (pg->conn == NULL || PQstatus(pg->conn) == CONNECTION_BAD)
		store_postgresql_lost(pg, pg->conn != NULL ? PQerrorMessage(pg->conn) : "no memory");
	else
		on_polled(pg, PGRES_POLLING_WRITING);
}

static void append(char **list, const char *part)
{
	char *longer = *list != NULL ? xasprintf("%s,%s", *list, part) : xstrdup(part);

	free(*list);
	*list = longer;
}

/* address: "" when libpq is to see by itself what host is. */
static void add_address(struct store_postgresql *pg, const char *host, const char *address, const char *port)
{
	append(&pg->hosts_found, host);
	append(&pg->ports, port);
	append(&pg->hostaddrs, address);
}

static void on_addresses(void *arg, const struct resolver_address *addresses, size_t count, const struct error *err)
{
	struct store_postgresql *pg = arg;
	bool resolve;
	char *host = store_postgresql_host(pg, pg->host, &resolve);
	char *port = store_postgresql_port(pg, pg->host);

	pg->resolver = NULL;
	for (size_t i = 0; err == NULL && i < count; i++) {
		char text[NI_MAXHOST];

		if (getnameinfo((const struct sockaddr *)&addresses[i].storage, addresses[i].size, text, sizeof(text), NULL, 0,
			NI_NUMERICHOST) == 0)
			add_address(pg, host, text, port);
	}
	if (err != NULL)
		log_debug(&pg->store.log, "%s", err->text);
	free(host);
	free(port);
	pg->host++;
	look_up(pg);
}

/* One host after the other; then connects. */
static void look_up(struct store_postgresql *pg)
{
	pg->state = LINK_LOOKING_UP;
	for (; pg->host < pg->hosts; pg->host++) {
		bool resolve;
		char *host = store_postgresql_host(pg, pg->host, &resolve);
		char *port = store_postgresql_port(pg, pg->host);

		if (resolve) {
			pg->resolver = resolver_start(pg->store.loop, host, (unsigned)strtoul(port, NULL, 10), on_addresses, pg);
			free(host);
			free(port);
			return;
		}
		add_address(pg, host != NULL ? host : "", "", port);
		free(host);
		free(port);
	}
	if (pg->hosts > 0 && pg->hosts_found == NULL)
		store_postgresql_lost(pg, "its name has no address");
	else
		connect_start(pg);
}

static void on_retry(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct store_postgresql *pg = container_of(timer, struct store_postgresql, retry);

	(void)revents;
	/* It has stopped by itself. */
	ev_ref(loop);
	pg->tried_s = clock_monotonic_s();
	pg->host = 0;
	forget_addresses(pg);
	look_up(pg);
}

/* -- using it ------------------------------------------------------------------------------------ */

void store_postgresql_flush(struct store_postgresql *pg)
{
	int left = PQflush(pg->conn);

	if (left < 0)
		store_postgresql_lost(pg, PQerrorMessage(pg->conn));
	else
		io_watch(pg, left > 0 ? EV_READ | EV_WRITE : EV_READ);
}

bool store_postgresql_send(struct store_postgresql *pg, const char *query, int count, const char *const *values)
{
	if (PQsendQueryParams(pg->conn, query, count, NULL, values, NULL, NULL, 0) == 1 && PQpipelineSync(pg->conn) == 1)
		return true;
	store_postgresql_lost(pg, PQerrorMessage(pg->conn));
	return false;
}

static void take_wakes(struct store_postgresql *pg)
{
	PGnotify *notify;
	bool closed = false;

	pg->closed = &closed;
	while (!closed && (notify = PQnotifies(pg->conn)) != NULL) {
		if (notify->be_pid != PQbackendPID(pg->conn))
			store_postgresql_wake(pg, notify->relname);
		PQfreemem(notify);
	}
	if (!closed)
		pg->closed = NULL;
}

static void take_results(struct store_postgresql *pg)
{
	bool closed = false;

	pg->closed = &closed;
	while (!closed && pg->state == LINK_UP && !list_empty(&pg->sent) && !PQisBusy(pg->conn)) {
		PGresult *result = PQgetResult(pg->conn);

		if (result != NULL)
			store_postgresql_take_result(pg, result);
		else if (PQstatus(pg->conn) == CONNECTION_BAD)
			store_postgresql_lost(pg, PQerrorMessage(pg->conn));
	}
	if (closed)
		return;
	pg->closed = NULL;
	if (pg->state == LINK_UP)
		take_wakes(pg);
}

static void on_io(struct ev_loop *loop, ev_io *io, int revents)
{
	struct store_postgresql *pg = container_of(io, struct store_postgresql, io);

	(void)loop;
	if (pg->state == LINK_CONNECTING) {
		on_polled(pg, PQconnectPoll(pg->conn));
		return;
	}
	if ((revents & EV_READ) && PQconsumeInput(pg->conn) != 1) {
		store_postgresql_lost(pg, PQerrorMessage(pg->conn));
		return;
	}
	if (revents & EV_WRITE)
		store_postgresql_flush(pg);
	if (pg->state == LINK_UP)
		take_results(pg);
}

/* -- deadlines ----------------------------------------------------------------------------------- */

static void on_tick(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct store_postgresql *pg = container_of(timer, struct store_postgresql, tick);
	const struct store_postgresql_request *oldest = list_first(&pg->sent, struct store_postgresql_request, link);
	double now_s = clock_monotonic_s();

	(void)loop;
	(void)revents;
	if (pg->state == LINK_UP && oldest != NULL && now_s - oldest->sent_s > STORE_POSTGRESQL_ANSWER_S)
		store_postgresql_lost(pg, "it gives no answer");
	else if ((pg->state == LINK_LOOKING_UP || pg->state == LINK_CONNECTING) &&
		now_s - pg->tried_s > STORE_POSTGRESQL_CONNECT_S)
		store_postgresql_lost(pg, "it does not take the connection");
	if (pg->state != LINK_UP && pg->away_since_s > 0 && now_s - pg->away_since_s > STORE_POSTGRESQL_AWAY_S && pg->outstanding > 0)
		store_postgresql_give_up(pg);
}

void store_postgresql_link_init(struct store_postgresql *pg)
{
	ev_init(&pg->io, on_io);
	ev_init(&pg->retry, on_retry);
	ev_timer_init(&pg->tick, on_tick, 0, 1);
}

void store_postgresql_link_take(struct store_postgresql *pg)
{
	on_polled(pg, PGRES_POLLING_OK);
}

void store_postgresql_link_finish(struct store_postgresql *pg)
{
	retry_stop(pg);
	if (ev_is_active(&pg->tick)) {
		ev_ref(pg->store.loop);
		ev_timer_stop(pg->store.loop, &pg->tick);
	}
	drop(pg);
	forget_addresses(pg);
}
