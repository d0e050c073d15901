/* SPDX-License-Identifier: Apache-2.0 */
/* errand.h - a process that is started for one question: is this configuration right, does this
 * program start.  It says what is wrong on standard error and answers with its exit status, within a
 * time.  It is reaped by the master's one reaper, which calls errand_exited(). */
#ifndef MASTER_ERRAND_H
#define MASTER_ERRAND_H

#include <ev.h>
#include <stdbool.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/error.h"
#include "master/spawn.h"

enum { LIMIT_ERRAND_SAYS_BYTES = 64 << 10 };

struct errand;
typedef void errand_done_fn(struct errand *errand);

struct errand {
	struct ev_loop *loop;
	pid_t pid;                      /* 0: none under way */
	int said_fd;
	ev_io readable;
	ev_timer deadline;
	struct buf said;                /* its standard error, cut at the limit */
	int status;                     /* of wait(2), when done */
	bool timed_out;
	errand_done_fn *done;           /* called once; NULL when cancelled */
	void *arg;
};

/* Sets spawn's descriptors 0 and 2; the caller has set 1 (-1: to nowhere) and may have set more.  On
 * false nothing is under way. */
bool errand_start(struct errand *errand, struct ev_loop *loop, struct spawn *spawn, double timeout_s,
	errand_done_fn *done, void *arg, struct error *err);
bool errand_busy(const struct errand *errand);
/* True when pid was this errand's; done() has been called then. */
bool errand_exited(struct errand *errand, pid_t pid, int status);
/* Kills it; done() will not be called.  It stays busy until it is reaped. */
void errand_cancel(struct errand *errand);
/* For a caller that is done with the answer. */
void errand_finish(struct errand *errand);

#endif
