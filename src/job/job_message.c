/* SPDX-License-Identifier: Apache-2.0 */
/* job_message.c - see job_message.h.  Types and limits of single members are job_message_check.c's. */
#include "job/job_message.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/json_at.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "job/job_message_check.h"
#include "job/job_token.h"
#include "job/template.h"

static bool check_bytes(const char *body, size_t size, struct error *err)
{
	size_t length;

	if (size > LIMIT_MESSAGE_BODY_BYTES) {
		error_set(err, ERROR_INVALID, "body: expected at most %d bytes, found %zu", LIMIT_MESSAGE_BODY_BYTES,
			size);
		return false;
	}
	if (memchr(body, '\0', size) == NULL && utf8_is_valid(body, size))
		return true;
	for (size_t at = 0; at < size; at += length) {
		length = utf8_length(body + at, size - at);
		if (length == 0 || body[at] == '\0') {
			error_set(err, ERROR_INVALID, "body: expected UTF-8 text without NUL, found byte 0x%02x at offset %zu",
				(unsigned)(unsigned char)body[at], at);
			return false;
		}
	}
	return true;
}

/* The parser quotes what it stumbled over as it was sent. */
static void explain(const char *body, struct error *why, struct error *err)
{
	for (char *at = why->text; *at != '\0'; at++) {
		if ((unsigned char)*at < 0x20 || *at == 0x7f)
			*at = '?';
	}
	if (strstr(body, "\\u0000") != NULL && strstr(why->text, "\\u0000") != NULL)
		error_set(err, ERROR_INVALID, "body: expected text without NUL, found \\u0000");
	else
		error_set(err, ERROR_INVALID, "body: expected a JSON object, found text that is %s", why->text);
}

/* The body as an object, a new reference. */
static json_t *parse_object(const char *body, size_t size, struct error *err)
{
	struct error why = { 0 };
	json_t *root;

	if (strspn(body, " \t\r\n") >= size) {
		error_set(err, ERROR_INVALID, "body: expected a JSON object, found nothing");
		return NULL;
	}
	root = json_at_parse(body, size, &why);
	if (root == NULL) {
		explain(body, &why, err);
		return NULL;
	}
	if (!json_is_object(root)) {
		error_set(err, ERROR_INVALID, "body: expected a JSON object, found an array");
		json_decref(root);
		return NULL;
	}
	return root;
}

/* Templates make texts; these members are something else. */
static json_t *mapped_value(const char *member, const char *text)
{
	static const char *const others[] = { "environment", "command", "commands", "notify", "priority", "delay" };

	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		json_t *value;

		if (strcmp(member, others[i]) != 0)
			continue;
		value = json_loads(text, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, NULL);
		if (value != NULL)
			return value;
	}
	return json_string(text);
}

static bool map_member(json_t *message, const struct pair *pair, const struct template_values *values,
	struct error *err)
{
	const char *other = job_message_other_name(pair->name);
	struct buf text;
	bool ok;

	buf_init(&text, LIMIT_MESSAGE_BODY_BYTES);
	ok = template_expand(pair->value, values, &text, err);
	if (!ok)
		error_prefix(err, "%s", pair->name);
	else if (text.size == 0)
		json_object_del(message, pair->name);
	else
		json_object_set_new(message, pair->name, mapped_value(pair->name, buf_text(&text)));
	if (ok && other != NULL)
		json_object_del(message, other);
	buf_finish(&text);
	return ok;
}

/* Makes the job message that the mapping describes; body need not be JSON. */
static json_t *map(const char *body, size_t size, const struct job *known, const struct pairs *mapping,
	struct error *err)
{
	json_t *payload = json_at_parse(body, size, NULL);
	json_t *message = json_is_object(payload) ? json_deep_copy(payload) : json_object();
	const struct template_values values = { .job = known, .payload = payload, .body = body };

	for (size_t i = 0; i < mapping->count; i++) {
		if (!map_member(message, &mapping->at[i], &values, err)) {
			json_decref(message);
			message = NULL;
			break;
		}
	}
	json_decref(payload);
	return message;
}

static char *default_id(const struct job_message_source *source)
{
	char *id = xasprintf("%s:%s", source->queue, source->message_id);

	if (!job_message_id_is_sound(id)) {
		/* Attempt 0 exists for no job, so no launch's token is the same. */
		char *digest = job_token(id, 0, 0);

		free(id);
		id = digest;
	}
	return id;
}

static char *member_text(const json_t *message, const char *name)
{
	return xstrdup(json_string_value(job_message_member(message, name)));
}

