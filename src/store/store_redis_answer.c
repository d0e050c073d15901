/* SPDX-License-Identifier: Apache-2.0 */
/* store_redis_answer.c - what run.lua answers to a call, as the outs of the call.
 *
 * An answer is a flat list of names and values; so is a row in it.  What is of another type than it must be reads
 * as absent. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "store/store_redis.h"

/* -- values -------------------------------------------------------------------------------------- */

static const redisReply *member(const redisReply *flat, const char *name)
{
	if (flat == NULL || flat->type != REDIS_REPLY_ARRAY)
		return NULL;
	for (size_t i = 0; i + 1 < flat->elements; i += 2) {
		if (flat->element[i]->type == REDIS_REPLY_STRING && strcmp(flat->element[i]->str, name) == 0)
			return flat->element[i + 1];
	}
	return NULL;
}

static const redisReply *element(const redisReply *array, size_t i)
{
	return array != NULL && array->type == REDIS_REPLY_ARRAY && i < array->elements ? array->element[i] : NULL;
}

static size_t count_of(const redisReply *array)
{
	return array != NULL && array->type == REDIS_REPLY_ARRAY ? array->elements : 0;
}

static const char *text_of(const redisReply *value)
{
	return value != NULL && value->type == REDIS_REPLY_STRING ? value->str : NULL;
}

static int64_t number_of(const redisReply *value)
{
	if (value != NULL && value->type == REDIS_REPLY_INTEGER)
		return value->integer;
	return text_of(value) != NULL ? strtoll(value->str, NULL, 10) : 0;
}

static double real_of(const redisReply *value)
{
	return text_of(value) != NULL ? strtod(value->str, NULL) : (double)number_of(value);
}

/* -- rows ---------------------------------------------------------------------------------------- */

enum field_kind { FIELD_TEXT, FIELD_NUMBER, FIELD_COUNT, FIELD_INT, FIELD_FLAG, FIELD_STATE, FIELD_POLICY };

#define FIELD(kind, name, member) { (name), FIELD_ ## kind, offsetof(struct job, member) }

/* In the order in which rows.lua names them, so that the next one is mostly the right one. */
static const struct field {
	const char *name;
	enum field_kind kind;
	size_t offset;
} fields[] = {
	FIELD(TEXT, "id", id), FIELD(TEXT, "project", project), FIELD(TEXT, "deployer", deployer),
	FIELD(TEXT, "queue", queue), FIELD(TEXT, "lock_key", lock_key), FIELD(POLICY, "policy", policy),
	FIELD(TEXT, "commit", commit), FIELD(TEXT, "ref", ref), FIELD(TEXT, "stage", stage), FIELD(STATE, "state", state),
	FIELD(TEXT, "reason", reason), FIELD(TEXT, "detail", detail), FIELD(TEXT, "message_id", message.id),
	FIELD(TEXT, "receipt", message.receipt), FIELD(TEXT, "message_group", message.group),
	FIELD(TEXT, "token", attempt.token), FIELD(TEXT, "handle", attempt.handle), FIELD(TEXT, "waits_for", waits_for),
	FIELD(TEXT, "cancelled_by", cancelled_by), FIELD(TEXT, "cancel_reason", cancel_reason), FIELD(TEXT, "owner", owner),
	FIELD(INT, "priority", priority), FIELD(NUMBER, "not_before_ms", not_before_ms), FIELD(INT, "exit_code", exit_code),
	FIELD(NUMBER, "seq", seq), FIELD(NUMBER, "accepted_ms", accepted_ms), FIELD(NUMBER, "finished_ms", finished_ms),
	FIELD(NUMBER, "hidden_until_ms", message.hidden_until_ms), FIELD(NUMBER, "received_ms", message.received_ms),
	FIELD(COUNT, "deliveries", message.deliveries), FIELD(FLAG, "settled", message.settled),
	FIELD(COUNT, "attempt", attempt.number), FIELD(COUNT, "step", attempt.step),
	FIELD(NUMBER, "intended_ms", attempt.intended_ms), FIELD(NUMBER, "started_ms", attempt.started_ms),
	FIELD(NUMBER, "timeout_ms", attempt.timeout_ms), FIELD(COUNT, "failures", failures), FIELD(COUNT, "losses", losses),
	FIELD(NUMBER, "next_try_ms", next_try_ms), FIELD(NUMBER, "fence", fence), FIELD(NUMBER, "grant", grant),
	FIELD(TEXT, "body", body), FIELD(TEXT, "request", attempt.request),
};
enum { FIELDS = sizeof(fields) / sizeof(fields[0]) };

/* NULL: the row has more than a job shows. */
static const struct field *find_field(const char *name, size_t *last)
{
	for (size_t i = 1; i <= FIELDS; i++) {
		const struct field *field = &fields[(*last + i) % FIELDS];

		if (strcmp(field->name, name) != 0)
			continue;
		*last = (size_t)(field - fields);
		return field;
	}
	return NULL;
}

