/* SPDX-License-Identifier: Apache-2.0 */
/* deploy_routes.c - the calls of the queued-deployments server, as its clients expect them.
 *
 * POST /deploy takes {"cd", "commands", "commit_hash", "ref_name"}; the project is the message's or the last
 * part of cd.  GET /status/ID gives state and the log since the same client's last call; whose last call is
 * remembered per token and peer, so that a second reader loses nothing. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/deploy_reader.h"
#include "api/job_log.h"
#include "api/log_piece.h"
#include "api/pending.h"
#include "api/routes.h"
#include "api/submit.h"
#include "base/json_at.h"
#include "base/mem.h"

enum { LIMIT_STATUS_LOG_BYTES = 1 << 20 };

/* -- deploy ----------------------------------------------------------------------------------- */

static void on_submitted(void *arg, const struct submitted *submitted, const struct error *err)
{
	struct request *request = pending_end(arg);
	bool waits;
	json_t *doc;

	if (request == NULL)
		return;
	if (err != NULL) {
		answer_failed(request, err);
		return;
	}
	doc = json_object();
	waits = submitted->job->state == JOB_WAITING;
	json_object_set_new(doc, "job_id", json_at_text(submitted->job->id));
	if (waits) {
		json_object_set_new(doc, "queued", json_true());
		json_object_set_new(doc, "message", json_string("Another deployment of this project is running; "
			"this one starts when it has ended"));
	}
	request_answer_json(request, waits ? MHD_HTTP_ACCEPTED : MHD_HTTP_OK, doc);
}

/* "/srv/sites/shop/" -> "shop" */
static char *last_part(const char *path)
{
	size_t size = strlen(path), from;

	while (size > 0 && path[size - 1] == '/')
		size--;
	for (from = size; from > 0 && path[from - 1] != '/'; from--)
		;
	return size > from ? xstrndup(path + from, size - from) : NULL;
}

/* The body with a project; NULL when it is no object. */
static char *with_project(const char *body, size_t size, struct error *err)
{
	json_t *doc = json_at_parse(body, size, err);
	const char *cd = json_at_string(doc, "cd");
	char *project = cd != NULL ? last_part(cd) : NULL;
	char *text = NULL;

	if (doc != NULL && !json_is_object(doc))
		error_set(err, ERROR_INVALID, "body: expected a JSON object");
	if (json_is_object(doc)) {
		if (json_object_get(doc, "project") == NULL && project != NULL)
			json_object_set_new(doc, "project", json_at_text(project));
		text = json_at_dump(doc);
	}
	free(project);
	json_decref(doc);
	return text;
}

void answer_deploy(struct api *api, struct request *request)
{
	const struct conf_deploy *conf = &api->conf->api->deploy;
	struct error err;
	char *body = with_project(buf_text(&request->body), request->body.size, &err);

	if (body == NULL) {
		answer_failed(request, &err);
		return;
	}
	submit(api->submitter, request, conf->queue, conf->deployer, body, strlen(body), on_submitted,
		pending_begin(api, request));
	free(body);
}

/* -- status ----------------------------------------------------------------------------------- */

static const char *status_of(enum job_state state)
{
	switch (state) {
	case JOB_QUEUED:
	case JOB_WAITING:
		return "queued";
	case JOB_LAUNCHING:
	case JOB_RUNNING:
	case JOB_CANCELLING:
		return "running";
	case JOB_SUCCEEDED:
		return "complete";
	default:
		return "failed";
	}
}

static char *log_since(struct api *api, const struct request *request, const struct job *job)
{
	int fd = job_log_open(job);
	int64_t *offset = deploy_reader_offset(api->readers, request->token != NULL ? request->token->name : "", request->peer,
		job->id, job->attempt.number);
	int64_t left = job_log_size(fd) - *offset;
	size_t size = left > LIMIT_STATUS_LOG_BYTES ? LIMIT_STATUS_LOG_BYTES : left > 0 ? (size_t)left : 0;
	char *bytes = xcalloc(1, size + 1), *text;
	ssize_t n = fd >= 0 && size > 0 ? pread(fd, bytes, size, *offset) : 0;

	/* A character that is half written, or half read, waits for its other half. */
	size = n > 0 ? (size_t)n : 0;
	if (!job_state_final(job->state) || left > LIMIT_STATUS_LOG_BYTES)
		size = log_piece_characters(bytes, size);
	*offset += (int64_t)size;
	text = json_at_clean(bytes, size);
	free(bytes);
	if (fd >= 0)
		close(fd);
	return text;
}

void answer_status(struct api *api, struct request *request)
{
	struct error err = { 0 };
	struct job *job = store_find(api->store, request->argument, &err);
	json_t *doc = json_object();
	char *logs;

	if (job == NULL || !auth_may_project(request, job->project)) {
		json_object_set_new(doc, "status", json_string("not_found"));
		json_object_set_new(doc, "logs", json_string(""));
		request_answer_json(request, err.kind != ERROR_NONE ? MHD_HTTP_SERVICE_UNAVAILABLE : MHD_HTTP_NOT_FOUND, doc);
		job_destroy(job);
		return;
	}
	logs = log_since(api, request, job);
	json_object_set_new(doc, "status", json_string(status_of(job->state)));
	json_object_set_new(doc, "logs", json_at_text(logs));
	free(logs);
	request_answer_json(request, MHD_HTTP_OK, doc);
	job_destroy(job);
}

static void set_count(json_t *doc, const char *key, uint64_t count)
{
	json_object_set_new(doc, key, json_integer((json_int_t)count));
}

void answer_queue_status(struct api *api, struct request *request)
{
	uint64_t counts[JOB_STATES];
	struct error err;
	json_t *doc;

	if (!store_count(api->store, counts, &err)) {
		answer_failed(request, &err);
		return;
	}
	doc = json_object();
	set_count(doc, "queued", counts[JOB_QUEUED] + counts[JOB_WAITING]);
	set_count(doc, "running", counts[JOB_LAUNCHING] + counts[JOB_RUNNING] + counts[JOB_CANCELLING]);
	set_count(doc, "complete", counts[JOB_SUCCEEDED]);
	set_count(doc, "failed", counts[JOB_FAILED] + counts[JOB_CANCELLED] + counts[JOB_SUPERSEDED]);
	request_answer_json(request, MHD_HTTP_OK, doc);
}
