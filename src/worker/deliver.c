/* SPDX-License-Identifier: Apache-2.0 */
/* deliver.c - claims what is due, sends it, notes what came of it.
 *
 * Nothing is asked for while nothing is known to be due: we are woken by what is said here, by hints, by the death
 * of another worker, and by the time that the last claim said; behind that a claim a minute makes sure.  What is
 * held longer than a claim lasts is claimed anew.  A sink that has its hands full gets no more: what it cannot take
 * goes back into the store for a while, so that the others' deliveries are not behind it.  While draining nothing
 * is claimed: what is not being sent goes back at once, and the other workers are told of it, as of what we say.
 * Where there are no others (gantryd stops) what we say is claimed and sent once, unless its sink is in trouble or its
 * rate makes it wait. */
#include "worker/deliver.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/backoff.h"
#include "base/clock.h"
#include "base/json_at.h"
#include "base/mem.h"
#include "base/random.h"
#include "worker/deliver_plan.h"
#include "worker/deliver_say.h"
#include "worker/deliver_sink.h"

enum { CLAIM_BATCH = 100, LIMIT_HELD = 400, CLAIM_MS = 60000 };
static const double CLAIM_LINGER_S = 0.02, NOTE_LINGER_S = 0.05, RENEW_S = 20, SLOW_SWEEP_S = 60;
static const double UNKNOWN_GIVE_UP_S = 86400;

enum item_state { ITEM_WAITING, ITEM_SENDING, ITEM_DONE };

/* A delivery in our hands. */
struct item {
	struct list all;                /* deliver.items */
	struct list link;               /* the sink's waiting, or deliver.done */
	struct deliver *deliver;
	struct deliver_sink *sink;      /* NULL: none of that name */
	const char *target;             /* in delivery.sink; NULL: the sink's own */
	struct store_delivery delivery; /* texts ours, payload included */
	enum item_state state;
	unsigned outstanding;           /* answers of the sink's notifies */
	struct error error;             /* the worst of them */
	double retry_after_s;
	double sent_s;                  /* monotonic */
};

struct note {
	struct deliver *deliver;
	struct list items;
	int64_t next_due_ms;            /* the earliest of those that are to be tried again; 0: none */
};

struct deliver {
	struct worker *worker;
	struct log log;
	struct deliver_sinks sinks;
	struct deliver_says says;
	struct list items, done;
	size_t held;
	unsigned notes;                 /* store_note_deliveries() under way */
	bool claiming, again;           /* a claim is under way; and was asked for meanwhile */
	bool more;                      /* there was more than we may hold */
	bool released;
	bool sweeps;                    /* somebody is configured to be told, so something may be left over */
	unsigned failures;              /* claims and notes that failed in a row */
	ev_timer claim, due, flush, renew, sweep;
};

static void pump(struct deliver_sink *sink);

static void stop_timer(struct deliver *deliver, ev_timer *timer)
{
	ev_timer_stop(deliver->worker->loop, timer);
}

static void start_timer(struct deliver *deliver, ev_timer *timer, double after_s)
{
	ev_timer_set(timer, after_s, 0.);
	ev_timer_start(deliver->worker->loop, timer);
}

static bool is_active(const struct deliver *deliver)
{
	return !deliver->released && !deliver->worker->leaving && deliver->worker->state == WORKER_ACTIVE;
}

/* Draining, with nobody who would do it for us. */
static bool is_last(const struct deliver *deliver)
{
	const struct worker *worker = deliver->worker;

	return !deliver->released && !worker->leaving && worker->state == WORKER_DRAINING && worker->last;
}

static bool may_claim(const struct deliver *deliver)
{
	return is_active(deliver) || is_last(deliver);
}

/* -- what came of it ---------------------------------------------------------------------------- */

static void item_free(struct item *item)
{
	list_remove(&item->all);
	list_remove(&item->link);
	store_delivery_finish(&item->delivery);
	item->deliver->held--;
	free(item);
}

static void flush_soon(struct deliver *deliver, double after_s)
{
	if (!ev_is_active(&deliver->flush))
		start_timer(deliver, &deliver->flush, after_s);
}

static void item_done(struct item *item)
{
	struct deliver *deliver = item->deliver;

	item->state = ITEM_DONE;
	list_remove(&item->link);
	list_append(&deliver->done, &item->link);
	flush_soon(deliver, NOTE_LINGER_S);
}

