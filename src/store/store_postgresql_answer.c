/* SPDX-License-Identifier: Apache-2.0 */
/* store_postgresql_answer.c - JSON, as postgresql/ answers, to what a call is to tell. */
#include <stdlib.h>
#include <string.h>

#include "base/json_at.h"
#include "base/mem.h"
#include "store/store_postgresql.h"

static const char *text_of(const json_t *object, const char *member)
{
	return json_string_value(json_object_get(object, member));
}

static char *text_copy(const json_t *object, const char *member)
{
	return xstrdup(text_of(object, member));
}

static int64_t integer_of(const json_t *object, const char *member)
{
	return json_integer_value(json_object_get(object, member));
}

static bool bool_of(const json_t *object, const char *member)
{
	return json_is_true(json_object_get(object, member));
}

/* -- jobs ---------------------------------------------------------------------------------------- */

static void read_message(const json_t *from, struct job_message_ref *message)
{
	message->id = text_copy(from, "message_id");
	message->receipt = text_copy(from, "receipt");
	message->group = text_copy(from, "message_group");
	message->hidden_until_ms = integer_of(from, "hidden_until_ms");
	message->received_ms = integer_of(from, "received_ms");
	message->deliveries = (unsigned)integer_of(from, "deliveries");
	message->settled = bool_of(from, "settled");
}

static void read_attempt(const json_t *from, struct job_attempt *attempt)
{
	attempt->number = (unsigned)integer_of(from, "attempt");
	attempt->step = (unsigned)integer_of(from, "step");
	attempt->token = text_copy(from, "token");
	attempt->request = text_copy(from, "request");
	attempt->handle = text_copy(from, "handle");
	attempt->intended_ms = integer_of(from, "intended_ms");
	attempt->started_ms = integer_of(from, "started_ms");
	attempt->timeout_ms = integer_of(from, "timeout_ms");
}

static void read_texts(const json_t *from, struct job *job)
{
	job->id = text_copy(from, "id");
	job->project = text_copy(from, "project");
	job->deployer = text_copy(from, "deployer");
	job->queue = text_copy(from, "queue");
	job->lock_key = text_copy(from, "lock_key");
	job->commit = text_copy(from, "commit_hash");
	job->ref = text_copy(from, "ref");
	job->stage = text_copy(from, "stage");
	job->body = text_copy(from, "body");
	job->reason = text_copy(from, "reason");
	job->detail = text_copy(from, "detail");
	job->waits_for = text_copy(from, "waits_for");
	job->cancelled_by = text_copy(from, "cancelled_by");
	job->cancel_reason = text_copy(from, "cancel_reason");
	job->owner = text_copy(from, "owner");
}

static struct job *read_job(const json_t *from)
{
	struct job *job = job_create();
	const char *state = text_of(from, "state"), *policy = text_of(from, "policy");

	/* The table lets in no others. */
	if (state == NULL || !job_state_parse(state, &job->state) || policy == NULL || !lock_policy_parse(policy, &job->policy))
		panic("store: a job is in the state \"%s\" with the lock policy \"%s\"", state != NULL ? state : "",
			policy != NULL ? policy : "");
	read_texts(from, job);
	read_message(from, &job->message);
	read_attempt(from, &job->attempt);
	job->priority = (int)integer_of(from, "priority");
	job->not_before_ms = integer_of(from, "not_before_ms");
	job->exit_code = (int)integer_of(from, "exit_code");
	job->seq = integer_of(from, "seq");
	job->accepted_ms = integer_of(from, "accepted_ms");
	job->finished_ms = integer_of(from, "finished_ms");
	job->failures = (unsigned)integer_of(from, "failures");
	job->losses = (unsigned)integer_of(from, "losses");
	job->next_try_ms = integer_of(from, "next_try_ms");
	job->fence = integer_of(from, "fence");
	job->grant = integer_of(from, "lock_grant");
	return job;
}

static void take_jobs(struct store_call *call, const json_t *answer)
{
	const json_t *jobs = json_object_get(answer, "jobs");

	for (size_t i = 0; i < json_array_size(jobs); i++)
		store_call_add_job(call, read_job(json_array_get(jobs, i)));
}

/* -- calls that write ---------------------------------------------------------------------------- */

static enum store_admitted admitted_of(const char *verdict)
{
	static const char *const names[] = {
		[STORE_ADMITTED_NEW] = "new", [STORE_ADMITTED_OURS] = "ours", [STORE_ADMITTED_OTHERS] = "others",
		[STORE_ADMITTED_FINISHED] = "finished", [STORE_ADMITTED_REJECTED] = "rejected",
	};