/* What is known before the message is understood. */
static struct job *job_of_source(const struct job_message_source *source)
{
	struct job *job = job_create();

	job->queue = xstrdup(source->queue);
	job->deployer = xstrdup(source->default_deployer);
	if (source->message_id != NULL)
		job->id = default_id(source);
	return job;
}

static void fill(struct job *job, const json_t *message)
{
	const json_t *priority = job_message_member(message, "priority");
	const json_t *delay = job_message_member(message, "delay");
	int64_t delay_ms = 0;

	if (job_message_member(message, "id") != NULL)
		xreplace(&job->id, json_string_value(job_message_member(message, "id")));
	if (job_message_member(message, "deployer") != NULL)
		xreplace(&job->deployer, json_string_value(job_message_member(message, "deployer")));
	job->project = member_text(message, "project");
	job->commit = member_text(message, "commit");
	job->ref = member_text(message, "ref");
	job->stage = member_text(message, "stage");
	if (priority != NULL)
		job->priority = (int)json_integer_value(priority);
	if (delay != NULL && job_message_delay_ms(delay, &delay_ms) && delay_ms > 0)
		job->not_before_ms = clock_steady_ms() + delay_ms;
}

static bool check_required(const struct job *job, struct error *err)
{
	const char *missing = job->id == NULL ? "id" : job->deployer == NULL ? "deployer" : NULL;

	if (missing == NULL)
		return true;
	error_set(err, ERROR_INVALID, "%s: expected a string%s, found nothing", missing,
		job->id != NULL ? ", as the queue has no default_deployer" : "");
	return false;
}

struct job *job_message_parse(const char *body, size_t body_bytes, const struct job_message_source *source,
	struct error *err)
{
	bool mapped = source->mapping != NULL && source->mapping->count > 0;
	struct job *job = job_of_source(source);
	char *text = NULL;
	json_t *message = NULL;
	bool ok = false;

	if (!check_bytes(body, body_bytes, err))
		goto out;
	text = xstrndup(body, body_bytes);
	message = mapped ? map(text, body_bytes, job, source->mapping, err) : parse_object(text, body_bytes, err);
	if (message == NULL || !job_message_check(message, err))
		goto out;
	fill(job, message);
	if (!check_required(job, err))
		goto out;
	job->body = mapped ? json_at_dump(message) : text;
	if (!mapped)
		text = NULL;
	ok = true;
out:
	json_decref(message);
	free(text);
	if (ok)
		return job;
	job_destroy(job);
	return NULL;
}

json_t *job_message_payload(const struct job *job)
{
	json_t *root = job->body != NULL ? json_at_parse(job->body, strlen(job->body), NULL) : NULL;

	if (json_is_object(root))
		return root;
	json_decref(root);
	return NULL;
}

static bool refuse(struct error *err, const char *member, const char *found, const char *key)
{
	error_set(err, ERROR_INVALID, "%s: expected what the deployer's allow.%s grants, found %s", member, key, found);
	return false;
}

bool job_message_allowed(const json_t *payload, const struct job_allow *allow, struct error *err)
{
	json_t *environment = job_message_member(payload, "environment");
	const char *directory = json_string_value(job_message_member(payload, "directory"));
	const char *commands = job_message_member(payload, "command") != NULL ? "command" :
		job_message_member(payload, "commands") != NULL ? "commands" : NULL;
	const char *name;
	json_t *value;

	json_object_foreach(environment, name, value) {
		if (!texts_match(&allow->environment, name))
			return refuse(err, "environment", name, "environment");
	}
	if (commands != NULL && !allow->command)
		return refuse(err, commands, "a command", "command");
	if (directory != NULL && !texts_match(&allow->directory, directory))
		return refuse(err, "directory", directory, "directory");
	if (job_message_member(payload, "notify") != NULL && !allow->notify)
		return refuse(err, "notify", "addresses", "notify");
	return true;
}

char *job_message_unwrap_sns(const char *body, size_t body_bytes, struct error *err)
{
	json_t *root = json_at_parse(body, body_bytes, NULL);
	const char *type = json_at_string(root, "Type");
	const char *message = json_at_string(root, "Message");
	char *inner = NULL;

	if (type != NULL && strcmp(type, "Notification") == 0 && message != NULL)
		inner = xstrdup(message);
	else
		error_set(err, ERROR_INVALID, "body: expected an SNS envelope with Type \"Notification\" and Message, "
			"found none");
	json_decref(root);
	return inner;
}
