/* SPDX-License-Identifier: Apache-2.0 */
/* exec_ecs_request.c - RunTask's parameters for one attempt of a job, frozen into a text.
 *
 * All but the clientToken, which the launch adds.  The same job, attempt and configuration always make
 * the same text: no time, no host, no order by chance, because ECS answers a repeat under one token
 * only if every parameter is the same.  So the order below is not to be changed, nor what is left out.
 *
 * startedBy is made from the attempt's token, so that a listing by it finds this launch and no other. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/json_at.h"
#include "base/json_read.h"
#include "base/json_write.h"
#include "base/mem.h"
#include "exec/exec_ecs.h"
#include "job/job_message.h"
#include "job/template.h"

enum {
	STARTED_BY_DIGITS = 28,         /* after "gantry/" */
	OUR_VARIABLES = 4,
};

struct request {
	const struct conf_deployer *conf;
	const struct job *job;
	json_t *payload;
	struct template_values values;
	char attempt[16], fence[24];
	struct pair ours[OUR_VARIABLES];        /* lent */
	struct buf out;                 /* the parameters, as far as they are written */
	struct buf expanded;            /* the last template's text */
	struct error *err;
};

/* A template's text, lent until the next one's; NULL with the error prefixed by what it is for. */
static const char *expand(struct request *request, const char *text, const char *what)
{
	buf_clear(&request->expanded);
	if (template_expand(text, &request->values, &request->expanded, request->err))
		return buf_text(&request->expanded);
	error_prefix(request->err, "%s", what);
	return NULL;
}

/* Nothing for NULL.  False when the text is not UTF-8, which JSON can't carry. */
static bool put_text(struct request *request, const char *member, const char *text)
{
	if (text == NULL || json_write_member(&request->out, member, text))
		return true;
	error_set(request->err, ERROR_INVALID, "%s is not valid UTF-8", member);
	return false;
}

static bool put_element(struct request *request, const char *text)
{
	if (json_write_string(&request->out, text))
		return true;
	error_set(request->err, ERROR_INVALID, "a text is not valid UTF-8");
	return false;
}

static void open_member(struct request *request, const char *member, char bracket)
{
	json_write_name(&request->out, member);
	json_write_open(&request->out, bracket);
}

static void close_with(struct request *request, const char *brackets)
{
	buf_add_text(&request->out, brackets);
}

static bool put_texts(struct request *request, const char *member, const struct texts *texts)
{
	open_member(request, member, '[');
	for (size_t i = 0; i < texts->count; i++) {
		if (!put_element(request, texts->at[i]))
			return false;
	}
	close_with(request, "]");
	return true;
}

/* -- the container's overrides ---------------------------------------------------------------------- */

/* Ours count most: no message takes another job's name or fence. */
static void know_our_variables(struct request *request)
{
	const struct job *job = request->job;

	snprintf(request->attempt, sizeof(request->attempt), "%u", job->attempt.number);
	snprintf(request->fence, sizeof(request->fence), "%" PRId64, job->grant);
	request->ours[0] = (struct pair){ (char *)"GANTRY_JOB", job->id };
	request->ours[1] = (struct pair){ (char *)"GANTRY_ATTEMPT", request->attempt };
	request->ours[2] = (struct pair){ (char *)"GANTRY_PROJECT", job->project != NULL ? job->project : (char *)"" };
	request->ours[3] = (struct pair){ (char *)"GANTRY_FENCE", request->fence };
}

static const char *our_value(const struct request *request, const char *name)
{
	for (size_t i = 0; i < OUR_VARIABLES; i++) {
		if (strcmp(request->ours[i].name, name) == 0)
			return request->ours[i].value;
	}
	return NULL;
}

static const char *message_value(const struct request *request, const char *name)
{
	return json_string_value(json_object_get(json_object_get(request->payload, "environment"), name));
}

static bool put_pair(struct request *request, const char *name_member, const char *name, const char *value_member,
	const char *value)
{
	json_write_open(&request->out, '{');
	if (!put_text(request, name_member, name) || !put_text(request, value_member, value))
		return false;
	close_with(request, "}");
	return true;
}

/* A name comes once, where it is said first: by the configuration, then by the message, then by us. */
static bool put_variable(struct request *request, const char *name, const char *value)
{
	const char *ours = our_value(request, name);

	return put_pair(request, "name", name, "value", ours != NULL ? ours : value);
}

static bool put_configured(struct request *request)
{
	const struct pairs *conf = &request->conf->environment;

	for (size_t i = 0; i < conf->count; i++) {
		const char *text = expand(request, conf->at[i].value, conf->at[i].name);
		const char *given = message_value(request, conf->at[i].name);

		if (text == NULL || !put_variable(request, conf->at[i].name, given != NULL ? given : text))
			return false;
	}
	return true;
}