	for (size_t i = 0; verdict != NULL && i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(names[i], verdict) == 0)
			return (enum store_admitted)i;
	}
	panic("store: an admission's verdict is \"%s\"", verdict != NULL ? verdict : "");
}

static void take_admissions(struct store_call *call, const json_t *answer)
{
	const json_t *jobs = json_object_get(answer, "jobs");

	call->admitted = xcalloc(call->batch_count, sizeof(*call->admitted));
	for (size_t i = 0; i < call->batch_count; i++) {
		const json_t *job = json_array_get(jobs, i);

		call->admitted[i].verdict = admitted_of(text_of(job, "verdict"));
		call->admitted[i].job = read_job(job);
	}
}

static void take_grants(struct store_call *call, const json_t *answer)
{
	const json_t *grants = json_object_get(answer, "grants");

	for (size_t i = 0; i < json_array_size(grants); i++) {
		const json_t *grant = json_array_get(grants, i);
		const struct job job = {
			.id = (char *)text_of(grant, "job_id"), .owner = (char *)text_of(grant, "owner"),
		};

		store_call_add_grant(call, &job);
	}
}

static void take_asked(struct store_call *call, const json_t *answer)
{
	static const struct { const char *name; enum store_asked verdict; } verdicts[] = {
		{ "done", STORE_ASKED_DONE }, { "begun", STORE_ASKED_BEGUN }, { "refused", STORE_ASKED_REFUSED },
		{ "unknown", STORE_ASKED_UNKNOWN },
	};
	struct job job = { .id = (char *)text_of(answer, "id"), .owner = (char *)text_of(answer, "owner") };
	const char *state = text_of(answer, "state"), *verdict = text_of(answer, "verdict");

	if (state != NULL)
		job_state_parse(state, &job.state);
	for (size_t i = 0; verdict != NULL && i < sizeof(verdicts) / sizeof(verdicts[0]); i++) {
		if (strcmp(verdicts[i].name, verdict) == 0)
			store_call_answer(call, verdicts[i].verdict, job.id != NULL ? &job : NULL);
	}
	take_grants(call, answer);
}

static void take_deliveries(struct store_call *call, const json_t *answer)
{
	const json_t *deliveries = json_object_get(answer, "deliveries");

	for (size_t i = 0; i < json_array_size(deliveries); i++) {
		const json_t *at = json_array_get(deliveries, i);
		const struct store_delivery lent = {
			.id = integer_of(at, "id"), .sink = text_of(at, "sink"), .event = text_of(at, "event"),
			.job_id = text_of(at, "job_id"), .payload = text_of(at, "payload"),
			.created_ms = integer_of(at, "created_ms"), .next_try_ms = integer_of(at, "next_try_ms"),
			.tries = (unsigned)integer_of(at, "tries"), .error = text_of(at, "error"), .dead = bool_of(at, "dead"),
		};

		store_call_add_claimed(call, &lent);
	}
}

static void take_rate(struct store_call *call, const json_t *answer)
{
	call->rate = (struct store_rate_given){
		.tokens = (unsigned)json_number_value(json_object_get(answer, "tokens")),
		.wait_s = json_number_value(json_object_get(answer, "wait_s")),
		.per_s = json_number_value(json_object_get(answer, "per_s")),
	};
}

/* -- calls that read ----------------------------------------------------------------------------- */

static void take_attempts(struct store_call *call, const json_t *answer)
{
	const json_t *attempts = json_object_get(answer, "attempts");

	for (size_t i = 0; i < json_array_size(attempts); i++) {
		const json_t *at = json_array_get(attempts, i);
		const struct store_attempt lent = {
			.number = (unsigned)integer_of(at, "number"), .step = (unsigned)integer_of(at, "step"),
			.handle = (char *)text_of(at, "handle"), .intended_ms = integer_of(at, "intended_ms"),
			.started_ms = integer_of(at, "started_ms"), .ended_ms = integer_of(at, "ended_ms"),
			.exit_code = (int)integer_of(at, "exit_code"), .reason = (char *)text_of(at, "end_reason"),
		};

		store_call_add_attempt(call, &lent);
	}
}

static void take_locks(struct store_call *call, const json_t *answer)
{
	const json_t *locks = json_object_get(answer, "locks");

	for (size_t i = 0; i < json_array_size(locks); i++) {
		const json_t *at = json_array_get(locks, i);
		const struct store_lock lent = {
			.key = (char *)text_of(at, "key"), .holder = (char *)text_of(at, "holder"),
			.project = (char *)text_of(at, "project"), .grant = integer_of(at, "last_grant"),
			.since_ms = integer_of(at, "since_ms"), .waiting = (size_t)integer_of(at, "waiting"),
		};

		store_call_add_lock(call, &lent);
	}
}

