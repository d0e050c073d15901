/* SPDX-License-Identifier: Apache-2.0 */
/* ecs_api.c - ECS's actions but RunTask. */
#include "ecs_api.h"

#include "ecs_render.h"
#include "json_text.h"
#include "member.h"

#include <stdlib.h>
#include <string.h>

#define INVALID "InvalidParameterException"

enum {
	LIMIT_DESCRIBE = 100,
	LIMIT_LIST = 100,
};

static struct ecs *call_ecs(struct call *call)
{
	return call->sim->ecs;
}

static struct ecs_cluster *call_cluster(struct call *call)
{
	const char *name = NULL;

	if (!member_string(call->in, "cluster", &name, &call->error))
		return NULL;
	return ecs_cluster(call_ecs(call), name, &call->error);
}

static void add_missing(json_t *failures, const char *arn)
{
	json_array_append_new(failures, json_pack("{s:s, s:s}", "arn", arn, "reason", "MISSING"));
}

bool ecs_allows(struct call *call, struct ecs_rate *rate)
{
	int64_t now_ms = world_now_ms(&call->sim->world);

	if (rate->per_s <= 0)
		return true;
	rate->tokens += (double)(now_ms - rate->at_ms) / 1000 * rate->per_s;
	rate->at_ms = now_ms;
	if (rate->tokens > rate->burst)
		rate->tokens = rate->burst;
	if (rate->tokens >= 1) {
		rate->tokens -= 1;
		return true;
	}
	aws_error_set(&call->error, "ThrottlingException", "Rate exceeded");
	return false;
}

/* ---- DescribeTasks, StopTask ---- */

static bool check_names(struct call *call, const struct ecs_cluster *cluster, json_t *names)
{
	json_t *name;
	size_t i;

	if (json_array_size(names) == 0)
		aws_error_set(&call->error, INVALID, "Tasks cannot be empty.");
	if (json_array_size(names) > LIMIT_DESCRIBE)
		aws_error_set(&call->error, INVALID, "Task ids can have at most 100 items.");
	json_array_foreach(names, i, name) {
		const char *string = json_string_value(name), *at;

		if (string == NULL) {
			aws_error_set(&call->error, "SerializationException",
				      "NUMBER_VALUE can not be converted to a String (tasks)");
			break;
		}
		at = strstr(string, ":task/");
		if (at == NULL || strchr(at + 6, '/') == NULL)
			continue;
		at += 6;
		if (strcspn(at, "/") != strlen(cluster->name) ||
		    strncmp(at, cluster->name, strlen(cluster->name)) != 0)
			aws_error_set(&call->error, INVALID,
				      "Invalid identifier: Identifier is for cluster %.*s. Your "
				      "cluster is %s", (int)strcspn(at, "/"), at, cluster->name);
	}
	return !aws_error_is_set(&call->error);
}

static bool includes_tags(const json_t *include)
{
	json_t *item;
	size_t i;

	json_array_foreach(include, i, item) {
		const char *name = json_string_value(item);

		if (name != NULL && strcmp(name, "TAGS") == 0)
			return true;
	}
	return false;
}

/* Failures name ARNs, whatever the request had. */
static void add_missing_task(json_t *failures, const struct ecs_cluster *cluster, const char *name)
{
	char arn[512];

	if (strchr(name, ':') != NULL) {
		add_missing(failures, name);
		return;
	}
	snprintf(arn, sizeof(arn), "arn:aws:ecs:" WORLD_REGION ":" WORLD_ACCOUNT ":task/%s/%s",
		 cluster->name, name);
	add_missing(failures, arn);
}

static void describe_tasks(struct call *call)
{
	struct ecs_cluster *cluster = ecs_allows(call, &call_ecs(call)->describe_rate)
					      ? call_cluster(call)
					      : NULL;
	json_t *names = NULL, *include = NULL, *name, *failures;
	size_t i;

	if (cluster == NULL || !member_array(call->in, "tasks", &names, &call->error) ||
	    !member_array(call->in, "include", &include, &call->error) ||
	    !check_names(call, cluster, names))
		return;
	failures = json_array();
	text_add_string(&call->raw, "{\"tasks\":[");
	json_array_foreach(names, i, name) {
		struct ecs_task *task = ecs_task_find(cluster, json_string_value(name));

		if (task != NULL && !call_fault_is(call, FAULT_MISSING))
			ecs_render_task(&call->raw, task, ECS_TIMES_EPOCH, includes_tags(include));
		else
			add_missing_task(failures, cluster, json_string_value(name));
	}
	text_add_string(&call->raw, "],\"failures\":");
	json_text_value(&call->raw, failures);
	text_add_string(&call->raw, "}");
	json_decref(failures);
}

