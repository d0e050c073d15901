/* SPDX-License-Identifier: Apache-2.0 */
/* store_postgresql.c - batches: sent, sent again, answered, given up.
 *
 * What became of a batch whose answer was lost is not guessed: it is sent again under its number, and the database
 * gives the recorded answer if it had run it.  Calls are not kept for longer than STORE_POSTGRESQL_AWAY_S: then they
 * fail with ERROR_TEMPORARY.  A batch that was under way then may have been committed all the same, so when the
 * database is back it is asked, before anything else, to give back what that batch took on for us. */
#include "store/store_postgresql.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/json_at.h"
#include "base/mem.h"

/* Other clients' records are forgotten after a day, see rules_outbox.sql. */
enum { RENAME_S = 3600 };
enum { OLDEST_SERVER = 14 };

static struct store_postgresql *pg_of(struct store *store)
{
	return container_of(store, struct store_postgresql, store);
}

/* -- completing ---------------------------------------------------------------------------------- */

static size_t count_calls(const struct list *calls)
{
	size_t count = 0;

	for (const struct list *at = calls->next; at != calls; at = at->next)
		count++;
	return count;
}

/* The store may be gone when this returns. */
static void complete(struct store_postgresql *pg, struct store_batch *batch, struct list *calls)
{
	size_t count = count_calls(calls);

	if (count == 0)
		return;
	pg->outstanding -= count;
	if (pg->outstanding == 0)
		ev_unref(pg->store.loop);
	store_postgresql_mind(pg);
	store_batch_complete(batch, calls);
}

static void fail_calls(struct list *calls, const struct error *why)
{
	struct store_call *call;

	list_each(call, calls, link) {
		store_call_fail(call, why->kind, why->text);
		error_set_code(store_call_error(call), why->code);
	}
}

/* Completes what a request carried; it is gone. */
static void end_request(struct store_postgresql *pg, struct store_postgresql_request *request)
{
	struct store_batch *batch = request->kind == REQUEST_READ ? &pg->reads : &pg->batch;
	struct list calls;

	list_init(&calls);
	list_splice(&calls, &request->calls);
	list_remove(&request->link);
	PQclear(request->result);
	free(request);
	complete(pg, batch, &calls);
}

/* -- sending ------------------------------------------------------------------------------------- */

static struct store_postgresql_request *request_create(const struct store_postgresql *pg, enum store_postgresql_kind kind)
{
	struct store_postgresql_request *request = xnew(struct store_postgresql_request);

	list_init(&request->link);
	list_init(&request->calls);
	request->kind = kind;
	request->since_s = clock_monotonic_s();
	memcpy(request->client, pg->client, sizeof(request->client));
	return request;
}

/* The number of the batch that one sent now comes behind. */
static uint64_t last_sent(const struct store_postgresql *pg)
{
	uint64_t last = pg->recorded;

	for (const struct list *at = pg->sent.next; at != &pg->sent; at = at->next) {
		const struct store_postgresql_request *request = container_of(at, struct store_postgresql_request, link);

		if (request->kind == REQUEST_WRITE)
			last = request->number;
	}
	return last;
}

static bool send_greeting(struct store_postgresql *pg)
{
	const char *values[] = { pg->listening ? pg->store.owner : NULL };

	return store_postgresql_send(pg, "SELECT gantry.greet($1::text)", 1, values);
}

static bool send_write(struct store_postgresql *pg, const struct store_postgresql_request *request)
{
	char number[32], after[32];
	char *json = store_postgresql_batch_json(pg, request);
	const char *values[] = { request->client, number, after, json };
	bool ok;

	snprintf(number, sizeof(number), "%llu", (unsigned long long)request->number);
	snprintf(after, sizeof(after), "%llu", (unsigned long long)last_sent(pg));
	ok = store_postgresql_send(pg, "SELECT gantry.run($1::text, $2::bigint, $3::bigint, $4::jsonb)", 4, values);
	free(json);
	return ok;
}

static bool send_read(struct store_postgresql *pg, const struct store_postgresql_request *request)
{
	struct store_postgresql_read read = store_postgresql_read_make(list_first(&request->calls, struct store_call, link));
	bool ok = store_postgresql_send(pg, read.query, read.count, (const char *const *)read.values);

	store_postgresql_read_finish(&read);
	return ok;
}