static void take_states(struct store_call *call, const json_t *answer)
{
	const json_t *states = json_object_get(answer, "states");

	for (int i = 0; i < JOB_STATES; i++)
		call->totals->jobs[i] = (uint64_t)integer_of(states, job_state_name((enum job_state)i));
	if (!call->wants_totals)
		return;
	call->totals->held_locks = integer_of(answer, "held_locks");
	call->totals->lock_waiters = integer_of(answer, "lock_waiters");
	call->totals->open_deliveries = integer_of(answer, "open_deliveries");
	call->totals->dead_deliveries = integer_of(answer, "dead_deliveries");
	call->totals->oldest_waiting_ms = integer_of(answer, "oldest_waiting_ms");
}

static void take_why(struct store_call *call, const json_t *answer)
{
	const json_t *from = json_object_get(answer, "why");

	if (from == NULL)
		return;
	call->why = xnew(struct store_why);
	call->why->job = read_job(json_object_get(from, "job"));
	call->why->holder = text_copy(from, "holder");
	call->why->holder_project = text_copy(from, "holder_project");
	call->why->holder_since_ms = integer_of(from, "holder_since_ms");
	call->why->ahead = (size_t)integer_of(from, "ahead");
	call->why->group_head = text_copy(from, "group_head");
	call->why->group_ahead = (size_t)integer_of(from, "group_ahead");
}

static void take_read(struct store_call *call, const json_t *answer)
{
	const json_t *job = json_object_get(answer, "job");

	switch (call->kind) {
	case CALL_FIND:
		if (json_is_object(job))
			store_call_add_job(call, read_job(job));
		break;
	case CALL_LIST: take_jobs(call, answer); break;
	case CALL_COUNT: take_states(call, answer); break;
	case CALL_ATTEMPTS: take_attempts(call, answer); break;
	case CALL_LOCKS: take_locks(call, answer); break;
	case CALL_WHY: take_why(call, answer); break;
	case CALL_DELIVERIES: take_deliveries(call, answer); break;
	default: call->went = (size_t)integer_of(answer, "went"); break;
	}
}

/* -- all ----------------------------------------------------------------------------------------- */

/* Whether the call was refused by the rules, or failed by itself. */
static bool take_refusal(struct store_postgresql *pg, struct store_call *call, const json_t *answer)
{
	const char *kind = text_of(answer, "error"), *failed = text_of(answer, "failed");
	const char *text = text_of(answer, "text"), *code = text_of(answer, "code");
	char why[LIMIT_ERROR_TEXT_BYTES];

	if (failed != NULL) {
		postgresql_message(text, why, sizeof(why));
		store_call_fail(call, ERROR_INVALID, "");
		error_set(store_call_error(call), ERROR_INVALID, "store: %.200s: %s", pg->url.name, why);
		error_set_code(store_call_error(call), failed);
		return true;
	}
	if (kind == NULL)
		return false;
	error_set(store_call_error(call), strcmp(kind, "lost") == 0 ? ERROR_LOST : strcmp(kind, "refused") == 0 ? ERROR_REFUSED :
		ERROR_INVALID, "%s", text != NULL ? text : "");
	if (code != NULL)
		error_set_code(store_call_error(call), code);
	return true;
}

void store_postgresql_take_answer(struct store_postgresql *pg, struct store_call *call, const json_t *answer)
{
	if (take_refusal(pg, call, answer))
		return;
	switch (call->kind) {
	case CALL_ADMIT:
		take_admissions(call, answer);
		break;
	case CALL_ADOPT:
		take_jobs(call, answer);
		break;
	case CALL_SWEEP:
		take_jobs(call, answer);
		call->next_due_ms = integer_of(answer, "next_due_ms");
		break;
	case CALL_FINISH:
		take_grants(call, answer);
		break;
	case CALL_CANCEL:
	case CALL_RETRY_FINISHED:
	case CALL_UNLOCK:
	case CALL_TELL_OWNER:
	case CALL_REPLAY:
	case CALL_IMPORT:
		take_asked(call, answer);
		break;
	case CALL_CLAIM_DELIVERIES:
		take_deliveries(call, answer);
		call->next_due_ms = integer_of(answer, "next_due_ms");
		break;
	case CALL_TAKE_RATE:
		take_rate(call, answer);
		break;
	case CALL_DISOWN:
		call->went = (size_t)integer_of(answer, "went");
		break;
	case CALL_PRUNE:
		call->went = (size_t)integer_of(answer, "went");
		pg->store.pruned_ms = integer_of(answer, "after_ms");
		pg->store.pruned_seq = integer_of(answer, "after_seq");
		break;
	default:
		if (store_call_reads(call))
			take_read(call, answer);
		break;
	}
}
