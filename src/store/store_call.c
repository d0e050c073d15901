/* SPDX-License-Identifier: Apache-2.0 */
/* store_call.c - the life of a struct store_call: what it owns, and its one completion. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "store/store_impl.h"

static void forget_totals(struct store_totals *totals)
{
	*totals = (struct store_totals){
		.held_locks = -1, .lock_waiters = -1, .open_deliveries = -1, .dead_deliveries = -1, .oldest_waiting_ms = -1,
	};
}

struct store_call *store_call_create(enum store_call_kind kind, void *arg)
{
	struct store_call *call = xnew(struct store_call);

	list_init(&call->link);
	call->kind = kind;
	call->arg = arg;
	if (kind == CALL_COUNT) {
		call->totals = xnew(struct store_totals);
		forget_totals(call->totals);
	}
	return call;
}

/* The header lends the texts as const; those of a copy are ours. */
void store_delivery_finish(struct store_delivery *delivery)
{
	free((char *)delivery->sink);
	free((char *)delivery->event);
	free((char *)delivery->job_id);
	free((char *)delivery->payload);
	free((char *)delivery->error);
	*delivery = (struct store_delivery){ 0 };
}

struct store_delivery store_delivery_copy(const struct store_delivery *delivery)
{
	struct store_delivery copy = *delivery;

	copy.sink = xstrdup(delivery->sink);
	copy.event = xstrdup(delivery->event);
	copy.job_id = xstrdup(delivery->job_id);
	copy.payload = xstrdup(delivery->payload);
	copy.error = xstrdup(delivery->error);
	return copy;
}

static void attempt_finish(struct store_attempt *attempt)
{
	free(attempt->handle);
	free(attempt->reason);
}

static void lock_finish(struct store_lock *lock)
{
	free(lock->key);
	free(lock->holder);
	free(lock->project);
}

void store_why_free(struct store_why *why)
{
	if (why == NULL)
		return;
	job_destroy(why->job);
	free(why->holder);
	free(why->holder_project);
	free(why->group_head);
	free(why);
}

static const char *const names[CALLS] = {
	[CALL_RENEW] = "renew", [CALL_DISOWN] = "disown", [CALL_ADOPT] = "adopt", [CALL_ADMIT] = "admit",
	[CALL_INTEND] = "intend", [CALL_STARTED] = "started", [CALL_RETRY] = "retry", [CALL_NOTE_WAIT] = "note_wait",
	[CALL_FINISH] = "finish", [CALL_NOTE] = "note", [CALL_SWEEP] = "sweep", [CALL_CANCEL] = "cancel",
	[CALL_RETRY_FINISHED] = "retry_finished", [CALL_UNLOCK] = "unlock", [CALL_TELL_OWNER] = "tell_owner",
	[CALL_NOTE_CRASH] = "note_crash", [CALL_TAKE_RATE] = "take_rate", [CALL_SAY] = "say",
	[CALL_CLAIM_DELIVERIES] = "claim_deliveries", [CALL_NOTE_DELIVERIES] = "note_deliveries",
	[CALL_REPLAY] = "replay", [CALL_PRUNE] = "prune", [CALL_IMPORT] = "import", [CALL_FIND] = "find", [CALL_LIST] = "list",
	[CALL_COUNT] = "count", [CALL_ATTEMPTS] = "attempts", [CALL_LOCKS] = "locks", [CALL_WHY] = "why",
	[CALL_DELIVERIES] = "deliveries", [CALL_CRASHES] = "crashes",
};

const char *store_call_name(const struct store_call *call)
{
	if (call->kind >= CALLS || names[call->kind] == NULL)
		panic("store: no such call %d", (int)call->kind);
	return names[call->kind];
}

bool store_call_reads(const struct store_call *call)
{
	return call->kind >= CALL_FIND;
}

static void answer_finish(struct store_answer *answer)
{
	free((char *)answer->job_id);
	free((char *)answer->owner);
	*answer = (struct store_answer){ 0 };
}

void store_call_answer(struct store_call *call, enum store_asked verdict, const struct job *job)
{
	answer_finish(&call->answer);
	call->answer.verdict = verdict;
	if (job == NULL)
		return;
	call->answer.job_id = xstrdup(job->id);
	call->answer.owner = xstrdup(job->owner);
	call->answer.state = job->state;
}

