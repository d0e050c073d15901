/* SPDX-License-Identifier: Apache-2.0 */
/* ecs_run_check.c - the limits and types of RunTask's members, from the service model. */
#include "ecs_run_check.h"

#include "json_text.h"
#include "member.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INVALID "InvalidParameterException"

static bool refuse(struct aws_error *error, const char *why)
{
	aws_error_set(error, INVALID, "%s", why);
	return false;
}

static bool one_of(const char *value, const char *const *allowed)
{
	for (; *allowed != NULL; allowed++) {
		if (value == NULL || strcmp(value, *allowed) == 0)
			return true;
	}
	return false;
}

static bool strings_only(const json_t *array, const char *name, struct aws_error *error)
{
	json_t *item;
	size_t i;

	json_array_foreach(array, i, item) {
		if (!json_is_string(item)) {
			aws_error_set(error, "SerializationException",
				      "NUMBER_VALUE can not be converted to a String (%s)", name);
			return false;
		}
	}
	return true;
}

static bool check_token(const char *token, struct aws_error *error)
{
	size_t length = token == NULL ? 1 : strlen(token);

	for (size_t i = 0; token != NULL && i < length; i++) {
		if (!isgraph((unsigned char)token[i]))
			return refuse(error, "clientToken can only contain ASCII characters 33 to "
					     "126.");
	}
	if (length < 1 || length > LIMIT_CLIENT_TOKEN)
		return refuse(error, "clientToken has to have 1 to 64 characters.");
	return true;
}

static bool check_started_by(const char *started_by, struct aws_error *error)
{
	if (started_by == NULL)
		return true;
	if (strlen(started_by) > LIMIT_STARTED_BY)
		return refuse(error, "startedBy can have at most 128 characters.");
	for (; *started_by != '\0'; started_by++) {
		if (!isalnum((unsigned char)*started_by) && strchr("-/_", *started_by) == NULL)
			return refuse(error, "startedBy contains invalid characters.");
	}
	return true;
}

static bool check_strategy(const json_t *strategy, struct aws_error *error)
{
	json_int_t weights = 0;
	json_t *item;
	size_t i;

	if (json_array_size(strategy) > LIMIT_STRATEGY)
		return refuse(error, "A capacity provider strategy can have at most 20 items.");
	json_array_foreach(strategy, i, item) {
		const char *provider = NULL;
		json_int_t weight = 0, base = 0;

		if (!member_string(item, "capacityProvider", &provider, error) ||
		    !member_integer(item, "weight", &weight, error) ||
		    !member_integer(item, "base", &base, error))
			return false;
		if (provider == NULL)
			return refuse(error, "capacityProvider cannot be empty.");
		if (weight < 0 || weight > 1000 || base < 0 || base > 100000)
			return refuse(error, "weight is 0 to 1000, base 0 to 100000.");
		weights += weight;
	}
	if (i > 1 && weights == 0)
		return refuse(error, "At least one capacity provider has to have a weight.");
	return true;
}

static bool check_network(const json_t *network, json_t **checked_subnets, struct aws_error *error)
{
	static const char *const public_ip[] = { "ENABLED", "DISABLED", NULL };
	json_t *awsvpc = NULL, *subnets = NULL, *groups = NULL;
	const char *assign = NULL;

	if (!member_object(network, "awsvpcConfiguration", &awsvpc, error) ||
	    !member_array(awsvpc, "subnets", &subnets, error) ||
	    !member_array(awsvpc, "securityGroups", &groups, error) ||
	    !member_string(awsvpc, "assignPublicIp", &assign, error) ||
	    !strings_only(subnets, "subnets", error) ||
	    !strings_only(groups, "securityGroups", error))
		return false;
	if (json_array_size(subnets) == 0)
		return refuse(error, "subnets can not be empty.");
	if (json_array_size(subnets) > LIMIT_SUBNETS)
		return refuse(error, "subnets can have at most 16 items.");
	if (json_array_size(groups) > LIMIT_SECURITY_GROUPS)
		return refuse(error, "securityGroups can have at most 5 items.");
	*checked_subnets = subnets;
	return one_of(assign, public_ip) ||
	       refuse(error, "assignPublicIp should be one of ENABLED,DISABLED");
}

/* Launch type, capacity providers, platform and network have to fit each other. */
static bool check_placement(struct ecs_run_request *request, json_t *in, struct aws_error *error)
{
	static const char *const launch_types[] = { "EC2", "FARGATE", "EXTERNAL",
						    "MANAGED_INSTANCES", NULL };
	const char *platform = NULL;
	json_t *network = NULL;
	bool fargate;

	if (!member_string(in, "launchType", &request->launch_type, error) ||
	    !member_array(in, "capacityProviderStrategy", &request->strategy, error) ||
	    !member_string(in, "platformVersion", &platform, error) ||
	    !member_object(in, "networkConfiguration", &network, error))
		return false;
	if (json_array_size(request->strategy) == 0)
		request->strategy = NULL;
	if (!one_of(request->launch_type, launch_types))
		return refuse(error, "launchType should be one of EC2,FARGATE,EXTERNAL,"
				     "MANAGED_INSTANCES");
	if (request->launch_type != NULL && request->strategy != NULL)
		return refuse(error, "Specifying both a launch type and capacity provider strategy "
				     "is not supported. Remove one and try again.");
	fargate = request->launch_type != NULL && strcmp(request->launch_type, "FARGATE") == 0;
	if (fargate && network == NULL)
		return refuse(error, "Network Configuration must be provided when networkMode "
				     "'awsvpc' is specified.");
	if (platform != NULL && request->launch_type != NULL && !fargate)
		return refuse(error, "The platform version must be null when specifying an EC2 "
				     "launch type.");
	return check_strategy(request->strategy, error) &&
	       (network == NULL || check_network(network, &request->subnets, error));
}

