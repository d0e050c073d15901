/* SPDX-License-Identifier: Apache-2.0 */
/* event_routes.c - a job as it happens: server-sent events (WHATWG HTML, 9.2).
 *
 * Events are "state" (the record) and "log" (a piece of the log, whole lines as far as there are any).  An
 * event's id says how far its reader is, "ATTEMPT/OFFSET/STATE"; with it as Last-Event-ID a reader goes on
 * without loss.  Each attempt has a log of its own, and a reader gets to the next one when it has read the
 * last.  A job that somebody follows is looked at a few times a second, however many follow it; a viewer
 * pulls from the log at its own pace, so a slow one holds nothing but its place.
 *
 * What was written comes before the state that it led to.  A task's last lines are waited for only so long:
 * then its end is told, and what is read later comes behind it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/event_pieces.h"
#include "api/job_log.h"
#include "api/log_piece.h"
#include "api/routes.h"
#include "api/event_stream.h"
#include "base/clock.h"
#include "base/json_at.h"
#include "base/mem.h"
#include "base/table.h"
#include "job/job_record.h"

static const double look_s = 0.25;
static const double lines_s = 15, rest_s = 60;  /* from a task's end to that of waiting for its lines; for all of them */

enum {
	EVENT_LOG_BYTES = 16 << 10,
	LIMIT_EVENT_BYTES = 512 << 10,
	LIMIT_FOLLOWED_LOGS = 16,       /* attempts whose logs are kept for readers that lag */
};

/* A job that is followed. */
struct follow {
	struct table_link by_id;        /* api.follows */
	struct api *api;
	char *id;                       /* the key; records of the job come and go */
	struct job *job;                /* as it was when it was looked at last */
	struct job_log *logs[LIMIT_FOLLOWED_LOGS];      /* of its attempts, as far as they were read; earlier ones first */
	size_t log_count;
	struct store_attempt *past;     /* its launches, as the store told them; texts ours */
	size_t past_count;
	unsigned past_below;            /* they are all that there were of attempts below this one */
	unsigned asked_below;           /* the same of what is asked for */
	struct event_pieces pieces;     /* of its logs, as they were told */
	double final_s;                 /* monotonic: when it was first seen to have ended; 0: it has not */
	struct list viewers;
	ev_timer look;
	bool looking;                   /* a look is under way */
	bool asking;                    /* the store, for past */
	bool gone;                      /* and nobody follows any more: it ends with these */
};

struct viewer {
	struct list link;               /* follow.viewers */
	struct follow *follow;
	struct event_stream stream;
	int64_t offset;                 /* of the log, as told */
	enum job_state told;            /* JOB_STATES: nothing yet */
	unsigned attempt;               /* whose log it reads */
	bool complained;                /* was told that this log cannot be read */
};

static void forget_past(struct follow *follow)
{
	for (size_t i = 0; i < follow->past_count; i++)
		free(follow->past[i].handle);
	free(follow->past);
	follow->past = NULL;
	follow->past_count = 0;
}

static void follow_free(struct follow *follow)
{
	forget_past(follow);
	job_destroy(follow->job);
	for (size_t i = 0; i < follow->log_count; i++)
		job_log_close(follow->logs[i]);
	event_pieces_finish(&follow->pieces);
	free(follow->id);
	free(follow);
}

static void follow_destroy(struct follow *follow)
{
	ev_timer_stop(follow->api->loop, &follow->look);
	table_remove(&follow->api->follows, &follow->by_id);
	follow->gone = true;
	if (!follow->looking && !follow->asking)
		follow_free(follow);
}

/* -- logs ------------------------------------------------------------------------------------- */

static struct job_log *find_log(const struct follow *follow, unsigned attempt)
{
	for (size_t i = 0; i < follow->log_count; i++) {
		if (job_log_attempt(follow->logs[i]) == attempt)
			return follow->logs[i];
	}
	return NULL;
}

static void keep_log(struct follow *follow, struct job_log *take_log)
{
	size_t at = follow->log_count;

	if (at == LIMIT_FOLLOWED_LOGS) {
		job_log_close(follow->logs[0]);
		memmove(follow->logs, follow->logs + 1, --at * sizeof(*follow->logs));
	}
	for (; at > 0 && job_log_attempt(follow->logs[at - 1]) > job_log_attempt(take_log); at--)
		follow->logs[at] = follow->logs[at - 1];
	follow->logs[at] = take_log;
	follow->log_count = follow->log_count < LIMIT_FOLLOWED_LOGS ? follow->log_count + 1 : LIMIT_FOLLOWED_LOGS;
}

static void on_attempts(void *arg, const struct store_attempt *attempts, size_t count, const struct error *err)
{
	struct follow *follow = arg;

	follow->asking = false;
	if (follow->gone && !follow->looking) {
		follow_free(follow);
		return;
	}
	/* Asked again with the next look, as long as somebody wants to know. */
	if (err != NULL || follow->gone)
		return;
	forget_past(follow);
	follow->past = xcalloc(count + 1, sizeof(*follow->past));
	for (size_t i = 0; i < count; i++) {
		follow->past[follow->past_count] = (struct store_attempt){
			.number = attempts[i].number, .handle = xstrdup(attempts[i].handle), .ended_ms = attempts[i].ended_ms,
		};
		follow->past_count++;
	}
	follow->past_below = follow->asked_below;
}

