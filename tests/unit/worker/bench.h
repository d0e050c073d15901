/* SPDX-License-Identifier: Apache-2.0 */
/* bench.h - a worker on memory adapters: a queue to put messages into, deployments that end when
 * told, a store without a disk, and the master's end of the channel. */
#ifndef UNIT_WORKER_BENCH_H
#define UNIT_WORKER_BENCH_H

#include "../cmocka_all.h"
#include "exec/exec_memory.h"
#include "queue/queue_memory.h"
#include "worker/holding.h"
#include "worker/worker.h"
#include "../store/store_reads.h"

#define BENCH_STORE "memory:bench"      /* shared by the owners of one test */

struct bench {
	struct worker *worker;
	struct conf_queue *queue_conf;
	struct conf_deployer *deployer_conf;
	struct queue *queue;
	struct queue *events;           /* NULL without ecs.events */
	struct exec *exec;
	int master_fd;
};

/* ordered: a FIFO queue.  The worker is active. */
struct bench *bench_create(bool ordered);
/* With a second queue that carries task state changes. */
struct bench *bench_create_events(void);
/* The same store as another owner sees it; closed before the bench is destroyed. */
struct store *bench_other_store(struct bench *bench, const char *owner);
void bench_destroy(struct bench *bench);
/* Runs the loop until check is true; fails the test after some seconds. */
typedef bool bench_check_fn(struct bench *bench);
void bench_run_until(struct bench *bench, const char *what, bench_check_fn *check);
/* Runs the loop for what is ready now, a few turns. */
void bench_turn(struct bench *bench);
/* The stored job, the caller's; fails the test when there is none. */
struct job *bench_job(struct bench *bench, const char *id);
/* Adds somebody who is told of these events, and whom nothing reaches. */
void bench_add_audience(struct bench *bench, const char *const *events, size_t count);
/* What was said: "failed cancelled ", the caller's; tries (may be NULL): how often it was tried to tell it. */
char *bench_said(struct bench *bench, unsigned *tries);
/* Counts of what is checked most. */
bool bench_idle(struct bench *bench);           /* nothing held, the queue is empty */
bool bench_one_task(struct bench *bench);
bool bench_two_tasks(struct bench *bench);

#endif
