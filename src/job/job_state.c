/* SPDX-License-Identifier: Apache-2.0 */
/* job_state.c - see job_state.h. */
#include "job/job_state.h"

#include <string.h>

#define TO(state) (1u << (state))
#define ENDS (TO(JOB_SUCCEEDED) | TO(JOB_FAILED) | TO(JOB_CANCELLED))

static const char *const names[JOB_STATES] = {
	[JOB_QUEUED] = "queued",         [JOB_WAITING] = "waiting",       [JOB_LAUNCHING] = "launching",
	[JOB_RUNNING] = "running",       [JOB_CANCELLING] = "cancelling", [JOB_SUCCEEDED] = "succeeded",
	[JOB_FAILED] = "failed",         [JOB_CANCELLED] = "cancelled",   [JOB_SUPERSEDED] = "superseded",
};

/* A job whose attempt failed goes back to queued when it has attempts left; it keeps its lock.  One that
 * has ended goes back only when it is accepted anew, by hand. */
static const unsigned moves[JOB_STATES] = {
	[JOB_QUEUED] = TO(JOB_WAITING) | TO(JOB_LAUNCHING) | TO(JOB_FAILED) | TO(JOB_CANCELLED) | TO(JOB_SUPERSEDED),
	[JOB_WAITING] = TO(JOB_QUEUED) | TO(JOB_FAILED) | TO(JOB_CANCELLED) | TO(JOB_SUPERSEDED),
	[JOB_LAUNCHING] = TO(JOB_QUEUED) | TO(JOB_RUNNING) | TO(JOB_CANCELLING) | ENDS,
	[JOB_RUNNING] = TO(JOB_QUEUED) | TO(JOB_CANCELLING) | ENDS,
	[JOB_CANCELLING] = ENDS,
	[JOB_SUCCEEDED] = TO(JOB_QUEUED) | TO(JOB_WAITING),
	[JOB_FAILED] = TO(JOB_QUEUED) | TO(JOB_WAITING),
	[JOB_CANCELLED] = TO(JOB_QUEUED) | TO(JOB_WAITING),
	[JOB_SUPERSEDED] = TO(JOB_QUEUED) | TO(JOB_WAITING),
};

const char *job_state_name(enum job_state state)
{
	return state < JOB_STATES ? names[state] : "unknown";
}

bool job_state_parse(const char *name, enum job_state *state)
{
	for (int i = 0; i < JOB_STATES; i++) {
		if (strcmp(name, names[i]) == 0) {
			*state = (enum job_state)i;
			return true;
		}
	}
	return false;
}

bool job_state_final(enum job_state state)
{
	return state >= JOB_SUCCEEDED && state < JOB_STATES;
}

bool job_state_may_move(enum job_state from, enum job_state to)
{
	return from < JOB_STATES && to < JOB_STATES && (moves[from] & TO(to)) != 0;
}
