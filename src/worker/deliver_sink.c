/* SPDX-License-Identifier: Apache-2.0 */
/* deliver_sink.c - see deliver_sink.h. */
#include "worker/deliver_sink.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/random.h"
#include "net/http_client.h"
#include "worker/deliver_plan.h"

enum { ERRORS_AT_ONCE = 50, WEBHOOKS_AT_ONCE = 16, EMAILS_AT_ONCE = 2, TIMEOUT_MS = 15000, GIVE_UP_MS = 86400 * 1000 };
enum { SMOOTHED_OVER = 8 };             /* deliveries */

const char deliver_errors[] = "errors", deliver_webhooks[] = "(webhooks of jobs)", deliver_emails[] = "(emails of jobs)";

static unsigned at_once(enum conf_sink_type type)
{
	switch (type) {
	case CONF_SINK_REDIS: case CONF_SINK_CELERY: return 50;
	case CONF_SINK_WEBHOOK: return 8;
	case CONF_SINK_SNS: return 8;
	case CONF_SINK_EMAIL: return EMAILS_AT_ONCE;
	case CONF_SINK_SLACK: return 1;
	case CONF_SINK_EXEC: return 2;
	case CONF_SINK_TYPES: break;
	}
	return 1;
}

static struct deliver_sink *add(struct deliver_sinks *sinks, struct worker *worker, struct deliver *deliver,
	const char *name, const struct conf_sink *conf)
{
	struct deliver_sink *sink = &sinks->at[sinks->count++];

	sink->deliver = deliver;
	sink->name = name;
	sink->conf = conf;
	sink->limit = at_once(conf->type);
	sink->tokens = 1;
	sink->filled_s = clock_monotonic_s();
	sink->figures = figures_row(worker->figures, FIGURES_SINK, name);
	list_init(&sink->waiting);
	return sink;
}

static bool attach(struct deliver_sink *sink, const struct conf_sink *conf, const struct notify_env *env,
	struct error *err)
{
	struct notify *notify = notify_create(conf, env, err);

	if (notify == NULL)
		return false;
	sink->notifies = xreallocarray(sink->notifies, sink->count + 1, sizeof(struct notify *));
	sink->notifies[sink->count++] = notify;
	return true;
}

static bool add_errors(struct deliver_sinks *sinks, struct worker *worker, struct deliver *deliver,
	const struct notify_env *env, struct error *err)
{
	const struct conf *conf = worker->conf;
	struct deliver_sink *sink;

	if (conf->error_count == 0)
		return true;
	sinks->errors = (struct conf_sink){ .timeout_ms = TIMEOUT_MS, .give_up_after_ms = GIVE_UP_MS };
	sink = add(sinks, worker, deliver, deliver_errors, &sinks->errors);
	sink->limit = ERRORS_AT_ONCE;
	for (size_t i = 0; i < conf->error_count; i++) {
		if (!attach(sink, &conf->errors[i], env, err)) {
			error_prefix(err, "errors[%zu]", i);
			return false;
		}
	}
	return true;
}

static bool add_notify(struct deliver_sinks *sinks, struct worker *worker, struct deliver *deliver,
	const struct notify_env *env, struct error *err)
{
	const struct conf *conf = worker->conf;

	for (size_t i = 0; i < conf->notify_count; i++) {
		const struct conf_sink *section = &conf->notify[i];

		if (!attach(add(sinks, worker, deliver, conf_sink_name(section), section), section, env, err)) {
			error_prefix(err, "notify[%zu]", i);
			return false;
		}
	}
	return true;
}

static const struct conf_sink *first_email(const struct conf *conf)
{
	for (size_t i = 0; i < conf->notify_count; i++) {
		if (conf->notify[i].type == CONF_SINK_EMAIL)
			return &conf->notify[i];
	}
	return NULL;
}

