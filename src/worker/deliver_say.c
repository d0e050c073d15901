/* SPDX-License-Identifier: Apache-2.0 */
/* deliver_say.c - see deliver_say.h.
 *
 * Said in the turn of its move, it is in the move's transaction, and fails with it.  It is said again until it is
 * stored, by us or, as it must not be heard of before, by whoever makes its move again; under one dedup_key that tells
 * it once.  When nobody makes the move again, it alone had failed, and it is said alone.  What a job says that is not ours any more is dropped: its next owner tells what is true. */
#include "worker/deliver_say.h"

#include <stdlib.h>
#include <string.h>

#include "base/backoff.h"
#include "base/mem.h"
#include "base/random.h"

enum { SAY_RETRY_MAX_S = 10 };
/* Moves are made again sooner. */
static const double MOVE_WAIT_S = 30;

struct saying {
	struct list link;               /* deliver_says.list */
	struct deliver_says *says;
	struct store_delivery *deliveries;
	size_t count;
	char *dedup_key;
	struct job *by;                 /* its id, fence and state; NULL: nobody's word */
	bool with_move;
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
	job_destroy(saying->by);
	free(saying);
}

static void say_later(struct saying *saying, const struct error *err)
{
	struct worker *worker = saying->says->worker;

	/* Who makes the move says that it failed. */
	if (saying->failures++ == 0 && !saying->with_move && !worker->leaving)
		log_error(saying->says->log, "%s was not recorded: %s; trying until it is", saying->deliveries[0].event,
			err->text);
	ev_timer_set(&saying->retry, saying->with_move ? MOVE_WAIT_S :
		backoff_s(saying->failures, 0.2, SAY_RETRY_MAX_S, random_unit()), 0.);
	ev_timer_start(worker->loop, &saying->retry);
}

static void on_said(void *arg, const struct error *err)
{
	struct saying *saying = arg;
	struct worker *worker = saying->says->worker;
	deliver_said_fn *done = saying->done;
	void *done_arg = saying->arg;
	bool dropped = err != NULL && saying->by != NULL && err->kind == ERROR_LOST;

	if (err != NULL && err->kind != ERROR_INVALID && !dropped) {
		say_later(saying, err);
		return;
	}
	if (dropped)
		log_debug(saying->says->log, "%s of job %s is not said: %s", saying->deliveries[0].event, saying->by->id,
			err->text);
	else if (err != NULL)
		log_error(saying->says->log, "%s cannot be told: %s", saying->deliveries[0].event, err->text);
	saying_free(saying);
	deliver_pass_on(worker->deliver);
	if (done != NULL)
		done(done_arg);
	drain_check(worker);
}

static void say(struct saying *saying)
{
	store_say(saying->says->worker->store, saying->by, saying->deliveries, saying->count, saying->dedup_key, on_said,
		saying);
}

static void on_retry(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct saying *saying = container_of(timer, struct saying, retry);

	(void)loop, (void)revents;
	if (saying->with_move)
		log_error(saying->says->log, "%s of job %s was not recorded with its move; recording it alone",
			saying->deliveries[0].event, saying->by->id);
	say(saying);
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

/* What is said behind a move was true then, whatever the job comes to: it names no state, but for an end. */
static struct job *copy_speaker(const struct job *by, bool with_move)
{
	struct job *copy;

	if (by == NULL)
		return NULL;
	copy = job_create();
	copy->id = xstrdup(by->id);
	copy->fence = by->fence;
	copy->state = with_move || job_state_final(by->state) ? by->state : JOB_WAITING;
	return copy;
}

static void say_again(struct saying *saying, const struct job *by)
{
	ev_timer_stop(saying->says->worker->loop, &saying->retry);
	job_destroy(saying->by);
	saying->by = copy_speaker(by, saying->with_move);
	say(saying);
}

void deliver_says_add(struct deliver_says *says, const struct deliver_words *words, deliver_said_fn *done, void *arg)
{
	struct saying *saying = done == NULL && words->dedup_key != NULL ? find_waiting(says, words->dedup_key) : NULL;

	if (saying != NULL) {
		say_again(saying, words->by);
		return;
	}
	saying = xnew(struct saying);
	*saying = (struct saying){ .says = says, .count = words->count, .with_move = words->with_move, .done = done,
		.arg = arg };
	saying->deliveries = xcalloc(words->count, sizeof(*saying->deliveries));
	for (size_t i = 0; i < words->count; i++)
		saying->deliveries[i] = store_delivery_copy(&words->deliveries[i]);
	saying->dedup_key = xstrdup(words->dedup_key);
	saying->by = copy_speaker(words->by, words->with_move);
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
