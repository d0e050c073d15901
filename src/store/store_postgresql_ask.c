/* SPDX-License-Identifier: Apache-2.0 */
/* store_postgresql_ask.c - calls to JSON, as postgresql/batch.sql reads them.
 *
 * Beside the calls a batch says which names they are about, as far as we know them, and which jobs, whose names the
 * database looks up: their slots are taken before anything is done. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/json_at.h"
#include "base/mem.h"
#include "store/store_postgresql.h"
#include "store/store_rules.h"

/* What a batch is about. */
struct about {
	json_t *names, *ids;
	bool wide;
};

static void set_text(json_t *object, const char *member, const char *text)
{
	if (text != NULL)
		json_object_set_new(object, member, json_at_text(text));
}

static void set_integer(json_t *object, const char *member, int64_t value)
{
	json_object_set_new(object, member, json_integer(value));
}

static void add_name(struct about *about, char *take_name)
{
	json_array_append_new(about->names, json_at_text(take_name));
	free(take_name);
}

static void set_id(json_t *object, struct about *about, const char *id)
{
	set_text(object, "id", id);
	json_array_append_new(about->ids, json_at_text(id));
}

/* -- jobs ---------------------------------------------------------------------------------------- */

static void set_message(json_t *object, const struct job_message_ref *message)
{
	set_text(object, "message_id", message->id);
	set_text(object, "receipt", message->receipt);
	set_text(object, "message_group", message->group);
	set_integer(object, "hidden_until_ms", message->hidden_until_ms);
	set_integer(object, "received_ms", message->received_ms);
	set_integer(object, "deliveries", message->deliveries);
	json_object_set_new(object, "settled", json_boolean(message->settled));
}

static void set_attempt(json_t *object, const struct job_attempt *attempt)
{
	set_integer(object, "number", attempt->number);
	set_integer(object, "step", attempt->step);
	set_text(object, "token", attempt->token);
	set_text(object, "request", attempt->request);
	set_text(object, "handle", attempt->handle);
	set_integer(object, "intended_ms", attempt->intended_ms);
	set_integer(object, "started_ms", attempt->started_ms);
	set_integer(object, "timeout_ms", attempt->timeout_ms);
	json_object_set_new(object, "bound", json_boolean(attempt->bound));
}

static void set_job(json_t *object, const struct job *job, struct about *about)
{
	set_text(object, "id", job->id);
	set_text(object, "project", job->project);
	set_text(object, "deployer", job->deployer);
	set_text(object, "queue", job->queue);
	set_text(object, "lock_key", job->lock_key);
	set_text(object, "policy", lock_policy_name(job->policy));
	set_integer(object, "priority", job->priority);
	set_integer(object, "not_before_ms", job->not_before_ms);
	set_text(object, "commit_hash", job->commit);
	set_text(object, "ref", job->ref);
	set_text(object, "stage", job->stage);
	set_text(object, "body", job->body);
	set_text(object, "reason", job->reason);
	set_text(object, "detail", job->detail);
	set_integer(object, "exit_code", job->exit_code);
	set_integer(object, "attempt", job->attempt.number);
	set_integer(object, "step", job->attempt.step);
	set_message(object, &job->message);
	add_name(about, xasprintf("job %s", job->id));
	json_array_append_new(about->ids, json_at_text(job->id));
	if (rules_needs_key(job))
		add_name(about, xasprintf("key %s", job->lock_key));
	if (job->message.group != NULL && job->queue != NULL)
		add_name(about, xasprintf("group %s %s", job->queue, job->message.group));
}

static json_t *admission_json(const struct store_admission *admission, struct about *about)
{
	json_t *object = json_object();

	set_job(object, admission->job, about);
	json_object_set_new(object, "released", json_boolean(admission->released));
	return object;
}

static json_t *past_json(const struct store_attempt *past, const struct job_attempt *current)
{
	bool is_current = past->number == current->number && past->step == current->step;
	json_t *object = json_object();

	set_integer(object, "number", past->number);
	set_integer(object, "step", past->step);
	set_text(object, "token", is_current ? current->token : NULL);
	set_text(object, "handle", past->handle);
	set_integer(object, "intended_ms", past->intended_ms);
	set_integer(object, "started_ms", past->started_ms);
	set_integer(object, "timeout_ms", is_current ? current->timeout_ms : 0);
	set_integer(object, "ended_ms", past->ended_ms);
	set_text(object, "end_reason", past->reason);
	set_integer(object, "exit_code", past->exit_code);
	return object;
}

