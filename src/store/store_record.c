/* SPDX-License-Identifier: Apache-2.0 */
/* store_record.c - see store_record.h. */
#include "store/store_record.h"

#include "base/json_at.h"
#include "job/job_record.h"

json_t *store_lock_record(const struct store_lock *lock)
{
	json_t *object = json_object();

	json_object_set_new(object, "key", json_at_text(lock->key));
	json_object_set_new(object, "holder", json_at_text(lock->holder));
	json_object_set_new(object, "project", json_at_text(lock->project));
	job_record_stamp(object, "since", lock->since_ms);
	json_object_set_new(object, "fence", json_integer(lock->grant));
	json_object_set_new(object, "waiting", json_integer((json_int_t)lock->waiting));
	return object;
}

json_t *store_why_record(const struct store_why *why)
{
	json_t *object = job_record(why->job);

	json_object_set_new(object, "ahead", json_integer((json_int_t)why->ahead));
	json_object_set_new(object, "held_by", json_at_text(why->holder));
	json_object_set_new(object, "held_by_project", json_at_text(why->holder_project));
	job_record_stamp(object, "held_since", why->holder_since_ms);
	json_object_set_new(object, "group_head", json_at_text(why->group_head));
	json_object_set_new(object, "group_ahead", json_integer((json_int_t)why->group_ahead));
	return object;
}

json_t *store_attempt_record(const struct store_attempt *attempt)
{
	json_t *object = json_object();

	json_object_set_new(object, "number", json_integer(attempt->number));
	json_object_set_new(object, "step", json_integer(attempt->step));
	json_object_set_new(object, "handle", json_at_text(attempt->handle));
	job_record_stamp(object, "intended", attempt->intended_ms);
	job_record_stamp(object, "started", attempt->started_ms);
	job_record_stamp(object, "ended", attempt->ended_ms);
	json_object_set_new(object, "exit_code", attempt->exit_code >= 0 ? json_integer(attempt->exit_code) : json_null());
	json_object_set_new(object, "reason", json_at_text(attempt->reason));
	return object;
}

json_t *store_delivery_record(const struct store_delivery *delivery)
{
	json_t *object = json_object();

	json_object_set_new(object, "id", json_integer(delivery->id));
	json_object_set_new(object, "sink", json_at_text(delivery->sink));
	json_object_set_new(object, "event", json_at_text(delivery->event));
	json_object_set_new(object, "job", json_at_text(delivery->job_id));
	json_object_set_new(object, "tries", json_integer(delivery->tries));
	json_object_set_new(object, "dead", json_boolean(delivery->dead));
	json_object_set_new(object, "error", json_at_text(delivery->error));
	job_record_stamp(object, "created", delivery->created_ms);
	job_record_stamp(object, "next_try", delivery->dead ? 0 : delivery->next_try_ms);
	return object;
}

json_t *store_attempt_records(const struct store_attempt *attempts, size_t count)
{
	json_t *list = json_array();

	for (size_t i = 0; i < count; i++)
		json_array_append_new(list, store_attempt_record(&attempts[i]));
	return list;
}

json_t *store_delivery_records(const struct store_delivery *deliveries, size_t count)
{
	json_t *list = json_array();

	for (size_t i = 0; i < count; i++)
		json_array_append_new(list, store_delivery_record(&deliveries[i]));
	return list;
}