static void stop_task(struct call *call)
{
	struct ecs_cluster *cluster = call_cluster(call);
	const char *name = NULL, *reason = "Task stopped by user";
	struct ecs_task *task;

	if (cluster == NULL || !member_string(call->in, "task", &name, &call->error) ||
	    !member_string(call->in, "reason", &reason, &call->error))
		return;
	if (name == NULL) {
		aws_error_set(&call->error, INVALID, "Task can not be blank.");
		return;
	}
	task = ecs_task_find(cluster, name);
	if (task == NULL) {
		aws_error_set(&call->error, INVALID, "The referenced task was not found.");
		return;
	}
	ecs_task_stop(task, "UserInitiated", reason);
	text_add_string(&call->raw, "{\"task\":");
	ecs_render_task(&call->raw, task, ECS_TIMES_EPOCH, false);
	text_add_string(&call->raw, "}");
}

/* ---- ListTasks ---- */

struct list_filter {
	const char *started_by, *family, *desired;      /* NULL: any; desired: never NULL */
	uint64_t after;                                 /* serial of the last one given */
	json_int_t max;
};

static bool read_filter(struct call *call, struct list_filter *filter)
{
	const char *token = NULL, *launch_type = NULL, *service = NULL;
	bool desired_said = json_object_get(call->in, "desiredStatus") != NULL;

	*filter = (struct list_filter){ .desired = "RUNNING", .max = LIMIT_LIST };
	if (!member_string(call->in, "startedBy", &filter->started_by, &call->error) ||
	    !member_string(call->in, "family", &filter->family, &call->error) ||
	    !member_string(call->in, "desiredStatus", &filter->desired, &call->error) ||
	    !member_string(call->in, "launchType", &launch_type, &call->error) ||
	    !member_string(call->in, "serviceName", &service, &call->error) ||
	    !member_string(call->in, "nextToken", &token, &call->error) ||
	    !member_integer(call->in, "maxResults", &filter->max, &call->error))
		return false;
	if (filter->started_by != NULL && (filter->family != NULL || desired_said ||
					   launch_type != NULL || service != NULL))
		aws_error_set(&call->error, INVALID,
			      "When you specify startedBy as the filter, it must be the only filter "
			      "that you use.");
	if (strcmp(filter->desired, "RUNNING") != 0 && strcmp(filter->desired, "PENDING") != 0 &&
	    strcmp(filter->desired, "STOPPED") != 0)
		aws_error_set(&call->error, INVALID,
			      "desiredStatus should be one of RUNNING,PENDING,STOPPED");
	if (filter->max < 1 || filter->max > LIMIT_LIST)
		aws_error_set(&call->error, INVALID, "maxResults should be between 1 and 100.");
	if (token != NULL)
		filter->after = strtoull(token, NULL, 10);
	return !aws_error_is_set(&call->error);
}

/* PENDING is accepted and matches nothing, as the service's model says. */
static bool is_listed(const struct ecs_task *task, const struct list_filter *filter)
{
	return ecs_task_is_visible(task) &&
	       strcmp(filter->desired, task->stop_wanted ? "STOPPED" : "RUNNING") == 0 &&
	       (filter->family == NULL || strcmp(filter->family, task->family) == 0) &&
	       (filter->started_by == NULL ||
		(task->started_by != NULL && strcmp(filter->started_by, task->started_by) == 0));
}