/* The whole record, and the launches. */
static void set_import(json_t *object, const struct store_call *call, struct about *about)
{
	const struct job *job = call->given[0];
	json_t *past = json_array();

	set_job(object, job, about);
	set_text(object, "state", job_state_name(job->state));
	set_integer(object, "accepted_ms", job->accepted_ms);
	set_integer(object, "finished_ms", job->finished_ms);
	set_integer(object, "failures", job->failures);
	set_integer(object, "losses", job->losses);
	set_text(object, "cancelled_by", job->cancelled_by);
	set_text(object, "cancel_reason", job->cancel_reason);
	set_integer(object, "fence", job->fence);
	set_integer(object, "lock_grant", job->grant);
	for (size_t i = 0; i < call->past_count; i++)
		json_array_append_new(past, past_json(&call->past[i], &job->attempt));
	json_object_set_new(object, "past", past);
}

static void set_admissions(json_t *object, const struct store_call *call, struct about *about)
{
	json_t *jobs = json_array();

	for (size_t i = 0; i < call->batch_count; i++)
		json_array_append_new(jobs, admission_json(&call->batch[i], about));
	json_object_set_new(object, "jobs", jobs);
}

/* A write about a job. */
static void set_given(json_t *object, const struct store_call *call, struct about *about)
{
	const struct job *given = call->given[0];

	set_id(object, about, given->id);
	set_integer(object, "fence", given->fence);
	set_attempt(object, &given->attempt);
	set_integer(object, "not_before_ms", given->not_before_ms);
	set_integer(object, "failures", given->failures);
	set_integer(object, "losses", given->losses);
	set_integer(object, "next_try_ms", given->next_try_ms);
	set_text(object, "waits_for", given->waits_for);
	set_text(object, "reason", given->reason);
	set_integer(object, "exit_code", given->exit_code);
	if (call->kind != CALL_FINISH)
		return;
	set_text(object, "state", job_state_name(given->state));
	set_text(object, "detail", given->detail);
}

static void set_notes(json_t *object, const struct store_call *call, struct about *about)
{
	json_t *notes = json_array();

	for (size_t i = 0; i < call->given_count; i++) {
		json_t *note = json_object();

		set_id(note, about, call->given[i]->id);
		set_integer(note, "fence", call->given[i]->fence);
		set_message(note, &call->given[i]->message);
		json_array_append_new(notes, note);
	}
	json_object_set_new(object, "notes", notes);
}

/* -- the others ---------------------------------------------------------------------------------- */

static void set_deliveries(json_t *object, const struct store_call *call)
{
	json_t *deliveries = json_array();

	for (size_t i = 0; i < call->said_count; i++) {
		const struct store_delivery *said = &call->said[i];
		json_t *delivery = json_object();

		if (said->id != 0)
			set_integer(delivery, "id", said->id);
		set_text(delivery, "sink", said->sink);
		set_text(delivery, "event", said->event);
		set_text(delivery, "job_id", said->job_id);
		if (call->kind == CALL_SAY)
			set_text(delivery, "payload", said->payload);
		set_integer(delivery, "created_ms", said->created_ms);
		set_integer(delivery, "next_try_ms", said->next_try_ms);
		set_integer(delivery, "tries", said->tries);
		set_text(delivery, "error", said->error);
		json_object_set_new(delivery, "dead", json_boolean(said->dead));
		if (call->kind == CALL_NOTE_DELIVERIES)
			json_object_set_new(delivery, "kept", json_boolean(said->kept));
		json_array_append_new(deliveries, delivery);
	}
	json_object_set_new(object, "deliveries", deliveries);
}

static void set_said(json_t *object, const struct store_call *call, struct about *about)
{
	json_t *speaker;

	if (call->given_count > 0) {
		speaker = json_object();
		set_id(speaker, about, call->given[0]->id);
		set_integer(speaker, "fence", call->given[0]->fence);
		set_text(speaker, "state", job_state_name(call->given[0]->state));
		json_object_set_new(object, "speaker", speaker);
	}
	set_text(object, "dedup_key", call->dedup_key);
	if (call->dedup_key != NULL)
		add_name(about, xasprintf("said %s", call->dedup_key));
	set_deliveries(object, call);
}

