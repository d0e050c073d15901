/* SPDX-License-Identifier: Apache-2.0 */
/* child.h - one worker or API process as the master sees it.
 *
 * What happens to it goes through child_state.h's table; what the master decides for all of them is
 * in generation.h and roster.h.  Its end is told to its generation, once. */
#ifndef MASTER_CHILD_H
#define MASTER_CHILD_H

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "base/list.h"
#include "base/log.h"
#include "ipc/figures.h"
#include "ipc/heritage.h"
#include "ipc/in_hand.h"
#include "ipc/report.h"
#include "master/child_state.h"
#include "master/orphans.h"

enum {
	CHILD_RELEASE_GRACE_S = 5,      /* from RELEASE to KILL */
	CHILD_ABORT_GRACE_S = 5,        /* from ABRT to KILL: a core takes time to write */
	CHILD_EXIT_GRACE_S = 2,         /* from EXIT to KILL */
	CHILD_CLOSE_GRACE_S = 1,        /* from the end of its channel to KILL */
	CHILD_HEARTBEAT_MAX_MS = 10000, /* between two words of a child, however patient the watchdog is */
	CHILD_RECEIVE_GRACE_S = 2,      /* for an open receive, past its wait_time */
	LIMIT_CHILD_NONSENSE = 3,
	LIMIT_CHILD_QUEUES = 256,       /* whose numbers are kept */
};

struct generation;

struct child_queue {
	char name[REPORT_NAME_BYTES];
	struct report_queue numbers;
};

/* What the one timer of a child is waiting for. */
enum child_wait {
	CHILD_WAIT_NONE,
	CHILD_WAIT_READY,               /* then CHILD_NOT_READY */
	CHILD_WAIT_DEADLINE,            /* then CHILD_DEADLINE */
	CHILD_WAIT_GRACE,               /* then CHILD_OVERDUE */
	CHILD_WAITS
};

struct child {
	struct list link;               /* generation->children */
	struct generation *generation;
	struct log log;
	enum role role;                 /* ROLE_WORKER or ROLE_API */
	pid_t pid;
	enum child_state state;
	unsigned slot;                  /* number of its slot; which slot has it now, the slot knows */
	uint64_t serial;                /* of all children of this daemon, from 1 */
	char owner[HERITAGE_OWNER_BYTES];

	int channel_fd;                 /* -1 once closed */
	ev_io readable, writable;
	ev_timer retry;                 /* of a word that could not be sent though there is room */
	unsigned owed;                  /* 1u << enum report_kind: to be sent when there is room */
	int64_t drain_ms;               /* what REPORT_DRAIN says */
	uint32_t sequence_out, sequence_in;

	ev_timer timer;
	enum child_wait wait;
	double wait_until;              /* monotonic */
	double started_at, active_at, drain_at, heard_at;       /* monotonic; 0: not yet */
	bool resumed;                   /* lives since before an upgrade: what it has counted till then was told of */
	bool reaped;                    /* its pid may be another's by now */
	bool killed;                    /* SIGKILL was sent: it is only to be reaped */
	bool aborted;
	bool empty;                     /* draining and holds no job */
	unsigned nonsense;
	char reason[REPORT_TEXT_BYTES]; /* why it refused, or what we had against it; "" */

	int in_hand_fd;                 /* shared with it; -1: none */
	struct in_hand *in_hand;        /* what it is busy with; NULL: not known */
	int figures_fd;                 /* shared with it, too; -1: none */
	struct figures *figures;        /* what it counts; NULL: not known */

	struct report_worker numbers;
	char trouble[REPORT_TEXT_BYTES];        /* why it is degraded, as it says; "": it is not */
	struct child_queue *queues;
	size_t queue_count;
	struct list orphans;            /* told lately */
};

/* Forks one; it is on its generation's list then.  NULL on error. */
struct child *child_start(struct generation *generation, enum role role, unsigned slot, bool first,
	struct error *err);
/* For a child that lived through an exec of the master: everything but the watchers is set. */
void child_resume(struct child *child);
struct child *child_alloc(struct generation *generation, enum role role, unsigned slot);
/* Only after CHILD_EXITS, or when the master itself ends. */
void child_destroy(struct child *child);

/* Something happened.  The child is gone afterwards for CHILD_EXITS. */
void child_event(struct child *child, enum child_event event);
/* Reads what it said before it ended, then ends it. */
void child_exited(struct child *child, int status);
/* Sends a word of the master's now, or as soon as there is room. */
void child_tell(struct child *child, enum report_kind kind);
/* Tells of a dead owner; false when there is no room. */
bool child_tell_orphan(struct child *child, const struct orphan *orphan);
/* Nothing was heard for too long. */
bool child_is_silent(const struct child *child, double now, double limit_s);
/* It may hold jobs of the store. */
bool child_has_worked(const struct child *child);
/* What it was busy with when it died by its own fault: by a signal that a program brings on itself, or hung
 * until it was aborted.  False when it did not, or was busy with nothing. */
bool child_crashed_on(const struct child *child, int status, char key[IN_HAND_KEY_BYTES]);
/* How it ended, in words; status is of wait(2). */
void child_describe_end(const struct child *child, int status, char *text, size_t size);

#endif
