/* SPDX-License-Identifier: Apache-2.0 */
/* log_command.c - log: what a deployment has written, and with --follow what it goes on to write, over all its
 * attempts until the last one has ended. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "ctl/job_follow.h"
#include "ctl/job_print.h"
#include "ctl/store_access.h"

struct log_command {
	struct asking asking;
	struct job_follow_options options;
	struct job_follow *follow;
	const char *id;
	unsigned attempt;               /* whose log was printed last */
};

static void on_log(void *arg, unsigned attempt, int64_t offset, const char *bytes, size_t size)
{
	struct log_command *command = arg;

	if (command->attempt != 0 && command->attempt != attempt && !command->asking.ctl->json)
		fprintf(stderr, "gantryctl: attempt %u\n", attempt);
	command->attempt = attempt;
	if (job_print_log(command->asking.ctl, attempt, offset, bytes, size))
		return;
	/* Nobody reads it any more. */
	ev_break(command->asking.loop, EVBREAK_ALL);
}

static void on_trouble(void *arg, const char *text)
{
	(void)arg;
	fprintf(stderr, "gantryctl: %s\n", text);
}

static void on_over(void *arg, const struct job *job, const struct error *err)
{
	struct log_command *command = arg;
	unsigned wanted = command->options.attempt;

	ev_break(command->asking.loop, EVBREAK_ALL);
	if (err != NULL) {
		fprintf(stderr, "gantryctl: %s: %s\n", command->id, err->text);
	} else if (job->attempt.number < wanted) {
		fprintf(stderr, "gantryctl: %s has had %u attempts\n", command->id, job->attempt.number);
	} else {
		command->asking.status = CONTROL_DONE;
		if (command->attempt == 0 && command->asking.ctl->terminal)
			fprintf(stderr, "gantryctl: %s is %s and has written nothing\n", command->id, job_state_name(job->state));
	}
}

static void run(struct log_command *command)
{
	static const struct job_follow_events events = { .log = on_log, .trouble = on_trouble, .over = on_over };
	struct log_source_env env = {
		.loop = command->asking.loop, .log = &command->asking.log, .conf = command->asking.ctl->conf,
	};

	command->follow = job_follow_create(&env, command->asking.store, command->id, &command->options, &events, command);
	ev_run(command->asking.loop, 0);
	job_follow_destroy(command->follow);
}

int run_log(struct ctl *ctl, int argc, char **argv)
{
	struct log_command command = { .options = { .once = true } };
	unsigned long attempt = 0;
	int option;

	while ((option = command_option(argc, argv)) != -1) {
		if (option == 'f')
			command.options.once = false;
		else if (option != 'a' || !ctl_parse_count(optarg, UINT32_MAX, &attempt))
			return command_usage("log");
	}
	if (optind + 1 != argc)
		return command_usage("log");
	command.id = argv[optind];
	command.options.attempt = (unsigned)attempt;
	if (asking_open_to_read(&command.asking, ctl))
		run(&command);
	asking_close(&command.asking);
	return command.asking.status;
}
