/* SPDX-License-Identifier: Apache-2.0 */
/* log_routes.c - a job's log by offset or Range, and its result. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/byte_range.h"
#include "api/job_log.h"
#include "api/routes.h"
#include "base/json_at.h"
#include "job/job_record.h"

enum { RESULT_SNIFF_BYTES = 512 };

/* The part of the log that is asked for. */
struct part {
	int64_t from, to;               /* up to, but not including, to */
	bool partial;                   /* by Range: 206 */
};

static void answer_part(struct request *request, const struct job *job, int fd, const struct part *part, int64_t size)
{
	struct MHD_Response *response;
	char text[96];

	response = MHD_create_response_from_fd_at_offset64((uint64_t)(part->to - part->from), fd, (uint64_t)part->from);
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "text/plain; charset=utf-8");
	MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
	MHD_add_response_header(response, MHD_HTTP_HEADER_ACCEPT_RANGES, "bytes");
	MHD_add_response_header(response, "X-Job-State", job_state_name(job->state));
	snprintf(text, sizeof(text), "%lld", (long long)part->to);
	MHD_add_response_header(response, "X-Next-Offset", text);
	if (part->partial) {
		snprintf(text, sizeof(text), "bytes %lld-%lld/%lld", (long long)part->from, (long long)part->to - 1, (long long)size);
		MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_RANGE, text);
	}
	request_answer(request, part->partial ? MHD_HTTP_PARTIAL_CONTENT : MHD_HTTP_OK, response);
}

/* Nothing written yet is an empty log, not a mistake. */
static void answer_empty(struct request *request, const struct job *job)
{
	request_answer_text(request, MHD_HTTP_OK, "text/plain; charset=utf-8", "", 0);
	MHD_add_response_header(request->response, "X-Job-State", job_state_name(job->state));
	MHD_add_response_header(request->response, "X-Next-Offset", "0");
}

static void answer_range_error(struct request *request, int64_t size)
{
	char text[64];

	request_answer_error(request, MHD_HTTP_RANGE_NOT_SATISFIABLE, "range not satisfiable", "the log has %lld bytes so far",
		(long long)size);
	snprintf(text, sizeof(text), "bytes */%lld", (long long)size);
	MHD_add_response_header(request->response, MHD_HTTP_HEADER_CONTENT_RANGE, text);
}

/* fd is the log's, and taken. */
static void answer_open_log(struct request *request, const struct job *job, int fd, int64_t offset)
{
	struct part part = { 0 };
	int64_t size = job_log_size(fd);

	switch (byte_range_parse(request_header(request, MHD_HTTP_HEADER_RANGE), size, &part.from, &part.to)) {
	case BYTE_RANGE_UNSATISFIABLE:
		answer_range_error(request, size);
		close(fd);
		return;
	case BYTE_RANGE_PART:
		part.partial = true;
		break;
	case BYTE_RANGE_NONE:
		part.from = offset < size ? offset : size;
		part.to = size;
		break;
	}
	answer_part(request, job, fd, &part, size);
}

void answer_log(struct api *api, struct request *request)
{
	struct job *job = job_of_request(api, request);
	int64_t offset;
	int fd;

	if (job == NULL)
		return;
	if (request_query_number(request, "offset", 0, INT64_MAX, 0, &offset)) {
		fd = job_log_open(job);
		if (fd >= 0)
			answer_open_log(request, job, fd, offset);
		else
			answer_empty(request, job);
	}
	job_destroy(job);
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

/* As an attachment, and never sniffed: a deployment's output is not a page of ours. */
static void answer_file(struct request *request, int fd, int64_t size)
{
	char start[RESULT_SNIFF_BYTES];
	ssize_t n = pread(fd, start, sizeof(start), 0);
	struct MHD_Response *response = MHD_create_response_from_fd64((uint64_t)size, fd);

	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, content_type(start, n > 0 ? (size_t)n : 0));
	MHD_add_response_header(response, "Content-Security-Policy", "sandbox");
	request_answer(request, MHD_HTTP_OK, response);
}

void answer_result(struct api *api, struct request *request)
{
	struct job *job = job_of_request(api, request);
	json_t *doc;
	int fd;

	if (job == NULL)
		return;
	/* It is there when the deployment is over: before, it may be half written. */
	fd = job_state_final(job->state) ? job_log_open_result(job) : -1;
	if (fd >= 0) {
		answer_file(request, fd, job_log_size(fd));
	} else {
		doc = json_object();
		json_object_set_new(doc, "error", json_string("no result"));
		json_object_set_new(doc, "detail", json_string(job_state_final(job->state) ? "the deployment left none" :
			"the deployment has not ended yet"));
		json_object_set_new(doc, "state", json_at_text(job_state_name(job->state)));
		request_answer_json(request, MHD_HTTP_NOT_FOUND, doc);
	}
	job_destroy(job);
}