/* Not tried: there is no room for it now. */
static void put_back(struct item *item, int64_t after_ms)
{
	item->delivery.next_try_ms = clock_steady_ms() + after_ms;
	item_done(item);
}

static void put_back_waiting(struct item *item)
{
	item->sink->waiting_count--;
	put_back(item, is_last(item->deliver) ? deliver_sink_put_off_ms(item->sink) : 0);
}

static void count(const struct item *item, enum figures_sink what)
{
	if (item->sink != NULL)
		figures_add(item->sink->figures, what, 1);
}

static void log_failure(const struct item *item, const struct deliver_next *next)
{
	const struct store_delivery *delivery = &item->delivery;
	const struct log *log = &item->deliver->log;
	const char *job = delivery->job_id != NULL ? delivery->job_id : "-";

	if (next->dead)
		log_error(log, "%s: delivery %" PRId64 " (%s of job %s) is given up after %u tries: %s; \"gantryctl outbox replay\""
			" begins anew", item->sink != NULL ? item->sink->name : delivery->sink, delivery->id, delivery->event,
			job, delivery->tries, item->error.text);
	else if (item->sink == NULL || item->sink->failures++ == 0)
		log_warn(log, "%s: delivery %" PRId64 " (%s of job %s) failed: %s; trying again in %.0f s",
			item->sink != NULL ? item->sink->name : delivery->sink, delivery->id, delivery->event, job,
			item->error.text, next->wait_s);
}

static void failed(struct item *item)
{
	struct store_delivery *delivery = &item->delivery;
	const struct deliver_history history = {
		.tries = ++delivery->tries,
		.age_s = (double)(clock_steady_ms() - delivery->created_ms) / 1000,
		.give_up_after_s = item->sink != NULL ? (double)item->sink->conf->give_up_after_ms / 1000 : UNKNOWN_GIVE_UP_S,
		.retry_after_s = item->retry_after_s,
		/* Of a URL that a job named there is nobody who would mend it; of our own mail server there is. */
		.hopeless = item->error.kind == ERROR_INVALID || (item->target != NULL && item->error.kind == ERROR_REFUSED &&
			item->sink->conf->type == CONF_SINK_WEBHOOK),
	};
	struct deliver_next next = deliver_plan(&history, random_unit());

	count(item, next.dead ? FIGURES_DEAD : FIGURES_NOT_DELIVERED);
	log_failure(item, &next);
	xreplace((char **)&delivery->error, item->error.text);
	delivery->dead = next.dead;
	delivery->next_try_ms = next.dead ? 0 : clock_steady_ms() + (int64_t)(next.wait_s * 1000);
	item_done(item);
}

static void delivered(struct item *item)
{
	struct deliver_sink *sink = item->sink;

	if (sink->failures > 0)
		log_info(&item->deliver->log, "%s: takes deliveries again", sink->name);
	sink->failures = 0;
	count(item, FIGURES_DELIVERED);
	log_debug(&item->deliver->log, "%s: delivery %" PRId64 " (%s) has arrived", sink->name, item->delivery.id,
		item->delivery.event);
	item->delivery.tries++;
	item->delivery.next_try_ms = 0;
	item_done(item);
}

/* all: nothing is due before; else something is due then, too. */
static void arm_due(struct deliver *deliver, int64_t next_due_ms, bool all)
{
	double left_s = (double)(next_due_ms - clock_steady_ms()) / 1000;
	struct ev_loop *loop = deliver->worker->loop;

	if (left_s < CLAIM_LINGER_S)
		left_s = CLAIM_LINGER_S;
	if (next_due_ms == 0 && !all)
		return;
	if (!all && ev_is_active(&deliver->due) && ev_timer_remaining(loop, &deliver->due) <= left_s)
		return;
	stop_timer(deliver, &deliver->due);
	if (next_due_ms > 0 && left_s < SLOW_SWEEP_S && is_active(deliver))
		start_timer(deliver, &deliver->due, left_s);
}

static void on_noted(void *arg, const struct error *err)
{
	struct note *note = arg;
	struct deliver *deliver = note->deliver;

	deliver->notes--;
	if (err != NULL && !deliver->worker->leaving && !deliver->released) {
		log_warn(&deliver->log, "what came of deliveries was not noted: %s; noting it again", err->text);
		list_splice(&deliver->done, &note->items);
		flush_soon(deliver, 1);
	}
	while (!list_empty(&note->items))
		item_free(list_first(&note->items, struct item, link));
	if (err == NULL)
		arm_due(deliver, note->next_due_ms, false);
	if (deliver->more || (note->next_due_ms > 0 && !may_claim(deliver)))
		deliver_pass_on(deliver);
	free(note);
	deliver->more = false;
	drain_check(deliver->worker);
}

