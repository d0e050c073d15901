/* SPDX-License-Identifier: Apache-2.0 */
/* ecs_task.h - a task from RunTask until it is forgotten.
 * By the clock: it starts, runs and stops after the times in the settings, or as its environment
 * says (SIM_RUN_MS and so on).  As a process: it runs as long as its command does. */
#ifndef AWSSIM_ECS_TASK_H
#define AWSSIM_ECS_TASK_H

#include "ecs.h"
#include "text.h"

struct ecs_run_request;

enum {
	ECS_CONTAINERS_MAX = 16,
	ECS_ID_ROOM = 33,
};

enum ecs_task_state {
	ECS_PROVISIONING,
	ECS_PENDING,
	ECS_RUNNING,
	ECS_DEACTIVATING,       /* containers have ended; the rest is being taken down */
	ECS_STOPPED,            /* kept to be described, then forgotten */
	ECS_TASK_STATES
};

struct ecs_container {
	char *name;
	char id[UUID_ROOM];
	int exit_code;          /* -1: none */
	char *reason;           /* NULL: none */
	bool sidecar;           /* not the one that the task is run for */
};

/* How a task by the clock behaves; from its environment. */
struct ecs_behaviour {
	json_int_t start_ms, run_ms;
	int exit_code;
	int sidecar_exit_code;
	bool no_exit_code;      /* SIM_NO_EXIT_CODE */
	bool fails_to_start;    /* SIM_FAIL_TO_START */
	bool ignores_term;      /* SIM_IGNORE_TERM */
	const char *stop_code, *stop_reason, *container_reason; /* NULL: the usual; they live
							 * in simulated */
};

struct ecs_task {
	struct table_node by_id;
	struct list peers;              /* cluster->task_order */
	struct ecs_cluster *cluster;
	struct ecs_token *token;        /* NULL: started without one, or it is over */
	struct ecs_capacity *room, *subnet_room;        /* get it back; NULL: did */
	struct ecs_process *process;    /* NULL: by the clock, or ended */
	struct alarm alarm;             /* the next step by the clock */
	enum ecs_task_state state;
	bool stop_wanted;               /* desiredStatus STOPPED */
	uint64_t serial;
	unsigned version;
	char id[ECS_ID_ROOM];
	char *arn;
	char *family, *definition_arn;
	const json_t *in;               /* the RunTask request, lent while the task is made; then NULL */
	struct text given;              /* what never changes of its description, as JSON members */
	struct text tags;               /* the same, shown on demand; empty: none */
	char *started_by, *subnet;      /* NULL: none */
	struct ecs_container containers[ECS_CONTAINERS_MAX];
	unsigned container_count;
	struct ecs_behaviour behaviour;
	json_t *simulated;              /* the variables called SIM_*; NULL: none */
	char *log_group, *log_stream;   /* where it writes to; NULL: it writes nothing */
	char **command, **command_environment;  /* NULL: by the clock */
	char *stop_code, *stopped_reason;       /* NULL: not stopping */
	int64_t created_ms, pull_started_ms, pull_stopped_ms, started_ms, stopping_ms;
	int64_t execution_stopped_ms, stopped_ms;       /* 0: not yet */
	uint32_t ledger;
};

extern const char *const ecs_task_state_names[ECS_TASK_STATES];

/* Where a task is placed: all lent but the room, which it gives back. */
struct ecs_place {
	const char *capacity_provider;  /* NULL: by launch type */
	const char *subnet;             /* NULL: none */
	struct ecs_capacity *room, *subnet_room;        /* NULL: nothing was taken */
};

/* in: the RunTask request, which was read into request; definition: of its task definition; all are lent. */
struct ecs_task *ecs_task_create(struct ecs_cluster *, const json_t *in,
				 const struct ecs_run_request *request, json_t *definition,
				 const struct ecs_place *place);
void ecs_task_destroy(struct ecs_task *);       /* kills its process */
void ecs_task_stop(struct ecs_task *, const char *stop_code, const char *reason);
/* One by the clock comes to its own end now, or as soon as it runs. */
void ecs_task_finish(struct ecs_task *);
/* id or ARN; NULL: unknown, forgotten, or too new to be seen. */
struct ecs_task *ecs_task_find(struct ecs_cluster *, const char *name);
/* The container that the task is run for. */
struct ecs_container *ecs_task_judged(struct ecs_task *);
bool ecs_task_is_visible(const struct ecs_task *);
void ecs_task_forget_token(struct ecs_cluster *, const struct ecs_token *);

#endif
