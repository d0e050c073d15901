/* SPDX-License-Identifier: Apache-2.0 */
/* Lists on a real redis-server, which is killed and started again where that is the case. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "redis_holder.h"

static void assert_empty(const char *list)
{
	static const char *const tails[] = { "", ":gantry:taking", ":gantry:held", ":dead" };

	for (size_t i = 0; i < sizeof(tails) / sizeof(*tails); i++) {
		char *key = xasprintf("%s%s", list, tails[i]);

		if (number(SAY("EXISTS", key)) != 0)
			fail_msg("%s is still there", key);
		free(key);
	}
}

/* -- tests ---------------------------------------------------------------------------------------------- */

static void items_come_in_the_order_in_which_they_were_pushed(void **state)
{
	static const struct { const char *list, *push; enum conf_pop pop; } cases[] = {
		{ "fifo", "LPUSH", CONF_POP_RIGHT }, { "ofif", "RPUSH", CONF_POP_LEFT },
	};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct holder holder;

		begin(&holder, cases[i].list, cases[i].pop);
		number(SAY(cases[i].push, cases[i].list, "1", "2", "3"));
		take_up_to(&holder, 10);
		RUN_UNTIL(holder.count == 3);
		/* Now it waits, and is woken. */
		number(SAY(cases[i].push, cases[i].list, "4"));
		RUN_UNTIL(holder.count == 4);
		assert_bodies(&holder, 0, (const char *[]){ "1", "2", "3", "4" }, 4);
		assert_int_equal(holder.held[0]->deliveries, 1);
		for (size_t k = 1; k < 4; k++)
			assert_true(strcmp(holder.held[k - 1]->id, holder.held[k]->id) < 0);
		settle_all(&holder, QUEUE_DONE);
		assert_int_equal(holder.error.kind, ERROR_NONE);
		assert_empty(cases[i].list);
		end(&holder);
	}
}

static void no_more_are_taken_than_there_is_room_for(void **state)
{
	struct holder holder;

	(void)state;
	begin(&holder, "room", CONF_POP_RIGHT);
	number(SAY("LPUSH", "room", "1", "2", "3", "4", "5"));
	take_up_to(&holder, 2);
	RUN_UNTIL(holder.count == 2);
	assert_int_equal(number(SAY("LLEN", "room")), 3);
	queue_set_room(holder.queue, 2);
	RUN_UNTIL(holder.count == 4);
	assert_bodies(&holder, 0, (const char *[]){ "1", "2", "3", "4" }, 4);
	assert_int_equal(number(SAY("LLEN", "room")), 1);
	settle_all(&holder, QUEUE_DONE);
	end(&holder);
	number(SAY("DEL", "room"));
}

static void what_is_returned_stands_in_front_again_in_order(void **state)
{
	struct holder holder;

	(void)state;
	for (enum conf_pop pop = CONF_POP_RIGHT; pop <= CONF_POP_LEFT; pop++) {
		const char *list = pop == CONF_POP_LEFT ? "back-left" : "back";

		begin(&holder, list, pop);
		number(SAY(pop == CONF_POP_LEFT ? "RPUSH" : "LPUSH", list, "1", "2", "3", "4"));
		take_up_to(&holder, 3);
		RUN_UNTIL(holder.count == 3);
		queue_return(holder.held, 3);
		queue_stop(holder.queue, on_stopped, &holder);
		RUN_UNTIL(holder.stopped);
		assert_says(SAY("LRANGE", list, "0", "-1"), pop == CONF_POP_LEFT ? "1 2 3 4 " : "4 3 2 1 ");
		assert_int_equal(number(SAY("HLEN", pop == CONF_POP_LEFT ? "back-left:gantry:held" : "back:gantry:held")), 0);
		end(&holder);
	}
}

static void on_progress(void *arg, uint64_t moved, int64_t total)
{
	assert_int_equal(total, 250);
	((struct holder *)arg)->progressed = moved;
}

