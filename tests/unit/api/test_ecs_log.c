/* SPDX-License-Identifier: Apache-2.0 */
/* When a task's log is looked at, and when no more. */
#include "../aws/fake_aws.h"
#include "../cmocka_all.h"

#include <stdlib.h>
#include <string.h>

#include "api/ecs_log_impl.h"
#include "base/clock.h"
#include "base/mem.h"

static const struct conf_logs place = { .group = "/ecs/web", .prefix = "ecs" };
static const struct ecs_log_task task = {
	.task = "arn:aws:ecs:us-east-1:123456789012:task/prod/abc", .definition = "web:1", .container = "app", .conf = &place,
};

struct fixture {
	struct ev_loop *loop;
	struct log log;
	struct ecs_logs *logs;
	unsigned news, results;
	bool has_result, final;
};

struct aws *aws_create(struct ev_loop *loop, const struct log *log, const struct conf_aws *conf, struct error *err)
{
	(void)loop, (void)log, (void)conf, (void)err;
	return fake_aws();
}

void aws_destroy(struct aws *aws)
{
	(void)aws;
}

static void begin(struct fixture *fixture)
{
	*fixture = (struct fixture){ .loop = ev_loop_new(0) };
	struct ecs_logs_options options = { .loop = fixture->loop, .log = &fixture->log };

	log_init(&fixture->log, NULL, "test");
	fake_aws_begin(fixture->loop);
	fixture->logs = ecs_logs_create(&options, NULL);
	assert_non_null(fixture->logs);
}

static void end(struct fixture *fixture)
{
	ecs_logs_destroy(fixture->logs);
	assert_int_equal(fake_aws_end(), 0);
	ev_loop_destroy(fixture->loop);
}

static void on_news(void *arg)
{
	((struct fixture *)arg)->news++;
}

static void on_result(void *arg, const char *result, size_t size, bool final, const struct error *err)
{
	struct fixture *fixture = arg;

	(void)size;
	assert_null(err);
	fixture->results++;
	fixture->has_result = result != NULL;
	fixture->final = final;
}

/* A reader of a task that has ended so long ago. */
static struct ecs_log_reader *come(struct fixture *fixture, int ended_s_ago)
{
	struct ecs_log_reader *reader = ecs_log_open(fixture->logs, &task, on_news, fixture);

	ecs_log_follow(reader);
	ecs_log_over(reader, clock_steady_ms() - (int64_t)ended_s_ago * 1000);
	return reader;
}

/* The last page: the token is what it was asked with. */
static void page(const char *line, const char *token)
{
	char *text = xasprintf("{\"events\":[%s%s%s],\"nextForwardToken\":\"%s\"}", line != NULL ? "{\"message\":\"" : "",
		line != NULL ? line : "", line != NULL ? "\"}" : "", token);

	fake_aws_answer("GetLogEvents", text);
	free(text);
}

static void read_to_the_end(struct fixture *fixture)
{
	struct ecs_log_reader *reader;

	page("one", "t1");
	page(NULL, "t1");
	reader = come(fixture, 60);
	assert_false(ecs_log_complete(reader));
	fake_aws_run();
	assert_true(ecs_log_complete(reader));
	assert_int_equal(ecs_log_size(reader), 4);
	assert_int_equal(fake_aws_count("GetLogEvents"), 2);
	ecs_log_close(reader);
}

static struct ecs_log *only(struct fixture *fixture)
{
	return list_first(&fixture->logs->by_use, struct ecs_log, link);
}

static void a_complete_log_is_looked_at_again_for_who_comes_later(void **state)
{
	struct fixture fixture;
	struct ecs_log_reader *reader;

	(void)state;
	begin(&fixture);
	read_to_the_end(&fixture);
	only(&fixture)->looked_s += 3600;       /* just now, however slow we are */
	reader = come(&fixture, 60);
	assert_true(ecs_log_complete(reader));
	ecs_log_close(reader);
	only(&fixture)->looked_s -= 3610;
	page("two", "t2");
	page(NULL, "t2");
	reader = come(&fixture, 60);
	assert_false(ecs_log_complete(reader) || ecs_log_fresh(reader));
	fake_aws_run();
	assert_true(ecs_log_complete(reader));
	assert_int_equal(ecs_log_size(reader), 8);
	assert_int_equal(fake_aws_count("GetLogEvents"), 4);
	ecs_log_close(reader);
	/* Not for ever. */
	only(&fixture)->looked_s -= 3600;
	only(&fixture)->over_s -= 3600;
	reader = come(&fixture, 3660);
	assert_true(ecs_log_complete(reader));
	fake_aws_run();
	assert_int_equal(fake_aws_count("GetLogEvents"), 4);
	ecs_log_close(reader);
	end(&fixture);
}

