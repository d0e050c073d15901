/* SPDX-License-Identifier: Apache-2.0 */
/* queue_redis.h - a Redis list, or a stream, as a queue; within the adapter.
 *
 * The taking, the end of a hold and the calls by hand are the same for both; what they say to the server is in a
 * struct redis_kind.  A list:
 *
 *	producers -> LIST -- BLMOVE --> LIST:gantry:taking -+
 *	              |                                     +-- one script --> LIST:gantry:held   { id: entry }
 *	              +-------------------------------------+
 *
 * A bare item has no identity.  The script that admits items gives each a fresh id in the same step; from then
 * on it is known by that id, in Redis and in the store, until it is settled by it.  "Taking" is one list for
 * all workers: an item in there has not been seen by anybody, so whoever runs the script next admits it, and a
 * crash in between loses nothing and doubles nothing.
 *
 * An entry says which process holds it.  Processes say that they live (LIST:gantry:workers, by the server's
 * clock); what a silent one holds is taken over by the same script, under its old id and before anything newer,
 * so that the store knows it again if it was stored.  A process that does not know what a script did, as its answer
 * was lost, goes on under a new name and takes over from its old one.
 *
 * Parts: queue_redis.c (messages, the table), queue_redis_taker.c (taking), queue_redis_settle.c (the end of a
 * hold), queue_redis_errand.c (calls by hand), queue_redis_list.c and queue_redis_stream.c (what runs in the server). */
#ifndef QUEUE_QUEUE_REDIS_H
#define QUEUE_QUEUE_REDIS_H

#include "base/list.h"
#include "base/random.h"
#include "base/table.h"
#include "net/redis.h"
#include "queue/queue_impl.h"

enum {
	REDIS_TAKE_MAX = 100,                   /* items of one script */
	REDIS_SETTLE_MAX = 100,
	LIMIT_REDIS_ITEM_BYTES = 256 << 10,     /* a longer one goes to the dead letters at once */
	LIMIT_REDIS_TAKE_BYTES = 8 << 20,       /* of one script's answer and what it puts aside; passed by one item at most */
	REDIS_BLOCK_S = 3,                      /* shorter than REDIS_TIMEOUT_S, which ends a connection */
	REDIS_BEAT_S = 5,
	REDIS_SILENT_MS = 15000,                /* by the server's clock; then others take over */
};

/* What every script gets as KEYS.  Of a stream TAKING is what those who wait are woken by. */
enum redis_key {
	REDIS_KEY_LIST, REDIS_KEY_TAKING, REDIS_KEY_HELD, REDIS_KEY_WORKERS, REDIS_KEY_SEQUENCE, REDIS_KEY_DEAD, REDIS_KEYS
};

struct queue_redis;

/* What lists and streams do not share. */
struct redis_kind {
	const char *take, *untake, *settle, *measure, *peek, *redrive;  /* scripts */
	const char *send;               /* a script; NULL: items are pushed */
	bool tells_ids;                 /* peek answers with the id of each before its body */
	/* The caller's; of every script. */
	char *(*first_argument)(const struct conf_queue *conf);
	char *(*key_of)(const struct conf_queue *conf, enum redis_key key);
	/* Waits on the ear for REDIS_BLOCK_S; an answer that is not nil: there is something to take. */
	void (*listen)(struct queue_redis *queue, redis_done_fn *done, void *arg);
};

extern const struct redis_kind redis_list_kind, redis_stream_kind;

struct redis_message {
	struct queue_message face;
	struct list all;                /* queue_redis.messages */
	struct table_link by_id;        /* queue_redis.held; in no table when its id was there already */
	struct list link;               /* waiting, a call's, or finished, once it is being settled */
	char *id, *body;
	bool settling;
	bool unsure;                    /* a settle was sent and its answer lost, or it failed halfway: it may be gone by that */
	enum queue_verdict verdict;
	struct error error;
	queue_done_fn *done;
	void *done_arg;
};

/* Failures in a row of one kind of call. */
struct redis_trouble {
	const char *doing;
	unsigned failures;
};

struct redis_taker {
	ev_timer beat;                  /* REDIS_BEAT_S, from the start to the end */
	ev_timer rest;                  /* after a failure */
	ev_timer turn;                  /* the stop is answered in it */
	bool started, stopped;
	bool taking, listening;         /* the script, and the call that waits, are under way */
	unsigned untaking;              /* items on their way back */
	unsigned room, asked;
	long long client_id;            /* of the ear's connection; 0: not known */
	char owner[RANDOM_ID_BYTES];
	char former[RANDOM_ID_BYTES];   /* the name that we gave up, until a script has been told; "" */
	struct redis_trouble trouble;
	queue_done_fn *stop_done;       /* NULL: not asked, or told */
	void *stop_arg;
};

struct redis_settler {
	struct list waiting, sent, finished;
	ev_timer turn;
	bool calling;
	struct redis_trouble trouble;
};

struct queue_redis {
	struct queue face;
	const struct redis_kind *kind;
	struct redis *hand;             /* all commands but the one that waits */
	struct redis *ear;              /* the one that waits */
	char *keys[REDIS_KEYS];
	char *first_argument;
	struct list messages;
	struct table held;
	struct redis_taker taker;
	struct redis_settler settler;
	struct list errands;
	bool *gone;                     /* set by destroy while somebody is being told */
};

/* Of one script: its KEYS are put before the arguments, and what is the kind's is the first of them. */
void redis_eval(struct queue_redis *queue, const char *script, size_t argc, const char *const *argv, const size_t *argl,
	redis_done_fn *done, void *arg);
/* body NULL: a resumed one. */
struct redis_message *redis_message_create(struct queue_redis *queue, const char *id, const char *body,
	size_t body_bytes, unsigned deliveries);
/* Out of all that the queue knows, and freed. */
void redis_message_detach(struct redis_message *message);
void redis_message_dispose(struct redis_message *message);
/* Counts and logs; returns how long to wait before the next try. */
double redis_trouble_note(struct queue_redis *queue, struct redis_trouble *trouble, const struct error *err);
void redis_trouble_over(struct queue_redis *queue, struct redis_trouble *trouble);
void redis_arm(struct queue_redis *queue, ev_timer *timer, double delay_s);

void redis_taker_init(struct redis_taker *taker);
void redis_taker_finish(struct redis_taker *taker);
void redis_taker_start(struct redis_taker *taker);
void redis_taker_set_room(struct redis_taker *taker, unsigned room);
void redis_taker_stop(struct redis_taker *taker, queue_done_fn *done, void *arg);
/* Whether it has ended may have changed. */
void redis_taker_poke(struct redis_taker *taker);

void redis_settler_init(struct redis_settler *settler);
void redis_settler_finish(struct redis_settler *settler);
void redis_settler_add(struct redis_settler *settler, struct redis_message *message);
bool redis_settler_is_busy(const struct redis_settler *settler);

void redis_probe(struct queue *queue, queue_done_fn *done, void *arg);
void redis_send(struct queue *queue, const struct queue_outgoing *messages, size_t count, queue_sent_fn *done, void *arg);
void redis_peek(struct queue *queue, unsigned max, queue_peek_fn *done, void *arg);
void redis_measure(struct queue *queue, queue_depth_fn *done, void *arg);
void redis_redrive(struct queue *queue, queue_progress_fn *progress, queue_redrive_fn *done, void *arg);
void redis_errands_cancel(struct queue_redis *queue);

#endif
