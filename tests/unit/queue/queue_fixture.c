/* SPDX-License-Identifier: Apache-2.0 */
/* queue_fixture.c - see queue_fixture.h. */
#include "queue_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/json_at.h"

static void on_received(void *arg, struct queue_message **messages, size_t count)
{
	struct fixture *fixture = arg;

	for (size_t i = 0; i < count; i++) {
		assert_true(fixture->held_count < FIXTURE_MESSAGES);
		fixture->held[fixture->held_count++] = messages[i];
	}
	if (fixture->destroy_in_received) {
		queue_destroy(fixture->queue);
		fixture->queue = NULL;
	}
}

static void on_lost(void *arg, struct queue_message *message, const struct error *why)
{
	struct fixture *fixture = arg;

	fixture->lost++;
	fixture->lost_why = *why;
	fixture->lost_message = message;
}

static void on_expiring(void *arg, struct queue_message *message)
{
	struct fixture *fixture = arg;

	fixture->expiring++;
	fixture->expiring_message = message;
	if (fixture->settle_expiring)
		queue_settle(message, QUEUE_DONE, fixture_done, fixture);
}

static void on_renewed(void *arg, struct queue_message **messages, size_t count)
{
	struct fixture *fixture = arg;

	(void)messages;
	fixture->renewed += count;
}

void fixture_done(void *arg, const struct error *err)
{
	struct fixture *fixture = arg;

	fixture->done++;
	fixture->done_error = err != NULL ? *err : (struct error){ 0 };
	if (fixture->destroy_in_done) {
		queue_destroy(fixture->queue);
		fixture->queue = NULL;
	}
}

void fixture_stopped(void *arg, const struct error *err)
{
	struct fixture *fixture = arg;

	assert_null(err);
	fixture->stopped++;
}

void fixture_begin(struct fixture *fixture, const char *url)
{
	struct error err;
	struct queue_env env;

	*fixture = (struct fixture){
		.loop = ev_loop_new(EVFLAG_AUTO),
		.conf = {
			.name = (char *)"q", .type = CONF_QUEUE_SQS, .url = (char *)url, .visibility_timeout_ms = 100000,
			.wait_time_ms = 20000, .delete_linger_ms = 1000, .max_in_flight = 1000,
		},
	};
	log_init(&fixture->log, NULL, "test");
	log_set_level(LOG_LEVEL_ERROR + 1);
	fake_aws_begin(fixture->loop);
	env = (struct queue_env){ .loop = fixture->loop, .log = &fixture->log, .aws = fake_aws() };
	fixture->events = (struct queue_events){
		.received = on_received, .lost = on_lost, .expiring = on_expiring, .renewed = on_renewed, .arg = fixture,
	};
	fixture->queue = queue_create(&fixture->conf, &env, &fixture->events, &err);
	assert_non_null(fixture->queue);
	fixture->sqs = container_of(fixture->queue, struct queue_sqs, face);
}

void fixture_end(struct fixture *fixture)
{
	queue_destroy(fixture->queue);
	fake_aws_end();
	ev_loop_destroy(fixture->loop);
}

void fixture_pass(struct fixture *fixture, double seconds)
{
	struct sqs_poll *poll;
	struct sqs_errand *errand;

	clock_shift(seconds, (int64_t)(seconds * 1000));
	ev_feed_event(fixture->loop, &fixture->sqs->lease.timer, EV_TIMER);
	ev_feed_event(fixture->loop, &fixture->sqs->poller.pump, EV_TIMER);
	if (ev_is_active(&fixture->sqs->deletes.timer))
		ev_feed_event(fixture->loop, &fixture->sqs->deletes.timer, EV_TIMER);
	if (ev_is_active(&fixture->sqs->releases.timer))
		ev_feed_event(fixture->loop, &fixture->sqs->releases.timer, EV_TIMER);
	list_each(errand, &fixture->sqs->errands, link) {
		if (ev_is_active(&errand->timer)) {
			ev_timer_stop(fixture->loop, &errand->timer);
			ev_feed_event(fixture->loop, &errand->timer, EV_TIMER);
		}
	}
	list_each(poll, &fixture->sqs->poller.polls, link) {
		if (clock_monotonic_s() - poll->started_s > 2 * (20 + 10) + 30)
			ev_feed_event(fixture->loop, &poll->watchdog, EV_TIMER);
	}
	fake_aws_run();
}

char *fixture_messages(unsigned first, unsigned n, const char *group)
{
	json_t *list = json_array();
	json_t *doc = json_pack("{s:o}", "Messages", list);
	char *text;

	for (unsigned i = first; i < first + n; i++)
		json_array_append_new(list, json_pack("{s:o, s:o, s:s, s:{s:s, s:s*}}", "MessageId", json_sprintf("m%u", i),
			"ReceiptHandle", json_sprintf("r%u", i), "Body", "{}", "Attributes", "ApproximateReceiveCount",
			"1", "MessageGroupId", group));
	text = json_at_dump(doc);
	json_decref(doc);
	return text;
}

void fixture_receive(struct fixture *fixture, unsigned first, unsigned n, const char *group)
{
	char *text = fixture_messages(first, n, group);

	queue_start(fixture->queue);
	queue_set_room(fixture->queue, 10);
	fake_aws_run();
	fake_aws_reply("ReceiveMessage", text);
	free(text);
	fake_aws_run();
	queue_set_room(fixture->queue, 0);
}

const char *fixture_receipts(const struct fake_call *call)
{
	static char text[512];
	const json_t *entry;
	size_t i, used = 0;

	text[0] = '\0';
	json_array_foreach(json_object_get(call->input, "Entries"), i, entry)
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s ", json_at_string(entry, "ReceiptHandle"));
	return text;
}