static void a_stream_that_was_not_there_is_looked_for_again(void **state)
{
	static const char missing[] = "ResourceNotFoundException", text[] = "The specified log stream does not exist.";
	struct fixture fixture;
	struct ecs_log_reader *reader;

	(void)state;
	begin(&fixture);
	fake_aws_fail("GetLogEvents", ERROR_INVALID, missing, text, NULL);
	reader = come(&fixture, 60);
	fake_aws_run();
	assert_string_equal(ecs_log_trouble(reader)->code, "no_stream");
	assert_true(ecs_log_complete(reader));
	ecs_log_close(reader);
	only(&fixture)->looked_s -= 10;
	page("one", "t1");
	page(NULL, "t1");
	reader = come(&fixture, 60);
	assert_int_equal(ecs_log_trouble(reader)->kind, ERROR_NONE);
	fake_aws_run();
	assert_int_equal(ecs_log_trouble(reader)->kind, ERROR_NONE);
	assert_int_equal(ecs_log_size(reader), 4);
	ecs_log_close(reader);
	end(&fixture);
}

static void ask_for_result(struct fixture *fixture)
{
	struct ecs_log_reader *reader = ecs_log_open(fixture->logs, &task, NULL, NULL);
	unsigned before = fixture->results;

	ecs_log_over(reader, clock_steady_ms() - 60000);
	ecs_log_result(reader, on_result, fixture);
	while (fixture->results == before)
		ev_run(fixture->loop, EVRUN_ONCE);
	ecs_log_close(reader);
}

static void a_result_that_was_not_there_is_looked_for_again(void **state)
{
	struct fixture fixture;

	(void)state;
	begin(&fixture);
	page("noise", "t1");
	ask_for_result(&fixture);
	assert_true(!fixture.has_result && fixture.final);
	only(&fixture)->tail_s += 3600;
	ask_for_result(&fixture);
	assert_true(!fixture.has_result && fixture.final);
	assert_int_equal(fake_aws_count("GetLogEvents"), 1);
	only(&fixture)->tail_s -= 3610;
	page("gantry-result: done", "t1");
	ask_for_result(&fixture);
	assert_true(fixture.has_result && fixture.final);
	/* It is not asked for again. */
	only(&fixture)->tail_s -= 10;
	ask_for_result(&fixture);
	assert_true(fixture.has_result);
	assert_int_equal(fake_aws_count("GetLogEvents"), 2);
	end(&fixture);
}

static void a_log_for_which_there_is_no_room_says_that_it_waits(void **state)
{
	struct fixture fixture;
	struct ecs_log_reader *reader;

	(void)state;
	begin(&fixture);
	fixture.logs->bytes += LIMIT_ECS_LOGS_BYTES;
	reader = come(&fixture, 60);
	/* Whoever asks has not been handed its reader yet. */
	assert_int_equal(fixture.news, 0);
	ecs_log_on_pause(fixture.loop, &only(&fixture)->pause, 0);
	assert_string_equal(ecs_log_trouble(reader)->code, "no_room");
	assert_non_null(strstr(ecs_log_trouble(reader)->text, "512 MiB"));
	assert_true(fixture.news > 0);
	assert_int_equal(fake_aws_count("GetLogEvents"), 0);
	fixture.logs->bytes -= LIMIT_ECS_LOGS_BYTES;
	page("one", "t1");
	page(NULL, "t1");
	ecs_log_on_pause(fixture.loop, &only(&fixture)->pause, 0);
	assert_int_equal(ecs_log_trouble(reader)->kind, ERROR_NONE);
	fake_aws_run();
	assert_int_equal(ecs_log_size(reader), 4);
	ecs_log_close(reader);
	end(&fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_complete_log_is_looked_at_again_for_who_comes_later),
		cmocka_unit_test(a_stream_that_was_not_there_is_looked_for_again),
		cmocka_unit_test(a_result_that_was_not_there_is_looked_for_again),
		cmocka_unit_test(a_log_for_which_there_is_no_room_says_that_it_waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
