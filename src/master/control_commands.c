/* SPDX-License-Identifier: Apache-2.0 */
/* control_commands.c - what may be asked on the control socket. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "master/control.h"
#include "master/master.h"
#include "master/version.h"

typedef void command_fn(struct control_client *client, const struct control_line *line);

void control_end(struct control_client *client, enum control_status status, const char *why)
{
	/* An answer that did not fit would look like a whole one. */
	if (client->out.overflowed) {
		buf_clear(&client->out);
		client->sent = 0;
		status = CONTROL_FAILED;
		why = "the answer is too long";
	}
	if (status == CONTROL_DONE && why[0] != '\0') {
		control_line_begin(&client->out, "note");
		control_line_text(&client->out, "text", why);
		control_line_end(&client->out);
	}
	control_line_begin(&client->out, "end");
	control_line_number(&client->out, "status", status);
	if (status != CONTROL_DONE)
		control_line_text(&client->out, "why", why);
	control_line_end(&client->out);
}

/* A request while stopping is refused at once rather than left for a reader who has gone. */
static bool refuse_stopping(struct control_client *client)
{
	if (!stop_is_under_way(&client->control->master->stop))
		return false;
	control_end(client, CONTROL_STOPPING, "gantryd is stopping");
	return true;
}

static void ask(struct control_client *client, const struct control_line *line, enum request request,
	enum control_wait wait)
{
	const char *wants = control_line_find(line, "wait");

	if (refuse_stopping(client))
		return;
	requests_set(&client->control->master->requests, request);
	if (wants != NULL && strcmp(wants, "0") == 0)
		control_end(client, CONTROL_DONE, "");
	else
		client->wait = wait;
}

static void command_status(struct control_client *client, const struct control_line *line)
{
	const struct master *master = client->control->master;
	const char *figures = control_line_find(line, "figures");

	control_status_write(master, &client->out);
	if (figures != NULL && strcmp(figures, "1") == 0)
		tally_write(&master->tally, &master->roster, &client->out);
	control_end(client, CONTROL_DONE, "");
}

static void command_reload(struct control_client *client, const struct control_line *line)
{
	ask(client, line, REQUEST_RELOAD, CONTROL_WAIT_NEXT_RELOAD);
	/* Asked again while one waits for room: the answer is again that it waits. */
	client->control->master->reload.deferral_told = false;
}

static void command_upgrade(struct control_client *client, const struct control_line *line)
{
	ask(client, line, REQUEST_UPGRADE, CONTROL_WAIT_UPGRADE);
}

static void ask_to_stop(struct control_client *client, const struct control_line *line, enum request request)
{
	const char *wants = control_line_find(line, "wait");

	requests_set(&client->control->master->requests, request);
	if (wants != NULL && strcmp(wants, "1") == 0)
		client->wait = CONTROL_WAIT_STOP;
	else
		control_end(client, CONTROL_DONE, "");
}

static void command_stop(struct control_client *client, const struct control_line *line)
{
	ask_to_stop(client, line, REQUEST_STOP);
}

static void command_quit(struct control_client *client, const struct control_line *line)
{
	ask_to_stop(client, line, REQUEST_FAST_STOP);
}

/* "4", or "+1" and "-1" from what is asked for so far. */
static bool parse_count(const struct master *master, const char *text, int *count)
{
	int now = master->scale_to > 0 ? master->scale_to : (int)master->roster.current->slot_count;
	char *end;
	long value;

	errno = 0;
	value = strtol(text, &end, 10);
	if (errno != 0 || end == text || *end != '\0' || isspace((unsigned char)*text) ||
	    labs(value) > LIMIT_WORKERS)
		return false;
	*count = text[0] == '+' || text[0] == '-' ? now + (int)value : (int)value;
	return *count >= 1 && *count <= LIMIT_WORKERS;
}

static void command_workers(struct control_client *client, const struct control_line *line)
{
	struct master *master = client->control->master;
	const char *text = control_line_find(line, "count");
	char why[64];
	int count;

	if (refuse_stopping(client))
		return;
	if (master->roster.current == NULL) {
		control_end(client, CONTROL_FAILED, "gantryd is starting");
	} else if (text == NULL || !parse_count(master, text, &count)) {
		snprintf(why, sizeof(why), "count is a number from 1 to %d, +1 or -1", LIMIT_WORKERS);
		control_end(client, CONTROL_USAGE, why);
	} else {
		master->scale_to = count;
		requests_set(&master->requests, REQUEST_SCALE_TO);
		snprintf(why, sizeof(why), "%d workers until the next reload", count);
		control_end(client, CONTROL_DONE, why);
	}
}

static void command_reopen(struct control_client *client, const struct control_line *line)
{
	(void)line;
	requests_set(&client->control->master->requests, REQUEST_REOPEN);
	control_end(client, CONTROL_DONE, "");
}

static void command_hint(struct control_client *client, const struct control_line *line)
{
	(void)line;
	hint_give(&client->control->master->hint);
	control_end(client, CONTROL_DONE, "");
}

static void command_version(struct control_client *client, const struct control_line *line)
{
	(void)line;
	control_line_begin(&client->out, "daemon");
	control_line_text(&client->out, "version", version_text());
	control_line_end(&client->out);
	control_end(client, CONTROL_DONE, "");
}

static const struct { const char *name; command_fn *fn; } commands[] = {
	{ "status", command_status },
	{ "reload", command_reload },
	{ "upgrade", command_upgrade },
	{ "stop", command_stop },
	{ "quit", command_quit },
	{ "workers", command_workers },
	{ "reopen", command_reopen },
	{ "hint", command_hint },
	{ "version", command_version },
};

void control_command(struct control_client *client, const char *text, size_t size)
{
	struct control_line line;
	struct error err;
	char why[128];

	if (size > LIMIT_CONTROL_LINE_BYTES) {
		snprintf(why, sizeof(why), "a line has at most %d bytes", LIMIT_CONTROL_LINE_BYTES);
		control_end(client, CONTROL_USAGE, why);
		return;
	}
	if (!control_line_parse(&line, text, size, &err)) {
		control_end(client, CONTROL_USAGE, err.text);
		return;
	}
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (strcmp(commands[i].name, line.name) == 0) {
			commands[i].fn(client, &line);
			goto out;
		}
	}
	snprintf(why, sizeof(why), "%.60s is no request", line.name);
	control_end(client, CONTROL_USAGE, why);
out:
	control_line_finish(&line);
}
