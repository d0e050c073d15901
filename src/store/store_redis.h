/* SPDX-License-Identifier: Apache-2.0 */
/* store_redis.h - the store on a Redis server, for any number of hosts.
 *
 *      redis/ (Lua)            what each call means, as one script that runs in the server; the counterpart of
 *                              store_rules*.c and of the rows behind them
 *      store_redis.c           batches: sent, sent again, answered; and the wakes of other hosts
 *      store_redis_open.c      what is looked at before: version, what the server may lose, schema, clock
 *      store_redis_words.c     calls to words
 *      store_redis_answer.c    answers to what a call is to tell
 *
 * The calls of one turn of the loop are one run of the script: one round trip, and one transaction.  The next
 * batch waits for the answer of the one before, and grows meanwhile; reads do not wait.  The script checks all
 * that can be refused before it writes, as nothing is taken back in Redis. */
#ifndef STORE_STORE_REDIS_H
#define STORE_STORE_REDIS_H

#include <hiredis/hiredis.h>

#include "base/random.h"
#include "net/redis.h"
#include "store/store_batch.h"

enum {
	STORE_REDIS_SCHEMA = 1,
	STORE_REDIS_AWAY_S = 30,        /* a write is tried for so long from the server's first failure on */
	STORE_REDIS_READ_AWAY_S = 5,    /* and a read */
	STORE_REDIS_GAP_MS = 5000,      /* see take_clock() in run.lua, for who has no lease */
	STORE_REDIS_SHA_BYTES = 41,
	LIMIT_STORE_REDIS_BATCH_BYTES = 16 << 20,
};
#define STORE_REDIS_TAG "{gantry}"

struct store_redis_request;

struct store_redis {
	struct store store;
	struct store_batch batch;
	char *url;                      /* secret */
	struct redis *redis;
	struct redis *wakes;            /* listens for the wakes of others; NULL: nobody asked */
	char sha[STORE_REDIS_SHA_BYTES];        /* of the script */
	char instance[RANDOM_ID_BYTES]; /* under which answers are kept */
	uint64_t number;                /* of the last batch that writes */
	struct store_redis_request *writing;    /* the batch under way, or NULL */
	struct list reading;            /* store_redis_request::link */
	double away_since_s;            /* the first failure since the last answer; 0: none */
	bool complained;                /* the log knows that it is away */
	bool clocked;                   /* offset_ms is true */
	int64_t offset_ms;              /* of the server's steady clock to our boot clock */
};

/* The words of a command. */
struct store_redis_words {
	const char **texts;
	size_t *lengths;
	size_t count;
};

/* store_redis_open.c */
/* Looks at the server and prepares the store in it; waits for its answers. */
bool store_redis_prepare(struct store_redis *redis, const struct store_options *options, struct error *err);
extern const char *const store_redis_script;
/* The server's steady time that came with an answer; the boot clock when it was asked and when it answered. */
void store_redis_take_clock(struct store_redis *redis, int64_t server_ms, int64_t asked_ms, int64_t answered_ms);
/* The boot clock without what clock_shift() adds. */
int64_t store_redis_boot_ms(void);

/* store_redis_words.c */
/* number: 0: the calls only read.  Lends the texts of the calls. */
void store_redis_words_make(struct store_redis_words *words, const struct store_redis *redis, uint64_t number,
	const struct list *calls);
void store_redis_words_finish(struct store_redis_words *words);
/* About how many bytes a call takes. */
size_t store_redis_call_bytes(const struct store_call *call);

/* store_redis_answer.c */
/* Fills the outs of a call. */
void store_redis_take_answer(struct store *store, struct store_call *call, const redisReply *answer);

#endif
