/* SPDX-License-Identifier: Apache-2.0 */
/* ecs_behaviour.c - reading a task's request and definition once, when it is made. */
#include "ecs_behaviour.h"

#include "logs.h"
#include "xalloc.h"

static const json_t *container_overrides(const json_t *in)
{
	return json_object_get(json_object_get(in, "overrides"), "containerOverrides");
}

typedef void variable_fn(void *arg, const char *name, json_t *value);

static void each_variable(const json_t *containers, variable_fn *fn, void *arg)
{
	json_t *container, *variable;
	size_t i, j;

	json_array_foreach(containers, i, container) {
		json_array_foreach(json_object_get(container, "environment"), j, variable) {
			const char *name = json_string_value(json_object_get(variable, "name"));
			json_t *value = json_object_get(variable, "value");

			if (name != NULL && json_is_string(value))
				fn(arg, name, value);
		}
	}
}

static void add_to_text(void *arg, const char *name, json_t *value)
{
	text_add(arg, name, strlen(name) + 1);
	text_add(arg, json_string_value(value), strlen(json_string_value(value)) + 1);
}

void ecs_override_environment(struct text *out, const json_t *in)
{
	each_variable(container_overrides(in), add_to_text, out);
}

static void add_to_object(void *arg, const char *name, json_t *value)
{
	json_object_set(arg, name, value);
}

/* Few tasks have any of these, and each is kept as long as its task. */
static void add_simulated(void *arg, const char *name, json_t *value)
{
	json_t **object = arg;

	if (strncmp(name, "SIM_", 4) != 0)
		return;
	if (*object == NULL)
		*object = json_object();
	json_object_set(*object, name, value);
}

/* ---- containers ---- */

static void add_container(struct ecs_task *task, const char *name, bool sidecar)
{
	struct ecs_container *container = &task->containers[task->container_count];

	if (task->container_count == ECS_CONTAINERS_MAX)
		return;
	*container = (struct ecs_container){ .exit_code = -1, .sidecar = sidecar };
	container->name = xstrdup(name);
	world_uuid(task->cluster->ecs->world, container->id);
	task->container_count++;
}

/* The judged container is the first that is overridden, as that is the one a launch is about. */
static bool is_overridden(const json_t *in, const char *name)
{
	json_t *override;
	size_t i;

	json_array_foreach(container_overrides(in), i, override) {
		const char *found = json_string_value(json_object_get(override, "name"));

		return found != NULL && strcmp(found, name) == 0;
	}
	return false;
}

void ecs_task_read_containers(struct ecs_task *task, const json_t *definition)
{
	const json_t *overrides = container_overrides(task->in), *containers;
	bool made_up = json_is_true(json_object_get(definition, "madeUp"));
	json_t *container;
	size_t i;

	containers = made_up && json_array_size(overrides) > 0
			     ? overrides
			     : json_object_get(definition, "containerDefinitions");
	json_array_foreach(containers, i, container) {
		const char *name = json_string_value(json_object_get(container, "name"));

		add_container(task, name,
			      json_array_size(overrides) > 0 ? !is_overridden(task->in, name)
							     : i > 0);
	}
	if (json_object_get(task->simulated, "SIM_SIDECAR_EXIT") != NULL)
		add_container(task, "sidecar", true);
}

/* ---- behaviour ---- */

static const char *variable(const json_t *environment, const char *name)
{
	return json_string_value(json_object_get(environment, name));
}

static json_int_t number(const json_t *environment, const char *name, json_int_t otherwise)
{
	const char *value = variable(environment, name);

	return value == NULL ? otherwise : strtoll(value, NULL, 10);
}

static bool flag(const json_t *environment, const char *name)
{
	const char *value = variable(environment, name);

	return value != NULL && strcmp(value, "") != 0 && strcmp(value, "0") != 0;
}

void ecs_task_read_behaviour(struct ecs_task *task, const json_t *definition)
{
	const struct ecs_settings *settings = &task->cluster->ecs->settings;
	const json_t *all;

	each_variable(json_object_get(definition, "containerDefinitions"), add_simulated,
		      &task->simulated);
	each_variable(container_overrides(task->in), add_simulated, &task->simulated);
	all = task->simulated;
	task->behaviour = (struct ecs_behaviour){
		.start_ms = number(all, "SIM_START_MS", settings->start_ms),
		.run_ms = number(all, "SIM_RUN_MS", settings->run_ms),
		.exit_code = (int)number(all, "SIM_EXIT_CODE", 0),
		.sidecar_exit_code = (int)number(all, "SIM_SIDECAR_EXIT", 0),
		.no_exit_code = flag(all, "SIM_NO_EXIT_CODE"),
		.fails_to_start = flag(all, "SIM_FAIL_TO_START"),
		.ignores_term = flag(all, "SIM_IGNORE_TERM"),
		.stop_code = variable(all, "SIM_STOP_CODE"),
		.stop_reason = variable(all, "SIM_STOP_REASON"),
		.container_reason = variable(all, "SIM_CONTAINER_REASON"),
	};
}

/* ---- what it writes ---- */

static bool writes(const json_t *simulated)
{
	const char *name;
	json_t *value;

	json_object_foreach((json_t *)simulated, name, value) {
		if (strncmp(name, "SIM_LOG", 7) == 0)
			return true;
	}
	return false;
}

static const json_t *definition_of(const json_t *definition, const char *name);

