/* SPDX-License-Identifier: Apache-2.0 */
/* ecs_log.c - one stream, page by page; see ecs_log.h.
 *
 * A look goes on to the stream's end, which is where GetLogEvents gives back the token that it was given; a
 * page without lines is no end.  Then there is a pause, which grows while nothing comes. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "api/ecs_log_impl.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/descriptor.h"
#include "base/mem.h"

static const double poll_s = 2, poll_max_s = 4;
static const double refused_s = 10;             /* before what was refused is tried again */
static const double failed_max_s = 30;
/* What a container writes last takes some seconds until it can be read. */
static const double late_s = 5;
/* CloudWatch Logs may have it later, when it or the way to it was down: so long after the end a log is looked at
 * once more whenever somebody comes for it, and no more often than that. */
static const double again_s = 600, again_pause_s = 5;

enum { LIMIT_NOTE_BYTES = 2048, FAILURES_TOLD = 3 };

static const char no_room[] = "no_room";

bool ecs_log_is_late(const struct ecs_log *log, double at_s)
{
	return log->over && at_s >= log->over_s + late_s;
}

bool ecs_log_may_grow(const struct ecs_log *log, double looked_s)
{
	double now_s = clock_monotonic_s();

	return log->over && !log->is_cut && now_s < log->over_s + again_s && now_s >= looked_s + again_pause_s;
}

static void pause_for(struct ecs_log *log, double delay_s)
{
	ecs_logs_arm(log->logs, &log->pause, delay_s);
}

/* -- the file --------------------------------------------------------------------------------- */

/* Without a name: nothing is left behind, whatever becomes of us. */
static int open_file(const char *directory)
{
	int fd = -1;

	if (directory != NULL)
		fd = open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	return fd >= 0 ? fd : memfd_create("gantry task log", MFD_CLOEXEC);
}

