/* SPDX-License-Identifier: Apache-2.0 */
/* process_dir.h - what a local deployment left on disk, for whoever reads it.
 *
 * Its layout is process_layout.h's.  Reading changes nothing and needs no worker: the API serves logs and
 * results from here while gantryd is reloaded under it.  A handle, as the store has it, names the
 * directory and the state directory it belongs to: "PATH#ID".  The id is a file in the state directory,
 * so a handle of another host that shares the store is not mistaken for ours. */
#ifndef EXEC_PROCESS_DIR_H
#define EXEC_PROCESS_DIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "exec/process_layout.h"

enum {
	PROCESS_ID_BYTES = 33,                  /* 32 hexadecimal digits and the NUL */
	PROCESS_TEXT_BYTES = 512,
};

/* -- the state directory ---------------------------------------------------------------------- */

/* Makes it, with what is in it, as far as that is missing, and reads its id. */
bool process_state_open(const char *state_dir, char id[PROCESS_ID_BYTES], struct error *err);
/* The id of one that is there already; nothing is made. */
bool process_state_find(const char *state_dir, char id[PROCESS_ID_BYTES]);
/* Directory of the launch with this token; the caller's to free. */
char *process_dir_path(const char *state_dir, const char *token);
/* The handle of a directory, the caller's to free. */
char *process_handle_make(const char *directory, const char *id);
/* The directory that handle names, the caller's to free; NULL when it is another host's, is gone, or is no
 * handle of a local command. */
char *process_handle_directory(const char *handle);

/* -- one launch ------------------------------------------------------------------------------- */

enum process_state {
	PROCESS_NONE,           /* nothing ran, and nobody is at it */
	PROCESS_GIVEN_UP,       /* nothing ran, and nothing will */
	PROCESS_STARTING,       /* a shim is at it */
	PROCESS_RUNNING,
	PROCESS_ENDED,          /* how it ended is known */
	PROCESS_DEAD,           /* it ran, and its shim left no result: killed, or the host was restarted */
};

struct process_status {
	enum process_state state;
	/* from STARTED on */
	char job[160], boot[64], cgroup[2048];
	pid_t shim, session;
	unsigned long long since;               /* the shim's start time in ticks, see proc(5) */
	int64_t started_ms;                     /* wall clock */
	/* ENDED */
	char how[32];                           /* "exited", "signalled", "not_run", "not_forked" */
	char text[PROCESS_TEXT_BYTES];          /* why it was not run */
	char end_boot[64];
	int code, signal;
	unsigned step;                          /* the shell line that was the last, from 1; 0: there are none */
	bool stopped, killed;                   /* told to end by stopped_by; did not in time */
	pid_t stopped_by;
	int64_t ended_ms, user_us, system_us, max_rss_kb;
	int lost_errno;                         /* why all this is all that could be written; 0: it is whole */
};

/* False when directory cannot be read, which is not the same as not there (PROCESS_NONE). */
bool process_dir_read(const char *directory, struct process_status *status, struct error *err);
/* Whether somebody holds its lock; the one test of life. */
bool process_dir_is_held(const char *directory);
/* Makes sure that no shim will ever start what did not start yet; false when one is at it or has been. */
bool process_dir_give_up(const char *directory, struct error *err);
/* Why a worker asked for its end: remembered for whoever reads how it ended. */
void process_dir_write_stop(const char *directory, const char *reason);
/* The caller's to free; NULL when nobody asked. */
char *process_dir_read_stop(const char *directory);
/* A descriptor of PROCESS_LOG or PROCESS_RESULT, or -1 with errno. */
int process_dir_open(const char *directory, const char *name);
bool process_dir_remove(const char *directory);
/* When the last word was written, wall clock; 0: there is nothing. */
int64_t process_dir_written_ms(const char *directory);
/* What its log and its result take on disk. */
int64_t process_dir_bytes(const char *directory);

/* -- keeping ---------------------------------------------------------------------------------- */

/* One pass over a state directory that finds what ended long ago, a few at a time. */
struct process_sweep;
/* The directory of a launch of the job named ("": of none) that will never run again: process_dir_remove()
 * may take it, now or later. */
typedef void process_old_fn(void *arg, const char *job, const char *directory);

/* Tells of launches that nothing was written to since older_than_ms (wall clock).  NULL with err. */
struct process_sweep *process_sweep_create(const char *state_dir, int64_t older_than_ms, process_old_fn *old,
	void *arg, struct error *err);
/* Looks at up to max launches; false when the pass is over. */
bool process_sweep_step(struct process_sweep *sweep, size_t max);
/* Ends the pass; NULL is allowed. */
void process_sweep_destroy(struct process_sweep *sweep);

#endif
