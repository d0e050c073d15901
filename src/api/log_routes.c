/* SPDX-License-Identifier: Apache-2.0 */
/* log_routes.c - a job's log by offset or Range, and its result. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/byte_range.h"
#include "api/job_log.h"
#include "api/job_task.h"
#include "api/log_wait.h"
#include "api/routes.h"
#include "base/json_at.h"
#include "base/mem.h"
#include "job/job_record.h"

enum { RESULT_SNIFF_BYTES = 512 };
static const double result_wait_s = 10;         /* for CloudWatch Logs */

/* The part of the log that is asked for. */
struct part {
	int64_t from, to;               /* up to, but not including, to */
	bool partial;                   /* by Range: 206 */
};

/* -- log -------------------------------------------------------------------------------------- */

/* Whose log is asked for: that at hand, unless the query says it.  False after a 400. */
static bool read_attempt(struct request *request, const struct job *job, unsigned *attempt)
{
	int64_t number;

	if (!request_query_number(request, "attempt", 1, UINT32_MAX, job->attempt.number, &number))
		return false;
	*attempt = (unsigned)number;
	return true;
}

static void add_state(struct request *request, const struct job *job, int64_t next, bool complete)
{
	unsigned attempt = 0;
	char text[32];

	snprintf(text, sizeof(text), "%lld", (long long)next);
	MHD_add_response_header(request->response, "X-Job-State", job_state_name(job->state));
	MHD_add_response_header(request->response, "X-Next-Offset", text);
	MHD_add_response_header(request->response, "X-Log-Complete", complete ? "true" : "false");
	read_attempt(request, job, &attempt);
	snprintf(text, sizeof(text), "%u", attempt);
	MHD_add_response_header(request->response, "X-Job-Attempt", text);
}

/* The log is taken. */
static void answer_part(struct request *request, const struct job *job, struct job_log *take_log, const struct part *part,
	int64_t size)
{
	bool complete = job_log_complete(take_log);
	struct MHD_Response *response = job_log_response(take_log, part->from, part->to);
	char text[96];

	if (response == NULL) {
		request_answer_error(request, MHD_HTTP_SERVICE_UNAVAILABLE, "not available", "too many files are open; ask again");
		return;
	}
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "text/plain; charset=utf-8");
	MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
	MHD_add_response_header(response, MHD_HTTP_HEADER_ACCEPT_RANGES, "bytes");
	if (part->partial) {
		snprintf(text, sizeof(text), "bytes %lld-%lld/%lld", (long long)part->from, (long long)part->to - 1,
			(long long)size);
		MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_RANGE, text);
	}
	request_answer(request, part->partial ? MHD_HTTP_PARTIAL_CONTENT : MHD_HTTP_OK, response);
	add_state(request, job, part->to, complete);
}

/* Nothing written yet is an empty log, not a mistake. */
static void answer_empty(struct request *request, const struct job *job)
{
	request_answer_text(request, MHD_HTTP_OK, "text/plain; charset=utf-8", "", 0);
	add_state(request, job, 0, job_state_final(job->state));
}

static void answer_range_error(struct request *request, const struct job *job, int64_t size, bool complete)
{
	char text[64];

	request_answer_error(request, MHD_HTTP_RANGE_NOT_SATISFIABLE, "range not satisfiable", "the log has %lld bytes so far",
		(long long)size);
	snprintf(text, sizeof(text), "bytes */%lld", (long long)size);
	MHD_add_response_header(request->response, MHD_HTTP_HEADER_CONTENT_RANGE, text);
	add_state(request, job, size, complete);
}

/* The log is taken. */
static void answer_open_log(struct request *request, const struct job *job, struct job_log *take_log, int64_t offset)
{
	struct part part = { 0 };
	int64_t size = job_log_size(take_log);

	switch (byte_range_parse(request_header(request, MHD_HTTP_HEADER_RANGE), size, &part.from, &part.to)) {
	case BYTE_RANGE_UNSATISFIABLE:
		answer_range_error(request, job, size, job_log_complete(take_log));
		job_log_close(take_log);
		return;
	case BYTE_RANGE_PART:
		part.partial = true;
		break;
	case BYTE_RANGE_NONE:
		part.from = offset < size ? offset : size;
		part.to = size;
		break;
	}
	answer_part(request, job, take_log, &part, size);
}

static void answer_missing(struct request *request, const struct job *job, const char *what, const char *detail)
{
	json_t *doc = json_object();

	json_object_set_new(doc, "error", json_at_text(what));
	json_object_set_new(doc, "detail", json_at_text(detail));
	json_object_set_new(doc, "state", json_at_text(job_state_name(job->state)));
	request_answer_json(request, MHD_HTTP_NOT_FOUND, doc);
}

static const char unknown_place[] = "the job's deployer is not configured any more, so nobody knows where its task wrote to";

/* What is not there is told from what we may not see. */
static void answer_trouble(struct request *request, const struct job *job, const struct error *err)
{
	static const char *const missing[] = { "no_awslogs", "no_stream", "ResourceNotFoundException" };
	struct error why = *err;

	for (size_t i = 0; i < sizeof(missing) / sizeof(*missing); i++) {
		if (strcmp(err->code, missing[i]) == 0) {
			answer_missing(request, job, "no log", err->text);
			return;
		}
	}
	/* Whatever CloudWatch Logs did not like, it was not our client's request. */
	why.kind = why.kind == ERROR_INVALID ? ERROR_REFUSED : why.kind;
	answer_failed(request, &why);
}