static void flush(struct deliver *deliver)
{
	struct note *note = xnew(struct note);
	struct store_delivery outcomes[CLAIM_BATCH];
	size_t outcome_count = 0;

	note->deliver = deliver;
	list_init(&note->items);
	while (!list_empty(&deliver->done) && outcome_count < CLAIM_BATCH) {
		struct item *item = list_first(&deliver->done, struct item, link);

		list_remove(&item->link);
		list_append(&note->items, &item->link);
		outcomes[outcome_count++] = item->delivery;
		if (item->delivery.next_try_ms > 0 &&
		    (note->next_due_ms == 0 || item->delivery.next_try_ms < note->next_due_ms))
			note->next_due_ms = item->delivery.next_try_ms;
	}
	deliver->notes++;
	store_note_deliveries(deliver->worker->store, outcomes, outcome_count, on_noted, note);
	if (!list_empty(&deliver->done))
		flush_soon(deliver, 0);
}

static void on_flush(struct ev_loop *loop, ev_timer *timer, int revents)
{
	(void)loop, (void)revents;
	flush(container_of(timer, struct deliver, flush));
}

/* -- sending ------------------------------------------------------------------------------------ */

/* The kinds stand in the order in which a human is needed. */
static void on_sent(void *arg, const struct error *err, double retry_after_s)
{
	struct item *item = arg;
	struct deliver_sink *sink = item->sink;

	if (err != NULL && err->kind > item->error.kind)
		item->error = *err;
	if (retry_after_s > item->retry_after_s)
		item->retry_after_s = retry_after_s;
	if (--item->outstanding > 0)
		return;
	sink->sending--;
	deliver_sink_note_time(sink, clock_monotonic_s() - item->sent_s);
	if (item->error.kind == ERROR_NONE)
		delivered(item);
	else
		failed(item);
	pump(sink);
}

/* The store's number alone would come again in another store. */
static char *notice_id(const struct store_delivery *delivery)
{
	return xasprintf("gantry-%" PRIx64 "-%" PRId64, (uint64_t)delivery->created_ms, delivery->id);
}

static json_t *notice_doc(const struct store_delivery *delivery, const char *id)
{
	json_t *doc = json_at_parse(delivery->payload, strlen(delivery->payload), NULL);

	if (!json_is_object(doc)) {
		json_decref(doc);
		doc = json_object();
	}
	if (strcmp(delivery->event, "error") == 0)
		json_object_set_new(doc, "id", json_integer(delivery->id));
	else
		json_object_set_new(doc, "id", json_string(id));
	return doc;
}

static void send_item(struct item *item)
{
	struct deliver_sink *sink = item->sink;
	char *id = notice_id(&item->delivery);
	json_t *doc = notice_doc(&item->delivery, id);
	char *text = json_at_dump(doc);
	const struct notice notice = {
		.id = id, .event = item->delivery.event, .target = item->target, .doc = doc, .text = text,
	};

	list_remove(&item->link);
	sink->waiting_count--;
	sink->sending++;
	item->state = ITEM_SENDING;
	item->sent_s = clock_monotonic_s();
	item->outstanding = (unsigned)sink->count;
	for (size_t i = 0; i < sink->count; i++)
		notify_send(sink->notifies[i], &notice, on_sent, item);
	json_decref(doc);
	free(text);
	free(id);
}

static void on_pace(struct ev_loop *loop, ev_timer *timer, int revents)
{
	(void)loop, (void)revents;
	pump(container_of(timer, struct deliver_sink, pace));
}

static void put_back_all(struct deliver_sink *sink)
{
	while (!list_empty(&sink->waiting))
		put_back_waiting(list_first(&sink->waiting, struct item, link));
}

static void pump(struct deliver_sink *sink)
{
	struct deliver *deliver = sink->deliver;
	double wait_s;

	if (is_last(deliver)) {
		stop_timer(deliver, &sink->pace);
		if (sink->failures > 0)
			put_back_all(sink);
	}
	while (!list_empty(&sink->waiting) && sink->sending < sink->limit && !ev_is_active(&sink->pace)) {
		if (deliver_sink_take_token(sink, &wait_s)) {
			send_item(list_first(&sink->waiting, struct item, link));
		} else if (is_last(deliver)) {
			put_back_all(sink);
		} else {
			ev_init(&sink->pace, on_pace);
			start_timer(deliver, &sink->pace, wait_s);
		}
	}
}

