/* SPDX-License-Identifier: Apache-2.0 */
/* What every adapter promises, held by the smallest one. */
#include "queue/queue_memory.h"

#include <stdio.h>
#include <string.h>

#include "../cmocka_all.h"

struct holder {
	struct ev_loop *loop;
	struct log log;
	struct conf_queue conf;
	struct queue *queue;
	struct queue_message *held[32];
	size_t count, done, lost, expiring, seen;
	uint64_t moved;
	struct queue_depth depth;
	struct error error;
};

static void on_received(void *arg, struct queue_message **messages, size_t count)
{
	struct holder *holder = arg;

	for (size_t i = 0; i < count; i++)
		holder->held[holder->count++] = messages[i];
}

static void on_lost(void *arg, struct queue_message *message, const struct error *why)
{
	struct holder *holder = arg;

	assert_int_equal(why->kind, ERROR_LOST);
	assert_non_null(message);
	holder->lost++;
}

static void on_done(void *arg, const struct error *err)
{
	struct holder *holder = arg;

	holder->done++;
	holder->error = err != NULL ? *err : (struct error){ 0 };
}

static void on_expiring(void *arg, struct queue_message *message)
{
	struct holder *holder = arg;

	holder->expiring++;
	queue_settle(message, QUEUE_DONE, on_done, holder);
}

static void begin(struct holder *holder, const char *url)
{
	struct queue_env env;
	struct queue_events events = { .received = on_received, .lost = on_lost, .expiring = on_expiring,
		.arg = holder };

	*holder = (struct holder){
		.loop = ev_loop_new(EVFLAG_AUTO), .conf = { .name = (char *)"q", .url = (char *)url },
	};
	log_init(&holder->log, NULL, "test");
	env = (struct queue_env){ .loop = holder->loop, .log = &holder->log };
	holder->queue = queue_memory_create(&holder->conf, &env, &events);
	queue_start(holder->queue);
}

static void turn(struct holder *holder)
{
	for (int i = 0; i < 4; i++)
		ev_run(holder->loop, EVRUN_NOWAIT);
}

static void end(struct holder *holder)
{
	queue_destroy(holder->queue);
	ev_loop_destroy(holder->loop);
}

static void room_bounds_what_is_received(void **state)
{
	struct holder holder;

	(void)state;
	begin(&holder, "q");
	for (int i = 0; i < 5; i++)
		queue_memory_put(holder.queue, "{}", NULL);
	turn(&holder);
	assert_int_equal(holder.count, 0);
	queue_set_room(holder.queue, 3);
	assert_int_equal(holder.count, 0);
	turn(&holder);
	assert_int_equal(holder.count, 3);
	end(&holder);
}

static void a_settled_message_is_gone_and_a_returned_one_comes_again(void **state)
{
	struct holder holder;

	(void)state;
	begin(&holder, "q");
	queue_memory_put(holder.queue, "{}", NULL);
	queue_memory_put(holder.queue, "{}", NULL);
	queue_set_room(holder.queue, 2);
	turn(&holder);
	queue_set_room(holder.queue, 1);
	queue_settle(holder.held[0], QUEUE_DONE, on_done, &holder);
	queue_settle(holder.held[1], QUEUE_RETURN, on_done, &holder);
	assert_int_equal(holder.done, 0);
	turn(&holder);
	assert_int_equal(holder.done, 2);
	assert_int_equal(holder.error.kind, ERROR_NONE);
	assert_int_equal(queue_memory_count(holder.queue), 1);
	assert_int_equal(holder.count, 3);
	assert_int_equal(holder.held[2]->deliveries, 2);
	end(&holder);
}

static void an_old_handle_cannot_settle_what_was_redelivered(void **state)
{
	struct holder holder;
	const char *id;

	(void)state;
	begin(&holder, "q");
	id = queue_memory_put(holder.queue, "{}", NULL);
	queue_set_room(holder.queue, 10);
	turn(&holder);
	queue_memory_redeliver(holder.queue, id);
	turn(&holder);
	assert_int_equal(holder.count, 2);
	assert_string_not_equal(holder.held[0]->receipt, holder.held[1]->receipt);
	queue_settle(holder.held[0], QUEUE_DONE, on_done, &holder);
	turn(&holder);
	assert_int_equal(holder.error.kind, ERROR_LOST);
	assert_int_equal(queue_memory_count(holder.queue), 1);
	end(&holder);
}