static void answer_log_with(struct api *api, struct request *request, const struct job *job, struct job_log *take_log)
{
	unsigned attempt = 0;
	struct error why;
	int64_t offset;

	(void)api;
	read_attempt(request, job, &attempt);
	if (take_log == NULL && attempt != job->attempt.number) {
		answer_missing(request, job, "no log", "of that attempt nothing was written, or it is kept no more");
	} else if (take_log == NULL && job_task_is_one(job->attempt.handle)) {
		answer_missing(request, job, "no log", unknown_place);
	} else if (take_log == NULL) {
		answer_empty(request, job);
	} else if (log_wait_failed(take_log, &why)) {
		answer_trouble(request, job, &why);
		job_log_close(take_log);
	} else {
		request_query_number(request, "offset", 0, INT64_MAX, 0, &offset);
		answer_open_log(request, job, take_log, offset);
	}
}

static void answer_log_of(struct api *api, struct request *request, const struct job *job)
{
	unsigned attempt;
	int64_t offset;

	if (!request_query_number(request, "offset", 0, INT64_MAX, 0, &offset) || !read_attempt(request, job, &attempt))
		return;
	if (attempt > job->attempt.number)
		answer_missing(request, job, "no log", "the job has not had so many attempts");
	else
		log_wait(api, request, job, attempt, answer_log_with);
}

void answer_log(struct api *api, struct request *request)
{
	with_job(api, request, answer_log_of);
}

/* -- result ----------------------------------------------------------------------------------- */

static const char *content_type(const char *start, size_t size)
{
	static const struct { const char *start, *type; } known[] = {
		{ "{", "application/json" }, { "[", "application/json" }, { "BEGIN:VCALENDAR", "text/calendar; charset=utf-8" },
		{ "<!DOCTYPE html", "text/html; charset=utf-8" }, { "<html", "text/html; charset=utf-8" },
		{ "<?xml", "application/xml" }, { "%PDF-", "application/pdf" }, { "\x89PNG", "image/png" },
		{ "PK\x03\x04", "application/zip" }, { "\x1f\x8b", "application/gzip" },
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
		if (size >= strlen(known[i].start) && memcmp(start, known[i].start, strlen(known[i].start)) == 0)
			return known[i].type;
	}
	return memchr(start, '\0', size) == NULL ? "text/plain; charset=utf-8" : "application/octet-stream";
}

/* Never sniffed, and without power: a deployment's output is not a page of ours. */
static void answer_found(struct request *request, struct MHD_Response *take_response, const char *type)
{
	MHD_add_response_header(take_response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	MHD_add_response_header(take_response, "Content-Security-Policy", "sandbox");
	request_answer(request, MHD_HTTP_OK, take_response);
}

static void answer_file(struct request *request, int fd, int64_t size)
{
	char start[RESULT_SNIFF_BYTES];
	ssize_t n = pread(fd, start, sizeof(start), 0);

	answer_found(request, MHD_create_response_from_fd64((uint64_t)size, fd), content_type(start, n > 0 ? (size_t)n : 0));
}

static void answer_no_result(struct request *request, const struct job *job, const char *why)
{
	answer_missing(request, job, "no result", why);
}

/* A request that waits for what CloudWatch Logs says. */
struct result_wait {
	struct api *api;
	struct request *request;
	struct job *job;
	struct ecs_log_reader *reader;
	ev_timer deadline;
};

static void result_wait_free(struct result_wait *wait)
{
	ev_timer_stop(wait->api->loop, &wait->deadline);
	ecs_log_close(wait->reader);
	job_destroy(wait->job);
	free(wait);
}

static void on_gone(struct request *request)
{
	result_wait_free(request->state);
}

static void on_result(void *arg, const char *result, size_t size, bool final, const struct error *err)
{
	struct result_wait *wait = arg;
	struct request *request = wait->request;

	request->gone = NULL;
	request->state = NULL;
	if (err != NULL)
		answer_trouble(request, wait->job, err);
	else if (result != NULL)
		answer_found(request, MHD_create_response_from_buffer(size, (void *)result, MHD_RESPMEM_MUST_COPY),
			content_type(result, size < RESULT_SNIFF_BYTES ? size : RESULT_SNIFF_BYTES));
	else
		answer_no_result(request, wait->job, final ? "the deployment left none" : "it is not there yet");
	result_wait_free(wait);
}

static void on_deadline(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct error err;

	(void)loop, (void)revents;
	error_set(&err, ERROR_TEMPORARY, "CloudWatch Logs has not answered in time");
	on_result(container_of(timer, struct result_wait, deadline), NULL, 0, false, &err);
}

static void answer_task_result(struct api *api, struct request *request, const struct job *job)
{
	struct ecs_log_reader *reader = job_task_open(api, job, job->attempt.handle, NULL, NULL);
	struct result_wait *wait;

	if (reader == NULL) {
		answer_no_result(request, job, unknown_place);
		return;
	}
	wait = xnew(struct result_wait);
	*wait = (struct result_wait){ .api = api, .request = request, .job = job_copy(job), .reader = reader };
	ev_timer_init(&wait->deadline, on_deadline, result_wait_s, 0.);
	ev_timer_start(api->loop, &wait->deadline);
	request->state = wait;
	request->gone = on_gone;
	ecs_log_over(reader, job->finished_ms);
	ecs_log_result(reader, on_result, wait);
}

static void answer_result_of(struct api *api, struct request *request, const struct job *job)
{
	int fd = -1;

	/* It is there when the deployment is over: before, it may be half written. */
	if (!job_state_final(job->state)) {
		answer_no_result(request, job, "the deployment has not ended yet");
		return;
	}
	if (job_task_is_one(job->attempt.handle)) {
		answer_task_result(api, request, job);
		return;
	}
	fd = job_result_open(job);
	if (fd >= 0)
		answer_file(request, fd, job_result_size(fd));
	else
		answer_no_result(request, job, "the deployment left none");
}

void answer_result(struct api *api, struct request *request)
{
	with_job(api, request, answer_result_of);
}
