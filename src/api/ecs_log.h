/* SPDX-License-Identifier: Apache-2.0 */
/* ecs_log.h - what ECS tasks write, read from CloudWatch Logs once for all who want it.
 *
 * A task's stream is copied into a file that only grows: its lines, each with a newline, in the order that
 * GetLogEvents gives them.  A container writes alone to its stream, so the same stream gives the same bytes
 * whenever it is read, and an offset holds over evictions and over processes.
 *
 *      reader ─┐
 *      reader ─┼─ struct ecs_log ── one GetLogEvents at a time ── file (unlinked)
 *      reader ─┘        └── result: the last line that is marked as such
 *
 * A stream is read while it has readers: to its end, then again after a pause, until some seconds after its
 * task's end, when nothing is likely to come any more.  For ten minutes from then on it is looked at once more
 * when somebody comes for it again, and so is a result that was not there.  Streams without readers are forgotten, who was used least lately first, when the files together pass
 * their limit. */
#ifndef API_ECS_LOG_H
#define API_ECS_LOG_H

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/log.h"
#include "conf/conf.h"

enum {
	LIMIT_ECS_LOGS = 200,                   /* streams kept; each has a descriptor */
	LIMIT_ECS_LOG_BYTES = 64 << 20,         /* of one; its last line says what it lacks */
	LIMIT_ECS_LOGS_BYTES = 512 << 20,       /* of all */
	LIMIT_ECS_RESULT_BYTES = 1 << 20,       /* as CloudWatch's page has no more */
};

#define ECS_RESULT_MARK "gantry-result: "

struct aws;
struct ecs_logs;
struct ecs_log_reader;

struct ecs_logs_options {
	struct ev_loop *loop;
	const struct log *log;
	const struct conf_aws *aws;
	const char *directory;                  /* for the files; NULL, or when it takes none: memory */
};
/* Makes no call.  ERROR_REFUSED: a broken AWS setting, by name. */
struct ecs_logs *ecs_logs_create(const struct ecs_logs_options *options, struct error *err);
/* Who makes the calls; lent, for aws_watch(). */
struct aws *ecs_logs_aws(struct ecs_logs *logs);
/* Readers must have been closed. */
void ecs_logs_destroy(struct ecs_logs *logs);

/* Whose output; all lent. */
struct ecs_log_task {
	const char *task;                       /* ARN */
	const char *definition;                 /* that it was started from */
	const char *container;
	const struct conf_logs *conf;           /* without a group: the definition says where */
};

/* Keeps the stream known.  news runs after each change, never from inside a call of this header; the reader may
 * be closed in it. */
typedef void ecs_log_news_fn(void *arg);
struct ecs_log_reader *ecs_log_open(struct ecs_logs *logs, const struct ecs_log_task *task, ecs_log_news_fn *news, void *arg);
/* NULL is allowed. */
void ecs_log_close(struct ecs_log_reader *reader);
/* Wants its text, from now until it is closed. */
void ecs_log_follow(struct ecs_log_reader *reader);
/* The task has ended, on the steady clock; what it wrote may still be on its way for some seconds. */
void ecs_log_over(struct ecs_log_reader *reader, int64_t ended_ms);

/* Lent; -1 before the first bytes. */
int ecs_log_fd(const struct ecs_log_reader *reader);
int64_t ecs_log_size(const struct ecs_log_reader *reader);
/* The stream was looked at since the reader came, or so shortly before that it need not look again. */
bool ecs_log_fresh(const struct ecs_log_reader *reader);
/* It was read to its end after the task's. */
bool ecs_log_ended(const struct ecs_log_reader *reader);
/* Nothing will be added, as far as is known. */
bool ecs_log_complete(const struct ecs_log_reader *reader);
/* Why there is nothing, or no more; ERROR_NONE: it is as it should be.  Lent until the next news. */
const struct error *ecs_log_trouble(const struct ecs_log_reader *reader);

/* The task's result: what follows ECS_RESULT_MARK in the last line that begins with it, among the last lines
 * of the stream (a page: 1 MiB or 10,000 lines).  NULL without an error: there is none; final: and none will
 * come.  done runs once, later, unless the reader is closed before; result is lent. */
typedef void ecs_result_fn(void *arg, const char *result, size_t size, bool final, const struct error *err);
void ecs_log_result(struct ecs_log_reader *reader, ecs_result_fn *done, void *arg);

#endif
