/* SPDX-License-Identifier: Apache-2.0 */
/* steer_commands.c - reload, upgrade, stop, workers: a request, a verdict. */
#include <ctype.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "ctl/control_client.h"

/* A reload checks the file, warms up and may wait for an old generation to leave. */
enum { VERDICT_TIMEOUT_S = 600, ANSWER_TIMEOUT_S = 10 };

struct verdict {
	struct ctl *ctl;
	json_t *doc;
};

static void on_line(void *arg, const struct control_line *line)
{
	struct verdict *verdict = arg;

	for (size_t i = 0; i < line->count; i++) {
		if (verdict->ctl->json)
			json_object_set_new(verdict->doc, line->words[i].key, json_at_text(line->words[i].value));
		else if (strcmp(line->words[i].key, "text") == 0)
			puts(line->words[i].value);
	}
}

/* Sends the request and prints how it ended. */
static int steer(struct ctl *ctl, const char *request, double timeout_s, const char *done_text)
{
	struct verdict verdict = { .ctl = ctl, .doc = json_object() };
	struct error why = { 0 };
	enum control_status status = control_ask(ctl, request, timeout_s, on_line, &verdict, &why);

	if (ctl->json) {
		json_object_set_new(verdict.doc, "status", json_integer(status));
		if (status != CONTROL_DONE)
			json_object_set_new(verdict.doc, "why", json_at_text(why.text));
		json_dumpf(verdict.doc, stdout, JSON_COMPACT);
		putchar('\n');
	} else if (status == CONTROL_DONE) {
		puts(done_text);
	} else {
		fprintf(stderr, "gantryctl: %s\n", why.text);
	}
	json_decref(verdict.doc);
	return status;
}

struct steer_choice { bool wait, fast; };

static bool parse_choice(int argc, char **argv, struct steer_choice *choice)
{
	int option;

	*choice = (struct steer_choice){ .wait = true };
	while ((option = command_option(argc, argv)) != -1) {
		if (option == 'n')
			choice->wait = false;
		else if (option == 'f')
			choice->fast = true;
		else
			return false;
	}
	return optind == argc;
}

int run_reload(struct ctl *ctl, int argc, char **argv)
{
	struct steer_choice choice;

	if (!parse_choice(argc, argv, &choice) || choice.fast)
		return command_usage("reload");
	return choice.wait ? steer(ctl, "reload wait=1", VERDICT_TIMEOUT_S, "reloaded")
			   : steer(ctl, "reload wait=0", ANSWER_TIMEOUT_S, "reload requested");
}

int run_upgrade(struct ctl *ctl, int argc, char **argv)
{
	struct steer_choice choice;

	if (!parse_choice(argc, argv, &choice) || choice.fast)
		return command_usage("upgrade");
	return choice.wait ? steer(ctl, "upgrade wait=1", VERDICT_TIMEOUT_S, "upgraded")
			   : steer(ctl, "upgrade wait=0", ANSWER_TIMEOUT_S, "upgrade requested");
}

int run_stop(struct ctl *ctl, int argc, char **argv)
{
	struct steer_choice choice;

	if (!parse_choice(argc, argv, &choice))
		return command_usage("stop");
	if (choice.fast)
		return choice.wait ? steer(ctl, "quit wait=1", VERDICT_TIMEOUT_S, "stopped")
				   : steer(ctl, "quit wait=0", ANSWER_TIMEOUT_S, "stop requested");
	return choice.wait ? steer(ctl, "stop wait=1", VERDICT_TIMEOUT_S, "stopped")
			   : steer(ctl, "stop wait=0", ANSWER_TIMEOUT_S, "stop requested");
}

int run_workers(struct ctl *ctl, int argc, char **argv)
{
	char request[64];
	char *end;

	if (argc != 2)
		return command_usage("workers");
	strtol(argv[1], &end, 10);
	if (isspace((unsigned char)argv[1][0]) || end == argv[1] || *end != '\0' || strlen(argv[1]) > 6)
		return command_usage("workers");
	snprintf(request, sizeof(request), "workers count=%s", argv[1]);
	return steer(ctl, request, ANSWER_TIMEOUT_S, "workers changed until the next reload");
}
