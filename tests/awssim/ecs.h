/* SPDX-License-Identifier: Apache-2.0 */
/* ecs.h - clusters, task definitions, capacity, and how tasks behave when they don't say. */
#ifndef AWSSIM_ECS_H
#define AWSSIM_ECS_H

#include "aws_error.h"
#include "list.h"
#include "table.h"
#include "text.h"
#include "world.h"

struct logs;
struct sqs;

struct ecs_settings {
	json_int_t start_ms;            /* from RunTask to RUNNING */
	json_int_t run_ms;              /* RUNNING, by the clock */
	json_int_t stop_ms;             /* DEACTIVATING */
	json_int_t stop_timeout_ms;     /* from SIGTERM to SIGKILL */
	json_int_t consistency_ms;      /* a new task is not described before */
	json_int_t stopped_life_s;      /* a stopped task is described for so long */
	bool failures_bind_token;       /* a RunTask that started nothing is remembered as well */
	bool first_subnet;              /* the first of several subnets is chosen, not any */
	bool exec;                      /* commands are run as local processes */
	char *exec_dir;                 /* where; NULL: the simulator's own directory */
};

struct ecs_cluster {
	struct table_node by_name;
	struct list peers;
	struct ecs *ecs;
	char *name, *arn;
	struct table tasks;             /* by id */
	struct list task_order;         /* oldest first */
	struct table tokens;
	struct list token_order;        /* oldest first */
};

/* How many calls ECS takes: a bucket of tokens. */
struct ecs_rate {
	double per_s, burst;            /* per_s 0: any number */
	double tokens;
	int64_t at_ms;                  /* when tokens was right */
};

/* Room for tasks of one capacity provider, launch type or subnet. */
struct ecs_capacity {
	struct table_node by_name;
	struct list peers;
	json_int_t available;           /* tasks it has room for; -1: no end */
	char reason[256];               /* of the failure when it has none */
	char name[];
};

struct ecs_definition {
	struct table_node by_name;      /* family:revision */
	struct list peers;
	json_t *description;            /* as DescribeTaskDefinition gives it */
	char name[];
};

struct ecs {
	struct world *world;
	struct sqs *sqs;                /* where events go */
	struct logs *logs;              /* where what tasks write goes */
	struct ecs_settings settings;
	struct ecs_rate run_rate, describe_rate;
	struct table clusters_by_name, capacities_by_name, definitions_by_name;
	struct list clusters, capacities, definitions;
	char *events_queue_url;         /* NULL: no events */
	uint64_t serial;                /* of the last task */
	struct text overrides, scratch; /* room for texts of one launch, kept for the next */
};

struct ecs *ecs_create(struct world *, struct sqs *, struct logs *);
void ecs_destroy(struct ecs *);
void ecs_clear(struct ecs *);           /* tasks, tokens and capacity limits; processes are killed */

/* name: a name, an ARN, or NULL for "default".  Unknown ones are made, unless the world is strict. */
struct ecs_cluster *ecs_cluster(struct ecs *, const char *name, struct aws_error *);
struct ecs_cluster *ecs_cluster_add(struct ecs *, const char *name);
struct ecs_capacity *ecs_capacity(struct ecs *, const char *provider);
struct ecs_capacity *ecs_subnet_capacity(struct ecs *, const char *subnet);

/* Task definitions: ecs_definition.c */
void ecs_definition_register(struct ecs *, json_t *in, json_t *out, struct aws_error *);
/* family, family:revision or ARN; unknown ones are made up (one container, "app", no command),
 * unless the world is strict.  NULL with an error; otherwise a new reference. */
json_t *ecs_definition_describe(struct ecs *, const char *name, struct aws_error *);
void ecs_definitions_finish(struct ecs *);

/* What follows the last `separator`, or all of it. */
const char *ecs_last_part(const char *name, char separator);

#endif