void ecs_task_read_log(struct ecs_task *task, const json_t *definition)
{
	const struct ecs_container *judged = ecs_task_judged(task);
	const json_t *container = definition_of(definition, judged->name), *log, *options;
	const char *driver, *group, *prefix;

	if (!writes(task->simulated))
		return;
	if (container == NULL && json_is_true(json_object_get(definition, "madeUp")))
		container = json_array_get(json_object_get(definition, "containerDefinitions"), 0);
	log = json_object_get(container, "logConfiguration");
	options = json_object_get(log, "options");
	driver = json_string_value(json_object_get(log, "logDriver"));
	group = json_string_value(json_object_get(options, "awslogs-group"));
	prefix = json_string_value(json_object_get(options, "awslogs-stream-prefix"));
	if (driver == NULL || strcmp(driver, "awslogs") != 0 || group == NULL || prefix == NULL)
		return;
	task->log_group = xstrdup(group);
	if (asprintf(&task->log_stream, "%s/%s/%s", prefix, judged->name, task->id) < 0)
		abort();
}

static struct log_stream *task_stream(struct ecs_task *task)
{
	return logs_stream(task->cluster->ecs->logs, task->log_group, task->log_stream);
}

void ecs_task_log_start(struct ecs_task *task)
{
	json_int_t late_ms = number(task->simulated, "SIM_LOG_DELAY_MS", 0);
	json_int_t every_ms = number(task->simulated, "SIM_LOG_EVERY_MS", 0);
	json_int_t count = number(task->simulated, "SIM_LOG_LINES", 0);
	const char *lines = variable(task->simulated, "SIM_LOG");
	const char *line = variable(task->simulated, "SIM_LOG_LINE");
	int64_t now_ms = world_now_ms(task->cluster->ecs->world);

	if (task->log_group == NULL)
		return;
	if (lines != NULL)
		log_stream_add_lines(task_stream(task), now_ms, now_ms + late_ms, lines);
	for (json_int_t i = 0; i < count; i++) {
		char *text;
		int bytes = asprintf(&text, "%s %" JSON_INTEGER_FORMAT, line == NULL ? "line" : line, i);

		if (bytes < 0)
			abort();
		log_stream_add(task_stream(task), now_ms + i * every_ms,
			       now_ms + i * every_ms + late_ms, text, (size_t)bytes);
		free(text);
	}
}

void ecs_task_log_end(struct ecs_task *task)
{
	json_int_t late_ms = number(task->simulated, "SIM_LOG_DELAY_MS", 0);
	const char *lines = variable(task->simulated, "SIM_LOG_END");
	int64_t now_ms = world_now_ms(task->cluster->ecs->world);

	if (task->log_group == NULL || task->started_ms == 0)
		return;
	log_stream_cut(task_stream(task), now_ms);
	if (lines != NULL)
		log_stream_add_lines(task_stream(task), now_ms, now_ms + late_ms, lines);
}

/* ---- commands ---- */

static char **strings_of(const json_t *first, const json_t *second)
{
	size_t count = json_array_size(first) + json_array_size(second), used = 0, i;
	char **strings;
	json_t *item;

	if (count == 0)
		return NULL;
	strings = xcalloc(count + 1, sizeof(*strings));
	json_array_foreach(first, i, item) {
		if (json_is_string(item))
			strings[used++] = xstrdup(json_string_value(item));
	}
	json_array_foreach(second, i, item) {
		if (json_is_string(item))
			strings[used++] = xstrdup(json_string_value(item));
	}
	return strings;
}

static const json_t *definition_of(const json_t *definition, const char *name)
{
	json_t *container;
	size_t i;

	json_array_foreach(json_object_get(definition, "containerDefinitions"), i, container) {
		const char *found = json_string_value(json_object_get(container, "name"));

		if (name != NULL && found != NULL && strcmp(found, name) == 0)
			return container;
	}
	return NULL;
}

char **ecs_task_read_command(const struct ecs_task *task, const json_t *definition)
{
	json_t *container;
	size_t i;

	json_array_foreach(container_overrides(task->in), i, container) {
		const char *name = json_string_value(json_object_get(container, "name"));
		const json_t *base = definition_of(definition, name);
		const json_t *command = json_object_get(container, "command");

		if (json_array_size(command) == 0)
			command = json_object_get(base, "command");
		if (json_array_size(command) > 0)
			return strings_of(json_object_get(base, "entryPoint"), command);
	}
	json_array_foreach(json_object_get(definition, "containerDefinitions"), i, container) {
		char **command = strings_of(json_object_get(container, "entryPoint"),
					    json_object_get(container, "command"));

		if (command != NULL)
			return command;
	}
	return NULL;
}

static void add_variable(char **strings, size_t *used, const char *name, const char *value)
{
	if (asprintf(&strings[(*used)++], "%s=%s", name, value) < 0)
		abort();
}

char **ecs_task_environment_strings(const struct ecs_task *task, const json_t *definition)
{
	const char *path = getenv("PATH"), *home = getenv("HOME"), *name;
	json_t *all = json_object(), *value;
	size_t used = 0;
	char **strings;

	json_object_set_new(all, "PATH", json_string(path == NULL ? "/usr/bin:/bin" : path));
	json_object_set_new(all, "HOME", json_string(home == NULL ? "/" : home));
	json_object_set_new(all, "ECS_TASK_ARN", json_string(task->arn));
	each_variable(json_object_get(definition, "containerDefinitions"), add_to_object, all);
	each_variable(container_overrides(task->in), add_to_object, all);
	strings = xcalloc(json_object_size(all) + 1, sizeof(*strings));
	json_object_foreach(all, name, value)
		add_variable(strings, &used, name, json_string_value(value));
	json_decref(all);
	return strings;
}

void ecs_strings_free(char **strings)
{
	for (size_t i = 0; strings != NULL && strings[i] != NULL; i++)
		free(strings[i]);
	free(strings);
}
