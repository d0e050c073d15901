/* SPDX-License-Identifier: Apache-2.0 */
/* job_routes.c - jobs over HTTP: submit, list, show, why, cancel, retry.
 *
 * A job of a project that the token is not good for is no job: 404, as if it were not there. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/pending.h"
#include "api/routes.h"
#include "api/submit.h"
#include "base/json_at.h"
#include "base/mem.h"
#include "job/job_record.h"

enum { JOBS_DEFAULT = 50, JOBS_MAX = 500 };

void answer_failed(struct request *request, const struct error *err)
{
	static const struct { unsigned status; const char *error; } kinds[ERROR_KINDS] = {
		[ERROR_NONE] = { MHD_HTTP_INTERNAL_SERVER_ERROR, "internal error" },
		[ERROR_TEMPORARY] = { MHD_HTTP_SERVICE_UNAVAILABLE, "not available" },
		[ERROR_THROTTLED] = { MHD_HTTP_SERVICE_UNAVAILABLE, "not available" },
		[ERROR_AMBIGUOUS] = { MHD_HTTP_GATEWAY_TIMEOUT, "no answer" },
		[ERROR_REFUSED] = { MHD_HTTP_BAD_GATEWAY, "refused" },
		[ERROR_INVALID] = { MHD_HTTP_BAD_REQUEST, "bad request" },
		[ERROR_LOST] = { MHD_HTTP_CONFLICT, "lost" },
	};

	if (strcmp(err->code, "forbidden") == 0)
		request_answer_error(request, MHD_HTTP_FORBIDDEN, "forbidden", "%s", err->text);
	else if (strcmp(err->code, "conflict") == 0)
		request_answer_error(request, MHD_HTTP_CONFLICT, "conflict", "%s", err->text);
	else
		request_answer_error(request, kinds[err->kind].status, kinds[err->kind].error, "%s", err->text);
}

struct job *job_of_request(struct api *api, struct request *request)
{
	struct error err = { 0 };
	struct job *job = store_find(api->store, request->argument, &err);

	if (job != NULL && auth_may_project(request, job->project))
		return job;
	job_destroy(job);
	if (err.kind != ERROR_NONE)
		answer_failed(request, &err);
	else
		request_answer_error(request, MHD_HTTP_NOT_FOUND, "not found", "there is no such job");
	return NULL;
}

/* -- submit ----------------------------------------------------------------------------------- */

static unsigned submitted_status(const struct submitted *submitted)
{
	if (submitted->known)
		return MHD_HTTP_OK;
	return job_state_final(submitted->job->state) ? MHD_HTTP_CONFLICT : MHD_HTTP_ACCEPTED;
}

static json_t *submitted_doc(const struct submitted *submitted)
{
	const struct job *job = submitted->job;
	json_t *doc;

	if (submitted->known)
		return job_record(job);
	doc = json_object();
	json_object_set_new(doc, "id", json_at_text(job->id));
	json_object_set_new(doc, "state", json_at_text(submitted->sent ? "queued" : job_state_name(job->state)));
	if (submitted->ahead > 0)
		json_object_set_new(doc, "position", json_integer((json_int_t)submitted->ahead));
	if (submitted->sent)
		json_object_set_new(doc, "queue", json_at_text(submitted->queue));
	if (job->reason != NULL && job->reason[0] != '\0')
		json_object_set_new(doc, "reason", json_at_text(job->reason));
	return doc;
}

static void add_location(struct request *request, const char *id)
{
	char *escaped = xcalloc(3, strlen(id) + 1);
	char *out = escaped, *location;

	for (const char *at = id; *at != '\0'; at++) {
		/* All but the unreserved of RFC 3986, 2.3. */
		if (!isalnum((unsigned char)*at) && strchr("-._~", *at) == NULL)
			out += snprintf(out, 4, "%%%02X", (unsigned)(unsigned char)*at);
		else
			*out++ = *at;
	}
	location = xasprintf("/v1/jobs/%s", escaped);
	MHD_add_response_header(request->response, MHD_HTTP_HEADER_LOCATION, location);
	free(location);
	free(escaped);
}

static void on_submitted(void *arg, const struct submitted *submitted, const struct error *err)
{
	struct request *request = pending_end(arg);

	if (request == NULL)
		return;
	if (err != NULL) {
		answer_failed(request, err);
		return;
	}
	request_answer_json(request, submitted_status(submitted), submitted_doc(submitted));
	add_location(request, submitted->job->id);
}

void answer_submit(struct api *api, struct request *request)
{
	struct pending *pending = pending_begin(api, request);

	submit(api->submitter, request, request_query(request, "queue"), NULL, buf_text(&request->body), request->body.size,
		on_submitted, pending);
}

/* -- reading ---------------------------------------------------------------------------------- */

void answer_job(struct api *api, struct request *request)
{
	struct job *job = job_of_request(api, request);

	if (job == NULL)
		return;
	request_answer_json(request, MHD_HTTP_OK, job_record(job));
	job_destroy(job);
}

