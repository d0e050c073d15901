/* SPDX-License-Identifier: Apache-2.0 */
/* deploy_routes.c - the calls of the queued-deployments server, as its clients expect them.
 *
 * POST /deploy takes {"cd", "commands", "commit_hash", "ref_name"}; the project is the message's or the last
 * part of cd.  GET /status/ID gives state and the log since the same client's last call; whose last call is
 * remembered per token and peer, so that a second reader loses nothing. */
#include <stdlib.h>
#include <string.h>

#include "api/deploy_reader.h"
#include "api/job_log.h"
#include "api/log_piece.h"
#include "api/log_wait.h"
#include "api/pending.h"
#include "api/routes.h"
#include "api/submit.h"
#include "base/buf.h"
#include "base/json_at.h"
#include "base/mem.h"

enum { LIMIT_STATUS_LOG_BYTES = 1 << 20, LIMIT_STATUS_ATTEMPTS = 16 };

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

/* As far as it fits; a character that is half written, or half read, waits for its other half. */
static void add_piece(const struct job_log *log, struct deploy_place *place, struct buf *out)
{
	int64_t left = job_log_size(log) - place->offset;
	size_t room = LIMIT_STATUS_LOG_BYTES - out->size;
	size_t want = left > (int64_t)room ? room : left > 0 ? (size_t)left : 0, size;
	char *bytes = xcalloc(1, want + 1);
	ssize_t n = want > 0 ? job_log_read(log, bytes, want, place->offset) : 0;

	size = n > 0 ? (size_t)n : 0;
	if (!job_log_complete(log) || (int64_t)size < left)
		size = log_piece_characters(bytes, size);
	buf_add(out, bytes, size);
	place->offset += (int64_t)size;
	free(bytes);
}

/* What is left of the attempt that the reader was at, and of all that came after it. */
static void add_earlier(struct api *api, const struct job *job, struct deploy_place *place, struct buf *out)
{
	while (place->attempt < job->attempt.number) {
		struct job_log *log = job_log_open(api, job, place->attempt, NULL, NULL, NULL);
		bool all = true;

		if (log != NULL) {
			add_piece(log, place, out);
			all = place->offset >= job_log_size(log);
		}
		job_log_close(log);
		if (!all)
			return;
		*place = (struct deploy_place){ .attempt = place->attempt + 1 };
	}
}

/* One that has never begun has no log: why it has not stands in its place. */
static bool was_refused(const struct job *job)
{
	return job->attempt.number == 0 && job_state_final(job->state) && job->state != JOB_SUCCEEDED && job->reason != NULL;
}

/* Told once to each reader: a place in no attempt says that it was. */
static char *refusal_since(struct deploy_readers *readers, const struct deploy_reader *reader, const struct job *job)
{
	struct deploy_place place = deploy_reader_place(readers, reader);

	deploy_reader_note(readers, reader, (struct deploy_place){ .offset = 1 });
	if (place.attempt == 0 && place.offset > 0)
		return xstrdup("");
	return xasprintf("%s%s%s\n", job->reason, job->detail != NULL ? ": " : "", job->detail != NULL ? job->detail : "");
}

static char *log_since(struct api *api, const struct request *request, const struct job *job, const struct job_log *log)
{
	const struct deploy_reader reader = {
		.token = request->token != NULL ? request->token->name : "", .peer = request->peer, .job = job->id,
	};
	struct deploy_place place;
	struct buf out;
	char *text;

	if (was_refused(job))
		return refusal_since(api->readers, &reader, job);
	place = deploy_reader_place(api->readers, &reader);
	if (place.attempt == 0 || place.attempt > job->attempt.number ||
		job->attempt.number - place.attempt > LIMIT_STATUS_ATTEMPTS)
		place = (struct deploy_place){ .attempt = job->attempt.number };
	buf_init(&out, LIMIT_STATUS_LOG_BYTES);
	add_earlier(api, job, &place, &out);
	if (log != NULL && place.attempt == job->attempt.number)
		add_piece(log, &place, &out);
	deploy_reader_note(api->readers, &reader, place);
	text = json_at_clean(buf_text(&out), out.size);
	buf_finish(&out);
	return text;
}

/* Its clients know of no other trouble than a job's: without a log they get none. */
static void answer_status_with(struct api *api, struct request *request, const struct job *job, struct job_log *take_log)
{
	json_t *doc = json_object();
	char *logs = log_since(api, request, job, take_log);

	json_object_set_new(doc, "status", json_string(status_of(job->state)));
	json_object_set_new(doc, "logs", json_at_text(logs));
	free(logs);
	job_log_close(take_log);
	request_answer_json(request, MHD_HTTP_OK, doc);
}

static void on_found(void *arg, const struct job *job, const struct error *err)
{
	struct api *api = ((struct pending *)arg)->api;
	struct request *request = pending_end(arg);
	json_t *doc;

	if (request == NULL)
		return;
	if (job != NULL && auth_may_project(request, job->project)) {
		log_wait(api, request, job, job->attempt.number, answer_status_with);
		return;
	}
	doc = json_object();
	json_object_set_new(doc, "status", json_string("not_found"));
	json_object_set_new(doc, "logs", json_string(""));
	request_answer_json(request, err != NULL ? MHD_HTTP_SERVICE_UNAVAILABLE : MHD_HTTP_NOT_FOUND, doc);
}

void answer_status(struct api *api, struct request *request)
{
	store_find(api->store, request->argument, on_found, pending_begin(api, request));
}

static void set_count(json_t *doc, const char *key, uint64_t count)
{
	json_object_set_new(doc, key, json_integer((json_int_t)count));
}

static void on_counted(void *arg, const uint64_t *counts, const struct error *err)
{
	struct request *request = pending_end(arg);
	json_t *doc;

	if (request == NULL)
		return;
	if (err != NULL) {
		answer_failed(request, err);
		return;
	}
	doc = json_object();
	set_count(doc, "queued", counts[JOB_QUEUED] + counts[JOB_WAITING]);
	set_count(doc, "running", counts[JOB_LAUNCHING] + counts[JOB_RUNNING] + counts[JOB_CANCELLING]);
	set_count(doc, "complete", counts[JOB_SUCCEEDED]);
	set_count(doc, "failed", counts[JOB_FAILED] + counts[JOB_CANCELLED] + counts[JOB_SUPERSEDED]);
	request_answer_json(request, MHD_HTTP_OK, doc);
}

void answer_queue_status(struct api *api, struct request *request)
{
	store_count(api->store, on_counted, pending_begin(api, request));
}
