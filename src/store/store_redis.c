/* SPDX-License-Identifier: Apache-2.0 */
/* store_redis.c - see store_redis.h.  Batches, sent and answered.
 *
 * A batch that got no answer may have been carried out: it is sent again, under its number, until it is answered
 * or the server has been away for too long.  Then its calls fail as temporary, though they may have happened, as
 * a commit may; who repeats a call is told so by the rules. */
#include "store/store_redis.h"

#include <stdlib.h>
#include <string.h>

#include "base/backoff.h"
#include "base/clock.h"
#include "base/mem.h"

static const double again_first_s = 0.1, again_most_s = 1;
enum { LIMIT_RELOADS = 5 };             /* of the script for one batch, without a failure */

struct store_redis_request {
	struct list link;
	struct store_redis *redis;
	struct list calls;
	uint64_t number;                /* 0: reads */
	unsigned failures, reloads;
	int64_t asked_ms;               /* boot clock */
	ev_timer again;
};

static struct store_redis *redis_of(struct store *store)
{
	return container_of(store, struct store_redis, store);
}

static void send_request(struct store_redis_request *request);

/* -- outcomes ------------------------------------------------------------------------------------ */

/* The calls are told of their outcome; this may close the store, so it is the last thing done. */
static void complete(struct store_redis_request *request)
{
	struct store_redis *redis = request->redis;
	struct list calls;

	list_init(&calls);
	list_splice(&calls, &request->calls);
	list_remove(&request->link);
	if (redis->writing == request)
		redis->writing = NULL;
	ev_timer_stop(redis->store.loop, &request->again);
	free(request);
	store_batch_complete(&redis->batch, &calls);
}

static void fail(struct store_redis_request *request, enum error_kind kind, const char *text)
{
	struct store_call *call;

	list_each(call, &request->calls, link)
		store_call_fail(call, kind, text);
	complete(request);
}

static void take_answers(struct store_redis_request *request, const redisReply *reply)
{
	struct store_redis *redis = request->redis;
	struct store_call *call;
	size_t i = 1;

	store_redis_take_clock(redis, reply->element[0]->integer, request->asked_ms, store_redis_boot_ms());
	list_each(call, &request->calls, link) {
		store_redis_take_answer(&redis->store, call, reply->element[i++]);
		if (request->number > 0 && !call->failed)
			store_committed(&redis->store, call);
		if (call->failed)
			log_error(&redis->store.log, "%s", call->err->text);
	}
	if (request->number > 0)
		redis->store.figures.commits++;
	complete(request);
}

static size_t count_calls(const struct list *calls)
{
	const struct store_call *call;
	size_t count = 0;

	list_each(call, calls, link)
		count++;
	return count;
}

static void on_again(struct ev_loop *loop, ev_timer *timer, int revents)
{
	(void)loop, (void)revents;
	send_request(container_of(timer, struct store_redis_request, again));
}

static bool is_away_too_long(const struct store_redis_request *request, double now_s)
{
	double limit_s = request->number > 0 ? STORE_REDIS_AWAY_S : STORE_REDIS_READ_AWAY_S;

	return now_s - request->redis->away_since_s >= limit_s;
}

static void on_failed(struct store_redis_request *request, const struct error *err)
{
	struct store_redis *redis = request->redis;
	double now_s = clock_monotonic_s();
	char text[LIMIT_ERROR_TEXT_BYTES];

	if (redis->away_since_s == 0)
		redis->away_since_s = now_s;
	if (request->failures++ == 0)
		redis->store.figures.busy++;
	snprintf(text, sizeof(text), "store: %s", err->text);
	if (is_away_too_long(request, now_s)) {
		fail(request, ERROR_TEMPORARY, text);
		return;
	}
	if (!redis->complained)
		log_warn(&redis->store.log, "the store does not answer: %s; trying for %d s, then the callers go on trying",
			err->text, STORE_REDIS_AWAY_S);
	redis->complained = true;
	ev_now_update(redis->store.loop);
	ev_timer_set(&request->again, backoff_s(request->failures, again_first_s, again_most_s, random_unit()), 0.);
	ev_timer_start(redis->store.loop, &request->again);
}

