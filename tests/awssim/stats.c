/* SPDX-License-Identifier: Apache-2.0 */
/* stats.c - counters by name, two levels deep for calls. */
#include "stats.h"

#include "list.h"
#include "table.h"
#include "xalloc.h"

struct counter {
	struct table_node by_name;
	struct list peers;
	char *name;
	unsigned long value;
	struct counters *parts;         /* outcomes of an action; NULL: none */
};

struct counters {
	struct table by_name;
	struct list all;                /* in the order of their first use */
};

struct stats {
	struct counters calls, totals;
};

static void counters_finish(struct counters *counters)
{
	struct list *node, *next;

	list_each(node, next, &counters->all) {
		struct counter *counter = container_of(node, struct counter, peers);

		if (counter->parts != NULL)
			counters_finish(counter->parts);
		free(counter->parts);
		free(counter->name);
		free(counter);
	}
	table_finish(&counters->by_name);
	list_init(&counters->all);
}

static struct counter *counters_get(struct counters *counters, const char *name)
{
	struct table_node *node = table_find(&counters->by_name, name);
	struct counter *counter;

	if (node != NULL)
		return container_of(node, struct counter, by_name);
	counter = xcalloc(1, sizeof(*counter));
	counter->name = xstrdup(name);
	table_insert(&counters->by_name, &counter->by_name, counter->name);
	list_add_tail(&counters->all, &counter->peers);
	return counter;
}

struct stats *stats_create(void)
{
	struct stats *stats = xcalloc(1, sizeof(*stats));

	list_init(&stats->calls.all);
	list_init(&stats->totals.all);
	return stats;
}

void stats_clear(struct stats *stats)
{
	counters_finish(&stats->calls);
	counters_finish(&stats->totals);
}

void stats_destroy(struct stats *stats)
{
	if (stats == NULL)
		return;
	stats_clear(stats);
	free(stats);
}

void stats_count(struct stats *stats, const char *action, const char *outcome)
{
	struct counter *counter = counters_get(&stats->calls, action);

	if (counter->parts == NULL) {
		counter->parts = xcalloc(1, sizeof(*counter->parts));
		list_init(&counter->parts->all);
	}
	counters_get(counter->parts, outcome)->value++;
	counters_get(&stats->totals, "calls")->value++;
}

void stats_add(struct stats *stats, const char *name, unsigned long amount)
{
	counters_get(&stats->totals, name)->value += amount;
}

static json_t *counters_describe(const struct counters *counters)
{
	json_t *object = json_object();

	for (struct list *node = counters->all.next; node != &counters->all; node = node->next) {
		const struct counter *counter = container_of(node, struct counter, peers);

		json_object_set_new(object, counter->name,
				    counter->parts != NULL
					    ? counters_describe(counter->parts)
					    : json_integer((json_int_t)counter->value));
	}
	return object;
}

json_t *stats_describe(const struct stats *stats)
{
	return json_pack("{s:o, s:o}", "calls", counters_describe(&stats->calls), "totals",
			 counters_describe(&stats->totals));
}
