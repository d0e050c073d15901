/* SPDX-License-Identifier: Apache-2.0 */
/* credentials_assume_role.c - credentials of a role that another provider's credentials may assume.
 * The other provider is asked at each load: what it gave an hour ago has ended by now. */
#include <stdlib.h>

#include "aws/credentials_impl.h"
#include "aws/sts.h"
#include "base/list.h"
#include "base/mem.h"

struct role_provider {
	struct credentials_provider provider;
	struct credentials_provider *source;
	bool source_loading;
	struct sts *sts;
	struct sts_call *call;          /* NULL: none */
	char *role_arn, *session_name, *external_id;
	unsigned duration_s;
	credentials_loaded_fn *done;
	void *arg;
};

static void on_credentials(void *arg, struct credentials *take, const struct error *err)
{
	struct role_provider *role = arg;
	struct error why;

	role->call = NULL;
	if (err == NULL) {
		role->done(role->arg, take, NULL);
		return;
	}
	why = *err;
	error_prefix(&why, "role %.160s", role->role_arn);
	role->done(role->arg, NULL, &why);
}

static void on_source(void *arg, struct credentials *take, const struct error *err)
{
	struct role_provider *role = arg;
	const struct sts_request request = {
		.role_arn = role->role_arn, .session_name = role->session_name, .external_id = role->external_id,
		.duration_s = role->duration_s, .signer = take,
	};
	struct error why;

	role->source_loading = false;
	if (err == NULL && !credentials_check(take, &why)) {
		credentials_free(take);
		err = &why;
	}
	if (err != NULL) {
		role->done(role->arg, NULL, err);
		return;
	}
	role->call = sts_assume(role->sts, &request, on_credentials, role);
	credentials_free(take);
}

static void role_load(struct credentials_provider *provider, credentials_loaded_fn *done, void *arg)
{
	struct role_provider *role = container_of(provider, struct role_provider, provider);

	role->done = done;
	role->arg = arg;
	role->source_loading = true;
	role->source->ops->load(role->source, on_source, role);
}

static void role_cancel(struct credentials_provider *provider, struct error *why)
{
	struct role_provider *role = container_of(provider, struct role_provider, provider);

	if (role->source_loading)
		role->source->ops->cancel(role->source, why);
	role->source_loading = false;
	sts_call_cancel(role->call, why);
	role->call = NULL;
}

static void role_destroy(struct credentials_provider *provider)
{
	struct role_provider *role = container_of(provider, struct role_provider, provider);

	credentials_provider_destroy(role->source);
	sts_destroy(role->sts);
	free(role->role_arn);
	free(role->session_name);
	free(role->external_id);
	free(role);
}

static const struct credentials_provider_ops role_ops = {
	.load = role_load,
	.cancel = role_cancel,
	.destroy = role_destroy,
};

struct credentials_provider *credentials_assume_role_create(const struct credentials_env *env,
	struct credentials_provider *source, const struct credentials_role *role, struct error *err)
{
	struct sts *sts = sts_create(env, err);
	struct role_provider *made;

	if (sts == NULL) {
		credentials_provider_destroy(source);
		return NULL;
	}
	made = xnew(struct role_provider);
	made->provider.ops = &role_ops;
	made->provider.limit_s = source->limit_s + CREDENTIALS_LOAD_S;
	made->source = source;
	made->sts = sts;
	made->role_arn = xstrdup(role->role_arn);
	made->session_name = xstrdup(role->session_name);
	made->external_id = xstrdup(role->external_id);
	made->duration_s = role->duration_s;
	return &made->provider;
}
