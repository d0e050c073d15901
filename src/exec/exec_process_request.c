/* SPDX-License-Identifier: Apache-2.0 */
/* exec_process_request.c - a local command's parameters for one attempt of a job, frozen into a text.
 *
 * What the message asks for is checked here, so that a job which may not run fails before its launch.
 * Variables that are passed through from gantryd's own environment are frozen as names only: their
 * values may be secrets, which no job's record holds. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/json_at.h"
#include "base/mem.h"
#include "exec/exec_process.h"
#include "job/job_message.h"
#include "job/template.h"

struct freezing {
	const struct conf_deployer *conf;
	const struct conf_process *process;
	const struct job *job;
	json_t *payload, *root;
	struct template_values values;
	struct error *err;
};

/* A template's text, the caller's to free; NULL with the error prefixed by what it is for. */
static char *expand(const struct freezing *freezing, const char *text, const char *what)
{
	struct buf out;

	buf_init(&out, LIMIT_EXEC_REQUEST_BYTES);
	if (!template_expand(text, &freezing->values, &out, freezing->err)) {
		error_prefix(freezing->err, "%s", what);
		buf_finish(&out);
		return NULL;
	}
	return buf_take(&out);
}

static bool append(const struct freezing *freezing, json_t *array, const char *text, const char *what)
{
	if (json_array_append_new(array, json_string(text)) == 0)
		return true;
	error_set(freezing->err, ERROR_INVALID, "%s is not valid UTF-8", what);
	return false;
}

static bool set(const struct freezing *freezing, const char *member, const char *text)
{
	if (text == NULL || json_object_set_new(freezing->root, member, json_string(text)) == 0)
		return true;
	error_set(freezing->err, ERROR_INVALID, "%s is not valid UTF-8", member);
	return false;
}

static void set_number(const struct freezing *freezing, const char *member, int64_t value)
{
	json_object_set_new(freezing->root, member, json_integer(value));
}

static json_t *add_array(const struct freezing *freezing, const char *member)
{
	json_t *array = json_array();

	json_object_set_new(freezing->root, member, array);
	return array;
}

/* -- what runs -------------------------------------------------------------------------------- */

static bool is_plain(const char *text)
{
	return *text != '-' && text[strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
		"_./:@%+,=-")] == '\0';
}

/* A value stands in a shell line as it is, within whatever quotes the line has there: only what no shell
 * reads as more than a word, and no program as an option, may be put in. */
static bool expand_value(const struct freezing *freezing, const char *template, struct buf *line)
{
	char *value = expand(freezing, template, "commands");
	bool ok = value != NULL && is_plain(value);

	if (ok)
		buf_add_text(line, value);
	else if (value != NULL)
		error_set(freezing->err, ERROR_INVALID, "commands: expected a plain word for \"%.64s\" in a shell line, found "
			"\"%.64s\"; take it from the environment instead", template, value);
	free(value);
	return ok;
}

static char *expand_line(const struct freezing *freezing, const char *text)
{
	struct buf line;
	bool ok = true;

	buf_init(&line, LIMIT_EXEC_REQUEST_BYTES);
	while (ok && *text != '\0') {
		const char *open = strstr(text, "{{");
		const char *close = open != NULL ? strstr(open, "}}") : NULL;
		char *template;

		buf_add(&line, text, open != NULL ? (size_t)(open - text) : strlen(text));
		if (close == NULL)
			break;
		template = xstrndup(open, (size_t)(close + 2 - open));
		ok = expand_value(freezing, template, &line);
		free(template);
		text = close + 2;
	}
	if (ok)
		return buf_take(&line);
	buf_finish(&line);
	return NULL;
}

static bool set_conf_lines(const struct freezing *freezing)
{
	json_t *lines = add_array(freezing, "lines");

	for (size_t i = 0; i < freezing->process->commands.count; i++) {
		char *line = expand_line(freezing, freezing->process->commands.at[i]);
		bool ok = line != NULL && append(freezing, lines, line, "commands");

		free(line);
		if (!ok)
			return false;
	}
	return true;
}

static bool set_conf_command(const struct freezing *freezing)
{
	const struct texts *command = &freezing->conf->command;
	json_t *array = add_array(freezing, "command");

	for (size_t i = 0; i < command->count; i++) {
		char *text = expand(freezing, command->at[i], "command");
		bool ok = text != NULL && append(freezing, array, text, "command");

		free(text);
		if (!ok)
			return false;
	}
	return true;
}

static bool set_command(const struct freezing *freezing)
{
	json_t *command = job_message_member(freezing->payload, "command");
	json_t *lines = job_message_member(freezing->payload, "commands");

	if (command != NULL)
		return json_object_set(freezing->root, "command", command) == 0;
	if (lines != NULL)
		return json_object_set(freezing->root, "lines", lines) == 0;
	if (freezing->process->commands.count > 0)
		return set_conf_lines(freezing);
	if (freezing->conf->command.count > 0)
		return set_conf_command(freezing);
	error_set(freezing->err, ERROR_INVALID, "command: expected one from the message, as the deployer has none, found "
		"nothing");
	return false;
}

