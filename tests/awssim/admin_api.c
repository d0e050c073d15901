/* SPDX-License-Identifier: Apache-2.0 */
/* admin_api.c - what tests ask the simulator itself: to misbehave, to hurry, to account. */
#include "admin_api.h"

#include "ecs.h"
#include "ecs_task.h"
#include "fault.h"
#include "identity.h"
#include "json_pool.h"
#include "logs.h"
#include "member.h"
#include "sqs.h"
#include "stats.h"
#include "xalloc.h"

enum {
	ACCOUNT_DEFAULT_LIMIT = 1000,
	PARAMETER_ROOM = 512,
};

/* in: the body's object, empty when there was none; out: the answer's. */
typedef void admin_fn(struct simulator *, const struct http_request *, json_t *in, json_t *out,
		      struct aws_error *);

static void health(struct simulator *sim, const struct http_request *request, json_t *in,
		   json_t *out, struct aws_error *error)
{
	(void)sim, (void)request, (void)in, (void)error;
	json_object_set_new(out, "ok", json_true());
}

/* ---- what happened ---- */

static json_t *queue_counts(const struct sqs *sqs)
{
	json_t *out = json_object();

	for (struct list *node = sqs->queues.next; node != &sqs->queues; node = node->next) {
		const struct sqs_queue *queue = container_of(node, struct sqs_queue, peers);
		int waiters = 0;

		for (const struct list *at = queue->waiters.next; at != &queue->waiters;
		     at = at->next)
			waiters++;
		json_object_set_new(out, queue->name,
				    json_pack("{s:i, s:i, s:i, s:i}", "ready",
					      (int)queue->counts[SQS_READY], "in_flight",
					      (int)queue->counts[SQS_IN_FLIGHT], "delayed",
					      (int)queue->counts[SQS_DELAYED], "waiters", waiters));
	}
	return out;
}

static json_t *task_counts(const struct ecs *ecs)
{
	json_int_t counts[ECS_TASK_STATES] = { 0 };
	json_t *out = json_object();

	for (struct list *node = ecs->clusters.next; node != &ecs->clusters; node = node->next) {
		const struct ecs_cluster *cluster = container_of(node, struct ecs_cluster, peers);

		for (struct list *at = cluster->task_order.next; at != &cluster->task_order;
		     at = at->next)
			counts[container_of(at, struct ecs_task, peers)->state]++;
	}
	for (unsigned i = 0; i < ECS_TASK_STATES; i++)
		json_object_set_new(out, ecs_task_state_names[i], json_integer(counts[i]));
	return out;
}

static void describe_stats(struct simulator *sim, const struct http_request *request, json_t *in,
			   json_t *out, struct aws_error *error)
{
	json_t *stats = stats_describe(sim->stats);

	(void)request, (void)in, (void)error;
	json_object_update(out, stats);
	json_decref(stats);
	json_object_set_new(out, "queues", queue_counts(sim->sqs));
	json_object_set_new(out, "tasks", task_counts(sim->ecs));
	json_object_set_new(out, "connections",
			    json_integer((json_int_t)http_server_connections(sim->http)));
	json_object_set_new(out, "now_ms", json_integer(world_now_ms(&sim->world)));
}

/* A query parameter as a string that lives in `room`; NULL when it is absent. */
static const char *parameter(const struct http_request *request, const char *name,
			     char room[PARAMETER_ROOM])
{
	return http_request_parameter(request, name, room, PARAMETER_ROOM) ? room : NULL;
}

static uint32_t number_parameter(const struct http_request *request, const char *name,
				 uint32_t otherwise)
{
	char value[PARAMETER_ROOM];

	if (parameter(request, name, value) == NULL)
		return otherwise;
	return (uint32_t)strtoul(value, NULL, 10);
}

static void merge(json_t *out, json_t *part)
{
	json_object_update(out, part);
	json_decref(part);
}

