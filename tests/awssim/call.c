/* SPDX-License-Identifier: Apache-2.0 */
/* call.c - which service and action a request means, whether it may, what happens, what is
 * answered, and what of all that a fault changes. */
#include "call.h"

#include "answer.h"
#include "json_pool.h"
#include "json_read.h"
#include "key_ring.h"
#include "query_form.h"
#include "sigv4_check.h"
#include "stats.h"
#include "xalloc.h"

#include <string.h>

static const struct service *const services[] = {
	&sqs_service, &ecs_service, &logs_service, &sns_service, &sts_service,
};

enum {
	SERVICES = sizeof(services) / sizeof(services[0]),
	LIMIT_KEPT_BYTES = 64 * 1024,
};

static const char *call_name(const struct call *call)
{
	return call->action == NULL ? "unknown" : call->action->name;
}

static void keep_raw(struct call *call)
{
	struct text *kept = &call->sim->raw;

	if (kept->room > 0 || call->raw.room > LIMIT_KEPT_BYTES) {
		text_finish(&call->raw);
		return;
	}
	*kept = call->raw;
	text_clear(kept);
}

static void call_destroy(struct call *call, const char *outcome)
{
	stats_count(call->sim->stats, call_name(call), outcome);
	sim_clock_clear(call->sim->world.clock, &call->delay);
	aws_error_finish(&call->error);
	json_decref(call->in);
	json_decref(call->out);
	keep_raw(call);
	free(call->fault);
	free(call);
}

static void call_abort(struct call *call, const char *outcome)
{
	struct http_exchange *exchange = call->exchange;

	call_destroy(call, outcome);
	http_exchange_abort(exchange);
}

/* ---- what is asked ---- */

static const struct action *find_action(const struct service *service, const char *name)
{
	for (const struct action *action = service->actions; action->name != NULL; action++) {
		if (strcmp(action->name, name) == 0)
			return action;
	}
	return NULL;
}

static void identify_json(struct call *call, const char *target)
{
	for (size_t i = 0; i < SERVICES; i++) {
		const char *prefix = services[i]->target_prefix;

		if (prefix != NULL && strncmp(target, prefix, strlen(prefix)) == 0) {
			call->service = services[i];
			call->action = find_action(services[i], target + strlen(prefix));
			return;
		}
	}
}

/* Old clients (kombu's) send no version to a queue's own URL; there it can only be SQS's. */
static void identify_query(struct call *call, const struct http_request *request)
{
	const char *action = json_string_value(json_object_get(call->in, "Action"));
	const char *version = json_string_value(json_object_get(call->in, "Version"));

	if (version == NULL && strcmp(request->path, "/") != 0)
		version = sqs_service.query_version;
	for (size_t i = 0; i < SERVICES && action != NULL && version != NULL; i++) {
		if (services[i]->query_version != NULL &&
		    strcmp(services[i]->query_version, version) == 0) {
			call->service = services[i];
			call->action = find_action(services[i], action);
		}
	}
	json_object_del(call->in, "Action");
	json_object_del(call->in, "Version");
}

/* Gives the service an answer's form is taken from, even if nothing fits. */
static void call_identify(struct call *call, const struct http_request *request)
{
	const char *target = http_request_header(request, "x-amz-target");
	const char *type = http_request_header(request, "content-type");

	call->service = &metadata_service;
	call->action = metadata_action(request->method, request->path);
	call->protocol = CALL_PLAIN;
	if (call->action != NULL)
		return;
	call->service = &sqs_service;
	call->protocol = CALL_JSON;
	if (target != NULL) {
		identify_json(call, target);
	} else if (type != NULL && strncmp(type, "application/x-www-form-urlencoded", 33) == 0) {
		call->protocol = CALL_QUERY;
		call->in = query_form_parse(request->body, request->body_bytes);
		identify_query(call, request);
	}
}

static bool call_parse(struct call *call, const struct http_request *request)
{
	const char *type = http_request_header(request, "content-type");
	json_error_t problem;

	if (call->protocol != CALL_JSON)
		return true;
	if (type == NULL || strncmp(type, call->service->json_type,
				    strlen(call->service->json_type)) != 0) {
		aws_error_set(&call->error, "SerializationException",
			      "Content-Type has to be %s", call->service->json_type);
		return false;
	}
	call->in = json_read(request->body, request->body_bytes, &problem);
	if (!json_is_object(call->in)) {
		aws_error_set(&call->error, "SerializationException", "%s",
			      call->in == NULL ? problem.text : "not an object");
		return false;
	}
	return true;
}

static bool call_is_signed(struct call *call, const struct http_request *request)
{
	struct simulator *sim = call->sim;
	struct sigv4_time time = {
		.wall_s = sim_clock_wall_s(sim->world.clock),
		.now_ms = world_now_ms(&sim->world),
	};

	if (sim->no_auth || (call->action != NULL && call->action->anonymous))
		return true;
	return sigv4_check(request, call->action == NULL ? NULL : call->service->name, sim->keys,
			   sim->world.digest, time, &call->error);
}

static void call_record(struct call *call)
{
	json_t *line;
	char *dump;

	if (call->sim->record == NULL || call->protocol == CALL_PLAIN)
		return;
	line = json_pack("{s:s, s:s, s:s, s:O}", "service", call->service->name, "action",
			 call->action->name, "protocol",
			 call->protocol == CALL_JSON ? "json" : "query", "body", call->in);
	dump = json_dumps(line, JSON_COMPACT);
	fprintf(call->sim->record, "%s\n", dump);
	fflush(call->sim->record);
	json_pool_free(dump);
	json_decref(line);
}