static void reset_reads(struct store_call *call)
{
	for (size_t i = 0; i < call->attempt_count; i++)
		attempt_finish(&call->attempts[i]);
	free(call->attempts);
	for (size_t i = 0; i < call->lock_count; i++)
		lock_finish(&call->locks[i]);
	free(call->locks);
	store_why_free(call->why);
	call->attempts = NULL;
	call->locks = NULL;
	call->why = NULL;
	call->attempt_count = call->lock_count = 0;
	if (call->totals != NULL)
		forget_totals(call->totals);
}

void store_call_reset(struct store_call *call)
{
	for (size_t i = 0; call->admitted != NULL && i < call->batch_count; i++)
		job_destroy(call->admitted[i].job);
	free(call->admitted);
	for (size_t i = 0; i < call->job_count; i++)
		job_destroy(call->jobs[i]);
	free(call->jobs);
	for (size_t i = 0; i < call->grant_count; i++) {
		free(call->grants[i].job_id);
		free(call->grants[i].owner);
	}
	free(call->grants);
	for (size_t i = 0; i < call->claimed_count; i++)
		store_delivery_finish(&call->claimed[i]);
	free(call->claimed);
	if (store_call_reads(call))
		reset_reads(call);
	answer_finish(&call->answer);
	call->admitted = NULL;
	call->jobs = NULL;
	call->grants = NULL;
	call->claimed = NULL;
	call->job_count = call->grant_count = call->claimed_count = call->went = 0;
	call->next_due_ms = 0;
	call->rate = (struct store_rate_given){ 0 };
	free(call->err);
	call->err = NULL;
	call->failed = false;
}

void store_call_destroy(struct store_call *call)
{
	store_call_reset(call);
	for (size_t i = 0; i < call->given_count; i++)
		job_destroy(call->given[i]);
	free(call->given);
	for (size_t i = 0; i < call->said_count; i++)
		store_delivery_finish(&call->said[i]);
	free(call->said);
	free(call->owner);
	free(call->name);
	free(call->by);
	free((char *)call->rate_ask.bucket);
	free(call->dedup_key);
	for (size_t i = 0; i < call->past_count; i++)
		attempt_finish(&call->past[i]);
	free(call->past);
	free((char *)call->filter.project);
	free((char *)call->filter.deployer);
	free((char *)call->delivery_filter.job_id);
	free(call->totals);
	free(call);
}

struct error *store_call_error(struct store_call *call)
{
	if (call->err == NULL)
		call->err = xnew(struct error);
	return call->err;
}

void store_call_fail(struct store_call *call, enum error_kind kind, const char *text)
{
	store_call_reset(call);
	error_set(store_call_error(call), kind, "%s", text);
	call->failed = true;
}

void store_call_add_job(struct store_call *call, struct job *job)
{
	call->jobs = xreallocarray(call->jobs, call->job_count + 1, sizeof(*call->jobs));
	call->jobs[call->job_count++] = job;
}

void store_call_add_grant(struct store_call *call, const struct job *job)
{
	call->grants = xreallocarray(call->grants, call->grant_count + 1, sizeof(*call->grants));
	call->grants[call->grant_count++] = (struct store_grant){
		.job_id = xstrdup(job->id), .owner = xstrdup(job->owner),
	};
}

struct store_delivery *store_call_add_claimed(struct store_call *call, const struct store_delivery *delivery)
{
	call->claimed = xreallocarray(call->claimed, call->claimed_count + 1, sizeof(*call->claimed));
	call->claimed[call->claimed_count] = store_delivery_copy(delivery);
	return &call->claimed[call->claimed_count++];
}

void store_call_add_attempt(struct store_call *call, const struct store_attempt *attempt)
{
	struct store_attempt copy = *attempt;

	copy.handle = xstrdup(attempt->handle);
	copy.reason = xstrdup(attempt->reason);
	call->attempts = xreallocarray(call->attempts, call->attempt_count + 1, sizeof(*call->attempts));
	call->attempts[call->attempt_count++] = copy;
}

void store_call_add_lock(struct store_call *call, const struct store_lock *lock)
{
	struct store_lock copy = *lock;

	copy.key = xstrdup(lock->key);
	copy.holder = xstrdup(lock->holder);
	copy.project = xstrdup(lock->project);
	call->locks = xreallocarray(call->locks, call->lock_count + 1, sizeof(*call->locks));
	call->locks[call->lock_count++] = copy;
}

static void give_attempt(struct job *job, struct job *stored)
{
	struct job_attempt given = stored->attempt;

	stored->attempt = job->attempt;
	job->attempt = given;
}

