/* SPDX-License-Identifier: Apache-2.0 */
/* aws_settings.c - see aws_settings.h. */
#include "aws/aws_settings.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "aws/retry.h"
#include "aws/service.h"
#include "base/mem.h"

/* An empty variable counts as unset. */
static const char *env(const char *name)
{
	const char *value = getenv(name);

	return value != NULL && *value != '\0' ? value : NULL;
}

/* A value and the name under which it was found, for errors. */
struct found { const char *value, *name; };

static struct found find(const struct profile *profile, const char *variable, const char *key)
{
	struct found found = { env(variable), variable };

	if (found.value == NULL)
		found = (struct found){ profile_get(profile, key), key };
	return found;
}

static bool load_flag(const struct profile *profile, const char *variable, const char *key, bool *flag,
	struct error *err)
{
	struct found found = find(profile, variable, key);

	if (found.value == NULL || strcasecmp(found.value, "false") == 0) {
		*flag = false;
		return true;
	}
	*flag = true;
	if (strcasecmp(found.value, "true") == 0)
		return true;
	error_set(err, ERROR_REFUSED, "%s: expected true or false, found \"%.64s\"", found.name, found.value);
	return false;
}

static bool load_tries(struct aws_settings *settings, const struct profile *profile, struct error *err)
{
	struct found found = find(profile, "AWS_MAX_ATTEMPTS", "max_attempts");
	unsigned long tries;
	char *end;

	settings->tries = RETRY_TRIES;
	if (found.value == NULL)
		return true;
	tries = strtoul(found.value, &end, 10);
	if (*end != '\0' || found.value[0] < '0' || found.value[0] > '9' || tries < 1 || tries > LIMIT_AWS_TRIES) {
		error_set(err, ERROR_REFUSED, "%s: expected a number from 1 to %d, found \"%.64s\"", found.name,
			LIMIT_AWS_TRIES, found.value);
		return false;
	}
	settings->tries = (unsigned)tries;
	return true;
}

static void load_region(struct aws_settings *settings, const struct conf_aws *conf, const struct profile *profile)
{
	const char *region = conf->region;

	if (region == NULL)
		region = env("AWS_REGION");
	if (region == NULL)
		region = env("AWS_DEFAULT_REGION");
	if (region == NULL)
		region = profile_get(profile, "region");
	settings->region = xstrdup(region);
}

/* ignored: AWS_IGNORE_CONFIGURED_ENDPOINT_URLS, which does not reach our own configuration. */
static struct found find_endpoint(enum aws_service id, const struct conf_aws *conf, const struct profile *profile,
	bool ignored)
{
	const struct service *service = service_of(id);
	const struct found places[] = {
		{ id == AWS_SQS ? conf->sqs_endpoint_url : NULL, "aws.sqs_endpoint_url" },
		{ id == AWS_ECS ? conf->ecs_endpoint_url : NULL, "aws.ecs_endpoint_url" },
		{ conf->endpoint_url, "aws.endpoint_url" },
		{ ignored ? NULL : env(service->endpoint_env), service->endpoint_env },
		{ ignored ? NULL : env("AWS_ENDPOINT_URL"), "AWS_ENDPOINT_URL" },
		{ ignored ? NULL : profile_service(profile, service->profile_section, "endpoint_url"),
			"endpoint_url of the profile's services" },
		{ ignored ? NULL : profile_get(profile, "endpoint_url"), "endpoint_url of the profile" },
	};

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
		if (places[i].value != NULL)
			return places[i];
	return (struct found){ 0 };
}

static bool load_endpoints(struct aws_settings *settings, const struct conf_aws *conf, const struct profile *profile,
	struct error *err)
{
	struct endpoint endpoint;
	bool ignored;

	if (!load_flag(profile, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "ignore_configured_endpoint_urls", &ignored, err))
		return false;
	for (int i = 0; i < AWS_SERVICES; i++) {
		struct found found = find_endpoint((enum aws_service)i, conf, profile, ignored);

		if (found.value == NULL)
			continue;
		if (settings->fips || settings->dual_stack) {
			error_set(err, ERROR_REFUSED, "%s cannot be used together with %s endpoints", found.name,
				settings->fips ? "FIPS" : "dual-stack");
			return false;
		}
		if (!endpoint_parse(&endpoint, found.value, err)) {
			error_prefix(err, "%s", found.name);
			if (err != NULL)
				err->kind = ERROR_REFUSED;
			return false;
		}
		settings->endpoints[i] = xstrdup(endpoint.url);
		endpoint_finish(&endpoint);
	}
	return true;
}

bool aws_settings_load(struct aws_settings *settings, const struct conf_aws *conf, const struct profile *profile,
	struct error *err)
{
	*settings = (struct aws_settings){ 0 };
	load_region(settings, conf, profile);
	settings->ca_bundle = xstrdup(find(profile, "AWS_CA_BUNDLE", "ca_bundle").value);
	/* Any value but false switches it off, as in the SDKs. */
	settings->skew_disabled = env("AWS_DISABLE_CLOCK_SKEW_CORRECTION") != NULL
		&& strcasecmp(env("AWS_DISABLE_CLOCK_SKEW_CORRECTION"), "false") != 0;
	if (load_flag(profile, "AWS_USE_FIPS_ENDPOINT", "use_fips_endpoint", &settings->fips, err)
	    && load_flag(profile, "AWS_USE_DUALSTACK_ENDPOINT", "use_dualstack_endpoint", &settings->dual_stack, err)
	    && load_tries(settings, profile, err) && load_endpoints(settings, conf, profile, err))
		return true;
	aws_settings_finish(settings);
	return false;
}

void aws_settings_finish(struct aws_settings *settings)
{
	free(settings->region);
	free(settings->ca_bundle);
	for (int i = 0; i < AWS_SERVICES; i++)
		free(settings->endpoints[i]);
	*settings = (struct aws_settings){ 0 };
}

bool aws_settings_endpoint(const struct aws_settings *settings, enum aws_service service, const char *region,
	const char *origin, struct endpoint *endpoint, struct error *err)
{
	char *public_url, *public_region = NULL;
	bool ok;

	if (settings->endpoints[service] != NULL)
		return endpoint_parse(endpoint, settings->endpoints[service], err);
	/* A queue's URL names the plain host; who asks for FIPS or dual-stack wants another one.  A host that is
	 * not AWS's own is where the queue is and nowhere else. */
	if (origin != NULL && (settings->fips || settings->dual_stack))
		public_region = endpoint_region_of_queue(origin);
	ok = public_region == NULL;
	free(public_region);
	if (origin != NULL && ok)
		return endpoint_parse(endpoint, origin, err);
	public_url = endpoint_of_service(service, region, settings->fips, settings->dual_stack, err);
	if (public_url == NULL)
		return false;
	ok = endpoint_parse(endpoint, public_url, err);
	free(public_url);
	return ok;
}
