/* SPDX-License-Identifier: Apache-2.0 */
/* event_routes.c - a job as it happens: server-sent events (WHATWG HTML, 9.2).
 *
 * Events are "state" (the record) and "log" (a piece of the log, whole lines as far as there are any).  An
 * event's id says how far its reader is, "ATTEMPT/OFFSET/STATE"; with it as Last-Event-ID a reader goes on
 * without loss, and from the beginning of the log when it is another attempt's by now.  A job that somebody follows is looked at a few times a second, however many follow it; a viewer
 * pulls from the log at its own pace, so a slow one holds nothing but its place. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/job_log.h"
#include "api/log_piece.h"
#include "api/routes.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/json_at.h"
#include "base/mem.h"
#include "base/table.h"
#include "job/job_record.h"

static const double look_s = 0.25;
static const double ping_s = 15;                /* shows that a reader has gone, and keeps proxies awake */

enum { EVENT_LOG_BYTES = 16 << 10, LIMIT_EVENT_BYTES = 512 << 10, EVENT_BLOCK_BYTES = 16 << 10 };

/* A job that is followed. */
struct follow {
	struct table_link by_id;        /* api.follows */
	struct api *api;
	char *id;                       /* the key; records of the job come and go */
	struct job *job;                /* as it was when it was looked at last */
	int log_fd;                     /* -1: none yet */
	int64_t log_bytes;
	struct list viewers;
	ev_timer look;
};

struct viewer {
	struct list link;               /* follow.viewers */
	struct follow *follow;
	struct listener *listener;
	struct MHD_Connection *connection;
	struct buf out;                 /* made, not sent yet */
	int64_t offset;                 /* of the log, as told */
	enum job_state told;            /* JOB_STATES: nothing yet */
	unsigned attempt;               /* whose log it reads */
	double spoke_s;
	bool suspended, ended;
};

static void follow_destroy(struct follow *follow)
{
	ev_timer_stop(follow->api->loop, &follow->look);
	table_remove(&follow->api->follows, &follow->by_id);
	job_destroy(follow->job);
	if (follow->log_fd >= 0)
		close(follow->log_fd);
	free(follow->id);
	free(follow);
}

static void wake(struct viewer *viewer)
{
	if (!viewer->suspended)
		return;
	viewer->suspended = false;
	MHD_resume_connection(viewer->connection);
	listener_kick(viewer->listener);
}

/* A new attempt has a log of its own. */
static void take(struct follow *follow, struct job *job)
{
	bool other = follow->job != NULL && follow->job->attempt.number != job->attempt.number;

	if (other && follow->log_fd >= 0) {
		close(follow->log_fd);
		follow->log_fd = -1;
	}
	job_destroy(follow->job);
	follow->job = job;
	if (follow->log_fd < 0)
		follow->log_fd = job_log_open(job);
	follow->log_bytes = job_log_size(follow->log_fd);
}

static bool has_news(const struct viewer *viewer)
{
	const struct follow *follow = viewer->follow;

	return viewer->told != follow->job->state || viewer->offset < follow->log_bytes ||
		viewer->attempt != follow->job->attempt.number || clock_monotonic_s() - viewer->spoke_s >= ping_s;
}

static void on_look(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct follow *follow = container_of(timer, struct follow, look);
	struct viewer *viewer;
	struct error err;
	struct job *job = store_find(follow->api->store, follow->id, &err);

	(void)loop, (void)revents;
	if (job != NULL)
		take(follow, job);
	list_each(viewer, &follow->viewers, link) {
		if (has_news(viewer))
			wake(viewer);
	}
}

/* Takes job. */
static struct follow *follow_of(struct api *api, struct job *job)
{
	struct table_link *link = table_find(&api->follows, job->id);
	struct follow *follow;

	if (link != NULL) {
		follow = container_of(link, struct follow, by_id);
		take(follow, job);
		return follow;
	}
	follow = xnew(struct follow);
	follow->api = api;
	follow->id = xstrdup(job->id);
	follow->log_fd = -1;
	list_init(&follow->viewers);
	take(follow, job);
	table_add(&api->follows, &follow->by_id, follow->id);
	ev_timer_init(&follow->look, on_look, look_s, look_s);
	ev_timer_start(api->loop, &follow->look);
	return follow;
}

/* -- what a viewer is told ---------------------------------------------------------------------- */

static void add_event(struct viewer *viewer, const char *event, json_t *take_doc)
{
	char *text = json_at_dump(take_doc);

	buf_printf(&viewer->out, "id: %u/%lld/%s\nevent: %s\ndata: %s\n\n", viewer->attempt, (long long)viewer->offset,
		viewer->told < JOB_STATES ? job_state_name(viewer->told) : "", event, text);
	json_decref(take_doc);
	free(text);
}

