/* SPDX-License-Identifier: Apache-2.0 */
/* shim.h - one local command and what holds it.
 *
 * A shim outlives everybody: it is nobody's child, in a session of its own, and speaks to a worker only
 * once, at its start.  All that is worth knowing later is in the job's directory (process_layout.h).
 *
 *      gantry-shim ─┬─ guard     leads the command's process group; when the shim is killed, kills it
 *                   └─ command   of the same group, its outputs a pipe to the shim, which writes the log
 *
 * One process, no threads, libc only: there may be thousands of them.  Private to src/shim. */
#ifndef SHIM_SHIM_H
#define SHIM_SHIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "exec/process_call.h"
#include "exec/process_layout.h"

enum { LIMIT_SHIM_TEXT_BYTES = 512, LIMIT_SHIM_RLIMITS = 16 };

struct shim_words {
	char **at;                      /* ends with NULL */
	size_t count;
};

struct shim_limit {
	int resource;
	rlim_t value;
};

/* What the worker asked for; the texts lie in the request's own memory. */
struct shim_request {
	const char *directory, *job;
	struct shim_words arguments, lines, allowed, environment, dotenv_lines;
	const char *chdir;              /* NULL: "/" */
	const char *dotenv;             /* NULL: none */
	const char *cgroup;             /* NULL: none */
	bool other_user;                /* uid, gid and groups are set */
	uid_t uid;
	gid_t gid;
	gid_t groups[LIMIT_SHIM_GROUPS];
	size_t group_count;
	mode_t umask;
	int nice;
	struct shim_limit limits[LIMIT_SHIM_RLIMITS];
	size_t limit_count;
	int64_t kill_after_ms, log_limit;
	bool slot;
};

/* The pipe that the command writes to, and the file behind it. */
struct shim_log {
	int file, read_end, write_end;
	int64_t limit, size;
	int64_t dropped;                /* bytes that the disk did not take since the last that it took */
	int error;                      /* why */
	bool full;                      /* the limit was reached and said so */
};

/* How it ended. */
struct shim_exit {
	const char *how;                /* "exited", "signalled"; "not_run" and "not_forked" with a text */
	int code, signal;
	size_t step;                    /* 1 for the first line; 0: there are no lines */
	bool stopped;                   /* it was told to stop, by stopped_by */
	pid_t stopped_by;
	bool killed;                    /* and did not in time */
	char text[LIMIT_SHIM_TEXT_BYTES];
	int64_t started_ms, ended_ms;   /* wall clock */
	struct rusage usage;
};

struct shim {
	struct shim_request request;
	int report_fd;                  /* -1 once the worker has its word */
	int directory_fd, lock_fd, exit_fd, result_fd;
	struct shim_log log;
	pid_t guard;                    /* 0: none */
	pid_t group;                    /* the guard's and the command's */
	int guard_pipe;                 /* its end is how the guard learns of ours */
	int cgroup_fd;                  /* directory, or -1 */
	pid_t command;                  /* 0: none runs */
	int error_pipe;                 /* why the command could not be run */
	struct shim_exit exit;
};

/* shim_request.c: false with a text when it is not understood. */
bool shim_request_read(struct shim_request *request, int fd, char text[LIMIT_SHIM_TEXT_BYTES]);

/* shim_record.c: what is on disk, durably */
enum shim_claim { SHIM_CLAIMED, SHIM_AGAIN, SHIM_TAKEN, SHIM_VOID, SHIM_FAILED };
/* Takes the directory for good, or says why not; SHIM_FAILED with a text. */
enum shim_claim shim_claim(struct shim *shim, char text[LIMIT_SHIM_TEXT_BYTES]);
bool shim_record_started(struct shim *shim, char text[LIMIT_SHIM_TEXT_BYTES]);
/* Tries for a while; then leaves what it can. */
void shim_record_exit(struct shim *shim);

/* shim_log.c */
bool shim_log_open(struct shim_log *log, int directory_fd, int64_t limit);
/* Moves what the pipe holds into the file; never waits. */
void shim_log_drain(struct shim_log *log);
void shim_log_line(struct shim_log *log, const char *before, const char *text);
/* Writes what is still to be said, and makes it durable. */
void shim_log_close(struct shim_log *log);

/* shim_guard.c: the group, its guard, its cgroup */
bool shim_guard_start(struct shim *shim);
/* Sends a signal to all of the group (and of the cgroup, if it is SIGKILL). */
void shim_signal(const struct shim *shim, int number);
/* To whatever has left the group but is our child by now. */
void shim_signal_strays(const struct shim *shim, int number);
/* Whether any of the group, the guard aside, is left; strays counts those that have left it too. */
bool shim_has_members(const struct shim *shim, bool strays);
/* Makes request.cgroup; without it the group has to do. */
void shim_cgroup_make(struct shim *shim);
void shim_cgroup_remove(struct shim *shim);

/* shim_command.c */
/* Forks the command, a shell line, or (line NULL and dotenv set) what writes the .env file.  False with
 * exit.text. */
bool shim_command_start(struct shim *shim, const char *line, bool dotenv);
/* shim_dotenv.c: in the command's child; NULL, or what failed, with errno. */
const char *shim_dotenv_write(const char *path, const struct shim_words *lines);

/* shim_run.c: runs the command to its end and fills exit. */
void shim_run(struct shim *shim);

int64_t shim_wall_ms(void);
int64_t shim_monotonic_ms(void);
/* The kernel's id of this boot. */
void shim_boot_id(char id[64]);

#endif