/* The script's own errors come with what Redis said inside of theirs. */
static bool may_pass(const struct error *err)
{
	static const char *const passing[] = { "OOM command", "MISCONF", "READONLY", "NOREPLICAS", "STALE" };

	if (err->kind == ERROR_TEMPORARY || err->kind == ERROR_AMBIGUOUS)
		return true;
	for (size_t i = 0; i < sizeof(passing) / sizeof(passing[0]); i++) {
		if (strstr(err->text, passing[i]) != NULL)
			return true;
	}
	return false;
}

static void on_loaded(void *arg, const redisReply *reply, const struct error *err)
{
	(void)arg, (void)reply, (void)err;
}

/* The server was restarted, or its scripts were flushed. */
static void load_script(struct store_redis *redis)
{
	const char *const words[] = { "SCRIPT", "LOAD", store_redis_script };

	redis_command(redis->redis, 3, words, NULL, on_loaded, NULL);
}

static void on_answer(void *arg, const redisReply *reply, const struct error *err)
{
	struct store_redis_request *request = arg;
	struct store_redis *redis = request->redis;

	if (err != NULL && strcmp(err->code, "NOSCRIPT") == 0 && request->reloads++ < LIMIT_RELOADS) {
		load_script(redis);
		send_request(request);
		return;
	}
	if (err != NULL && may_pass(err)) {
		on_failed(request, err);
		return;
	}
	if (redis->complained)
		log_info(&redis->store.log, "the store answers again");
	redis->away_since_s = 0;
	redis->complained = false;
	if (err != NULL) {
		log_error(&redis->store.log, "the server refused what the store asked: %s", err->text);
		fail(request, ERROR_REFUSED, err->text);
	} else if (reply->type != REDIS_REPLY_ARRAY || reply->elements != count_calls(&request->calls) + 1 ||
		reply->element[0]->type != REDIS_REPLY_INTEGER) {
		fail(request, ERROR_REFUSED, "store: the script answered another number of calls than it was given");
	} else {
		take_answers(request, reply);
	}
}

/* -- batches ------------------------------------------------------------------------------------- */

static void send_request(struct store_redis_request *request)
{
	struct store_redis *redis = request->redis;
	enum { BEFORE = 4 };
	struct store_redis_words words;
	const char **argv;
	size_t *argl;

	store_redis_words_make(&words, redis, request->number, &request->calls);
	argv = xcalloc(BEFORE + words.count, sizeof(*argv));
	argl = xcalloc(BEFORE + words.count, sizeof(*argl));
	argv[0] = "EVALSHA";
	argv[1] = redis->sha;
	argv[2] = "1";
	argv[3] = STORE_REDIS_TAG;
	for (size_t i = 0; i < BEFORE; i++)
		argl[i] = strlen(argv[i]);
	memcpy(argv + BEFORE, words.texts, words.count * sizeof(*argv));
	memcpy(argl + BEFORE, words.lengths, words.count * sizeof(*argl));
	request->asked_ms = store_redis_boot_ms();
	redis_command(redis->redis, (int)(BEFORE + words.count), argv, argl, on_answer, request);
	free(argv);
	free(argl);
	store_redis_words_finish(&words);
}

static struct store_redis_request *request_create(struct store_redis *redis, struct list *calls, uint64_t number)
{
	struct store_redis_request *request = xnew(struct store_redis_request);

	request->redis = redis;
	request->number = number;
	list_init(&request->link);
	list_init(&request->calls);
	list_splice(&request->calls, calls);
	ev_init(&request->again, on_again);
	return request;
}

static void read_waiting(struct store_redis *redis)
{
	struct store_call *call, *next;
	struct store_redis_request *request;
	struct list reads;

	list_init(&reads);
	list_each_safe(call, next, &redis->batch.waiting, link) {
		if (!store_call_reads(call))
			continue;
		list_remove(&call->link);
		list_append(&reads, &call->link);
	}
	if (list_empty(&reads))
		return;
	request = request_create(redis, &reads, 0);
	list_append(&redis->reading, &request->link);
	send_request(request);
}

