/* SPDX-License-Identifier: Apache-2.0 */
/* figures.h - what a process counts, where the master can read it.
 *
 * Each worker and api counts into a page of memory that it shares with the master: to count is to add to a
 * number there, and nobody is told.  Who wants to know (GET /metrics) asks the master, which adds up the
 * pages of those that live and of those that went: a counter so never falls, whether a worker dies,
 * a generation is replaced, or the master itself is upgraded, which keeps the page of the departed.
 *
 * A page is rows of numbers, each with a kind (what its numbers mean) and a name (of which queue, action
 * or deployer).  The master adds rows of one kind and name without knowing either.  Numbers only grow. */
#ifndef IPC_FIGURES_H
#define IPC_FIGURES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

enum {
	FIGURES_MAGIC = 0x66696773,
	FIGURES_VERSION = 1,
	LIMIT_FIGURES_ROWS = 1023,      /* in a page; what comes later is counted under FIGURES_OTHER */
	FIGURES_NAME_BYTES = 76,        /* longer names are cut */
	FIGURES_VALUES = 22,
};

/* The name of a row for all those that the page had no room for. */
#define FIGURES_OTHER "(other)"

/* A page may be read by a later version: kinds and numbers are only ever added, at the end. */
enum figures_kind {
	FIGURES_NONE,
	FIGURES_RELOADS,        /* name: verdict; one number */
	FIGURES_RESTARTS,       /* role; enum figures_restart */
	FIGURES_PROCESS,        /* role; enum figures_process */
	FIGURES_QUEUE,          /* queue; enum figures_queue */
	FIGURES_AWS,            /* "sqs/ReceiveMessage"; enum figures_aws */
	FIGURES_DEPLOYER,       /* deployer; enum figures_deployer */
	FIGURES_WAIT,           /* deployer; a histogram, as the three below: accepted to launched for the first time */
	FIGURES_LAUNCH,         /* free to launch to launched */
	FIGURES_RUN,            /* launched to ended */
	FIGURES_SETTLE,         /* end seen to message deleted */
	FIGURES_SINK,           /* sink; enum figures_sink */
	FIGURES_ROUTE,          /* "GET /v1/jobs/ID"; one number per figures_codes */
	FIGURES_ROUTE_TIME,     /* the same; a histogram: request begun to answer begun */
	FIGURES_KINDS
};

enum figures_restart { FIGURES_CRASHED, FIGURES_REFUSED, FIGURES_HUNG, FIGURES_RESTART_CAUSES };
enum figures_process { FIGURES_LOG_DROPPED, FIGURES_COMMITS, FIGURES_WRITES, FIGURES_BUSY, FIGURES_PROCESS_VALUES };
enum figures_queue {
	FIGURES_RECEIVED, FIGURES_SETTLED, FIGURES_EMPTY_RECEIVES, FIGURES_QUEUE_FAILURES, FIGURES_LEASES_LOST,
	FIGURES_QUEUE_VALUES
};
/* Tries, by what came of each; retries are those of them that were not the first of a call. */
enum figures_aws {
	FIGURES_AWS_OK, FIGURES_AWS_THROTTLED, FIGURES_AWS_REFUSED, FIGURES_AWS_SERVER_ERROR, FIGURES_AWS_NO_ANSWER,
	FIGURES_AWS_RETRIES, FIGURES_AWS_VALUES
};
enum figures_deployer {
	FIGURES_LAUNCHED, FIGURES_SUCCEEDED, FIGURES_FAILED, FIGURES_CANCELLED, FIGURES_SUPERSEDED,
	FIGURES_RETRIED_FAILURE, FIGURES_RETRIED_INFRASTRUCTURE, FIGURES_DEPLOYER_VALUES
};
enum figures_sink { FIGURES_DELIVERED, FIGURES_NOT_DELIVERED, FIGURES_DEAD, FIGURES_SINK_VALUES };

/* HTTP statuses that are told apart; any other counts in the number behind them. */
enum { FIGURES_CODES = 19 };
extern const unsigned figures_codes[FIGURES_CODES];

struct figures_row {
	uint32_t kind;                  /* FIGURES_NONE: this row and those behind it are free */
	char name[FIGURES_NAME_BYTES];
	uint64_t values[FIGURES_VALUES];
};

struct figures {
	uint32_t magic, version, row_bytes, rows;
	struct figures_row row[LIMIT_FIGURES_ROWS];
};

const char *figures_kind_name(enum figures_kind kind);
/* The upper bounds of a histogram's buckets in seconds, NULL for what is none.  Its row has a number for each
 * bucket (not cumulated), one for what is above them all, and behind that the sum in microseconds. */
const double *figures_bounds(enum figures_kind kind, size_t *count);

/* Shared memory for one process, close-on-exec; -1 on error. */
int figures_create(struct error *err);
/* Maps it; NULL on error, also for a page of another layout.  The descriptor may be closed then. */
struct figures *figures_map(int fd, struct error *err);
void figures_unmap(struct figures *figures);

/* Counting; NULL is allowed everywhere and counts nothing.  One process writes a page. */
/* The row of that kind and name, added when there is none; kept for as long as the page. */
struct figures_row *figures_row(struct figures *figures, enum figures_kind kind, const char *name);
void figures_add(struct figures_row *row, unsigned value, uint64_t count);
/* For what is counted elsewhere and only copied here. */
void figures_set(struct figures_row *row, unsigned value, uint64_t count);
void figures_observe(struct figures_row *row, double s);
/* A try of a call of AWS; outcome is one of enum figures_aws. */
void figures_count_aws(struct figures *figures, const char *service, const char *action, unsigned outcome, bool retry);

/* Adds all that page counted to sum, which may belong to this process alone (xnew).  Whatever a process that
 * went mad left in its page, this ends. */
void figures_merge(struct figures *sum, const struct figures *page);
/* How many rows are in use. */
size_t figures_rows(const struct figures *figures);

#endif
