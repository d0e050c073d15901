/* SPDX-License-Identifier: Apache-2.0 */
/* commands.c - the table of gantryctl's commands.  Options, usage, help and completion are made from it. */
#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/ctl.h"

#define NO_WAIT { "no-wait", 'n', false, WORD_NONE }
#define COUNT { "count", 'n', false, WORD_COUNT }

const struct command commands[] = {
	{ "status", "", "generations, workers, queues, and how the last reload ended", run_status, .json = COMMAND_JSON_DOCUMENT },
	{ "reload", "", "check the configuration, start a new generation, drain the old one", run_reload,
	  .options = { NO_WAIT } },
	{ "upgrade", "", "go over to the programs on disk, in the same process", run_upgrade, .options = { NO_WAIT } },
	{ "stop", "", "drain and leave; --fast hands all jobs over at once", run_stop,
	  .options = { { "fast", 'f', false, WORD_NONE }, NO_WAIT } },
	{ "workers", "+1|-1|N", "more or fewer workers, until the next reload", run_workers,
	  .complete = { { WORD_CHOICE, "+1|-1" } } },
	{ "conf", "[KEY]", "the configuration with its defaults, secrets masked", run_conf, .complete = { { WORD_KEY, NULL } } },
	{ "check", "[FILE]", "check a configuration", run_check, .complete = { { WORD_FILE, NULL } } },
	{ "logs", "", "what gantryd itself has logged, wherever that goes", run_logs, .json = COMMAND_JSON_LINES,
	  .options = { { "follow", 'f', true, WORD_NONE }, { "lines", 'n', true, WORD_COUNT } } },
	{ "top", "", "workers, queues and jobs, live", run_top, .json = COMMAND_JSON_NONE },
	{ "submit", "FILE|- or --project PROJECT", "ask for a deployment; --wait shows it and exits as it did", run_submit,
	  .json = COMMAND_JSON_LINES,
	  .options = { { "wait", 'w', true, WORD_NONE }, { "queue", 'q', false, WORD_QUEUE },
		       { "project", 'p', false, WORD_PROJECT }, { "deployer", 'd', false, WORD_DEPLOYER },
		       { "ref", 'r', false, WORD_TEXT }, { "commit", 'c', false, WORD_TEXT },
		       { "id", 'i', false, WORD_TEXT }, { "delay", 'l', false, WORD_TIME },
		       { "env", 'e', false, WORD_VARIABLE } },
	  .complete = { { WORD_FILE, NULL } } },
	{ "jobs", "", "jobs, newest first", run_jobs,
	  .options = { { "state", 's', false, WORD_STATE }, { "project", 'p', false, WORD_PROJECT },
		       { "deployer", 'd', false, WORD_DEPLOYER }, COUNT } },
	{ "show", "JOB", "all that is known of a job", run_show, .complete = { { WORD_JOB, NULL } } },
	{ "why", "JOB", "what a job waits for: who holds its lock, how many are ahead, when the next try is", run_why,
	  .complete = { { WORD_LIVE_JOB, NULL } } },
	{ "log", "JOB", "what a deployment has written; --follow goes on to its end", run_log, .json = COMMAND_JSON_LINES,
	  .options = { { "follow", 'f', true, WORD_NONE }, { "attempt", 'a', false, WORD_COUNT } },
	  .complete = { { WORD_JOB, NULL } } },
	{ "cancel", "JOB", "end a job, and wait until its deployment has really stopped", run_cancel, .options = { NO_WAIT },
	  .complete = { { WORD_LIVE_JOB, NULL } } },
	{ "retry", "JOB", "run a finished job once more", run_retry, .complete = { { WORD_ENDED_JOB, NULL } } },
	{ "locks", "", "the keys that are held, by which job, and how many wait", run_locks, .json = COMMAND_JSON_DOCUMENT },
	{ "unlock", "LOCK", "free a key by ending the job that holds it", run_unlock, .options = { NO_WAIT },
	  .complete = { { WORD_LOCK, NULL } } },
	{ "queues", "", "what waits in each queue", run_queues, .json = COMMAND_JSON_DOCUMENT },
	{ "peek", "QUEUE", "show waiting messages without taking them away", run_peek, .options = { COUNT },
	  .complete = { { WORD_QUEUE, NULL } } },
	{ "redrive", "QUEUE", "move what is in its dead-letter queue back into it", run_redrive,
	  .complete = { { WORD_QUEUE, NULL } } },
	{ "outbox", "[replay ID|all]", "what is still to be told to whom, and what was given up", run_outbox,
	  .complete = { { WORD_CHOICE, "replay" }, { WORD_DEAD_DELIVERY, NULL } } },
	{ "store", "copy FROM TO", "copy what has ended from one store into another", run_store,
	  .options = { { "force", 'F', false, WORD_NONE } },
	  .complete = { { WORD_CHOICE, "copy" }, { WORD_TEXT, NULL } } },
	{ "send", "QUEUE [-]", "send numbered messages, or one for each line of standard input", run_send,
	  .options = { COUNT, { "client-name", 'c', false, WORD_TEXT }, { "prepend", 'p', false, WORD_TEXT },
		       { "group", 'g', false, WORD_TEXT }, { "dedup", 'd', false, WORD_TEXT } },
	  .complete = { { WORD_QUEUE, NULL }, { WORD_CHOICE, "-" } } },
	{ "receive", "QUEUE", "show messages in order of arrival and delete them", run_receive, .json = COMMAND_JSON_LINES,
	  .options = { COUNT, { "idle", 'i', false, WORD_TIME }, { "client-name", 'c', false, WORD_TEXT },
		       { "prepend", 'p', false, WORD_TEXT } },
	  .complete = { { WORD_QUEUE, NULL } } },
	{ "completion", "bash|zsh", "a script that completes these words in a shell", run_completion,
	  .json = COMMAND_JSON_NONE, .complete = { { WORD_CHOICE, "bash|zsh" } } },
	{ .name = NULL },
};

