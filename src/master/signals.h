/* SPDX-License-Identifier: Apache-2.0 */
/* signals.h - what is asked of the master, by signal or by the control socket.
 *
 * Whoever asks only sets a bit.  One place (master.c) takes them, by a fixed precedence, when the
 * phase of the master's life allows it. */
#ifndef MASTER_SIGNALS_H
#define MASTER_SIGNALS_H

#include <ev.h>
#include <stdbool.h>

/* In order of precedence. */
enum request {
	REQUEST_FAST_STOP,
	REQUEST_STOP,
	REQUEST_UPGRADE,
	REQUEST_RELOAD,
	REQUEST_SCALE_TO,       /* the control socket names a number */
	REQUEST_SCALE_UP,
	REQUEST_SCALE_DOWN,
	REQUEST_REOPEN,
	REQUESTS,
	REQUEST_NONE = REQUESTS
};

enum phase {
	PHASE_STARTING,         /* before the first commit */
	PHASE_RUNNING,          /* old generations may be draining */
	PHASE_RELOADING,        /* until commit or rollback */
	PHASE_UPGRADING,        /* preflight */
	PHASE_STOPPING,
	PHASES
};

enum request_fate {
	REQUEST_ACT,
	REQUEST_LATER,          /* stays set */
	REQUEST_IGNORE,         /* cleared, and said so */
	REQUEST_MOOT,           /* cleared silently: already being done */
};

struct requests {
	unsigned bits;          /* 1u << enum request */
};

const char *request_name(enum request request);
const char *phase_name(enum phase phase);
enum request_fate request_fate(enum request request, enum phase phase);
void requests_set(struct requests *requests, enum request request);
bool requests_has(const struct requests *requests, enum request request);
/* A signal's meaning in a phase; SIGCHLD and unknown ones mean nothing here. */
void requests_set_signal(struct requests *requests, int signo, enum phase phase);
/* Takes the first by precedence that is not for later, leaving alone those in held (bits).  fate
 * says what to do with it.  REQUEST_NONE when there is none. */
enum request requests_take(struct requests *requests, enum phase phase, unsigned held,
	enum request_fate *fate);

/* Catching them.  There is one struct signals in a process: a handler has no argument. */
struct signals {
	struct ev_loop *loop;
	ev_io readable;
	int event_fd;
	void (*on_signal)(void *arg, int signo);
	void *arg;
};

/* Blocks every signal. */
void signals_block(void);
/* Clears the mask and sets every signal to its default: for a child between fork and exec, and for
 * the process that waits for the daemon. */
void signals_reset(void);
/* Installs handlers and unblocks; on_signal() is called from the loop, once for each that came. */
void signals_start(struct signals *signals, struct ev_loop *loop, void (*on_signal)(void *arg, int signo),
	void *arg);
/* Hands out what came so far, also while signals are blocked and the loop does not run. */
void signals_collect(struct signals *signals);
void signals_unblock(void);
void signals_stop(struct signals *signals);

#endif
