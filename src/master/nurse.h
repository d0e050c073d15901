/* SPDX-License-Identifier: Apache-2.0 */
/* nurse.h - the master's side of a nursery (ipc/nursery.h): starts it, has it make workers, ends it.
 *
 * It is a help and never a need: whatever is wrong with it, it is said in the log, ended, and the worker
 * is started by exec.  Nothing here waits for it longer than NURSE_ANSWER_MS at a time, and for one in trouble
 * that is twice in all; one that has taken as long for all its workers together is ended, too. */
#ifndef MASTER_NURSE_H
#define MASTER_NURSE_H

#include <ev.h>
#include <stdbool.h>
#include <sys/types.h>

#include "base/error.h"
#include "base/log.h"
#include "ipc/nursery.h"
#include "master/edition.h"
#include "master/spawn.h"

enum {
	NURSE_LEAST_WORKERS = 2,        /* one alone is started faster without */
	NURSE_READY_MS = 2000,          /* from its start until it is linked */
	NURSE_ANSWER_MS = 1000,         /* for a worker, and for its own end */
};

struct nurse;
typedef void nurse_done_fn(struct nurse *nurse);

struct nurse {
	struct ev_loop *loop;
	struct log log;
	int ready_ms, answer_ms;        /* NURSE_READY_MS, NURSE_ANSWER_MS */
	pid_t pid;                      /* of the last one, to tell of it; 0: there was none */
	int process_fd;                 /* of pidfd_open(2); -1: it is ended, or there was none */
	int channel_fd;
	struct nursery_place *place;    /* NULL: none */
	bool ready;
	double spent_s;                 /* waiting for its answers */
	ev_io readable;                 /* until it is ready */
	ev_timer deadline;
	nurse_done_fn *done;
};

void nurse_init(struct nurse *nurse, struct ev_loop *loop, const struct log *log);
/* Starts one for an edition; done() is called once, when it is ready or will never be, unless it is ended
 * before.  False: done() will not be called. */
bool nurse_start(struct nurse *nurse, const struct edition *edition, const struct identity *identity,
	nurse_done_fn *done);
/* Has a worker made with how's descriptors; pid 0: there is no nursery (any more), so nothing was made, and it is
 * to be started by exec.  False: it cannot be known, so it must not be started otherwise either. */
bool nurse_make(struct nurse *nurse, const struct spawn *how, pid_t *pid, struct error *err);
/* Kills it, if it is there; what it has made goes on. */
void nurse_end(struct nurse *nurse);
/* True when pid was the last nursery's. */
bool nurse_exited(const struct nurse *nurse, pid_t pid);

#endif