static bool send_give_back(struct store_postgresql *pg, const struct store_postgresql_request *request)
{
	char number[32];
	const char *values[] = { request->client, number, pg->store.owner };

	snprintf(number, sizeof(number), "%llu", (unsigned long long)request->number);
	return store_postgresql_send(pg, "SELECT gantry.give_back($1::text, $2::bigint, $3::text)", 3, values);
}

/* Who has written nothing for long may have been forgotten, and has another name then. */
static void give_number(struct store_postgresql *pg, struct store_postgresql_request *request)
{
	if (request->sent_s - pg->written_s > RENAME_S && last_sent(pg) == pg->recorded) {
		random_id(pg->client);
		pg->number = pg->recorded = 0;
	}
	pg->written_s = request->sent_s;
	memcpy(request->client, pg->client, sizeof(request->client));
	request->number = ++pg->number;
}

/* False: the link was lost, and the request is on the list again. */
static bool send_request(struct store_postgresql *pg, struct store_postgresql_request *request)
{
	bool ok = false;

	request->sent_s = clock_monotonic_s();
	request->asked_ms = store_postgresql_boot_ms();
	list_remove(&request->link);
	/* What is lost while it is sent is on this list, behind all that was sent before. */
	if (request->kind == REQUEST_WRITE && request->number == 0)
		give_number(pg, request);
	switch (request->kind) {
	case REQUEST_GREET: ok = send_greeting(pg); break;
	case REQUEST_WRITE: ok = send_write(pg, request); break;
	case REQUEST_READ: ok = send_read(pg, request); break;
	case REQUEST_GIVE_BACK: ok = send_give_back(pg, request); break;
	}
	if (ok)
		list_append(&pg->sent, &request->link);
	else if (request->kind == REQUEST_GREET)
		free(request);
	else
		list_append(&pg->again, &request->link);
	return ok;
}

static size_t count_sent(const struct store_postgresql *pg, enum store_postgresql_kind kind)
{
	size_t count = 0;

	for (const struct list *at = pg->sent.next; at != &pg->sent; at = at->next)
		count += container_of(at, struct store_postgresql_request, link)->kind == kind;
	return count;
}

/* These lock rows without the slots of their names, and so come last in their transaction. */
static bool ends_batch(const struct store_call *call)
{
	return call->kind == CALL_ADOPT || call->kind == CALL_SWEEP || call->kind == CALL_PRUNE;
}

/* Takes a batch off what waits: up to the first call that has to be the last, or until it is large. */
static void take_batch(struct store_postgresql *pg, struct list *calls)
{
	struct list all, rest;
	struct store_call *call;
	size_t bytes = 0;
	bool full = false;

	list_init(&all);
	list_init(&rest);
	store_batch_take(&pg->batch, &all);
	while ((call = list_first(&all, struct store_call, link)) != NULL) {
		list_remove(&call->link);
		list_append(full ? &rest : calls, &call->link);
		bytes += store_postgresql_call_bytes(call);
		/* What is said is never parted from the call behind it. */
		if (ends_batch(call) || (bytes > LIMIT_STORE_POSTGRESQL_BATCH_BYTES && call->kind != CALL_SAY))
			full = true;
	}
	list_splice(&rest, &pg->batch.waiting);
	list_splice(&pg->batch.waiting, &rest);
}

static bool send_again(struct store_postgresql *pg)
{
	struct store_postgresql_request *request;

	while ((request = list_first(&pg->again, struct store_postgresql_request, link)) != NULL) {
		if (!send_request(pg, request))
			return false;
	}
	return true;
}