static void list_tasks(struct call *call)
{
	struct ecs_cluster *cluster = call_cluster(call);
	struct list_filter filter;
	uint64_t last = 0;
	struct list *node, *next;
	json_t *arns;

	if (cluster == NULL || !read_filter(call, &filter))
		return;
	arns = json_array();
	list_each(node, next, &cluster->task_order) {
		struct ecs_task *task = container_of(node, struct ecs_task, peers);

		if (task->serial <= filter.after || !is_listed(task, &filter))
			continue;
		if ((json_int_t)json_array_size(arns) == filter.max) {
			json_object_set_new(call->out, "nextToken",
					    json_sprintf("%llu", (unsigned long long)last));
			break;
		}
		json_array_append_new(arns, json_string(task->arn));
		last = task->serial;
	}
	json_object_set_new(call->out, "taskArns", arns);
}

/* ---- clusters and task definitions ---- */

static json_t *render_cluster(const struct ecs_cluster *cluster)
{
	int running = 0, pending = 0;
	struct list *node, *next;

	list_each(node, next, &cluster->task_order) {
		enum ecs_task_state state = container_of(node, struct ecs_task, peers)->state;

		running += state == ECS_RUNNING;
		pending += state == ECS_PROVISIONING || state == ECS_PENDING;
	}
	return json_pack("{s:s, s:s, s:s, s:i, s:i, s:i, s:i}", "clusterArn", cluster->arn,
			 "clusterName", cluster->name, "status", "ACTIVE", "runningTasksCount",
			 running, "pendingTasksCount", pending, "activeServicesCount", 0,
			 "registeredContainerInstancesCount", 0);
}

static void create_cluster(struct call *call)
{
	const char *name = "default";
	struct ecs_cluster *cluster;
	struct table_node *node;

	if (!member_string(call->in, "clusterName", &name, &call->error))
		return;
	node = table_find(&call_ecs(call)->clusters_by_name, name);
	cluster = node != NULL ? container_of(node, struct ecs_cluster, by_name)
			       : ecs_cluster_add(call_ecs(call), name);
	json_object_set_new(call->out, "cluster", render_cluster(cluster));
}

static void describe_clusters(struct call *call)
{
	json_t *names = NULL, *name, *clusters, *failures, *otherwise;
	size_t i;

	if (!member_array(call->in, "clusters", &names, &call->error))
		return;
	clusters = json_array();
	failures = json_array();
	otherwise = json_pack("[s]", "default");
	json_array_foreach(json_array_size(names) > 0 ? names : otherwise, i, name) {
		struct aws_error error = { .status = 0 };
		const char *string = json_string_value(name);
		struct ecs_cluster *cluster =
			string == NULL ? NULL : ecs_cluster(call_ecs(call), string, &error);

		if (cluster != NULL)
			json_array_append_new(clusters, render_cluster(cluster));
		else
			add_missing(failures, string == NULL ? "" : string);
	}
	json_decref(otherwise);
	json_object_set_new(call->out, "clusters", clusters);
	json_object_set_new(call->out, "failures", failures);
}

static void register_definition(struct call *call)
{
	ecs_definition_register(call_ecs(call), call->in, call->out, &call->error);
}

static void describe_definition(struct call *call)
{
	const char *name = NULL;
	json_t *definition;

	if (!member_string(call->in, "taskDefinition", &name, &call->error))
		return;
	definition = ecs_definition_describe(call_ecs(call), name == NULL ? "" : name,
					     &call->error);
	if (definition == NULL)
		return;
	json_object_set_new(call->out, "taskDefinition", json_copy(definition));
	json_object_del(json_object_get(call->out, "taskDefinition"), "madeUp");
	json_decref(definition);
}

static const struct action actions[] = {
	{ .name = "RunTask", .run = ecs_run_task },
	{ .name = "DescribeTasks", .run = describe_tasks },
	{ .name = "StopTask", .run = stop_task },
	{ .name = "ListTasks", .run = list_tasks },
	{ .name = "CreateCluster", .run = create_cluster },
	{ .name = "DescribeClusters", .run = describe_clusters },
	{ .name = "RegisterTaskDefinition", .run = register_definition },
	{ .name = "DescribeTaskDefinition", .run = describe_definition },
	{ .name = NULL },
};

const struct service ecs_service = {
	.name = "ecs",
	.target_prefix = "AmazonEC2ContainerServiceV20141113.",
	.json_type = "application/x-amz-json-1.1",
	.throttle_shape = "ThrottlingException",
	.actions = actions,
};
