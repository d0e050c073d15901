/* SPDX-License-Identifier: Apache-2.0 */
/* deliver_say.c - see deliver_say.h.
 *
 * Said in the turn of its move, it is in the move's transaction, and fails with it.  It is said again until it is
 * stored, as is the move; under one dedup_key that tells it once. */
#include "worker/deliver_say.h"

#include <stdlib.h>
#include <string.h>

#include "base/backoff.h"
#include "base/mem.h"
#include "base/random.h"

enum { SAY_RETRY_MAX_S = 10 };

struct saying {
	struct list link;               /* deliver_says.list */
	struct deliver_says *says;
	struct store_delivery *deliveries;
	size_t count;
	char *dedup_key;
	unsigned failures;
	ev_timer retry;
	deliver_said_fn *done;
	void *arg;
};

static void saying_free(struct saying *saying)
{
	ev_timer_stop(saying->says->worker->loop, &saying->retry);
	list_remove(&saying->link);
	for (size_t i = 0; i < saying->count; i++)
		store_delivery_finish(&saying->deliveries[i]);
	free(saying->deliveries);
	free(saying->dedup_key);
	free(saying);
}

static void say_later(struct saying *saying, const struct error *err)
{
	struct worker *worker = saying->says->worker;

	if (saying->failures++ == 0 && !worker->leaving)
		log_error(saying->says->log, "%s was not recorded: %s; trying until it is", saying->deliveries[0].event,
			err->text);
	ev_timer_set(&saying->retry, backoff_s(saying->failures, 0.2, SAY_RETRY_MAX_S, random_unit()), 0.);
	ev_timer_start(worker->loop, &saying->retry);
}

static void on_said(void *arg, const struct error *err)
{
	struct saying *saying = arg;
	struct worker *worker = saying->says->worker;
	deliver_said_fn *done = saying->done;
	void *done_arg = saying->arg;

	if (err != NULL && err->kind != ERROR_INVALID) {
		say_later(saying, err);
		return;
	}
	if (err != NULL)
		log_error(saying->says->log, "%s cannot be told: %s", saying->deliveries[0].event, err->text);
	saying_free(saying);
	deliver_pass_on(worker->deliver);
	if (done != NULL)
		done(done_arg);
	drain_check(worker);
}

static void say(struct saying *saying)
{
	store_say(saying->says->worker->store, saying->deliveries, saying->count, saying->dedup_key, on_said, saying);
}

static void on_retry(struct ev_loop *loop, ev_timer *timer, int revents)
{
	(void)loop, (void)revents;
	say(container_of(timer, struct saying, retry));
}

/* One that waits to be said again, by whoever retries the move that it is about; more of them would pile up for as
 * long as the store is away. */
static struct saying *find_waiting(struct deliver_says *says, const char *dedup_key)
{
	struct saying *saying;

	list_each(saying, &says->list, link) {
		if (ev_is_active(&saying->retry) && saying->dedup_key != NULL && strcmp(saying->dedup_key, dedup_key) == 0)
			return saying;
	}
	return NULL;
}

void deliver_says_add(struct deliver_says *says, const struct store_delivery *deliveries, size_t count,
	const char *dedup_key, deliver_said_fn *done, void *arg)
{
	struct saying *saying = done == NULL && dedup_key != NULL ? find_waiting(says, dedup_key) : NULL;

	if (saying != NULL) {
		ev_timer_stop(says->worker->loop, &saying->retry);
		say(saying);
		return;
	}
	saying = xnew(struct saying);
	*saying = (struct saying){ .says = says, .count = count, .done = done, .arg = arg };
	saying->deliveries = xcalloc(count, sizeof(*saying->deliveries));
	for (size_t i = 0; i < count; i++)
		saying->deliveries[i] = store_delivery_copy(&deliveries[i]);
	saying->dedup_key = xstrdup(dedup_key);
	ev_init(&saying->retry, on_retry);
	list_append(&says->list, &saying->link);
	say(saying);
}

void deliver_says_init(struct deliver_says *says, struct worker *worker, const struct log *log)
{
	says->worker = worker;
	says->log = log;
	list_init(&says->list);
}

void deliver_says_finish(struct deliver_says *says)
{
	struct saying *saying, *next;

	list_each_safe(saying, next, &says->list, link)
		saying_free(saying);
}
