/* SPDX-License-Identifier: Apache-2.0 */
/* store_postgresql.h - the store in a PostgreSQL database, for any number of hosts.
 *
 *      postgresql/                   what each call means, as functions in the database; the counterpart of
 *                                    store_rules*.c.  batch.sql says what keeps concurrent batches apart
 *      store_postgresql.c            batches: sent, sent again, answered, given up
 *      store_postgresql_code.c       what the server's codes mean
 *      store_postgresql_link.c       the connection: kept, made again
 *      store_postgresql_schema.c     before the loop runs: version, migrating, clock
 *      store_postgresql_ask.c        calls to JSON
 *      store_postgresql_answer.c     JSON to what a call is to tell
 *
 * The calls of one turn of the loop are one statement and so one transaction and one round trip.  Up to
 * LIMIT_STORE_POSTGRESQL_WRITES batches are under way at a time (libpq's pipeline mode), each numbered; the
 * database runs a batch only behind the one that was sent before it, and only once, however often it is sent.
 * Reads are statements of their own in the same pipeline. */
#ifndef STORE_STORE_POSTGRESQL_H
#define STORE_STORE_POSTGRESQL_H

#include <ev.h>
#include <jansson.h>

#include "base/random.h"
#include "net/postgresql_dial.h"
#include "store/store_batch.h"

enum {
	/* A batch's answers are kept in number % 8, see batch.sql. */
	LIMIT_STORE_POSTGRESQL_WRITES = 2,
	LIMIT_STORE_POSTGRESQL_READS = 64,
	LIMIT_STORE_POSTGRESQL_BATCH_BYTES = 8 << 20,
	STORE_POSTGRESQL_AWAY_S = 30,           /* calls are kept for a server that is away for so long */
	/* A server that is silent for so long is away; by itself it gives up before that (POSTGRESQL_STATEMENT_MS). */
	STORE_POSTGRESQL_ANSWER_S = 25,
};

enum store_postgresql_state {
	LINK_DOWN,                      /* the timer retry runs */
	LINK_CONNECTING,
	LINK_UP,
};

struct store_postgresql {
	struct store store;
	struct store_batch batch, reads;
	size_t outstanding;             /* calls that were made and not completed; while there are any, the loop stays */
	bool *closed;                   /* set when a completion closes the store */

	/* The link. */
	struct postgresql_url url;
	enum store_postgresql_state state;
	PGconn *conn;                   /* NULL: none */
	ev_io io;
	ev_timer retry;
	ev_timer tick;                  /* looks at all that has a deadline */
	struct postgresql_dial *dial;   /* while connecting */
	unsigned failures;              /* to connect, in a row */
	double away_since_s;            /* monotonic; 0: it is there */
	bool listening;                 /* wakes are wanted */

	/* What was sent. */
	char client[RANDOM_ID_BYTES];   /* under which batches are numbered */
	uint64_t number, recorded;      /* the last one sent, and the last one that was answered */
	double written_s;               /* monotonic, when the last one was sent */
	struct list sent;               /* requests, in the order of their answers */
	struct list again;              /* requests that are to be sent before all others, in order */
	int64_t offset_ms;              /* of the steady clock to the boot clock */
};

enum store_postgresql_kind { REQUEST_GREET, REQUEST_WRITE, REQUEST_READ, REQUEST_GIVE_BACK };

/* One statement. */
struct store_postgresql_request {
	struct list link;               /* sent or again */
	enum store_postgresql_kind kind;
	struct list calls;              /* WRITE; READ: one; finally theirs is the answer */
	char client[RANDOM_ID_BYTES];   /* WRITE, GIVE_BACK */
	uint64_t number;                /* as above */
	bool wide;                      /* takes all slots */
	bool apart;                     /* each call stands or falls by itself */
	unsigned tries;                 /* how often it met others */
	double since_s;                 /* monotonic, when it was first sent */
	double sent_s;                  /* and last */
	int64_t asked_ms;               /* boot clock, when it was last sent */
	PGresult *result;               /* its answer, until the end of it was seen */
};

/* -- store_postgresql.c -- */
/* The link is up; sends what waits. */
void store_postgresql_up(struct store_postgresql *pg);
/* The link was lost: what was not answered is to be sent again. */
void store_postgresql_down(struct store_postgresql *pg);
/* An answer, or its end. */
void store_postgresql_take_result(struct store_postgresql *pg, PGresult *take_result);
void store_postgresql_wake(struct store_postgresql *pg, const char *channel);
/* The server has been away for too long. */
void store_postgresql_give_up(struct store_postgresql *pg);

/* -- store_postgresql_code.c -- */
enum store_postgresql_meaning {
	MEANS_LOST,                     /* the connection, or the server behind it, is of no use */
	MEANS_MET,                      /* it met other batches, and was taken back */
	MEANS_BEHIND,                   /* the one that was sent before it was taken back */
	MEANS_CONTENT,                  /* the database cannot take something of what it says, now or ever */
	MEANS_FAILED,                   /* the server cannot do it now: no room, no leave */
};
enum store_postgresql_meaning store_postgresql_meaning(const PGresult *result);
/* What went wrong, as our kind of error. */
void store_postgresql_result_error(const struct store_postgresql *pg, const PGresult *result, struct error *err);

/* -- store_postgresql_link.c -- */
void store_postgresql_link_init(struct store_postgresql *pg);
/* Takes the connection that was made before the loop ran. */
void store_postgresql_link_take(struct store_postgresql *pg);
void store_postgresql_link_finish(struct store_postgresql *pg);
/* Deadlines are looked at while there are any: to be called when outstanding or state has changed. */
void store_postgresql_mind(struct store_postgresql *pg);
/* The connection is of no use any more. */
void store_postgresql_lost(struct store_postgresql *pg, const char *why);
/* Sends one statement, with its end; false: the link was lost. */
bool store_postgresql_send(struct store_postgresql *pg, const char *query, int count, const char *const *values);
/* Writes what the socket takes; the rest goes when it can. */
void store_postgresql_flush(struct store_postgresql *pg);

/* -- store_postgresql_schema.c -- */
/* Looks at the schema, with migrate brings it up to date; waits. */
bool store_postgresql_check_schema(struct store_postgresql *pg, bool migrate, struct error *err);
/* The server's clock becomes the steady clock; boot clock of the question and of the answer. */
void store_postgresql_take_clock(struct store_postgresql *pg, int64_t server_ms, int64_t asked_ms, int64_t answered_ms,
	bool first);
/* The boot clock without what a test has moved it by. */
int64_t store_postgresql_boot_ms(void);
extern const int store_postgresql_version;

/* -- store_postgresql_ask.c -- */
/* The batch of a request, the caller's. */
char *store_postgresql_batch_json(const struct store_postgresql *pg, const struct store_postgresql_request *request);
/* About how many bytes a call takes. */
size_t store_postgresql_call_bytes(const struct store_call *call);
enum { STORE_POSTGRESQL_VALUES = 4 };
struct store_postgresql_read {
	const char *query;
	int count;
	char *values[STORE_POSTGRESQL_VALUES];  /* the caller's */
};
struct store_postgresql_read store_postgresql_read_make(const struct store_call *call);
void store_postgresql_read_finish(struct store_postgresql_read *read);

/* -- store_postgresql_answer.c -- */
/* Fills the outs of a call. */
void store_postgresql_take_answer(struct store_postgresql *pg, struct store_call *call, const json_t *answer);

#endif