static void set_field(struct job *job, const struct field *field, const redisReply *value)
{
	void *at = (char *)job + field->offset;
	const char *word = text_of(value) != NULL ? text_of(value) : "";

	switch (field->kind) {
	case FIELD_TEXT: xreplace(at, text_of(value)); break;
	case FIELD_NUMBER: *(int64_t *)at = number_of(value); break;
	case FIELD_COUNT: *(unsigned *)at = (unsigned)number_of(value); break;
	case FIELD_INT: *(int *)at = (int)number_of(value); break;
	case FIELD_FLAG: *(bool *)at = number_of(value) != 0; break;
	case FIELD_STATE: job_state_parse(word, at); break;
	case FIELD_POLICY: lock_policy_parse(word, at); break;
	}
}

static struct job *take_job(const redisReply *row)
{
	struct job *job = job_create();
	size_t last = FIELDS - 1;

	for (size_t i = 0; i + 1 < count_of(row); i += 2) {
		const char *name = text_of(row->element[i]);
		const struct field *field = name != NULL ? find_field(name, &last) : NULL;

		if (field != NULL)
			set_field(job, field, row->element[i + 1]);
	}
	return job;
}

/* -- outs ---------------------------------------------------------------------------------------- */

static void take_admitted(struct store_call *call, const redisReply *admitted)
{
	static const char *const verdicts[] = {
		[STORE_ADMITTED_NEW] = "new", [STORE_ADMITTED_OURS] = "ours", [STORE_ADMITTED_OTHERS] = "others",
		[STORE_ADMITTED_FINISHED] = "finished", [STORE_ADMITTED_REJECTED] = "rejected",
	};

	if (count_of(admitted) != call->batch_count) {
		store_call_fail(call, ERROR_REFUSED, "store: the script answered another number of jobs than it was given");
		return;
	}
	call->admitted = xcalloc(call->batch_count, sizeof(*call->admitted));
	for (size_t i = 0; i < call->batch_count; i++) {
		const char *verdict = text_of(element(admitted->element[i], 0));

		call->admitted[i].job = take_job(element(admitted->element[i], 1));
		for (size_t v = 0; verdict != NULL && v < sizeof(verdicts) / sizeof(verdicts[0]); v++) {
			if (strcmp(verdicts[v], verdict) == 0)
				call->admitted[i].verdict = (enum store_admitted)v;
		}
	}
}

static void take_grants(struct store_call *call, const redisReply *grants)
{
	for (size_t i = 0; i < count_of(grants); i++) {
		const struct job job = {
			.id = (char *)text_of(element(grants->element[i], 0)),
			.owner = (char *)text_of(element(grants->element[i], 1)),
		};

		store_call_add_grant(call, &job);
	}
}

static void take_asked(struct store_call *call, const redisReply *answer)
{
	static const char *const verdicts[] = {
		[STORE_ASKED_DONE] = "done", [STORE_ASKED_BEGUN] = "begun", [STORE_ASKED_REFUSED] = "refused",
		[STORE_ASKED_UNKNOWN] = "unknown",
	};
	struct job job = { .id = (char *)text_of(element(answer, 1)), .owner = (char *)text_of(element(answer, 2)) };
	const char *verdict = text_of(element(answer, 0)), *state = text_of(element(answer, 3));

	if (state != NULL)
		job_state_parse(state, &job.state);
	for (size_t v = 0; verdict != NULL && v < sizeof(verdicts) / sizeof(verdicts[0]); v++) {
		if (strcmp(verdicts[v], verdict) == 0)
			store_call_answer(call, (enum store_asked)v, job.id != NULL ? &job : NULL);
	}
}

static void take_deliveries(struct store_call *call, const redisReply *deliveries)
{
	for (size_t i = 0; i < count_of(deliveries); i++) {
		const redisReply *row = deliveries->element[i];
		const struct store_delivery delivery = {
			.id = number_of(member(row, "id")),
			.sink = text_of(member(row, "sink")),
			.event = text_of(member(row, "event")),
			.job_id = text_of(member(row, "job_id")),
			.payload = text_of(member(row, "payload")),
			.created_ms = number_of(member(row, "created_ms")),
			.next_try_ms = number_of(member(row, "next_try_ms")),
			.tries = (unsigned)number_of(member(row, "tries")),
			.error = text_of(member(row, "error")),
			.dead = number_of(member(row, "dead")) != 0,
		};

		store_call_add_claimed(call, &delivery);
	}
}

