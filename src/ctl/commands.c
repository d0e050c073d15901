/* SPDX-License-Identifier: Apache-2.0 */
/* commands.c - the table of gantryctl's commands; help and usage are made from it. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/ctl.h"

const struct command commands[] = {
	{ "status", "", "generations, workers, queues, and how the last reload ended", run_status },
	{ "reload", "[--no-wait]", "check the configuration, start a new generation, drain the old one", run_reload },
	{ "upgrade", "[--no-wait]", "go over to the programs on disk, in the same process", run_upgrade },
	{ "stop", "[--fast] [--no-wait]", "drain and leave; --fast hands all jobs over at once", run_stop },
	{ "workers", "+1|-1|N", "more or fewer workers, until the next reload", run_workers },
	{ "conf", "[KEY]", "the configuration with its defaults, secrets masked", run_conf },
	{ "check", "[FILE]", "check a configuration", run_check },
	{ "submit", "[--wait] [--queue Q] FILE|- | --project P [--deployer D] [--ref R] [--commit C] [--id ID] [--delay T] [--env N=V]",
	  "ask for a deployment", run_submit },
	{ "jobs", "[--state S] [--project P] [--deployer D] [--count N]", "jobs, newest first", run_jobs },
	{ "show", "JOB", "all that is known of a job", run_show },
	{ "why", "JOB", "what a job waits for: who holds its lock, how many are ahead, when the next try is", run_why },
	{ "cancel", "JOB [--no-wait]", "end a job, and wait until its deployment has really stopped", run_cancel },
	{ "retry", "JOB", "run a finished job once more", run_retry },
	{ "locks", "", "the keys that are held, by which job, and how many wait", run_locks },
	{ "unlock", "KEY [--no-wait]", "free a key by ending the job that holds it", run_unlock },
	{ "queues", "", "what waits in each queue", run_queues },
	{ "peek", "QUEUE [--count N]", "show waiting messages without taking them away", run_peek },
	{ "redrive", "QUEUE", "move what is in its dead-letter queue back into it", run_redrive },
	{ "outbox", "[replay ID|all]", "what is still to be told to whom, and what was given up", run_outbox },
	{ "send", "QUEUE [-] [--count N] [--client-name NAME] [--prepend TEXT] [--group G] [--dedup ID]",
	  "send numbered messages, or one for each line of standard input", run_send },
	{ "receive", "QUEUE [--count N] [--idle TIME] [--client-name NAME] [--prepend TEXT]",
	  "show messages in order of arrival and delete them", run_receive },
	{ NULL, NULL, NULL, NULL },
};

const struct command *command_find(const char *name)
{
	for (const struct command *command = commands; command->name != NULL; command++) {
		if (strcmp(command->name, name) == 0)
			return command;
	}
	return NULL;
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

int command_usage(const char *name)
{
	const struct command *command = command_find(name);

	fprintf(stderr, "usage: gantryctl %s %s\n", command->name, command->usage);
	return CONTROL_USAGE;
}
