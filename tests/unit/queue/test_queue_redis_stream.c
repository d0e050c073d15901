/* SPDX-License-Identifier: Apache-2.0 */
/* Streams on a real redis-server: what a consumer group holds for whom, in what order, and what is left. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "redis_holder.h"

static void add(const char *stream, const char *body)
{
	free(SAY("XADD", stream, "*", "body", body).text);
}

static void add_all(const char *stream, const char *bodies)
{
	for (char one[2] = { *bodies, '\0' }; *bodies != '\0'; one[0] = *++bodies)
		add(stream, one);
}

/* How many the group has given out and not seen the end of. */
static size_t pending(const char *stream)
{
	return (size_t)number(SAY("EVAL", "return redis.call('XPENDING', KEYS[1], 'g')[1]", "1", stream));
}

static size_t length(const char *stream)
{
	return (size_t)number(SAY("XLEN", stream));
}

static void measure(struct holder *holder)
{
	holder->depth.visible = -2;
	queue_depth(holder->queue, on_measured, holder);
	RUN_UNTIL(holder->depth.visible != -2);
}

static void stop(struct holder *holder)
{
	queue_stop(holder->queue, on_stopped, holder);
	RUN_UNTIL(holder->stopped);
}

static void entries_come_in_order_under_their_ids(void **state)
{
	struct holder holder;
	struct said said;

	(void)state;
	for (int deleted = 0; deleted < 2; deleted++) {
		const char *stream = deleted ? "gone" : "kept";

		begin_stream(&holder, stream, deleted);
		add_all(stream, "12");
		said = SAY("XADD", stream, "9999999999999-7", "body", "3");
		take_up_to(&holder, 10);
		RUN_UNTIL(holder.count == 3);
		/* Now it waits, and is woken. */
		free(SAY("XADD", stream, "9999999999999-8", "body", "4").text);
		RUN_UNTIL(holder.count == 4);
		assert_bodies(&holder, 0, (const char *[]){ "1", "2", "3", "4" }, 4);
		assert_string_equal(holder.held[2]->id, said.text);
		assert_int_equal(holder.held[2]->deliveries, 1);
		assert_int_equal(holder.held[3]->deliveries, 1);
		settle_all(&holder, QUEUE_DONE);
		assert_int_equal(holder.error.kind, ERROR_NONE);
		measure(&holder);
		assert_int_equal(holder.depth.visible, 0);
		assert_int_equal(holder.depth.hidden, 0);
		assert_int_equal(length(stream), deleted ? 0 : 4);
		free(said.text);
		end(&holder);
	}
}

static void no_more_are_taken_than_there_is_room_for(void **state)
{
	struct holder holder;

	(void)state;
	begin_stream(&holder, "room", false);
	add_all("room", "12345");
	take_up_to(&holder, 2);
	RUN_UNTIL(holder.count == 2);
	measure(&holder);
	assert_int_equal(holder.depth.visible, 3);
	assert_int_equal(holder.depth.hidden, 2);
	assert_in_range(holder.depth.oldest_age_ms, 0, 60000);
	queue_set_room(holder.queue, 2);
	RUN_UNTIL(holder.count == 4);
	assert_bodies(&holder, 0, (const char *[]){ "1", "2", "3", "4" }, 4);
	end(&holder);
}

static void what_is_returned_comes_before_the_rest_under_its_ids(void **state)
{
	struct holder first, second;
	char *id;

	(void)state;
	begin_stream(&first, "back", false);
	add_all("back", "1234");
	take_up_to(&first, 3);
	RUN_UNTIL(first.count == 3);
	id = xstrdup(first.held[0]->id);
	queue_return(first.held, 3);
	stop(&first);
	measure(&first);
	assert_int_equal(first.depth.visible, 4);
	assert_int_equal(first.depth.hidden, 0);
	begin_stream(&second, "back", false);
	take_up_to(&second, 10);
	RUN_UNTIL(second.count == 4);
	assert_bodies(&second, 0, (const char *[]){ "1", "2", "3", "4" }, 4);
	assert_string_equal(second.held[0]->id, id);
	assert_int_equal(second.held[0]->deliveries, 2);
	assert_int_equal(second.held[3]->deliveries, 1);
	free(id);
	end(&first);
	end(&second);
}

