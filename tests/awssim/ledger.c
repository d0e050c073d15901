/* SPDX-License-Identifier: Apache-2.0 */
/* ledger.c - two growing arrays and one of events that hang off the messages by index.
 * Indexes instead of pointers, names kept once: 200,000 messages with four events each are 30 MB. */
#include "ledger.h"

#include "list.h"
#include "table.h"
#include "xalloc.h"

#include <time.h>

enum { ID_ROOM = 37 };

struct event {
	int64_t at_ms : 56;
	int64_t kind : 8;
	uint32_t next;
};

struct message {
	char id[ID_ROOM];
	const char *queue, *group;      /* kept once in names; group NULL: none */
	int64_t sent_ms, entered_us;
	uint32_t first, last;           /* events */
	uint32_t extensions;
	uint16_t counts[LEDGER_EVENTS];
};

struct task {
	char *arn, *client_token, *started_by;
	const char *cluster, *task_definition, *stop_code;
	char *environment;              /* NAME NUL VALUE NUL ...; NULL: none */
	size_t environment_bytes;
	int64_t created_ms, started_ms, stopped_ms;     /* 0: not yet */
	int64_t entered_us;
	uint32_t asked;                 /* RunTask calls that were answered with it */
	int exit_code;
};

struct name {
	struct table_node by_name;
	struct list peers;
	char string[];
};

struct ledger {
	bool enabled;
	struct message *messages;
	struct event *events;
	struct task *tasks;
	uint32_t message_count, message_room;
	uint32_t event_count, event_room;
	uint32_t task_count, task_room;
	struct table names;
	struct list all_names;
};

struct ledger *ledger_create(bool enabled)
{
	struct ledger *ledger = xcalloc(1, sizeof(*ledger));

	ledger->enabled = enabled;
	list_init(&ledger->all_names);
	return ledger;
}

void ledger_clear(struct ledger *ledger)
{
	for (uint32_t i = 0; i < ledger->task_count; i++) {
		struct task *task = &ledger->tasks[i];

		free(task->arn);
		free(task->client_token);
		free(task->started_by);
		free(task->environment);
	}
	ledger->message_count = ledger->event_count = ledger->task_count = 0;
}

void ledger_destroy(struct ledger *ledger)
{
	struct list *node, *next;

	if (ledger == NULL)
		return;
	ledger_clear(ledger);
	list_each(node, next, &ledger->all_names)
		free(container_of(node, struct name, peers));
	table_finish(&ledger->names);
	free(ledger->messages);
	free(ledger->events);
	free(ledger->tasks);
	free(ledger);
}

static const char *ledger_name(struct ledger *ledger, const char *string)
{
	struct table_node *node;
	struct name *name;

	if (string == NULL)
		return NULL;
	node = table_find(&ledger->names, string);
	if (node != NULL)
		return node->name;
	name = xcalloc(1, sizeof(*name) + strlen(string) + 1);
	memcpy(name->string, string, strlen(string) + 1);
	table_insert(&ledger->names, &name->by_name, name->string);
	list_add_tail(&ledger->all_names, &name->peers);
	return name->string;
}

/* The machine's clock, finer than the simulator's own and never moved: how long something took. */
static int64_t real_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* Makes room for one more element and gives its index. */
static uint32_t array_add(void *array_pointer, size_t element_bytes, uint32_t *count,
			  uint32_t *room)
{
	void **array = array_pointer;

	if (*count == *room) {
		*room = *room == 0 ? 1024 : *room * 2;
		*array = xrealloc(*array, *room * element_bytes);
	}
	return (*count)++;
}

uint32_t ledger_message(struct ledger *ledger, const char *queue, const char *id,
			const char *group, int64_t sent_ms)
{
	struct message *message;
	uint32_t index;

	if (!ledger->enabled)
		return LEDGER_NONE;
	index = array_add(&ledger->messages, sizeof(*message), &ledger->message_count,
			  &ledger->message_room);
	message = &ledger->messages[index];
	*message = (struct message){
		.sent_ms = sent_ms, .entered_us = real_us(), .first = LEDGER_NONE, .last = LEDGER_NONE,
	};
	memcpy(message->id, id, strnlen(id, sizeof(message->id) - 1));
	message->queue = ledger_name(ledger, queue);
	message->group = ledger_name(ledger, group);
	return index;
}

void ledger_message_event(struct ledger *ledger, uint32_t index, enum ledger_event kind,
			  int64_t at_ms)
{
	struct message *message;
	uint32_t added;

	if (index >= ledger->message_count)
		return;
	added = array_add(&ledger->events, sizeof(struct event), &ledger->event_count,
			  &ledger->event_room);
	ledger->events[added] = (struct event){ .at_ms = at_ms, .kind = kind, .next = LEDGER_NONE };
	message = &ledger->messages[index];
	if (message->last == LEDGER_NONE)
		message->first = added;
	else
		ledger->events[message->last].next = added;
	message->last = added;
	if (message->counts[kind] < UINT16_MAX)
		message->counts[kind]++;
}

