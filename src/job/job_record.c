/* SPDX-License-Identifier: Apache-2.0 */
/* job_record.c - see job_record.h. */
#include "job/job_record.h"

#include "base/clock.h"
#include "base/json_at.h"

static void set_text(json_t *object, const char *key, const char *value)
{
	json_object_set_new(object, key, json_at_text(value));
}

/* For members that are there only when they say something. */
static void add_text(json_t *object, const char *key, const char *value)
{
	if (value != NULL && value[0] != '\0')
		set_text(object, key, value);
}

void job_record_stamp(json_t *object, const char *key, int64_t steady_ms)
{
	char stamp[CLOCK_STAMP_BYTES];

	clock_stamp(clock_steady_to_wall(steady_ms), stamp);
	set_text(object, key, stamp[0] != '\0' ? stamp : NULL);
}

static json_t *attempt_record(const struct job_attempt *attempt)
{
	json_t *object = json_object();

	json_object_set_new(object, "number", json_integer(attempt->number));
	set_text(object, "handle", attempt->handle);
	set_text(object, "token", attempt->token);
	job_record_stamp(object, "intended", attempt->intended_ms);
	job_record_stamp(object, "started", attempt->started_ms);
	return object;
}

static json_t *message_record(const struct job_message_ref *message)
{
	json_t *object = json_object();

	set_text(object, "id", message->id);
	set_text(object, "group", message->group);
	json_object_set_new(object, "deliveries", json_integer(message->deliveries));
	json_object_set_new(object, "settled", json_boolean(message->settled));
	return object;
}

static void add_state(json_t *object, const struct job *job)
{
	set_text(object, "id", job->id);
	set_text(object, "state", job_state_name(job->state));
	set_text(object, "reason", job->reason);
	set_text(object, "detail", job->detail);
	json_object_set_new(object, "exit_code", job->exit_code >= 0 ? json_integer(job->exit_code) : json_null());
	add_text(object, "waits_for", job->waits_for);
	if (job->next_try_ms > 0)
		job_record_stamp(object, "next_try", job->next_try_ms);
	add_text(object, "cancelled_by", job->cancelled_by);
}

static void add_request(json_t *object, const struct job *job)
{
	set_text(object, "project", job->project);
	set_text(object, "deployer", job->deployer);
	set_text(object, "queue", job->queue);
	set_text(object, "commit", job->commit);
	set_text(object, "ref", job->ref);
	add_text(object, "stage", job->stage);
	set_text(object, "lock", job->lock_key);
	json_object_set_new(object, "priority", json_integer(job->priority));
	json_object_set_new(object, "sequence", json_integer(job->seq));
}

json_t *job_record_brief(const struct job *job)
{
	json_t *object = json_object();

	add_state(object, job);
	add_request(object, job);
	job_record_stamp(object, "accepted", job->accepted_ms);
	job_record_stamp(object, "finished", job->finished_ms);
	if (job->not_before_ms > 0)
		job_record_stamp(object, "not_before", job->not_before_ms);
	set_text(object, "owner", job->owner);
	if (job->grant > 0)
		json_object_set_new(object, "fence", json_integer(job->grant));
	if (job->attempt.number > 0)
		json_object_set_new(object, "attempt", attempt_record(&job->attempt));
	if (job->failures > 0)
		json_object_set_new(object, "failures", json_integer(job->failures));
	if (job->losses > 0)
		json_object_set_new(object, "losses", json_integer(job->losses));
	if (job->message.id != NULL)
		json_object_set_new(object, "message", message_record(&job->message));
	return object;
}

json_t *job_record(const struct job *job)
{
	json_t *object = job_record_brief(job);

	set_text(object, "body", job->body);
	return object;
}