static void send_waiting(struct store_postgresql *pg)
{
	struct store_postgresql_request *request;
	struct store_call *call;

	if (pg->state != LINK_UP)
		return;
	/* Batches that were refused since another was, as they came behind it, are not to be passed by it. */
	if (!list_empty(&pg->again) && (count_sent(pg, REQUEST_WRITE) > 0 || !send_again(pg)))
		goto out;
	while (!list_empty(&pg->batch.waiting) && count_sent(pg, REQUEST_WRITE) < LIMIT_STORE_POSTGRESQL_WRITES) {
		request = request_create(pg, REQUEST_WRITE);
		take_batch(pg, &request->calls);
		if (!send_request(pg, request))
			return;
	}
	while (count_sent(pg, REQUEST_READ) < LIMIT_STORE_POSTGRESQL_READS &&
		(call = list_first(&pg->reads.waiting, struct store_call, link)) != NULL) {
		list_remove(&call->link);
		request = request_create(pg, REQUEST_READ);
		list_append(&request->calls, &call->link);
		if (!send_request(pg, request))
			return;
	}
out:
	if (pg->state == LINK_UP)
		store_postgresql_flush(pg);
}

void store_postgresql_up(struct store_postgresql *pg)
{
	store_postgresql_mind(pg);
	if (send_request(pg, request_create(pg, REQUEST_GREET)))
		send_waiting(pg);
}

/* What was answered before is not among them, so they are in the order of their numbers. */
void store_postgresql_down(struct store_postgresql *pg)
{
	struct store_postgresql_request *request, *next;

	list_each_safe(request, next, &pg->sent, link) {
		list_remove(&request->link);
		PQclear(request->result);
		request->result = NULL;
		if (request->kind == REQUEST_GREET)
			free(request);
		else
			list_append(&pg->again, &request->link);
	}
}

/* -- answers ------------------------------------------------------------------------------------- */

static bool is_one_call(const struct store_postgresql_request *request)
{
	return request->calls.next->next == &request->calls;
}

/* False: the request has ended, and with it perhaps the store. */
static bool write_failed(struct store_postgresql *pg, struct store_postgresql_request *request)
{
	enum store_postgresql_meaning meaning = store_postgresql_meaning(request->result);
	bool late = clock_monotonic_s() - request->since_s > STORE_POSTGRESQL_AWAY_S;
	bool content = meaning == MEANS_CONTENT && !request->apart && !is_one_call(request);
	struct error err;

	store_postgresql_result_error(pg, request->result, &err);
	if (late || (meaning != MEANS_BEHIND && meaning != MEANS_MET && !content)) {
		fail_calls(&request->calls, &err);
		end_request(pg, request);
		return false;
	}
	if (meaning != MEANS_BEHIND) {
		log_debug(&pg->store.log, "batch %llu is run again: %s", (unsigned long long)request->number, err.text);
		request->apart = request->apart || content;
		request->wide = request->wide || !content;
		request->tries++;
		pg->store.figures.busy++;
	}
	PQclear(request->result);
	request->result = NULL;
	list_remove(&request->link);
	list_append(&pg->again, &request->link);
	return true;
}

static json_t *read_answer(const struct store_postgresql *pg, const PGresult *result, struct error *err)
{
	json_t *answer;

	if (PQresultStatus(result) != PGRES_TUPLES_OK || PQntuples(result) != 1 || PQgetisnull(result, 0, 0)) {
		store_postgresql_result_error(pg, result, err);
		return NULL;
	}
	answer = json_at_parse(PQgetvalue(result, 0, 0), (size_t)PQgetlength(result, 0, 0), err);
	if (answer == NULL)
		error_prefix(err, "store: %s", pg->url.name);
	return answer;
}

static void take_answers(struct store_postgresql *pg, struct store_postgresql_request *request, const json_t *answers)
{
	struct store_call *call;
	size_t i = 0;

	list_each(call, &request->calls, link) {
		const json_t *answer = request->kind == REQUEST_READ ? answers : json_array_get(answers, i++);

		store_postgresql_take_answer(pg, call, answer);
		if (request->kind == REQUEST_READ || call->failed)
			continue;
		store_committed(&pg->store, call);
		if (call->kind == CALL_RENEW && call->err == NULL)
			store_postgresql_take_clock(pg, json_integer_value(json_object_get(answer, "server_ms")), request->asked_ms,
				store_postgresql_boot_ms(), false);
	}
}