/* ---- what goes wrong ---- */

/* Faults that are an error answer of the service. */
static void fault_to_error(struct call *call)
{
	const struct fault *fault = call->fault;
	const char *shape = fault->code, *message = fault->message;

	switch (fault->kind) {
	case FAULT_THROTTLE:
		shape = *shape != '\0' ? shape : call->service->throttle_shape;
		message = *message != '\0' ? message : "Rate exceeded";
		break;
	case FAULT_HTTP_500:
		shape = *shape != '\0' ? shape : call->service == &ecs_service ? "ServerException"
									       : "InternalError";
		message = *message != '\0' ? message
					   : "We encountered an internal error. Please try again.";
		call->error.status = fault->status != 0 ? fault->status : 500;
		break;
	case FAULT_HIDDEN_THROTTLE:
		shape = *shape != '\0' ? shape : "InvalidParameterException";
		message = *message != '\0' ? message
					   : "Error retrieving security group information for "
					     "[sg-1]: Request limit exceeded. (ErrorCode: "
					     "RequestLimitExceeded)";
		break;
	case FAULT_ERROR:
		shape = *shape != '\0' ? shape : "InvalidParameterValue";
		break;
	default:
		return;
	}
	if (fault->status != 0)
		call->error.status = fault->status;
	aws_error_set(&call->error, shape, "%s", message);
}

static void on_delay(struct alarm *alarm)
{
	struct call *call = container_of(alarm, struct call, delay);

	call_answer(call);
	call_destroy(call, "delayed");
}

static void on_gone(void *arg)
{
	struct call *call = arg;

	call->exchange = NULL;
	if (call->cancel != NULL)
		call->cancel(call->cancel_arg);
	call_destroy(call, "client_gone");
}

static const char *call_outcome(const struct call *call)
{
	if (call->fault != NULL && !aws_error_is_set(&call->error))
		return fault_kind_name(call->fault->kind);
	return aws_error_is_set(&call->error) ? call->error.shape : "ok";
}

void call_finish(struct call *call)
{
	call->waiting = false;
	call->cancel = NULL;
	if (call->fault != NULL && call->fault->effect) {
		switch (call->fault->kind) {
		case FAULT_LOST_ANSWER:
			call_abort(call, "lost_answer");
			return;
		case FAULT_STALL:
			call_wait(call, NULL, NULL);
			return;
		case FAULT_DELAY:
			call_wait(call, NULL, NULL);
			call->delay.ring = on_delay;
			sim_clock_set(call->sim->world.clock, &call->delay,
				      world_now_ms(&call->sim->world) + call->fault->ms);
			return;
		default:
			fault_to_error(call);
		}
	}
	call_answer(call);
	call_destroy(call, call_outcome(call));
}

void call_wait(struct call *call, call_cancel_fn *cancel, void *arg)
{
	call->waiting = true;
	call->cancel = cancel;
	call->cancel_arg = arg;
	http_exchange_watch(call->exchange, on_gone, call);
}

static void call_run(struct call *call)
{
	call->action->run(call);
	if (!call->waiting)
		call_finish(call);
}

static void on_late_start(struct alarm *alarm)
{
	struct call *call = container_of(alarm, struct call, delay);

	call->waiting = false;
	http_exchange_watch(call->exchange, NULL, NULL);
	call_run(call);
}

/* Faults that come before the effect.  True when the call has ended or waits. */
static bool call_fail_early(struct call *call)
{
	if (call->fault == NULL || call->fault->effect)
		return false;
	switch (call->fault->kind) {
	case FAULT_FAILURES:
	case FAULT_MISSING:
	case FAULT_EMPTY:
		return false;           /* the action's own business */
	case FAULT_DROP_BEFORE:
		call_abort(call, "drop_before");
		return true;
	case FAULT_LOST_ANSWER:
	case FAULT_STALL:
		call_wait(call, NULL, NULL);
		return true;
	case FAULT_DELAY:
		call_wait(call, NULL, NULL);
		call->delay.ring = on_late_start;
		sim_clock_set(call->sim->world.clock, &call->delay,
			      world_now_ms(&call->sim->world) + call->fault->ms);
		return true;
	default:
		fault_to_error(call);
		call_finish(call);
		return true;
	}
}

void call_begin(struct simulator *sim, struct http_exchange *exchange)
{
	const struct http_request *request = http_exchange_request(exchange);
	struct call *call = xcalloc(1, sizeof(*call));

	call->sim = sim;
	call->exchange = exchange;
	call->out = json_object();
	call->raw = sim->raw;
	sim->raw = (struct text){ 0 };
	world_uuid(&sim->world, call->request_id);
	call_identify(call, request);
	if (!call_is_signed(call, request)) {
		call_finish(call);
		return;
	}
	if (call->action == NULL) {
		aws_error_set(&call->error, "UnknownOperationException",
			      "The requested operation is not known here.");
		call_finish(call);
		return;
	}
	call->fault = faults_fire(sim->faults, &sim->world.dice, call->action->name, request->body,
				  request->body_bytes);
	if (!call_parse(call, request)) {
		call_finish(call);
		return;
	}
	call_record(call);
	if (!call_fail_early(call))
		call_run(call);
}
