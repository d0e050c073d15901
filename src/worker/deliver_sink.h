/* SPDX-License-Identifier: Apache-2.0 */
/* deliver_sink.h - the sinks of a worker: which there are, and how much each is asked at once.
 * Private to src/worker/deliver*. */
#ifndef WORKER_DELIVER_SINK_H
#define WORKER_DELIVER_SINK_H

#include "base/list.h"
#include "ipc/figures.h"
#include "notify/notify.h"
#include "worker/worker.h"

enum { LIMIT_SINK_WAITING = 64 };       /* in memory, for their turn at one sink; more stay in the store */

struct deliver;

struct deliver_sink {
	struct deliver *deliver;
	const char *name;
	const struct conf_sink *conf;
	struct notify **notifies;       /* a delivery goes to all of them: one, but for errors */
	size_t count;
	unsigned sending, limit;        /* deliveries under way, and how many may be */
	struct list waiting;            /* deliver.c's items, for a place or a token */
	size_t waiting_count;
	double tokens, filled_s;        /* of the rate; monotonic */
	ev_timer pace;                  /* when the next token is there */
	double took_s;                  /* a delivery, lately; smoothed */
	unsigned failures;              /* in a row; only the first is a warning */
	struct figures_row *figures;
};

struct deliver_sinks {
	struct deliver_sink *at;
	size_t count;
	struct http_client *http_public, *http_private;
	struct conf_sink errors, webhooks, emails;      /* of what has no section of its own */
};

/* The names of those that are not sections of notify. */
extern const char deliver_errors[], deliver_webhooks[], deliver_emails[];

bool deliver_sinks_create(struct deliver_sinks *sinks, struct worker *worker, struct deliver *deliver, struct error *err);
void deliver_sinks_destroy(struct deliver_sinks *sinks, struct worker *worker);
/* Whom a delivery's sink means; *target is the address when it is one that a job named, else NULL.  NULL: nobody
 * that is configured. */
struct deliver_sink *deliver_sinks_find(struct deliver_sinks *sinks, const char *name, const char **target);
/* Takes a token; else says how long until there is one. */
bool deliver_sink_take_token(struct deliver_sink *sink, double *wait_s);
/* How long a delivery took. */
void deliver_sink_note_time(struct deliver_sink *sink, double took_s);
/* How long one that finds no room stays in the store. */
int64_t deliver_sink_put_off_ms(const struct deliver_sink *sink);

#endif