static void add_log(struct viewer *viewer)
{
	const struct follow *follow = viewer->follow;
	char bytes[EVENT_LOG_BYTES];
	ssize_t n = follow->log_fd >= 0 ? pread(follow->log_fd, bytes, sizeof(bytes), viewer->offset) : 0;
	size_t size = n > 0 ? log_piece_lines(bytes, (size_t)n, sizeof(bytes),
		job_state_final(follow->job->state)) : 0;
	json_t *doc;
	char *text;

	if (size == 0)
		return;
	doc = json_object();
	text = json_at_clean(bytes, size);
	json_object_set_new(doc, "attempt", json_integer(viewer->attempt));
	json_object_set_new(doc, "offset", json_integer(viewer->offset));
	json_object_set_new(doc, "text", json_at_text(text));
	free(text);
	viewer->offset += (int64_t)size;
	add_event(viewer, "log", doc);
}

/* What was written comes before the end that it led to. */
static void fill(struct viewer *viewer)
{
	const struct job *job = viewer->follow->job;
	bool final = job_state_final(job->state);

	if (viewer->attempt != job->attempt.number) {
		viewer->attempt = job->attempt.number;
		viewer->offset = 0;
		viewer->told = JOB_STATES;
	}
	add_log(viewer);
	if (viewer->out.size > 0 || (final && viewer->offset < viewer->follow->log_bytes))
		return;
	if (viewer->told != job->state) {
		viewer->told = job->state;
		add_event(viewer, "state", job_record_brief(job));
	} else if (clock_monotonic_s() - viewer->spoke_s >= ping_s) {
		buf_add_text(&viewer->out, ": still here\n\n");
	}
	viewer->ended = final;
}

static ssize_t on_pull(void *arg, uint64_t position, char *bytes, size_t room)
{
	struct viewer *viewer = arg;
	size_t size;

	(void)position;
	if (viewer->out.size == 0 && !viewer->ended)
		fill(viewer);
	if (viewer->out.size == 0 && viewer->ended)
		return MHD_CONTENT_READER_END_OF_STREAM;
	if (viewer->out.size == 0) {
		viewer->suspended = true;
		MHD_suspend_connection(viewer->connection);
		return 0;
	}
	size = viewer->out.size < room ? viewer->out.size : room;
	memcpy(bytes, viewer->out.bytes, size);
	buf_consume(&viewer->out, size);
	viewer->spoke_s = clock_monotonic_s();
	return (ssize_t)size;
}

static void on_over(void *arg)
{
	struct viewer *viewer = arg;
	struct follow *follow = viewer->follow;

	list_remove(&viewer->link);
	buf_finish(&viewer->out);
	free(viewer);
	if (list_empty(&follow->viewers))
		follow_destroy(follow);
}

static void read_last_id(struct viewer *viewer, const char *id)
{
	long long offset = 0;
	unsigned attempt = 0;
	char state[32] = "";

	if (id == NULL || sscanf(id, "%u/%lld/%31s", &attempt, &offset, state) < 2 || offset < 0)
		return;
	viewer->attempt = attempt;
	viewer->offset = offset;
	if (!job_state_parse(state, &viewer->told))
		viewer->told = JOB_STATES;
}

void answer_events(struct api *api, struct request *request)
{
	struct job *job = job_of_request(api, request);
	const char *last = request_header(request, "Last-Event-ID");
	struct MHD_Response *response;
	struct viewer *viewer;

	if (job == NULL)
		return;
	viewer = xnew(struct viewer);
	viewer->listener = request->listener;
	viewer->connection = request->connection;
	viewer->told = JOB_STATES;
	viewer->attempt = job->attempt.number;
	viewer->spoke_s = clock_monotonic_s();
	buf_init(&viewer->out, LIMIT_EVENT_BYTES);
	read_last_id(viewer, last != NULL ? last : request_query(request, "last"));
	viewer->follow = follow_of(api, job);
	list_append(&viewer->follow->viewers, &viewer->link);
	response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, EVENT_BLOCK_BYTES, on_pull, viewer, on_over);
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "text/event-stream");
	MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
	MHD_add_response_header(response, "X-Accel-Buffering", "no");
	request_answer(request, MHD_HTTP_OK, response);
}

static void end_viewers(struct table_link *link, void *arg)
{
	struct follow *follow = container_of(link, struct follow, by_id);
	struct viewer *viewer;

	(void)arg;
	list_each(viewer, &follow->viewers, link) {
		viewer->ended = true;
		wake(viewer);
	}
}

void events_end(struct api *api)
{
	table_each(&api->follows, end_viewers, NULL);
}
