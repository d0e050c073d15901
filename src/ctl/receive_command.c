/* SPDX-License-Identifier: Apache-2.0 */
/* receive_command.c - a subscriber by hand: shows messages in their order of arrival and deletes
 * what it showed, never before it was shown. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "base/quantity.h"
#include "ctl/hand.h"

enum { RECEIVE_COUNT_DEFAULT = 100, RECEIVE_COUNT_MAX = 1000000000, RECEIVE_ROOM = 100 };

struct receiver {
	struct hand hand;
	const char *client_name, *prepend;
	unsigned long count;            /* how many to show; then we leave */
	unsigned long shown, settled, failed;
	size_t returning;               /* given back, not answered yet */
	int64_t idle_ms;                /* leave after this long without a message; 0: never */
	ev_timer idle;
	ev_signal on_int, on_term;
	bool stopping, stopped;
	bool unseen;                    /* standard output takes nothing any more */
	int status;
};

static void check_end(struct receiver *receiver)
{
	if (receiver->stopped && receiver->returning == 0 && receiver->settled + receiver->failed == receiver->shown)
		ev_break(receiver->hand.loop, EVBREAK_ALL);
}

static void on_stopped(void *arg, const struct error *err)
{
	struct receiver *receiver = arg;

	(void)err;
	receiver->stopped = true;
	check_end(receiver);
}

static void stop(struct receiver *receiver)
{
	if (receiver->stopping)
		return;
	receiver->stopping = true;
	ev_timer_stop(receiver->hand.loop, &receiver->idle);
	queue_stop(receiver->hand.queue, on_stopped, receiver);
}

static void on_settled(void *arg, const struct error *err)
{
	struct receiver *receiver = arg;

	if (err != NULL) {
		fprintf(stderr, "gantryctl: a message that was shown could not be deleted: %s\n", err->text);
		receiver->failed++;
		receiver->status = CONTROL_FAILED;
	} else {
		receiver->settled++;
	}
	check_end(receiver);
}

static void on_returned(void *arg, const struct error *err)
{
	struct receiver *receiver = arg;

	(void)err;
	receiver->returning--;
	check_end(receiver);
}

/* What is not waited for would stay hidden for its whole visibility timeout. */
static void give_back(struct receiver *receiver, struct queue_message **messages, size_t count)
{
	receiver->returning += count;
	for (size_t i = 0; i < count; i++)
		queue_settle(messages[i], QUEUE_RETURN, on_returned, receiver);
}

static void show_json(const struct receiver *receiver, const struct queue_message *message)
{
	json_t *doc = json_object();
	char *body = json_at_clean(message->body, message->body_bytes);

	json_object_set_new(doc, "number", json_integer((json_int_t)receiver->shown));
	json_object_set_new(doc, "id", json_at_text(message->id));
	json_object_set_new(doc, "group", json_at_text(message->group));
	json_object_set_new(doc, "deliveries", json_integer(message->deliveries));
	json_object_set_new(doc, "body", json_at_text(body));
	json_dumpf(doc, stdout, JSON_COMPACT);
	putchar('\n');
	json_decref(doc);
	free(body);
}

static void show_text(const struct receiver *receiver, const struct queue_message *message)
{
	printf("%s%s%s%lu", receiver->prepend, receiver->client_name, receiver->client_name[0] != '\0' ? " " : "",
		receiver->shown);
	if (message->group != NULL)
		printf(" [%s]", message->group);
	if (message->deliveries > 1)
		printf(" (delivery %u)", message->deliveries);
	putchar(' ');
	fwrite(message->body, 1, message->body_bytes, stdout);
	putchar('\n');
}

/* False when nobody can have seen it: the reader of a pipe has gone, or the disk is full. */
static bool show(struct receiver *receiver, const struct queue_message *message)
{
	receiver->shown++;
	if (receiver->hand.ctl->json)
		show_json(receiver, message);
	else
		show_text(receiver, message);
	if (fflush(stdout) == 0 && !ferror(stdout))
		return true;
	receiver->shown--;
	return false;
}

/* Gives back what was not shown, and leaves. */
static void show_failed(struct receiver *receiver, struct queue_message **messages, size_t count)
{
	if (!receiver->unseen)
		fprintf(stderr, "gantryctl: cannot write what was received: %s; it goes back to the queue\n", strerror(errno));
	receiver->unseen = true;
	receiver->status = CONTROL_FAILED;
	give_back(receiver, messages, count);
	stop(receiver);
}

