/* SPDX-License-Identifier: Apache-2.0 */
/* ecs_run.c - RunTask: the same token is the same launch, capacity may be missing. */
#include "ecs_api.h"

#include "ecs_behaviour.h"
#include "ecs_render.h"
#include "ecs_run_check.h"
#include "ecs_token.h"
#include "json_text.h"
#include "stats.h"
#include "xalloc.h"

static json_t *failure(const char *arn, const char *reason, const char *detail)
{
	json_t *out = json_object();

	if (arn != NULL)
		json_object_set_new(out, "arn", json_string(arn));
	json_object_set_new(out, "reason", json_string(reason));
	if (detail != NULL && *detail != '\0')
		json_object_set_new(out, "detail", json_string(detail));
	return out;
}

/* What makes two requests with one token the same: every member but the token. */
static uint64_t hash_parameters(struct call *call)
{
	return json_text_hash_without(call->in, "clientToken");
}

/* ---- a token that is known ---- */

/* A task that has stopped is shown by its ARN and states only. */
static void repeat_task(struct text *out, struct ecs_cluster *cluster, const char *arn)
{
	struct table_node *node = table_find(&cluster->tasks, ecs_last_part(arn, '/'));
	struct ecs_task *task = node == NULL ? NULL : container_of(node, struct ecs_task, by_id);

	if (task != NULL && task->state != ECS_STOPPED) {
		ecs_render_task(out, task, ECS_TIMES_EPOCH, false);
		return;
	}
	json_text_item(out);
	text_add_string(out, "{");
	json_text_member(out, "taskArn", arn);
	text_add_string(out, ",\"lastStatus\":\"STOPPED\",\"desiredStatus\":\"STOPPED\"}");
}

static void end_answer(struct call *call, json_t *failures)
{
	text_add_string(&call->raw, "],\"failures\":");
	json_text_value(&call->raw, failures);
	text_add_string(&call->raw, "}");
}

static void answer_again(struct call *call, const struct ecs_token *token)
{
	text_add_string(&call->raw, "{\"tasks\":[");
	for (unsigned i = 0; i < token->tasks; i++) {
		repeat_task(&call->raw, token->cluster, token->arns[i]);
		ledger_task_asked_again(call->sim->world.ledger, token->ledger[i]);
	}
	end_answer(call, token->failures);
	stats_add(call->sim->stats, "run_task_repeats", 1);
}

static void answer_conflict(struct call *call, const struct ecs_token *token)
{
	json_t *arns = json_array();

	for (unsigned i = 0; i < token->tasks; i++)
		json_array_append_new(arns, json_string(token->arns[i]));
	aws_error_set(&call->error, "ConflictException",
		      "The provided clientToken is already in use with a different RunTask request.");
	call->error.members = json_pack("{s:o}", "resourceIds", arns);
	stats_add(call->sim->stats, "run_task_conflicts", 1);
}

/* ---- a launch ---- */

/* By base first, then by chance as the weights say. */
static const char *choose_provider(struct call *call, const json_t *strategy,
				   json_int_t already_placed)
{
	json_int_t weights = 0, pick;
	json_t *item;
	size_t i;

	json_array_foreach(strategy, i, item) {
		json_int_t base = json_integer_value(json_object_get(item, "base"));

		if (already_placed < base)
			return json_string_value(json_object_get(item, "capacityProvider"));
		already_placed -= base;
		weights += json_integer_value(json_object_get(item, "weight"));
	}
	if (weights == 0)
		return json_string_value(
			json_object_get(json_array_get(strategy, 0), "capacityProvider"));
	pick = (json_int_t)(dice_roll(&call->sim->world.dice) % (uint64_t)weights);
	json_array_foreach(strategy, i, item) {
		pick -= json_integer_value(json_object_get(item, "weight"));
		if (pick < 0)
			break;
	}
	return json_string_value(json_object_get(json_array_get(strategy, i), "capacityProvider"));
}

static void note_task(struct call *call, struct ecs_task *task, const char *client_token)
{
	struct text *environment = &task->cluster->ecs->scratch;
	struct ledger_task entry = {
		.arn = task->arn,
		.cluster = task->cluster->name,
		.task_definition = ecs_last_part(task->definition_arn, '/'),
		.client_token = client_token,
		.started_by = task->started_by,
		.created_ms = task->created_ms,
	};

	text_clear(environment);
	ecs_override_environment(environment, call->in);
	entry.environment = environment->data;
	entry.environment_bytes = environment->bytes;
	task->ledger = ledger_task(call->sim->world.ledger, &entry);
	stats_add(call->sim->stats, "tasks_created", 1);
}

