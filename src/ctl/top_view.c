/* SPDX-License-Identifier: Apache-2.0 */
/* top_view.c - see top_view.h.  What is selected and in which order jobs stand; the drawing is top_draw.c's. */
#include "ctl/top_view.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* What runs is looked at first, then what will, then what has ended. */
static const int state_places[JOB_STATES] = {
	[JOB_RUNNING] = 0, [JOB_LAUNCHING] = 1, [JOB_CANCELLING] = 2, [JOB_QUEUED] = 3, [JOB_WAITING] = 4,
	[JOB_FAILED] = 5, [JOB_CANCELLED] = 5, [JOB_SUPERSEDED] = 5, [JOB_SUCCEEDED] = 5,
};

static const char *const sort_names[TOP_SORTS] = {
	[TOP_BY_STATE] = "state", [TOP_BY_AGE] = "age", [TOP_BY_PROJECT] = "project", [TOP_BY_ID] = "job",
};

const char *top_sort_name(enum top_sort sort)
{
	return sort_names[sort];
}

void top_view_finish(struct top_view *view)
{
	free(view->selected);
}

static int compare_by(enum top_sort sort, const struct job *one, const struct job *other)
{
	switch (sort) {
	case TOP_BY_STATE:
		return state_places[one->state] - state_places[other->state];
	case TOP_BY_PROJECT:
		return strcmp(one->project, other->project);
	case TOP_BY_ID:
		return strcmp(one->id, other->id);
	default:
		return 0;
	}
}

/* Among equals the newest is first, whichever way the rest goes. */
static int compare(const void *one, const void *other, void *arg)
{
	const struct top_view *view = arg;
	const struct job *a = *(const struct job *const *)one, *b = *(const struct job *const *)other;
	int order = compare_by(view->sort, a, b);

	if (order == 0 && a->seq != b->seq)
		return (a->seq > b->seq) == (view->sort == TOP_BY_AGE && view->reverse) ? 1 : -1;
	return view->reverse ? -order : order;
}

static void note_selected(struct top_view *view, const struct top_data *data)
{
	xreplace(&view->selected, view->at < data->job_count ? data->jobs[view->at]->id : NULL);
}

void top_view_sort(struct top_view *view, struct top_data *data)
{
	if (data->job_count > 0)
		qsort_r(data->jobs, data->job_count, sizeof(*data->jobs), compare, view);
	for (size_t i = 0; view->selected != NULL && i < data->job_count; i++) {
		if (strcmp(data->jobs[i]->id, view->selected) == 0) {
			view->at = i;
			return;
		}
	}
	/* It is not shown any more: its place is. */
	if (view->at >= data->job_count)
		view->at = data->job_count > 0 ? data->job_count - 1 : 0;
	note_selected(view, data);
}

void top_view_move(struct top_view *view, const struct top_data *data, long by)
{
	long at = (long)view->at + by;

	if (at >= (long)data->job_count)
		at = (long)data->job_count - 1;
	view->at = at > 0 ? (size_t)at : 0;
	note_selected(view, data);
}

const struct job *top_view_job(const struct top_view *view, const struct top_data *data)
{
	return view->at < data->job_count ? data->jobs[view->at] : NULL;
}
