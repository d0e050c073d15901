/* SPDX-License-Identifier: Apache-2.0 */
/* credentials_provider.c - builds what a plan asks for: a base, and roles assumed one from the other. */
#include <stdio.h>

#include "aws/credentials_impl.h"

void credentials_provider_destroy(struct credentials_provider *provider)
{
	if (provider == NULL)
		return;
	provider->ops->cancel(provider, NULL);
	provider->ops->destroy(provider);
}

static struct credentials_provider *create_base(const struct credentials_env *env, const struct credentials_plan *plan,
	struct error *err)
{
	switch (plan->base) {
	case CREDENTIALS_KEYS:
		return credentials_static_create(env, plan);
	case CREDENTIALS_WEB_IDENTITY:
		return credentials_web_identity_create(env, plan, err);
	case CREDENTIALS_CONTAINER:
		return credentials_container_create(env, err);
	case CREDENTIALS_IMDS:
		return credentials_imds_create(env, plan->last_resort, err);
	case CREDENTIALS_NONE:
	case CREDENTIALS_BASES:
		break;
	}
	error_set(err, ERROR_REFUSED, "no AWS credentials; looked at %s", plan->looked);
	return NULL;
}

struct credentials_provider *credentials_provider_create(const struct credentials_env *env,
	const struct credentials_plan *plan, struct error *err)
{
	struct credentials_provider *provider = create_base(env, plan, err);

	if (provider != NULL)
		snprintf(provider->name, sizeof(provider->name), "%s", plan->from);
	for (size_t i = 0; i < plan->role_count && provider != NULL; i++) {
		provider = credentials_assume_role_create(env, provider, &plan->roles[i], err);
		if (provider != NULL)
			snprintf(provider->name, sizeof(provider->name), "%.110s of profile \"%.60s\"",
				plan->roles[i].role_arn, plan->roles[i].profile);
	}
	return provider;
}