/* Pages: after=N and limit=N, and what else is to be matched. */
static void describe_messages(struct simulator *sim, const struct http_request *request,
			      json_t *in, json_t *out, struct aws_error *error)
{
	char room[3][PARAMETER_ROOM];
	struct ledger_filter filter = {
		.queue = parameter(request, "queue", room[0]),
		.group = parameter(request, "group", room[1]),
		.id = parameter(request, "id", room[2]),
		.after = number_parameter(request, "after", 0),
		.limit = number_parameter(request, "limit", ACCOUNT_DEFAULT_LIMIT),
	};

	(void)in, (void)error;
	merge(out, ledger_describe_messages(sim->world.ledger, &filter));
}

static void describe_tasks(struct simulator *sim, const struct http_request *request, json_t *in,
			   json_t *out, struct aws_error *error)
{
	char room[5][PARAMETER_ROOM];
	struct ledger_filter filter = {
		.started_by = parameter(request, "started_by", room[0]),
		.client_token = parameter(request, "client_token", room[1]),
		.arn = parameter(request, "arn", room[2]),
		.env_name = parameter(request, "env", room[3]),
		.env_value = parameter(request, "value", room[4]),
		.after = number_parameter(request, "after", 0),
		.limit = number_parameter(request, "limit", ACCOUNT_DEFAULT_LIMIT),
	};

	(void)in, (void)error;
	merge(out, ledger_describe_tasks(sim->world.ledger, &filter));
}

static void describe_published(struct simulator *sim, const struct http_request *request,
			       json_t *in, json_t *out, struct aws_error *error)
{
	(void)request, (void)in, (void)error;
	json_object_set(out, "published", sim->published);
}

static void describe_summary(struct simulator *sim, const struct http_request *request,
			     json_t *in, json_t *out, struct aws_error *error)
{
	char room[PARAMETER_ROOM];

	(void)in, (void)error;
	merge(out, ledger_summary(sim->world.ledger, parameter(request, "env", room)));
}

static void reset(struct simulator *sim, const struct http_request *request, json_t *in,
		  json_t *out, struct aws_error *error)
{
	(void)request, (void)in, (void)out, (void)error;
	faults_clear(sim->faults);
	sqs_clear(sim->sqs);
	ecs_clear(sim->ecs);
	logs_clear(sim->logs);
	identity_clear(sim->identity);
	stats_clear(sim->stats);
	ledger_clear(sim->world.ledger);
	json_array_clear(sim->published);
}

/* ---- what shall happen ---- */

static void add_fault(struct simulator *sim, const struct http_request *request, json_t *in,
		      json_t *out, struct aws_error *error)
{
	(void)request, (void)out;
	faults_add(sim->faults, in, error);
}

static void show_faults(struct simulator *sim, const struct http_request *request, json_t *in,
			json_t *out, struct aws_error *error)
{
	(void)request, (void)in, (void)error;
	json_object_set_new(out, "faults", faults_describe(sim->faults));
}

static void clear_faults(struct simulator *sim, const struct http_request *request, json_t *in,
			 json_t *out, struct aws_error *error)
{
	(void)request, (void)in, (void)out, (void)error;
	faults_clear(sim->faults);
}

static void set_capacity(struct simulator *sim, const struct http_request *request, json_t *in,
			 json_t *out, struct aws_error *error)
{
	const char *provider = NULL, *subnet = NULL, *reason = NULL;
	struct ecs_capacity *capacity;
	json_int_t available = -1;

	(void)request, (void)out;
	if (!member_string(in, "provider", &provider, error) ||
	    !member_string(in, "subnet", &subnet, error) ||
	    !member_string(in, "reason", &reason, error) ||
	    !member_integer(in, "available", &available, error))
		return;
	if ((provider == NULL) == (subnet == NULL)) {
		aws_error_set(error, "InvalidParameter", "provider or subnet is missing");
		return;
	}
	capacity = provider != NULL ? ecs_capacity(sim->ecs, provider)
				    : ecs_subnet_capacity(sim->ecs, subnet);
	capacity->available = available;
	if (reason != NULL)
		snprintf(capacity->reason, sizeof(capacity->reason), "%s", reason);
}

