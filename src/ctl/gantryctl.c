/* SPDX-License-Identifier: Apache-2.0 */
/* gantryctl.c - the operator's hands: options, then one command. */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config.h"
#include "ctl/ctl.h"

static const struct option options[] = {
	{ "config", required_argument, NULL, 'c' },
	{ "json", no_argument, NULL, 'j' },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'V' },
	{ NULL, 0, NULL, 0 },
};

static int help(const struct ctl *ctl, FILE *out, int status)
{
	if (ctl->json && status == CONTROL_DONE) {
		json_t *doc = commands_record();

		ctl_print_json(doc);
		json_decref(doc);
		return status;
	}
	fprintf(out, "usage: gantryctl [-c FILE] [--json] COMMAND ...\n\n");
	for (const struct command *command = commands; command->name != NULL; command++)
		fprintf(out, "  %-10s %s\n", command->name, command->text);
	fprintf(out, "\nSee gantryctl(8).\n");
	return status;
}

/* --json may also follow the command, where people write it. */
static int take_json(struct ctl *ctl, int argc, char **argv)
{
	int kept = 0;

	for (int i = 0; i < argc; i++) {
		if (strcmp(argv[i], "--json") == 0)
			ctl->json = true;
		else
			argv[kept++] = argv[i];
	}
	argv[kept] = NULL;
	return kept;
}

int main(int argc, char **argv)
{
	struct ctl ctl = { .file = SYSCONFDIR "/gantry/gantry.yaml", .terminal = isatty(STDOUT_FILENO) };
	const struct command *command;
	int option, status;

	/* A gantryd or a reader that goes away is an error of the write that finds out. */
	signal(SIGPIPE, SIG_IGN);
	/* "+": the first word that is no option is the command; the rest is its own. */
	while ((option = getopt_long(argc, argv, "+c:hV", options, NULL)) != -1) {
		switch (option) {
		case 'c':
			ctl.file = optarg;
			break;
		case 'j':
			ctl.json = true;
			break;
		case 'h':
			return help(&ctl, stdout, CONTROL_DONE);
		case 'V':
			printf("gantryctl %s\n", PACKAGE_VERSION);
			return CONTROL_DONE;
		default:
			return help(&ctl, stderr, CONTROL_USAGE);
		}
	}
	if (optind == argc)
		return help(&ctl, stderr, CONTROL_USAGE);
	command = command_find(argv[optind]);
	if (command == NULL) {
		fprintf(stderr, "gantryctl: no command \"%s\"\n", argv[optind]);
		return help(&ctl, stderr, CONTROL_USAGE);
	}
	argc = take_json(&ctl, argc - optind, argv + optind);
	argv += optind;
	optind = 0;
	if (ctl.json && command->json == COMMAND_JSON_NONE) {
		fprintf(stderr, "gantryctl: %s prints nothing that a program could read; see status, queues and jobs\n",
			command->name);
		return CONTROL_USAGE;
	}
	status = command->run(&ctl, argc, argv);
	conf_destroy(ctl.conf);
	if (fflush(stdout) != 0 && status == CONTROL_DONE)
		status = CONTROL_FAILED;
	return status;
}
