/* SPDX-License-Identifier: Apache-2.0 */
/* ecs.c - clusters and capacity by name. */
#include "ecs.h"

#include "ecs_task.h"
#include "ecs_token.h"
#include "xalloc.h"

const char *ecs_last_part(const char *name, char separator)
{
	const char *last = strrchr(name, separator);

	return last == NULL ? name : last + 1;
}

struct ecs *ecs_create(struct world *world, struct sqs *sqs, struct logs *logs)
{
	struct ecs *ecs = xcalloc(1, sizeof(*ecs));

	ecs->world = world;
	ecs->sqs = sqs;
	ecs->logs = logs;
	ecs->settings = (struct ecs_settings){
		.start_ms = 50,
		.run_ms = 200,
		.stop_ms = 10,
		.stop_timeout_ms = 30 * 1000,
		.stopped_life_s = 3600,
		.failures_bind_token = true,
	};
	list_init(&ecs->clusters);
	list_init(&ecs->capacities);
	list_init(&ecs->definitions);
	return ecs;
}

static void cluster_clear(struct ecs_cluster *cluster)
{
	while (!list_empty(&cluster->task_order))
		ecs_task_destroy(
			container_of(cluster->task_order.next, struct ecs_task, peers));
	ecs_tokens_clear(cluster);
}

void ecs_clear(struct ecs *ecs)
{
	struct list *node, *next;

	list_each(node, next, &ecs->clusters)
		cluster_clear(container_of(node, struct ecs_cluster, peers));
	list_each(node, next, &ecs->capacities)
		free(container_of(node, struct ecs_capacity, peers));
	list_init(&ecs->capacities);
	table_finish(&ecs->capacities_by_name);
	ecs->run_rate = ecs->describe_rate = (struct ecs_rate){ .per_s = 0 };
}

void ecs_destroy(struct ecs *ecs)
{
	struct list *node, *next;

	if (ecs == NULL)
		return;
	ecs_clear(ecs);
	list_each(node, next, &ecs->clusters) {
		struct ecs_cluster *cluster = container_of(node, struct ecs_cluster, peers);

		table_finish(&cluster->tasks);
		table_finish(&cluster->tokens);
		free(cluster->name);
		free(cluster->arn);
		free(cluster);
	}
	table_finish(&ecs->clusters_by_name);
	ecs_definitions_finish(ecs);
	text_finish(&ecs->overrides);
	text_finish(&ecs->scratch);
	free(ecs->events_queue_url);
	free(ecs->settings.exec_dir);
	free(ecs);
}

struct ecs_cluster *ecs_cluster_add(struct ecs *ecs, const char *name)
{
	struct ecs_cluster *cluster = xcalloc(1, sizeof(*cluster));

	cluster->ecs = ecs;
	cluster->name = xstrdup(name);
	if (asprintf(&cluster->arn,
		     "arn:aws:ecs:" WORLD_REGION ":" WORLD_ACCOUNT ":cluster/%s", name) < 0)
		abort();
	list_init(&cluster->task_order);
	list_init(&cluster->token_order);
	list_add_tail(&ecs->clusters, &cluster->peers);
	table_insert(&ecs->clusters_by_name, &cluster->by_name, cluster->name);
	return cluster;
}

struct ecs_cluster *ecs_cluster(struct ecs *ecs, const char *name, struct aws_error *error)
{
	struct table_node *node;

	name = name == NULL ? "default" : ecs_last_part(name, '/');
	node = table_find(&ecs->clusters_by_name, name);
	if (node != NULL)
		return container_of(node, struct ecs_cluster, by_name);
	if (!ecs->world->strict && *name != '\0')
		return ecs_cluster_add(ecs, name);
	aws_error_set(error, "ClusterNotFoundException", "Cluster not found.");
	return NULL;
}

static struct ecs_capacity *capacity_get(struct ecs *ecs, const char *provider, const char *reason)
{
	struct table_node *node = table_find(&ecs->capacities_by_name, provider);
	struct ecs_capacity *capacity;
	size_t bytes = strlen(provider) + 1;

	if (node != NULL)
		return container_of(node, struct ecs_capacity, by_name);
	capacity = xcalloc(1, sizeof(*capacity) + bytes);
	memcpy(capacity->name, provider, bytes);
	capacity->available = -1;
	snprintf(capacity->reason, sizeof(capacity->reason), "%s", reason);
	list_add_tail(&ecs->capacities, &capacity->peers);
	table_insert(&ecs->capacities_by_name, &capacity->by_name, capacity->name);
	return capacity;
}

static const char unavailable[] = "Capacity is unavailable at this time. Please try again later or in a "
				  "different availability zone";

struct ecs_capacity *ecs_capacity(struct ecs *ecs, const char *provider)
{
	return capacity_get(ecs, provider, strncmp(provider, "FARGATE", 7) == 0 ? unavailable
										: "RESOURCE:MEMORY");
}

/* No provider's name begins like that. */
struct ecs_capacity *ecs_subnet_capacity(struct ecs *ecs, const char *subnet)
{
	char name[256];

	snprintf(name, sizeof(name), "/%s", subnet);
	return capacity_get(ecs, name, unavailable);
}
