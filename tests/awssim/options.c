/* SPDX-License-Identifier: Apache-2.0 */
/* options.c - reading the command line, and making what it names. */
#include "options.h"

#include "ecs.h"
#include "key_ring.h"
#include "sqs.h"
#include "xalloc.h"

#include <getopt.h>
#include <limits.h>
#include <sys/random.h>

static const char usage[] =
	"usage: awssim [option...]\n"
	"  --port N              listen on 127.0.0.1:N; 0, the default, takes a free port\n"
	"  --port-file FILE      write the port there\n"
	"  --queue NAME[:A=V,..] make a queue; A is an SQS attribute, or DeadLetter=NAME and\n"
	"                        MaxReceives=N instead of RedrivePolicy; NAME.fifo is FIFO\n"
	"  --task-definition F   register the task definition in this JSON file\n"
	"  --key ID:SECRET[:TOKEN]  more credentials, besides AKIDSIM:simsecret\n"
	"  --no-auth             take requests without or with any signature\n"
	"  --strict              clusters and task definitions have to be made first\n"
	"  --seed N              the same seed gives the same ids and chances\n"
	"  --task-start-ms N     from RunTask to RUNNING (50)\n"
	"  --task-run-ms N       RUNNING (200)\n"
	"  --task-stop-ms N      DEACTIVATING (10)\n"
	"  --stop-timeout-ms N   from SIGTERM to SIGKILL (30000)\n"
	"  --consistency-ms N    new tasks are MISSING for so long (0)\n"
	"  --stopped-life-s N    stopped tasks are described for so long (3600)\n"
	"  --exec                run commands of tasks as local processes\n"
	"  --exec-dir DIR        there, with their output in DIR/TASK-ID.log; implies --exec\n"
	"  --record FILE         append every AWS request as a line of JSON\n"
	"  --no-ledger           keep no account of messages and tasks\n"
	"  --parent-pipe FD      end at this descriptor's end of file; 0 is standard input\n"
	"  --help                this text\n"
	"The calls of the simulator itself (/_stats, /_admin/...) are described in awssim.c.\n";

enum option_code {
	OPTION_PORT = 256,
	OPTION_PORT_FILE,
	OPTION_QUEUE,
	OPTION_DEFINITION,
	OPTION_KEY,
	OPTION_NO_AUTH,
	OPTION_STRICT,
	OPTION_SEED,
	OPTION_TASK_START,
	OPTION_TASK_RUN,
	OPTION_TASK_STOP,
	OPTION_STOP_TIMEOUT,
	OPTION_CONSISTENCY,
	OPTION_STOPPED_LIFE,
	OPTION_EXEC,
	OPTION_EXEC_DIR,
	OPTION_RECORD,
	OPTION_NO_LEDGER,
	OPTION_PARENT,
	OPTION_HELP,
};

static const struct option long_options[] = {
	{ "port", required_argument, NULL, OPTION_PORT },
	{ "port-file", required_argument, NULL, OPTION_PORT_FILE },
	{ "queue", required_argument, NULL, OPTION_QUEUE },
	{ "task-definition", required_argument, NULL, OPTION_DEFINITION },
	{ "key", required_argument, NULL, OPTION_KEY },
	{ "no-auth", no_argument, NULL, OPTION_NO_AUTH },
	{ "strict", no_argument, NULL, OPTION_STRICT },
	{ "seed", required_argument, NULL, OPTION_SEED },
	{ "task-start-ms", required_argument, NULL, OPTION_TASK_START },
	{ "task-run-ms", required_argument, NULL, OPTION_TASK_RUN },
	{ "task-stop-ms", required_argument, NULL, OPTION_TASK_STOP },
	{ "stop-timeout-ms", required_argument, NULL, OPTION_STOP_TIMEOUT },
	{ "consistency-ms", required_argument, NULL, OPTION_CONSISTENCY },
	{ "stopped-life-s", required_argument, NULL, OPTION_STOPPED_LIFE },
	{ "exec", no_argument, NULL, OPTION_EXEC },
	{ "exec-dir", required_argument, NULL, OPTION_EXEC_DIR },
	{ "record", required_argument, NULL, OPTION_RECORD },
	{ "no-ledger", no_argument, NULL, OPTION_NO_LEDGER },
	{ "parent-pipe", required_argument, NULL, OPTION_PARENT },
	{ "help", no_argument, NULL, OPTION_HELP },
	{ NULL, 0, NULL, 0 },
};

