/* SPDX-License-Identifier: Apache-2.0 */
/* redis_holder.h - who takes from a Redis queue in a test, and the producer and auditor beside it, on a real
 * redis-server. */
#ifndef TESTS_UNIT_QUEUE_REDIS_HOLDER_H
#define TESTS_UNIT_QUEUE_REDIS_HOLDER_H

#include "../cmocka_all.h"
#include "../net/redis_server.h"
#include "queue/queue_redis.h"

enum { LATE_S = 120, HELD_MAX = 400 };

struct holder {
	struct ev_loop *loop;
	struct log log;
	struct conf_queue conf;
	struct queue *queue;
	struct queue_message *held[HELD_MAX];
	size_t count, done, batches;
	struct error error;
	size_t sent, seen;
	char *texts;                    /* of what was peeked at, each with a space behind it */
	struct queue_depth depth;
	uint64_t moved, progressed;
	bool stopped;
};

extern struct redis_server server;
extern struct ev_loop *loop;

void on_late(struct ev_loop *at, ev_timer *timer, int revents);
/* Runs the loop until condition holds. */
#define RUN_UNTIL(condition) \
	do { \
		ev_timer late; \
		ev_timer_init(&late, on_late, LATE_S, 0.); \
		ev_now_update(loop); \
		ev_timer_start(loop, &late); \
		while (!(condition)) \
			ev_run(loop, EVRUN_ONCE); \
		ev_timer_stop(loop, &late); \
	} while (0)

/* -- what the producer and the auditor do -------------------------------------------------------------- */

struct said {
	bool told, failed;
	long long number;
	char *text;                     /* of a text, or of all texts of an array, each with a space behind it */
};

/* Until it is answered without an error: the server may just be starting. */
struct said say(int argc, const char *const *argv);
#define SAY(...) say((int)(sizeof((const char *[]){ __VA_ARGS__ }) / sizeof(char *)), (const char *[]){ __VA_ARGS__ })
long long number(struct said said);
void assert_says(struct said said, const char *want);
/* Makes all who live now look as if they had been silent for long. */
void silence_all(const char *workers);

/* -- holders ------------------------------------------------------------------------------------------ */

void begin(struct holder *holder, const char *list, enum conf_pop pop);
/* Of the group "g" and the field "body"; deleted: what is settled goes. */
void begin_stream(struct holder *holder, const char *stream, bool deleted);
void take_up_to(struct holder *holder, unsigned room);
void end(struct holder *holder);
void assert_bodies(const struct holder *holder, size_t from, const char *const *want, size_t count);
void settle_all(struct holder *holder, enum queue_verdict verdict);
void on_done(void *arg, const struct error *err);
void on_stopped(void *arg, const struct error *err);
void on_sent(void *arg, size_t sent, const struct error *err);
void on_peeked(void *arg, const struct queue_peeked *messages, size_t count, const struct error *err);
void on_measured(void *arg, const struct queue_depth *depth, const struct error *err);
void on_redriven(void *arg, uint64_t moved, const struct error *err);

int redis_set_up(void **state);
int redis_tear_down(void **state);

#endif