static bool check_environment(json_t *container, struct aws_error *error)
{
	json_t *environment = NULL, *variable;
	size_t i;

	if (!member_array(container, "environment", &environment, error))
		return false;
	json_array_foreach(environment, i, variable) {
		const char *name = NULL, *value = NULL;

		if (!member_string(variable, "name", &name, error) ||
		    !member_string(variable, "value", &value, error))
			return false;
		if (name == NULL || *name == '\0')
			return refuse(error, "Environment variable names must not be empty.");
	}
	return true;
}

static bool check_container(json_t *container, struct aws_error *error)
{
	json_int_t cpu = 0, memory = 0, reservation = 0;
	const char *name = NULL;
	json_t *command = NULL;

	if (!member_string(container, "name", &name, error) ||
	    !member_array(container, "command", &command, error) ||
	    !strings_only(command, "command", error) ||
	    !member_integer(container, "cpu", &cpu, error) ||
	    !member_integer(container, "memory", &memory, error) ||
	    !member_integer(container, "memoryReservation", &reservation, error) ||
	    !check_environment(container, error))
		return false;
	if (name == NULL || *name == '\0')
		return refuse(error, "Container Override name cannot be empty.");
	return true;
}

static bool check_overrides(struct ecs_run_request *request, json_t *in, struct aws_error *error)
{
	json_t *overrides = NULL, *containers = NULL, *container;
	const char *string = NULL;
	size_t i;

	if (!member_object(in, "overrides", &overrides, error) ||
	    !member_array(overrides, "containerOverrides", &containers, error) ||
	    !member_string(overrides, "cpu", &string, error) ||
	    !member_string(overrides, "memory", &string, error) ||
	    !member_string(overrides, "taskRoleArn", &string, error) ||
	    !member_string(overrides, "executionRoleArn", &string, error))
		return false;
	if (overrides != NULL)
		json_text_value(request->overrides, overrides);
	if (request->overrides->bytes > LIMIT_OVERRIDES_BYTES) {
		aws_error_set(error, INVALID, "Container Overrides length must be at most %d (%zu)",
			      LIMIT_OVERRIDES_BYTES, request->overrides->bytes);
		return false;
	}
	json_array_foreach(containers, i, container) {
		if (!check_container(container, error))
			return false;
	}
	return true;
}

static bool check_tags(json_t *in, struct aws_error *error)
{
	static const char *const propagate[] = { "TASK_DEFINITION", "NONE", NULL };
	const char *propagate_tags = NULL;
	json_t *tags = NULL, *tag;
	bool managed;
	size_t i;

	if (!member_array(in, "tags", &tags, error) ||
	    !member_string(in, "propagateTags", &propagate_tags, error) ||
	    !member_bool(in, "enableECSManagedTags", &managed, error) ||
	    !member_bool(in, "enableExecuteCommand", &managed, error))
		return false;
	if (json_array_size(tags) > LIMIT_TAGS)
		return refuse(error, "tags can have at most 50 items.");
	json_array_foreach(tags, i, tag) {
		const char *key = NULL, *value = "";

		if (!member_string(tag, "key", &key, error) ||
		    !member_string(tag, "value", &value, error))
			return false;
		if (key == NULL || *key == '\0' || strlen(key) > 128 || strlen(value) > 256)
			return refuse(error, "A tag's key has 1 to 128 characters, its value 256 at "
					     "most.");
	}
	return one_of(propagate_tags, propagate) ||
	       refuse(error, "propagateTags should be one of TASK_DEFINITION,NONE");
}

bool ecs_run_check(struct ecs_run_request *request, json_t *in, struct aws_error *error)
{
	const char *started_by = NULL, *group = NULL;

	request->count = 1;
	if (!member_string(in, "cluster", &request->cluster, error) ||
	    !member_string(in, "taskDefinition", &request->task_definition, error) ||
	    !member_string(in, "clientToken", &request->client_token, error) ||
	    !member_string(in, "startedBy", &started_by, error) ||
	    !member_string(in, "group", &group, error) ||
	    !member_integer(in, "count", &request->count, error))
		return false;
	if (request->task_definition == NULL || *request->task_definition == '\0')
		return refuse(error, "TaskDefinition can not be blank.");
	if (request->count < 1 || request->count > 10)
		return refuse(error, "count should be between 1 and 10.");
	return check_token(request->client_token, error) && check_started_by(started_by, error) &&
	       check_placement(request, in, error) && check_overrides(request, in, error) &&
	       check_tags(in, error);
}

bool ecs_run_check_containers(const json_t *in, const json_t *definition,
			      struct aws_error *error)
{
	const json_t *overrides = json_object_get(json_object_get(in, "overrides"),
						  "containerOverrides");
	const json_t *containers = json_object_get(definition, "containerDefinitions");
	json_t *override, *container;
	size_t i, j;

	if (json_is_true(json_object_get(definition, "madeUp")))
		return true;
	json_array_foreach(overrides, i, override) {
		const json_t *name = json_object_get(override, "name");
		bool found = false;

		json_array_foreach(containers, j, container)
			found |= json_equal(name, json_object_get(container, "name")) != 0;
		if (!found) {
			aws_error_set(error, INVALID,
				      "Override for container named %s is not a container in the "
				      "TaskDefinition.", json_string_value(name));
			return false;
		}
	}
	return true;
}