static void tell_admission(struct store_admission *admission, struct store_admitted_job *admitted)
{
	struct job *job = admission->job, *stored = admitted->job;

	admission->verdict = admitted->verdict;
	admission->owner = NULL;
	job->state = stored->state;
	job->seq = stored->seq;
	if (admitted->verdict == STORE_ADMITTED_OTHERS) {
		admission->owner = xstrdup(stored->owner);
		return;
	}
	if (admitted->verdict == STORE_ADMITTED_FINISHED)
		return;
	job->fence = stored->fence;
	job->grant = stored->grant;
	job->accepted_ms = stored->accepted_ms;
	/* It may have inherited an earlier one. */
	job->not_before_ms = stored->not_before_ms;
	job->finished_ms = stored->finished_ms;
	xreplace(&job->owner, stored->owner);
	xreplace(&job->reason, stored->reason);
	xreplace(&job->detail, stored->detail);
	if (admitted->verdict == STORE_ADMITTED_NEW && stored->state == JOB_LAUNCHING)
		give_attempt(job, stored);
}

static void complete_read(struct store_call *call, const struct error *err)
{
	switch (call->kind) {
	case CALL_FIND:
		call->done.find(call->arg, call->job_count > 0 ? call->jobs[0] : NULL, err);
		break;
	case CALL_LIST:
		call->done.list(call->arg, (const struct job *const *)call->jobs, call->job_count, err);
		break;
	case CALL_COUNT:
		if (call->wants_totals)
			call->done.totals(call->arg, err == NULL ? call->totals : NULL, err);
		else
			call->done.states(call->arg, err == NULL ? call->totals->jobs : NULL, err);
		break;
	case CALL_ATTEMPTS:
		call->done.attempts(call->arg, call->attempts, call->attempt_count, err);
		break;
	case CALL_LOCKS:
		call->done.locks(call->arg, call->locks, call->lock_count, err);
		break;
	case CALL_WHY:
		call->done.why(call->arg, call->why, err);
		break;
	case CALL_DELIVERIES:
		call->done.deliveries(call->arg, call->claimed, call->claimed_count, 0, err);
		break;
	default:
		call->done.count(call->arg, call->went, err);
		break;
	}
}

void store_call_complete(struct store_call *call)
{
	const struct error *err = call->err;
	struct job **jobs = call->jobs;
	size_t job_count = call->job_count;

	for (size_t i = 0; err == NULL && call->kind == CALL_ADMIT && i < call->batch_count; i++)
		tell_admission(&call->batch[i], &call->admitted[i]);
	switch (call->kind) {
	case CALL_DISOWN:
	case CALL_PRUNE:
		call->done.count(call->arg, call->went, err);
		break;
	case CALL_ADOPT:
		call->job_count = 0;
		call->done.jobs(call->arg, jobs, job_count, err);
		break;
	case CALL_SWEEP:
		call->job_count = 0;
		call->done.sweep(call->arg, jobs, job_count, call->next_due_ms, err);
		break;
	case CALL_FINISH:
		call->done.finish(call->arg, call->grants, call->grant_count, err);
		break;
	case CALL_CANCEL:
	case CALL_RETRY_FINISHED:
	case CALL_UNLOCK:
	case CALL_TELL_OWNER:
	case CALL_REPLAY:
	case CALL_IMPORT:
		call->answer.grants = call->grants;
		call->answer.grant_count = call->grant_count;
		call->done.answer(call->arg, &call->answer, err);
		break;
	case CALL_TAKE_RATE:
		call->done.rate(call->arg, &call->rate, err);
		break;
	case CALL_CLAIM_DELIVERIES:
		call->done.deliveries(call->arg, call->claimed, call->claimed_count, call->next_due_ms, err);
		break;
	case CALL_RENEW:
	case CALL_ADMIT:
	case CALL_INTEND:
	case CALL_STARTED:
	case CALL_RETRY:
	case CALL_NOTE_WAIT:
	case CALL_NOTE:
	case CALL_NOTE_CRASH:
	case CALL_SAY:
	case CALL_NOTE_DELIVERIES:
		call->done.plain(call->arg, err);
		break;
	case CALL_FIND:
	case CALL_LIST:
	case CALL_COUNT:
	case CALL_ATTEMPTS:
	case CALL_LOCKS:
	case CALL_WHY:
	case CALL_DELIVERIES:
	case CALL_CRASHES:
	case CALLS:
		complete_read(call, err);
		break;
	}
	store_call_destroy(call);
}
