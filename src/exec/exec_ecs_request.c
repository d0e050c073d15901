/* SPDX-License-Identifier: Apache-2.0 */
/* exec_ecs_request.c - RunTask's parameters for one attempt of a job, frozen into a text.
 *
 * All but the clientToken, which the launch adds.  The same job, attempt and configuration always make
 * the same text: no time, no host, no order by chance, because ECS answers a repeat under one token
 * only if every parameter is the same.
 *
 * startedBy is made from the attempt, so that a listing by it finds this launch and no other. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/json_at.h"
#include "base/mem.h"
#include "exec/exec_ecs.h"
#include "job/job_message.h"
#include "job/job_token.h"
#include "job/template.h"

enum { STARTED_BY_DIGITS = 28 };        /* after "gantry/" */

struct request {
	const struct conf_deployer *conf;
	const struct job *job;
	json_t *payload;
	struct template_values values;
	struct error *err;
};

/* A template's text, the caller's to free; NULL with the error prefixed by what it is for. */
static char *expand(const struct request *request, const char *text, const char *what)
{
	struct buf out;

	buf_init(&out, LIMIT_EXEC_REQUEST_BYTES);
	if (!template_expand(text, &request->values, &out, request->err)) {
		error_prefix(request->err, "%s", what);
		buf_finish(&out);
		return NULL;
	}
	return buf_take(&out);
}

/* False when the text is not UTF-8, which JSON can't carry. */
static bool set_text(const struct request *request, json_t *object, const char *member, const char *text)
{
	if (text == NULL || json_object_set_new(object, member, json_string(text)) == 0)
		return true;
	error_set(request->err, ERROR_INVALID, "%s is not valid UTF-8", member);
	return false;
}

static bool append_text(const struct request *request, json_t *array, const char *text)
{
	if (json_array_append_new(array, json_string(text)) == 0)
		return true;
	error_set(request->err, ERROR_INVALID, "a text is not valid UTF-8");
	return false;
}

static json_t *text_array(const struct request *request, const struct texts *texts)
{
	json_t *array = json_array();

	for (size_t i = 0; i < texts->count; i++) {
		if (!append_text(request, array, texts->at[i])) {
			json_decref(array);
			return NULL;
		}
	}
	return array;
}

/* -- the container's overrides ---------------------------------------------------------------------- */

static bool add_environment(const struct request *request, struct pairs *environment)
{
	const struct pairs *conf = &request->conf->environment;
	const char *name;
	json_t *value;
	char number[32];

	for (size_t i = 0; i < conf->count; i++) {
		char *text = expand(request, conf->at[i].value, conf->at[i].name);

		if (text == NULL)
			return false;
		pairs_set(environment, conf->at[i].name, text);
		free(text);
	}
	json_object_foreach(json_object_get(request->payload, "environment"), name, value) {
		if (json_is_string(value))
			pairs_set(environment, name, json_string_value(value));
	}
	/* Ours come last: no message takes another job's name or fence. */
	pairs_set(environment, "GANTRY_JOB", request->job->id);
	snprintf(number, sizeof(number), "%u", request->job->attempt.number);
	pairs_set(environment, "GANTRY_ATTEMPT", number);
	pairs_set(environment, "GANTRY_PROJECT", request->job->project != NULL ? request->job->project : "");
	snprintf(number, sizeof(number), "%lld", (long long)request->job->grant);
	pairs_set(environment, "GANTRY_FENCE", number);
	return true;
}

static bool set_environment(const struct request *request, json_t *container)
{
	struct pairs environment = { 0 };
	json_t *array = json_array();
	bool ok = add_environment(request, &environment);

	for (size_t i = 0; ok && i < environment.count; i++) {
		json_t *entry = json_object();

		json_array_append_new(array, entry);
		ok = set_text(request, entry, "name", environment.at[i].name) &&
		     set_text(request, entry, "value", environment.at[i].value);
	}
	pairs_finish(&environment);
	json_object_set_new(container, "environment", array);
	return ok;
}

/* The message's command, or its shell lines as one script that ends at the first failure. */
static json_t *message_command(const json_t *payload)
{
	json_t *command = json_at_array(payload, "command");
	json_t *lines = json_at_array(payload, "commands");
	const json_t *line;
	struct buf script;
	json_t *array;
	size_t i;

	if (command != NULL)
		return json_incref(command);
	if (lines == NULL)
		return NULL;
	/* It holds what any message can: too long a script is refused below, by the size of the overrides. */
	buf_init(&script, 2 * LIMIT_MESSAGE_BODY_BYTES);
	json_array_foreach(lines, i, line) {
		buf_add_text(&script, json_is_string(line) ? json_string_value(line) : "");
		buf_add_char(&script, '\n');
	}
	array = json_pack("[s, s, s]", "/bin/sh", "-ec", buf_text(&script));
	buf_finish(&script);
	return array;
}

