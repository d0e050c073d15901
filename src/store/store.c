/* SPDX-License-Identifier: Apache-2.0 */
/* store.c - see store.h.  Finds the adapter of a URL and turns each call into a struct store_call. */
#include "store/store.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "config.h"
#include "store/store_impl.h"

static const struct adapter {
	const char *scheme;
	struct store *(*open)(const char *rest, const struct store_options *options, struct error *err);
	bool whole;                     /* open() takes the URL with its scheme */
} adapters[] = {
	{ "sqlite:", store_sqlite_open, false },
	{ "memory:", store_memory_open, false },
	{ "redis:", store_redis_open, true },
	{ "rediss:", store_redis_open, true },
	{ "redis+sentinel:", store_redis_open, true },
	{ "unix:", store_redis_open, true },
	{ "postgresql:", store_postgresql_open, true },
	{ "postgres:", store_postgresql_open, true },
};

#ifndef WITH_POSTGRESQL
struct store *store_postgresql_open(const char *url, const struct store_options *options, struct error *err)
{
	(void)url;
	(void)options;
	error_set(err, ERROR_INVALID, "store: this gantry was built without PostgreSQL");
	return NULL;
}
#endif

struct store *store_open(const char *url, const struct store_options *options, struct error *err)
{
	for (size_t i = 0; i < sizeof(adapters) / sizeof(adapters[0]); i++) {
		size_t len = strlen(adapters[i].scheme);

		if (strncmp(url, adapters[i].scheme, len) == 0)
			return adapters[i].open(adapters[i].whole ? url : url + len, options, err);
	}
	/* Only the scheme is shown: behind it there may be a password. */
	error_set(err, ERROR_INVALID, "store: expected sqlite:///PATH, redis://HOST or postgresql://HOST/DATABASE, found \"%.*s\"",
		(int)strcspn(url, ":"), url);
	return NULL;
}

void store_init(struct store *store, const struct store_ops *ops, const struct store_options *options,
	const char *name)
{
	store->ops = ops;
	store->loop = options->loop;
	store->owner = xstrdup(options->owner);
	store->place = xstrdup(options->place != NULL ? options->place : "");
	store->lease_ms = options->lease_ms;
	store->read_only = options->read_only;
	log_init(&store->log, options->log, "%s", name);
}

void store_finish_base(struct store *store)
{
	free(store->owner);
	free(store->place);
}

void store_committed(struct store *store, const struct store_call *call)
{
	bool lost = call->err != NULL && call->err->kind == ERROR_LOST;

	store->figures.writes++;
	switch (call->kind) {
	case CALL_RENEW:
		/* Once it has been told, the next renewal registers anew. */
		store->registered = !lost;
		break;
	case CALL_ADMIT:
	case CALL_ADOPT:
		store->registered = store->registered || !lost;
		break;
	case CALL_DISOWN:
		if (strcmp(call->owner, store->owner) == 0)
			store->registered = false;
		break;
	default:
		break;
	}
}

void store_note_stall(struct store *store, double took_s)
{
	if (took_s > store->figures.longest_commit_s)
		store->figures.longest_commit_s = took_s;
}

void store_close(struct store *store)
{
	if (store != NULL)
		store->ops->close(store);
}

void store_submit(struct store *store, struct store_call *call)
{
	if (!store_call_reads(call) && (store->read_only || store->owner == NULL))
		panic("store: call %d on a store that was opened for reading", (int)call->kind);
	store->ops->submit(store, call);
}

static void submit_plain(struct store *store, struct store_call *call, store_done_fn *done)
{
	call->done.plain = done;
	store_submit(store, call);
}

void store_renew(struct store *store, store_done_fn *done, void *arg)
{
	submit_plain(store, store_call_create(CALL_RENEW, arg), done);
}

void store_disown(struct store *store, const char *owner, store_count_fn *done, void *arg)
{
	struct store_call *call = store_call_create(CALL_DISOWN, arg);

	call->done.count = done;
	call->owner = xstrdup(owner);
	store_submit(store, call);
}

void store_adopt(struct store *store, size_t max, store_jobs_fn *done, void *arg)
{
	struct store_call *call = store_call_create(CALL_ADOPT, arg);

	call->done.jobs = done;
	call->max = max;
	store_submit(store, call);
}

void store_admit(struct store *store, struct store_admission *batch, size_t count, store_done_fn *done, void *arg)
{
	struct store_call *call = store_call_create(CALL_ADMIT, arg);

	call->batch = batch;
	call->batch_count = count;
	submit_plain(store, call, done);
}