static bool put_messages(struct request *request)
{
	const char *name;
	json_t *value;

	json_object_foreach(json_object_get(request->payload, "environment"), name, value) {
		if (!json_is_string(value) || pairs_find(&request->conf->environment, name) != NULL)
			continue;
		if (!put_variable(request, name, json_string_value(value)))
			return false;
	}
	return true;
}

static bool put_ours(struct request *request)
{
	for (size_t i = 0; i < OUR_VARIABLES; i++) {
		const struct pair *ours = &request->ours[i];

		if (pairs_find(&request->conf->environment, ours->name) != NULL || message_value(request, ours->name) != NULL)
			continue;
		if (!put_variable(request, ours->name, ours->value))
			return false;
	}
	return true;
}

static bool put_environment(struct request *request)
{
	know_our_variables(request);
	open_member(request, "environment", '[');
	if (!put_configured(request) || !put_messages(request) || !put_ours(request))
		return false;
	close_with(request, "]");
	return true;
}

/* Shell lines as one script that ends at the first failure. */
static bool put_script(struct request *request, const json_t *lines)
{
	const json_t *line;
	struct buf script;
	size_t i;
	bool ok;

	/* It holds what any message can: too long a script is refused below, by the size of the overrides. */
	buf_init(&script, 2 * LIMIT_MESSAGE_BODY_BYTES);
	json_array_foreach(lines, i, line) {
		buf_add_text(&script, json_is_string(line) ? json_string_value(line) : "");
		buf_add_char(&script, '\n');
	}
	open_member(request, "command", '[');
	ok = put_element(request, "/bin/sh") && put_element(request, "-ec") && put_element(request, buf_text(&script));
	close_with(request, "]");
	buf_finish(&script);
	return ok;
}

/* The message's, or else the configured one. */
static bool put_command(struct request *request)
{
	const struct texts *conf = &request->conf->command;
	const json_t *command = json_at_array(request->payload, "command");
	const json_t *lines = json_at_array(request->payload, "commands");

	if (command != NULL)
		return json_write_name(&request->out, "command") && json_write(&request->out, command);
	if (lines != NULL)
		return put_script(request, lines);
	if (conf->count == 0)
		return true;
	open_member(request, "command", '[');
	for (size_t i = 0; i < conf->count; i++) {
		const char *text = expand(request, conf->at[i], "command");

		if (text == NULL || !put_element(request, text))
			return false;
	}
	close_with(request, "]");
	return true;
}

static bool check_size(const struct request *request, size_t size)
{
	if (size <= LIMIT_ECS_OVERRIDES_BYTES)
		return true;
	error_set(request->err, ERROR_INVALID, "environment and command make overrides of %zu bytes, ECS takes at most %d: "
		"pass a reference to what is large", size, LIMIT_ECS_OVERRIDES_BYTES);
	return false;
}

static bool put_overrides(struct request *request)
{
	const struct conf_deployer *conf = request->conf;
	size_t from;

	json_write_name(&request->out, "overrides");
	from = request->out.size;
	json_write_open(&request->out, '{');
	open_member(request, "containerOverrides", '[');
	json_write_open(&request->out, '{');
	if (!put_text(request, "name", conf->container) || !put_command(request) || !put_environment(request))
		return false;
	close_with(request, "}]");
	if (!put_text(request, "cpu", conf->cpu) || !put_text(request, "memory", conf->memory) ||
	    !put_text(request, "taskRoleArn", conf->task_role) ||
	    !put_text(request, "executionRoleArn", conf->execution_role))
		return false;
	close_with(request, "}");
	return check_size(request, request->out.size - from);
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

static bool put_placement(struct request *request)
{
	const struct texts *providers = &request->conf->capacity_providers;

	if (providers->count == 0)
		return put_text(request, "launchType", request->conf->launch_type);
	open_member(request, "capacityProviderStrategy", '[');
	json_write_open(&request->out, '{');
	json_write_name(&request->out, "weight");
	json_write_integer(&request->out, 1);
	if (!put_text(request, "capacityProvider", providers->at[request->job->attempt.step % providers->count]))
		return false;
	close_with(request, "}]");
	return true;
}

static bool put_subnets(struct request *request)
{
	const struct conf_deployer *conf = request->conf;
	size_t round = request->job->attempt.step % ecs_request_steps(conf) / provider_count(conf);
	struct texts one = { .at = &conf->network.subnets.at[round > 0 ? round - 1 : 0], .count = 1 };

	return put_texts(request, "subnets", round > 0 ? &one : &conf->network.subnets);
}

static bool put_network(struct request *request)
{
	const struct conf_network *network = &request->conf->network;

	if (network->subnets.count == 0)
		return true;
	open_member(request, "networkConfiguration", '{');
	open_member(request, "awsvpcConfiguration", '{');
	if (!put_subnets(request))
		return false;
	if (network->security_groups.count > 0 && !put_texts(request, "securityGroups", &network->security_groups))
		return false;
	put_text(request, "assignPublicIp", network->assign_public_ip ? "ENABLED" : "DISABLED");
	close_with(request, "}}");
	return true;
}

/* ECS takes letters, digits, blanks and + - = . _ : / @ in tags; a job must not fail for another
 * character in its project's name. */
static void tame(char *out, size_t limit, const char *text)
{
	size_t len = strlen(text);

	if (len > limit) {
		len = limit;
		while (len > 0 && ((unsigned char)text[len] & 0xc0) == 0x80)
			len--;
	}
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];
		bool alnum = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c >= 0x80;

		out[i] = alnum || strchr(" +-=._:/@", c) != NULL ? text[i] : '_';
	}
	out[len] = '\0';
}

