/* SPDX-License-Identifier: Apache-2.0 */
/* ecs_definition.c - task definitions, kept as their description. */
#include "ecs.h"

#include "member.h"
#include "xalloc.h"

#include <ctype.h>

static struct ecs_definition *definition_find(struct ecs *ecs, const char *name)
{
	struct table_node *node = table_find(&ecs->definitions_by_name, name);

	return node == NULL ? NULL : container_of(node, struct ecs_definition, by_name);
}

/* The highest revision of a family; 0: there is none. */
static json_int_t latest_revision(struct ecs *ecs, const char *family)
{
	json_int_t latest = 0;
	struct list *node, *next;

	list_each(node, next, &ecs->definitions) {
		const json_t *description =
			container_of(node, struct ecs_definition, peers)->description;
		json_int_t revision =
			json_integer_value(json_object_get(description, "revision"));

		if (!json_is_true(json_object_get(description, "madeUp")) && revision > latest &&
		    strcmp(json_string_value(json_object_get(description, "family")), family) == 0)
			latest = revision;
	}
	return latest;
}

static bool check_containers(const json_t *containers, struct aws_error *error)
{
	json_t *container;
	size_t i;

	json_array_foreach(containers, i, container) {
		const char *name = json_string_value(json_object_get(container, "name"));

		if (name == NULL || *name == '\0') {
			aws_error_set(error, "ClientException",
				      "Container.name should not be null or empty.");
			return false;
		}
	}
	if (json_array_size(containers) == 0)
		aws_error_set(error, "ClientException",
			      "TaskDefinition is missing container definitions.");
	return json_array_size(containers) > 0;
}

static bool family_is_allowed(const char *family)
{
	for (const char *at = family; *at != '\0'; at++) {
		if (!isalnum((unsigned char)*at) && *at != '-' && *at != '_')
			return false;
	}
	return *family != '\0';
}

static json_t *describe(json_t *in, const char *family, json_int_t revision)
{
	json_t *out = json_copy(in);

	json_object_del(out, "tags");
	json_object_set_new(out, "taskDefinitionArn",
			    json_sprintf("arn:aws:ecs:" WORLD_REGION ":" WORLD_ACCOUNT
					 ":task-definition/%s:%" JSON_INTEGER_FORMAT, family,
					 revision));
	json_object_set_new(out, "revision", json_integer(revision));
	json_object_set_new(out, "status", json_string("ACTIVE"));
	return out;
}

static struct ecs_definition *definition_add(struct ecs *ecs, const char *name,
					     json_t *description)
{
	struct ecs_definition *definition = xcalloc(1, sizeof(*definition) + strlen(name) + 1);

	memcpy(definition->name, name, strlen(name) + 1);
	definition->description = description;
	list_add_tail(&ecs->definitions, &definition->peers);
	table_insert(&ecs->definitions_by_name, &definition->by_name, definition->name);
	return definition;
}

void ecs_definition_register(struct ecs *ecs, json_t *in, json_t *out, struct aws_error *error)
{
	const char *family = NULL;
	json_t *containers = NULL;
	json_int_t revision;
	char name[300];

	if (!member_string(in, "family", &family, error) ||
	    !member_array(in, "containerDefinitions", &containers, error) ||
	    !check_containers(containers, error))
		return;
	if (family == NULL || !family_is_allowed(family) || strlen(family) > 255) {
		aws_error_set(error, "ClientException", "Family contains invalid characters.");
		return;
	}
	revision = latest_revision(ecs, family) + 1;
	snprintf(name, sizeof(name), "%s:%" JSON_INTEGER_FORMAT, family, revision);
	json_object_set(out, "taskDefinition",
			definition_add(ecs, name, describe(in, family, revision))->description);
}

/* Made once, under a name that no registered definition has, as each launch asks for it. */
static struct ecs_definition *made_up(struct ecs *ecs, const char *name)
{
	const char *colon = strrchr(name, ':');
	json_int_t revision = colon == NULL ? 1 : strtol(colon + 1, NULL, 10);
	char family[256], group[262], key[258];
	struct ecs_definition *definition;
	json_t *in;

	snprintf(key, sizeof(key), "?%s", name);
	definition = definition_find(ecs, key);
	if (definition != NULL)
		return definition;
	snprintf(family, sizeof(family), "%.*s",
		 (int)(colon == NULL ? strlen(name) : (size_t)(colon - name)), name);
	snprintf(group, sizeof(group), "/ecs/%s", family);
	in = json_pack("{s:s, s:s, s:b, s:[{s:s, s:s, s:b, s:{s:s, s:{s:s, s:s, s:s}}}]}", "family", family, "networkMode",
		       "awsvpc", "madeUp", true, "containerDefinitions", "name", "app", "image",
		       "simulated", "essential", true, "logConfiguration", "logDriver", "awslogs",
		       "options", "awslogs-group", group, "awslogs-region", WORLD_REGION,
		       "awslogs-stream-prefix", "ecs");
	if (in == NULL)
		return NULL;
	definition = definition_add(ecs, key, describe(in, family, revision));
	json_decref(in);
	return definition;
}

json_t *ecs_definition_describe(struct ecs *ecs, const char *name, struct aws_error *error)
{
	struct ecs_definition *definition;
	char full[300];

	name = ecs_last_part(name, '/');
	snprintf(full, sizeof(full), "%s", name);
	if (strchr(name, ':') == NULL)
		snprintf(full, sizeof(full), "%s:%" JSON_INTEGER_FORMAT, name,
			 latest_revision(ecs, name));
	definition = definition_find(ecs, full);
	if (definition == NULL && !ecs->world->strict && *name != '\0' && strlen(name) < 256)
		definition = made_up(ecs, name);
	if (definition != NULL)
		return json_incref(definition->description);
	aws_error_set(error, "ClientException", "Unable to describe task definition.");
	return NULL;
}

void ecs_definitions_finish(struct ecs *ecs)
{
	struct list *node, *next;

	list_each(node, next, &ecs->definitions) {
		struct ecs_definition *definition =
			container_of(node, struct ecs_definition, peers);

		json_decref(definition->description);
		free(definition);
	}
	table_finish(&ecs->definitions_by_name);
}