/* Only what the writes below need: bodies may be large. */
static struct job *copy_for_write(const struct job *job)
{
	struct job *copy = job_create();

	copy->id = xstrdup(job->id);
	copy->seq = job->seq;
	copy->fence = job->fence;
	copy->not_before_ms = job->not_before_ms;
	copy->exit_code = job->exit_code;
	copy->failures = job->failures;
	copy->losses = job->losses;
	copy->attempt = job->attempt;
	copy->attempt.token = xstrdup(job->attempt.token);
	copy->attempt.request = NULL;
	copy->attempt.handle = xstrdup(job->attempt.handle);
	return copy;
}

static struct store_call *call_about(enum store_call_kind kind, const struct job *job, void *arg)
{
	struct store_call *call = store_call_create(kind, arg);

	call->given = xcalloc(1, sizeof(*call->given));
	call->given[0] = copy_for_write(job);
	call->given_count = 1;
	return call;
}

void store_intend(struct store *store, const struct job *job, store_done_fn *done, void *arg)
{
	struct store_call *call = call_about(CALL_INTEND, job, arg);

	call->given[0]->attempt.request = xstrdup(job->attempt.request);
	submit_plain(store, call, done);
}

void store_started(struct store *store, const struct job *job, store_done_fn *done, void *arg)
{
	submit_plain(store, call_about(CALL_STARTED, job, arg), done);
}

void store_retry(struct store *store, const struct job *job, store_done_fn *done, void *arg)
{
	struct store_call *call = call_about(CALL_RETRY, job, arg);

	/* Why the attempt ended, for its record. */
	call->given[0]->reason = xstrdup(job->reason);
	submit_plain(store, call, done);
}

void store_note_wait(struct store *store, const struct job *job, store_done_fn *done, void *arg)
{
	struct store_call *call = call_about(CALL_NOTE_WAIT, job, arg);

	call->given[0]->waits_for = xstrdup(job->waits_for);
	call->given[0]->next_try_ms = job->next_try_ms;
	submit_plain(store, call, done);
}

void store_finish(struct store *store, const struct job *job, const struct job_result *result,
	store_finish_fn *done, void *arg)
{
	struct store_call *call = call_about(CALL_FINISH, job, arg);
	struct job *given;

	if (!job_state_final(result->state))
		panic("store: job %s cannot finish as %s", job->id, job_state_name(result->state));
	given = call->given[0];
	given->policy = job->policy;
	given->grant = job->grant;
	given->lock_key = xstrdup(job->lock_key);
	given->message.settled = job->message.settled;
	given->state = result->state;
	given->reason = result->reason[0] != '\0' ? xstrdup(result->reason) : NULL;
	given->detail = result->detail[0] != '\0' ? xstrdup(result->detail) : NULL;
	given->exit_code = result->exit_code;
	call->done.finish = done;
	store_submit(store, call);
}

void store_note_messages(struct store *store, const struct job *const *jobs, size_t count,
	store_done_fn *done, void *arg)
{
	struct store_call *call = store_call_create(CALL_NOTE, arg);

	call->given = xcalloc(count, sizeof(*call->given));
	call->given_count = count;
	for (size_t i = 0; i < count; i++) {
		struct job *copy = job_create();

		copy->id = xstrdup(jobs[i]->id);
		copy->seq = jobs[i]->seq;
		copy->fence = jobs[i]->fence;
		copy->message = jobs[i]->message;
		copy->message.id = xstrdup(jobs[i]->message.id);
		copy->message.receipt = xstrdup(jobs[i]->message.receipt);
		copy->message.group = NULL;
		call->given[i] = copy;
	}
	submit_plain(store, call, done);
}

void store_sweep(struct store *store, store_sweep_fn *done, void *arg)
{
	struct store_call *call = store_call_create(CALL_SWEEP, arg);

	call->done.sweep = done;
	store_submit(store, call);
}

void store_on_news(struct store *store, store_news_fn *fn, void *arg)
{
	store->on_news = fn;
	store->news_arg = arg;
	if (store->ops->listen != NULL)
		store->ops->listen(store);
}

void store_rest(struct store *store)
{
	if (store->ops->rest != NULL)
		store->ops->rest(store);
}

void store_figures(const struct store *store, struct store_figures *figures)
{
	*figures = store->figures;
}
