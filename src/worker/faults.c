/* SPDX-License-Identifier: Apache-2.0 */
/* faults.c - system errors: recorded in the store, then published to every sink as one JSON object.
 *
 * Nothing waits for a sink.  A fault that could not be published stays in the store, claimed for a
 * while and then anyone's, so one that was recorded is told at least once. */
#include "worker/faults.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/backoff.h"
#include "base/clock.h"
#include "base/json_at.h"
#include "base/mem.h"
#include "base/random.h"
#include "notify/notify.h"

enum { PUBLISH_BATCH = 50, PUBLISH_RETRY_MAX_S = 60, RECORD_RETRY_MAX_S = 10 };

struct sink {
	struct faults *faults;
	struct notify *notify;
};

/* A batch on its way to the sinks. */
struct publication {
	int64_t ids[PUBLISH_BATCH];
	char *texts[PUBLISH_BATCH];
	size_t count, next;             /* next text to send */
	unsigned outstanding;           /* sinks that have not answered for the current text */
	bool failed;
};

struct faults {
	struct worker *worker;
	struct log log;
	struct sink *sinks;
	size_t sink_count;
	ev_timer retry;
	unsigned failures;
	bool busy;                      /* claiming or sending */
	bool again;                     /* more was recorded meanwhile */
	struct publication publication;
	struct list records;            /* struct record */
};

/* A fault on its way into the store. */
struct record {
	struct list link;
	struct faults *faults;
	struct store_fault fault;       /* texts are ours */
	char *dedup_key;
	unsigned failures;
	ev_timer retry;
	faults_done_fn *done;
	void *arg;
};

static void send_next(struct faults *faults);

/* -- recording -------------------------------------------------------------------------------- */

static void record_destroy(struct record *record)
{
	ev_timer_stop(record->faults->worker->loop, &record->retry);
	list_remove(&record->link);
	free((char *)record->fault.kind);
	free((char *)record->fault.job_id);
	free((char *)record->fault.project);
	free((char *)record->fault.queue);
	free((char *)record->fault.text);
	free((char *)record->fault.body);
	free(record->dedup_key);
	free(record);
}

static void on_recorded(void *arg, const struct error *err)
{
	struct record *record = arg;
	struct faults *faults = record->faults;
	faults_done_fn *done = record->done;
	void *done_arg = record->arg;

	if (err != NULL) {
		if (record->failures == 0)
			log_error(&faults->log, "%s: not recorded: %s; trying until it is", record->fault.kind, err->text);
		ev_timer_set(&record->retry, backoff_s(++record->failures, 0.2, RECORD_RETRY_MAX_S, random_unit()), 0.);
		ev_timer_start(faults->worker->loop, &record->retry);
		return;
	}
	record_destroy(record);
	faults_publish(faults);
	if (done != NULL)
		done(done_arg);
}

static void record_store(struct record *record)
{
	store_add_fault(record->faults->worker->store, &record->fault, record->dedup_key, on_recorded, record);
}

static void on_record_retry(struct ev_loop *loop, ev_timer *timer, int revents)
{
	(void)loop;
	(void)revents;
	record_store(container_of(timer, struct record, retry));
}

void faults_record(struct faults *faults, const struct store_fault *fault, const char *dedup_key,
	faults_done_fn *done, void *arg)
{
	struct record *record = xnew(struct record);

	record->faults = faults;
	record->fault = (struct store_fault){
		.at_ms = clock_steady_ms(),
		.kind = xstrdup(fault->kind),
		.job_id = xstrdup(fault->job_id),
		.project = xstrdup(fault->project),
		.queue = xstrdup(fault->queue),
		.text = xstrdup(fault->text),
		.body = xstrdup(fault->body),
	};
	record->dedup_key = xstrdup(dedup_key);
	record->done = done;
	record->arg = arg;
	ev_init(&record->retry, on_record_retry);
	list_append(&faults->records, &record->link);
	record_store(record);
}

/* -- publishing ------------------------------------------------------------------------------- */

static char *compose(const struct store_fault *fault)
{
	char stamp[CLOCK_STAMP_BYTES];
	char host[256] = "";
	json_t *doc = json_object();
	char *text;

	clock_stamp(clock_steady_to_wall(fault->at_ms), stamp);
	gethostname(host, sizeof(host) - 1);
	json_object_set_new(doc, "id", json_integer(fault->id));
	json_object_set_new(doc, "time", json_at_text(stamp));
	json_object_set_new(doc, "kind", json_at_text(fault->kind));
	json_object_set_new(doc, "error", json_at_text(fault->text));
	json_object_set_new(doc, "host", json_at_text(host));
	if (fault->job_id != NULL)
		json_object_set_new(doc, "job", json_at_text(fault->job_id));
	if (fault->project != NULL)
		json_object_set_new(doc, "project", json_at_text(fault->project));
	if (fault->queue != NULL)
		json_object_set_new(doc, "queue", json_at_text(fault->queue));
	if (fault->body != NULL)
		json_object_set_new(doc, "body", json_at_text(fault->body));
	text = json_at_dump(doc);
	json_decref(doc);
	return text;
}

