/* SPDX-License-Identifier: Apache-2.0 */
/* aws.c - see aws.h.  Puts together what the calls of a process share; a call's own life is in aws_call.c. */
#include "aws/aws.h"

#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <stdlib.h>
#include <string.h>

#include "aws/aws_impl.h"
#include "aws/service.h"
#include "base/clock.h"
#include "base/mem.h"

#ifndef PACKAGE_VERSION
#define PACKAGE_VERSION "unversioned"
#endif

enum { REGION_AGAIN_S = 60 };           /* a lookup that has failed is not repeated before */

struct aws_probe {
	struct list link;               /* aws::probes */
	struct aws *aws;
	bool asking;                    /* waits for credentials */
	struct error err;               /* what became of them */
	ev_timer soon;
	aws_done_fn *done;
	void *arg;
};

static bool open_credentials(struct aws *aws, const struct conf_aws *conf, struct error *err)
{
	const struct aws_settings *settings = &aws->settings;
	char *sts_endpoint = xstrdup(settings->endpoints[AWS_STS]);
	struct credentials_env env = {
		.loop = aws->loop,
		.log = &aws->log,
		.http = aws->http,
		.conf = conf,
		.profile = aws->profile,
		.region = settings->region,
	};

	if (sts_endpoint == NULL && settings->region != NULL && (settings->fips || settings->dual_stack))
		sts_endpoint = endpoint_of_service(AWS_STS, settings->region, settings->fips, settings->dual_stack, NULL);
	env.sts_endpoint = sts_endpoint;
	aws->credentials = credentials_create(&env, err);
	free(sts_endpoint);
	return aws->credentials != NULL;
}

struct aws *aws_create(struct ev_loop *loop, const struct log *log, const struct conf_aws *conf, struct error *err)
{
	struct aws *aws = xnew(struct aws);
	struct http_client_options options = { .user_agent = "gantry/" PACKAGE_VERSION };

	aws->loop = loop;
	log_init(&aws->log, log, "aws");
	list_init(&aws->calls);
	list_init(&aws->probes);
	aws_places_init(&aws->places);
	buf_init(&aws->head, LIMIT_AWS_HEAD_BYTES);
	aws->head.secret = true;
	for (int i = 0; i < AWS_SERVICES; i++)
		retry_bucket_init(&aws->buckets[i]);
	aws->profile = profile_load(conf->profile, err);
	if (aws->profile == NULL || !aws_settings_load(&aws->settings, conf, aws->profile, err))
		goto fail;
	aws->skew.disabled = aws->settings.skew_disabled;
	options.ca_bundle = aws->settings.ca_bundle;
	aws->http = http_client_create(loop, &aws->log, &options);
	if (!open_credentials(aws, conf, err))
		goto fail;
	return aws;
fail:
	aws_destroy(aws);
	return NULL;
}

static void probe_destroy(struct aws_probe *probe)
{
	list_remove(&probe->link);
	ev_timer_stop(probe->aws->loop, &probe->soon);
	free(probe);
}

void aws_destroy(struct aws *aws)
{
	struct aws_probe *probe, *next;

	if (aws == NULL)
		return;
	aws_calls_cancel(aws);
	list_each_safe(probe, next, &aws->probes, link) {
		if (probe->asking)
			credentials_cancel(aws->credentials, probe);
		probe_destroy(probe);
	}
	region_imds_cancel(aws->region_lookup);
	credentials_destroy(aws->credentials);
	http_client_destroy(aws->http);
	aws_settings_finish(&aws->settings);
	profile_destroy(aws->profile);
	aws_places_finish(&aws->places);
	buf_finish(&aws->head);
	free(aws);
}

/* The region */

/* Tells a probe that waits for nothing any more, in a turn of its own. */
static void check_probe(struct aws_probe *probe)
{
	if (probe->asking || probe->aws->region_lookup != NULL)
		return;
	ev_timer_set(&probe->soon, 0., 0.);
	ev_timer_start(probe->aws->loop, &probe->soon);
}

static void on_region(void *arg, const char *region, const struct error *err)
{
	struct aws *aws = arg;
	struct aws_probe *probe;

	aws->region_lookup = NULL;
	if (err == NULL) {
		log_info(&aws->log, "region %s, as this instance's metadata says", region);
		aws->settings.region = xstrdup(region);
	} else {
		aws->region_why = *err;
	}
	aws_calls_wake(aws);
	list_each(probe, &aws->probes, link)
		check_probe(probe);
}

bool aws_region_awaited(struct aws *aws)
{
	double now_s = clock_monotonic_s();

	if (aws->region_lookup != NULL)
		return true;
	if (aws->settings.region != NULL
	    || (aws->region_asked_s > 0 && now_s < aws->region_asked_s + REGION_AGAIN_S))
		return false;
	aws->region_asked_s = now_s;
	aws->region_lookup = region_imds_start(aws->loop, aws->http, aws->profile, on_region, aws, &aws->region_why);
	return aws->region_lookup != NULL;
}

/* Probes */

static void on_probe_soon(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct aws_probe *probe = container_of(timer, struct aws_probe, soon);
	struct error err = probe->err;
	aws_done_fn *done = probe->done;
	void *arg = probe->arg;

	(void)loop;
	(void)revents;
	probe_destroy(probe);
	done(arg, err.kind != ERROR_NONE ? &err : NULL);
}

static void on_probed(void *arg, const struct credentials *credentials, const struct error *err)
{
	struct aws_probe *probe = arg;

	(void)credentials;
	probe->asking = false;
	if (err != NULL)
		probe->err = *err;
	check_probe(probe);
}

void aws_probe(struct aws *aws, aws_done_fn *done, void *arg)
{
	struct aws_probe *probe = xnew(struct aws_probe);

	probe->aws = aws;
	probe->done = done;
	probe->arg = arg;
	probe->asking = true;
	ev_init(&probe->soon, on_probe_soon);
	list_append(&aws->probes, &probe->link);
	/* Not knowing the region is no failure here: a queue's URL may name it. */
	aws_region_awaited(aws);
	credentials_get(aws->credentials, on_probed, probe);
}

const char *aws_region(const struct aws *aws)
{
	return aws->settings.region != NULL ? aws->settings.region : "";
}

struct ev_loop *aws_loop(const struct aws *aws)
{
	return aws->loop;
}

void aws_watch(struct aws *aws, aws_outcome_fn *told, void *arg)
{
	aws->outcome = told;
	aws->outcome_arg = arg;
}

const char *aws_service_name(enum aws_service service)
{
	return service_of(service)->label;
}

void aws_figures(const struct aws *aws, struct aws_figures *figures)
{
	const struct credentials *credentials = credentials_now(aws->credentials);

	*figures = aws->figures;
	figures->skew_s = aws->skew.offset_s;
	figures->credentials_expire_ms = credentials != NULL ? credentials->expires_ms : 0;
}