/* What an earlier attempt was is not known yet. */
static bool is_unknown(struct follow *follow, unsigned attempt)
{
	if (attempt >= follow->job->attempt.number || attempt < follow->past_below || find_log(follow, attempt) != NULL)
		return false;
	if (!follow->asking) {
		follow->asking = true;
		follow->asked_below = follow->job->attempt.number;
		store_attempts(follow->api->store, follow->id, on_attempts, follow);
	}
	return true;
}

/* NULL: nothing is written, or it is kept no more. */
static struct job_log *log_of(struct follow *follow, unsigned attempt)
{
	struct job_log *log = find_log(follow, attempt);

	if (log != NULL)
		return log;
	log = job_log_open(follow->api, follow->job, attempt, job_log_past(follow->past, follow->past_count, attempt), NULL,
		NULL);
	if (log != NULL)
		keep_log(follow, log);
	return log;
}

/* For so long has the job been over. */
static bool is_over_since(const struct follow *follow, double s)
{
	return follow->final_s > 0 && clock_monotonic_s() - follow->final_s >= s;
}

static void take(struct follow *follow, const struct job *job)
{
	job_destroy(follow->job);
	follow->job = job_copy(job);
	for (size_t i = 0; i < follow->log_count; i++)
		job_log_look(follow->logs[i], job);
	log_of(follow, job->attempt.number);
	if (!job_state_final(job->state))
		follow->final_s = 0;
	else if (follow->final_s == 0)
		follow->final_s = clock_monotonic_s();
}

/* All of a log was told that can be. */
static bool has_read(const struct viewer *viewer, const struct job_log *log)
{
	if (log == NULL || job_log_trouble(log) != NULL)
		return true;
	return job_log_complete(log) && viewer->offset >= job_log_size(log);
}

static bool is_done(const struct viewer *viewer)
{
	const struct follow *follow = viewer->follow;
	const struct job *job = follow->job;

	return job_state_final(job->state) && viewer->told == job->state && viewer->attempt == job->attempt.number &&
	       (is_over_since(follow, rest_s) || has_read(viewer, find_log(follow, viewer->attempt)));
}

static bool has_news(const struct viewer *viewer)
{
	const struct follow *follow = viewer->follow;
	const struct job_log *log = find_log(follow, viewer->attempt);

	return viewer->told != follow->job->state || (log != NULL && viewer->offset < job_log_size(log)) ||
	       (log != NULL && job_log_trouble(log) != NULL && !viewer->complained) || is_done(viewer) ||
	       viewer->attempt != follow->job->attempt.number || event_stream_is_silent(&viewer->stream);
}

static void on_looked(void *arg, const struct job *job, const struct error *err)
{
	struct follow *follow = arg;
	struct viewer *viewer;

	(void)err;
	follow->looking = false;
	if (follow->gone) {
		if (!follow->asking)
			follow_free(follow);
		return;
	}
	if (job != NULL)
		take(follow, job);
	list_each(viewer, &follow->viewers, link) {
		if (has_news(viewer))
			event_stream_wake(&viewer->stream);
	}
}

static void on_look(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct follow *follow = container_of(timer, struct follow, look);

	(void)loop, (void)revents;
	if (follow->looking)
		return;
	follow->looking = true;
	store_find(follow->api->store, follow->id, on_looked, follow);
}

static struct follow *follow_of(struct api *api, const struct job *job)
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
	list_init(&follow->viewers);
	take(follow, job);
	table_add(&api->follows, &follow->by_id, follow->id);
	ev_timer_init(&follow->look, on_look, look_s, look_s);
	ev_timer_start(api->loop, &follow->look);
	return follow;
}

/* -- what a viewer is told ---------------------------------------------------------------------- */

static void add_text(struct viewer *viewer, const char *event, const char *text)
{
	buf_printf(&viewer->stream.out, "id: %u/%lld/%s\nevent: %s\ndata: ", viewer->attempt, (long long)viewer->offset,
		viewer->told < JOB_STATES ? job_state_name(viewer->told) : "", event);
	buf_add_text(&viewer->stream.out, text);
	buf_add_text(&viewer->stream.out, "\n\n");
}

static void add_event(struct viewer *viewer, const char *event, json_t *take_doc)
{
	char *text = json_at_dump(take_doc);

	add_text(viewer, event, text);
	json_decref(take_doc);
	free(text);
}