/* What is said is never parted from the call behind it; what is too much waits for the next batch. */
static void put_back_what_is_too_much(struct store_redis *redis, struct list *calls)
{
	struct store_call *call, *next;
	size_t size = 0;
	bool said = false, full = false;
	struct list back;

	list_init(&back);
	list_each_safe(call, next, calls, link) {
		full = full || (size > LIMIT_STORE_REDIS_BATCH_BYTES && !said);
		size += store_redis_call_bytes(call);
		said = call->kind == CALL_SAY;
		if (!full)
			continue;
		list_remove(&call->link);
		list_append(&back, &call->link);
	}
	list_splice(&back, &redis->batch.waiting);
	list_splice(&redis->batch.waiting, &back);
}

static void run_batch(struct store_batch *batch)
{
	struct store_redis *redis = container_of(batch, struct store_redis, batch);
	struct list calls;

	read_waiting(redis);
	if (redis->writing != NULL)
		return;
	list_init(&calls);
	store_batch_take(batch, &calls);
	put_back_what_is_too_much(redis, &calls);
	if (list_empty(&calls))
		return;
	redis->writing = request_create(redis, &calls, ++redis->number);
	send_request(redis->writing);
}

static void redis_submit(struct store *store, struct store_call *call)
{
	store_batch_add(&redis_of(store)->batch, call);
}

/* -- wakes --------------------------------------------------------------------------------------- */

static void on_wake(void *arg, const char *channel, const char *text)
{
	struct store_redis *redis = arg;

	(void)channel;
	/* While we were not listening there may have been either. */
	redis->store.on_news(redis->store.news_arg, text == NULL || strcmp(text, "adopt") == 0);
}

static void redis_listen(struct store *store)
{
	struct store_redis *redis = redis_of(store);
	char *own = xasprintf("%s:wake:%s", STORE_REDIS_TAG, store->owner != NULL ? store->owner : "");
	const char *const channels[] = { own, STORE_REDIS_TAG ":wake" };
	struct error err;

	if (redis->wakes == NULL)
		redis->wakes = redis_subscribe(store->loop, &store->log, redis->url, channels, 2, on_wake, redis, &err);
	if (redis->wakes != NULL)
		redis_hurry(redis->wakes, again_most_s);
	else
		log_warn(&store->log, "other hosts cannot wake us: %s; their news is seen at the next sweep", err.text);
	free(own);
}

/* -- opening and closing ------------------------------------------------------------------------- */

static void close_request(struct store_redis_request *request)
{
	struct store_call *call;

	ev_timer_stop(request->redis->store.loop, &request->again);
	list_remove(&request->link);
	while ((call = list_first(&request->calls, struct store_call, link)) != NULL) {
		list_remove(&call->link);
		store_call_fail(call, ERROR_TEMPORARY, "store: closed before this was answered");
		store_call_complete(call);
	}
	free(request);
}

static void redis_close(struct store *store)
{
	struct store_redis *redis = redis_of(store);
	struct store_redis_request *request;

	redis_destroy(redis->wakes);
	redis_destroy(redis->redis);
	if (redis->writing != NULL)
		close_request(redis->writing);
	while ((request = list_first(&redis->reading, struct store_redis_request, link)) != NULL)
		close_request(request);
	store_batch_finish(&redis->batch);
	store_finish_base(store);
	xfree_secret(redis->url);
	free(redis);
}

static const struct store_ops ops = {
	.close = redis_close,
	.submit = redis_submit,
	.listen = redis_listen,
};

static bool set_up(struct store_redis *redis, const struct store_options *options, struct error *err)
{
	if (!store_redis_prepare(redis, options, err))
		return false;
	redis->redis = redis_create(options->loop, &redis->store.log, redis->url, err);
	if (redis->redis == NULL)
		return false;
	/* Leases wait for it, too. */
	redis_hurry(redis->redis, again_most_s);
	return true;
}

struct store *store_redis_open(const char *url, const struct store_options *options, struct error *err)
{
	struct store_redis *redis = xnew(struct store_redis);

	store_init(&redis->store, &ops, options, "store");
	redis->url = xstrdup(url);
	random_id(redis->instance);
	list_init(&redis->reading);
	store_batch_init(&redis->batch, options->loop, run_batch);
	if (set_up(redis, options, err))
		return &redis->store;
	redis_close(&redis->store);
	return NULL;
}
