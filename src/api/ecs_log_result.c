/* SPDX-License-Identifier: Apache-2.0 */
/* ecs_log_result.c - a task's result: the last of its last lines that is marked as such; see ecs_log.h. */
#include <stdlib.h>
#include <string.h>

#include "api/ecs_log_impl.h"
#include "base/clock.h"
#include "base/mem.h"

static struct ecs_log_reader *next_waiting(struct ecs_log *log)
{
	struct ecs_log_reader *reader;

	list_each(reader, &log->readers, link) {
		if (reader->result_done != NULL)
			return reader;
	}
	return NULL;
}

static void tell(struct ecs_log *log, bool final, const struct error *err)
{
	struct ecs_log_reader *reader;

	log->telling++;
	while ((reader = next_waiting(log)) != NULL) {
		ecs_result_fn *done = reader->result_done;

		reader->result_done = NULL;
		done(reader->result_arg, err == NULL ? log->result : NULL, log->result_bytes, final, err);
	}
	log->telling--;
}

void ecs_result_fail(struct ecs_log *log, const struct error *err)
{
	if (log->place.stream == NULL)
		tell(log, false, err);
}

static void take_line(void *arg, const char *line, size_t size)
{
	struct ecs_log *log = arg;
	size_t mark = strlen(ECS_RESULT_MARK);

	if (size < mark || memcmp(line, ECS_RESULT_MARK, mark) != 0)
		return;
	if (line[size - 1] == '\r')
		size--;
	free(log->result);
	log->result_bytes = size - mark;
	log->result = xstrndup(line + mark, log->result_bytes);
}

static void on_tail(void *arg, const struct aws_reply *reply, const struct error *err)
{
	struct ecs_log *log = arg;
	bool late = ecs_log_is_late(log, log->tail_s);

	log->tail = NULL;
	if (err != NULL && !logs_is_missing_stream(err)) {
		tell(log, false, err);
		return;
	}
	if (err == NULL)
		logs_page_each(reply->doc, take_line, log);
	/* A better one may come behind it until all that was written can be read. */
	if (late)
		log->result_state = log->result != NULL ? ECS_RESULT_FOUND : ECS_RESULT_NONE;
	tell(log, late, NULL);
}

static void ask_for_tail(struct ecs_log *log)
{
	json_t *input = logs_tail_input(&log->place);
	struct aws_request request = {
		.service = AWS_LOGS, .action = "GetLogEvents", .region = log->place.region, .input = input,
	};

	log->tail_s = clock_monotonic_s();
	log->tail = aws_call(log->logs->aws, &request, on_tail, log);
	json_decref(input);
}

void ecs_result_go_on(struct ecs_log *log)
{
	double now_s = clock_monotonic_s();

	if (log->tail != NULL || next_waiting(log) == NULL)
		return;
	if (log->result_state != ECS_RESULT_UNKNOWN)
		ecs_logs_arm(log->logs, &log->tell, 0);
	else if (log->place.stream == NULL && log->call == NULL)
		ecs_log_find_place(log);
	else if (log->place.stream == NULL)
		return;
	else if (rate_take(&log->logs->rate, now_s))
		ask_for_tail(log);
	else
		ecs_logs_arm(log->logs, &log->tell, rate_wait_s(&log->logs->rate, now_s));
}

void ecs_result_on_tell(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct ecs_log *log = container_of(timer, struct ecs_log, tell);

	(void)loop, (void)revents;
	if (log->result_state != ECS_RESULT_UNKNOWN)
		tell(log, true, NULL);
	else
		ecs_result_go_on(log);
}

void ecs_log_result(struct ecs_log_reader *reader, ecs_result_fn *done, void *arg)
{
	reader->result_done = done;
	reader->result_arg = arg;
	if (reader->log->result_state == ECS_RESULT_NONE && ecs_log_may_grow(reader->log, reader->log->tail_s))
		reader->log->result_state = ECS_RESULT_UNKNOWN;
	ecs_result_go_on(reader->log);
}
