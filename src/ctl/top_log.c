/* SPDX-License-Identifier: Apache-2.0 */
/* top_log.c - see top_log.h. */
#include "ctl/top_log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

const char *top_log_line(const struct top_log *log, size_t at)
{
	return log->lines[(log->first + at) % TOP_LOG_LINES];
}

static void end_line(struct top_log *log)
{
	size_t place = (log->first + log->count) % TOP_LOG_LINES;

	if (log->count == TOP_LOG_LINES) {
		free(log->lines[log->first]);
		log->first = (log->first + 1) % TOP_LOG_LINES;
	} else {
		log->count++;
	}
	log->lines[place] = buf_take(&log->line);
	buf_init(&log->line, LIMIT_TOP_LINE_BYTES);
	/* Whoever has scrolled back keeps what he looks at. */
	if (log->back > 0 && log->back < log->count)
		log->back++;
}

static void on_log(void *arg, unsigned attempt, int64_t offset, const char *bytes, size_t size)
{
	struct top_log *log = arg;

	(void)attempt, (void)offset;
	for (size_t i = 0; i < size; i++) {
		if (bytes[i] == '\n')
			end_line(log);
		else if (bytes[i] == '\t')
			buf_add_text(&log->line, "    ");
		else if (bytes[i] != '\r')
			buf_add_char(&log->line, bytes[i]);
	}
	log->changed(log->arg);
}

static void on_state(void *arg, const struct job *job)
{
	struct top_log *log = arg;

	snprintf(log->state, sizeof(log->state), "%s", job_state_name(job->state));
	log->changed(log->arg);
}

static void on_trouble(void *arg, const char *text)
{
	struct top_log *log = arg;

	xreplace(&log->trouble, text);
	log->changed(log->arg);
}

static void on_over(void *arg, const struct job *job, const struct error *err)
{
	struct top_log *log = arg;

	if (log->line.size > 0)
		end_line(log);
	if (err != NULL)
		on_trouble(log, err->text);
	else
		on_state(log, job);
	job_follow_destroy(log->follow);
	log->follow = NULL;
}

struct top_log *top_log_create(const struct log_source_env *env, struct store *store, const char *id,
	void (*changed)(void *arg), void *arg)
{
	static const struct job_follow_events events = {
		.state = on_state, .log = on_log, .trouble = on_trouble, .over = on_over,
	};
	static const struct job_follow_options options = { .once = false };
	struct top_log *log = xnew(struct top_log);

	log->id = xstrdup(id);
	log->changed = changed;
	log->arg = arg;
	buf_init(&log->line, LIMIT_TOP_LINE_BYTES);
	log->follow = job_follow_create(env, store, log->id, &options, &events, log);
	return log;
}

void top_log_destroy(struct top_log *log)
{
	if (log == NULL)
		return;
	job_follow_destroy(log->follow);
	for (size_t i = 0; i < log->count; i++)
		free(log->lines[(log->first + i) % TOP_LOG_LINES]);
	buf_finish(&log->line);
	free(log->trouble);
	free(log->id);
	free(log);
}

void top_log_scroll(struct top_log *log, long up, size_t rows)
{
	long most = log->count > rows ? (long)(log->count - rows) : 0;
	long back = (long)log->back + up;

	if (back > most)
		back = most;
	log->back = back > 0 ? (size_t)back : 0;
}
