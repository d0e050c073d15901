/* SPDX-License-Identifier: Apache-2.0 */
/* queues_commands.c - queues, peek, redrive: what waits in a queue, and its dead letters brought back. */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/control_client.h"
#include "ctl/hand.h"
#include "ipc/status_record.h"
#include "job/job_record.h"

enum { PEEK_DEFAULT = 10, PEEK_MAX = 100, RATES_TIMEOUT_S = 5 };

/* One question to one queue. */
struct question {
	struct hand hand;
	json_t *list;
	const json_t *gantryd;          /* what it says of itself */
	int status;
};

static void fail(struct question *question, const struct error *err)
{
	fprintf(stderr, "gantryctl: queue %s: %s\n", queue_name(question->hand.queue), err->text);
	question->status = CONTROL_FAILED;
}

static void drop(void *arg, struct queue_message **messages, size_t count)
{
	/* Never started, so it receives nothing. */
	(void)arg, (void)messages, (void)count;
}

static const struct queue_events no_events = { .received = drop };

static bool open_question(struct question *question, struct ctl *ctl, const char *queue_name)
{
	if (hand_open(&question->hand, ctl, queue_name, &no_events))
		return true;
	question->status = CONTROL_FAILED;
	return false;
}

static void end_question(struct question *question)
{
	ev_break(question->hand.loop, EVBREAK_ALL);
}

/* -- queues ----------------------------------------------------------------------------------- */

static void set_number(json_t *object, const char *key, int64_t number)
{
	json_object_set_new(object, key, number >= 0 ? json_integer(number) : json_null());
}

static void show_number(int64_t number)
{
	if (number < 0)
		printf(" %9s", "-");
	else
		printf(" %9" PRId64, number);
}

/* A queue of the store's has nothing that is received, and a gantryd that does not run tells nothing. */
static int64_t rate_of(const struct question *question, const char *key)
{
	const char *name = queue_name(question->hand.queue);
	const struct conf_queue *conf = conf_find_queue(ctl_conf(question->hand.ctl), name);
	const json_t *rate = NULL;

	if (conf != NULL && conf->type != CONF_QUEUE_STORE)
		rate = status_record_rate(question->gantryd, name);
	return rate != NULL ? json_integer_value(json_object_get(rate, key)) : -1;
}

static void on_depth(void *arg, const struct queue_depth *depth, const struct error *err)
{
	struct question *question = arg;
	const char *name = queue_name(question->hand.queue);
	json_t *object;

	end_question(question);
	if (err != NULL) {
		fail(question, err);
		return;
	}
	if (!question->hand.ctl->json) {
		printf("%-20s", name);
		show_number(depth->visible);
		show_number(depth->hidden);
		show_number(depth->delayed);
		show_number(rate_of(question, "received_per_minute"));
		show_number(rate_of(question, "settled_per_minute"));
		printf("  %s\n", depth->dead_letter[0] != '\0' ? depth->dead_letter : "-");
		return;
	}
	object = json_object();
	json_object_set_new(object, "name", json_at_text(name));
	set_number(object, "waiting", depth->visible);
	set_number(object, "in_flight", depth->hidden);
	set_number(object, "delayed", depth->delayed);
	set_number(object, "oldest_age_ms", depth->oldest_age_ms);
	set_number(object, "received_per_minute", rate_of(question, "received_per_minute"));
	set_number(object, "settled_per_minute", rate_of(question, "settled_per_minute"));
	json_object_set_new(object, "dead_letter", json_at_text(depth->dead_letter[0] != '\0' ? depth->dead_letter : NULL));
	set_number(object, "max_receives", depth->max_receives > 0 ? (int64_t)depth->max_receives : -1);
	json_array_append_new(question->list, object);
}

static void on_status_line(void *arg, const struct control_line *line)
{
	status_record_add(arg, line);
}

/* As far as it answers: queues are asked without it. */
static json_t *ask_gantryd(struct ctl *ctl)
{
	json_t *doc = status_record_create();
	struct error why;

	control_ask(ctl, "status", RATES_TIMEOUT_S, on_status_line, doc, &why);
	return doc;
}