static void call_answered(struct store_postgresql *pg, struct store_postgresql_request *request)
{
	struct error err = { 0 };
	json_t *answers = read_answer(pg, request->result, &err);

	if (answers != NULL)
		take_answers(pg, request, answers);
	else
		fail_calls(&request->calls, &err);
	if (request->kind == REQUEST_WRITE) {
		pg->recorded = request->number;
		pg->store.figures.commits++;
	}
	json_decref(answers);
	end_request(pg, request);
}

static void greeted(struct store_postgresql *pg, struct store_postgresql_request *request)
{
	struct error err = { 0 };
	json_t *answer = read_answer(pg, request->result, &err);

	if (answer == NULL) {
		log_error(&pg->store.log, "%s", err.text);
	} else {
		if (pg->away_since_s > 0)
			log_info(&pg->store.log, "%s is back after %.1f s", pg->url.name, clock_monotonic_s() - pg->away_since_s);
		pg->away_since_s = 0;
		pg->failures = 0;
		store_postgresql_take_clock(pg, json_integer_value(json_object_get(answer, "server_ms")), request->asked_ms,
			store_postgresql_boot_ms(), false);
	}
	json_decref(answer);
	list_remove(&request->link);
	PQclear(request->result);
	free(request);
	/* What came while it was away was not heard. */
	if (answer != NULL && pg->listening && pg->store.on_news != NULL)
		pg->store.on_news(pg->store.news_arg, true);
}

static void request_answered(struct store_postgresql *pg, struct store_postgresql_request *request)
{
	bool ok = PQresultStatus(request->result) == PGRES_TUPLES_OK;

	if (!ok && store_postgresql_meaning(request->result) == MEANS_LOST) {
		store_postgresql_lost(pg, PQresultErrorMessage(request->result));
		return;
	}
	switch (request->kind) {
	case REQUEST_GREET:
		greeted(pg, request);
		return;
	case REQUEST_GIVE_BACK:
		if (!ok)
			log_error(&pg->store.log, "jobs that were taken on while %s was away are held by nobody until our lease "
				"ends: %s", pg->url.name, PQresultErrorField(request->result, PG_DIAG_MESSAGE_PRIMARY));
		end_request(pg, request);
		return;
	case REQUEST_WRITE:
		if (!ok) {
			write_failed(pg, request);
			return;
		}
		break;
	case REQUEST_READ:
		break;
	}
	call_answered(pg, request);
}

void store_postgresql_take_result(struct store_postgresql *pg, PGresult *result)
{
	struct store_postgresql_request *request = list_first(&pg->sent, struct store_postgresql_request, link);
	bool *closed = pg->closed;

	if (PQresultStatus(result) != PGRES_PIPELINE_SYNC) {
		PQclear(request->result);
		request->result = result;
		return;
	}
	PQclear(result);
	request_answered(pg, request);
	if (!*closed)
		send_waiting(pg);
}

/* -- wakes --------------------------------------------------------------------------------------- */

void store_postgresql_wake(struct store_postgresql *pg, const char *channel)
{
	if (pg->store.on_news != NULL)
		pg->store.on_news(pg->store.news_arg, strcmp(channel, "gantry_adopt") == 0);
}

static void pg_listen(struct store *store)
{
	struct store_postgresql *pg = pg_of(store);

	pg->listening = true;
	if (pg->state == LINK_UP && send_request(pg, request_create(pg, REQUEST_GREET)))
		store_postgresql_flush(pg);
}

/* -- giving up ----------------------------------------------------------------------------------- */

/* Batches that may have been committed are asked about under their old names; we number anew. */
static void part_with(struct store_postgresql *pg, struct list *writes)
{
	struct store_postgresql_request *request, *next;
	bool any = false;

	list_each_safe(request, next, &pg->again, link) {
		struct store_postgresql_request *question;

		if (request->kind == REQUEST_GIVE_BACK)
			continue;
		list_splice(writes, &request->calls);
		list_remove(&request->link);
		if (request->kind == REQUEST_WRITE) {
			any = true;
			question = request_create(pg, REQUEST_GIVE_BACK);
			question->number = request->number;
			memcpy(question->client, request->client, sizeof(question->client));
			list_append(&pg->again, &question->link);
		}
		free(request);
	}
	if (!any)
		return;
	random_id(pg->client);
	pg->number = pg->recorded = 0;
}

