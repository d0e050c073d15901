/* SPDX-License-Identifier: Apache-2.0 */
/* top_draw.c - the drawing of top.  See top_view.h. */
#include "config.h"

#include <curses.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "ctl/top_text.h"
#include "ctl/top_view.h"

enum {
	WHOLE_ROWS = 16, WHOLE_COLUMNS = 60,            /* below, only jobs are shown */
	LEAST_ROWS = 4, LEAST_COLUMNS = 20,
	SECTION_ROWS_MAX = 8,                           /* workers or queues that are shown, when there is room */
	PAIR_GOOD = 1, PAIR_BAD, PAIR_BUSY,
};

void top_view_init(struct top_view *view)
{
	*view = (struct top_view){ .mode = TOP_LIST };
	if (!has_colors())
		return;
	start_color();
	use_default_colors();
	init_pair(PAIR_GOOD, COLOR_GREEN, -1);
	init_pair(PAIR_BAD, COLOR_RED, -1);
	init_pair(PAIR_BUSY, COLOR_CYAN, -1);
}

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text != NULL ? text : "";
}

static int64_t number_of(const json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

/* -- the head --------------------------------------------------------------------------------- */

static void draw_title(const struct top_data *data)
{
	char text[400], up[CTL_AGE_BYTES], now[16];
	time_t seconds = time(NULL);
	struct tm local;

	localtime_r(&seconds, &local);
	strftime(now, sizeof(now), "%H:%M:%S", &local);
	if (data->status == NULL) {
		snprintf(text, sizeof(text), " gantry  %s", data->daemon_trouble != NULL ? data->daemon_trouble : "asking gantryd");
	} else {
		ctl_print_age(number_of(data->status, "uptime_s") * 1000, up);
		snprintf(text, sizeof(text), " gantry %s  %s, generation %" PRId64 ", pid %" PRId64 ", up %s",
			text_of(data->status, "version"), text_of(data->status, "state"), number_of(data->status, "generation"),
			number_of(data->status, "pid"), up);
	}
	attron(A_REVERSE);
	top_text_put(0, 0, COLS, text);
	if (COLS >= WHOLE_COLUMNS)
		top_text_put(0, COLS - 9, 8, now);
	attroff(A_REVERSE);
}

static void draw_counts(const struct top_data *data)
{
	static const int order[] = { JOB_RUNNING, JOB_LAUNCHING, JOB_QUEUED, JOB_WAITING, JOB_FAILED, JOB_SUCCEEDED };
	char text[400] = " ";
	size_t used = 1;

	if (data->store_trouble != NULL)
		used = (size_t)snprintf(text, sizeof(text), " store: %s", data->store_trouble);
	for (size_t i = 0; data->store_trouble == NULL && i < sizeof(order) / sizeof(*order); i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s %" PRIu64 "  ", job_state_name((enum job_state)order[i]),
			data->counts[order[i]]);
	top_text_put(1, 0, COLS, text);
}

/* -- workers and queues ------------------------------------------------------------------------- */

static void draw_heading(int row, const char *text)
{
	attron(A_BOLD | A_UNDERLINE);
	top_text_put(row, 0, COLS, text);
	attroff(A_BOLD | A_UNDERLINE);
}

static void draw_worker(int row, const json_t *worker)
{
	top_text_printf(row, 0, COLS, " %-8" PRId64 " %-7s %10" PRId64 " %-9s %9" PRId64 " %8" PRId64 " %8.1f MiB",
		number_of(worker, "pid"), text_of(worker, "role"), number_of(worker, "generation"), text_of(worker, "state"),
		number_of(worker, "in_flight"), number_of(worker, "running"), (double)number_of(worker, "rss_bytes") / (1 << 20));
}

static void draw_queue(int row, const json_t *queue)
{
	int64_t age_ms = number_of(queue, "last_receive_age_ms");
	char age[32] = "never";

	if (age_ms >= 0)
		snprintf(age, sizeof(age), "%.1fs ago", (double)age_ms / 1000);
	top_text_printf(row, 0, COLS, " %-20.20s %7" PRId64 " %9" PRId64 " %9" PRId64 " %9" PRId64 " %12s%s", text_of(queue, "name"),
		number_of(queue, "workers"), number_of(queue, "in_flight"), number_of(queue, "received"),
		number_of(queue, "settled"), age, number_of(queue, "degraded") != 0 ? " !" : "");
}

typedef void draw_record_fn(int row, const json_t *record);

/* A heading and up to room - 1 rows; the last says how many are left out.  The row behind it. */
static int draw_section(int row, int room, const char *heading, const json_t *list, draw_record_fn *draw)
{
	int count = (int)json_array_size(list), shown = count <= room - 1 ? count : room - 2;

	draw_heading(row++, heading);
	for (int i = 0; i < shown; i++)
		draw(row++, json_array_get(list, (size_t)i));
	if (shown < count)
		top_text_printf(row++, 0, COLS, " and %d more", count - shown);
	return row;
}

/* -- jobs ------------------------------------------------------------------------------------- */

struct columns { int id, state, project, age; };

/* The id is what a person types: it gets what the others leave. */
static struct columns job_columns(void)
{
	struct columns columns = { .state = 11, .project = COLS >= 100 ? 24 : 16, .age = 9 };

	if (COLS < WHOLE_COLUMNS)
		columns.project = COLS >= 50 ? 12 : 0;
	columns.id = COLS - 1 - columns.state - columns.project - columns.age;
	if (COLS >= WHOLE_COLUMNS)
		columns.id = columns.id / 2 > 20 ? columns.id / 2 : 20;
	return columns;
}

static void job_age(const struct job *job, char text[CTL_AGE_BYTES])
{
	int64_t from_ms = job->state == JOB_RUNNING && job->attempt.started_ms > 0 ? job->attempt.started_ms : job->accepted_ms;

	if (job_state_final(job->state) && job->finished_ms > 0)
		from_ms = job->finished_ms;
	ctl_print_age(clock_steady_ms() - from_ms, text);
}

static const char *job_news(const struct job *job)
{
	if (job->detail != NULL && job->detail[0] != '\0')
		return job->detail;
	if (job->waits_for != NULL)
		return job->waits_for;
	return job->state == JOB_WAITING && job->lock_key != NULL ? job->lock_key : "";
}

static attr_t state_colour(enum job_state state)
{
	if (!has_colors())
		return state == JOB_FAILED ? A_BOLD : A_NORMAL;
	switch (state) {
	case JOB_SUCCEEDED:
		return COLOR_PAIR(PAIR_GOOD);
	case JOB_FAILED:
		return COLOR_PAIR(PAIR_BAD) | A_BOLD;
	case JOB_RUNNING:
	case JOB_LAUNCHING:
	case JOB_CANCELLING:
		return COLOR_PAIR(PAIR_BUSY);
	default:
		return A_NORMAL;
	}
}

static void draw_job(int row, const struct job *job, bool selected)
{
	struct columns columns = job_columns();
	char age[CTL_AGE_BYTES];
	attr_t colour = state_colour(job->state);
	int at = 1;

	job_age(job, age);
	if (selected)
		attron(A_REVERSE);
	/* Where there is no reverse, the mark says it. */
	top_text_put(row, 0, 1, selected ? ">" : " ");
	top_text_put(row, at, columns.id, job->id);
	at += columns.id;
	mvaddch(row, at - 1, ' ');
	attron(colour);
	top_text_put(row, at, columns.state, job_state_name(job->state));
	attroff(colour);
	at += columns.state;
	top_text_put(row, at, columns.project, job->project);
	if (columns.project > 0)
		mvaddch(row, at + columns.project - 1, ' ');
	at += columns.project;
	top_text_put(row, at, columns.age, age);
	at += columns.age;
	top_text_put(row, at, COLS - at, job_news(job));
	if (selected)
		attroff(A_REVERSE);
}

static void draw_job_heading(const struct top_view *view, int row)
{
	struct columns columns = job_columns();
	char text[200];

	snprintf(text, sizeof(text), " %-*.*s%-*s%-*.*s%-*s%s%s%s", columns.id, columns.id, "job", columns.state, "state",
		columns.project, columns.project, "project", columns.age, "age",
		COLS >= WHOLE_COLUMNS ? "by " : "", COLS >= WHOLE_COLUMNS ? top_sort_name(view->sort) : "",
		COLS >= WHOLE_COLUMNS && view->reverse ? ", reversed" : "");
	draw_heading(row, text);
}

static void draw_jobs(struct top_view *view, const struct top_data *data, int row, int room)
{
	draw_job_heading(view, row++);
	view->rows = room > 1 ? (size_t)room - 1 : 0;
	if (view->at < view->first)
		view->first = view->at;
	if (view->rows > 0 && view->at >= view->first + view->rows)
		view->first = view->at - view->rows + 1;
	if (data->job_count <= view->rows)
		view->first = 0;
	for (size_t i = view->first; i < data->job_count && i < view->first + view->rows; i++)
		draw_job(row++, data->jobs[i], i == view->at);
	if (data->job_count == 0 && view->rows > 0)
		top_text_put(row, 0, COLS, " no jobs");
}

/* -- the whole -------------------------------------------------------------------------------- */

static void draw_list(struct top_view *view, const struct top_data *data)
{
	int row = 2, section = (LINES - 3) / 4;

	draw_title(data);
	draw_counts(data);
	if (section > SECTION_ROWS_MAX)
		section = SECTION_ROWS_MAX;
	if (LINES >= WHOLE_ROWS && COLS >= WHOLE_COLUMNS && data->status != NULL) {
		row = draw_section(row, section, " pid      role    generation state     in flight  running      memory",
			json_object_get(data->status, "workers"), draw_worker);
		row = draw_section(row, section, " queue                workers in flight  received   settled last receive",
			json_object_get(data->status, "queues"), draw_queue);
	}
	draw_jobs(view, data, row, LINES - 1 - row);
}

static void draw_help(void)
{
	static const char *const lines[] = {
		"up, down, k, j     select a job", "PgUp, PgDn, g, G   a page, the first, the last",
		"l, Enter           its log, live", "c                  cancel it", "r                  run it again",
		"s, S               sort by the next column, the other way round", "q                  leave, or back",
	};

	top_text_put(0, 0, COLS, " gantryctl top");
	for (int i = 0; i < (int)(sizeof(lines) / sizeof(*lines)) && i + 2 < LINES - 1; i++)
		top_text_put(i + 2, 1, COLS - 1, lines[i]);
}

static void draw_log(const struct top_log *log)
{
	size_t room = LINES > 2 ? (size_t)LINES - 2 : 0;
	size_t end = log->count > log->back ? log->count - log->back : 0;
	size_t from = end > room ? end - room : 0;

	attron(A_REVERSE);
	top_text_printf(0, 0, COLS, " log of %s: %s%s%s", log->id, log->state, log->trouble != NULL ? ": " : "",
		log->trouble != NULL ? log->trouble : "");
	attroff(A_REVERSE);
	for (size_t i = from; i < end; i++)
		top_text_put((int)(i - from) + 1, 0, COLS, top_log_line(log, i));
}

static void draw_foot(const struct top_view *view)
{
	static const char *const keys[] = {
		[TOP_LIST] = " q quit  l log  c cancel  r retry  s sort  ? help", [TOP_HELP] = " q back",
		[TOP_LOG] = " q back  up, down, g, G scroll", [TOP_ASK] = "",
	};

	if (view->mode == TOP_ASK) {
		attron(A_BOLD);
		top_text_printf(LINES - 1, 0, COLS - 1, " %s %s? y or n", view->question, view->selected);
		attroff(A_BOLD);
	} else {
		top_text_put(LINES - 1, 0, COLS - 1, view->message[0] != '\0' ? view->message : keys[view->mode]);
	}
}

void top_view_draw(struct top_view *view, const struct top_data *data, const struct top_log *log)
{
	erase();
	if (LINES < LEAST_ROWS || COLS < LEAST_COLUMNS) {
		top_text_put(0, 0, COLS, "too small");
		refresh();
		return;
	}
	if (view->mode == TOP_HELP)
		draw_help();
	else if (view->mode == TOP_LOG)
		draw_log(log);
	else
		draw_list(view, data);
	draw_foot(view);
	move(LINES - 1, COLS - 1);
	refresh();
}
