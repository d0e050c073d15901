/* SPDX-License-Identifier: Apache-2.0 */
/* ecs_token.h - client tokens of RunTask: the same token is the same launch.
 * A token lives for the lesser of 24 hours and its tasks' lifetime plus one hour, where the
 * lifetime ends when the last of them has stopped. */
#ifndef AWSSIM_ECS_TOKEN_H
#define AWSSIM_ECS_TOKEN_H

#include "ecs.h"

enum { ECS_RUN_MAX = 10 };

struct ecs_token {
	struct table_node by_name;
	struct list peers;
	struct ecs_cluster *cluster;
	uint64_t parameters;            /* hash of all members but the token */
	char *arns[ECS_RUN_MAX];
	uint32_t ledger[ECS_RUN_MAX];
	unsigned tasks, running;
	json_t *failures;
	int64_t created_ms, last_stopped_ms;
	char name[];
};

/* NULL when it is new or its life is over. */
struct ecs_token *ecs_token_find(struct ecs_cluster *, const char *name);
struct ecs_token *ecs_token_add(struct ecs_cluster *, const char *name, uint64_t parameters);
void ecs_token_add_task(struct ecs_token *, const char *arn, uint32_t ledger);
void ecs_token_task_stopped(struct ecs_token *, int64_t at_ms);
void ecs_token_forget(struct ecs_token *);
void ecs_tokens_clear(struct ecs_cluster *);

#endif
