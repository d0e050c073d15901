/* SPDX-License-Identifier: Apache-2.0 */
/* ecs_process.h - a container's command as a process group of this machine. */
#ifndef AWSSIM_ECS_PROCESS_H
#define AWSSIM_ECS_PROCESS_H

#include <ev.h>
#include <stdbool.h>

struct ecs_process;

/* code: the exit status, or 128 + signal.  The process is freed after this call. */
typedef void ecs_process_exit_fn(void *arg, int code);

struct ecs_process_plan {
	char *const *command;
	char *const *environment;
	const char *directory;          /* NULL: ours */
	const char *log_path;           /* NULL: our standard error */
};

/* NULL when it could not be started; *why is the errno. */
struct ecs_process *ecs_process_start(struct ev_loop *, const struct ecs_process_plan *,
				      ecs_process_exit_fn *, void *arg, int *why);
void ecs_process_signal(struct ecs_process *, int signal);      /* the whole group */
void ecs_process_destroy(struct ecs_process *);                 /* kills; tells nobody */

#endif
