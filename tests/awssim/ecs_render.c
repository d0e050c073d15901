/* SPDX-License-Identifier: Apache-2.0 */
/* ecs_render.c - a task's members, in the API's and in the events' spelling. */
#include "ecs_render.h"

#include "ecs_run_check.h"
#include "json_text.h"
#include "sqs.h"
#include "xalloc.h"

#include <time.h>

#define ARN_START "arn:aws:ecs:" WORLD_REGION ":" WORLD_ACCOUNT ":"

static void add_stamp(struct text *out, int64_t at_ms)
{
	time_t seconds = (time_t)(at_ms / 1000);
	char stamp[32];
	struct tm tm;

	gmtime_r(&seconds, &tm);
	strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S", &tm);
	text_addf(out, "\"%s.%03dZ\"", stamp, (int)(at_ms % 1000));
}

static void add_time(struct text *out, const char *name, int64_t at_ms, enum ecs_times times)
{
	char fraction[4] = { '.', (char)('0' + at_ms / 100 % 10), (char)('0' + at_ms / 10 % 10),
			     (char)('0' + at_ms % 10) };

	if (at_ms == 0)
		return;
	json_text_name(out, name);
	if (times == ECS_TIMES_ISO) {
		add_stamp(out, at_ms);
		return;
	}
	text_add_number(out, at_ms / 1000);
	text_add(out, fraction, sizeof(fraction));
}

static const char *container_status(const struct ecs_task *task)
{
	if (task->execution_stopped_ms != 0 || task->state == ECS_STOPPED)
		return "STOPPED";
	return task->state == ECS_RUNNING ? "RUNNING" : "PENDING";
}

static void add_container(struct text *out, const struct ecs_task *task,
			  const struct ecs_container *container)
{
	json_text_item(out);
	text_add_string(out, "{\"containerArn\":\"" ARN_START "container/");
	text_add_string(out, task->cluster->name);
	text_add_string(out, "/");
	text_add_string(out, task->id);
	text_add_string(out, "/");
	text_add_string(out, container->id);
	text_add_string(out, "\"");
	json_text_member(out, "taskArn", task->arn);
	json_text_member(out, "name", container->name);
	json_text_member(out, "lastStatus", container_status(task));
	if (container->exit_code >= 0)
		json_text_number_member(out, "exitCode", container->exit_code);
	json_text_member(out, "reason", container->reason);
	text_add_string(out, ",\"networkInterfaces\":[],\"healthStatus\":\"UNKNOWN\"}");
}

static void add_containers(struct text *out, const struct ecs_task *task)
{
	json_text_name(out, "containers");
	text_add_string(out, "[");
	for (unsigned i = 0; i < task->container_count; i++)
		add_container(out, task, &task->containers[i]);
	text_add_string(out, "]");
}

static void add_attachments(struct text *out, const struct ecs_task *task, enum ecs_times times)
{
	json_text_name(out, "attachments");
	text_add_string(out, "[");
	if (task->subnet != NULL) {
		text_add_string(out, "{");
		json_text_member(out, "id", task->id);
		json_text_member(out, "type",
				 times == ECS_TIMES_EPOCH ? "ElasticNetworkInterface" : "eni");
		json_text_member(out, "status", task->state == ECS_PROVISIONING ? "PRECREATED"
						: task->state == ECS_STOPPED    ? "DELETED"
										: "ATTACHED");
		text_add_string(out, ",\"details\":[{\"name\":\"subnetId\"");
		json_text_member(out, "value", task->subnet);
		text_add_string(out, "}]}");
	}
	text_add_string(out, "]");
}

static void add_times(struct text *out, const struct ecs_task *task, enum ecs_times times)
{
	add_time(out, "createdAt", task->created_ms, times);
	add_time(out, "pullStartedAt", task->pull_started_ms, times);
	add_time(out, "pullStoppedAt", task->pull_stopped_ms, times);
	add_time(out, "startedAt", task->started_ms, times);
	add_time(out, "stoppingAt", task->stopping_ms, times);
	add_time(out, "executionStoppedAt", task->execution_stopped_ms, times);
	add_time(out, "stoppedAt", task->stopped_ms, times);
}

/* A member of the request, shown as it was given. */
static bool add_given(struct text *out, const struct ecs_task *task, const char *name)
{
	json_t *value = json_object_get(task->in, name);

	if (value == NULL || json_is_null(value))
		return false;
	json_text_name(out, name);
	json_text_value(out, value);
	return true;
}

/* Exactly as large as it has to be: there may be very many. */
static void keep(struct text *kept, const struct text *text)
{
	text_finish(kept);
	kept->data = xmemdup(text->data, text->bytes + 1);
	kept->bytes = text->bytes;
	kept->room = text->bytes + 1;
}