static void take_attempts(struct store_call *call, const redisReply *attempts)
{
	for (size_t i = 0; i < count_of(attempts); i++) {
		const redisReply *row = attempts->element[i];
		const struct store_attempt attempt = {
			.number = (unsigned)number_of(member(row, "number")),
			.step = (unsigned)number_of(member(row, "step")),
			.handle = (char *)text_of(member(row, "handle")),
			.intended_ms = number_of(member(row, "intended_ms")),
			.started_ms = number_of(member(row, "started_ms")),
			.ended_ms = number_of(member(row, "ended_ms")),
			.exit_code = (int)number_of(member(row, "exit_code")),
			.reason = (char *)text_of(member(row, "reason")),
		};

		store_call_add_attempt(call, &attempt);
	}
}

static void take_locks(struct store_call *call, const redisReply *locks)
{
	for (size_t i = 0; i < count_of(locks); i++) {
		const redisReply *row = locks->element[i];
		const struct store_lock lock = {
			.key = (char *)text_of(element(row, 0)),
			.holder = (char *)text_of(element(row, 1)),
			.project = (char *)text_of(element(row, 2)),
			.grant = number_of(element(row, 3)),
			.since_ms = number_of(element(row, 4)),
			.waiting = (size_t)number_of(element(row, 5)),
		};

		store_call_add_lock(call, &lock);
	}
}

static void take_why(struct store_call *call, const redisReply *why)
{
	if (why == NULL)
		return;
	call->why = xnew(struct store_why);
	call->why->job = take_job(element(why, 0));
	call->why->holder = xstrdup(text_of(element(why, 1)));
	call->why->holder_project = xstrdup(text_of(element(why, 2)));
	call->why->holder_since_ms = number_of(element(why, 3));
	call->why->ahead = (size_t)number_of(element(why, 4));
	call->why->group_head = xstrdup(text_of(element(why, 5)));
	call->why->group_ahead = (size_t)number_of(element(why, 6));
}

/* A refusal of the rules; "damaged" is a row that the script could not make sense of. */
static bool take_error(struct store_call *call, const redisReply *refusal)
{
	static const struct { const char *name; enum error_kind kind; } kinds[] = {
		{ "lost", ERROR_LOST }, { "invalid", ERROR_INVALID }, { "refused", ERROR_REFUSED },
	};
	const char *kind = text_of(element(refusal, 0)), *text = text_of(element(refusal, 1));

	if (kind == NULL)
		return false;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (strcmp(kinds[i].name, kind) == 0) {
			error_set(store_call_error(call), kinds[i].kind, "%s", text != NULL ? text : kind);
			if (text_of(element(refusal, 2)) != NULL)
				error_set_code(store_call_error(call), text_of(element(refusal, 2)));
			return false;
		}
	}
	store_call_fail(call, ERROR_REFUSED, text != NULL ? text : kind);
	return true;
}

/* How many wait for a key stands with each key only, and is not known of all. */
static void take_totals(struct store_call *call, const redisReply *totals)
{
	if (count_of(totals) != 4)
		return;
	call->totals->held_locks = number_of(totals->element[0]);
	call->totals->open_deliveries = number_of(totals->element[1]);
	call->totals->dead_deliveries = number_of(totals->element[2]);
	call->totals->oldest_waiting_ms = number_of(totals->element[3]);
}

static void take_reads(struct store_call *call, const redisReply *answer)
{
	const redisReply *counts = member(answer, "counts");

	for (size_t i = 0; i < count_of(counts) && i < JOB_STATES; i++)
		call->totals->jobs[i] = (uint64_t)number_of(counts->element[i]);
	take_totals(call, member(answer, "totals"));
	take_attempts(call, member(answer, "attempts"));
	take_locks(call, member(answer, "locks"));
	take_why(call, member(answer, "why"));
}

void store_redis_take_answer(struct store *store, struct store_call *call, const redisReply *answer)
{
	const redisReply *jobs = member(answer, "jobs"), *rate = member(answer, "rate");

	if (take_error(call, member(answer, "err")))
		return;
	if (call->kind == CALL_ADMIT && call->err == NULL)
		take_admitted(call, member(answer, "admitted"));
	for (size_t i = 0; i < count_of(jobs); i++)
		store_call_add_job(call, take_job(jobs->element[i]));
	take_grants(call, member(answer, "grants"));
	if (member(answer, "answer") != NULL)
		take_asked(call, member(answer, "answer"));
	take_deliveries(call, member(answer, "deliveries"));
	take_reads(call, answer);
	call->went = (size_t)number_of(member(answer, "went"));
	call->next_due_ms = number_of(member(answer, "next_due_ms"));
	call->rate = (struct store_rate_given){ .tokens = (unsigned)number_of(element(rate, 0)),
		.wait_s = real_of(element(rate, 1)), .per_s = real_of(element(rate, 2)) };
	if (call->kind == CALL_PRUNE) {
		store->pruned_ms = number_of(member(answer, "pruned_ms"));
		store->pruned_seq = number_of(member(answer, "pruned_seq"));
	}
}