static void set_duplicates(struct simulator *sim, const struct http_request *request, json_t *in,
			   json_t *out, struct aws_error *error)
{
	(void)request, (void)out, (void)error;
	sim->sqs->duplicate = json_number_value(json_object_get(in, "probability"));
	sim->sqs->resurrect = json_number_value(json_object_get(in, "after_delete"));
}

static void show_clock(struct simulator *sim, const struct http_request *request, json_t *in,
		       json_t *out, struct aws_error *error)
{
	(void)request, (void)in, (void)error;
	json_object_set_new(out, "now_ms", json_integer(world_now_ms(&sim->world)));
	json_object_set_new(out, "wall_s", json_integer(sim_clock_wall_s(sim->world.clock)));
}

static void set_clock(struct simulator *sim, const struct http_request *request, json_t *in,
		      json_t *out, struct aws_error *error)
{
	json_t *advance = json_object_get(in, "advance_s"), *skew = json_object_get(in, "skew_s");

	if (json_number_value(advance) < 0) {
		aws_error_set(error, "InvalidParameter", "advance_s can't be negative");
		return;
	}
	if (advance != NULL)
		sim_clock_advance(sim->world.clock, (int64_t)(json_number_value(advance) * 1000));
	if (skew != NULL)
		sim_clock_set_skew(sim->world.clock, (int64_t)json_number_value(skew));
	show_clock(sim, request, in, out, error);
}

static void set_events(struct simulator *sim, const struct http_request *request, json_t *in,
		       json_t *out, struct aws_error *error)
{
	const char *url = NULL;

	(void)request, (void)out;
	if (!member_string(in, "queue_url", &url, error))
		return;
	if (url != NULL && sqs_find_url(sim->sqs, url) == NULL) {
		aws_error_set(error, "QueueDoesNotExist", "no such queue");
		return;
	}
	free(sim->ecs->events_queue_url);
	sim->ecs->events_queue_url = xstrdup_null(url);
}

static void set_ecs(struct simulator *sim, const struct http_request *request, json_t *in,
		    json_t *out, struct aws_error *error)
{
	struct ecs_settings *settings = &sim->ecs->settings;

	(void)request, (void)out;
	if (member_integer(in, "start_ms", &settings->start_ms, error) &&
	    member_integer(in, "run_ms", &settings->run_ms, error) &&
	    member_integer(in, "stop_ms", &settings->stop_ms, error) &&
	    member_integer(in, "stop_timeout_ms", &settings->stop_timeout_ms, error) &&
	    member_integer(in, "consistency_ms", &settings->consistency_ms, error) &&
	    member_integer(in, "stopped_life_s", &settings->stopped_life_s, error) &&
	    member_bool(in, "first_subnet", &settings->first_subnet, error))
		member_bool(in, "failures_bind_token", &settings->failures_bind_token, error);
}

static void finish_cluster(struct ecs_cluster *cluster)
{
	struct list *node, *next;

	list_each(node, next, &cluster->task_order)
		ecs_task_finish(container_of(node, struct ecs_task, peers));
}

static void finish_tasks(struct simulator *sim, const struct http_request *request, json_t *in,
			 json_t *out, struct aws_error *error)
{
	struct list *node, *next;

	(void)request, (void)in, (void)out, (void)error;
	list_each(node, next, &sim->ecs->clusters)
		finish_cluster(container_of(node, struct ecs_cluster, peers));
}

