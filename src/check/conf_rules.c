/* SPDX-License-Identifier: Apache-2.0 */
/* conf_rules.c - see conf_rules.h. */
#include "check/conf_rules.h"

#include <inttypes.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/quantity.h"
#include "check/found.h"
#include "check/nearest.h"
#include "conf/conf_schema.h"
#include "conf/listen_address.h"

enum {
	LIMIT_SQS_NAME_BYTES = 80,
	LIMIT_TAG_KEY_BYTES = 128,      /* AWS counts characters, of which a byte is at least a part */
	ACCOUNT_DIGITS = 12,
	LEAST_TOKEN_BYTES = 16,         /* of random letters more than can be guessed over a network */
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
	if (conf->scale.max > 0 && conf->scale.max < conf->scale.min)
		refuse(rules, "supervisor.scale.max", "expected at least min (%u), found %u", conf->scale.min, conf->scale.max);
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

/* Only EventBridge's own target will do, and a queue whose type is faulty was complained about. */
static void check_events(struct rules *rules)
{
	const char *name = rules->conf->ecs.events;
	const struct conf_queue *queue;
	struct nearest nearest;
	char type[LIMIT_CONF_KEY_BYTES / 2];

	if (name == NULL)
		return;
	queue = conf_find_queue(rules->conf, name);
	if (queue == NULL) {
		nearest_init(&nearest, name);
		for (size_t i = 0; i < rules->conf->queue_count; i++)
			nearest_offer(&nearest, rules->conf->queues[i].name);
		refuse(rules, "ecs.events", "expected a name under queues, found \"%s\"%s%s%s", name,
			nearest.best != NULL ? "; did you mean \"" : "", nearest.best != NULL ? nearest.best : "",
			nearest.best != NULL ? "\"?" : "");
		return;
	}
	snprintf(type, sizeof(type), "queues.%s.type", name);
	if (queue->type != CONF_QUEUE_SQS && !is_faulty(rules, type))
		refuse(rules, "ecs.events", "expected a queue of type sqs, found \"%s\", which is none", name);
}

static void refuse_name(struct rules *rules, const char *key, const char *section, const char *name,
	const struct nearest *nearest)
{
	refuse(rules, key, "expected a name under %s, found \"%s\"%s%s%s", section, name,
		nearest->best != NULL ? "; did you mean \"" : "", nearest->best != NULL ? nearest->best : "",
		nearest->best != NULL ? "\"?" : "");
}

static void check_deployer_name(struct rules *rules, const char *key, const char *name)
{
	struct nearest nearest;

	if (name == NULL || conf_find_deployer(rules->conf, name) != NULL)
		return;
	nearest_init(&nearest, name);
	for (size_t i = 0; i < rules->conf->deployer_count; i++)
		nearest_offer(&nearest, rules->conf->deployers[i].name);
	refuse_name(rules, key, "deployers", name, &nearest);
}

static void check_queue_name(struct rules *rules, const char *key, const char *name)
{
	struct nearest nearest;

	if (name == NULL)
		return;
	if (conf_find_queue(rules->conf, name) != NULL) {
		if (conf_is_events_queue(rules->conf, name))
			refuse(rules, key, "expected a queue that jobs come from, found \"%s\", which ecs.events names", name);
		return;
	}
	nearest_init(&nearest, name);
	for (size_t i = 0; i < rules->conf->queue_count; i++)
		nearest_offer(&nearest, rules->conf->queues[i].name);
	refuse_name(rules, key, "queues", name, &nearest);
}

static void check_default_deployer(struct rules *rules, const struct conf_queue *queue)
{
	const char *name = queue->default_deployer;

	if (name == NULL) {
		if (queue->body.count > 0 && pairs_find(&queue->body, "deployer") == NULL &&
		    !is_faulty(rules, "body.deployer"))
			refuse(rules, "default_deployer", "expected a deployer here or in body, found nothing");
		return;
	}
	check_deployer_name(rules, "default_deployer", name);
}

static void check_depths(struct rules *rules, const struct conf_queue *queue)
{
	if (queue->warn_depth > 0 && queue->alarm_depth > 0 && queue->alarm_depth < queue->warn_depth)
		refuse(rules, "alarm_depth", "expected at least warn_depth (%u), found %u", queue->warn_depth, queue->alarm_depth);
}

static void check_queue(struct rules *rules, const struct conf_queue *queue)
{
	if (!enter(rules, "queues", queue->name))
		return;
	check_depths(rules, queue);
	if (queue->group != NULL && strpbrk(queue->group, " \t") != NULL)
		refuse_value(rules, "group", false, "a name without blanks");
	if (queue->type == CONF_QUEUE_SQS && queue->url != NULL && !is_queue_url(queue->url))
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

static void check_environment(struct rules *rules, const char *section, const struct pairs *environment)
{
	static const char *const ours[] = {
		"GANTRY_JOB", "GANTRY_ATTEMPT", "GANTRY_PROJECT", "GANTRY_FENCE", "GANTRY_RESULT", NULL,
	};

	for (size_t i = 0; i < environment->count; i++) {
		const char *name = environment->at[i].name;
		size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");
		char key[LIMIT_CONF_KEY_BYTES / 2];

		snprintf(key, sizeof(key), "%senvironment.%s", section, name);
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

/* -- local commands --------------------------------------------------------------------------- */

static bool may_become_others(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct ours[_LINUX_CAPABILITY_U32S_3] = { { 0, 0, 0 } };
	const uint32_t wanted = 1u << CAP_SETUID | 1u << CAP_SETGID;

	return syscall(SYS_capget, &header, ours) == 0 && (ours[0].effective & wanted) == wanted;
}

/* This process is as much as the workers will be: it has become supervisor.user already. */
static void check_process_user(struct rules *rules, const char *name)
{
	const struct passwd *user = name != NULL ? getpwnam(name) : NULL;

	if (name == NULL)
		return;
	if (user == NULL)
		refuse_value(rules, "user", false, "a user of this host");
	else if (user->pw_uid != geteuid() && !may_become_others())
		refuse_value(rules, "user", false, "gantryd's own user, or a gantryd that is root or has kept CAP_SETUID "
			"and CAP_SETGID");
}

static bool is_umask(const char *text)
{
	size_t len = strspn(text, "01234567");

	return len > 0 && text[len] == '\0' && strtoul(text, NULL, 8) <= 0777;
}

/* A template may put the root in front. */
static void check_process_path(struct rules *rules, const char *key, const char *path, bool relative)
{
	const char *at = path;

	if (path == NULL)
		return;
	if (!relative && *path != '/' && strncmp(path, "{{", 2) != 0)
		refuse_value(rules, key, false, "an absolute path");
	while ((at = strstr(at, "..")) != NULL) {
		if ((at == path || at[-1] == '/') && (at[2] == '/' || at[2] == '\0'))
			refuse_value(rules, key, false, "a path without \"..\"");
		at += 2;
	}
}

static void check_stages(struct rules *rules, const struct conf_process *process)
{
	for (size_t i = 0; i < process->stage_count; i++) {
		char section[LIMIT_CONF_KEY_BYTES / 4];

		snprintf(section, sizeof(section), "stages.%s", process->stages[i].name);
		if (process->stages[i].refs.count + process->stages[i].environment.count == 0)
			refuse(rules, section, "expected refs or environment, found neither");
		snprintf(section, sizeof(section), "stages.%s.", process->stages[i].name);
		check_environment(rules, section, &process->stages[i].environment);
	}
}

static void check_process(struct rules *rules, const struct conf_deployer *deployer)
{
	const struct conf_process *process = &deployer->process;
	bool faulty = is_faulty(rules, "command") || is_faulty(rules, "commands");

	if (deployer->command.count > 0 && process->commands.count > 0)
		refuse(rules, "commands", "expected command or commands, found both");
	if (deployer->command.count + process->commands.count == 0 && !deployer->allow.command && !faulty)
		refuse(rules, "command", "expected command or commands, or allow.command, found none");
	if (deployer->command.count > 0 && *deployer->command.at[0] == '\0')
		refuse(rules, "command", "expected a program first, found an empty text");
	if (process->umask != NULL && !is_umask(process->umask))
		refuse_value(rules, "umask", false, "an octal mask from 0 to 777");
	if (process->limits.cpu_ms % 1000 != 0)
		refuse_value(rules, "limits.cpu", false, "whole seconds, as the kernel takes them");
	check_process_path(rules, "directory", process->directory, false);
	check_process_path(rules, "dotenv", process->dotenv, true);
	check_process_user(rules, process->user);
	check_stages(rules, process);
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
	if (deployer->logs.group != NULL && deployer->logs.prefix == NULL)
		refuse(rules, "logs.prefix", "expected a prefix beside group, found nothing");
	if (deployer->logs.group == NULL && (deployer->logs.prefix != NULL || deployer->logs.region != NULL))
		refuse(rules, "logs.group", "expected a group beside prefix and region, found nothing");
	check_environment(rules, "", &deployer->environment);
	if (deployer->type == CONF_DEPLOYER_PROCESS)
		check_process(rules, deployer);
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

/* -- notify ----------------------------------------------------------------------------------- */

/* One "@", and nothing that could end a header or an SMTP command. */
static bool is_address(const char *text)
{
	const char *at = strchr(text, '@');

	return at != NULL && at > text && at[1] != '\0' && strchr(at + 1, '@') == NULL && strpbrk(text, " \t\r\n<>,;\"\\") == NULL;
}

static void check_email(struct rules *rules, const struct conf_sink *sink)
{
	char key[24];

	if (sink->from != NULL && !is_address(sink->from))
		refuse_value(rules, "from", false, "an address such as gantry@example.com");
	if (sink->to.count == 0 && !is_faulty(rules, "to"))
		refuse(rules, "to", "expected at least one address, found none");
	for (size_t i = 0; i < sink->to.count; i++) {
		snprintf(key, sizeof(key), "to.%zu", i);
		if (!is_address(sink->to.at[i]))
			refuse_value(rules, key, false, "an address such as ops@example.com");
	}
	if (sink->user != NULL && sink->password == NULL)
		refuse(rules, "password", "expected a password beside user, found nothing");
	if (sink->password != NULL && sink->user == NULL)
		refuse(rules, "user", "expected a user beside password, found nothing");
	if (sink->password != NULL && sink->starttls == CONF_STARTTLS_OFF && sink->smtp != NULL &&
	    strncmp(sink->smtp, "smtp:", 5) == 0)
		refuse(rules, "starttls", "expected offered or required beside a password, found off");
}

static void check_secret(struct rules *rules, const char *key, const char *secret)
{
	static const char base64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	size_t len, padding;

	if (secret == NULL || strncmp(secret, "whsec_", 6) != 0)
		return;
	secret += 6;
	len = strspn(secret, base64);
	padding = strspn(secret + len, "=");
	if (len == 0 || secret[len + padding] != '\0' || (len + padding) % 4 != 0 || padding > 2)
		refuse(rules, key, "expected base64 after \"whsec_\", found a value that is not shown");
}

static void check_notify_type(struct rules *rules, const struct conf_sink *sink)
{
	switch (sink->type) {
	case CONF_SINK_REDIS:
		if (sink->channel == NULL && sink->list == NULL && sink->key == NULL && !is_faulty(rules, "channel") &&
		    !is_faulty(rules, "list") && !is_faulty(rules, "key"))
			refuse(rules, "channel", "expected a channel, a list or a key, found none");
		break;
	case CONF_SINK_WEBHOOK:
		check_secret(rules, "secret", sink->secret);
		check_secret(rules, "old_secret", sink->old_secret);
		if (sink->old_secret != NULL && sink->secret == NULL)
			refuse(rules, "secret", "expected a secret beside old_secret, found nothing");
		break;
	case CONF_SINK_EMAIL:
		check_email(rules, sink);
		break;
	case CONF_SINK_SNS:
		if (sink->topic != NULL && (strncmp(sink->topic, "arn:", 4) != 0 || strstr(sink->topic, ":sns:") == NULL))
			refuse_value(rules, "topic", false, "a topic's ARN, such as arn:aws:sns:us-east-1:123456789012:deploys");
		break;
	case CONF_SINK_SLACK:
		if (sink->url != NULL && strncmp(sink->url, "https://", 8) != 0 && strncmp(sink->url, "http://", 7) != 0)
			refuse_value(rules, "url", true, "a URL that starts with https:// or http://");
		break;
	case CONF_SINK_EXEC:
		if (sink->command.count == 0 && !is_faulty(rules, "command"))
			refuse(rules, "command", "expected a program, found none");
		else if (sink->command.count > 0 && sink->command.at[0][0] != '/')
			refuse_value(rules, "command.0", false, "an absolute path");
		break;
	case CONF_SINK_CELERY:
	case CONF_SINK_TYPES:
		break;
	}
}

static void check_notify(struct rules *rules, const struct conf_sink *sink, size_t number)
{
	const char *name = conf_sink_name(sink);
	char text[24];

	snprintf(text, sizeof(text), "%zu", number);
	if (!enter(rules, "notify", text))
		return;
	if (sink->name != NULL && (!conf_name_is_sound(sink->name) || strcmp(sink->name, "errors") == 0))
		refuse_value(rules, "name", false, "letters, digits, \"_\" and \"-\", and not \"errors\"");
	for (size_t i = 0; i < number; i++) {
		if (strcmp(conf_sink_name(&rules->conf->notify[i]), name) == 0)
			refuse(rules, "name", "expected a name of its own, as notify.%zu is \"%s\", too", i, name);
	}
	if (sink->when.count == 0 && !is_faulty(rules, "when") && !is_faulty(rules, "when.0"))
		refuse(rules, "when", "expected at least one event, found none");
	check_notify_type(rules, sink);
}

/* -- api -------------------------------------------------------------------------------------- */

static void check_listen(struct rules *rules, const struct texts *listen)
{
	struct listen_address addresses[LIMIT_CONF_LISTENERS];
	size_t count = listen->count < LIMIT_CONF_LISTENERS ? listen->count : LIMIT_CONF_LISTENERS;
	char key[32];

	if (count == 0 && !is_faulty(rules, "listen"))
		refuse(rules, "listen", "expected at least one address, found none");
	for (size_t i = 0; i < count; i++) {
		snprintf(key, sizeof(key), "listen.%zu", i);
		if (!listen_address_parse(listen->at[i], &addresses[i])) {
			refuse_value(rules, key, false, "ADDRESS:PORT, [ADDRESS]:PORT or unix:/path (names are not looked up)");
			continue;
		}
		for (size_t j = 0; j < i; j++) {
			if (listen_address_same(&addresses[i], &addresses[j]))
				refuse(rules, key, "expected each address once, found it again");
		}
	}
}

/* What was not given, or not understood, has been complained about and is as short as can be. */
static void check_token(struct rules *rules, const struct conf_api *api, size_t number)
{
	const struct conf_token *token = &api->tokens[number];
	char key[48];

	for (size_t i = 0; i < number; i++) {
		const struct conf_token *other = &api->tokens[i];

		snprintf(key, sizeof(key), "tokens.%zu.name", number);
		if (token->name != NULL && other->name != NULL && strcmp(token->name, other->name) == 0)
			refuse(rules, key, "expected each name once, found \"%s\" again", token->name);
		snprintf(key, sizeof(key), "tokens.%zu.token", number);
		if (token->token != NULL && other->token != NULL && strcmp(token->token, other->token) == 0)
			refuse(rules, key, "expected each token once, found that of \"%s\" again",
				other->name != NULL ? other->name : "");
	}
	snprintf(key, sizeof(key), "tokens.%zu.token", number);
	if (token->token != NULL && strlen(token->token) < LEAST_TOKEN_BYTES)
		refuse(rules, key, "expected at least %d characters, found %zu", LEAST_TOKEN_BYTES, strlen(token->token));
	snprintf(key, sizeof(key), "tokens.%zu.may", number);
	if (token->may.count == 0 && !is_faulty(rules, key))
		refuse(rules, key, "expected at least one of submit, read and admin, found none");
	snprintf(key, sizeof(key), "tokens.%zu.projects", number);
	if (token->projects.count == 0 && !is_faulty(rules, key))
		refuse(rules, key, "expected at least one glob, found none");
}

static void check_tls(struct rules *rules, const struct conf_tls *tls)
{
	if (tls->certificate != NULL && tls->key == NULL)
		refuse(rules, "tls.key", "expected a key beside certificate, found nothing");
	if (tls->key != NULL && tls->certificate == NULL)
		refuse(rules, "tls.certificate", "expected a certificate beside key, found nothing");
}

static void check_api(struct rules *rules)
{
	const struct conf_api *api = rules->conf->api;

	if (api == NULL)
		return;
	snprintf(rules->section, sizeof(rules->section), "api.");
	check_listen(rules, &api->listen);
	for (size_t i = 0; i < api->token_count; i++)
		check_token(rules, api, i);
	check_queue_name(rules, "queue", api->queue);
	check_queue_name(rules, "deploy.queue", api->deploy.queue);
	check_deployer_name(rules, "deploy.deployer", api->deploy.deployer);
	check_tls(rules, &api->tls);
	leave(rules);
}

void conf_rules_check(const struct conf *conf, const struct yaml_node *root, struct complaints *complaints)
{
	struct rules rules = { .conf = conf, .root = root, .complaints = complaints };

	check_supervisor(&rules);
	check_api(&rules);
	check_aws(&rules);
	check_events(&rules);
	for (size_t i = 0; i < conf->queue_count; i++)
		check_queue(&rules, &conf->queues[i]);
	for (size_t i = 0; i < conf->deployer_count; i++)
		check_deployer(&rules, &conf->deployers[i]);
	for (size_t i = 0; i < conf->error_count; i++)
		check_sink(&rules, &conf->errors[i], i);
	for (size_t i = 0; i < conf->notify_count; i++)
		check_notify(&rules, &conf->notify[i], i);
	leave(&rules);
}