static bool take_capacity(struct ecs_capacity *capacity, json_t *failures)
{
	if (capacity == NULL)
		return true;
	if (capacity->available == 0) {
		json_array_append_new(failures, failure(NULL, capacity->reason, NULL));
		return false;
	}
	if (capacity->available > 0)
		capacity->available--;
	return true;
}

/* One of those that were named, by chance: ECS doesn't look for the one that has room. */
static const char *choose_subnet(struct call *call, const struct ecs_run_request *request)
{
	size_t count = json_array_size(request->subnets);
	bool by_chance = count > 1 && !call->sim->ecs->settings.first_subnet;
	size_t pick = by_chance ? dice_roll(&call->sim->world.dice) % count : 0;

	return json_string_value(json_array_get(request->subnets, pick));
}

static bool choose_place(struct call *call, struct ecs *ecs, const struct ecs_run_request *request,
			 json_int_t already_placed, struct ecs_place *place, json_t *failures)
{
	const char *room;

	*place = (struct ecs_place){ .subnet = choose_subnet(call, request) };
	if (request->strategy != NULL)
		place->capacity_provider = choose_provider(call, request->strategy, already_placed);
	room = place->capacity_provider != NULL ? place->capacity_provider
	       : request->launch_type != NULL   ? request->launch_type
						: "FARGATE";
	place->room = ecs_capacity(ecs, room);
	if (place->subnet != NULL)
		place->subnet_room = ecs_subnet_capacity(ecs, place->subnet);
	if (!take_capacity(place->room, failures))
		return false;
	if (take_capacity(place->subnet_room, failures))
		return true;
	if (place->room->available >= 0)
		place->room->available++;
	return false;
}

static void launch(struct call *call, struct ecs_cluster *cluster,
		   const struct ecs_run_request *request, json_t *definition,
		   struct ecs_token *token)
{
	json_t *failures = json_array();

	text_reserve(&call->raw, 2048);
	text_add_string(&call->raw, "{\"tasks\":[");
	for (json_int_t i = 0; i < request->count; i++) {
		struct ecs_place place;
		struct ecs_task *task;

		if (!choose_place(call, cluster->ecs, request, i, &place, failures))
			continue;
		task = ecs_task_create(cluster, call->in, request, definition, &place);
		task->token = token;
		note_task(call, task, request->client_token);
		if (token != NULL)
			ecs_token_add_task(token, task->arn, task->ledger);
		ecs_render_task(&call->raw, task, ECS_TIMES_EPOCH, true);
	}
	end_answer(call, failures);
	if (token != NULL)
		token->failures = json_incref(failures);
	json_decref(failures);
}

/* Failures that an administrator asked for: nothing starts. */
static void answer_failures(struct call *call, struct ecs_token *token)
{
	const struct fault *fault = call->fault;
	json_t *failures = json_array();

	json_array_append_new(failures, failure(NULL, fault->code[0] != '\0' ? fault->code
									     : "RESOURCE:MEMORY",
						fault->message));
	if (token != NULL)
		token->failures = json_incref(failures);
	json_object_set_new(call->out, "tasks", json_array());
	json_object_set_new(call->out, "failures", failures);
}

static void run_checked(struct call *call, struct ecs_cluster *cluster,
			const struct ecs_run_request *request, json_t *definition)
{
	struct ecs_token *token = NULL;
	uint64_t parameters;

	if (request->client_token != NULL) {
		parameters = hash_parameters(call);
		token = ecs_token_find(cluster, request->client_token);
		if (token != NULL) {
			if (token->parameters == parameters)
				answer_again(call, token);
			else
				answer_conflict(call, token);
			return;
		}
		token = ecs_token_add(cluster, request->client_token, parameters);
	}
	if (call_fault_is(call, FAULT_FAILURES))
		answer_failures(call, token);
	else
		launch(call, cluster, request, definition, token);
	if (token != NULL && token->tasks == 0 && !cluster->ecs->settings.failures_bind_token)
		ecs_token_forget(token);
}

static void run(struct call *call, struct ecs_run_request *request)
{
	struct ecs *ecs = call->sim->ecs;
	struct ecs_cluster *cluster;
	json_t *definition;

	if (!ecs_run_check(request, call->in, &call->error))
		return;
	cluster = ecs_cluster(ecs, request->cluster, &call->error);
	if (cluster == NULL)
		return;
	definition = ecs_definition_describe(ecs, request->task_definition, &call->error);
	if (definition == NULL)
		return;
	if (ecs_run_check_containers(call->in, definition, &call->error))
		run_checked(call, cluster, request, definition);
	json_decref(definition);
}

void ecs_run_task(struct call *call)
{
	struct ecs *ecs = call->sim->ecs;
	struct ecs_run_request request = { .overrides = &ecs->overrides };

	text_clear(&ecs->overrides);
	if (ecs_allows(call, &ecs->run_rate))
		run(call, &request);
}
