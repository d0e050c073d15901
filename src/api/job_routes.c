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
#include "store/store_record.h"

enum { JOBS_DEFAULT = 50, JOBS_MAX = 500, SHOWN_DELIVERIES = 1000 };

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

struct lookup {
	struct pending *pending;
	job_fn *fn;
};

static void on_found(void *arg, const struct job *job, const struct error *err)
{
	struct lookup *lookup = arg;
	struct api *api = lookup->pending->api;
	struct request *request = pending_end(lookup->pending);
	job_fn *fn = lookup->fn;

	free(lookup);
	if (request == NULL)
		return;
	if (err != NULL)
		answer_failed(request, err);
	else if (job == NULL || !auth_may_project(request, job->project))
		request_answer_error(request, MHD_HTTP_NOT_FOUND, "not found", "there is no such job");
	else
		fn(api, request, job);
}

void with_job(struct api *api, struct request *request, job_fn *fn)
{
	struct lookup *lookup = xnew(struct lookup);

	*lookup = (struct lookup){ .pending = pending_begin(api, request), .fn = fn };
	store_find(api->store, request->argument, on_found, lookup);
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

/* The record, while what belongs to it is being read. */
struct show {
	struct pending *pending;
	json_t *doc;
};

static void show_end(struct show *show, const struct error *err)
{
	struct request *request = pending_end(show->pending);

	if (request != NULL && err != NULL)
		answer_failed(request, err);
	else if (request != NULL)
		request_answer_json(request, MHD_HTTP_OK, json_incref(show->doc));
	json_decref(show->doc);
	free(show);
}

static void on_deliveries(void *arg, const struct store_delivery *deliveries, size_t count, int64_t next_due_ms,
	const struct error *err)
{
	struct show *show = arg;

	(void)next_due_ms;
	json_object_set_new(show->doc, "deliveries", store_delivery_records(deliveries, count));
	show_end(show, err);
}

static void on_attempts(void *arg, const struct store_attempt *attempts, size_t count, const struct error *err)
{
	struct show *show = arg;
	const char *id = json_string_value(json_object_get(show->doc, "id"));
	struct store_delivery_filter filter = { .job_id = id, .max = SHOWN_DELIVERIES };

	if (err != NULL || show->pending->request == NULL) {
		show_end(show, err);
		return;
	}
	json_object_set_new(show->doc, "attempts", store_attempt_records(attempts, count));
	store_deliveries(show->pending->api->store, &filter, on_deliveries, show);
}

static void show_job(struct api *api, struct request *request, const struct job *job)
{
	struct show *show = xnew(struct show);

	*show = (struct show){ .pending = pending_begin(api, request), .doc = job_record(job) };
	store_attempts(api->store, job->id, on_attempts, show);
}

void answer_job(struct api *api, struct request *request)
{
	with_job(api, request, show_job);
}

static void on_why(void *arg, const struct store_why *why, const struct error *err)
{
	struct request *request = pending_end(arg);
	json_t *doc;

	if (request == NULL)
		return;
	if (err != NULL) {
		answer_failed(request, err);
		return;
	}
	if (why == NULL || !auth_may_project(request, why->job->project)) {
		request_answer_error(request, MHD_HTTP_NOT_FOUND, "not found", "there is no such job");
		return;
	}
	doc = store_why_record(why);
	/* A key may be shared with projects that are not theirs to see. */
	if (why->holder_project != NULL && !auth_may_project(request, why->holder_project)) {
		json_object_set_new(doc, "held_by", json_null());
		json_object_set_new(doc, "held_by_project", json_null());
	}
	request_answer_json(request, MHD_HTTP_OK, doc);
}

void answer_why(struct api *api, struct request *request)
{
	store_why(api->store, request->argument, on_why, pending_begin(api, request));
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

/* A page that is asked for. */
struct page {
	struct pending *pending;
	size_t max;
};

static json_t *page_doc(const struct request *request, const struct job *const *jobs, size_t count, size_t max)
{
	json_t *doc = json_object(), *list = json_array();

	for (size_t i = 0; i < count; i++) {
		if (auth_may_project(request, jobs[i]->project))
			json_array_append_new(list, job_record_brief(jobs[i]));
	}
	json_object_set_new(doc, "jobs", list);
	if (count == max)
		json_object_set_new(doc, "after", json_integer(jobs[count - 1]->seq));
	return doc;
}

static void on_listed(void *arg, const struct job *const *jobs, size_t count, const struct error *err)
{
	struct page *page = arg;
	struct request *request = pending_end(page->pending);

	if (request != NULL && err != NULL)
		answer_failed(request, err);
	else if (request != NULL)
		request_answer_json(request, MHD_HTTP_OK, page_doc(request, jobs, count, page->max));
	free(page);
}

/* Newest first; "after" of the next page is the last one's sequence. */
void answer_jobs(struct api *api, struct request *request)
{
	struct store_filter filter;
	struct page *page;

	if (!fill_filter(request, &filter))
		return;
	page = xnew(struct page);
	*page = (struct page){ .pending = pending_begin(api, request), .max = filter.max };
	store_list(api->store, &filter, on_listed, page);
}

/* -- cancel, retry ---------------------------------------------------------------------------- */

/* One that has ended can be retried once its message is gone: in a moment, mostly. */
static void answer_refused(struct request *request, const struct store_answer *answer, bool retry)
{
	const char *state = job_state_name(answer->state);

	if (retry && job_state_final(answer->state))
		request_answer_error(request, MHD_HTTP_CONFLICT, "conflict",
			"it is %s, but its message is still being deleted; try again in a few seconds", state);
	else
		request_answer_error(request, MHD_HTTP_CONFLICT, "conflict", "it is %s", state);
}

static void take_answer(struct pending *pending, const struct store_answer *answer, const struct error *err, bool retry)
{
	struct api *api = pending->api;
	struct request *request = pending_end(pending);
	json_t *doc;

	if (err == NULL && answer->verdict <= STORE_ASKED_BEGUN)
		api_hint(api, API_HINT_NEWS);
	if (request == NULL)
		return;
	if (err != NULL) {
		answer_failed(request, err);
	} else if (answer->verdict == STORE_ASKED_UNKNOWN) {
		request_answer_error(request, MHD_HTTP_NOT_FOUND, "not found", "there is none of that name");
	} else if (answer->verdict == STORE_ASKED_REFUSED) {
		answer_refused(request, answer, retry);
	} else {
		doc = json_object();
		json_object_set_new(doc, "id", json_at_text(answer->job_id));
		json_object_set_new(doc, "state", json_at_text(answer->job_id != NULL ? job_state_name(answer->state) : NULL));
		request_answer_json(request, MHD_HTTP_ACCEPTED, doc);
	}
}

static void on_asked(void *arg, const struct store_answer *answer, const struct error *err)
{
	take_answer(arg, answer, err, false);
}

static void on_retried(void *arg, const struct store_answer *answer, const struct error *err)
{
	take_answer(arg, answer, err, true);
}

static void cancel_job(struct api *api, struct request *request, const struct job *job)
{
	store_cancel(api->store, job->id, request->who, on_asked, pending_begin(api, request));
}

void answer_cancel(struct api *api, struct request *request)
{
	with_job(api, request, cancel_job);
}

static void retry_job(struct api *api, struct request *request, const struct job *job)
{
	store_retry_finished(api->store, job->id, request->who, on_retried, pending_begin(api, request));
}

void answer_retry(struct api *api, struct request *request)
{
	with_job(api, request, retry_job);
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