static bool read_number(const char *string, json_int_t most, json_int_t *number)
{
	char *end;

	*number = strtoll(string, &end, 10);
	if (end != string && *end == '\0' && *number >= 0 && *number <= most)
		return true;
	fprintf(stderr, "awssim: \"%s\" is not a number from 0 to %" JSON_INTEGER_FORMAT "\n",
		string, most);
	return false;
}

static bool append(char **strings, unsigned *count, const char *string)
{
	if (*count == LIMIT_REPEATED_OPTIONS) {
		fprintf(stderr, "awssim: an option was repeated more than %d times\n",
			LIMIT_REPEATED_OPTIONS);
		return false;
	}
	strings[(*count)++] = xstrdup(string);
	return true;
}

static bool take_number(struct options *options, int option, const char *value)
{
	json_int_t number;

	if (!read_number(value, option == OPTION_PORT ? USHRT_MAX : LLONG_MAX, &number))
		return false;
	switch (option) {
	case OPTION_PORT: options->port = (unsigned short)number; break;
	case OPTION_SEED: options->seed = (uint64_t)number; break;
	case OPTION_TASK_START: options->task_start_ms = number; break;
	case OPTION_TASK_RUN: options->task_run_ms = number; break;
	case OPTION_TASK_STOP: options->task_stop_ms = number; break;
	case OPTION_STOP_TIMEOUT: options->stop_timeout_ms = number; break;
	case OPTION_CONSISTENCY: options->consistency_ms = number; break;
	case OPTION_STOPPED_LIFE: options->stopped_life_s = number; break;
	case OPTION_PARENT: options->parent_fd = (int)number; break;
	default: return false;
	}
	return true;
}

static bool take_option(struct options *options, int option, const char *value)
{
	switch (option) {
	case OPTION_PORT_FILE: options->port_file = value; return true;
	case OPTION_RECORD: options->record = value; return true;
	case OPTION_NO_AUTH: options->no_auth = true; return true;
	case OPTION_STRICT: options->strict = true; return true;
	case OPTION_NO_LEDGER: options->no_ledger = true; return true;
	case OPTION_EXEC: options->exec = true; return true;
	case OPTION_EXEC_DIR:
		options->exec = true;
		options->exec_dir = value;
		return true;
	case OPTION_QUEUE: return append(options->queues, &options->queue_count, value);
	case OPTION_KEY: return append(options->keys, &options->key_count, value);
	case OPTION_DEFINITION:
		return append(options->definitions, &options->definition_count, value);
	default: return take_number(options, option, value);
	}
}

bool options_read(struct options *options, int argc, char **argv)
{
	int option;

	*options = (struct options){
		.task_start_ms = -1,
		.task_run_ms = -1,
		.task_stop_ms = -1,
		.stop_timeout_ms = -1,
		.consistency_ms = -1,
		.stopped_life_s = -1,
		.parent_fd = -1,
		.exit_status = 2,
	};
	/* Not a constant: ids of one run must not come again in the next one. */
	if (getrandom(&options->seed, sizeof(options->seed), 0) < 0)
		abort();
	while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		if (option == OPTION_HELP) {
			fputs(usage, stdout);
			options->exit_status = 0;
		}
		if (option == OPTION_HELP || option == '?' ||
		    !take_option(options, option, optarg)) {
			options_finish(options);
			return false;
		}
	}
	if (optind == argc)
		return true;
	fprintf(stderr, "awssim: unexpected argument \"%s\"\n%s", argv[optind], usage);
	options_finish(options);
	return false;
}

void options_finish(struct options *options)
{
	for (unsigned i = 0; i < options->queue_count; i++)
		free(options->queues[i]);
	for (unsigned i = 0; i < options->key_count; i++)
		free(options->keys[i]);
	for (unsigned i = 0; i < options->definition_count; i++)
		free(options->definitions[i]);
	options->queue_count = options->key_count = options->definition_count = 0;
}

/* ---- applying ---- */

static bool complain(const char *what, const char *name, struct aws_error *error)
{
	fprintf(stderr, "awssim: %s %s: %s\n", what, name, error->message);
	aws_error_finish(error);
	return false;
}

