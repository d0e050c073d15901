/* SPDX-License-Identifier: Apache-2.0 */
/* child_state.h - the life of a child as data.
 *
 * Every event has an entry in every state; what an entry says to do is done by child.c, which alone
 * moves a child.  No clock, process or log here. */
#ifndef MASTER_CHILD_STATE_H
#define MASTER_CHILD_STATE_H

enum child_state {
	CHILD_STARTING,         /* forked; has not said that it is ready */
	CHILD_READY,            /* warmed up and parked: takes no job before its generation is committed */
	CHILD_ACTIVE,           /* told GO */
	CHILD_DRAINING,         /* told to leave, in whatever way */
	CHILD_GONE,             /* reaped */
	CHILD_STATES
};

enum child_event {
	/* it says */
	CHILD_SAYS_HELLO,
	CHILD_SAYS_READY,
	CHILD_SAYS_REFUSED,
	CHILD_SAYS_ALIVE,       /* REPORT_ALIVE and REPORT_QUEUE */
	CHILD_SAYS_RELEASED,
	CHILD_SAYS_WAKE,
	CHILD_SAYS_HINT,
	CHILD_SAYS_SCALE,
	CHILD_SAYS_EMPTY,
	CHILD_SAYS_NONSENSE,    /* malformed, or a word that only the master says */
	/* it does */
	CHILD_CLOSES,           /* end of its channel, though it lives */
	CHILD_EXITS,
	/* the clock */
	CHILD_NOT_READY,        /* ready_timeout is over */
	CHILD_SILENT,           /* no heartbeat for the time of watchdog */
	CHILD_DEADLINE,         /* drain_timeout is over */
	CHILD_OVERDUE,          /* the last grace is over */
	/* the master */
	CHILD_COMMIT,           /* its generation is the running one */
	CHILD_RETIRE,           /* rolled back, superseded, one too many, or a graceful stop */
	CHILD_RELEASE,          /* fast stop */
	CHILD_EVENTS
};

enum child_action {
	CHILD_UNDECIDED,        /* no entry may be this */
	CHILD_IGNORE,
	CHILD_COUNT,            /* against the protocol: logged, and the third is its last */
	CHILD_CHECK_HELLO,
	CHILD_PARK,             /* tell the generation */
	CHILD_NOTE_REFUSAL,
	CHILD_NOTE_NUMBERS,
	CHILD_PASS_RELEASED,    /* the others may adopt */
	CHILD_PASS_WAKE,
	CHILD_PASS_HINT,
	CHILD_PASS_SCALE,
	CHILD_NOTE_EMPTY,
	CHILD_GO,
	CHILD_LEAVE,            /* send EXIT: holds nothing */
	CHILD_DRAIN,            /* send DRAIN and start its deadline */
	CHILD_HASTEN,           /* the earlier of two deadlines */
	CHILD_HAND_OVER,        /* send RELEASE and start the last grace */
	CHILD_ABORT,            /* SIGABRT, for a core; the last grace */
	CHILD_KILL_SOON,
	CHILD_KILL,
	CHILD_BURY,             /* tell the generation; the child ends here */
	CHILD_BUG,              /* cannot happen: panic */
	CHILD_ACTIONS
};

struct child_move {
	enum child_action action;
	enum child_state next;
};

struct child_move child_state_move(enum child_state state, enum child_event event);
const char *child_state_name(enum child_state state);
const char *child_event_name(enum child_event event);

#endif