static void set_rate(json_t *object, const struct store_rate_ask *ask, struct about *about)
{
	set_text(object, "bucket", ask->bucket);
	json_object_set_new(object, "initial_per_s", json_real(ask->initial_per_s));
	json_object_set_new(object, "max_per_s", json_real(ask->max_per_s));
	json_object_set_new(object, "begin_per_s", json_real(ask->begin_per_s));
	json_object_set_new(object, "burst", json_real(ask->burst));
	set_integer(object, "want", ask->want);
	set_integer(object, "throttles", ask->throttles);
	add_name(about, xasprintf("rate %s", ask->bucket));
}

static void set_asked(json_t *object, const struct store_call *call, struct about *about)
{
	set_id(object, about, call->name);
	add_name(about, xasprintf("job %s", call->name));
	set_text(object, "by", call->by);
}

/* Calls about a job that need not be ours, and about no job. */
static void set_other(json_t *object, const struct store_call *call, const struct store *store, struct about *about)
{
	switch (call->kind) {
	case CALL_CANCEL:
	case CALL_RETRY_FINISHED:
	case CALL_TELL_OWNER:
		set_asked(object, call, about);
		break;
	case CALL_UNLOCK:
		set_text(object, "key", call->name);
		set_text(object, "by", call->by);
		add_name(about, xasprintf("key %s", call->name));
		break;
	case CALL_DISOWN:
		set_text(object, "owner", call->owner);
		about->wide = true;
		break;
	case CALL_NOTE_CRASH:
		set_text(object, "key", call->name);
		set_text(object, "owner", call->owner);
		add_name(about, xasprintf("crash %s", call->name));
		break;
	case CALL_REPLAY:
		set_integer(object, "id", call->delivery_id);
		add_name(about, xstrdup("replay"));
		break;
	case CALL_PRUNE:
		set_integer(object, "older_than_ms", call->older_than_ms);
		set_integer(object, "after_ms", store->pruned_ms);
		set_integer(object, "after_seq", store->pruned_seq);
		break;
	default:
		break;
	}
}

static json_t *call_json(const struct store_call *call, const struct store *store, struct about *about)
{
	json_t *object = json_object();

	json_object_set_new(object, "kind", json_string(store_call_name(call)));
	set_integer(object, "max", (int64_t)call->max);
	switch (call->kind) {
	case CALL_ADMIT:
		set_admissions(object, call, about);
		break;
	case CALL_INTEND:
	case CALL_STARTED:
	case CALL_RETRY:
	case CALL_NOTE_WAIT:
	case CALL_FINISH:
		set_given(object, call, about);
		break;
	case CALL_NOTE:
		set_notes(object, call, about);
		break;
	case CALL_SAY:
		set_said(object, call, about);
		break;
	case CALL_NOTE_DELIVERIES:
		set_deliveries(object, call);
		break;
	case CALL_IMPORT:
		set_import(object, call, about);
		break;
	case CALL_TAKE_RATE:
		set_rate(object, &call->rate_ask, about);
		break;
	default:
		set_other(object, call, store, about);
		break;
	}
	return object;
}

/* Apart: arrays of a call and what was said before it. */
static json_t *calls_json(const struct store_postgresql_request *request, const struct store *store, struct about *about)
{
	json_t *calls = json_array(), *unit = NULL;
	const struct store_call *call;

	list_each(call, &request->calls, link) {
		json_t *object = call_json(call, store, about);

		if (!request->apart) {
			json_array_append_new(calls, object);
			continue;
		}
		if (unit == NULL) {
			unit = json_array();
			json_array_append_new(calls, unit);
		}
		json_array_append_new(unit, object);
		if (call->kind != CALL_SAY)
			unit = NULL;
	}
	return calls;
}

/* Texts, as the database keeps them for the time of a batch. */
static void set_moved(json_t *batch)
{
	int64_t boot_ms, steady_ms;
	char *boot, *steady;

	clock_shifted(&boot_ms, &steady_ms);
	boot = xasprintf("%lld", (long long)boot_ms);
	steady = xasprintf("%lld", (long long)steady_ms);
	set_text(batch, "boot_moved_ms", boot);
	set_text(batch, "steady_moved_ms", steady);
	free(boot);
	free(steady);
}

