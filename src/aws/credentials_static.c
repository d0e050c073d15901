/* SPDX-License-Identifier: Apache-2.0 */
/* credentials_static.c - keys that are written down: in gantry.yaml, the environment or a shared file.
 * They never change while we run; a reload reads them again. */
#include <stdlib.h>

#include "aws/credentials_impl.h"
#include "base/list.h"
#include "base/mem.h"

struct static_provider {
	struct credentials_provider provider;
	struct credentials *keys;
	struct ev_loop *loop;
	ev_timer soon;                  /* completes a load in the loop's next turn */
	credentials_loaded_fn *done;
	void *arg;
};

static void on_soon(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct static_provider *keys = container_of(timer, struct static_provider, soon);

	(void)loop;
	(void)revents;
	keys->done(keys->arg, credentials_copy(keys->keys), NULL);
}

static void static_load(struct credentials_provider *provider, credentials_loaded_fn *done, void *arg)
{
	struct static_provider *keys = container_of(provider, struct static_provider, provider);

	keys->done = done;
	keys->arg = arg;
	ev_timer_set(&keys->soon, 0., 0.);
	ev_timer_start(keys->loop, &keys->soon);
}

static void static_cancel(struct credentials_provider *provider, struct error *why)
{
	struct static_provider *keys = container_of(provider, struct static_provider, provider);

	(void)why;
	ev_timer_stop(keys->loop, &keys->soon);
}

static void static_destroy(struct credentials_provider *provider)
{
	struct static_provider *keys = container_of(provider, struct static_provider, provider);

	credentials_free(keys->keys);
	free(keys);
}

static const struct credentials_provider_ops static_ops = {
	.load = static_load,
	.cancel = static_cancel,
	.destroy = static_destroy,
};

struct credentials_provider *credentials_static_create(const struct credentials_env *env,
	const struct credentials_plan *plan)
{
	struct static_provider *keys = xnew(struct static_provider);

	keys->provider.ops = &static_ops;
	keys->provider.limit_s = CREDENTIALS_LOAD_S;
	keys->keys = credentials_new(plan->access_key, plan->secret_key, plan->session_token, 0);
	keys->provider.fixed = keys->keys;
	keys->loop = env->loop;
	ev_init(&keys->soon, on_soon);
	return &keys->provider;
}
