/* SPDX-License-Identifier: Apache-2.0 */
/* exec_memory.h - deployments that only exist in this process: the smallest adapter, and the fake of
 * tests.  A launch runs until the test says how it ends. */
#ifndef EXEC_EXEC_MEMORY_H
#define EXEC_EXEC_MEMORY_H

#include <stddef.h>

#include "exec/exec.h"

struct exec *exec_memory_create(const struct conf_deployer *conf, const struct exec_env *env);

/* A launch that has happened; lent until the exec is destroyed. */
struct exec_memory_task {
	const char *handle, *request, *token;
	bool ended, stop_asked;
	unsigned asked;                 /* how often exec_launch() named its token */
	unsigned heard;                 /* how often exec_hear() found its watch */
};
size_t exec_memory_count(const struct exec *exec);
/* The nth launch, from 0, or NULL. */
const struct exec_memory_task *exec_memory_task(const struct exec *exec, size_t n);

/* Ends a task; its watch hears of it in a later turn of the loop, also one that begins later. */
void exec_memory_end(struct exec *exec, const char *handle, const struct exec_end *end);
/* As above, with an exit code only. */
void exec_memory_exit(struct exec *exec, const char *handle, int exit_code);
/* The next launches, this many, are answered with this error; started: the task runs nevertheless, and
 * only the answer was lost. */
void exec_memory_fail_launches(struct exec *exec, unsigned count, enum error_kind kind, const char *code,
	bool started);
/* From now on prepare() fails with this text; NULL ends that. */
void exec_memory_refuse(struct exec *exec, const char *text);
/* Tokens and finished tasks are forgotten, as by a peer after an hour. */
void exec_memory_forget_tokens(struct exec *exec);

#endif