/* -- claiming ----------------------------------------------------------------------------------- */

static void unknown(struct item *item)
{
	bool address = item->target != NULL;

	error_set(&item->error, address ? ERROR_INVALID : ERROR_REFUSED, address ?
		"no sink of type email is configured, whose server would take a mail" : "no sink of this name is configured");
	failed(item);
}

/* A worker that leaves doesn't judge, either: the next generation may know the sink. */
static void take(struct deliver *deliver, const struct store_delivery *claimed)
{
	struct item *item = xnew(struct item);

	item->deliver = deliver;
	item->delivery = store_delivery_copy(claimed);
	list_init(&item->link);
	list_append(&deliver->items, &item->all);
	deliver->held++;
	item->sink = deliver_sinks_find(&deliver->sinks, item->delivery.sink, &item->target);
	if (!may_claim(deliver)) {
		put_back(item, 0);
	} else if (item->sink == NULL) {
		unknown(item);
	} else if (item->sink->waiting_count >= LIMIT_SINK_WAITING) {
		put_back(item, deliver_sink_put_off_ms(item->sink));
	} else {
		list_append(&item->sink->waiting, &item->link);
		item->sink->waiting_count++;
		pump(item->sink);
	}
}

static void on_claimed(void *arg, const struct store_delivery *claimed, size_t claimed_count, int64_t next_due_ms,
	const struct error *err)
{
	struct deliver *deliver = arg;
	bool again = deliver->again || claimed_count == CLAIM_BATCH;

	deliver->claiming = deliver->again = false;
	if (err != NULL) {
		if (deliver->failures++ == 0 && !deliver->worker->leaving)
			log_warn(&deliver->log, "no deliveries were claimed: %s; trying again", err->text);
		if (is_active(deliver))
			start_timer(deliver, &deliver->due, backoff_s(deliver->failures, 1, SLOW_SWEEP_S, random_unit()));
		drain_check(deliver->worker);
		return;
	}
	deliver->failures = 0;
	/* Released meanwhile: the store has freed them, or will in a minute. */
	if (deliver->released || deliver->worker->leaving) {
		drain_check(deliver->worker);
		return;
	}
	arm_due(deliver, next_due_ms, true);
	for (size_t i = 0; i < claimed_count; i++)
		take(deliver, &claimed[i]);
	if (deliver->held > 0 && !ev_is_active(&deliver->renew))
		start_timer(deliver, &deliver->renew, RENEW_S);
	if (again)
		deliver_wake(deliver);
	drain_check(deliver->worker);
}

static void claim(struct deliver *deliver)
{
	if (!may_claim(deliver))
		return;
	if (deliver->held >= LIMIT_HELD) {
		deliver->more = true;
		return;
	}
	if (deliver->claiming) {
		deliver->again = true;
		return;
	}
	deliver->claiming = true;
	stop_timer(deliver, &deliver->sweep);
	if (deliver->sweeps && is_active(deliver))
		start_timer(deliver, &deliver->sweep, SLOW_SWEEP_S * (0.75 + random_unit() / 2));
	store_claim_deliveries(deliver->worker->store, CLAIM_BATCH, on_claimed, deliver);
}

static void on_claim(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct deliver *deliver = container_of(timer, struct deliver, claim);

	(void)loop, (void)revents;
	if (may_claim(deliver)) {
		claim(deliver);
		return;
	}
	channel_send(deliver->worker, REPORT_RELEASED, "", "");
	drain_check(deliver->worker);
}

static void on_due(struct ev_loop *loop, ev_timer *timer, int revents)
{
	(void)loop, (void)revents;
	claim(container_of(timer, struct deliver, due));
}

static void on_sweep(struct ev_loop *loop, ev_timer *timer, int revents)
{
	(void)loop, (void)revents;
	claim(container_of(timer, struct deliver, sweep));
}

void deliver_pass_on(struct deliver *deliver)
{
	bool draining = deliver->worker->state == WORKER_DRAINING && !deliver->released && !deliver->worker->leaving;

	if ((may_claim(deliver) || draining) && !ev_is_active(&deliver->claim))
		start_timer(deliver, &deliver->claim, CLAIM_LINGER_S);
}

void deliver_wake(struct deliver *deliver)
{
	if (may_claim(deliver))
		deliver_pass_on(deliver);
}

/* -- holding on --------------------------------------------------------------------------------- */