void answer_why(struct api *api, struct request *request)
{
	struct job *job = job_of_request(api, request);
	struct store_why *why;
	struct error err = { 0 };
	json_t *doc;

	if (job == NULL)
		return;
	why = store_why(api->store, job->id, &err);
	job_destroy(job);
	if (why == NULL) {
		answer_failed(request, &err);
		return;
	}
	doc = job_record(why->job);
	json_object_set_new(doc, "ahead", json_integer((json_int_t)why->ahead));
	/* A key may be shared with projects that are not theirs to see. */
	if (why->holder_project != NULL && !auth_may_project(request, why->holder_project))
		xreplace(&why->holder, NULL);
	json_object_set_new(doc, "held_by", json_at_text(why->holder));
	job_record_stamp(doc, "held_since", why->holder_since_ms);
	json_object_set_new(doc, "group_head", json_at_text(why->group_head));
	request_answer_json(request, MHD_HTTP_OK, doc);
	store_why_free(why);
}

static bool fill_filter(struct request *request, struct store_filter *filter)
{
	const char *state = request_query(request, "state");
	enum job_state parsed;
	int64_t max;

	*filter = (struct store_filter){ .project = request_query(request, "project"), .state = -1,
		.deployer = request_query(request, "deployer") };
	if (!request_query_number(request, "after", 0, INT64_MAX, 0, &filter->before_seq) ||
		!request_query_number(request, "count", 1, JOBS_MAX, JOBS_DEFAULT, &max))
		return false;
	filter->max = (size_t)max;
	if (state != NULL && !job_state_parse(state, &parsed)) {
		request_answer_error(request, MHD_HTTP_BAD_REQUEST, "bad query", "state: no such state");
		return false;
	}
	if (state != NULL)
		filter->state = (int)parsed;
	return true;
}

/* Newest first; "after" of the next page is the last one's sequence. */
void answer_jobs(struct api *api, struct request *request)
{
	struct store_filter filter;
	struct job **jobs;
	struct error err;
	json_t *doc, *list;
	size_t count;

	if (!fill_filter(request, &filter))
		return;
	if (!store_list(api->store, &filter, &jobs, &count, &err)) {
		answer_failed(request, &err);
		return;
	}
	doc = json_object();
	list = json_array();
	for (size_t i = 0; i < count; i++) {
		if (auth_may_project(request, jobs[i]->project))
			json_array_append_new(list, job_record_brief(jobs[i]));
	}
	json_object_set_new(doc, "jobs", list);
	if (count == filter.max)
		json_object_set_new(doc, "after", json_integer(jobs[count - 1]->seq));
	store_jobs_free(jobs, count);
	request_answer_json(request, MHD_HTTP_OK, doc);
}

/* -- cancel, retry ---------------------------------------------------------------------------- */

static void on_asked(void *arg, const struct store_answer *answer, const struct error *err)
{
	struct api *api = ((struct pending *)arg)->api;
	struct request *request = pending_end(arg);
	json_t *doc;

	if (err == NULL && answer->verdict <= STORE_ASKED_BEGUN)
		api_hint(api);
	if (request == NULL)
		return;
	if (err != NULL) {
		answer_failed(request, err);
	} else if (answer->verdict == STORE_ASKED_UNKNOWN) {
		request_answer_error(request, MHD_HTTP_NOT_FOUND, "not found", "there is none of that name");
	} else if (answer->verdict == STORE_ASKED_REFUSED) {
		request_answer_error(request, MHD_HTTP_CONFLICT, "conflict", "it is %s", job_state_name(answer->state));
	} else {
		doc = json_object();
		json_object_set_new(doc, "id", json_at_text(answer->job_id));
		json_object_set_new(doc, "state", json_at_text(answer->job_id != NULL ? job_state_name(answer->state) : NULL));
		request_answer_json(request, MHD_HTTP_ACCEPTED, doc);
	}
}

void answer_cancel(struct api *api, struct request *request)
{
	struct job *job = job_of_request(api, request);

	if (job == NULL)
		return;
	store_cancel(api->store, job->id, request->who, on_asked, pending_begin(api, request));
	job_destroy(job);
}

void answer_retry(struct api *api, struct request *request)
{
	struct job *job = job_of_request(api, request);

	if (job == NULL)
		return;
	store_retry_finished(api->store, job->id, request->who, on_asked, pending_begin(api, request));
	job_destroy(job);
}

/* A key may be held by any project, and freeing it ends the holder. */
void answer_unlock(struct api *api, struct request *request)
{
	if (auth_projects(request) != NULL) {
		request_answer_error(request, MHD_HTTP_FORBIDDEN, "forbidden", "only a token that is good for all projects frees keys");
		return;
	}
	store_unlock(api->store, request->argument, request->who, on_asked, pending_begin(api, request));
}