/* The last line, or the words of the command, without blanks around; the caller's to free. */
static char *last_command(const struct freezing *freezing)
{
	const json_t *lines = json_object_get(freezing->root, "lines");
	const json_t *command = json_object_get(freezing->root, "command");
	struct buf text;
	size_t i, begin;
	json_t *word;

	buf_init(&text, 2 * LIMIT_MESSAGE_BODY_BYTES);
	if (lines != NULL)
		buf_add_text(&text, json_string_value(json_array_get(lines, json_array_size(lines) - 1)));
	json_array_foreach(command, i, word) {
		buf_add_text(&text, i > 0 ? " " : "");
		buf_add_text(&text, json_string_value(word));
	}
	while (text.size > 0 && strchr(" \t\r\n", text.bytes[text.size - 1]) != NULL)
		text.bytes[--text.size] = '\0';
	begin = strspn(buf_text(&text), " \t\r\n");
	buf_consume(&text, begin);
	return buf_take(&text);
}

static bool check_last(const struct freezing *freezing)
{
	const struct texts *globs = &freezing->process->require_last;
	char *last;
	bool ok;

	if (globs->count == 0)
		return true;
	last = last_command(freezing);
	ok = texts_match(globs, last);
	if (!ok)
		error_set(freezing->err, ERROR_INVALID, "commands: expected the last to match \"%.128s\"%s, found \"%.200s\"",
			globs->at[0], globs->count > 1 ? " or another of require_last" : "", last);
	free(last);
	return ok;
}

/* -- where ------------------------------------------------------------------------------------ */

static bool climbs(const char *path)
{
	for (const char *at = path; (at = strstr(at, "..")) != NULL; at += 2) {
		if ((at == path || at[-1] == '/') && (at[2] == '/' || at[2] == '\0'))
			return true;
	}
	return false;
}

/* What was put in may come from a stranger. */
static char *expand_path(const struct freezing *freezing, const char *text, const char *what, bool relative)
{
	char *path = expand(freezing, text, what);

	if (path == NULL || ((*path == '/' || (relative && *path != '\0')) && !climbs(path)))
		return path;
	error_set(freezing->err, ERROR_INVALID, "%s: expected %s without \"..\", found \"%.200s\"", what,
		relative ? "a path" : "an absolute path", path);
	free(path);
	return NULL;
}

static bool set_path(const struct freezing *freezing, const char *member, const char *text, bool relative)
{
	char *path = text != NULL ? expand_path(freezing, text, member, relative) : NULL;
	bool ok = text == NULL || (path != NULL && set(freezing, member, path));

	free(path);
	return ok;
}

/* A directory that the message names is looked at once more when its links have been followed. */
static bool set_directory(const struct freezing *freezing)
{
	const char *wanted = json_string_value(job_message_member(freezing->payload, "directory"));
	const struct texts *globs = &freezing->conf->allow.directory;
	json_t *allowed;

	if (wanted == NULL)
		return set_path(freezing, "directory", freezing->process->directory, false);
	allowed = add_array(freezing, "allowed");
	for (size_t i = 0; i < globs->count; i++) {
		if (!append(freezing, allowed, globs->at[i], "allow.directory"))
			return false;
	}
	return set(freezing, "directory", wanted);
}

/* -- with what -------------------------------------------------------------------------------- */

static bool is_of_stage(const struct conf_stage *stage, const char *ref)
{
	const char *last = strrchr(ref, '/');

	if (stage->refs.count > 0)
		return texts_match(&stage->refs, ref);
	return strcmp(stage->name, ref) == 0 || (last != NULL && strcmp(stage->name, last + 1) == 0);
}

/* NULL without an error: none is meant. */
static bool find_stage(const struct freezing *freezing, const struct conf_stage **found)
{
	const struct conf_process *process = freezing->process;
	const struct job *job = freezing->job;

	*found = NULL;
	for (size_t i = 0; i < process->stage_count && *found == NULL; i++) {
		const struct conf_stage *stage = &process->stages[i];

		if (job->stage != NULL ? strcmp(stage->name, job->stage) == 0 : job->ref != NULL && is_of_stage(stage, job->ref))
			*found = stage;
	}
	if (*found != NULL || job->stage == NULL || process->stage_count == 0)
		return true;
	error_set(freezing->err, ERROR_INVALID, "stage: expected one of the deployer's stages, found \"%.128s\"", job->stage);
	return false;
}

static bool add_pairs(const struct freezing *freezing, const struct pairs *from, struct pairs *to)
{
	for (size_t i = 0; i < from->count; i++) {
		char *text = expand(freezing, from->at[i].value, from->at[i].name);

		if (text == NULL)
			return false;
		pairs_set(to, from->at[i].name, text);
		free(text);
	}
	return true;
}

