/* SPDX-License-Identifier: Apache-2.0 */
/* exec_process.c - the adapter for local commands: puts its parts together (exec_process.h lists them). */
#include "exec/exec_process.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/descriptor.h"
#include "base/mem.h"

struct exec_process *process_of(const struct exec *exec)
{
	return container_of(exec, struct exec_process, face);
}

/* The program as it is now: a package that is replaced under us must not mix versions. */
static bool pin_shim(struct exec_process *exec, const char *path, struct error *err)
{
	int fd = open(path, O_PATH | O_CLOEXEC);

	/* Out of the way of the descriptors that a shim gets. */
	exec->shim_fd = fd >= 0 ? fcntl(fd, F_DUPFD_CLOEXEC, 16) : -1;
	descriptor_close(&fd);
	if (exec->shim_fd < 0) {
		error_set_errno(err, ERROR_REFUSED, "%s", path);
		return false;
	}
	exec->shim_path = xasprintf("/proc/self/fd/%d", exec->shim_fd);
	return true;
}

static void process_destroy(struct exec *face)
{
	struct exec_process *exec = process_of(face);

	process_launches_cancel(exec);
	process_watches_finish(exec);
	process_looks_cancel(exec);
	process_children_finish(exec);
	process_user_finish(&exec->user);
	descriptor_close(&exec->shim_fd);
	free(exec->shim_path);
	free(exec->state_dir);
	free(exec);
}

static bool open_all(struct exec_process *exec, const struct exec_env *env, struct error *err)
{
	return process_state_open(env->state_dir, exec->id, err) && pin_shim(exec, env->shim_path, err) &&
	       process_user_find(&exec->user, exec->face.conf->process.user, err);
}

/* One that can prepare nothing follows what others have launched, and needs no more than is there. */
static bool is_stand_in(const struct conf_deployer *conf)
{
	return conf->command.count + conf->process.commands.count == 0 && !conf->allow.command;
}

static struct exec *process_create(const struct conf_deployer *conf, const struct exec_env *env, struct error *err)
{
	bool complete = env->state_dir != NULL && env->shim_path != NULL;
	struct exec_process *exec = xnew(struct exec_process);

	exec_init(&exec->face, &exec_process_impl, conf, env);
	exec->shim_fd = exec->room_fd = -1;
	list_init(&exec->launches);
	list_init(&exec->waiting);
	list_init(&exec->watches);
	list_init(&exec->looks);
	list_init(&exec->children);
	ev_init(&exec->room, NULL);
	ev_init(&exec->room_timer, NULL);
	if (is_stand_in(conf) && (!complete || !process_state_find(env->state_dir, exec->id)))
		return &exec->face;
	if (complete)
		exec->state_dir = xstrdup(env->state_dir);
	if (complete && open_all(exec, env, err))
		return &exec->face;
	if (!complete)
		error_set(err, ERROR_INVALID, "local commands need a state directory and gantry-shim");
	process_destroy(&exec->face);
	return NULL;
}

static unsigned process_steps(const struct exec *exec)
{
	(void)exec;
	return 1;
}

static char *process_prepare(struct exec *exec, const struct job *job, struct error *err)
{
	return process_request_build(exec->conf, process_of(exec)->id, job, err);
}

/* Its directory is there as long as anybody asks for it. */
static int64_t process_token_life_ms(const struct exec *exec)
{
	(void)exec;
	return INT64_MAX;
}

const struct exec_impl exec_process_impl = {
	.create = process_create,
	.destroy = process_destroy,
	.steps = process_steps,
	.prepare = process_prepare,
	.launch = process_launch,
	.launch_cancel = process_launch_cancel,
	.waits_for = process_waits_for,
	.watch = process_watch,
	.unwatch = process_unwatch,
	.stop = process_stop,
	.look = process_look,
	.token_life_ms = process_token_life_ms,
};
