/* SPDX-License-Identifier: Apache-2.0 */
/* send_command.c - a publisher by hand: numbered messages, or a message for each line of input.
 *
 * One batch of ten is under way at a time, so that a FIFO group arrives in the order of numbers. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/random.h"
#include "ctl/hand.h"

enum { SEND_BATCH = 10, SEND_COUNT_DEFAULT = 100, SEND_COUNT_MAX = 10000000 };

struct sender {
	struct hand hand;
	const char *client_name, *prepend, *group, *dedup;
	bool from_input;                /* a message for each line of standard input */
	bool input_ended;
	unsigned long count, sent, made;
	char run_id[RANDOM_ID_BYTES];   /* keeps deduplication ids of two runs apart */
	struct queue_outgoing batch[SEND_BATCH];
	size_t batch_count;
	int status;
};

/* The next line without its newline, or NULL at the end. */
static char *next_line(struct sender *sender)
{
	char *line = NULL;
	size_t room = 0;
	ssize_t size = getline(&line, &room, stdin);

	if (size <= 0) {
		sender->input_ended = true;
		free(line);
		return NULL;
	}
	line[strcspn(line, "\n")] = '\0';
	return line;
}

static char *next_body(struct sender *sender)
{
	if (sender->from_input)
		return next_line(sender);
	if (sender->made >= sender->count)
		return NULL;
	return xasprintf("%s%s message %lu", sender->prepend, sender->client_name, sender->made + 1);
}

static bool fill_batch(struct sender *sender)
{
	char *body;

	while (sender->batch_count < SEND_BATCH && (body = next_body(sender)) != NULL) {
		struct queue_outgoing *message = &sender->batch[sender->batch_count];

		if (body[0] == '\0') {
			free(body);
			continue;
		}
		sender->made++;
		*message = (struct queue_outgoing){ .body = body, .group = sender->group };
		/* A standard queue takes groups (fair queues), but no deduplication ids. */
		if (queue_ordered(sender->hand.queue))
			message->dedup = xasprintf("%s-%lu", sender->dedup != NULL ? sender->dedup : sender->run_id, sender->made);
		sender->batch_count++;
	}
	return sender->batch_count > 0;
}

static void empty_batch(struct sender *sender)
{
	for (size_t i = 0; i < sender->batch_count; i++) {
		free((char *)sender->batch[i].body);
		free((char *)sender->batch[i].dedup);
	}
	sender->batch_count = 0;
}

static void send_batch(struct sender *sender);

static void on_sent(void *arg, size_t sent, const struct error *err)
{
	struct sender *sender = arg;

	sender->sent += sent;
	if (sender->hand.ctl->terminal && !sender->hand.ctl->json) {
		printf("\r%lu sent", sender->sent);
		fflush(stdout);
	}
	empty_batch(sender);
	if (err != NULL) {
		if (sender->hand.ctl->terminal && !sender->hand.ctl->json)
			putchar('\n');
		fflush(stdout);
		fprintf(stderr, "gantryctl: after %lu messages: %s\n", sender->sent, err->text);
		sender->status = CONTROL_FAILED;
		ev_break(sender->hand.loop, EVBREAK_ALL);
		return;
	}
	send_batch(sender);
}

static void send_batch(struct sender *sender)
{
	if (fill_batch(sender))
		queue_send(sender->hand.queue, sender->batch, sender->batch_count, on_sent, sender);
	else
		ev_break(sender->hand.loop, EVBREAK_ALL);
}

static bool parse(struct sender *sender, int argc, char **argv)
{
	int option;

	while ((option = command_option(argc, argv)) != -1) {
		if (option == 'c')
			sender->client_name = optarg;
		else if (option == 'p')
			sender->prepend = optarg;
		else if (option == 'g')
			sender->group = optarg;
		else if (option == 'd')
			sender->dedup = optarg;
		else if (option != 'n' || !ctl_parse_count(optarg, SEND_COUNT_MAX, &sender->count))
			return false;
	}
	sender->from_input = optind + 2 == argc && strcmp(argv[optind + 1], "-") == 0;
	return optind + (sender->from_input ? 2 : 1) == argc;
}

static void report(const struct sender *sender, const char *queue)
{
	if (sender->hand.ctl->json) {
		json_t *doc = json_pack("{s:o,s:I}", "queue", json_at_text(queue), "sent", (json_int_t)sender->sent);

		json_dumpf(doc, stdout, JSON_COMPACT);
		putchar('\n');
		json_decref(doc);
	} else
		printf("%s%lu messages sent to %s\n", sender->hand.ctl->terminal ? "\r" : "", sender->sent, queue);
}

int run_send(struct ctl *ctl, int argc, char **argv)
{
	struct sender sender = { .count = SEND_COUNT_DEFAULT, .client_name = "gantryctl", .prepend = "" };
	struct queue_events events = { 0 };
	const char *queue;

	if (!parse(&sender, argc, argv))
		return command_usage("send");
	queue = argv[optind];
	random_id(sender.run_id);
	if (!hand_open(&sender.hand, ctl, queue, &events)) {
		hand_close(&sender.hand);
		return CONTROL_FAILED;
	}
	if (sender.group == NULL && queue_ordered(sender.hand.queue))
		sender.group = sender.client_name;
	send_batch(&sender);
	if (sender.batch_count > 0)
		ev_run(sender.hand.loop, 0);
	report(&sender, queue);
	empty_batch(&sender);
	hand_close(&sender.hand);
	return sender.status;
}