char *store_postgresql_batch_json(const struct store_postgresql *pg, const struct store_postgresql_request *request)
{
	struct about about = { .names = json_array(), .ids = json_array(), .wide = request->wide };
	json_t *batch = json_object();
	char *text;

	set_text(batch, "owner", pg->store.owner);
	set_text(batch, "place", pg->store.place);
	set_integer(batch, "lease_ms", pg->store.lease_ms);
	json_object_set_new(batch, "registered", json_boolean(pg->store.registered));
	set_moved(batch);
	json_object_set_new(batch, "calls", calls_json(request, &pg->store, &about));
	json_object_set_new(batch, "names", about.names);
	json_object_set_new(batch, "ids", about.ids);
	json_object_set_new(batch, "wide", json_boolean(about.wide));
	text = json_at_dump(batch);
	json_decref(batch);
	return text;
}

static size_t length(const char *text)
{
	return text != NULL ? strlen(text) : 0;
}

size_t store_postgresql_call_bytes(const struct store_call *call)
{
	size_t bytes = 256 + 256 * (call->batch_count + call->given_count + call->said_count);

	for (size_t i = 0; i < call->batch_count; i++)
		bytes += length(call->batch[i].job->body);
	for (size_t i = 0; i < call->given_count; i++)
		bytes += length(call->given[i]->attempt.request) + length(call->given[i]->body);
	for (size_t i = 0; i < call->said_count; i++)
		bytes += length(call->said[i].payload);
	return bytes;
}

/* -- reads --------------------------------------------------------------------------------------- */

static char *list_filter(const struct store_filter *filter)
{
	json_t *object = json_object();
	char *text;

	set_text(object, "project", filter->project);
	set_text(object, "deployer", filter->deployer);
	set_text(object, "state", filter->state >= 0 ? job_state_name((enum job_state)filter->state) : NULL);
	set_integer(object, "before_seq", filter->before_seq);
	set_integer(object, "max", (int64_t)filter->max);
	text = json_at_dump(object);
	json_decref(object);
	return text;
}

static char *clean(const char *text)
{
	return text != NULL ? json_at_clean(text, strlen(text)) : NULL;
}

static struct store_postgresql_read deliveries_read(const struct store_delivery_filter *filter)
{
	return (struct store_postgresql_read){
		.query = "SELECT gantry.read_deliveries($1::text, $2::boolean, $3::bigint, $4::bigint)", .count = 4,
		.values = { clean(filter->job_id), xstrdup(filter->open_only ? "true" : "false"),
			xasprintf("%lld", (long long)filter->after_id), xasprintf("%zu", filter->max) },
	};
}

struct store_postgresql_read store_postgresql_read_make(const struct store_call *call)
{
	struct store_postgresql_read read = { .count = 1 };

	switch (call->kind) {
	case CALL_LIST:
		read.query = "SELECT gantry.read_list($1::jsonb)";
		read.values[0] = list_filter(&call->filter);
		return read;
	case CALL_DELIVERIES:
		return deliveries_read(&call->delivery_filter);
	case CALL_COUNT:
		read.query = call->wants_totals ? "SELECT gantry.read_totals()" : "SELECT gantry.read_count()";
		read.count = 0;
		return read;
	case CALL_LOCKS:
		read.query = "SELECT gantry.read_locks($1::text, $2::bigint)";
		read.values[1] = xasprintf("%zu", call->max);
		read.count = 2;
		break;
	case CALL_FIND: read.query = "SELECT gantry.read_job($1::text)"; break;
	case CALL_ATTEMPTS: read.query = "SELECT gantry.read_attempts($1::text)"; break;
	case CALL_WHY: read.query = "SELECT gantry.read_why($1::text)"; break;
	default: read.query = "SELECT gantry.read_crashes($1::text)"; break;
	}
	read.values[0] = clean(call->name);
	return read;
}

void store_postgresql_read_finish(struct store_postgresql_read *read)
{
	for (int i = 0; i < read->count; i++)
		free(read->values[i]);
}
