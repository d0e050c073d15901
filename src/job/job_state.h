/* SPDX-License-Identifier: Apache-2.0 */
/* job_state.h - the nine states of a job and the moves between them.
 *
 * Everything finer ("uncertain", "rejected", "locked", "timeout") is a reason beside JOB_FAILED. */
#ifndef JOB_JOB_STATE_H
#define JOB_JOB_STATE_H

#include <stdbool.h>

enum job_state {
	JOB_QUEUED,             /* admitted and free to launch: no delay left, lock granted or not needed */
	JOB_WAITING,            /* admitted; its delay, its lock or an earlier message of its group comes first */
	JOB_LAUNCHING,          /* an attempt's intent is stored; it may have been launched */
	JOB_RUNNING,            /* the attempt's handle (task ARN) is stored */
	JOB_CANCELLING,         /* told to stop; not gone yet */
	JOB_SUCCEEDED,
	JOB_FAILED,
	JOB_CANCELLED,
	JOB_SUPERSEDED,         /* a newer job took its place before it was launched */
	JOB_STATES
};

/* "queued", "waiting", ...; as stored, logged and shown. */
const char *job_state_name(enum job_state state);
bool job_state_parse(const char *name, enum job_state *state);
/* True for the four that a job never leaves, except by a retry. */
bool job_state_final(enum job_state state);
bool job_state_may_move(enum job_state from, enum job_state to);

#endif
