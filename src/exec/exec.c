/* SPDX-License-Identifier: Apache-2.0 */
/* exec.c - finds the adapter for a call.  See exec.h and exec_impl.h. */
#include "exec/exec_impl.h"

#include <string.h>

#include "aws/ecs.h"
#include "base/json_at.h"

static const struct exec_impl *const impls[CONF_DEPLOYER_TYPES] = {
	[CONF_DEPLOYER_ECS] = &exec_ecs_impl,
	[CONF_DEPLOYER_PROCESS] = &exec_process_impl,
};

void exec_init(struct exec *exec, const struct exec_impl *impl, const struct conf_deployer *conf,
	const struct exec_env *env)
{
	exec->impl = impl;
	exec->conf = conf;
	exec->env = *env;
	log_init(&exec->log, env->log, "deployer %s", conf->name);
}

/* ECS's own parameters have no member of this name. */
enum conf_deployer_type exec_request_type(const char *request)
{
	json_t *doc = json_at_parse(request, strlen(request), NULL);
	const char *type = json_at_string(doc, "type");
	bool process = type != NULL && strcmp(type, "process") == 0;

	json_decref(doc);
	return process ? CONF_DEPLOYER_PROCESS : CONF_DEPLOYER_ECS;
}

struct exec *exec_create(const struct conf_deployer *conf, const struct exec_env *env, struct error *err)
{
	return impls[conf->type]->create(conf, env, err);
}

void exec_destroy(struct exec *exec)
{
	if (exec != NULL)
		exec->impl->destroy(exec);
}

unsigned exec_steps(const struct exec *exec)
{
	return exec->impl->steps(exec);
}

char *exec_prepare(struct exec *exec, const struct job *job, struct error *err)
{
	return exec->impl->prepare(exec, job, err);
}

struct exec_launch *exec_launch(struct exec *exec, const char *request, const char *token,
	exec_launched_fn *done, void *arg)
{
	return exec->impl->launch(exec, request, token, done, arg);
}

void exec_launch_cancel(struct exec_launch *launch)
{
	if (launch != NULL)
		launch->exec->impl->launch_cancel(launch);
}

const char *exec_launch_waits_for(const struct exec_launch *launch)
{
	return launch->exec->impl->waits_for != NULL ? launch->exec->impl->waits_for(launch) : NULL;
}

bool exec_is_capacity(const struct error *err)
{
	return ecs_is_capacity(err);
}

struct exec_watch *exec_watch(struct exec *exec, const char *handle, const char *request, int64_t since_ms,
	const struct exec_watch_events *events)
{
	return exec->impl->watch(exec, handle, request, since_ms, events);
}

void exec_unwatch(struct exec_watch *watch)
{
	if (watch != NULL)
		watch->exec->impl->unwatch(watch);
}

void exec_stop(struct exec_watch *watch, const char *reason)
{
	watch->exec->impl->stop(watch, reason);
}

bool exec_hear(struct exec *exec, const char *handle, const json_t *doc)
{
	return exec->impl->hear != NULL && exec->impl->hear(exec, handle, doc);
}

void exec_set_events(struct exec *exec, bool come)
{
	if (exec->impl->set_events != NULL)
		exec->impl->set_events(exec, come);
}

void exec_look(struct exec *exec, const char *request, const char *token, int64_t intended_ms,
	exec_launched_fn *done, void *arg)
{
	exec->impl->look(exec, request, token, intended_ms, done, arg);
}

int64_t exec_token_life_ms(const struct exec *exec)
{
	return exec->impl->token_life_ms(exec);
}
