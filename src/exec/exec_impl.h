/* SPDX-License-Identifier: Apache-2.0 */
/* exec_impl.h - what an adapter fills in (exec.h says what each call promises).
 *
 * An adapter embeds the three structs first in its own. */
#ifndef EXEC_EXEC_IMPL_H
#define EXEC_EXEC_IMPL_H

#include "exec/exec.h"

struct exec {
	const struct exec_impl *impl;
	const struct conf_deployer *conf;       /* lent; outlives the exec */
	struct exec_env env;
	struct log log;                 /* "deployer NAME" */
};

struct exec_launch {
	struct exec *exec;
};

struct exec_watch {
	struct exec *exec;
};

struct exec_impl {
	struct exec *(*create)(const struct conf_deployer *conf, const struct exec_env *env, struct error *err);
	void (*destroy)(struct exec *exec);
	unsigned (*steps)(const struct exec *exec);
	char *(*prepare)(struct exec *exec, const struct job *job, struct error *err);
	struct exec_launch *(*launch)(struct exec *exec, const char *request, const char *token,
		exec_launched_fn *done, void *arg);
	void (*launch_cancel)(struct exec_launch *launch);
	const char *(*waits_for)(const struct exec_launch *launch);     /* NULL: a launch waits for nothing */
	struct exec_watch *(*watch)(struct exec *exec, const char *handle, const char *request, int64_t since_ms,
		const struct exec_watch_events *events);
	void (*unwatch)(struct exec_watch *watch);
	void (*stop)(struct exec_watch *watch, const char *reason);
	/* May both be NULL: nothing is ever heard of elsewhere. */
	bool (*hear)(struct exec *exec, const char *handle, const json_t *doc);
	void (*set_events)(struct exec *exec, bool come);
	void (*look)(struct exec *exec, const char *request, const char *token, int64_t intended_ms,
		exec_launched_fn *done, void *arg);
	int64_t (*token_life_ms)(const struct exec *exec);
};

extern const struct exec_impl exec_ecs_impl, exec_process_impl;

/* For an adapter's create. */
void exec_init(struct exec *exec, const struct exec_impl *impl, const struct conf_deployer *conf,
	const struct exec_env *env);

#endif