static void set_rate(struct simulator *sim, const struct http_request *request, json_t *in,
		     json_t *out, struct aws_error *error)
{
	const json_t *per_s = json_object_get(in, "per_s"), *burst = json_object_get(in, "burst");
	const char *action = NULL;
	struct ecs_rate *rate;

	(void)request, (void)out;
	if (!member_string(in, "action", &action, error))
		return;
	if (action == NULL ||
	    (strcmp(action, "RunTask") != 0 && strcmp(action, "DescribeTasks") != 0)) {
		aws_error_set(error, "InvalidParameter", "action is RunTask or DescribeTasks");
		return;
	}
	rate = strcmp(action, "RunTask") == 0 ? &sim->ecs->run_rate : &sim->ecs->describe_rate;
	*rate = (struct ecs_rate){ .per_s = json_number_value(per_s),
				   .at_ms = world_now_ms(&sim->world) };
	rate->tokens = rate->burst = burst == NULL ? rate->per_s : json_number_value(burst);
}

static void set_credentials(struct simulator *sim, const struct http_request *request, json_t *in,
			    json_t *out, struct aws_error *error)
{
	(void)request, (void)out;
	identity_configure(sim, in, error);
}

static const struct {
	const char *method, *path;
	admin_fn *run;
} routes[] = {
	{ "GET", "/_health", health },
	{ "GET", "/_stats", describe_stats },
	{ "GET", "/_account", describe_summary },
	{ "GET", "/_account/messages", describe_messages },
	{ "GET", "/_account/tasks", describe_tasks },
	{ "GET", "/_account/published", describe_published },
	{ "POST", "/_reset", reset },
	{ "POST", "/_admin/fault", add_fault },
	{ "GET", "/_admin/fault", show_faults },
	{ "DELETE", "/_admin/fault", clear_faults },
	{ "POST", "/_admin/capacity", set_capacity },
	{ "POST", "/_admin/duplicate", set_duplicates },
	{ "POST", "/_admin/clock", set_clock },
	{ "GET", "/_admin/clock", show_clock },
	{ "POST", "/_admin/events", set_events },
	{ "POST", "/_admin/ecs", set_ecs },
	{ "POST", "/_admin/finish", finish_tasks },
	{ "POST", "/_admin/rate", set_rate },
	{ "POST", "/_admin/credentials", set_credentials },
};

static admin_fn *find_route(const struct http_request *request)
{
	for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
		if (strcmp(routes[i].method, request->method) == 0 &&
		    strcmp(routes[i].path, request->path) == 0)
			return routes[i].run;
	}
	return NULL;
}

static void admin_answer(struct http_exchange *exchange, int status, const json_t *out)
{
	struct http_answer answer = { .status = status, .content_type = "application/json" };
	char *dump = json_dumps(out, JSON_COMPACT);

	answer.body = dump;
	answer.bytes = strlen(dump);
	http_exchange_answer(exchange, &answer);
	json_pool_free(dump);
}

bool admin_handle(struct simulator *sim, struct http_exchange *exchange)
{
	const struct http_request *request = http_exchange_request(exchange);
	struct aws_error error = { .status = 0 };
	json_t *in, *out;
	admin_fn *run;

	if (request->path[0] != '/' || request->path[1] != '_')
		return false;
	run = find_route(request);
	out = json_object();
	in = request->body_bytes > 0 ? json_loadb(request->body, request->body_bytes, 0, NULL)
				     : json_object();
	if (run == NULL)
		aws_error_set(&error, "NotFound", "no such call");
	else if (!json_is_object(in))
		aws_error_set(&error, "InvalidParameter", "the body has to be a JSON object");
	else
		run(sim, request, in, out, &error);
	if (aws_error_is_set(&error)) {
		json_object_clear(out);
		json_object_set_new(out, "error", json_string(error.shape));
		json_object_set_new(out, "detail", json_string(error.message));
	}
	admin_answer(exchange, !aws_error_is_set(&error) ? 200 : run == NULL ? 404 : 400, out);
	aws_error_finish(&error);
	json_decref(in);
	json_decref(out);
	return true;
}
