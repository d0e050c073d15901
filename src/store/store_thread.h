/* SPDX-License-Identifier: Apache-2.0 */
/* store_thread.h - what waits for the disk is done by a thread, one piece after another, while the loop goes on.
 *
 * The thread is made when it first has something to do, catches no signal, and stays until
 * store_thread_finish().  Where none can be made its work is done at once, with the loop standing still. */
#ifndef STORE_STORE_THREAD_H
#define STORE_STORE_THREAD_H

#include <ev.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdbool.h>

struct store_thread;
typedef void store_thread_fn(struct store_thread *thread);

struct store_thread {
	struct ev_loop *loop;
	store_thread_fn *work;          /* run by the thread, or by the loop when there is none */
	store_thread_fn *done;          /* run by the loop, once for each store_thread_start() */
	ev_async told;                  /* active while busy */
	sem_t asked, worked;            /* posted for the thread; by it */
	pthread_t thread;
	bool made;                      /* thread is there */
	bool busy;                      /* the loop's: asked, and not done yet */
	bool leave;                     /* written before asked is posted for the last time */
};

/* On zeroed memory. */
void store_thread_init(struct store_thread *thread, struct ev_loop *loop, store_thread_fn *work, store_thread_fn *done);
/* Not while busy.  What work leaves behind is there for done to read. */
void store_thread_start(struct store_thread *thread);
/* Stands still until the work is done, and takes the place of done: false when there was none under way. */
bool store_thread_wait(struct store_thread *thread);
/* Waits for the work that is under way, without done. */
void store_thread_finish(struct store_thread *thread);

#endif
