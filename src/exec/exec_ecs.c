/* SPDX-License-Identifier: Apache-2.0 */
/* exec_ecs.c - the ECS adapter: puts its parts together (exec_ecs.h lists them). */
#include "exec/exec_ecs.h"

#include <stdlib.h>

#include "base/mem.h"

static struct exec_ecs *ecs_of(const struct exec *exec)
{
	return container_of(exec, struct exec_ecs, face);
}

static struct exec *ecs_create(const struct conf_deployer *conf, const struct exec_env *env, struct error *err)
{
	struct exec_ecs *exec;

	if (conf->task_definition == NULL || conf->container == NULL) {
		error_set(err, ERROR_INVALID, "deployer %s: task_definition and container are needed for ECS", conf->name);
		return NULL;
	}
	exec = xnew(struct exec_ecs);
	exec_init(&exec->face, &exec_ecs_impl, conf, env);
	exec->account = ecs_account_get(env);
	ecs_account_note_arn(exec->account, conf->cluster);
	ecs_account_note_arn(exec->account, conf->task_definition);
	ecs_account_note_arn(exec->account, conf->task_role);
	ecs_account_note_arn(exec->account, conf->execution_role);
	list_init(&exec->launches);
	list_init(&exec->watches);
	list_init(&exec->looks);
	return &exec->face;
}

static void ecs_destroy(struct exec *face)
{
	struct exec_ecs *exec = ecs_of(face);

	ecs_launches_cancel(exec);
	while (!list_empty(&exec->watches))
		ecs_unwatch(&list_first(&exec->watches, struct ecs_watch, mine)->face);
	ecs_looks_cancel(exec);
	ecs_account_put(exec->account);
	free(exec);
}

static unsigned ecs_steps(const struct exec *exec)
{
	return ecs_request_steps(exec->conf);
}

static char *ecs_prepare(struct exec *exec, const struct job *job, struct error *err)
{
	return ecs_request_build(exec->conf, job, err);
}

static int64_t ecs_token_life_ms(const struct exec *exec)
{
	(void)exec;
	return ECS_TOKEN_LIFE_MS;
}

const struct exec_impl exec_ecs_impl = {
	.create = ecs_create,
	.destroy = ecs_destroy,
	.steps = ecs_steps,
	.prepare = ecs_prepare,
	.launch = ecs_launch,
	.launch_cancel = ecs_launch_cancel,
	.watch = ecs_watch,
	.unwatch = ecs_unwatch,
	.stop = ecs_stop,
	.hear = ecs_hear,
	.set_events = ecs_set_events,
	.look = ecs_look,
	.token_life_ms = ecs_token_life_ms,
};