static void on_renewed(void *arg, const struct error *err)
{
	struct deliver *deliver = arg;

	deliver->notes--;
	if (err != NULL)
		log_warn(&deliver->log, "claims were not renewed: %s; others may send the same, under the same id", err->text);
	drain_check(deliver->worker);
}

/* A slow receiver, or a rate, may keep one here for longer than a claim lasts. */
static void on_renew(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct deliver *deliver = container_of(timer, struct deliver, renew);
	int64_t until_ms = clock_steady_ms() + CLAIM_MS;
	struct store_delivery *held = xcalloc(deliver->held + 1, sizeof(*held));
	size_t held_count = 0;
	struct item *item;

	(void)loop, (void)revents;
	list_each(item, &deliver->items, all) {
		if (item->state == ITEM_DONE)
			continue;
		held[held_count] = item->delivery;
		held[held_count].kept = true;
		held[held_count++].next_try_ms = until_ms;
	}
	if (held_count > 0) {
		deliver->notes++;
		store_note_deliveries(deliver->worker->store, held, held_count, on_renewed, deliver);
		start_timer(deliver, &deliver->renew, RENEW_S);
	}
	free(held);
}

bool deliver_is_idle(const struct deliver *deliver)
{
	return deliver->held == 0 && deliver->notes == 0 && !deliver->claiming && list_empty(&deliver->says.list) &&
		!ev_is_active(&deliver->claim);
}

void deliver_drain(struct deliver *deliver)
{
	struct item *item, *next;

	stop_timer(deliver, &deliver->due);
	stop_timer(deliver, &deliver->sweep);
	if (is_last(deliver)) {
		for (size_t i = 0; i < deliver->sinks.count; i++)
			pump(&deliver->sinks.at[i]);
		return;
	}
	list_each_safe(item, next, &deliver->items, all) {
		if (item->state == ITEM_WAITING)
			put_back_waiting(item);
	}
}

static void stop(struct deliver *deliver)
{
	stop_timer(deliver, &deliver->claim);
	stop_timer(deliver, &deliver->due);
	stop_timer(deliver, &deliver->flush);
	stop_timer(deliver, &deliver->renew);
	stop_timer(deliver, &deliver->sweep);
}

/* Also those whose outcome is being noted.  The sinks go last: items are on their lists. */
static void drop_items(struct deliver *deliver)
{
	struct item *item, *next;

	list_each_safe(item, next, &deliver->items, all)
		item_free(item);
	deliver_sinks_destroy(&deliver->sinks, deliver->worker);
}

/* The store frees what is claimed together with the jobs. */
void deliver_release(struct deliver *deliver)
{
	if (deliver->released)
		return;
	deliver->released = true;
	while (!list_empty(&deliver->done))
		flush(deliver);
	stop(deliver);
	if (deliver->held > 0)
		log_info(&deliver->log, "%zu deliveries are left to the other workers", deliver->held);
	drop_items(deliver);
}

void deliver_say(struct deliver *deliver, const struct deliver_words *words, deliver_said_fn *done, void *arg)
{
	deliver_says_add(&deliver->says, words, done, arg);
}

/* -- life --------------------------------------------------------------------------------------- */

static bool anybody_is_told(const struct conf *conf)
{
	bool told = conf->error_count + conf->notify_count > 0;

	for (size_t i = 0; i < conf->deployer_count; i++)
		told = told || conf->deployers[i].allow.notify;
	return told;
}

struct deliver *deliver_create(struct worker *worker, struct error *err)
{
	struct deliver *deliver = xnew(struct deliver);

	deliver->worker = worker;
	deliver->sweeps = anybody_is_told(worker->conf);
	log_init(&deliver->log, &worker->log, "outbox");
	list_init(&deliver->items);
	list_init(&deliver->done);
	deliver_says_init(&deliver->says, worker, &deliver->log);
	ev_init(&deliver->claim, on_claim);
	ev_init(&deliver->due, on_due);
	ev_init(&deliver->flush, on_flush);
	ev_init(&deliver->renew, on_renew);
	ev_init(&deliver->sweep, on_sweep);
	if (deliver_sinks_create(&deliver->sinks, worker, deliver, err))
		return deliver;
	deliver_destroy(deliver);
	return NULL;
}

void deliver_destroy(struct deliver *deliver)
{
	if (deliver == NULL)
		return;
	stop(deliver);
	drop_items(deliver);
	deliver_says_finish(&deliver->says);
	free(deliver);
}