static bool write_at(int fd, const char *bytes, size_t size, int64_t at)
{
	while (size > 0) {
		ssize_t n = pwrite(fd, bytes, size, at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		bytes += n;
		at += n;
		size -= (size_t)n;
	}
	return true;
}

/* The limit is on whole lines, so that the cut is the same whenever the stream is read. */
static void cut_at_limit(struct ecs_log *log, struct buf *page)
{
	size_t room = (size_t)(LIMIT_ECS_LOG_BYTES - log->bytes);
	const char *end = page->size > room ? memrchr(page->bytes, '\n', room) : NULL;

	if (page->size <= room)
		return;
	page->size = end != NULL ? (size_t)(end - page->bytes) + 1 : 0;
	buf_printf(page, "[gantry: the log ends here, at its limit of %d bytes; CloudWatch Logs has the rest, in %s %s]\n",
		LIMIT_ECS_LOG_BYTES, log->place.group, log->place.stream);
	log->complete = log->is_cut = true;
}

static bool append(struct ecs_log *log, struct buf *page, struct error *err)
{
	size_t again = log->skip < (int64_t)page->size ? (size_t)log->skip : page->size;

	log->skip -= (int64_t)again;
	buf_consume(page, again);
	if (page->size == 0)
		return true;
	cut_at_limit(log, page);
	if (log->fd < 0)
		log->fd = open_file(log->logs->directory);
	if (log->fd < 0 || !write_at(log->fd, page->bytes, page->size, log->bytes)) {
		error_set_errno(err, ERROR_TEMPORARY, "the log cannot be kept for reading");
		/* As if it had not come: it comes again. */
		log->skip += (int64_t)again;
		log->complete = log->is_cut = false;
		return false;
	}
	log->bytes += (int64_t)page->size;
	log->logs->bytes += (int64_t)page->size;
	log->grew = true;
	return true;
}

static void add_line(void *arg, const char *line, size_t size)
{
	struct buf *page = arg;

	buf_add(page, line, size);
	buf_add_char(page, '\n');
}

/* -- a page ----------------------------------------------------------------------------------- */

static void start(struct ecs_log *log);

/* A look is over: its end was seen, or it cannot go on. */
static void end_look(struct ecs_log *log, double next_s)
{
	log->looks++;
	log->looked_s = log->began_s;
	if (!log->complete)
		pause_for(log, next_s);
	ecs_log_news(log);
}

static void end_seen(struct ecs_log *log)
{
	double next_s = poll_s;

	log->seen_s = log->began_s;
	log->trouble = (struct error){ 0 };
	log->warned = false;
	log->idle = log->grew ? 0 : log->idle + 1;
	log->grew = false;
	if (ecs_log_is_late(log, log->began_s))
		log->complete = true;
	if (!log->over && log->idle > 1)
		next_s = poll_max_s;
	end_look(log, next_s);
}

static void trouble(struct ecs_log *log, const struct error *err, double next_s)
{
	if (!log->warned)
		log_warn(&log->logs->log, "output of %s: %s", log->task, err->text);
	log->warned = true;
	log->trouble = *err;
	end_look(log, next_s);
}

static void gone(struct ecs_log *log)
{
	struct error err;

	log->complete = true;
	if (log->bytes > 0) {
		end_seen(log);
		return;
	}
	error_set(&err, ERROR_REFUSED, "CloudWatch Logs has no stream %s in %s: the task wrote nothing, or its log has expired",
		log->place.stream, log->place.group);
	error_set_code(&err, "no_stream");
	trouble(log, &err, 0);
}

void ecs_log_failed(struct ecs_log *log, const struct error *err)
{
	double pause_s;

	log->telling++;
	ecs_result_fail(log, err);
	if (logs_is_missing_stream(err)) {
		if (log->bytes > 0 || ecs_log_is_late(log, log->began_s))
			gone(log);
		else
			end_seen(log);
	} else if (log->token != NULL && strcmp(err->code, "InvalidParameterException") == 0) {
		/* Tokens live for a day.  What we have comes again. */
		xreplace(&log->token, NULL);
		log->skip = log->bytes;
		start(log);
	} else if (error_may_pass(err->kind)) {
		log->failures++;
		pause_s = poll_s * (double)(1u << (log->failures < 6 ? log->failures : 6));
		pause_s = pause_s < failed_max_s ? pause_s : failed_max_s;
		if (log->failures >= FAILURES_TOLD)
			trouble(log, err, pause_s);
		else
			pause_for(log, pause_s);
	} else {
		trouble(log, err, refused_s);
	}
	log->telling--;
}

static void take_page(struct ecs_log *log, const json_t *doc)
{
	const char *next = logs_page_next(doc);
	bool more = next != NULL && (log->token == NULL || strcmp(next, log->token) != 0);
	struct error err;
	struct buf page;
	bool ok;

	buf_init(&page, LIMIT_AWS_REPLY_BYTES + LIMIT_NOTE_BYTES);
	logs_page_each(doc, add_line, &page);
	ok = append(log, &page, &err);
	buf_finish(&page);
	if (!ok) {
		/* The same page comes again. */
		trouble(log, &err, refused_s);
		return;
	}
	if (more)
		xreplace(&log->token, next);
	if (more && !log->complete) {
		start(log);
		ecs_log_news(log);
	} else {
		end_seen(log);
	}
}

static void on_page(void *arg, const struct aws_reply *reply, const struct error *err)
{
	struct ecs_log *log = arg;

	log->call = NULL;
	if (err != NULL) {
		ecs_log_failed(log, err);
		return;
	}
	log->failures = 0;
	take_page(log, reply->doc);
}

static void ask_for_page(struct ecs_log *log)
{
	json_t *input = logs_page_input(&log->place, log->token);
	struct aws_request request = {
		.service = AWS_LOGS, .action = "GetLogEvents", .region = log->place.region, .input = input,
	};

	log->call = aws_call(log->logs->aws, &request, on_page, log);
	json_decref(input);
}

/* -- when ------------------------------------------------------------------------------------- */

static bool is_followed(const struct ecs_log *log)
{
	const struct ecs_log_reader *reader;

	list_each(reader, &log->readers, link) {
		if (reader->follows)
			return true;
	}
	return false;
}

/* Readers hold all that may be kept: this one waits, and says so. */
static void wait_for_room(struct ecs_log *log)
{
	struct error err;

	error_set(&err, ERROR_TEMPORARY, "the logs that are being read are %d MiB together, which is the limit; this one "
		"goes on when one of them is read no more", LIMIT_ECS_LOGS_BYTES >> 20);
	error_set_code(&err, no_room);
	trouble(log, &err, poll_max_s);
}

static void start(struct ecs_log *log)
{
	double now_s = clock_monotonic_s();
	bool room;

	ev_timer_stop(log->logs->loop, &log->pause);
	/* A result may have asked for the place during the pause. */
	if (log->call != NULL || !is_followed(log) || log->complete)
		return;
	log->began_s = now_s;
	room = ecs_logs_make_room(log->logs);
	if (room && strcmp(log->trouble.code, no_room) == 0)
		log->trouble = (struct error){ 0 };
	if (log->place.stream == NULL)
		ecs_log_find_place(log);
	else if (!room)
		wait_for_room(log);
	else if (rate_take(&log->logs->rate, now_s))
		ask_for_page(log);
	else
		pause_for(log, rate_wait_s(&log->logs->rate, now_s));
}

void ecs_log_look_again(struct ecs_log *log)
{
	if (!log->complete || !ecs_log_may_grow(log, log->looked_s))
		return;
	log->complete = false;
	log->trouble = (struct error){ 0 };
}

/* Whoever comes need not wait for the pause to end, unless it is there to spare AWS. */
void ecs_log_go_on(struct ecs_log *log)
{
	bool soon = log->looks > 0 && clock_monotonic_s() - log->looked_s < poll_s;

	if (log->call != NULL || log->telling > 0 || (ev_is_active(&log->pause) && (soon || log->failures > 0)))
		return;
	/* That there is no room is told, and not from here. */
	if (soon || !ecs_logs_make_room(log->logs))
		pause_for(log, soon ? poll_s : 0);
	else
		start(log);
}

void ecs_log_on_pause(struct ev_loop *loop, ev_timer *timer, int revents)
{
	(void)loop, (void)revents;
	start(container_of(timer, struct ecs_log, pause));
}

void ecs_log_placed(struct ecs_log *log)
{
	log->failures = 0;
	ecs_result_go_on(log);
	start(log);
}