/* What jobs name themselves: webhooks that must be public, and addresses that the first mail server takes. */
static bool add_of_jobs(struct deliver_sinks *sinks, struct worker *worker, struct deliver *deliver,
	const struct notify_env *env, struct error *err)
{
	const struct conf_sink *email = first_email(worker->conf);
	struct deliver_sink *sink;

	sinks->webhooks = (struct conf_sink){
		.type = CONF_SINK_WEBHOOK, .timeout_ms = TIMEOUT_MS, .give_up_after_ms = GIVE_UP_MS,
	};
	sink = add(sinks, worker, deliver, deliver_webhooks, &sinks->webhooks);
	sink->limit = WEBHOOKS_AT_ONCE;
	if (!attach(sink, &sinks->webhooks, env, err))
		return false;
	if (email == NULL)
		return true;
	/* Its texts stay the section's. */
	sinks->emails = *email;
	return attach(add(sinks, worker, deliver, deliver_emails, &sinks->emails), &sinks->emails, env, err);
}

bool deliver_sinks_create(struct deliver_sinks *sinks, struct worker *worker, struct deliver *deliver, struct error *err)
{
	struct notify_env env = { .loop = worker->loop, .log = &worker->log, .aws = worker->aws };

	sinks->http_public = http_client_create(worker->loop, &worker->log, NULL);
	sinks->http_private = http_client_create(worker->loop, &worker->log, NULL);
	env.http_public = sinks->http_public;
	env.http_private = sinks->http_private;
	sinks->at = xcalloc(worker->conf->notify_count + 3, sizeof(*sinks->at));
	return add_errors(sinks, worker, deliver, &env, err) && add_notify(sinks, worker, deliver, &env, err) &&
		add_of_jobs(sinks, worker, deliver, &env, err);
}

void deliver_sinks_destroy(struct deliver_sinks *sinks, struct worker *worker)
{
	for (size_t i = 0; i < sinks->count; i++) {
		struct deliver_sink *sink = &sinks->at[i];

		for (size_t j = 0; j < sink->count; j++)
			notify_destroy(sink->notifies[j]);
		free(sink->notifies);
		if (ev_is_active(&sink->pace))
			ev_timer_stop(worker->loop, &sink->pace);
	}
	http_client_destroy(sinks->http_public);
	http_client_destroy(sinks->http_private);
	free(sinks->at);
	*sinks = (struct deliver_sinks){ 0 };
}

static struct deliver_sink *by_name(struct deliver_sinks *sinks, const char *name)
{
	for (size_t i = 0; i < sinks->count; i++) {
		if (strcmp(sinks->at[i].name, name) == 0)
			return &sinks->at[i];
	}
	return NULL;
}

/* No name of a section has a ":" or an "@". */
struct deliver_sink *deliver_sinks_find(struct deliver_sinks *sinks, const char *name, const char **target)
{
	bool url = strchr(name, ':') != NULL;

	*target = url || strchr(name, '@') != NULL ? name : NULL;
	return by_name(sinks, *target == NULL ? name : url ? deliver_webhooks : deliver_emails);
}

/* A bucket of one token: what comes in a minute is spread over it. */
bool deliver_sink_take_token(struct deliver_sink *sink, double *wait_s)
{
	double now_s = clock_monotonic_s();
	double per_s = sink->conf->rate / 60.0;

	*wait_s = 0;
	if (sink->conf->rate == 0)
		return true;
	sink->tokens += (now_s - sink->filled_s) * per_s;
	sink->filled_s = now_s;
	if (sink->tokens > 1)
		sink->tokens = 1;
	if (sink->tokens < 1) {
		*wait_s = (1 - sink->tokens) / per_s;
		return false;
	}
	sink->tokens -= 1;
	return true;
}

void deliver_sink_note_time(struct deliver_sink *sink, double took_s)
{
	sink->took_s += (took_s - sink->took_s) / SMOOTHED_OVER;
}

int64_t deliver_sink_put_off_ms(const struct deliver_sink *sink)
{
	const struct deliver_load load = {
		.waiting = sink->waiting_count,
		.at_once = sink->limit,
		.took_s = sink->took_s,
		.rate = sink->conf->rate,
		.failing = sink->failures > 0,
	};

	return (int64_t)(1000 * deliver_put_off_s(&load, random_unit()));
}