static struct queue_redis *inside(const struct holder *holder)
{
	return container_of(holder->queue, struct queue_redis, face);
}

/* Who waits for new entries hears of old ones, too; no beat, which would find them, comes. */
static void what_is_returned_wakes_who_waits(void **state)
{
	struct holder first, waiting[2];

	(void)state;
	begin_stream(&first, "woken", false);
	add_all("woken", "123");
	take_up_to(&first, 3);
	ev_timer_stop(loop, &inside(&first)->taker.beat);
	RUN_UNTIL(first.count == 3);
	for (size_t i = 0; i < 2; i++) {
		begin_stream(&waiting[i], "woken", false);
		take_up_to(&waiting[i], 1 + (unsigned)i);
		ev_timer_stop(loop, &inside(&waiting[i])->taker.beat);
		RUN_UNTIL(inside(&waiting[i])->taker.listening);
	}
	queue_return(first.held, 3);
	/* Nobody could take all. */
	RUN_UNTIL(waiting[0].count == 1 && waiting[1].count == 2);
	assert_int_equal(waiting[0].held[0]->deliveries, 2);
	for (size_t i = 0; i < 2; i++) {
		settle_all(&waiting[i], QUEUE_DONE);
		end(&waiting[i]);
	}
	end(&first);
	assert_int_equal(pending("woken"), 0);
	assert_in_range(length("woken:gantry:g:wake"), 0, 1);
}

static void what_a_dead_holder_held_is_taken_over_in_order_under_its_ids(void **state)
{
	struct holder dead, heir;
	char *ids[3];

	(void)state;
	begin_stream(&dead, "orphans", false);
	add_all("orphans", "123");
	take_up_to(&dead, 3);
	RUN_UNTIL(dead.count == 3);
	for (size_t i = 0; i < 3; i++)
		ids[i] = xstrdup(dead.held[i]->id);
	end(&dead);
	add("orphans", "4");
	silence_all("orphans:gantry:g:workers");
	begin_stream(&heir, "orphans", false);
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
	settle_all(&heir, QUEUE_DONE);
	assert_int_equal(pending("orphans"), 0);
	/* Nobody is remembered who is not there any more. */
	RUN_UNTIL(number(SAY("HLEN", "orphans:gantry:g:workers")) == 1);
	end(&heir);
}

static void the_living_keep_what_they_hold(void **state)
{
	struct holder first, second;

	(void)state;
	begin_stream(&first, "alive", false);
	begin_stream(&second, "alive", false);
	add("alive", "1");
	take_up_to(&first, 5);
	RUN_UNTIL(first.count == 1);
	queue_set_room(first.queue, 0);
	take_up_to(&second, 5);
	add("alive", "2");
	RUN_UNTIL(second.count == 1);
	assert_string_equal(second.held[0]->body, "2");
	assert_int_equal(pending("alive"), 2);
	end(&first);
	end(&second);
}

/* A crash of somebody whose waiting connection was just given an entry, which nobody has seen. */
static void what_was_only_heard_of_is_delivered_for_the_first_time(void **state)
{
	struct holder holder;

	(void)state;
	add("heard", "1");
	number(SAY("XGROUP", "CREATE", "heard", "g", "0"));
	number(SAY("XREADGROUP", "GROUP", "g", "nobody:ear", "COUNT", "1", "STREAMS", "heard", ">"));
	number(SAY("HSET", "heard:gantry:g:workers", "nobody", "1"));
	add("heard", "2");
	begin_stream(&holder, "heard", false);
	take_up_to(&holder, 10);
	RUN_UNTIL(holder.count == 2);
	assert_bodies(&holder, 0, (const char *[]){ "1", "2" }, 2);
	assert_int_equal(holder.held[0]->deliveries, 1);
	end(&holder);
}