static bool set_command(const struct request *request, json_t *container)
{
	const struct texts *conf = &request->conf->command;
	json_t *array = message_command(request->payload);

	if (array != NULL) {
		json_object_set_new(container, "command", array);
		return true;
	}
	if (conf->count == 0)
		return true;
	array = json_array();
	json_object_set_new(container, "command", array);
	for (size_t i = 0; i < conf->count; i++) {
		char *text = expand(request, conf->at[i], "command");
		bool ok = text != NULL && append_text(request, array, text);

		free(text);
		if (!ok)
			return false;
	}
	return true;
}

static bool check_size(const struct request *request, const json_t *overrides)
{
	char *text = json_at_dump(overrides);
	size_t size = strlen(text);

	free(text);
	if (size <= LIMIT_ECS_OVERRIDES_BYTES)
		return true;
	error_set(request->err, ERROR_INVALID, "environment and command make overrides of %zu bytes, ECS takes at most %d: "
		"pass a reference to what is large", size, LIMIT_ECS_OVERRIDES_BYTES);
	return false;
}

static bool set_overrides(const struct request *request, json_t *root)
{
	const struct conf_deployer *conf = request->conf;
	json_t *container = json_object();
	json_t *overrides = json_object();
	json_t *containers = json_array();

	json_object_set_new(root, "overrides", overrides);
	json_object_set_new(overrides, "containerOverrides", containers);
	json_array_append_new(containers, container);
	return set_text(request, container, "name", conf->container) && set_command(request, container) &&
	       set_environment(request, container) && set_text(request, overrides, "cpu", conf->cpu) &&
	       set_text(request, overrides, "memory", conf->memory) &&
	       set_text(request, overrides, "taskRoleArn", conf->task_role) &&
	       set_text(request, overrides, "executionRoleArn", conf->execution_role) && check_size(request, overrides);
}

/* -- placement, network, tags ----------------------------------------------------------------------- */

/* Steps walk through the providers with all subnets, then through the providers with the first subnet
 * alone, and so on: a provider that is short of room often has some in another zone, but ECS may choose
 * the full zone each time it may choose. */
static size_t provider_count(const struct conf_deployer *conf)
{
	return conf->capacity_providers.count > 0 ? conf->capacity_providers.count : 1;
}

static size_t single_subnets(const struct conf_deployer *conf)
{
	return conf->network.subnets.count > 1 ? conf->network.subnets.count : 0;
}

unsigned ecs_request_steps(const struct conf_deployer *conf)
{
	return (unsigned)(provider_count(conf) * (1 + single_subnets(conf)));
}

static bool set_placement(const struct request *request, json_t *root)
{
	const struct texts *providers = &request->conf->capacity_providers;
	json_t *strategy, *entry;

	if (providers->count == 0)
		return set_text(request, root, "launchType", request->conf->launch_type);
	strategy = json_array();
	entry = json_object();
	json_object_set_new(root, "capacityProviderStrategy", strategy);
	json_array_append_new(strategy, entry);
	json_object_set_new(entry, "weight", json_integer(1));
	return set_text(request, entry, "capacityProvider", providers->at[request->job->attempt.step % providers->count]);
}

static json_t *subnet_array(const struct request *request)
{
	const struct conf_deployer *conf = request->conf;
	size_t round = request->job->attempt.step % ecs_request_steps(conf) / provider_count(conf);
	struct texts one = { .at = &conf->network.subnets.at[round > 0 ? round - 1 : 0], .count = 1 };

	return text_array(request, round > 0 ? &one : &conf->network.subnets);
}

static bool set_network(const struct request *request, json_t *root)
{
	const struct conf_network *network = &request->conf->network;
	json_t *subnets, *groups, *vpc;

	if (network->subnets.count == 0)
		return true;
	subnets = subnet_array(request);
	groups = subnets != NULL ? text_array(request, &network->security_groups) : NULL;
	if (groups == NULL) {
		json_decref(subnets);
		return false;
	}
	vpc = json_pack("{s:o}", "subnets", subnets);
	if (json_array_size(groups) > 0)
		json_object_set(vpc, "securityGroups", groups);
	json_decref(groups);
	json_object_set_new(vpc, "assignPublicIp", json_string(network->assign_public_ip ? "ENABLED" : "DISABLED"));
	json_object_set_new(root, "networkConfiguration", json_pack("{s:o}", "awsvpcConfiguration", vpc));
	return true;
}