int run_queues(struct ctl *ctl, int argc, char **argv)
{
	struct question question = { .status = CONTROL_DONE };
	const struct conf *conf;
	json_t *gantryd;

	(void)argv;
	if (argc != 1)
		return command_usage("queues");
	conf = ctl_conf(ctl);
	if (conf == NULL)
		return CONTROL_FAILED;
	question.list = json_array();
	question.gantryd = gantryd = ask_gantryd(ctl);
	if (ctl->terminal && !ctl->json)
		printf("%-20s %9s %9s %9s %9s %9s  %s\n", "queue", "waiting", "in flight", "delayed", "taken/min", "done/min",
			"dead letters go to");
	for (size_t i = 0; i < conf->queue_count; i++) {
		if (open_question(&question, ctl, conf->queues[i].name)) {
			queue_depth(question.hand.queue, on_depth, &question);
			ev_run(question.hand.loop, 0);
		}
		hand_close(&question.hand);
	}
	if (ctl->json)
		ctl_print_json(question.list);
	json_decref(question.list);
	json_decref(gantryd);
	return question.status;
}

/* -- peek ------------------------------------------------------------------------------------- */

/* One line, whatever a stranger has sent: --json has the body as it is. */
static void show_text(const struct queue_peeked *message)
{
	char *body = json_at_clean(message->body, message->body_bytes);

	ctl_print_text(message->id);
	if (message->group != NULL)
		printf(" [%s]", message->group);
	if (message->deliveries > 1)
		printf(" (received %u times)", message->deliveries);
	putchar(' ');
	ctl_print_text(body);
	putchar('\n');
	free(body);
}

static json_t *peeked_record(const struct queue_peeked *message)
{
	char *body = json_at_clean(message->body, message->body_bytes);
	json_t *object = json_pack("{s:o,s:o,s:i,s:o}", "id", json_at_text(message->id), "group",
		json_at_text(message->group), "deliveries", (int)message->deliveries, "body", json_at_text(body));

	job_record_stamp(object, "sent", message->sent_ms);
	free(body);
	return object;
}

static void on_peeked(void *arg, const struct queue_peeked *messages, size_t count, const struct error *err)
{
	struct question *question = arg;
	bool json = question->hand.ctl->json;
	json_t *list = json_array();

	end_question(question);
	for (size_t i = 0; i < count; i++) {
		if (json)
			json_array_append_new(list, peeked_record(&messages[i]));
		else
			show_text(&messages[i]);
	}
	if (json && (err == NULL || count > 0))
		ctl_print_json(list);
	json_decref(list);
	/* What was seen before it failed has been shown. */
	if (err != NULL)
		fail(question, err);
	else if (count == 0 && !json)
		fprintf(stderr, "no message is visible at the moment\n");
}

int run_peek(struct ctl *ctl, int argc, char **argv)
{
	struct question question = { .status = CONTROL_DONE };
	unsigned long count = PEEK_DEFAULT;
	int option;

	while ((option = command_option(argc, argv)) != -1) {
		if (option != 'n' || !ctl_parse_count(optarg, PEEK_MAX, &count))
			return command_usage("peek");
	}
	if (optind + 1 != argc)
		return command_usage("peek");
	if (open_question(&question, ctl, argv[optind])) {
		queue_peek(question.hand.queue, (unsigned)count, on_peeked, &question);
		ev_run(question.hand.loop, 0);
	}
	hand_close(&question.hand);
	return question.status;
}

/* -- redrive ---------------------------------------------------------------------------------- */

static void on_progress(void *arg, uint64_t moved, int64_t total)
{
	const struct question *question = arg;

	if (!question->hand.ctl->terminal || question->hand.ctl->json)
		return;
	if (total >= 0)
		printf("\r%" PRIu64 " of about %" PRId64 " moved ", moved, total);
	else
		printf("\r%" PRIu64 " moved ", moved);
	fflush(stdout);
}

static void on_redriven(void *arg, uint64_t moved, const struct error *err)
{
	struct question *question = arg;

	end_question(question);
	if (err != NULL) {
		fail(question, err);
	} else if (question->hand.ctl->json) {
		printf("{\"moved\": %" PRIu64 "}\n", moved);
	} else {
		printf("%s%" PRIu64 " messages moved back\n", question->hand.ctl->terminal ? "\r" : "", moved);
	}
}

int run_redrive(struct ctl *ctl, int argc, char **argv)
{
	struct question question = { .status = CONTROL_DONE };

	if (argc != 2)
		return command_usage("redrive");
	if (open_question(&question, ctl, argv[1])) {
		queue_redrive(question.hand.queue, on_progress, on_redriven, &question);
		ev_run(question.hand.loop, 0);
	}
	hand_close(&question.hand);
	return question.status;
}