static void on_received(void *arg, struct queue_message **messages, size_t count)
{
	struct receiver *receiver = arg;

	for (size_t i = 0; i < count; i++) {
		if (receiver->shown >= receiver->count) {
			give_back(receiver, &messages[i], count - i);
			break;
		}
		if (receiver->unseen || !show(receiver, messages[i])) {
			show_failed(receiver, &messages[i], count - i);
			return;
		}
		queue_settle(messages[i], QUEUE_DONE, on_settled, receiver);
	}
	if (receiver->shown >= receiver->count) {
		stop(receiver);
	} else {
		unsigned long left = receiver->count - receiver->shown;

		queue_set_room(receiver->hand.queue, left < RECEIVE_ROOM ? (unsigned)left : RECEIVE_ROOM);
		if (!receiver->stopping && receiver->idle_ms > 0)
			ev_timer_again(receiver->hand.loop, &receiver->idle);
	}
}

static void on_idle(struct ev_loop *loop, ev_timer *timer, int revents)
{
	(void)loop;
	(void)revents;
	stop(container_of(timer, struct receiver, idle));
}

static void on_int(struct ev_loop *loop, ev_signal *signal, int revents)
{
	(void)loop;
	(void)revents;
	stop(container_of(signal, struct receiver, on_int));
}

static void on_term(struct ev_loop *loop, ev_signal *signal, int revents)
{
	(void)loop;
	(void)revents;
	stop(container_of(signal, struct receiver, on_term));
}

static void on_probed(void *arg, const struct error *err)
{
	struct receiver *receiver = arg;

	if (err == NULL || error_may_pass(err->kind)) {
		if (!receiver->stopping)
			queue_start(receiver->hand.queue);
		return;
	}
	fprintf(stderr, "gantryctl: queue %s: %s\n", queue_name(receiver->hand.queue), err->text);
	receiver->status = CONTROL_FAILED;
	stop(receiver);
}

static void run(struct receiver *receiver)
{
	struct ev_loop *loop = receiver->hand.loop;

	ev_signal_init(&receiver->on_int, on_int, SIGINT);
	ev_signal_init(&receiver->on_term, on_term, SIGTERM);
	ev_signal_start(loop, &receiver->on_int);
	ev_signal_start(loop, &receiver->on_term);
	ev_init(&receiver->idle, on_idle);
	receiver->idle.repeat = (double)receiver->idle_ms / 1000;
	if (receiver->idle_ms > 0)
		ev_timer_again(loop, &receiver->idle);
	queue_set_room(receiver->hand.queue, receiver->count < RECEIVE_ROOM ? (unsigned)receiver->count : RECEIVE_ROOM);
	queue_probe(receiver->hand.queue, on_probed, receiver);
	ev_run(loop, 0);
	ev_timer_stop(loop, &receiver->idle);
	ev_signal_stop(loop, &receiver->on_int);
	ev_signal_stop(loop, &receiver->on_term);
}

static bool parse(struct receiver *receiver, int argc, char **argv)
{
	int option;

	while ((option = command_option(argc, argv)) != -1) {
		if (option == 'n') {
			if (!ctl_parse_count(optarg, RECEIVE_COUNT_MAX, &receiver->count))
				return false;
		} else if (option == 'c')
			receiver->client_name = optarg;
		else if (option == 'p')
			receiver->prepend = optarg;
		else if (option != 'i' || !quantity_parse_ms(optarg, &receiver->idle_ms))
			return false;
	}
	return optind + 1 == argc;
}

/* Nothing would ever come. */
static bool has_messages(struct ctl *ctl, const char *queue_name)
{
	if (conf_find_queue(ctl_conf(ctl), queue_name)->type != CONF_QUEUE_STORE)
		return true;
	fprintf(stderr, "gantryctl: queue %s: this is the store's own queue, which has no messages: \"gantryctl jobs\" shows "
		"what is in it\n", queue_name);
	return false;
}

int run_receive(struct ctl *ctl, int argc, char **argv)
{
	struct receiver receiver = { .count = RECEIVE_COUNT_DEFAULT, .client_name = "", .prepend = "" };
	struct queue_events events = { .received = on_received, .arg = &receiver };
	bool opened;

	if (!parse(&receiver, argc, argv))
		return command_usage("receive");
	opened = hand_open(&receiver.hand, ctl, argv[optind], &events) && has_messages(ctl, argv[optind]);
	if (opened)
		run(&receiver);
	else
		receiver.status = CONTROL_FAILED;
	hand_close(&receiver.hand);
	if (opened && !ctl->json)
		fprintf(stderr, "%lu messages received and deleted\n", receiver.settled);
	return receiver.status;
}
