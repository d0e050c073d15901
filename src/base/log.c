/* SPDX-License-Identifier: Apache-2.0 */
/* log.c - composes a line in logfmt or JSON and writes it.  Where lines go and which are wanted
 * is decided by whoever called log_open_*(); rotation is the master's business: it hands us a new
 * descriptor. */
#include "base/log.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

/* Several processes write into one pipe: what is written at once must not be torn there. */
_Static_assert(LIMIT_LOG_LINE_BYTES <= PIPE_BUF, "a line is one write");

struct line {
	char text[LIMIT_LOG_LINE_BYTES];
	size_t used;
	bool full;                      /* something was left out */
};

static struct {
	int fd;
	bool to_syslog;
	enum log_format format;
	enum log_level level;
	uint64_t dropped, reported;
	bool gathers;
	size_t gathered;                /* bytes of room.held in use: whole lines */
	time_t second;                  /* what stamp says */
	char stamp[24];                 /* "" before the first line */
} sink = { .fd = STDERR_FILENO, .level = LOG_LEVEL_INFO };

/* What a line is made in, too: on the stack that would be zeroed for each. */
static struct {
	char text[LIMIT_LOG_LINE_BYTES];
	struct line line;
	char held[LIMIT_LOG_LINE_BYTES];
} room;

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

/* A line is the one newline at its end. */
static void write_lines(const char *lines, size_t size)
{
	ssize_t n = write(sink.fd, lines, size);
	size_t first = (size_t)((const char *)memchr(lines, '\n', size) - lines) + 1;

	/* A pipe without room for all of them may have some for one. */
	if (n < 0 && first < size) {
		write_lines(lines, first);
		write_lines(lines + first, size - first);
		return;
	}
	for (size_t i = n > 0 ? (size_t)n : 0; i < size; i++)
		sink.dropped += lines[i] == '\n';
}

void log_flush(void)
{
	size_t size = sink.gathered;

	sink.gathered = 0;
	if (size > 0)
		write_lines(room.held, size);
}

/* -- what is gathered when the process comes down ------------------------------------------------- */

static const int deadly[] = { SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV };
enum { DEADLY_SIGNALS = sizeof(deadly) / sizeof(deadly[0]) };
static struct sigaction deadly_before[DEADLY_SIGNALS];

static void forget_deadly(void)
{
	for (int i = 0; i < DEADLY_SIGNALS; i++)
		sigaction(deadly[i], &deadly_before[i], NULL);
}

/* The last lines say most about it.  Then all goes on as if we had not been here: what the kernel has found
 * happens again by itself, what was sent is sent again. */
static void on_deadly(int number, siginfo_t *info, void *context)
{
	(void)context;
	log_flush();
	forget_deadly();
	if (info->si_code <= 0)
		raise(number);
}

static void watch_deadly(void)
{
	struct sigaction action = { .sa_sigaction = on_deadly, .sa_flags = SA_SIGINFO };

	sigemptyset(&action.sa_mask);
	for (int i = 0; i < DEADLY_SIGNALS; i++)
		sigaction(deadly[i], &action, &deadly_before[i]);
}

void log_gather(bool on)
{
	log_flush();
	if (on == sink.gathers)
		return;
	sink.gathers = on;
	if (on)
		watch_deadly();
	else
		forget_deadly();
}

void log_open_fd(int fd, enum log_format format, enum log_level level)
{
	log_flush();
	sink.fd = fd;
	sink.to_syslog = false;
	sink.format = format;
	sink.level = level;
}

void log_open_syslog(const char *ident, enum log_format format, enum log_level level)
{
	log_flush();
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

/* As much of it as there is room for. */
static void put_cut(struct line *line, const char *bytes, size_t size)
{
	size_t left = sizeof(line->text) - 4 - line->used;

	if (size <= left) {
		put_bytes(line, bytes, size);
	} else {
		put_bytes(line, bytes, left);
		line->full = true;
	}
}

static void put_escape(struct line *line, char c)
{
	char hex[8];

	if (c == '"' || c == '\\') {
		put_bytes(line, (const char[]){ '\\', c }, 2);
	} else if (c == '\n') {
		put_raw(line, "\\n");
	} else {
		snprintf(hex, sizeof(hex), "\\u%04x", (unsigned char)c);
		put_raw(line, hex);
	}
}

static bool is_plain(char c)
{
	return (unsigned char)c >= 0x20 && c != 0x7f && c != '"' && c != '\\';
}

/* Quotes, backslashes and control characters are escaped the same way in logfmt and in JSON, so
 * that a stranger's text can neither end a value nor start a line. */
static void put_escaped(struct line *line, const char *text)
{
	for (;;) {
		const char *plain = text;

		while (is_plain(*text))
			text++;
		put_cut(line, plain, (size_t)(text - plain));
		if (*text == '\0')
			return;
		put_escape(line, *text++);
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

/* Many lines are of the same second. */
static const char *stamp_of(time_t second)
{
	struct tm utc;

	if (second != sink.second || sink.stamp[0] == '\0') {
		gmtime_r(&second, &utc);
		strftime(sink.stamp, sizeof(sink.stamp), "%Y-%m-%dT%H:%M:%S", &utc);
		sink.second = second;
	}
	return sink.stamp;
}

static void put_time(struct line *line)
{
	struct timespec now;
	int ms;

	clock_gettime(CLOCK_REALTIME, &now);
	ms = (int)(now.tv_nsec / 1000000);
	put_raw(line, stamp_of(now.tv_sec));
	put_bytes(line, (const char[]){ '.', (char)('0' + ms / 100), (char)('0' + ms / 10 % 10), (char)('0' + ms % 10), 'Z' }, 5);
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

static void pass_on(const struct line *line, enum log_level level)
{
	if (!sink.gathers) {
		write_lines(line->text, line->used);
		return;
	}
	if (line->used > sizeof(room.held) - sink.gathered)
		log_flush();
	memcpy(room.held + sink.gathered, line->text, line->used);
	sink.gathered += line->used;
	if (level > LOG_LEVEL_INFO)
		log_flush();
}

static void emit(const struct log *log, enum log_level level, const char *text)
{
	struct line *line = &room.line;

	line->used = 0;
	line->full = false;
	if (sink.format == LOG_FORMAT_JSON)
		compose_json(line, log, level, text);
	else
		compose_logfmt(line, log, level, text);
	if (sink.to_syslog)
		syslog(priorities[level], "%.*s", (int)line->used - 1, line->text);
	else
		pass_on(line, level);
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
	int saved = errno;

	report_dropped();
	vsnprintf(room.text, sizeof(room.text), fmt, args);
	emit(log, level, room.text);
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
