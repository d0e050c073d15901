/* SPDX-License-Identifier: Apache-2.0 */
/* credentials_web_identity.c - credentials of a role for the token in a file, which Kubernetes and CI
 * systems replace from time to time, so it is read at each load. */
#include <stdlib.h>

#include "aws/credentials_impl.h"
#include "aws/sts.h"
#include "base/list.h"
#include "base/mem.h"

struct web_provider {
	struct credentials_provider provider;
	struct ev_loop *loop;
	struct sts *sts;
	struct sts_call *call;          /* NULL: none */
	ev_timer failed;                /* completes a load that failed before the call */
	struct error failure;
	char *token_file, *role_arn, *session_name;
	unsigned duration_s;
	bool loaded;                    /* it has worked, so a missing file may come back */
	credentials_loaded_fn *done;
	void *arg;
};

static void on_credentials(void *arg, struct credentials *take, const struct error *err)
{
	struct web_provider *web = arg;

	web->call = NULL;
	web->loaded = web->loaded || take != NULL;
	web->done(web->arg, take, err);
}

static void on_failed(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct web_provider *web = container_of(timer, struct web_provider, failed);
	struct error why = web->failure;

	(void)loop;
	(void)revents;
	web->done(web->arg, NULL, &why);
}

static void web_load(struct credentials_provider *provider, credentials_loaded_fn *done, void *arg)
{
	struct web_provider *web = container_of(provider, struct web_provider, provider);
	char *token = credentials_read_token(web->token_file, &web->failure);
	const struct sts_request request = {
		.role_arn = web->role_arn, .session_name = web->session_name, .duration_s = web->duration_s,
		.web_identity = token,
	};

	web->done = done;
	web->arg = arg;
	if (token != NULL) {
		web->call = sts_assume(web->sts, &request, on_credentials, web);
	} else {
		web->failure.kind = web->loaded ? ERROR_TEMPORARY : ERROR_REFUSED;
		ev_timer_set(&web->failed, 0., 0.);
		ev_timer_start(web->loop, &web->failed);
	}
	xfree_secret(token);
}

static void web_cancel(struct credentials_provider *provider, struct error *why)
{
	struct web_provider *web = container_of(provider, struct web_provider, provider);

	ev_timer_stop(web->loop, &web->failed);
	sts_call_cancel(web->call, why);
	web->call = NULL;
}

static void web_destroy(struct credentials_provider *provider)
{
	struct web_provider *web = container_of(provider, struct web_provider, provider);

	sts_destroy(web->sts);
	free(web->token_file);
	free(web->role_arn);
	free(web->session_name);
	free(web);
}

static const struct credentials_provider_ops web_ops = {
	.load = web_load,
	.cancel = web_cancel,
	.destroy = web_destroy,
};

struct credentials_provider *credentials_web_identity_create(const struct credentials_env *env,
	const struct credentials_plan *plan, struct error *err)
{
	struct sts *sts = sts_create(env, err);
	struct web_provider *web;

	if (sts == NULL)
		return NULL;
	web = xnew(struct web_provider);
	web->provider.ops = &web_ops;
	web->provider.limit_s = CREDENTIALS_LOAD_S;
	web->loop = env->loop;
	web->sts = sts;
	web->token_file = xstrdup(plan->token_file);
	web->role_arn = xstrdup(plan->web.role_arn);
	web->session_name = xstrdup(plan->web.session_name);
	web->duration_s = plan->web.duration_s;
	ev_init(&web->failed, on_failed);
	return &web->provider;
}