void ledger_message_extended(struct ledger *ledger, uint32_t index)
{
	if (index < ledger->message_count)
		ledger->messages[index].extensions++;
}

uint32_t ledger_task(struct ledger *ledger, const struct ledger_task *given)
{
	struct task *task;
	uint32_t index;

	if (!ledger->enabled)
		return LEDGER_NONE;
	index = array_add(&ledger->tasks, sizeof(*task), &ledger->task_count,
			  &ledger->task_room);
	task = &ledger->tasks[index];
	*task = (struct task){
		.arn = xstrdup(given->arn),
		.client_token = xstrdup_null(given->client_token),
		.started_by = xstrdup_null(given->started_by),
		.cluster = ledger_name(ledger, given->cluster),
		.task_definition = ledger_name(ledger, given->task_definition),
		.environment = given->environment_bytes == 0
				       ? NULL
				       : xmemdup(given->environment, given->environment_bytes),
		.environment_bytes = given->environment_bytes,
		.created_ms = given->created_ms,
		.entered_us = real_us(),
		.asked = 1,
		.exit_code = -1,
	};
	return index;
}

void ledger_task_asked_again(struct ledger *ledger, uint32_t index)
{
	if (index < ledger->task_count)
		ledger->tasks[index].asked++;
}

void ledger_task_started(struct ledger *ledger, uint32_t index, int64_t at_ms)
{
	if (index < ledger->task_count)
		ledger->tasks[index].started_ms = at_ms;
}

void ledger_task_stopped(struct ledger *ledger, uint32_t index, int64_t at_ms, int exit_code,
			 const char *stop_code)
{
	if (index >= ledger->task_count)
		return;
	ledger->tasks[index].stopped_ms = at_ms;
	ledger->tasks[index].exit_code = exit_code;
	ledger->tasks[index].stop_code = ledger_name(ledger, stop_code);
}

static json_t *event_times(const struct ledger *ledger, const struct message *message,
			   enum ledger_event kind)
{
	json_t *times = json_array();

	for (uint32_t i = message->first; i != LEDGER_NONE; i = ledger->events[i].next) {
		if (ledger->events[i].kind == (int64_t)kind)
			json_array_append_new(times, json_integer(ledger->events[i].at_ms));
	}
	return times;
}

static json_t *message_describe(const struct ledger *ledger, const struct message *message)
{
	return json_pack("{s:s, s:s, s:s?, s:I, s:I, s:o, s:o, s:o, s:o, s:i, s:i, s:i}", "id",
			 message->id, "queue", message->queue, "group", message->group, "sent_ms",
			 (json_int_t)message->sent_ms, "entered_us", (json_int_t)message->entered_us, "receives",
			 event_times(ledger, message, LEDGER_RECEIVED), "deletes",
			 event_times(ledger, message, LEDGER_DELETED), "stale_deletes",
			 event_times(ledger, message, LEDGER_STALE_DELETE), "returns",
			 event_times(ledger, message, LEDGER_RETURNED), "dead_lettered",
			 message->counts[LEDGER_DEAD_LETTERED], "purged",
			 message->counts[LEDGER_PURGED], "extensions", (int)message->extensions);
}

static bool text_matches(const char *want, const char *found)
{
	return want == NULL || (found != NULL && strcmp(want, found) == 0);
}

static json_t *page(const char *name, json_t *items, uint32_t next, bool more)
{
	return json_pack("{s:o, s:o}", name, items, "next",
			 more ? json_integer(next) : json_null());
}

json_t *ledger_describe_messages(const struct ledger *ledger, const struct ledger_filter *filter)
{
	json_t *items = json_array();
	uint32_t i = filter->after;

	for (; i < ledger->message_count; i++) {
		const struct message *message = &ledger->messages[i];

		if (!text_matches(filter->queue, message->queue) ||
		    !text_matches(filter->group, message->group) ||
		    !text_matches(filter->id, message->id))
			continue;
		if (filter->limit > 0 && json_array_size(items) == filter->limit)
			break;
		json_array_append_new(items, message_describe(ledger, message));
	}
	return page("messages", items, i, i < ledger->message_count);
}

static json_t *time_or_null(int64_t at_ms)
{
	return at_ms == 0 ? json_null() : json_integer(at_ms);
}

/* The variable at *at, and what comes after it into *at; false: no more. */
static bool next_variable(const struct task *task, const char **at, const char **name,
			  const char **value)
{
	if (*at == task->environment + task->environment_bytes)
		return false;
	*name = *at;
	*value = *name + strlen(*name) + 1;
	*at = *value + strlen(*value) + 1;
	return true;
}

static json_t *environment_describe(const struct task *task)
{
	const char *at = task->environment, *name, *value;
	json_t *out = json_object();

	while (next_variable(task, &at, &name, &value))
		json_object_set_new(out, name, json_string(value));
	return out;
}