/* A=V,A=V as an object; DeadLetter and MaxReceives become a RedrivePolicy. */
static json_t *queue_attributes(char *list)
{
	json_t *attributes = json_object(), *dead_letter, *max_receives;
	char *saved = NULL;

	for (char *pair = strtok_r(list, ",", &saved); pair != NULL;
	     pair = strtok_r(NULL, ",", &saved)) {
		char *equals = strchr(pair, '=');

		if (equals != NULL)
			*equals = '\0';
		json_object_set_new(attributes, pair, json_string(equals == NULL ? "" : equals + 1));
	}
	dead_letter = json_object_get(attributes, "DeadLetter");
	max_receives = json_object_get(attributes, "MaxReceives");
	if (dead_letter != NULL)
		json_object_set_new(
			attributes, "RedrivePolicy",
			json_sprintf("{\"deadLetterTargetArn\":\"arn:aws:sqs:" WORLD_REGION
				     ":" WORLD_ACCOUNT ":%s\",\"maxReceiveCount\":%s}",
				     json_string_value(dead_letter),
				     max_receives == NULL ? "10"
							  : json_string_value(max_receives)));
	json_object_del(attributes, "DeadLetter");
	json_object_del(attributes, "MaxReceives");
	return attributes;
}

static bool make_queue(struct sqs *sqs, const char *option)
{
	char *name = xstrdup(option), *list = strchr(name, ':');
	struct aws_error error = { .status = 0 };
	struct sqs_queue *queue;
	json_t *attributes = NULL;
	bool ok = true;

	if (list != NULL)
		*list++ = '\0';
	queue = sqs_find(sqs, name);
	if (queue == NULL)
		queue = sqs_queue_create(sqs, name);
	if (list != NULL)
		attributes = queue_attributes(list);
	if (attributes != NULL && !sqs_settings_apply(&queue->settings, attributes, &error))
		ok = complain("--queue", option, &error);
	json_decref(attributes);
	free(name);
	return ok;
}

static bool make_key(struct key_ring *keys, const char *option)
{
	char *id = xstrdup(option), *saved = NULL;
	const char *name = strtok_r(id, ":", &saved), *secret = strtok_r(NULL, ":", &saved);
	const char *token = strtok_r(NULL, "", &saved);

	if (secret == NULL)
		fprintf(stderr, "awssim: --key %s: expected ID:SECRET or ID:SECRET:TOKEN\n", option);
	else
		key_ring_add(keys, name, secret)->token = xstrdup_null(token);
	free(id);
	return secret != NULL;
}

static bool make_definition(struct ecs *ecs, const char *path)
{
	struct aws_error error = { .status = 0 };
	json_error_t problem;
	json_t *in = json_load_file(path, 0, &problem), *out = json_object();
	bool ok = true;

	if (in == NULL)
		aws_error_set(&error, "Invalid", "line %d: %s", problem.line, problem.text);
	else
		ecs_definition_register(ecs, in, out, &error);
	if (aws_error_is_set(&error))
		ok = complain("--task-definition", path, &error);
	json_decref(in);
	json_decref(out);
	return ok;
}

static void set_unless_default(json_int_t *setting, json_int_t value)
{
	if (value >= 0)
		*setting = value;
}

bool options_apply(const struct options *options, struct simulator *sim)
{
	struct ecs_settings *settings = &sim->ecs->settings;

	set_unless_default(&settings->start_ms, options->task_start_ms);
	set_unless_default(&settings->run_ms, options->task_run_ms);
	set_unless_default(&settings->stop_ms, options->task_stop_ms);
	set_unless_default(&settings->stop_timeout_ms, options->stop_timeout_ms);
	set_unless_default(&settings->consistency_ms, options->consistency_ms);
	set_unless_default(&settings->stopped_life_s, options->stopped_life_s);
	settings->exec = options->exec;
	settings->exec_dir = xstrdup_null(options->exec_dir);
	for (unsigned i = 0; i < options->key_count; i++) {
		if (!make_key(sim->keys, options->keys[i]))
			return false;
	}
	for (unsigned i = 0; i < options->queue_count; i++) {
		if (!make_queue(sim->sqs, options->queues[i]))
			return false;
	}
	for (unsigned i = 0; i < options->definition_count; i++) {
		if (!make_definition(sim->ecs, options->definitions[i]))
			return false;
	}
	return true;
}
