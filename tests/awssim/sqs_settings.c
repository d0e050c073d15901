/* SPDX-License-Identifier: Apache-2.0 */
/* sqs_settings.c - queue attributes: strings to clients, numbers and flags to us. */
#include "sqs.h"

#include "xalloc.h"

#include <stddef.h>

static const struct {
	const char *name;
	size_t offset;
	json_int_t least, most;
} numbers[] = {
	{ "VisibilityTimeout", offsetof(struct sqs_settings, visibility_s), 0,
	  SQS_VISIBILITY_MAX_S },
	{ "DelaySeconds", offsetof(struct sqs_settings, delay_s), 0, 900 },
	{ "MessageRetentionPeriod", offsetof(struct sqs_settings, retention_s), 60, 14 * 86400 },
	{ "ReceiveMessageWaitTimeSeconds", offsetof(struct sqs_settings, wait_s), 0,
	  SQS_WAIT_MAX_S },
	{ "MaximumMessageSize", offsetof(struct sqs_settings, max_bytes), 1024,
	  SQS_BODY_MAX_BYTES },
};

/* Kept and given back; they change nothing here. */
static const char *const others[] = {
	"Policy", "RedriveAllowPolicy", "KmsMasterKeyId", "KmsDataKeyReusePeriodSeconds",
	"SqsManagedSseEnabled",
};

enum {
	NUMBERS = sizeof(numbers) / sizeof(numbers[0]),
	OTHERS = sizeof(others) / sizeof(others[0]),
};

static json_int_t *number_at(struct sqs_settings *settings, size_t i)
{
	return (json_int_t *)(void *)((char *)settings + numbers[i].offset);
}

static bool refuse(struct aws_error *error, const char *name, const char *why)
{
	aws_error_set(error, "InvalidAttributeValue",
		      "Invalid value for the parameter %s.%s%s", name, *why ? " Reason: " : "", why);
	return false;
}

static bool apply_number(struct sqs_settings *settings, size_t i, const char *value,
			 struct aws_error *error)
{
	char *end;
	long long number = strtoll(value, &end, 10);

	if (end == value || *end != '\0' || number < numbers[i].least || number > numbers[i].most)
		return refuse(error, numbers[i].name, "");
	*number_at(settings, i) = number;
	return true;
}

static bool apply_redrive(struct sqs_settings *settings, const char *value,
			  struct aws_error *error)
{
	json_t *policy, *count, *arn;
	json_int_t max_receives = 10;
	bool ok = false;

	free(settings->redrive_policy);
	free(settings->dead_letter_arn);
	settings->redrive_policy = settings->dead_letter_arn = NULL;
	if (*value == '\0')
		return true;
	policy = json_loads(value, 0, NULL);
	arn = json_object_get(policy, "deadLetterTargetArn");
	count = json_object_get(policy, "maxReceiveCount");
	if (json_is_integer(count))
		max_receives = json_integer_value(count);
	else if (json_is_string(count))
		max_receives = strtol(json_string_value(count), NULL, 10);
	if (!json_is_string(arn) || max_receives < 1 || max_receives > 1000) {
		refuse(error, "RedrivePolicy", "Redrive policy is not a valid JSON map.");
	} else {
		settings->redrive_policy = xstrdup(value);
		settings->dead_letter_arn = xstrdup(json_string_value(arn));
		settings->max_receives = max_receives;
		ok = true;
	}
	json_decref(policy);
	return ok;
}

static bool apply_fifo(struct sqs_settings *settings, const char *name, const char *value,
		       struct aws_error *error)
{
	bool yes = strcmp(value, "true") == 0;

	if (strcmp(name, "FifoQueue") == 0) {
		if (yes && settings->fifo)
			return true;
		return refuse(error, name, yes ? "The name of a FIFO queue has to end with .fifo"
					       : "A queue is FIFO or it doesn't say so");
	}
	if (!settings->fifo) {
		aws_error_set(error, "InvalidAttributeName", "Unknown Attribute %s.", name);
		return false;
	}
	if (strcmp(name, "ContentBasedDeduplication") == 0)
		settings->content_dedup = yes;
	else if (strcmp(name, "DeduplicationScope") == 0)
		settings->group_dedup = strcmp(value, "messageGroup") == 0;
	else
		settings->group_limit = strcmp(value, "perMessageGroupId") == 0;
	return true;
}

static bool apply_one(struct sqs_settings *settings, const char *name, const char *value,
		      struct aws_error *error)
{
	static const char *const fifo[] = { "FifoQueue", "ContentBasedDeduplication",
					    "DeduplicationScope", "FifoThroughputLimit" };