static bool add_environment(const struct freezing *freezing, struct pairs *environment)
{
	const struct job *job = freezing->job;
	const struct conf_stage *stage;
	const char *name;
	json_t *value;
	char number[32];

	if (!find_stage(freezing, &stage) || !add_pairs(freezing, &freezing->conf->environment, environment) ||
	    (stage != NULL && !add_pairs(freezing, &stage->environment, environment)))
		return false;
	json_object_foreach(json_object_get(freezing->payload, "environment"), name, value) {
		if (json_is_string(value))
			pairs_set(environment, name, json_string_value(value));
	}
	/* Ours come last: no message takes another job's name or fence. */
	pairs_set(environment, "GANTRY_JOB", job->id);
	snprintf(number, sizeof(number), "%u", job->attempt.number);
	pairs_set(environment, "GANTRY_ATTEMPT", number);
	pairs_set(environment, "GANTRY_PROJECT", job->project != NULL ? job->project : "");
	snprintf(number, sizeof(number), "%lld", (long long)job->grant);
	pairs_set(environment, "GANTRY_FENCE", number);
	return true;
}

static bool set_environment(const struct freezing *freezing)
{
	struct pairs environment = { 0 };
	json_t *object = json_object();
	bool ok = add_environment(freezing, &environment);

	json_object_set_new(freezing->root, "environment", object);
	for (size_t i = 0; ok && i < environment.count; i++) {
		ok = json_object_set_new(object, environment.at[i].name, json_string(environment.at[i].value)) == 0;
		if (!ok)
			error_set(freezing->err, ERROR_INVALID, "environment.%.64s is not valid UTF-8", environment.at[i].name);
	}
	pairs_finish(&environment);
	return ok;
}

static bool set_passed(const struct freezing *freezing)
{
	const struct texts *names = &freezing->process->pass_environment;
	json_t *array = add_array(freezing, "pass_environment");

	for (size_t i = 0; i < names->count; i++) {
		if (!append(freezing, array, names->at[i], "pass_environment"))
			return false;
	}
	return true;
}

static void add_limit(json_t *limits, int resource, int64_t value)
{
	json_array_append_new(limits, json_pack("[i, I]", resource, (json_int_t)value));
}

static void set_limits(const struct freezing *freezing)
{
	const struct conf_limits *conf = &freezing->process->limits;
	json_t *limits = add_array(freezing, "limits");

	add_limit(limits, RLIMIT_CORE, conf->core_bytes);
	if (conf->cpu_ms > 0)
		add_limit(limits, RLIMIT_CPU, conf->cpu_ms / 1000);
	if (conf->memory_bytes > 0)
		add_limit(limits, RLIMIT_AS, conf->memory_bytes);
	if (conf->file_size_bytes > 0)
		add_limit(limits, RLIMIT_FSIZE, conf->file_size_bytes);
	if (conf->files > 0)
		add_limit(limits, RLIMIT_NOFILE, conf->files);
	if (conf->processes > 0)
		add_limit(limits, RLIMIT_NPROC, conf->processes);
	set_number(freezing, "log_limit", conf->log_bytes);
}

static bool set_rest(const struct freezing *freezing)
{
	const struct conf_process *process = freezing->process;

	set_number(freezing, "nice", process->nice);
	set_number(freezing, "kill_after_ms", process->kill_after_ms);
	set_number(freezing, "parallel", process->parallel);
	set_limits(freezing);
	return set(freezing, "user", process->user) && set(freezing, "umask", process->umask) &&
	       set(freezing, "cgroup", process->cgroup) && set_passed(freezing);
}

/* -- the whole -------------------------------------------------------------------------------- */

static char *dump(const struct freezing *freezing)
{
	char *text = json_at_dump(freezing->root);

	if (strlen(text) <= LIMIT_EXEC_REQUEST_BYTES)
		return text;
	error_set(freezing->err, ERROR_INVALID, "the launch's parameters make %zu bytes, at most %d are kept",
		strlen(text), LIMIT_EXEC_REQUEST_BYTES);
	free(text);
	return NULL;
}

char *process_request_build(const struct conf_deployer *conf, const char *host_id, const struct job *job,
	struct error *err)
{
	struct freezing freezing = {
		.conf = conf, .process = &conf->process, .job = job, .root = json_object(), .err = err,
	};
	char *text = NULL;

	freezing.payload = job_message_payload(job);
	freezing.values = (struct template_values){ .job = job, .payload = freezing.payload };
	if (freezing.payload != NULL && !job_message_allowed(freezing.payload, &conf->allow, err))
		goto out;
	if (set(&freezing, "type", "process") && set(&freezing, "host", host_id) && set(&freezing, "deployer", conf->name) &&
	    set(&freezing, "job", job->id) && set_command(&freezing) && check_last(&freezing) &&
	    set_directory(&freezing) && set_path(&freezing, "dotenv", conf->process.dotenv, true) &&
	    set_environment(&freezing) && set_rest(&freezing))
		text = dump(&freezing);
out:
	json_decref(freezing.payload);
	json_decref(freezing.root);
	return text;
}
