/* SPDX-License-Identifier: Apache-2.0 */
/* ecs.c - see ecs.h. */
#include "aws/ecs.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/json_at.h"
#include "base/log.h"
#include "base/mem.h"

static json_t *must(json_t *doc)
{
	if (doc == NULL)
		fatal("out of memory, or a text that is not UTF-8, for a request to ECS");
	return doc;
}

/* -- requests ------------------------------------------------------------------------------------- */

json_t *ecs_describe_input(const char *cluster, const char *const *tasks, size_t count)
{
	json_t *list = must(json_array());

	for (size_t i = 0; i < count; i++)
		json_array_append_new(list, must(json_string(tasks[i])));
	return must(json_pack("{s:s*, s:o}", "cluster", cluster, "tasks", list));
}

json_t *ecs_stop_input(const char *cluster, const char *task, const char *reason)
{
	size_t len = strlen(reason);

	if (len > LIMIT_ECS_REASON_BYTES)
		for (len = LIMIT_ECS_REASON_BYTES; len > 0 && ((unsigned char)reason[len] & 0xc0) == 0x80;)
			len--;
	return must(json_pack("{s:s*, s:s, s:s%}", "cluster", cluster, "task", task, "reason", reason, len));
}

json_t *ecs_list_started_by_input(const char *cluster, const char *started_by, const char *next_token)
{
	return must(json_pack("{s:s*, s:s, s:i, s:s*}", "cluster", cluster, "startedBy", started_by,
		"maxResults", ECS_LIST_MAX, "nextToken", next_token));
}

json_t *ecs_list_stopped_input(const char *cluster, const char *family, const char *next_token)
{
	return must(json_pack("{s:s*, s:s*, s:s, s:i, s:s*}", "cluster", cluster, "family", family,
		"desiredStatus", "STOPPED", "maxResults", ECS_LIST_MAX, "nextToken", next_token));
}

char *ecs_family_of(const char *task_definition)
{
	const char *slash = strrchr(task_definition, '/');
	const char *name = slash != NULL ? slash + 1 : task_definition;

	return xstrndup(name, strcspn(name, ":"));
}

/* -- RunTask's answers ---------------------------------------------------------------------------- */

static const char capacity_code[] = "CAPACITY", quota_code[] = "QUOTA";

/* What RunTask gives as the reason of a failure; the first that fits counts.  Not listed: THROTTLED
 * as well, because a reason that we don't know is tried again before it fails a deployment. */
static const struct {
	const char *begins;
	enum error_kind kind;
} reasons[] = {
	{ "RESOURCE:", ERROR_THROTTLED },
	{ "AGENT", ERROR_THROTTLED },
	{ "NO ACTIVE INSTANCES", ERROR_THROTTLED },
	{ "EMPTY CAPACITY PROVIDER", ERROR_THROTTLED },
	{ "LOCATION", ERROR_REFUSED },
	{ "ATTRIBUTE", ERROR_REFUSED },
	{ "MISSING", ERROR_REFUSED },
	{ "INACTIVE", ERROR_REFUSED },
	{ "MemberOf placement constraint unsatisfied", ERROR_REFUSED },
};

static const char *const throttle_words[] = {
	"RequestLimitExceeded", "Rate exceeded", "Throttl", "Too Many Requests",
};
static const char *const quota_words[] = {
	"reached the limit", "PROVISIONING task", "task quota", "vCPU limit", "Fargate vCPU",
};

static bool has_word(const char *text, const char *const *words, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (strstr(text, words[i]) != NULL)
			return true;
	}
	return false;
}
#define HAS_WORD(text, words) has_word(text, words, sizeof(words) / sizeof((words)[0]))

static void failure_meaning(const char *reason, enum error_kind *kind, const char **code)
{
	*kind = ERROR_THROTTLED;
	*code = reason;
	if (strstr(reason, "apacity is unavailable") != NULL) {
		*code = capacity_code;
		return;
	}
	if (HAS_WORD(reason, quota_words)) {
		*code = quota_code;
		return;
	}
	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
		if (strncmp(reason, reasons[i].begins, strlen(reasons[i].begins)) == 0) {
			*kind = reasons[i].kind;
			return;
		}
	}
}

const char *const ecs_run_reads[] = { "tasks", "taskArn", "failures", "reason", "detail", NULL };

