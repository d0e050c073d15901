/* SPDX-License-Identifier: Apache-2.0 */
/* log.h - what happened, why, and what happens next, a line each.
 *
 * Each object that speaks carries a struct log made from its owner's, so that no call repeats who
 * is speaking: "worker 3: queue deploys: ...".  Levels say who acts: error, a human; warning, a
 * human if it repeats; info, the life of jobs and processes; debug, us.
 *
 * A line goes out in one write(2), alone or with its neighbours, and never waits: a full pipe or disk drops
 * lines and counts them, and the next line that fits says how many are missing. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR, LOG_LEVELS };
enum log_format { LOG_FORMAT_LOGFMT, LOG_FORMAT_JSON, LOG_FORMATS };

enum {
	LIMIT_LOG_LINE_BYTES = 4096,
	LIMIT_LOG_NAME_BYTES = 160,
};

struct log {
	const struct log *owner;        /* lent; must outlive this one; NULL at the root */
	char name[LIMIT_LOG_NAME_BYTES];        /* "" is left out of the line */
};

/* The sink is the one piece of process-wide state: set it before anything speaks.
 * log_open_fd() keeps the descriptor but does not own it; log_open_syslog() speaks to syslog(3). */
void log_open_fd(int fd, enum log_format format, enum log_level level);
void log_open_syslog(const char *ident, enum log_format format, enum log_level level);
/* From now on (or no more) lines of the levels debug and info are gathered, for one write(2) of many.  They go out
 * before the next line of a higher level, with log_flush(), which is to be called before each wait, and when a fault or
 * SIGABRT ends the process (its handlers of before are put back then).  SIGKILL takes along what is gathered. */
void log_gather(bool on);
void log_flush(void);
/* The descriptor that log_open_fd() was last given, or -1. */
int log_fd(void);
void log_set_level(enum log_level level);
bool log_wants(enum log_level level);
/* Lines that could not be written since the process began. */
uint64_t log_dropped(void);
/* "debug info warn error"; false when text names none of them. */
bool log_level_parse(const char *text, enum log_level *level);
bool log_format_parse(const char *text, enum log_format *format);
const char *log_level_name(enum log_level level);

/* Names an object; owner may be NULL.  Nothing to finish. */
void log_init(struct log *log, const struct log *owner, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

void log_at(const struct log *log, enum log_level level, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
#define log_debug(log, ...) do { if (log_wants(LOG_LEVEL_DEBUG)) log_at(log, LOG_LEVEL_DEBUG, __VA_ARGS__); } while (0)
#define log_info(log, ...) log_at(log, LOG_LEVEL_INFO, __VA_ARGS__)
#define log_warn(log, ...) log_at(log, LOG_LEVEL_WARN, __VA_ARGS__)
#define log_error(log, ...) log_at(log, LOG_LEVEL_ERROR, __VA_ARGS__)

/* This process cannot go on for a reason outside of it: logs and exits with status 1. */
void fatal(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));
/* We broke our own promise: logs and aborts. */
void panic(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));

#endif