static void publication_clear(struct publication *publication)
{
	for (size_t i = 0; i < publication->count; i++)
		free(publication->texts[i]);
	*publication = (struct publication){ 0 };
}

/* What was claimed stays ours and is tried again from where it failed: letting go of it would leave it
 * claimed, and so unpublished, for as long as a claim lasts. */
static void retry_later(struct faults *faults)
{
	ev_timer_stop(faults->worker->loop, &faults->retry);
	ev_timer_set(&faults->retry, backoff_s(++faults->failures, 1, PUBLISH_RETRY_MAX_S, random_unit()), 0.);
	ev_timer_start(faults->worker->loop, &faults->retry);
}

static void on_marked(void *arg, const struct error *err)
{
	struct faults *faults = arg;
	bool full = faults->publication.count == PUBLISH_BATCH;

	if (err != NULL) {
		retry_later(faults);
		return;
	}
	publication_clear(&faults->publication);
	faults->busy = false;
	faults->failures = 0;
	if (full || faults->again)
		faults_publish(faults);
}

static void on_sent(void *arg, const struct error *err)
{
	struct sink *sink = arg;
	struct faults *faults = sink->faults;
	struct publication *publication = &faults->publication;

	if (err != NULL) {
		if (faults->failures == 0)
			log_warn(&faults->log, "%s: errors are not published: %s; they stay in the store until they are",
				notify_name(sink->notify), err->text);
		publication->failed = true;
	}
	if (--publication->outstanding > 0)
		return;
	if (publication->failed) {
		publication->next--;
		retry_later(faults);
	} else {
		send_next(faults);
	}
}

static void send_next(struct faults *faults)
{
	struct publication *publication = &faults->publication;
	const char *text;

	if (publication->next == publication->count) {
		store_faults_published(faults->worker->store, publication->ids, publication->count, on_marked, faults);
		return;
	}
	text = publication->texts[publication->next++];
	publication->failed = false;
	publication->outstanding = (unsigned)faults->sink_count;
	for (size_t i = 0; i < faults->sink_count; i++)
		notify_send(faults->sinks[i].notify, text, on_sent, &faults->sinks[i]);
}

static void on_claimed(void *arg, const struct store_fault *claimed, size_t count, const struct error *err)
{
	struct faults *faults = arg;
	struct publication *publication = &faults->publication;

	if (err != NULL) {
		retry_later(faults);
		return;
	}
	if (count == 0) {
		faults->busy = false;
		if (faults->again)
			faults_publish(faults);
		return;
	}
	for (size_t i = 0; i < count; i++) {
		publication->ids[i] = claimed[i].id;
		publication->texts[i] = compose(&claimed[i]);
	}
	publication->count = count;
	send_next(faults);
}

static void claim(struct faults *faults)
{
	store_claim_faults(faults->worker->store, PUBLISH_BATCH, on_claimed, faults);
}

void faults_publish(struct faults *faults)
{
	faults->again = faults->busy;
	if (faults->busy || faults->sink_count == 0)
		return;
	faults->busy = true;
	claim(faults);
}

static void on_retry(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct faults *faults = container_of(timer, struct faults, retry);

	(void)loop;
	(void)revents;
	if (faults->publication.count > 0)
		send_next(faults);
	else
		claim(faults);
}

/* -- lifetime --------------------------------------------------------------------------------- */

struct faults *faults_create(struct worker *worker, struct error *err)
{
	struct faults *faults = xnew(struct faults);
	const struct conf *conf = worker->conf;
	struct notify_env env = { .loop = worker->loop, .log = &faults->log };

	faults->worker = worker;
	log_init(&faults->log, &worker->log, "errors");
	list_init(&faults->records);
	ev_init(&faults->retry, on_retry);
	faults->sinks = xcalloc(conf->error_count > 0 ? conf->error_count : 1, sizeof(*faults->sinks));
	for (size_t i = 0; i < conf->error_count; i++) {
		faults->sinks[i] = (struct sink){ .faults = faults, .notify = notify_create(&conf->errors[i], &env, err) };
		if (faults->sinks[i].notify == NULL) {
			error_prefix(err, "errors[%zu]", i);
			faults_destroy(faults);
			return NULL;
		}
		faults->sink_count++;
	}
	return faults;
}

void faults_destroy(struct faults *faults)
{
	struct record *record, *next;

	if (faults == NULL)
		return;
	list_each_safe(record, next, &faults->records, link)
		record_destroy(record);
	for (size_t i = 0; i < faults->sink_count; i++)
		notify_destroy(faults->sinks[i].notify);
	ev_timer_stop(faults->worker->loop, &faults->retry);
	publication_clear(&faults->publication);
	free(faults->sinks);
	free(faults);
}
