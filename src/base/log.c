/* SPDX-License-Identifier: Apache-2.0 */
/* log.c - composes a line in logfmt or JSON and writes it.  Where lines go and which are wanted
 * is decided by whoever called log_open_*(); rotation is the master's business: it hands us a new
 * descriptor. */
#include "base/log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

static struct {
	int fd;
	bool to_syslog;
	enum log_format format;
	enum log_level level;
	uint64_t dropped, reported;
} sink = { .fd = STDERR_FILENO, .level = LOG_LEVEL_INFO };

static const char *const level_names[LOG_LEVELS] = {
	[LOG_LEVEL_DEBUG] = "debug", [LOG_LEVEL_INFO] = "info", [LOG_LEVEL_WARN] = "warn", [LOG_LEVEL_ERROR] = "error",
};
static const char *const format_names[LOG_FORMATS] = {
	[LOG_FORMAT_LOGFMT] = "logfmt", [LOG_FORMAT_JSON] = "json",
};
static const int priorities[LOG_LEVELS] = {
	[LOG_LEVEL_DEBUG] = LOG_DEBUG, [LOG_LEVEL_INFO] = LOG_INFO,
	[LOG_LEVEL_WARN] = LOG_WARNING, [LOG_LEVEL_ERROR] = LOG_ERR,
};

struct line {
	char text[LIMIT_LOG_LINE_BYTES];
	size_t used;
	bool full;                      /* something was left out */
};

void log_open_fd(int fd, enum log_format format, enum log_level level)
{
	sink.fd = fd;
	sink.to_syslog = false;
	sink.format = format;
	sink.level = level;
}

void log_open_syslog(const char *ident, enum log_format format, enum log_level level)
{
	openlog(ident, LOG_PID | LOG_NDELAY, LOG_DAEMON);
	sink.fd = -1;
	sink.to_syslog = true;
	sink.format = format;
	sink.level = level;
}

int log_fd(void)
{
	return sink.fd;
}

void log_set_level(enum log_level level)
{
	sink.level = level;
}

bool log_wants(enum log_level level)
{
	return level >= sink.level;
}

uint64_t log_dropped(void)
{
	return sink.dropped;
}

bool log_level_parse(const char *text, enum log_level *level)
{
	for (int i = 0; i < LOG_LEVELS; i++) {
		if (strcmp(text, level_names[i]) == 0) {
			*level = (enum log_level)i;
			return true;
		}
	}
	return false;
}

bool log_format_parse(const char *text, enum log_format *format)
{
	for (int i = 0; i < LOG_FORMATS; i++) {
		if (strcmp(text, format_names[i]) == 0) {
			*format = (enum log_format)i;
			return true;
		}
	}
	return false;
}

const char *log_level_name(enum log_level level)
{
	return level < LOG_LEVELS ? level_names[level] : "unknown";
}

void log_init(struct log *log, const struct log *owner, const char *fmt, ...)
{
	va_list args;

	log->owner = owner;
	va_start(args, fmt);
	vsnprintf(log->name, sizeof(log->name), fmt, args);
	va_end(args);
}

/* Keeps bytes back for the closing quote, the brace and the newline.  What does not fit is left out
 * whole, and so is all that follows: half an escape would swallow the quote. */
static void put_bytes(struct line *line, const char *bytes, size_t size)
{
	if (line->full || size > sizeof(line->text) - 4 - line->used) {
		line->full = true;
		return;
	}
	memcpy(line->text + line->used, bytes, size);
	line->used += size;
}

static void put_char(struct line *line, char c)
{
	put_bytes(line, &c, 1);
}

static void put_raw(struct line *line, const char *text)
{
	put_bytes(line, text, strlen(text));
}

/* Quotes, backslashes and control characters are escaped the same way in logfmt and in JSON, so
 * that a stranger's text can neither end a value nor start a line. */