/* Its ear still waited when it had gone on under another name, and had been forgotten under this one. */
static void what_is_heard_under_a_name_that_was_given_up_is_taken(void **state)
{
	struct holder holder;

	(void)state;
	add("given-up", "1");
	number(SAY("XGROUP", "CREATE", "given-up", "g", "0"));
	number(SAY("XREADGROUP", "GROUP", "g", "former:ear", "COUNT", "1", "STREAMS", "given-up", ">"));
	begin_stream(&holder, "given-up", false);
	take_up_to(&holder, 10);
	RUN_UNTIL(number(SAY("HLEN", "given-up:gantry:g:workers")) == 2);
	silence_all("given-up:gantry:g:workers");
	RUN_UNTIL(holder.count == 1);
	assert_string_equal(holder.held[0]->body, "1");
	assert_int_equal(pending("given-up"), 1);
	end(&holder);
}

static void a_stop_leaves_nothing_half_taken(void **state)
{
	struct holder holder, next;

	(void)state;
	begin_stream(&holder, "stopped", false);
	take_up_to(&holder, 10);
	RUN_UNTIL(number(SAY("HLEN", "stopped:gantry:g:workers")) == 1);
	queue_stop(holder.queue, on_stopped, &holder);
	add("stopped", "1");
	RUN_UNTIL(holder.stopped);
	assert_int_equal(holder.count, 0);
	measure(&holder);
	assert_int_equal(holder.depth.visible, 1);
	assert_int_equal(holder.depth.hidden, 0);
	end(&holder);
	begin_stream(&next, "stopped", false);
	take_up_to(&next, 10);
	RUN_UNTIL(next.count == 1);
	end(&next);
}

static void an_entry_without_the_field_is_an_object_of_all(void **state)
{
	struct holder holder;

	(void)state;
	begin_stream(&holder, "fields", false);
	free(SAY("XADD", "fields", "*", "project", "p\"1").text);
	take_up_to(&holder, 1);
	RUN_UNTIL(holder.count == 1);
	assert_string_equal(holder.held[0]->body, "{\"project\":\"p\\\"1\"}");
	end(&holder);
}

static void what_is_sent_is_seen_counted_and_not_taken_by_that(void **state)
{
	static const struct queue_outgoing out[] = { { .body = "a" }, { .body = "b" }, { .body = "c" } };
	struct holder holder;

	(void)state;
	begin_stream(&holder, "hand", false);
	queue_send(holder.queue, out, 3, on_sent, &holder);
	RUN_UNTIL(holder.sent == 3);
	queue_peek(holder.queue, 2, on_peeked, &holder);
	RUN_UNTIL(holder.seen == 2);
	assert_non_null(strstr(holder.texts, "=a "));
	assert_non_null(strstr(holder.texts, "=b "));
	assert_null(strstr(holder.texts, "=c "));
	take_up_to(&holder, 10);
	RUN_UNTIL(holder.count == 3);
	assert_string_equal(holder.held[0]->body, "a");
	end(&holder);
}

static void dead_letters_come_back_behind_the_others_in_order(void **state)
{
	struct holder holder;

	(void)state;
	begin_stream(&holder, "dying", true);
	add_all("dying", "12345");
	take_up_to(&holder, 5);
	RUN_UNTIL(holder.count == 5);
	queue_set_room(holder.queue, 0);
	settle_all(&holder, QUEUE_DEAD);
	assert_int_equal(length("dying:dead"), 5);
	assert_int_equal(length("dying"), 0);
	holder.count = 0;
	add("dying", "6");
	queue_redrive(holder.queue, NULL, on_redriven, &holder);
	RUN_UNTIL(holder.moved == 5);
	assert_int_equal(length("dying:dead"), 0);
	queue_set_room(holder.queue, 10);
	RUN_UNTIL(holder.count == 6);
	assert_bodies(&holder, 0, (const char *[]){ "6", "1", "2", "3", "4", "5" }, 6);
	end(&holder);
}

static void an_entry_that_is_too_long_is_put_aside(void **state)
{
	char *big = xcalloc(1, LIMIT_REDIS_ITEM_BYTES + 2);
	struct holder holder;

	(void)state;
	memset(big, 'x', LIMIT_REDIS_ITEM_BYTES + 1);
	begin_stream(&holder, "long", false);
	add("long", "1");
	add("long", big);
	add("long", "2");
	take_up_to(&holder, 10);
	RUN_UNTIL(holder.count == 2);
	assert_bodies(&holder, 0, (const char *[]){ "1", "2" }, 2);
	assert_int_equal(length("long:dead"), 1);
	end(&holder);
	free(big);
}