static void a_superseded_message_is_settled_with_the_newer_handle(void **state)
{
	struct holder holder;
	const char *id;

	(void)state;
	begin(&holder, "q");
	id = queue_memory_put(holder.queue, "{}", NULL);
	queue_set_room(holder.queue, 10);
	turn(&holder);
	queue_memory_redeliver(holder.queue, id);
	turn(&holder);
	queue_supersede(holder.held[0], holder.held[1]);
	assert_int_equal(holder.held[0]->deliveries, 2);
	queue_settle(holder.held[0], QUEUE_DONE, on_done, &holder);
	turn(&holder);
	assert_int_equal(holder.error.kind, ERROR_NONE);
	assert_int_equal(queue_memory_count(holder.queue), 0);
	end(&holder);
}

static void a_group_waits_for_what_is_held_of_it(void **state)
{
	struct holder holder;

	(void)state;
	begin(&holder, "q.fifo");
	queue_memory_put(holder.queue, "1", "a");
	queue_set_room(holder.queue, 1);
	turn(&holder);
	queue_memory_put(holder.queue, "2", "a");
	queue_memory_put(holder.queue, "3", "b");
	queue_set_room(holder.queue, 5);
	turn(&holder);
	assert_int_equal(holder.count, 2);
	assert_string_equal(holder.held[1]->body, "3");
	queue_settle(holder.held[0], QUEUE_DONE, NULL, NULL);
	turn(&holder);
	assert_int_equal(holder.count, 3);
	assert_string_equal(holder.held[2]->body, "2");
	end(&holder);
}

static void a_message_is_handed_over_without_a_call(void **state)
{
	struct holder holder;
	struct job_message_ref ref;
	struct queue_message *resumed;
	char id[32], receipt[32];

	(void)state;
	begin(&holder, "q");
	queue_memory_put(holder.queue, "{}", NULL);
	queue_set_room(holder.queue, 1);
	turn(&holder);
	snprintf(id, sizeof(id), "%s", holder.held[0]->id);
	snprintf(receipt, sizeof(receipt), "%s", holder.held[0]->receipt);
	queue_forget(holder.held[0]);
	ref = (struct job_message_ref){ .id = id, .receipt = receipt, .deliveries = 1 };
	resumed = queue_resume(holder.queue, &ref);
	assert_null(resumed->body);
	queue_settle(resumed, QUEUE_DONE, on_done, &holder);
	turn(&holder);
	assert_int_equal(holder.error.kind, ERROR_NONE);
	assert_int_equal(queue_memory_count(holder.queue), 0);
	end(&holder);
}

static void a_lost_lease_is_told(void **state)
{
	struct holder holder;
	const char *id;

	(void)state;
	begin(&holder, "q");
	id = queue_memory_put(holder.queue, "{}", NULL);
	queue_set_room(holder.queue, 1);
	turn(&holder);
	queue_memory_lose(holder.queue, id);
	assert_int_equal(holder.lost, 0);
	turn(&holder);
	assert_int_equal(holder.lost, 1);
	end(&holder);
}

static void the_end_of_a_hold_is_told_and_may_be_answered_by_a_settle(void **state)
{
	struct holder holder;
	const char *id;

	(void)state;
	begin(&holder, "q");
	id = queue_memory_put(holder.queue, "{}", NULL);
	queue_set_room(holder.queue, 1);
	turn(&holder);
	queue_memory_expire(holder.queue, id);
	assert_int_equal(holder.expiring, 0);
	turn(&holder);
	assert_int_equal(holder.expiring, 1);
	assert_int_equal(holder.done, 1);
	assert_int_equal(holder.error.kind, ERROR_NONE);
	assert_int_equal(queue_memory_count(holder.queue), 0);
	end(&holder);
}

