/* SPDX-License-Identifier: Apache-2.0 */
/* celery_meta.c - see celery_meta.h.
 *
 * The result of a task that succeeded is the job's record.  One that failed raises an exception of a class that
 * every client has.  What is only accepted is not told: Celery calls what it finds nothing of PENDING, and a key that is
 * there would keep away that the task has started (send_meta()). */
#include "notify/celery_meta.h"

#include <string.h>

#include "base/json_at.h"
#include "base/mem.h"

static const struct {
	const char *event, *status;
	bool final;
	const char *exception, *module;         /* NULL: none is raised */
} states[] = {
	{ "started", "STARTED", false, NULL, NULL },
	{ "succeeded", "SUCCESS", true, NULL, NULL },
	{ "failed", "FAILURE", true, "RuntimeError", "builtins" },
	{ "uncertain", "FAILURE", true, "RuntimeError", "builtins" },
	{ "cancelled", "REVOKED", true, "TaskRevokedError", "celery.exceptions" },
	{ "superseded", "REVOKED", true, "TaskRevokedError", "celery.exceptions" },
};

static json_t *exception(const json_t *data, const char *name, const char *module)
{
	const char *reason = json_at_string(data, "reason"), *detail = json_at_string(data, "detail");
	char *text = xasprintf("%s%s%s", reason != NULL ? reason : "ended", detail != NULL ? ": " : "", detail != NULL ? detail : "");
	json_t *out = json_object(), *message = json_array();

	json_array_append_new(message, json_at_text(text));
	json_object_set_new(out, "exc_type", json_string(name));
	json_object_set_new(out, "exc_module", json_string(module));
	json_object_set_new(out, "exc_message", message);
	free(text);
	return out;
}

char *celery_meta(const struct notice *notice, bool *final)
{
	const json_t *data = json_object_get(notice->doc, "data");
	json_t *meta;
	char *text;
	size_t i = 0;

	while (i < sizeof(states) / sizeof(*states) && strcmp(states[i].event, notice->event) != 0)
		i++;
	if (i == sizeof(states) / sizeof(*states) || json_at_string(data, "id") == NULL)
		return NULL;
	*final = states[i].final;
	meta = json_object();
	json_object_set_new(meta, "status", json_string(states[i].status));
	json_object_set_new(meta, "result", states[i].exception != NULL ?
		exception(data, states[i].exception, states[i].module) : json_deep_copy(data));
	json_object_set_new(meta, "traceback", json_null());
	json_object_set_new(meta, "children", json_array());
	json_object_set_new(meta, "date_done", states[i].final ?
		json_incref(json_object_get(notice->doc, "timestamp")) : json_null());
	json_object_set(meta, "task_id", json_object_get(data, "id"));
	text = json_at_dump(meta);
	json_decref(meta);
	return text;
}

char *celery_meta_key(const struct notice *notice)
{
	return xasprintf("celery-task-meta-%s", json_at_string(json_object_get(notice->doc, "data"), "id"));
}