static const char *const word_names[CTL_WORDS] = {
	[WORD_NONE] = "", [WORD_TEXT] = "TEXT", [WORD_COUNT] = "N", [WORD_TIME] = "TIME", [WORD_VARIABLE] = "NAME=VALUE",
	[WORD_FILE] = "FILE", [WORD_CHOICE] = "WORD", [WORD_QUEUE] = "QUEUE", [WORD_DEPLOYER] = "DEPLOYER",
	[WORD_PROJECT] = "PROJECT", [WORD_STATE] = "STATE", [WORD_JOB] = "JOB", [WORD_LIVE_JOB] = "LIVE-JOB",
	[WORD_ENDED_JOB] = "ENDED-JOB", [WORD_LOCK] = "LOCK", [WORD_KEY] = "KEY", [WORD_DEAD_DELIVERY] = "DEAD-DELIVERY",
};

const char *ctl_word_name(enum ctl_word word)
{
	return word_names[word];
}

const struct command *command_find(const char *name)
{
	for (const struct command *command = commands; command->name != NULL; command++) {
		if (strcmp(command->name, name) == 0)
			return command;
	}
	return NULL;
}

int command_option(int argc, char **argv)
{
	const struct command *command = command_find(argv[0]);
	struct option longs[COMMAND_OPTIONS_MAX + 1] = { { NULL, 0, NULL, 0 } };
	char shorts[2 * COMMAND_OPTIONS_MAX + 1] = "";
	size_t used = 0;

	for (size_t i = 0; command->options[i].name != NULL; i++) {
		const struct command_option *option = &command->options[i];

		longs[i] = (struct option){ option->name, option->word != WORD_NONE ? required_argument : no_argument, NULL,
					    option->letter };
		if (option->is_short)
			shorts[used++] = option->letter;
		if (option->is_short && option->word != WORD_NONE)
			shorts[used++] = ':';
	}
	shorts[used] = '\0';
	return getopt_long(argc, argv, shorts, longs, NULL);
}

bool ctl_parse_count(const char *text, unsigned long max, unsigned long *count)
{
	char *end;

	/* strtoul() takes "-1" for a very large number, and what is no number at all for 0. */
	if (!isdigit((unsigned char)*text))
		return false;
	errno = 0;
	*count = strtoul(text, &end, 10);
	return errno == 0 && *end == '\0' && *count >= 1 && *count <= max;
}

static void print_option(FILE *out, const struct command_option *option)
{
	fprintf(out, " [");
	if (option->is_short)
		fprintf(out, "-%c|", option->letter);
	fprintf(out, "--%s%s%s]", option->name, option->word != WORD_NONE ? " " : "", word_names[option->word]);
}

int command_usage(const char *name)
{
	const struct command *command = command_find(name);

	fprintf(stderr, "usage: gantryctl %s", name);
	for (size_t i = 0; command->options[i].name != NULL; i++)
		print_option(stderr, &command->options[i]);
	fprintf(stderr, "%s%s\n", command->operands[0] != '\0' ? " " : "", command->operands);
	return CONTROL_USAGE;
}

/* -- the table as a document ------------------------------------------------------------------ */

static json_t *options_record(const struct command *command)
{
	json_t *list = json_array();

	for (size_t i = 0; command->options[i].name != NULL; i++) {
		const struct command_option *option = &command->options[i];
		char letter[2] = { option->letter, '\0' };

		json_array_append_new(list, json_pack("{s:s,s:o,s:o}", "name", option->name, "short",
			json_at_text(option->is_short ? letter : NULL), "argument",
			json_at_text(option->word != WORD_NONE ? word_names[option->word] : NULL)));
	}
	return list;
}

json_t *commands_record(void)
{
	static const char *const kinds[] = {
		[COMMAND_JSON_DOCUMENT] = "document", [COMMAND_JSON_LINES] = "lines", [COMMAND_JSON_NONE] = "none",
	};
	json_t *list = json_array();

	for (const struct command *command = commands; command->name != NULL; command++)
		json_array_append_new(list, json_pack("{s:s,s:s,s:s,s:s,s:o}", "name", command->name, "operands",
			command->operands, "text", command->text, "json", kinds[command->json], "options",
			options_record(command)));
	return list;
}