void store_postgresql_give_up(struct store_postgresql *pg)
{
	struct error err;
	struct list calls;

	list_init(&calls);
	error_set(&err, ERROR_TEMPORARY, "store: %.200s has been away for %.0f s", pg->url.name,
		clock_monotonic_s() - pg->away_since_s);
	part_with(pg, &calls);
	list_splice(&calls, &pg->batch.waiting);
	list_splice(&calls, &pg->reads.waiting);
	fail_calls(&calls, &err);
	complete(pg, &pg->batch, &calls);
}

/* -- opening and closing ------------------------------------------------------------------------- */

static void run_batch(struct store_batch *batch)
{
	send_waiting(container_of(batch, struct store_postgresql, batch));
}

static void run_reads(struct store_batch *batch)
{
	send_waiting(container_of(batch, struct store_postgresql, reads));
}

static void pg_submit(struct store *store, struct store_call *call)
{
	struct store_postgresql *pg = pg_of(store);

	if (pg->outstanding++ == 0)
		ev_ref(store->loop);
	store_postgresql_mind(pg);
	store_batch_add(store_call_reads(call) ? &pg->reads : &pg->batch, call);
}

static void close_requests(struct store_postgresql *pg)
{
	const struct error err = { .kind = ERROR_TEMPORARY, .text = "store: closed before this was answered" };
	struct store_postgresql_request *request, *next;
	struct list calls;

	list_init(&calls);
	store_postgresql_down(pg);
	list_each_safe(request, next, &pg->again, link) {
		list_splice(&calls, &request->calls);
		list_remove(&request->link);
		free(request);
	}
	fail_calls(&calls, &err);
	list_splice(&pg->batch.finished, &calls);
}

static void pg_close(struct store *store)
{
	struct store_postgresql *pg = pg_of(store);

	if (pg->closed != NULL)
		*pg->closed = true;
	close_requests(pg);
	store_batch_finish(&pg->reads);
	store_batch_finish(&pg->batch);
	if (pg->outstanding > 0)
		ev_unref(store->loop);
	store_postgresql_link_finish(pg);
	postgresql_url_finish(&pg->url);
	store_finish_base(store);
	free(pg);
}

static const struct store_ops ops = {
	.close = pg_close,
	.submit = pg_submit,
	.listen = pg_listen,
};

static bool open_database(struct store_postgresql *pg, const struct store_options *options, struct error *err)
{
	char line[LIMIT_ERROR_TEXT_BYTES / 2];

	pg->conn = postgresql_connect(&pg->url);
	if (PQstatus(pg->conn) != CONNECTION_OK) {
		bool password = PQconnectionNeedsPassword(pg->conn) || PQconnectionUsedPassword(pg->conn);

		postgresql_message(PQerrorMessage(pg->conn), line, sizeof(line));
		error_set(err, password ? ERROR_REFUSED : ERROR_TEMPORARY, "store: %.200s: %s", pg->url.name, line);
		return false;
	}
	if (PQserverVersion(pg->conn) < OLDEST_SERVER * 10000) {
		error_set(err, ERROR_REFUSED, "store: %.200s: its server has version %d, and %d is needed", pg->url.name,
			PQserverVersion(pg->conn) / 10000, OLDEST_SERVER);
		return false;
	}
	return store_postgresql_check_schema(pg, options->migrate && !options->read_only, err);
}

struct store *store_postgresql_open(const char *url, const struct store_options *options, struct error *err)
{
	struct store_postgresql *pg = xnew(struct store_postgresql);

	store_init(&pg->store, &ops, options, "store");
	store_batch_init(&pg->batch, options->loop, run_batch);
	store_batch_init(&pg->reads, options->loop, run_reads);
	list_init(&pg->sent);
	list_init(&pg->again);
	random_id(pg->client);
	store_postgresql_link_init(pg);
	if (!postgresql_url_parse(&pg->url, &pg->store.log, url, err)) {
		error_prefix(err, "store");
	} else if (open_database(pg, options, err)) {
		store_postgresql_link_take(pg);
		return &pg->store;
	}
	pg_close(&pg->store);
	return NULL;
}