static bool put_tag(struct request *request, const char *key, const char *value)
{
	char tamed_key[LIMIT_ECS_TAG_KEY_BYTES + 1], tamed_value[LIMIT_ECS_TAG_VALUE_BYTES + 1];

	tame(tamed_key, LIMIT_ECS_TAG_KEY_BYTES, key);
	tame(tamed_value, LIMIT_ECS_TAG_VALUE_BYTES, value);
	return put_pair(request, "key", tamed_key, "value", tamed_value);
}

static bool put_tags(struct request *request)
{
	const struct pairs *conf = &request->conf->tags;
	const struct job *job = request->job;

	open_member(request, "tags", '[');
	for (size_t i = 0; i < conf->count && i < LIMIT_ECS_TAGS - 2; i++) {
		const char *text = expand(request, conf->at[i].value, conf->at[i].name);

		if (text == NULL || !put_tag(request, conf->at[i].name, text))
			return false;
	}
	if (!put_tag(request, "gantry:job", job->id) ||
	    !put_tag(request, "gantry:project", job->project != NULL ? job->project : ""))
		return false;
	close_with(request, "]");
	return true;
}

static bool put_started_by(struct request *request)
{
	char text[LIMIT_ECS_STARTED_BY_BYTES + 1];

	snprintf(text, sizeof(text), "gantry/%.*s", STARTED_BY_DIGITS, request->job->attempt.token);
	return put_text(request, "startedBy", text);
}

static bool put_flags(struct request *request)
{
	if (request->conf->propagate_tags)
		put_text(request, "propagateTags", "TASK_DEFINITION");
	json_write_name(&request->out, "enableECSManagedTags");
	json_write_true(&request->out);
	if (request->conf->execute_command) {
		json_write_name(&request->out, "enableExecuteCommand");
		json_write_true(&request->out);
	}
	return put_text(request, "platformVersion", request->conf->platform_version) &&
	       put_text(request, "group", request->conf->group);
}

/* -- the whole -------------------------------------------------------------------------------------- */

static bool put_all(struct request *request)
{
	const struct conf_deployer *conf = request->conf;

	json_write_open(&request->out, '{');
	if (!put_text(request, "cluster", conf->cluster) || !put_text(request, "taskDefinition", conf->task_definition))
		return false;
	json_write_name(&request->out, "count");
	json_write_integer(&request->out, 1);
	if (!put_placement(request) || !put_network(request) || !put_overrides(request) || !put_started_by(request) ||
	    !put_flags(request) || !put_tags(request))
		return false;
	close_with(request, "}");
	if (request->out.size <= LIMIT_EXEC_REQUEST_BYTES)
		return true;
	error_set(request->err, ERROR_INVALID, "the launch's parameters make %zu bytes, at most %d are kept",
		request->out.size, LIMIT_EXEC_REQUEST_BYTES);
	return false;
}

char *ecs_request_build(const struct conf_deployer *conf, const struct job *job, struct error *err)
{
	struct request request = { .conf = conf, .job = job, .err = err };
	char *text = NULL;

	buf_init(&request.out, SIZE_MAX - 1);
	buf_init(&request.expanded, LIMIT_EXEC_REQUEST_BYTES);
	request.payload = job_message_payload(job);
	request.values = (struct template_values){ .job = job, .payload = request.payload };
	if ((request.payload == NULL || job_message_allowed(request.payload, &conf->allow, err)) && put_all(&request)) {
		size_t size = request.out.size;

		/* It is kept while the task runs. */
		text = xreallocarray(buf_take(&request.out), size + 1, 1);
	}
	json_decref(request.payload);
	buf_finish(&request.out);
	buf_finish(&request.expanded);
	return text;
}

char *ecs_request_cluster(const char *request)
{
	static const char *const path[] = { "cluster", NULL };

	return json_read_string(request, path);
}

char *ecs_request_definition(const char *request)
{
	static const char *const path[] = { "taskDefinition", NULL };

	return json_read_string(request, path);
}

char *ecs_request_container(const char *request)
{
	static const char *const path[] = { "overrides", "containerOverrides", "name", NULL };

	return json_read_string(request, path);
}

char *ecs_request_started_by(const char *request)
{
	static const char *const path[] = { "startedBy", NULL };

	return json_read_string(request, path);
}
