/* SPDX-License-Identifier: Apache-2.0 */
/* exec_process.h - the parts of the adapter for local commands; private to src/exec and its tests.
 *
 * A worker starts a shim (src/shim) for each command and then only watches it: the command is the shim's
 * alone.  A launch's token names its directory (process_dir.h), so a repeat finds what the first did.
 *
 *      exec_process_request.c   conf + job   -> the frozen request
 *      exec_process_call.c      that request -> what a shim is told
 *      exec_process_launch.c    a slot, a shim, its word; exec_process_spawn.c starts it
 *      exec_process_look.c      whether a launch has happened
 *      exec_process_slots.c     a deployer's `parallel`, over all workers of the host
 *      exec_process_watch.c     a shim's end, and what it asks for
 *      exec_process_verdict.c   what that end means
 *      process_remains.c        what is left when all that held it was killed
 */
#ifndef EXEC_EXEC_PROCESS_H
#define EXEC_EXEC_PROCESS_H

#include <ev.h>
#include <jansson.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/list.h"
#include "exec/exec_impl.h"
#include "exec/process_call.h"
#include "exec/process_dir.h"

/* Whom a command runs as. */
struct process_user {
	char *name, *home, *shell;
	uid_t uid;
	gid_t gid;
	gid_t groups[LIMIT_SHIM_GROUPS];
	int group_count;
	bool other;                     /* than ourselves */
};

struct exec_process {
	struct exec face;
	char *state_dir;                /* NULL: watches only (process_handle_directory needs none) */
	char id[PROCESS_ID_BYTES];
	int shim_fd;                    /* O_PATH */
	char *shim_path;                /* of that descriptor */
	struct process_user user;       /* of conf */
	struct list launches;           /* struct process_launch, mine */
	struct list waiting;            /* of these, those that wait for a slot, in order */
	struct list watches;            /* struct process_watch */
	struct list looks;              /* struct process_look */
	struct list children;           /* struct process_child, until they are reaped */
	ev_io room;                     /* inotify: a slot's file was closed */
	int room_fd;                    /* -1: nobody waits, or it could not be had */
	ev_timer room_timer;            /* looks again while somebody waits */
	unsigned looked;                /* how often in vain since the last event */
};

struct exec_process *process_of(const struct exec *exec);

/* -- exec_process_user.c ---------------------------------------------------------------------- */

/* name NULL: ourselves.  May ask the system's name service: at start, not in a loop. */
bool process_user_find(struct process_user *user, const char *name, struct error *err);
void process_user_finish(struct process_user *user);

/* -- exec_process_request.c, exec_process_call.c ---------------------------------------------- */

char *process_request_build(const struct conf_deployer *conf, const char *host_id, const struct job *job,
	struct error *err);
/* What a shim is told, appended to call; slot: it gets one. */
bool process_call_build(const json_t *request, const char *directory, const struct process_user *user, bool slot,
	struct buf *call, struct error *err);

/* -- exec_process_slots.c --------------------------------------------------------------------- */

enum process_slot { PROCESS_SLOT_TAKEN, PROCESS_SLOT_NONE_FREE, PROCESS_SLOT_FAILED };
/* A locked file of the deployer, to be handed to a shim; FAILED with err. */
enum process_slot process_slot_take(const char *state_dir, const char *deployer, unsigned parallel, int *fd,
	struct error *err);
/* The directory of a deployer's slots, the caller's to free. */
char *process_slots_path(const char *state_dir, const char *deployer);

/* -- exec_process_launch.c -------------------------------------------------------------------- */

struct exec_launch *process_launch(struct exec *exec, const char *request, const char *token,
	exec_launched_fn *done, void *arg);
void process_launch_cancel(struct exec_launch *launch);
const char *process_waits_for(const struct exec_launch *launch);
/* A slot may be free: those who wait go on. */
void process_launches_go_on(struct exec_process *exec);
void process_launches_cancel(struct exec_process *exec);
void process_look(struct exec *exec, const char *request, const char *token, int64_t intended_ms,
	exec_launched_fn *done, void *arg);
void process_looks_cancel(struct exec_process *exec);

/* -- exec_process_spawn.c --------------------------------------------------------------------- */

/* Starts a shim with this call; report_fd becomes the end of the pipe it answers on. */
bool process_spawn(struct exec_process *exec, const char *job, const struct buf *call, int slot_fd, int *report_fd,
	struct error *err);
void process_children_finish(struct exec_process *exec);

/* -- exec_process_watch.c --------------------------------------------------------------------- */

struct exec_watch *process_watch(struct exec *exec, const char *handle, const char *request, int64_t since_ms,
	const struct exec_watch_events *events);
void process_unwatch(struct exec_watch *watch);
void process_stop(struct exec_watch *watch, const char *reason);
void process_watches_finish(struct exec_process *exec);

/* -- exec_process_verdict.c, process_remains.c ------------------------------------------------ */

/* stop: why a worker asked for the end, or NULL; boot: this one's id. */
void process_verdict(const struct process_status *status, const char *stop, const char *boot, struct exec_end *end);
/* Kills what a dead shim's guard could not, as it was killed too. */
void process_remains_kill(const struct process_status *status);
/* The start time of a process in ticks; 0: there is none. */
unsigned long long process_start_time(pid_t pid);

#endif
