/* SPDX-License-Identifier: Apache-2.0 */
/* store_postgresql_link.c - the connection: kept, and made again when it breaks.
 *
 * The watchers here do not keep a loop alive that has nothing else to do; calls that wait for their answer do
 * (store_postgresql.c). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/backoff.h"
#include "base/clock.h"
#include "base/mem.h"
#include "store/store_postgresql.h"

static const double FIRST_RETRY_S = 0.1, LONGEST_RETRY_S = 2;

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

static void drop(struct store_postgresql *pg)
{
	io_stop(pg);
	postgresql_dial_cancel(pg->dial);
	pg->dial = NULL;
	PQfinish(pg->conn);
	pg->conn = NULL;
	pg->state = LINK_DOWN;
}

void store_postgresql_lost(struct store_postgresql *pg, const char *why)
{
	char line[LIMIT_ERROR_TEXT_BYTES];

	postgresql_message(why, line, sizeof(line));
	if (pg->away_since_s == 0) {
		pg->away_since_s = clock_monotonic_s();
		log_warn(&pg->store.log, "%s is away: %s; connecting again until it is back", pg->url.name, line);
	} else {
		log_debug(&pg->store.log, "%s is still away: %s", pg->url.name, line);
	}
	drop(pg);
	pg->failures++;
	store_postgresql_down(pg);
	store_postgresql_mind(pg);
	retry_later(pg);
}

/* -- making it ----------------------------------------------------------------------------------- */

static void take_connection(struct store_postgresql *pg)
{
	if (PQenterPipelineMode(pg->conn) != 1) {
		store_postgresql_lost(pg, PQerrorMessage(pg->conn));
		return;
	}
	pg->state = LINK_UP;
	io_watch(pg, EV_READ);
	store_postgresql_up(pg);
}

static void on_dialled(void *arg, PGconn *take_conn, const char *why)
{
	struct store_postgresql *pg = arg;

	pg->dial = NULL;
	pg->conn = take_conn;
	if (take_conn != NULL)
		take_connection(pg);
	else
		store_postgresql_lost(pg, why);
}

static void on_retry(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct store_postgresql *pg = container_of(timer, struct store_postgresql, retry);

	(void)revents;
	/* It has stopped by itself. */
	ev_ref(loop);
	pg->state = LINK_CONNECTING;
	pg->dial = postgresql_dial_start(loop, &pg->url, on_dialled, pg);
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
	if (PQsetnonblocking(pg->conn, 1) == 0)
		take_connection(pg);
	else
		store_postgresql_lost(pg, PQerrorMessage(pg->conn));
}

void store_postgresql_link_finish(struct store_postgresql *pg)
{
	retry_stop(pg);
	if (ev_is_active(&pg->tick)) {
		ev_ref(pg->store.loop);
		ev_timer_stop(pg->store.loop, &pg->tick);
	}
	drop(pg);
}