static void what_is_sent_is_seen_counted_and_not_taken_by_that(void **state)
{
	static const struct queue_outgoing out[] = { { .body = "a" }, { .body = "b" }, { .body = "c" } };
	struct holder holder;

	(void)state;
	begin(&holder, "hand", CONF_POP_RIGHT);
	queue_send(holder.queue, out, 3, on_sent, &holder);
	RUN_UNTIL(holder.sent == 3);
	queue_peek(holder.queue, 2, on_peeked, &holder);
	RUN_UNTIL(holder.seen == 2);
	assert_string_equal(holder.texts, "1=a 2=b ");
	take_up_to(&holder, 1);
	RUN_UNTIL(holder.count == 1);
	holder.depth.visible = -2;
	queue_depth(holder.queue, on_measured, &holder);
	RUN_UNTIL(holder.depth.visible != -2);
	assert_int_equal(holder.depth.visible, 2);
	assert_int_equal(holder.depth.hidden, 1);
	assert_int_equal(holder.depth.oldest_age_ms, -1);
	assert_string_equal(holder.depth.dead_letter, "hand:dead");
	end(&holder);
}

static void dead_letters_come_back_behind_the_others_in_order(void **state)
{
	struct holder holder;
	char body[8];

	(void)state;
	begin(&holder, "dying", CONF_POP_RIGHT);
	for (unsigned i = 0; i < 250; i++) {
		snprintf(body, sizeof(body), "%u", i);
		number(SAY("LPUSH", "dying", body));
	}
	take_up_to(&holder, 250);
	RUN_UNTIL(holder.count == 250);
	queue_set_room(holder.queue, 0);
	settle_all(&holder, QUEUE_DEAD);
	assert_int_equal(number(SAY("LLEN", "dying:dead")), 250);
	queue_stop(holder.queue, on_stopped, &holder);
	RUN_UNTIL(holder.stopped);
	number(SAY("LPUSH", "dying", "new"));
	queue_redrive(holder.queue, on_progress, on_redriven, &holder);
	RUN_UNTIL(holder.moved == 250);
	assert_true(holder.progressed > 0);
	assert_says(SAY("LRANGE", "dying", "-3", "-1"), "1 0 new ");
	assert_says(SAY("LRANGE", "dying", "0", "0"), "249 ");
	end(&holder);
}

static void an_item_that_is_too_long_is_put_aside(void **state)
{
	char *big = xcalloc(1, LIMIT_REDIS_ITEM_BYTES + 2);
	struct holder holder;

	(void)state;
	memset(big, 'x', LIMIT_REDIS_ITEM_BYTES + 1);
	begin(&holder, "long", CONF_POP_RIGHT);
	number(SAY("LPUSH", "long", "1", big, "2"));
	take_up_to(&holder, 10);
	RUN_UNTIL(holder.count == 2);
	assert_bodies(&holder, 0, (const char *[]){ "1", "2" }, 2);
	assert_int_equal(number(SAY("LLEN", "long:dead")), 1);
	end(&holder);
	free(big);
}

/* A crash right after BLMOVE: nobody has seen the item, so it is admitted first, once, by whoever comes next. */
static void what_somebody_began_to_take_comes_before_the_rest(void **state)
{
	struct holder holder;

	(void)state;
	number(SAY("LPUSH", "began:gantry:taking", "1"));
	number(SAY("LPUSH", "began", "2"));
	begin(&holder, "began", CONF_POP_RIGHT);
	take_up_to(&holder, 10);
	RUN_UNTIL(holder.count == 2);
	assert_bodies(&holder, 0, (const char *[]){ "1", "2" }, 2);
	settle_all(&holder, QUEUE_DONE);
	assert_empty("began");
	end(&holder);
}

static void what_a_dead_holder_held_is_taken_over_in_order_under_its_ids(void **state)
{
	struct holder dead, heir;
	char *ids[3];

	(void)state;
	begin(&dead, "orphans", CONF_POP_RIGHT);
	number(SAY("LPUSH", "orphans", "1", "2", "3"));
	take_up_to(&dead, 3);
	RUN_UNTIL(dead.count == 3);
	for (size_t i = 0; i < 3; i++)
		ids[i] = xstrdup(dead.held[i]->id);
	end(&dead);
	number(SAY("LPUSH", "orphans", "4"));
	silence_all("orphans:gantry:workers");
	begin(&heir, "orphans", CONF_POP_RIGHT);
	take_up_to(&heir, 2);
	RUN_UNTIL(heir.count == 2);
	queue_set_room(heir.queue, 10);
	RUN_UNTIL(heir.count == 4);
	assert_bodies(&heir, 0, (const char *[]){ "1", "2", "3", "4" }, 4);
	for (size_t i = 0; i < 3; i++) {
		assert_string_equal(heir.held[i]->id, ids[i]);
		assert_int_equal(heir.held[i]->deliveries, 2);
		free(ids[i]);
	}
	assert_int_equal(heir.held[3]->deliveries, 1);
	assert_int_equal(number(SAY("HLEN", "orphans:gantry:workers")), 1);
	settle_all(&heir, QUEUE_DONE);
	assert_empty("orphans");
	end(&heir);
}

