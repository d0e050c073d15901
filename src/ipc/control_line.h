/* SPDX-License-Identifier: Apache-2.0 */
/* control_line.h - the line protocol of the control socket, for gantryctl only.
 *
 * A client connects to the Unix stream socket, sends one line and reads lines until the end line:
 *
 *      > status
 *      < daemon state=running generation=3 pid=812 version=0.1.0 uptime_s=52 ...
 *      < reload verdict=committed reason=""
 *      < worker role=worker pid=813 generation=3 slot=0 state=active held=4 running=4 ...
 *      < queue name=deployer generation=3 workers=4 held=4 receiving=1 ...
 *      < figures kind=queue name=deployer values="412 410 97"         (status figures=1)
 *      < end status=0
 *
 * A data line is a record's name and key=value words; a value with blanks, quotes or control
 * characters is quoted with backslash escapes.  The end line carries gantryctl's exit status and,
 * when that is not 0, why="...".  Requests: status [figures=1], reload [wait=0|1], upgrade [wait=0|1], stop,
 * quit, workers count=N|+1|-1, reopen, hint, version.
 *
 * hint says that the store was changed by whoever asks (a job submitted, cancelled, retried, unlocked):
 * the workers look at once instead of at their next sweep.  It is answered before they have. */
#ifndef IPC_CONTROL_LINE_H
#define IPC_CONTROL_LINE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/error.h"

enum {
	LIMIT_CONTROL_LINE_BYTES = 4096,        /* a request */
	/* A record: a text may be long, and each of its characters be escaped with three others. */
	LIMIT_CONTROL_RECORD_BYTES = 64 << 10,
	LIMIT_CONTROL_REPLY_BYTES = 16 << 20,   /* 512 workers, in some generations, with a line each */
	LIMIT_CONTROL_WORDS = 32,
	LIMIT_CONTROL_CLIENTS = 16,
	CONTROL_IDLE_S = 5,             /* a client that says nothing is closed */
};

/* gantryctl's exit statuses, on the end line. */
enum control_status {
	CONTROL_DONE = 0,
	CONTROL_FAILED = 1,
	CONTROL_USAGE = 2,
	CONTROL_UNREACHABLE = 3,        /* only gantryctl itself says it */
	CONTROL_DEFERRED = 4,           /* no answer in time, or deferred */
	CONTROL_STOPPING = 5,
};

struct control_word { char *key, *value; };

/* A parsed line; texts point into its own copy. */
struct control_line {
	char *copy;
	const char *name;
	struct control_word words[LIMIT_CONTROL_WORDS];
	size_t count;
};

/* Composing: begin, words, end of line. */
void control_line_begin(struct buf *out, const char *name);
void control_line_text(struct buf *out, const char *key, const char *value);
void control_line_number(struct buf *out, const char *key, long long value);
void control_line_end(struct buf *out);
/* Parses one line without its newline; false with ERROR_INVALID. */
bool control_line_parse(struct control_line *line, const char *text, size_t size, struct error *err);
void control_line_finish(struct control_line *line);
/* The word's value, or NULL. */
const char *control_line_find(const struct control_line *line, const char *key);

#endif
