/* SPDX-License-Identifier: Apache-2.0 */
/* conf_rules.c - see conf_rules.h. */
#include "check/conf_rules.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/quantity.h"
#include "check/found.h"
#include "check/nearest.h"
#include "conf/conf_schema.h"

enum {
	LIMIT_SQS_NAME_BYTES = 80,
	LIMIT_TAG_KEY_BYTES = 128,      /* AWS counts characters, of which a byte is at least a part */
	ACCOUNT_DIGITS = 12,
};

struct rules {
	const struct conf *conf;
	const struct yaml_node *root;
	struct complaints *complaints;
	char section[LIMIT_CONF_KEY_BYTES / 4]; /* "queues.NAME." of the one at hand */
};

/* -- saying it -------------------------------------------------------------------------------- */

static void key_path(const struct rules *rules, const char *key, char path[LIMIT_CONF_KEY_BYTES])
{
	snprintf(path, LIMIT_CONF_KEY_BYTES, "%s%s", rules->section, key);
}

/* fmt gives all that follows the path. */
static void refuse(const struct rules *rules, const char *key, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
static void refuse(const struct rules *rules, const char *key, const char *fmt, ...)
{
	char path[LIMIT_CONF_KEY_BYTES];
	va_list args;
	char *text;

	key_path(rules, key, path);
	if (complaints_about(rules->complaints, path))
		return;
	va_start(args, fmt);
	text = xvasprintf(fmt, args);
	va_end(args);
	complain(rules->complaints, yaml_place(rules->root, path), path, "%s", text);
	free(text);
}

/* The same with what the file has there as what was found. */
static void refuse_value(const struct rules *rules, const char *key, bool secret, const char *expected)
{
	char path[LIMIT_CONF_KEY_BYTES];
	const struct yaml_entry *entry;
	char *what;

	key_path(rules, key, path);
	entry = yaml_find_path(rules->root, path);
	what = found(entry != NULL ? entry->node : NULL, secret);
	refuse(rules, key, "expected %s, found %s", expected, what);
	free(what);
}

/* What was complained about is not missing. */
static bool is_faulty(const struct rules *rules, const char *key)
{
	char path[LIMIT_CONF_KEY_BYTES];

	key_path(rules, key, path);
	return complaints_about(rules->complaints, path);
}

/* A section whose type is wrong or not here was not read. */
static bool enter(struct rules *rules, const char *section, const char *name)
{
	snprintf(rules->section, sizeof(rules->section), "%s.%s.", section, name);
	return !is_faulty(rules, "type");
}

static void leave(struct rules *rules)
{
	rules->section[0] = '\0';
}

/* -- supervisor, store, aws ------------------------------------------------------------------- */

static void check_supervisor(struct rules *rules)
{
	const struct conf_supervisor *conf = &rules->conf->supervisor;
	char delay[QUANTITY_TEXT_BYTES], most[QUANTITY_TEXT_BYTES];

	if (conf->restart_delay_max_ms < conf->restart_delay_ms && conf->restart_delay_max_ms > 0) {
		quantity_format_ms(conf->restart_delay_ms, delay);
		quantity_format_ms(conf->restart_delay_max_ms, most);
		refuse(rules, "supervisor.restart_delay_max", "expected at least restart_delay (%s), found %s", delay,
			most);
	}
	if (conf->pid_file != NULL && conf->control_socket != NULL &&
	    strcmp(conf->pid_file, conf->control_socket) == 0)
		refuse(rules, "supervisor.control_socket", "expected another path than pid_file, found the same");
}

static void check_aws(struct rules *rules)
{
	const struct conf_aws *conf = &rules->conf->aws;

	if (conf->access_key != NULL && conf->secret_key == NULL)
		refuse(rules, "aws.secret_key", "expected a secret_key beside access_key, found nothing");
	if (conf->secret_key != NULL && conf->access_key == NULL)
		refuse(rules, "aws.access_key", "expected an access_key beside secret_key, found nothing");
	if (conf->session_token != NULL && conf->access_key == NULL && conf->secret_key == NULL)
		refuse(rules, "aws.access_key", "expected an access_key beside session_token, found nothing");
}

/* -- queues ----------------------------------------------------------------------------------- */

static bool is_sqs_name(const char *name, size_t len)
{
	size_t sound = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-");

	if (len == 0 || len > LIMIT_SQS_NAME_BYTES)
		return false;
	return sound == len || (sound > 0 && sound + 5 == len && memcmp(name + sound, ".fifo", 5) == 0);
}

static bool is_account(const char *text, size_t len)
{
	return len == ACCOUNT_DIGITS && strspn(text, "0123456789") == len;
}

static bool is_aws_host(const char *host, size_t len)
{
	return memmem(host, len, ".amazonaws.", 11) != NULL || memmem(host, len, ".api.aws", 8) != NULL;
}

/* "https://host/account/name"; of hosts that are not AWS's, emulators, only that the path ends in a
 * queue's name. */
static bool is_queue_url(const char *url)
{
	const char *host = strstr(url, "://") + 3;
	size_t host_len = strcspn(host, "/?#");
	const char *path = host + host_len;
	const char *name = strrchr(path, '/');

	if (host_len == 0 || *host == ':' || memchr(host, '@', host_len) != NULL || name == NULL)
		return false;
	if (strpbrk(path, "?#") != NULL || !is_sqs_name(name + 1, strlen(name + 1)))
		return false;
	return !is_aws_host(host, host_len) || is_account(path + 1, name > path ? (size_t)(name - path) - 1 : 0);
}

static void check_default_deployer(struct rules *rules, const struct conf_queue *queue)
{
	struct nearest nearest;
	const char *name = queue->default_deployer;

	if (name == NULL) {
		if (queue->body.count > 0 && pairs_find(&queue->body, "deployer") == NULL &&
		    !is_faulty(rules, "body.deployer"))
			refuse(rules, "default_deployer", "expected a deployer here or in body, found nothing");
		return;
	}
	if (conf_find_deployer(rules->conf, name) != NULL)
		return;
	nearest_init(&nearest, name);
	for (size_t i = 0; i < rules->conf->deployer_count; i++)
		nearest_offer(&nearest, rules->conf->deployers[i].name);
	refuse(rules, "default_deployer", "expected a name under deployers, found \"%s\"%s%s%s", name,
		nearest.best != NULL ? "; did you mean \"" : "", nearest.best != NULL ? nearest.best : "",
		nearest.best != NULL ? "\"?" : "");
}

static void check_queue(struct rules *rules, const struct conf_queue *queue)
{
	if (!enter(rules, "queues", queue->name))
		return;
	if (queue->url != NULL && !is_queue_url(queue->url))
		refuse_value(rules, "url", false, "a queue's URL, as https://sqs.REGION.amazonaws.com/ACCOUNT/NAME");
	if (queue->wait_time_ms % 1000 != 0)
		refuse_value(rules, "wait_time", false, "whole seconds, as SQS takes them");
	if (queue->visibility_timeout_ms % 1000 != 0)
		refuse_value(rules, "visibility_timeout", false, "whole seconds, as SQS takes them");
	if (queue->body.count > 0 && pairs_find(&queue->body, "project") == NULL && !is_faulty(rules, "body.project"))
		refuse(rules, "body", "expected at least project, found none");
	check_default_deployer(rules, queue);
}

/* -- deployers -------------------------------------------------------------------------------- */

static void check_environment(struct rules *rules, const struct pairs *environment)
{
	static const char *const ours[] = {
		"GANTRY_JOB", "GANTRY_ATTEMPT", "GANTRY_PROJECT", "GANTRY_FENCE", NULL,
	};

	for (size_t i = 0; i < environment->count; i++) {
		const char *name = environment->at[i].name;
		size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");
		char key[LIMIT_CONF_KEY_BYTES / 2];

		snprintf(key, sizeof(key), "environment.%s", name);
		if (len == 0 || name[len] != '\0' || (*name >= '0' && *name <= '9'))
			refuse(rules, key, "expected a variable's name, found \"%.64s\"", name);
		for (size_t j = 0; ours[j] != NULL; j++) {
			if (strcmp(name, ours[j]) == 0)
				refuse(rules, key, "expected a name that gantry does not set itself, found \"%s\"", name);
		}
	}
}

static void check_tags(struct rules *rules, const struct pairs *tags)
{
	for (size_t i = 0; i < tags->count; i++) {
		const char *name = tags->at[i].name;
		char key[LIMIT_CONF_KEY_BYTES / 2];

		snprintf(key, sizeof(key), "tags.%s", name);
		if (*name == '\0' || strlen(name) > LIMIT_TAG_KEY_BYTES)
			refuse(rules, key, "expected a tag's key of 1 to %d bytes, found %zu", LIMIT_TAG_KEY_BYTES,
				strlen(name));
		if (strncasecmp(name, "aws:", 4) == 0)
			refuse(rules, key, "expected a tag's key that is not AWS's own, found \"%.64s\"", name);
	}
}

static void check_deployer(struct rules *rules, const struct conf_deployer *deployer)
{
	const struct conf_network *network = &deployer->network;

	if (!enter(rules, "deployers", deployer->name))
		return;
	if (deployer->launch_type != NULL && deployer->capacity_providers.count > 0)
		refuse(rules, "capacity_providers", "expected launch_type or capacity_providers, found both");
	if (network->subnets.count == 0 && (network->security_groups.count > 0 || network->assign_public_ip))
		refuse(rules, "network.subnets", "expected at least one subnet, found none");
	if (network->assign_public_ip && deployer->launch_type != NULL && strcmp(deployer->launch_type, "EC2") == 0)
		refuse(rules, "network.assign_public_ip", "expected false with launch_type EC2, found true");
	check_environment(rules, &deployer->environment);
	check_tags(rules, &deployer->tags);
}

/* -- errors ----------------------------------------------------------------------------------- */

static void check_sink(struct rules *rules, const struct conf_sink *sink, size_t number)
{
	char name[24];

	snprintf(name, sizeof(name), "%zu", number);
	if (!enter(rules, "errors", name))
		return;
	if (sink->channel == NULL && sink->list == NULL && !is_faulty(rules, "list"))
		refuse(rules, "channel", "expected a channel, a list or both, found neither");
}

void conf_rules_check(const struct conf *conf, const struct yaml_node *root, struct complaints *complaints)
{
	struct rules rules = { .conf = conf, .root = root, .complaints = complaints };

	check_supervisor(&rules);
	check_aws(&rules);
	for (size_t i = 0; i < conf->queue_count; i++)
		check_queue(&rules, &conf->queues[i]);
	for (size_t i = 0; i < conf->deployer_count; i++)
		check_deployer(&rules, &conf->deployers[i]);
	for (size_t i = 0; i < conf->error_count; i++)
		check_sink(&rules, &conf->errors[i], i);
	leave(&rules);
}