static void the_living_keep_what_they_hold(void **state)
{
	struct holder first, second;

	(void)state;
	begin(&first, "alive", CONF_POP_RIGHT);
	begin(&second, "alive", CONF_POP_RIGHT);
	number(SAY("LPUSH", "alive", "1"));
	take_up_to(&first, 5);
	RUN_UNTIL(first.count == 1);
	queue_set_room(first.queue, 0);
	take_up_to(&second, 5);
	number(SAY("LPUSH", "alive", "2"));
	RUN_UNTIL(second.count == 1);
	assert_string_equal(second.held[0]->body, "2");
	assert_int_equal(number(SAY("HLEN", "alive:gantry:held")), 2);
	end(&first);
	end(&second);
}

static void another_process_settles_what_it_resumed(void **state)
{
	struct holder before, after;
	struct job_message_ref ref = { .deliveries = 1 };

	(void)state;
	begin(&before, "handed", CONF_POP_RIGHT);
	number(SAY("LPUSH", "handed", "1"));
	take_up_to(&before, 1);
	RUN_UNTIL(before.count == 1);
	ref.id = xstrdup(before.held[0]->id);
	ref.receipt = xstrdup(before.held[0]->receipt);
	queue_forget(before.held[0]);
	end(&before);
	begin(&after, "handed", CONF_POP_RIGHT);
	after.held[after.count++] = queue_resume(after.queue, &ref);
	settle_all(&after, QUEUE_DONE);
	assert_int_equal(after.error.kind, ERROR_NONE);
	assert_empty("handed");
	/* Somebody else was sooner: it is told as what it is. */
	after.held[0] = queue_resume(after.queue, &ref);
	settle_all(&after, QUEUE_DONE);
	assert_int_equal(after.error.kind, ERROR_LOST);
	end(&after);
	free(ref.id);
	free(ref.receipt);
}

/* What waits is told to end at once, and what it may have brought stands in the list again. */
static void a_stop_leaves_nothing_half_taken(void **state)
{
	struct holder holder;
	double began_s;

	(void)state;
	begin(&holder, "stopped", CONF_POP_RIGHT);
	take_up_to(&holder, 10);
	RUN_UNTIL(number(SAY("HLEN", "stopped:gantry:workers")) == 1);
	began_s = ev_time();
	queue_stop(holder.queue, on_stopped, &holder);
	number(SAY("LPUSH", "stopped", "1"));
	RUN_UNTIL(holder.stopped);
	assert_true(ev_time() - began_s < 30);
	assert_int_equal(holder.count, 0);
	assert_says(SAY("LRANGE", "stopped", "0", "-1"), "1 ");
	assert_int_equal(number(SAY("EXISTS", "stopped:gantry:taking")), 0);
	end(&holder);
}

/* The server is killed while it is waited for, and while much is to be settled: both go on by themselves. */
static void a_server_that_went_away_and_came_back_is_used_again(void **state)
{
	struct queue_figures figures;
	struct holder holder;

	(void)state;
	begin(&holder, "away", CONF_POP_RIGHT);
	take_up_to(&holder, 10);
	number(SAY("LPUSH", "away", "1"));
	RUN_UNTIL(holder.count == 1);
	redis_server_kill(&server);
	queue_settle(holder.held[0], QUEUE_DONE, on_done, &holder);
	RUN_UNTIL((queue_figures(holder.queue, &figures), figures.degraded));
	assert_int_equal(holder.done, 0);
	redis_server_start(&server, NULL);
	RUN_UNTIL(holder.done == 1);
	/* This server keeps nothing on disk: the entry was gone with it. */
	assert_int_equal(holder.error.kind, ERROR_LOST);
	holder.count = 0;
	number(SAY("LPUSH", "away", "2"));
	RUN_UNTIL(holder.count == 1);
	assert_string_equal(holder.held[0]->body, "2");
	RUN_UNTIL((queue_figures(holder.queue, &figures), !figures.degraded));
	end(&holder);
}

