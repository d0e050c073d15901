/* SPDX-License-Identifier: Apache-2.0 */
/* store_thread.c - see store_thread.h.  The thread allocates nothing by itself: a C library gives each thread that
 * does an arena of its own. */
#include "store/store_thread.h"

#include <errno.h>
#include <signal.h>

#include "base/list.h"

enum { STACK_BYTES = 256 << 10 };       /* only what is used of it is there */

static void take(sem_t *semaphore)
{
	while (sem_wait(semaphore) != 0 && errno == EINTR)
		;
}

static void work(struct store_thread *thread)
{
	thread->work(thread);
	sem_post(&thread->worked);
	ev_async_send(thread->loop, &thread->told);
}

static void *run(void *arg)
{
	struct store_thread *thread = arg;

	for (;;) {
		take(&thread->asked);
		if (thread->leave)
			return NULL;
		work(thread);
	}
}

/* No signal is for the thread. */
static bool make(struct store_thread *thread)
{
	sigset_t all, before;
	pthread_attr_t attr;
	bool ok;

	if (pthread_attr_init(&attr) != 0)
		return false;
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	ok = pthread_create(&thread->thread, &attr, run, thread) == 0;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attr);
	return ok;
}

static void rest(struct store_thread *thread)
{
	ev_async_stop(thread->loop, &thread->told);
	thread->busy = false;
}

static void on_told(struct ev_loop *loop, ev_async *told, int revents)
{
	struct store_thread *thread = container_of(told, struct store_thread, told);

	(void)loop;
	(void)revents;
	/* Late word of what store_thread_wait() has waited for: what was started since goes on. */
	if (sem_trywait(&thread->worked) != 0)
		return;
	rest(thread);
	thread->done(thread);
}

void store_thread_init(struct store_thread *thread, struct ev_loop *loop, store_thread_fn *work_fn, store_thread_fn *done)
{
	thread->loop = loop;
	thread->work = work_fn;
	thread->done = done;
	ev_async_init(&thread->told, on_told);
	sem_init(&thread->asked, 0, 0);
	sem_init(&thread->worked, 0, 0);
}

void store_thread_start(struct store_thread *thread)
{
	ev_async_start(thread->loop, &thread->told);
	thread->busy = true;
	if (!thread->made)
		thread->made = make(thread);
	if (thread->made)
		sem_post(&thread->asked);
	else
		work(thread);
}

bool store_thread_wait(struct store_thread *thread)
{
	if (!thread->busy)
		return false;
	take(&thread->worked);
	rest(thread);
	return true;
}

void store_thread_finish(struct store_thread *thread)
{
	if (thread->work == NULL)
		return;
	store_thread_wait(thread);
	if (thread->made) {
		thread->leave = true;
		sem_post(&thread->asked);
		pthread_join(thread->thread, NULL);
	}
	sem_destroy(&thread->asked);
	sem_destroy(&thread->worked);
	*thread = (struct store_thread){ 0 };
}