static void put_escaped(struct line *line, const char *text)
{
	for (; *text != '\0'; text++) {
		unsigned char c = (unsigned char)*text;

		if (c == '"' || c == '\\') {
			put_bytes(line, (const char[]){ '\\', (char)c }, 2);
		} else if (c == '\n') {
			put_raw(line, "\\n");
		} else if (c < 0x20 || c == 0x7f) {
			char hex[8];

			snprintf(hex, sizeof(hex), "\\u%04x", c);
			put_raw(line, hex);
		} else {
			put_char(line, (char)c);
		}
	}
}

static void put_names(struct line *line, const struct log *log)
{
	if (log == NULL)
		return;
	put_names(line, log->owner);
	if (log->name[0] == '\0')
		return;
	if (line->text[line->used - 1] != '"')
		put_raw(line, ": ");
	put_escaped(line, log->name);
}

static bool has_name(const struct log *log)
{
	for (; log != NULL; log = log->owner) {
		if (log->name[0] != '\0')
			return true;
	}
	return false;
}

static void put_time(struct line *line)
{
	struct timespec now;
	struct tm utc;
	char text[40];
	size_t n;

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &utc);
	n = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &utc);
	snprintf(text + n, sizeof(text) - n, ".%03ldZ", now.tv_nsec / 1000000);
	put_raw(line, text);
}

static void compose_logfmt(struct line *line, const struct log *log, enum log_level level, const char *text)
{
	put_raw(line, "time=");
	put_time(line);
	put_raw(line, " level=");
	put_raw(line, level_names[level]);
	if (has_name(log)) {
		put_raw(line, " from=\"");
		put_names(line, log);
		put_char(line, '"');
	}
	put_raw(line, " msg=\"");
	put_escaped(line, text);
	line->text[line->used++] = '"';
	line->text[line->used++] = '\n';
}

static void compose_json(struct line *line, const struct log *log, enum log_level level, const char *text)
{
	put_raw(line, "{\"time\":\"");
	put_time(line);
	put_raw(line, "\",\"level\":\"");
	put_raw(line, level_names[level]);
	if (has_name(log)) {
		put_raw(line, "\",\"from\":\"");
		put_names(line, log);
	}
	put_raw(line, "\",\"msg\":\"");
	put_escaped(line, text);
	line->text[line->used++] = '"';
	line->text[line->used++] = '}';
	line->text[line->used++] = '\n';
}

static void emit(const struct log *log, enum log_level level, const char *text)
{
	struct line line = { .used = 0 };

	if (sink.format == LOG_FORMAT_JSON)
		compose_json(&line, log, level, text);
	else
		compose_logfmt(&line, log, level, text);
	if (sink.to_syslog)
		syslog(priorities[level], "%.*s", (int)line.used - 1, line.text);
	else if (write(sink.fd, line.text, line.used) != (ssize_t)line.used)
		sink.dropped++;
}

static void report_dropped(void)
{
	uint64_t missing = sink.dropped - sink.reported;
	char text[64];

	if (missing == 0)
		return;
	sink.reported = sink.dropped;
	snprintf(text, sizeof(text), "%llu lines could not be written", (unsigned long long)missing);
	emit(NULL, LOG_LEVEL_WARN, text);
	/* If that line was lost too, both count as missing next time. */
	if (sink.dropped != sink.reported)
		sink.reported -= missing;
}

static void log_va(const struct log *log, enum log_level level, const char *fmt, va_list args)
{
	char text[LIMIT_LOG_LINE_BYTES];
	int saved = errno;

	vsnprintf(text, sizeof(text), fmt, args);
	report_dropped();
	emit(log, level, text);
	errno = saved;
}

void log_at(const struct log *log, enum log_level level, const char *fmt, ...)
{
	va_list args;

	if (!log_wants(level))
		return;
	va_start(args, fmt);
	log_va(log, level, fmt, args);
	va_end(args);
}

void fatal(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	log_va(NULL, LOG_LEVEL_ERROR, fmt, args);
	va_end(args);
	exit(EXIT_FAILURE);
}

void panic(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	log_va(NULL, LOG_LEVEL_ERROR, fmt, args);
	va_end(args);
	abort();
}