const char *ecs_run_parse(const json_t *doc, struct error *err)
{
	const char *arn = json_at_string(doc, "tasks[0].taskArn");
	const char *reason = json_at_string(doc, "failures[0].reason");
	const char *detail = json_at_string(doc, "failures[0].detail");
	const char *code;
	enum error_kind kind;

	if (arn != NULL && *arn != '\0')
		return arn;
	if (reason == NULL || *reason == '\0') {
		error_set(err, ERROR_AMBIGUOUS, "RunTask: the answer names neither a task nor a failure");
		return NULL;
	}
	failure_meaning(reason, &kind, &code);
	error_set(err, kind, "RunTask: no task was started: %s%s%s", reason, detail != NULL ? ": " : "",
		detail != NULL ? detail : "");
	error_set_code(err, code);
	return NULL;
}

bool ecs_is_capacity(const struct error *err)
{
	static const char *const codes[] = { capacity_code, quota_code };

	if (err->kind != ERROR_THROTTLED)
		return false;
	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
		if (strncmp(err->code, reasons[i].begins, strlen(reasons[i].begins)) == 0)
			return true;
	}
	return HAS_WORD(err->code, codes);
}

/* ECS has not said these about the request: the caller's identity is unclear for now, or something
 * between us and ECS answered. */
static const char *const not_about_the_request[] = {
	"ExpiredToken", "UnrecognizedClientException", "InvalidClientTokenId", "RequestExpired", "HTTP ",
};

const char *ecs_run_error(const struct error *given, const json_t *error_doc, struct error *err)
{
	const char *arn = json_at_string(error_doc, "resourceIds[0]");

	*err = *given;
	if (strcmp(given->code, "ConflictException") == 0 && arn != NULL && *arn != '\0')
		return arn;
	if (error_may_pass(given->kind))
		return NULL;
	if (strcmp(given->code, "InvalidParameterException") == 0 || strcmp(given->code, "ClientException") == 0) {
		if (HAS_WORD(given->text, quota_words)) {
			err->kind = ERROR_THROTTLED;
			error_set_code(err, quota_code);
		} else if (HAS_WORD(given->text, throttle_words))
			err->kind = ERROR_THROTTLED;
	} else if (given->code[0] == '\0' || HAS_WORD(given->code, not_about_the_request))
		err->kind = given->kind == ERROR_REFUSED && strncmp(given->code, "HTTP ", 5) != 0 ? ERROR_TEMPORARY
											  : ERROR_AMBIGUOUS;
	return NULL;
}

/* -- tasks ---------------------------------------------------------------------------------------- */

bool ecs_task_ended(const json_t *task)
{
	const char *status = json_at_string(task, "lastStatus");

	return status != NULL && (strcmp(status, "STOPPED") == 0 || strcmp(status, "DELETED") == 0);
}

bool ecs_task_running(const json_t *task)
{
	const char *status = json_at_string(task, "lastStatus");

	return status != NULL && strcmp(status, "RUNNING") == 0;
}

static const char *task_id(const char *arn)
{
	const char *slash = strrchr(arn, '/');

	return slash != NULL ? slash + 1 : arn;
}

bool ecs_same_task(const char *a, const char *b)
{
	return strcmp(a, b) == 0 || strcmp(task_id(a), task_id(b)) == 0;
}

int64_t ecs_time_ms(const json_t *task, const char *member)
{
	const char *text = json_at_string(task, member);
	double seconds;
	int64_t ms;

	if (text != NULL)
		return clock_parse_stamp(text, &ms) ? ms : 0;
	if (!json_at_number(task, member, &seconds) || !(seconds > 0) || seconds > 1e11)
		return 0;
	return (int64_t)(seconds * 1000 + 0.5);
}

const json_t *ecs_find_task(const json_t *doc, const char *arn, size_t *next, bool *missing)
{
	const json_t *tasks = json_object_get(doc, "tasks"), *entry;
	size_t count = json_array_size(tasks), i;
	const char *name;

	*missing = false;
	for (i = 0; i < count; i++) {
		size_t place = (*next + i) % count;

		entry = json_array_get(tasks, place);
		name = json_at_string(entry, "taskArn");
		if (name != NULL && ecs_same_task(name, arn)) {
			*next = place + 1;
			return entry;
		}
	}
	json_array_foreach(json_object_get(doc, "failures"), i, entry) {
		name = json_at_string(entry, "arn");
		if (name != NULL && ecs_same_task(name, arn)) {
			const char *reason = json_at_string(entry, "reason");

			*missing = reason != NULL && strcmp(reason, "MISSING") == 0;
			return NULL;
		}
	}
	return NULL;
}
