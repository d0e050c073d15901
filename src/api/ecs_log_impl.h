/* SPDX-License-Identifier: Apache-2.0 */
/* ecs_log_impl.h - the parts of ecs_log.h and what they are to each other; private to them.
 *
 *      ecs_log_cache.c         which streams are kept, and who reads them
 *      ecs_log_place.c         where a task's stream is
 *      ecs_log.c               one stream, page by page
 *      ecs_log_result.c        its last lines, for the result */
#ifndef API_ECS_LOG_IMPL_H
#define API_ECS_LOG_IMPL_H

#include "api/ecs_log.h"
#include "aws/aws.h"
#include "aws/logs.h"
#include "base/list.h"
#include "base/table.h"
#include "exec/rate.h"

struct ecs_logs {
	struct ev_loop *loop;
	struct log log;
	struct aws *aws;
	char *directory;
	struct table by_task;           /* ecs_log.by_task */
	struct list by_use;             /* ecs_log.link: who was used last is last */
	size_t count;
	int64_t bytes;                  /* of all files */
	struct rate rate;               /* of GetLogEvents, which the account shares with others */
	struct table places;            /* struct known_place of ecs_log_place.c */
};

enum ecs_result_state {
	ECS_RESULT_UNKNOWN,             /* not looked for, or it may still come */
	ECS_RESULT_FOUND,
	ECS_RESULT_NONE,                /* and none will come */
};

struct ecs_log {
	struct table_link by_task;      /* ecs_logs.by_task */
	struct list link;               /* ecs_logs.by_use */
	struct ecs_logs *logs;
	char *task, *definition, *container;
	struct logs_place place;        /* stream NULL while it is not known */
	struct list readers;

	int fd;                         /* -1: nothing was read yet */
	int64_t bytes;
	int64_t skip;                   /* bytes that come again, as the stream is read from its beginning */
	char *token;                    /* of the next page; NULL: from the beginning */

	struct aws_call *call;          /* the definition or a page; NULL: none under way */
	ev_timer pause;                 /* then the next one */
	double began_s;                 /* monotonic: the page under way */
	double seen_s;                  /* when the page was asked for that showed the end; 0: never */
	double looked_s;                /* the same, or when a look failed */
	unsigned looks;                 /* how often either was so */
	unsigned idle;                  /* looks in a row that showed the end and no line */
	unsigned failures;              /* calls in a row */
	bool grew;                      /* since the end was seen */
	unsigned telling;               /* its readers are told: it must stay */

	bool over;                      /* the task has ended */
	double over_s;                  /* monotonic; may be negative */
	bool complete;
	bool is_cut;                    /* at its limit, so that it stays complete */
	bool warned;                    /* of its trouble, since it was last well */
	struct error trouble;

	struct aws_call *tail;          /* for the result */
	double tail_s;                  /* monotonic: when it was asked for */
	ev_timer tell;                  /* results that are known are told in a turn of their own */
	enum ecs_result_state result_state;
	char *result;
	size_t result_bytes;
};

struct ecs_log_reader {
	struct list link;               /* ecs_log.readers */
	struct ecs_log *log;
	unsigned looks;                 /* the log's, when it came */
	bool follows;                   /* wants the text */
	ecs_log_news_fn *news;
	void *arg;
	ecs_result_fn *result_done;     /* NULL: does not wait for a result */
	void *result_arg;
};

/* -- ecs_log_cache.c -------------------------------------------------------------------------- */

/* Tells all readers. */
void ecs_log_news(struct ecs_log *log);
/* Makes room for a page in the files; false: readers hold it all. */
bool ecs_logs_make_room(struct ecs_logs *logs);
/* (Re)starts a timer that fires once after delay_s. */
void ecs_logs_arm(struct ecs_logs *logs, ev_timer *timer, double delay_s);

/* -- ecs_log_place.c -------------------------------------------------------------------------- */

/* Takes the place from the configuration, if that says where, or from what is known of the task definition. */
void ecs_log_recall_place(struct ecs_log *log, const struct conf_logs *conf);
/* Asks for it; ecs_log_placed() or ecs_log_failed() comes later. */
void ecs_log_find_place(struct ecs_log *log);
void ecs_log_forget_places(struct ecs_logs *logs);

/* -- ecs_log.c -------------------------------------------------------------------------------- */

/* Somebody wants it: goes on if it is not at it. */
void ecs_log_go_on(struct ecs_log *log);
void ecs_log_placed(struct ecs_log *log);
void ecs_log_failed(struct ecs_log *log, const struct error *err);
/* So late after the task's end that all it wrote can be read. */
bool ecs_log_is_late(const struct ecs_log *log, double at_s);
/* Something may still come to a log that looked complete, or be found that was not: it is so shortly after the
 * task's end, and it was not looked for since looked_s (monotonic). */
bool ecs_log_may_grow(const struct ecs_log *log, double looked_s);
/* Somebody comes for a log that looked complete: it is not, if it may grow, until it has been looked at. */
void ecs_log_look_again(struct ecs_log *log);
void ecs_log_on_pause(struct ev_loop *loop, ev_timer *timer, int revents);

/* -- ecs_log_result.c ------------------------------------------------------------------------- */

void ecs_result_go_on(struct ecs_log *log);
/* It cannot be looked for. */
void ecs_result_fail(struct ecs_log *log, const struct error *err);
void ecs_result_on_tell(struct ev_loop *loop, ev_timer *timer, int revents);

#endif