void ecs_render_given(struct ecs_task *task, const struct ecs_run_request *request,
		      const char *launch_type, const char *capacity_provider)
{
	struct text *out = &task->cluster->ecs->scratch;

	text_clear(out);
	text_add_string(out, "{");
	json_text_member(out, "taskArn", task->arn);
	json_text_member(out, "clusterArn", task->cluster->arn);
	json_text_member(out, "taskDefinitionArn", task->definition_arn);
	json_text_member(out, "launchType", launch_type);
	json_text_member(out, "capacityProviderName", capacity_provider);
	json_text_member(out, "startedBy", task->started_by);
	if (!add_given(out, task, "group")) {
		text_add_string(out, ",\"group\":\"family:");
		text_add_string(out, task->family);
		text_add_string(out, "\"");
	}
	text_add_string(out, ",\"overrides\":");
	if (request->overrides->bytes > 0)
		text_add(out, request->overrides->data, request->overrides->bytes);
	else
		text_add_string(out, "{\"containerOverrides\":[],"
				     "\"inferenceAcceleratorOverrides\":[]}");
	add_given(out, task, "enableExecuteCommand");
	add_given(out, task, "platformVersion");
	keep(&task->given, out);
	text_clear(out);
	text_add_string(out, "{");
	if (add_given(out, task, "tags"))
		keep(&task->tags, out);
}

static void add_changing(struct text *out, const struct ecs_task *task)
{
	json_text_member(out, "lastStatus", ecs_task_state_names[task->state]);
	json_text_member(out, "desiredStatus", task->stop_wanted ? "STOPPED" : "RUNNING");
	json_text_number_member(out, "version", task->version);
	json_text_member(out, "stopCode", task->stop_code);
	json_text_member(out, "stoppedReason", task->stopped_reason);
}

static void add_tags(struct text *out, const struct ecs_task *task, bool with_tags)
{
	text_add_string(out, ",");
	if (with_tags && task->tags.bytes > 0)
		text_add(out, task->tags.data + 1, task->tags.bytes - 1);
	else
		text_add_string(out, "\"tags\":[]");
}

/* The object stays open: events have one more member. */
static void add_task(struct text *out, const struct ecs_task *task, enum ecs_times times,
		     bool with_tags)
{
	text_add(out, task->given.data, task->given.bytes);
	add_changing(out, task);
	add_times(out, task, times);
	add_containers(out, task);
	add_attachments(out, task, times);
	if (times == ECS_TIMES_EPOCH)
		add_tags(out, task, with_tags);
}

void ecs_render_task(struct text *out, const struct ecs_task *task, enum ecs_times times,
		     bool with_tags)
{
	json_text_item(out);
	add_task(out, task, times, with_tags);
	text_add_string(out, "}");
}

/* ---- events ---- */

static void add_event(struct text *out, const struct ecs_task *task, const char *id)
{
	int64_t now_ms = world_now_ms(task->cluster->ecs->world);

	text_add_string(out, "{\"version\":\"0\"");
	json_text_member(out, "id", id);
	json_text_member(out, "detail-type", "ECS Task State Change");
	json_text_member(out, "source", "aws.ecs");
	json_text_member(out, "account", WORLD_ACCOUNT);
	add_time(out, "time", now_ms, ECS_TIMES_ISO);
	json_text_member(out, "region", WORLD_REGION);
	text_add_string(out, ",\"resources\":[");
	json_text_string(out, task->arn, strlen(task->arn));
	text_add_string(out, "],\"detail\":");
	add_task(out, task, ECS_TIMES_ISO, false);
	add_time(out, "updatedAt", now_ms, ECS_TIMES_ISO);
	text_add_string(out, "}}");
}

void ecs_event_send(const struct ecs_task *task)
{
	struct ecs *ecs = task->cluster->ecs;
	struct sqs_draft draft = { .delay_s = 0 };
	struct text event = { 0 };
	struct sqs_queue *queue;
	struct sqs_sent sent;
	char id[UUID_ROOM];

	if (ecs->events_queue_url == NULL)
		return;
	queue = sqs_find_url(ecs->sqs, ecs->events_queue_url);
	if (queue == NULL)
		return;
	world_uuid(ecs->world, id);
	add_event(&event, task, id);
	draft.body = json_stringn(event.data, event.bytes);
	if (queue->settings.fifo) {
		draft.group_id = task->id;
		draft.dedup_id = id;
	}
	sqs_queue_send(queue, &draft, &sent);
	json_decref(draft.body);
	text_finish(&event);
}
