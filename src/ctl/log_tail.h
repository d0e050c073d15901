/* SPDX-License-Identifier: Apache-2.0 */
/* log_tail.h - the lines of a log file that is being written and rotated.  Private to src/ctl.
 *
 * When the path names another file, the old one stays open until the next rotation: its writers go over one
 * after the other, and what the slower ones still write is read, too. */
#ifndef CTL_LOG_TAIL_H
#define CTL_LOG_TAIL_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/error.h"

/* One line without its newline; lent. */
typedef void log_tail_fn(void *arg, const char *line, size_t size);

struct log_tail_file {
	int fd;                         /* -1: none */
	off_t offset;                   /* read up to here */
	struct buf line;                /* begun, without an end yet */
};

struct log_tail {
	const char *path;               /* lent */
	struct log_tail_file now, before;
	log_tail_fn *fn;
	void *arg;
};

/* From the last `lines` lines of the file on.  False when it cannot be opened; log_tail_close() may follow
 * either way. */
bool log_tail_open(struct log_tail *tail, const char *path, unsigned long lines, log_tail_fn *fn, void *arg,
	struct error *err);
/* Gives the lines that have been completed since, and follows the path to another file. */
void log_tail_read(struct log_tail *tail);
/* Gives a last line that has no end, too. */
void log_tail_close(struct log_tail *tail);

#endif