static void on_seen(void *arg, const struct queue_peeked *messages, size_t count, const struct error *err)
{
	struct holder *holder = arg;

	assert_null(err);
	holder->seen = count;
	if (count > 0) {
		assert_string_equal(messages[0].body, "b");
		assert_int_equal(messages[0].body_bytes, 1);
		assert_int_equal(messages[0].deliveries, 1);
		assert_true(messages[0].sent_ms > 0);
	}
}

static void on_depth(void *arg, const struct queue_depth *depth, const struct error *err)
{
	struct holder *holder = arg;

	assert_null(err);
	holder->depth = *depth;
}

static void on_redriven(void *arg, uint64_t moved, const struct error *err)
{
	struct holder *holder = arg;

	holder->moved = moved;
	holder->error = err != NULL ? *err : (struct error){ 0 };
}

static void a_look_shows_what_is_visible_and_the_depth_counts_the_rest(void **state)
{
	struct holder holder;

	(void)state;
	begin(&holder, "q");
	queue_memory_put(holder.queue, "a", NULL);
	queue_set_room(holder.queue, 1);
	turn(&holder);
	for (int i = 0; i < 3; i++)
		queue_memory_put(holder.queue, "b", NULL);
	queue_peek(holder.queue, 2, on_seen, &holder);
	queue_depth(holder.queue, on_depth, &holder);
	assert_int_equal(holder.seen, 0);
	turn(&holder);
	assert_int_equal(holder.seen, 2);
	assert_int_equal(holder.depth.visible, 3);
	assert_int_equal(holder.depth.hidden, 1);
	assert_in_range(holder.depth.oldest_age_ms, 0, 60000);
	assert_string_equal(holder.depth.dead_letter, "");
	end(&holder);
}

static void a_redrive_brings_the_buried_back(void **state)
{
	struct holder holder;
	const char *id;

	(void)state;
	begin(&holder, "q");
	id = queue_memory_put(holder.queue, "b", NULL);
	queue_redrive(holder.queue, NULL, on_redriven, &holder);
	turn(&holder);
	assert_int_equal(holder.error.kind, ERROR_INVALID);
	queue_memory_bury(holder.queue, id);
	queue_depth(holder.queue, on_depth, &holder);
	turn(&holder);
	assert_string_not_equal(holder.depth.dead_letter, "");
	assert_int_equal(queue_memory_count(holder.queue), 0);
	queue_redrive(holder.queue, NULL, on_redriven, &holder);
	turn(&holder);
	assert_int_equal(holder.error.kind, ERROR_NONE);
	assert_int_equal(holder.moved, 1);
	assert_int_equal(queue_memory_count(holder.queue), 1);
	end(&holder);
}

static void a_stopped_queue_brings_nothing_more(void **state)
{
	struct holder holder;

	(void)state;
	begin(&holder, "q");
	queue_set_room(holder.queue, 5);
	queue_stop(holder.queue, on_done, &holder);
	queue_memory_put(holder.queue, "{}", NULL);
	turn(&holder);
	assert_int_equal(holder.done, 1);
	assert_int_equal(holder.count, 0);
	end(&holder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(room_bounds_what_is_received),
		cmocka_unit_test(a_settled_message_is_gone_and_a_returned_one_comes_again),
		cmocka_unit_test(an_old_handle_cannot_settle_what_was_redelivered),
		cmocka_unit_test(a_superseded_message_is_settled_with_the_newer_handle),
		cmocka_unit_test(a_group_waits_for_what_is_held_of_it),
		cmocka_unit_test(a_message_is_handed_over_without_a_call),
		cmocka_unit_test(a_lost_lease_is_told),
		cmocka_unit_test(the_end_of_a_hold_is_told_and_may_be_answered_by_a_settle),
		cmocka_unit_test(a_look_shows_what_is_visible_and_the_depth_counts_the_rest),
		cmocka_unit_test(a_redrive_brings_the_buried_back),
		cmocka_unit_test(a_stopped_queue_brings_nothing_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
