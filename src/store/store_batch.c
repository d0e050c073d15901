/* SPDX-License-Identifier: Apache-2.0 */
/* store_batch.c - see store_batch.h.  ev_feed_event() at the end of a callback would be simpler, but a
 * chain of completions that make calls would then never let the loop look at its descriptors. */
#include "store/store_batch.h"

#include <stdlib.h>

static void rest(struct store_batch *batch)
{
	ev_prepare_stop(batch->loop, &batch->before_wait);
	ev_idle_stop(batch->loop, &batch->no_wait);
}

static void wake(struct store_batch *batch)
{
	if (batch->held || ev_is_active(&batch->later))
		return;
	ev_prepare_start(batch->loop, &batch->before_wait);
	ev_idle_start(batch->loop, &batch->no_wait);
}

static void on_before_wait(struct ev_loop *loop, ev_prepare *watcher, int revents)
{
	struct store_batch *batch = container_of(watcher, struct store_batch, before_wait);

	(void)loop;
	(void)revents;
	rest(batch);
	batch->run(batch);
}

static void on_no_wait(struct ev_loop *loop, ev_idle *watcher, int revents)
{
	(void)loop;
	(void)watcher;
	(void)revents;
}

static void on_later(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct store_batch *batch = container_of(timer, struct store_batch, later);

	(void)loop;
	(void)revents;
	batch->enough = 0;
	if (!batch->held)
		batch->run(batch);
}

void store_batch_init(struct store_batch *batch, struct ev_loop *loop, store_batch_run_fn *run)
{
	batch->loop = loop;
	batch->run = run;
	batch->closed = NULL;
	batch->held = false;
	batch->enough = 0;
	ev_prepare_init(&batch->before_wait, on_before_wait);
	ev_idle_init(&batch->no_wait, on_no_wait);
	ev_init(&batch->later, on_later);
	list_init(&batch->waiting);
	list_init(&batch->finished);
}

void store_batch_finish(struct store_batch *batch)
{
	struct store_call *call;

	if (batch->loop == NULL)
		return;
	if (batch->closed != NULL)
		*batch->closed = true;
	batch->closed = NULL;
	while ((call = list_first(&batch->finished, struct store_call, link)) != NULL) {
		list_remove(&call->link);
		store_call_complete(call);
	}
	while ((call = list_first(&batch->waiting, struct store_call, link)) != NULL) {
		list_remove(&call->link);
		store_call_fail(call, ERROR_TEMPORARY, "store: closed before this was done");
		store_call_complete(call);
	}
	rest(batch);
	ev_timer_stop(batch->loop, &batch->later);
}

void store_batch_add(struct store_batch *batch, struct store_call *call)
{
	list_append(&batch->waiting, &call->link);
	if (batch->enough > 0 && --batch->enough == 0)
		ev_timer_stop(batch->loop, &batch->later);
	wake(batch);
}

void store_batch_take(struct store_batch *batch, struct list *calls)
{
	struct store_call *call;

	bool said = false;

	/* What is said is never parted from the call behind it. */
	for (int n = 0; n < LIMIT_BATCH_CALLS || said; n++) {
		call = list_first(&batch->waiting, struct store_call, link);
		if (call == NULL)
			return;
		list_remove(&call->link);
		list_append(calls, &call->link);
		said = call->kind == CALL_SAY;
	}
}

void store_batch_put_back(struct store_batch *batch, struct list *calls, double after_s)
{
	list_splice(calls, &batch->waiting);
	list_splice(&batch->waiting, calls);
	batch->enough = 0;
	rest(batch);
	/* The loop's time is that of before the commit. */
	ev_now_update(batch->loop);
	ev_timer_set(&batch->later, after_s, 0);
	ev_timer_start(batch->loop, &batch->later);
}

void store_batch_gather(struct store_batch *batch, double after_s, unsigned enough)
{
	struct list none;

	list_init(&none);
	store_batch_put_back(batch, &none, after_s);
	batch->enough = enough;
}

void store_batch_hold(struct store_batch *batch)
{
	batch->held = true;
}

void store_batch_complete(struct store_batch *batch, struct list *calls)
{
	bool closed = false;
	struct store_call *call;

	/* cppcheck-suppress autoVariables ; reset below, or the batch is gone */
	batch->closed = &closed;
	batch->held = false;
	list_splice(&batch->finished, calls);
	while (!closed && (call = list_first(&batch->finished, struct store_call, link)) != NULL) {
		list_remove(&call->link);
		store_call_complete(call);
	}
	if (closed)
		return;
	batch->closed = NULL;
	if (!list_empty(&batch->waiting))
		wake(batch);
}