static json_t *task_describe(const struct task *task)
{
	return json_pack("{s:s, s:s?, s:s?, s:s, s:s, s:o, s:I, s:I, s:o, s:o, s:o, s:s?, s:i}", "arn",
			 task->arn, "clientToken", task->client_token, "startedBy",
			 task->started_by, "cluster", task->cluster, "taskDefinition",
			 task->task_definition, "environment", environment_describe(task), "created_ms",
			 (json_int_t)task->created_ms, "entered_us", (json_int_t)task->entered_us,
			 "started_ms", time_or_null(task->started_ms),
			 "stopped_ms", time_or_null(task->stopped_ms), "exit_code",
			 task->exit_code < 0 ? json_null() : json_integer(task->exit_code),
			 "stop_code", task->stop_code, "asked", (int)task->asked);
}

static const char *task_env(const struct task *task, const char *name)
{
	const char *at = task->environment, *found, *value, *last = NULL;

	while (next_variable(task, &at, &found, &value)) {
		if (strcmp(found, name) == 0)
			last = value;
	}
	return last;
}

json_t *ledger_describe_tasks(const struct ledger *ledger, const struct ledger_filter *filter)
{
	json_t *items = json_array();
	uint32_t i = filter->after;

	for (; i < ledger->task_count; i++) {
		const struct task *task = &ledger->tasks[i];

		if (!text_matches(filter->started_by, task->started_by) ||
		    !text_matches(filter->client_token, task->client_token) ||
		    !text_matches(filter->arn, task->arn))
			continue;
		if (filter->env_name != NULL &&
		    !text_matches(filter->env_value == NULL ? "" : filter->env_value,
				  task_env(task, filter->env_name)))
			continue;
		if (filter->limit > 0 && json_array_size(items) == filter->limit)
			break;
		json_array_append_new(items, task_describe(task));
	}
	return page("tasks", items, i, i < ledger->task_count);
}

static json_t *messages_summary(const struct ledger *ledger)
{
	int received = 0, again = 0, deleted = 0, undeleted = 0, stale = 0, dead = 0;

	for (uint32_t i = 0; i < ledger->message_count; i++) {
		const uint16_t *counts = ledger->messages[i].counts;

		received += counts[LEDGER_RECEIVED] > 0;
		again += counts[LEDGER_RECEIVED] > 1;
		deleted += counts[LEDGER_DELETED] > 0;
		undeleted += counts[LEDGER_DELETED] == 0 && counts[LEDGER_PURGED] == 0;
		stale += counts[LEDGER_STALE_DELETE] > 0;
		dead += counts[LEDGER_DEAD_LETTERED] > 0;
	}
	return json_pack("{s:i, s:i, s:i, s:i, s:i, s:i, s:i}", "sent", (int)ledger->message_count,
			 "received", received, "received_again", again, "deleted", deleted,
			 "undeleted", undeleted, "stale_deletes", stale, "dead_lettered", dead);
}

static void count_in(json_t *object, const char *key)
{
	json_int_t count = json_integer_value(json_object_get(object, key));

	json_object_set_new(object, key, json_integer(count + 1));
}

static json_t *tasks_summary(const struct ledger *ledger)
{
	int started = 0, stopped = 0, asked_again = 0;
	json_t *exit_codes = json_object();

	for (uint32_t i = 0; i < ledger->task_count; i++) {
		const struct task *task = &ledger->tasks[i];
		char code[16] = "none";

		started += task->started_ms != 0;
		stopped += task->stopped_ms != 0;
		asked_again += task->asked > 1;
		if (task->exit_code >= 0)
			snprintf(code, sizeof(code), "%d", task->exit_code);
		if (task->stopped_ms != 0)
			count_in(exit_codes, code);
	}
	return json_pack("{s:i, s:i, s:i, s:i, s:o}", "created", (int)ledger->task_count, "started",
			 started, "stopped", stopped, "asked_again", asked_again, "exit_codes",
			 exit_codes);
}

static json_t *doubles_summary(const struct ledger *ledger, const char *env_name)
{
	json_t *counts = json_object(), *doubled = json_array(), *count;
	const char *value;
	int without = 0;
	size_t distinct;

	for (uint32_t i = 0; i < ledger->task_count; i++) {
		value = task_env(&ledger->tasks[i], env_name);
		if (value == NULL)
			without++;
		else
			count_in(counts, value);
	}
	json_object_foreach(counts, value, count) {
		if (json_integer_value(count) > 1)
			json_array_append_new(doubled, json_pack("{s:s, s:O}", "value", value,
								 "count", count));
	}
	distinct = json_object_size(counts);
	json_decref(counts);
	return json_pack("{s:s, s:i, s:i, s:o}", "name", env_name, "distinct", (int)distinct,
			 "without", without, "doubled", doubled);
}

json_t *ledger_summary(const struct ledger *ledger, const char *env_name)
{
	json_t *summary = json_pack("{s:b, s:o, s:o}", "enabled", ledger->enabled, "messages",
				    messages_summary(ledger), "tasks", tasks_summary(ledger));

	if (env_name != NULL)
		json_object_set_new(summary, "environment", doubles_summary(ledger, env_name));
	return summary;
}