static void an_entry_that_was_trimmed_while_it_was_held_is_forgotten(void **state)
{
	struct holder dead, heir;

	(void)state;
	begin_stream(&dead, "trimmed", false);
	add_all("trimmed", "12");
	take_up_to(&dead, 2);
	RUN_UNTIL(dead.count == 2);
	number(SAY("XDEL", "trimmed", dead.held[0]->id));
	end(&dead);
	silence_all("trimmed:gantry:g:workers");
	begin_stream(&heir, "trimmed", false);
	take_up_to(&heir, 10);
	RUN_UNTIL(heir.count == 1);
	assert_string_equal(heir.held[0]->body, "2");
	assert_int_equal(pending("trimmed"), 1);
	end(&heir);
}

static void what_somebody_else_ended_is_told_as_that(void **state)
{
	struct holder before, after;
	struct job_message_ref ref = { .deliveries = 1 };

	(void)state;
	begin_stream(&before, "handed", false);
	add("handed", "1");
	take_up_to(&before, 1);
	RUN_UNTIL(before.count == 1);
	ref.id = xstrdup(before.held[0]->id);
	ref.receipt = xstrdup(before.held[0]->receipt);
	queue_forget(before.held[0]);
	end(&before);
	begin_stream(&after, "handed", false);
	after.held[after.count++] = queue_resume(after.queue, &ref);
	settle_all(&after, QUEUE_DONE);
	assert_int_equal(after.error.kind, ERROR_NONE);
	after.held[0] = queue_resume(after.queue, &ref);
	settle_all(&after, QUEUE_DONE);
	assert_int_equal(after.error.kind, ERROR_LOST);
	end(&after);
	free(ref.id);
	free(ref.receipt);
}

/* The group is gone with the server's memory; it is made anew, from the stream's first entry. */
static void a_server_that_forgot_everything_is_used_again(void **state)
{
	struct queue_figures figures;
	struct holder holder;

	(void)state;
	begin_stream(&holder, "away", false);
	take_up_to(&holder, 10);
	add("away", "1");
	RUN_UNTIL(holder.count == 1);
	redis_server_kill(&server);
	RUN_UNTIL((queue_figures(holder.queue, &figures), figures.degraded));
	redis_server_start(&server, NULL);
	add("away", "2");
	RUN_UNTIL(holder.count == 2);
	assert_string_equal(holder.held[1]->body, "2");
	end(&holder);
}

static void a_key_that_is_no_stream_is_refused(void **state)
{
	struct holder holder;

	(void)state;
	free(SAY("SET", "wrong", "no stream").text);
	begin_stream(&holder, "wrong", false);
	queue_probe(holder.queue, on_done, &holder);
	RUN_UNTIL(holder.done == 1);
	assert_int_equal(holder.error.kind, ERROR_INVALID);
	end(&holder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(entries_come_in_order_under_their_ids),
		cmocka_unit_test(no_more_are_taken_than_there_is_room_for),
		cmocka_unit_test(what_is_returned_comes_before_the_rest_under_its_ids),
		cmocka_unit_test(what_is_returned_wakes_who_waits),
		cmocka_unit_test(what_a_dead_holder_held_is_taken_over_in_order_under_its_ids),
		cmocka_unit_test(the_living_keep_what_they_hold),
		cmocka_unit_test(what_was_only_heard_of_is_delivered_for_the_first_time),
		cmocka_unit_test(what_is_heard_under_a_name_that_was_given_up_is_taken),
		cmocka_unit_test(a_stop_leaves_nothing_half_taken),
		cmocka_unit_test(an_entry_without_the_field_is_an_object_of_all),
		cmocka_unit_test(what_is_sent_is_seen_counted_and_not_taken_by_that),
		cmocka_unit_test(dead_letters_come_back_behind_the_others_in_order),
		cmocka_unit_test(an_entry_that_is_too_long_is_put_aside),
		cmocka_unit_test(an_entry_that_was_trimmed_while_it_was_held_is_forgotten),
		cmocka_unit_test(what_somebody_else_ended_is_told_as_that),
		cmocka_unit_test(a_server_that_forgot_everything_is_used_again),
		cmocka_unit_test(a_key_that_is_no_stream_is_refused),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, redis_set_up, redis_tear_down);
}