/* ECS takes letters, digits, blanks and + - = . _ : / @ in tags; a job must not fail for another
 * character in its project's name. */
static void tame(char *text, size_t limit)
{
	size_t len = strlen(text);

	if (len > limit) {
		while (limit > 0 && ((unsigned char)text[limit] & 0xc0) == 0x80)
			limit--;
		text[limit] = '\0';
	}
	for (; *text != '\0'; text++) {
		unsigned char c = (unsigned char)*text;
		bool alnum = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c >= 0x80;

		if (!alnum && strchr(" +-=._:/@", c) == NULL)
			*text = '_';
	}
}

static bool add_tag(const struct request *request, json_t *tags, const char *key, const char *value)
{
	char *tamed_key = xstrdup(key), *tamed_value = xstrdup(value);
	json_t *tag = json_object();
	bool ok;

	tame(tamed_key, LIMIT_ECS_TAG_KEY_BYTES);
	tame(tamed_value, LIMIT_ECS_TAG_VALUE_BYTES);
	json_array_append_new(tags, tag);
	ok = set_text(request, tag, "key", tamed_key) && set_text(request, tag, "value", tamed_value);
	free(tamed_key);
	free(tamed_value);
	return ok;
}

static bool set_tags(const struct request *request, json_t *root)
{
	const struct pairs *conf = &request->conf->tags;
	json_t *tags = json_array();

	json_object_set_new(root, "tags", tags);
	for (size_t i = 0; i < conf->count && i < LIMIT_ECS_TAGS - 2; i++) {
		char *text = expand(request, conf->at[i].value, conf->at[i].name);
		bool ok = text != NULL && add_tag(request, tags, conf->at[i].name, text);

		free(text);
		if (!ok)
			return false;
	}
	return add_tag(request, tags, "gantry:job", request->job->id) &&
	       add_tag(request, tags, "gantry:project", request->job->project != NULL ? request->job->project : "");
}

static bool set_started_by(const struct request *request, json_t *root)
{
	const struct job *job = request->job;
	char *token = job_token(job->id, job->attempt.number, job->attempt.step);
	char *text = xasprintf("gantry/%.*s", STARTED_BY_DIGITS, token);
	bool ok = set_text(request, root, "startedBy", text);

	free(token);
	free(text);
	return ok;
}

static bool set_flags(const struct request *request, json_t *root)
{
	if (request->conf->propagate_tags)
		json_object_set_new(root, "propagateTags", json_string("TASK_DEFINITION"));
	json_object_set_new(root, "enableECSManagedTags", json_true());
	if (request->conf->execute_command)
		json_object_set_new(root, "enableExecuteCommand", json_true());
	return set_text(request, root, "platformVersion", request->conf->platform_version) &&
	       set_text(request, root, "group", request->conf->group);
}

/* -- the whole -------------------------------------------------------------------------------------- */

static char *dump(const struct request *request, const json_t *root)
{
	char *text = json_at_dump(root);

	if (strlen(text) <= LIMIT_EXEC_REQUEST_BYTES)
		return text;
	error_set(request->err, ERROR_INVALID, "the launch's parameters make %zu bytes, at most %d are kept",
		strlen(text), LIMIT_EXEC_REQUEST_BYTES);
	free(text);
	return NULL;
}

char *ecs_request_build(const struct conf_deployer *conf, const struct job *job, struct error *err)
{
	struct request request = { .conf = conf, .job = job, .err = err };
	json_t *root = json_object();
	char *text = NULL;

	request.payload = job_message_payload(job);
	request.values = (struct template_values){ .job = job, .payload = request.payload };
	if (request.payload != NULL && !job_message_allowed(request.payload, &conf->allow, err))
		goto out;
	if (!set_text(&request, root, "cluster", conf->cluster) ||
	    !set_text(&request, root, "taskDefinition", conf->task_definition))
		goto out;
	json_object_set_new(root, "count", json_integer(1));
	if (set_placement(&request, root) && set_network(&request, root) && set_overrides(&request, root) &&
	    set_started_by(&request, root) && set_flags(&request, root) && set_tags(&request, root))
		text = dump(&request, root);
out:
	json_decref(request.payload);
	json_decref(root);
	return text;
}

const char *ecs_request_cluster(const json_t *request)
{
	return json_at_string(request, "cluster");
}

const char *ecs_request_container(const json_t *request)
{
	return json_at_string(request, "overrides.containerOverrides[0].name");
}

const char *ecs_request_started_by(const json_t *request)
{
	return json_at_string(request, "startedBy");
}