static const struct event_piece *make_piece(const struct viewer *viewer, const struct job_log *log)
{
	char bytes[EVENT_LOG_BYTES];
	ssize_t n = job_log_read(log, bytes, sizeof(bytes), viewer->offset);
	size_t size = n > 0 ? log_piece_lines(bytes, (size_t)n, sizeof(bytes), job_log_complete(log)) : 0;
	json_t *doc;
	char *text;

	if (size == 0)
		return NULL;
	doc = json_object();
	text = json_at_clean(bytes, size);
	json_object_set_new(doc, "attempt", json_integer(viewer->attempt));
	json_object_set_new(doc, "offset", json_integer(viewer->offset));
	json_object_set_new(doc, "text", json_at_text(text));
	free(text);
	text = json_at_dump(doc);
	json_decref(doc);
	return event_pieces_keep(&viewer->follow->pieces, viewer->attempt, viewer->offset, size, text);
}

static void add_log(struct viewer *viewer, const struct job_log *log)
{
	const struct event_piece *piece = event_pieces_find(&viewer->follow->pieces, viewer->attempt, viewer->offset);

	if (piece == NULL)
		piece = make_piece(viewer, log);
	if (piece == NULL)
		return;
	viewer->offset += (int64_t)piece->log_bytes;
	add_text(viewer, "log", piece->text);
}

/* Once, until it can be read again. */
static void add_trouble(struct viewer *viewer, const struct job_log *log)
{
	const struct error *trouble = job_log_trouble(log);
	json_t *doc;

	if (trouble != NULL && !viewer->complained) {
		doc = json_object();
		json_object_set_new(doc, "attempt", json_integer(viewer->attempt));
		json_object_set_new(doc, "detail", json_at_text(trouble->text));
		add_event(viewer, "log_error", doc);
	}
	viewer->complained = trouble != NULL;
}

static void begin_attempt(struct viewer *viewer, unsigned attempt)
{
	viewer->attempt = attempt;
	viewer->offset = 0;
	viewer->told = JOB_STATES;
	viewer->complained = false;
}

/* What is left of the logs up to that of the attempt at hand.  False: an earlier one has more, which is on its
 * way. */
static bool add_logs(struct viewer *viewer)
{
	struct follow *follow = viewer->follow;
	unsigned now = follow->job->attempt.number;

	if (viewer->attempt > now)
		begin_attempt(viewer, now);
	if (now - viewer->attempt > LIMIT_FOLLOWED_LOGS)
		begin_attempt(viewer, now - LIMIT_FOLLOWED_LOGS);
	for (;;) {
		struct job_log *log;

		if (is_unknown(follow, viewer->attempt))
			return false;
		log = log_of(follow, viewer->attempt);
		if (log != NULL) {
			add_log(viewer, log);
			add_trouble(viewer, log);
		}
		if (viewer->stream.out.size > 0 || viewer->attempt == now)
			return true;
		if (!has_read(viewer, log))
			return false;
		begin_attempt(viewer, viewer->attempt + 1);
	}
}

/* Lines that led to the end are still awaited. */
static bool is_early(const struct viewer *viewer)
{
	const struct follow *follow = viewer->follow;
	const struct job_log *log = find_log(follow, viewer->attempt);

	if (!job_state_final(follow->job->state) || log == NULL || job_log_trouble(log) != NULL)
		return false;
	return viewer->offset < job_log_size(log) || (!job_log_ended(log) && !is_over_since(follow, lines_s));
}

static void on_fill(void *arg)
{
	struct viewer *viewer = arg;
	const struct job *job = viewer->follow->job;
	bool through = add_logs(viewer);

	if (viewer->stream.out.size > 0)
		return;
	if (through && viewer->told != job->state && !is_early(viewer)) {
		viewer->told = job->state;
		add_event(viewer, "state", job_record_brief(job));
	} else if (event_stream_is_silent(&viewer->stream)) {
		event_stream_ping(&viewer->stream);
	}
	if (is_done(viewer))
		event_stream_end(&viewer->stream);
}

static void on_over(void *arg)
{
	struct viewer *viewer = arg;
	struct follow *follow = viewer->follow;

	list_remove(&viewer->link);
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

static void follow_job(struct api *api, struct request *request, const struct job *job)
{
	const char *last = request_header(request, "Last-Event-ID");
	struct viewer *viewer;

	if (!event_stream_may_begin(api->auth, request))
		return;
	viewer = xnew(struct viewer);
	viewer->told = JOB_STATES;
	viewer->attempt = job->attempt.number;
	read_last_id(viewer, last != NULL ? last : request_query(request, "last"));
	viewer->follow = follow_of(api, job);
	list_append(&viewer->follow->viewers, &viewer->link);
	event_stream_answer(&viewer->stream, api->auth, request, LIMIT_EVENT_BYTES, on_fill, on_over, viewer);
	/* Its reader comes back, to the next generation. */
	if (api->state == API_DRAINING)
		event_stream_end(&viewer->stream);
}

void answer_events(struct api *api, struct request *request)
{
	with_job(api, request, follow_job);
}

static void end_viewers(struct table_link *link, void *arg)
{
	struct follow *follow = container_of(link, struct follow, by_id);
	struct viewer *viewer;

	(void)arg;
	list_each(viewer, &follow->viewers, link)
		event_stream_end(&viewer->stream);
}

void events_end(struct api *api)
{
	table_each(&api->follows, end_viewers, NULL);
}
