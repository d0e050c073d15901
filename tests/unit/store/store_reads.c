/* SPDX-License-Identifier: Apache-2.0 */
/* store_reads.c - see store_reads.h. */
#include "store_reads.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "store/store_impl.h"
#include "../cmocka_all.h"

struct answer {
	struct ev_loop *loop;           /* runs until the answer, and no longer */
	bool done;
	struct error err;               /* kind ERROR_NONE: success */
	struct job **jobs;
	size_t count;
	uint64_t *counts;
	struct store_totals *totals;
	char *text;
	size_t room;
	read_why_fn *why;
	void *arg;
};

static void answered(struct answer *answer, const struct error *err)
{
	assert_false(answer->done);
	answer->done = true;
	ev_break(answer->loop, EVBREAK_ONE);
	if (err != NULL)
		answer->err = *err;
}

static void await(struct store *store, struct answer *answer)
{
	/* Never from inside the call. */
	assert_false(answer->done);
	answer->loop = store->loop;
	while (!answer->done)
		ev_run(store->loop, 0);
}

static void want_answer(struct store *store, struct answer *answer)
{
	await(store, answer);
	if (answer->err.kind != ERROR_NONE)
		fail_msg("%s", answer->err.text);
}

static void append(struct answer *answer, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void append(struct answer *answer, const char *fmt, ...)
{
	size_t used = strlen(answer->text);
	va_list args;

	va_start(args, fmt);
	vsnprintf(answer->text + used, answer->room - used, fmt, args);
	va_end(args);
}

/* -- jobs -------------------------------------------------------------------------------------- */

static void keep(struct answer *answer, const struct job *const *jobs, size_t count)
{
	answer->jobs = xcalloc(count + 1, sizeof(*answer->jobs));
	answer->count = count;
	for (size_t i = 0; i < count; i++)
		answer->jobs[i] = job_copy(jobs[i]);
}

static void on_listed(void *arg, const struct job *const *jobs, size_t count, const struct error *err)
{
	answered(arg, err);
	keep(arg, jobs, count);
}

static void on_found(void *arg, const struct job *job, const struct error *err)
{
	answered(arg, err);
	keep(arg, &job, job != NULL);
}

struct job *read_job(struct store *store, const char *id)
{
	struct answer answer = { 0 };
	struct job *job;

	store_find(store, id, on_found, &answer);
	want_answer(store, &answer);
	job = answer.jobs[0];
	free(answer.jobs);
	return job;
}

enum error_kind read_job_error(struct store *store, const char *id)
{
	struct answer answer = { 0 };

	store_find(store, id, on_found, &answer);
	await(store, &answer);
	read_jobs_free(answer.jobs, answer.count);
	return answer.err.kind;
}

void read_jobs_free(struct job **jobs, size_t count)
{
	for (size_t i = 0; i < count; i++)
		job_destroy(jobs[i]);
	free(jobs);
}

void read_jobs(struct store *store, const struct store_filter *filter, struct job ***jobs, size_t *count)
{
	struct answer answer = { 0 };

	store_list(store, filter, on_listed, &answer);
	want_answer(store, &answer);
	*jobs = answer.jobs;
	*count = answer.count;
}

/* -- counts ------------------------------------------------------------------------------------ */

static void on_states(void *arg, const uint64_t *counts, const struct error *err)
{
	struct answer *answer = arg;

	answered(answer, err);
	if (err == NULL)
		memcpy(answer->counts, counts, JOB_STATES * sizeof(*counts));
}

void read_counts(struct store *store, uint64_t counts[JOB_STATES])
{
	struct answer answer = { .counts = counts };

	store_count(store, on_states, &answer);
	want_answer(store, &answer);
}

static void on_totals(void *arg, const struct store_totals *totals, const struct error *err)
{
	struct answer *answer = arg;

	answered(answer, err);
	if (err == NULL)
		*answer->totals = *totals;
}

void read_totals(struct store *store, struct store_totals *totals)
{
	struct answer answer = { .totals = totals };

	store_totals(store, on_totals, &answer);
	want_answer(store, &answer);
}

static void on_count(void *arg, size_t count, const struct error *err)
{
	answered(arg, err);
	((struct answer *)arg)->count = count;
}

unsigned read_crashes(struct store *store, const char *key)
{
	struct answer answer = { 0 };

	store_crashes(store, key, on_count, &answer);
	want_answer(store, &answer);
	return (unsigned)answer.count;
}

/* -- what is described ------------------------------------------------------------------------- */

static struct answer describing(char *text, size_t room)
{
	text[0] = '\0';
	return (struct answer){ .text = text, .room = room };
}

static void on_locks(void *arg, const struct store_lock *locks, size_t count, const struct error *err)
{
	answered(arg, err);
	for (size_t i = 0; i < count; i++) {
		assert_true(locks[i].since_ms > 0);
		append(arg, "%s:%s:%s:%lld:%zu ", locks[i].key, locks[i].holder, locks[i].project != NULL ? locks[i].project : "-",
			(long long)locks[i].grant, locks[i].waiting);
	}
}

void read_locks(struct store *store, const char *after, size_t max, char *text, size_t room)
{
	struct answer answer = describing(text, room);

	store_locks(store, after, max, on_locks, &answer);
	want_answer(store, &answer);
}

static void on_deliveries(void *arg, const struct store_delivery *deliveries, size_t count, int64_t next_due_ms,
	const struct error *err)
{
	(void)next_due_ms;
	answered(arg, err);
	for (size_t i = 0; i < count; i++)
		append(arg, "%s:%u%s%s ", deliveries[i].event, deliveries[i].tries,
			deliveries[i].dead ? ":dead" : deliveries[i].next_try_ms > 0 ? ":open" : "",
			deliveries[i].error != NULL ? ":failed" : "");
}

void read_deliveries(struct store *store, const struct store_delivery_filter *filter, char *text, size_t room)
{
	struct answer answer = describing(text, room);

	store_deliveries(store, filter, on_deliveries, &answer);
	want_answer(store, &answer);
}

static void on_attempts(void *arg, const struct store_attempt *attempts, size_t count, const struct error *err)
{
	answered(arg, err);
	for (size_t i = 0; i < count; i++) {
		append(arg, "%u/%u:%s:%s:%d%s ", attempts[i].number, attempts[i].step,
			attempts[i].handle != NULL ? attempts[i].handle : "-", attempts[i].reason != NULL ? attempts[i].reason : "-",
			attempts[i].exit_code, attempts[i].ended_ms == 0 ? ":open" : "");
	}
}

void read_attempts(struct store *store, const char *id, char *text, size_t room)
{
	struct answer answer = describing(text, room);

	store_attempts(store, id, on_attempts, &answer);
	want_answer(store, &answer);
}

static void on_why(void *arg, const struct store_why *why, const struct error *err)
{
	struct answer *answer = arg;

	answered(answer, err);
	if (err == NULL)
		answer->why(answer->arg, why);
}

void read_why(struct store *store, const char *id, read_why_fn *fn, void *arg)
{
	struct answer answer = { .why = fn, .arg = arg };

	store_why(store, id, on_why, &answer);
	want_answer(store, &answer);
}