/* A script ran and its answer was lost: what it gave us is ours under a new name, before anything newer. */
static void what_an_unheard_answer_brought_is_found_again(void **state)
{
	struct holder holder;
	struct queue_redis *queue;
	struct said time = SAY("TIME");
	char *now_ms = xasprintf("%ld000", strtol(time.text, NULL, 10));

	(void)state;
	free(time.text);
	begin(&holder, "unheard", CONF_POP_RIGHT);
	queue = container_of(holder.queue, struct queue_redis, face);
	number(SAY("HSET", "unheard:gantry:held", "0000000000000001-x", "nobody 1 first"));
	number(SAY("HSET", "unheard:gantry:workers", "nobody", now_ms));
	free(now_ms);
	snprintf(queue->taker.former, sizeof(queue->taker.former), "nobody");
	number(SAY("LPUSH", "unheard", "second"));
	take_up_to(&holder, 10);
	RUN_UNTIL(holder.count == 2);
	assert_bodies(&holder, 0, (const char *[]){ "first", "second" }, 2);
	assert_int_equal(holder.held[0]->deliveries, 2);
	end(&holder);
}

/* The list of dead letters is none, so the script gets as far as the second. */
static void what_a_failed_script_had_settled_is_not_called_lost(void **state)
{
	struct queue_figures figures;
	struct holder holder;

	(void)state;
	number(SAY("LPUSH", "halfway", "first"));
	number(SAY("LPUSH", "halfway", "second"));
	begin(&holder, "halfway", CONF_POP_RIGHT);
	take_up_to(&holder, 2);
	RUN_UNTIL(holder.count == 2);
	queue_set_room(holder.queue, 0);
	number(SAY("SET", "halfway:dead", "no list"));
	queue_settle(holder.held[0], QUEUE_DONE, on_done, &holder);
	queue_settle(holder.held[1], QUEUE_DEAD, on_done, &holder);
	RUN_UNTIL((queue_figures(holder.queue, &figures), figures.degraded));
	assert_int_equal(holder.done, 0);
	number(SAY("DEL", "halfway:dead"));
	RUN_UNTIL(holder.done == 2);
	assert_int_equal(holder.error.kind, ERROR_NONE);
	assert_says(SAY("LRANGE", "halfway:dead", "0", "-1"), "second ");
	end(&holder);
}

static void a_refusal_renames_and_goes_on_when_it_is_over(void **state)
{
	struct holder holder;
	struct queue_redis *queue;
	char name[RANDOM_ID_BYTES];
	struct queue_figures figures;

	(void)state;
	number(SAY("SET", "wrong", "no list"));
	begin(&holder, "wrong", CONF_POP_RIGHT);
	queue = container_of(holder.queue, struct queue_redis, face);
	snprintf(name, sizeof(name), "%s", queue->taker.owner);
	queue_probe(holder.queue, on_done, &holder);
	RUN_UNTIL(holder.done == 1);
	assert_int_equal(holder.error.kind, ERROR_INVALID);
	take_up_to(&holder, 10);
	RUN_UNTIL((queue_figures(holder.queue, &figures), figures.degraded));
	assert_string_not_equal(queue->taker.owner, name);
	number(SAY("DEL", "wrong"));
	number(SAY("LPUSH", "wrong", "1"));
	RUN_UNTIL(holder.count == 1);
	assert_string_equal(holder.held[0]->body, "1");
	holder.error = (struct error){ 0 };
	queue_probe(holder.queue, on_done, &holder);
	RUN_UNTIL(holder.done == 2);
	assert_int_equal(holder.error.kind, ERROR_NONE);
	end(&holder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(items_come_in_the_order_in_which_they_were_pushed),
		cmocka_unit_test(no_more_are_taken_than_there_is_room_for),
		cmocka_unit_test(what_is_returned_stands_in_front_again_in_order),
		cmocka_unit_test(what_is_sent_is_seen_counted_and_not_taken_by_that),
		cmocka_unit_test(dead_letters_come_back_behind_the_others_in_order),
		cmocka_unit_test(an_item_that_is_too_long_is_put_aside),
		cmocka_unit_test(what_somebody_began_to_take_comes_before_the_rest),
		cmocka_unit_test(what_a_dead_holder_held_is_taken_over_in_order_under_its_ids),
		cmocka_unit_test(the_living_keep_what_they_hold),
		cmocka_unit_test(another_process_settles_what_it_resumed),
		cmocka_unit_test(a_stop_leaves_nothing_half_taken),
		cmocka_unit_test(a_server_that_went_away_and_came_back_is_used_again),
		cmocka_unit_test(what_an_unheard_answer_brought_is_found_again),
		cmocka_unit_test(what_a_failed_script_had_settled_is_not_called_lost),
		cmocka_unit_test(a_refusal_renames_and_goes_on_when_it_is_over),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, redis_set_up, redis_tear_down);
}