	for (size_t i = 0; i < NUMBERS; i++) {
		if (strcmp(numbers[i].name, name) == 0)
			return apply_number(settings, i, value, error);
	}
	for (size_t i = 0; i < sizeof(fifo) / sizeof(fifo[0]); i++) {
		if (strcmp(fifo[i], name) == 0)
			return apply_fifo(settings, name, value, error);
	}
	if (strcmp(name, "RedrivePolicy") == 0)
		return apply_redrive(settings, value, error);
	for (size_t i = 0; i < OTHERS; i++) {
		if (strcmp(others[i], name) != 0)
			continue;
		if (settings->others == NULL)
			settings->others = json_object();
		json_object_set_new(settings->others, name, json_string(value));
		return true;
	}
	aws_error_set(error, "InvalidAttributeName", "Unknown Attribute %s.", name);
	return false;
}

bool sqs_settings_apply(struct sqs_settings *settings, json_t *attributes,
			struct aws_error *error)
{
	for (void *i = json_object_iter(attributes); i != NULL;
	     i = json_object_iter_next(attributes, i)) {
		const char *value = json_string_value(json_object_iter_value(i));

		if (value == NULL)
			return refuse(error, json_object_iter_key(i), "Not a string");
		if (!apply_one(settings, json_object_iter_key(i), value, error))
			return false;
	}
	return true;
}

void sqs_settings_finish(struct sqs_settings *settings)
{
	free(settings->redrive_policy);
	free(settings->dead_letter_arn);
	json_decref(settings->others);
}

static void set_number(json_t *out, const char *name, json_int_t value)
{
	json_object_set_new(out, name, json_sprintf("%" JSON_INTEGER_FORMAT, value));
}

static json_t *all_attributes(struct sqs_queue *queue)
{
	struct sqs_settings *settings = &queue->settings;
	json_t *out = json_object();

	json_object_set_new(out, "QueueArn", json_string(queue->arn));
	set_number(out, "ApproximateNumberOfMessages", (json_int_t)queue->counts[SQS_READY]);
	set_number(out, "ApproximateNumberOfMessagesNotVisible",
		   (json_int_t)queue->counts[SQS_IN_FLIGHT]);
	set_number(out, "ApproximateNumberOfMessagesDelayed",
		   (json_int_t)queue->counts[SQS_DELAYED]);
	set_number(out, "CreatedTimestamp", queue->created_ms / 1000);
	set_number(out, "LastModifiedTimestamp", queue->modified_ms / 1000);
	for (size_t i = 0; i < NUMBERS; i++)
		set_number(out, numbers[i].name, *number_at(settings, i));
	json_object_set_new(out, "SqsManagedSseEnabled", json_string("true"));
	if (settings->redrive_policy != NULL)
		json_object_set_new(out, "RedrivePolicy", json_string(settings->redrive_policy));
	if (settings->fifo) {
		json_object_set_new(out, "FifoQueue", json_string("true"));
		json_object_set_new(out, "ContentBasedDeduplication",
				    json_string(settings->content_dedup ? "true" : "false"));
		json_object_set_new(out, "DeduplicationScope",
				    json_string(settings->group_dedup ? "messageGroup" : "queue"));
		json_object_set_new(out, "FifoThroughputLimit",
				    json_string(settings->group_limit ? "perMessageGroupId"
								      : "perQueue"));
	}
	if (settings->others != NULL)
		json_object_update(out, settings->others);
	return out;
}

json_t *sqs_queue_attributes(struct sqs_queue *queue, const json_t *names)
{
	json_t *all, *out = json_object(), *name;
	size_t i;

	sqs_queue_expire(queue);
	all = all_attributes(queue);
	json_array_foreach(names, i, name) {
		const char *wanted = json_string_value(name);
		json_t *value;

		if (wanted == NULL)
			continue;
		if (strcmp(wanted, "All") == 0) {
			json_decref(out);
			return all;
		}
		value = json_object_get(all, wanted);
		if (value != NULL)
			json_object_set(out, wanted, value);
	}
	json_decref(all);
	return out;
}

bool sqs_settings_differ(struct sqs_queue *queue, json_t *attributes)
{
	json_t *all = all_attributes(queue);
	bool differ = false;

	for (void *i = json_object_iter(attributes); i != NULL;
	     i = json_object_iter_next(attributes, i)) {
		json_t *have = json_object_get(all, json_object_iter_key(i));

		differ |= have == NULL || !json_equal(have, json_object_iter_value(i));
	}
	json_decref(all);
	return differ;
}
