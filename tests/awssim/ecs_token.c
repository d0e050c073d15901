/* SPDX-License-Identifier: Apache-2.0 */
/* ecs_token.c - tokens by name, forgotten when asked for too late. */
#include "ecs_token.h"

#include "ecs_task.h"
#include "xalloc.h"

enum {
	TOKEN_LIFE_MS = 24 * 3600 * 1000,
	TOKEN_AFTER_STOP_MS = 3600 * 1000,
};

void ecs_token_forget(struct ecs_token *token)
{
	ecs_task_forget_token(token->cluster, token);
	table_remove(&token->cluster->tokens, &token->by_name);
	list_remove(&token->peers);
	for (unsigned i = 0; i < token->tasks; i++)
		free(token->arns[i]);
	json_decref(token->failures);
	free(token);
}

static bool token_is_over(const struct ecs_token *token, int64_t now_ms)
{
	if (now_ms >= token->created_ms + TOKEN_LIFE_MS)
		return true;
	return token->running == 0 && now_ms >= token->last_stopped_ms + TOKEN_AFTER_STOP_MS;
}

struct ecs_token *ecs_token_find(struct ecs_cluster *cluster, const char *name)
{
	struct table_node *node = table_find(&cluster->tokens, name);
	struct ecs_token *token;

	if (node == NULL)
		return NULL;
	token = container_of(node, struct ecs_token, by_name);
	if (!token_is_over(token, world_now_ms(cluster->ecs->world)))
		return token;
	ecs_token_forget(token);
	return NULL;
}

struct ecs_token *ecs_token_add(struct ecs_cluster *cluster, const char *name,
				uint64_t parameters)
{
	struct ecs_token *token = xcalloc(1, sizeof(*token) + strlen(name) + 1);

	memcpy(token->name, name, strlen(name) + 1);
	token->parameters = parameters;
	token->cluster = cluster;
	token->created_ms = token->last_stopped_ms = world_now_ms(cluster->ecs->world);
	list_add_tail(&cluster->token_order, &token->peers);
	table_insert(&cluster->tokens, &token->by_name, token->name);
	return token;
}

void ecs_token_add_task(struct ecs_token *token, const char *arn, uint32_t ledger)
{
	token->ledger[token->tasks] = ledger;
	token->arns[token->tasks++] = xstrdup(arn);
	token->running++;
}

void ecs_token_task_stopped(struct ecs_token *token, int64_t at_ms)
{
	token->running--;
	token->last_stopped_ms = at_ms;
}

void ecs_tokens_clear(struct ecs_cluster *cluster)
{
	while (!list_empty(&cluster->token_order))
		ecs_token_forget(container_of(cluster->token_order.next, struct ecs_token, peers));
}
