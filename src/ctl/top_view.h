/* SPDX-License-Identifier: Apache-2.0 */
/* top_view.h - the screen of top: where the selection is, how jobs are sorted, and the drawing of it all.  Private to
 * src/ctl.
 *
 * At 80x24 workers, queues and jobs have a part each; on a smaller screen the jobs have all of it.  Everything is
 * drawn anew each time: what has not changed, curses does not send. */
#ifndef CTL_TOP_VIEW_H
#define CTL_TOP_VIEW_H

#include "ctl/top_data.h"
#include "ctl/top_log.h"

enum top_sort { TOP_BY_STATE, TOP_BY_AGE, TOP_BY_PROJECT, TOP_BY_ID, TOP_SORTS };

enum top_mode {
	TOP_LIST,
	TOP_HELP,
	TOP_LOG,
	TOP_ASK,                        /* a question on the last line waits for its answer */
};

struct top_view {
	enum top_mode mode;
	enum top_sort sort;
	bool reverse;
	char *selected;                 /* job id; NULL: the first */
	size_t at;                      /* its place in the sorted list */
	size_t first;                   /* the topmost that is shown */
	size_t rows;                    /* how many are shown */
	char message[200];              /* on the last line until the next key */
	const char *question;           /* static, with TOP_ASK */
};

/* Starts drawing in colours, where there are any. */
void top_view_init(struct top_view *view);
void top_view_finish(struct top_view *view);
/* Sorts the jobs and finds the selection again. */
void top_view_sort(struct top_view *view, struct top_data *data);
/* Moves the selection by rows; clamps. */
void top_view_move(struct top_view *view, const struct top_data *data, long by);
/* The selected job, or NULL. */
const struct job *top_view_job(const struct top_view *view, const struct top_data *data);
const char *top_sort_name(enum top_sort sort);
/* log is of TOP_LOG. */
void top_view_draw(struct top_view *view, const struct top_data *data, const struct top_log *log);

#endif
