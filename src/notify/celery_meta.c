/* SPDX-License-Identifier: Apache-2.0 */
/* celery_meta.c - see celery_meta.h.
 *
 * The result of a task that succeeded is the job's record.  One that failed raises an exception of a class that
 * every client has; so does one that is tried again, as in Celery, where its result is the reason.  What is only
 * accepted is not told: Celery calls what it finds nothing of PENDING. */
#include "notify/celery_meta.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/json_at.h"
#include "base/mem.h"

enum { LIMIT_TRACEBACK_BYTES = 64 << 10 };

static const struct state {
	const char *event, *status;
	bool final, traced;
	const char *exception, *module;         /* NULL: none is raised */
} states[] = {
	{ "started", "STARTED", false, false, NULL, NULL },
	{ "retrying", "RETRY", false, true, "RuntimeError", "builtins" },
	{ "succeeded", "SUCCESS", true, false, NULL, NULL },
	{ "failed", "FAILURE", true, true, "RuntimeError", "builtins" },
	{ "uncertain", "FAILURE", true, true, "RuntimeError", "builtins" },
	{ "cancelled", "REVOKED", true, false, "TaskRevokedError", "celery.exceptions" },
	{ "superseded", "REVOKED", true, false, "TaskRevokedError", "celery.exceptions" },
};

static const struct state *find_state(const char *event)
{
	for (size_t i = 0; i < sizeof(states) / sizeof(*states); i++) {
		if (strcmp(states[i].event, event) == 0)
			return &states[i];
	}
	return NULL;
}

static char *reason_text(const json_t *data)
{
	const char *reason = json_at_string(data, "reason"), *detail = json_at_string(data, "detail");

	return xasprintf("%s%s%s", reason != NULL ? reason : "ended", detail != NULL ? ": " : "",
		detail != NULL ? detail : "");
}

static json_t *exception(const char *reason, const struct state *state)
{
	json_t *out = json_object(), *message = json_array();

	json_array_append_new(message, json_at_text(reason));
	json_object_set_new(out, "exc_type", json_string(state->exception));
	json_object_set_new(out, "exc_module", json_string(state->module));
	json_object_set_new(out, "exc_message", message);
	return out;
}

/* With one frame, the attempt: clients with task_remote_tracebacks take the text for one of Python's. */
static char *traceback(const json_t *data, const char *reason, const struct state *state, unsigned attempt)
{
	const char *deployer = json_at_string(data, "deployer"), *tail = json_at_string(data, "log_tail");
	struct buf text;

	buf_init(&text, LIMIT_TRACEBACK_BYTES);
	buf_printf(&text, "Traceback (most recent call last):\n  File \"%s\", line %u, in attempt\n%s: %s\n",
		deployer != NULL ? deployer : "gantry", attempt, state->exception, reason);
	if (tail != NULL)
		buf_printf(&text, "\nThe end of its log:\n%s", tail);
	return buf_take(&text);
}

bool celery_meta_make(struct celery_meta *meta, const struct notice *notice)
{
	const json_t *data = json_object_get(notice->doc, "data");
	const struct state *state = find_state(notice->event);
	json_int_t attempt = json_integer_value(json_object_get(json_object_get(data, "attempt"), "number"));
	char *reason;

	*meta = (struct celery_meta){ .task_id = json_at_string(data, "id") };
	if (state == NULL || meta->task_id == NULL)
		return false;
	reason = reason_text(data);
	meta->status = state->status;
	meta->final = state->final;
	meta->retries = attempt > 0 ? (unsigned)attempt - 1 : 0;
	meta->result = state->exception != NULL ? exception(reason, state) : json_deep_copy(data);
	if (state->traced)
		meta->traceback = traceback(data, reason, state, meta->retries + 1);
	if (state->final)
		meta->done = json_at_string(notice->doc, "timestamp");
	free(reason);
	return true;
}

void celery_meta_finish(struct celery_meta *meta)
{
	json_decref(meta->result);
	free(meta->traceback);
	*meta = (struct celery_meta){ 0 };
}

char *celery_meta_text(const struct celery_meta *meta)
{
	json_t *out = json_object();
	char *text;

	json_object_set_new(out, "status", json_string(meta->status));
	json_object_set(out, "result", meta->result);
	json_object_set_new(out, "traceback", json_at_text(meta->traceback));
	json_object_set_new(out, "children", json_array());
	json_object_set_new(out, "date_done", json_at_text(meta->done));
	json_object_set_new(out, "task_id", json_at_text(meta->task_id));
	json_object_set_new(out, "retries", json_integer(meta->retries));
	text = json_at_dump(out);
	json_decref(out);
	return text;
}

char *celery_meta_key(const struct celery_meta *meta)
{
	return xasprintf("celery-task-meta-%s", meta->task_id);
}
