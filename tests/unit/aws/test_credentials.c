/* SPDX-License-Identifier: Apache-2.0 */
/* How credentials are kept: who waits, who doesn't, what happens when the source is away. */
#include "../cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "aws/credentials.h"
#include "base/clock.h"
#include "conformance.h"
#include "fake_http.h"

enum { LIMIT_ANSWER = 1024, LIFE_S = 3600, LIMIT_LOG = 64 << 10 };

#define SECRET "s3cr3t-k3y"
#define TOKEN "s3cr3t-t0k3n"

struct world {
	struct ev_loop *loop;
	struct fake_http fake;
	struct profile *profile;
	struct conf_aws conf;
	struct credentials_source *source;
	struct error err;
};

/* The container's endpoint, as it is now. */
static struct fake_answer next_answer;
static char document[LIMIT_ANSWER];
static unsigned given;

static void answer(const struct fake_request *request, struct fake_answer *reply)
{
	(void)request;
	*reply = next_answer;
}

static void answer_with(const char *access_key, int64_t life_s)
{
	char end[CLOCK_STAMP_BYTES];

	clock_stamp(clock_wall_ms() + life_s * 1000, end);
	snprintf(document, sizeof(document), "{\"AccessKeyId\":\"%s\",\"SecretAccessKey\":\"" SECRET "\",\"Token\":\"" TOKEN
		"\",\"Expiration\":\"%s\"}", access_key, end);
	next_answer = (struct fake_answer){ .status = 200, .body = document };
}

static void answer_no(void)
{
	next_answer = (struct fake_answer){ .status = 404, .body = "{\"Code\":\"Gone\",\"Message\":\"gone\"}" };
}

static void enter(struct world *world, fake_http_fn *fn)
{
	struct credentials_env env;

	*world = (struct world){ .loop = ev_loop_new(EVFLAG_AUTO), .profile = profile_load(NULL, NULL) };
	fake_http_init(&world->fake, world->loop, fn);
	env = (struct credentials_env){
		.loop = world->loop, .http = world->fake.client, .conf = &world->conf, .profile = world->profile,
		.region = "us-east-1",
	};
	world->source = credentials_create(&env, &world->err);
	given = 0;
}

static void enter_container(struct world *world)
{
	clear_environment();
	setenv("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/c", 1);
	enter(world, answer);
	assert_non_null(world->source);
}

static void leave(struct world *world)
{
	credentials_destroy(world->source);
	assert_int_equal(world->fake.open, 0);
	fake_http_finish(&world->fake);
	profile_destroy(world->profile);
	ev_loop_destroy(world->loop);
}

static void pass_time(double seconds)
{
	clock_shift(seconds, (int64_t)(seconds * 1000));
}

struct asker {
	struct world *world;
	unsigned answers;
	struct error err;
	char access_key[32];
	struct asker *cancels;          /* whom it cancels in its completion */
	bool destroys, asks_again;
};

static void on_answer(void *arg, const struct credentials *credentials, const struct error *err)
{
	struct asker *asker = arg;

	asker->answers++;
	given++;
	if (err != NULL)
		asker->err = *err;
	else
		snprintf(asker->access_key, sizeof(asker->access_key), "%s", credentials->access_key);
	if (asker->cancels != NULL)
		credentials_cancel(asker->world->source, asker->cancels);
	if (asker->asks_again && asker->answers == 1)
		credentials_get(asker->world->source, on_answer, asker);
	if (asker->destroys) {
		credentials_destroy(asker->world->source);
		asker->world->source = NULL;
	}
}

static void ask(struct world *world, struct asker *asker)
{
	asker->world = world;
	credentials_get(world->source, on_answer, asker);
	assert_int_equal(asker->answers, 0);
}

static void wait_for(struct world *world, unsigned answers)
{
	while (given < answers && ev_run(world->loop, EVRUN_ONCE))
		;
	assert_int_equal(given, answers);
}

/* Ends everything that the loop has left to do; a timer that stays would keep it here. */
static void settle(struct world *world)
{
	ev_run(world->loop, 0);
}

static void load_first(struct world *world, const char *access_key, int64_t life_s)
{
	struct asker asker = { 0 };

	answer_with(access_key, life_s);
	ask(world, &asker);
	wait_for(world, 1);
	assert_string_equal(asker.access_key, access_key);
	settle(world);
	given = 0;
	fake_http_forget(&world->fake);
}

static void test_written_keys_are_at_hand_without_a_wait(void **state)
{
	const struct credentials *now;
	struct asker asker = { 0 };
	struct world world;

	(void)state;
	clear_environment();
	setenv("AWS_ACCESS_KEY_ID", "AK", 1);
	setenv("AWS_SECRET_ACCESS_KEY", SECRET, 1);
	enter(&world, answer);
	now = credentials_now(world.source);
	assert_non_null(now);
	assert_string_equal(now->secret_key, SECRET);
	assert_null(now->session_token);
	assert_int_equal(now->expires_ms, 0);
	settle(&world);
	ask(&world, &asker);
	wait_for(&world, 1);
	assert_string_equal(asker.access_key, "AK");
	pass_time(1e7);
	assert_non_null(credentials_now(world.source));
	/* Rejected keys are read once more; they are the same. */
	credentials_reject(world.source, "AK");
	assert_null(credentials_now(world.source));
	ask(&world, &(struct asker){ 0 });
	wait_for(&world, 2);
	assert_non_null(credentials_now(world.source));
	assert_int_equal(world.fake.count, 0);
	settle(&world);
	leave(&world);
}

static void test_one_load_serves_all_who_wait(void **state)
{
	struct asker askers[5] = { 0 };
	struct world world;

	(void)state;
	enter_container(&world);
	answer_with("AK", LIFE_S);
	assert_null(credentials_now(world.source));
	assert_int_equal(world.fake.count, 0);
	for (size_t i = 0; i < ARRAY_SIZE(askers); i++)
		ask(&world, &askers[i]);
	wait_for(&world, ARRAY_SIZE(askers));
	assert_int_equal(world.fake.count, 1);
	for (size_t i = 0; i < ARRAY_SIZE(askers); i++)
		assert_string_equal(askers[i].access_key, "AK");
	assert_string_equal(credentials_now(world.source)->session_token, TOKEN);
	settle(&world);
	leave(&world);
}

static void test_refreshes_ahead_without_a_wait(void **state)
{
	const struct credentials *old;
	struct world world;

	(void)state;
	enter_container(&world);
	load_first(&world, "OLD", LIFE_S);
	pass_time(LIFE_S - 16 * 60);
	assert_string_equal(credentials_now(world.source)->access_key, "OLD");
	assert_int_equal(world.fake.count, 0);
	pass_time(2 * 60);
	answer_with("NEW", LIFE_S);
	old = credentials_now(world.source);
	assert_string_equal(old->access_key, "OLD");
	assert_string_equal(credentials_now(world.source)->access_key, "OLD");
	assert_int_equal(world.fake.count, 1);
	settle(&world);
	assert_string_equal(credentials_now(world.source)->access_key, "NEW");
	assert_int_equal(world.fake.count, 1);
	leave(&world);
}

static void test_others_go_on_while_a_refresh_ahead_is_slow(void **state)
{
	struct asker asker = { 0 };
	struct world world;

	(void)state;
	enter_container(&world);
	load_first(&world, "OLD", LIFE_S);
	pass_time(LIFE_S - 14 * 60);
	next_answer = (struct fake_answer){ .silent = true };
	assert_non_null(credentials_now(world.source));
	assert_int_equal(world.fake.open, 1);
	ask(&world, &asker);
	wait_for(&world, 1);
	assert_string_equal(asker.access_key, "OLD");
	assert_int_equal(world.fake.open, 1);
	assert_int_equal(world.fake.count, 1);
	leave(&world);
}

/* Whoever looked at the old ones in this turn of the loop may still read them. */
struct reader { ev_prepare prepare; struct world *world; const struct credentials *seen; bool read; };

static void on_prepare(struct ev_loop *loop, ev_prepare *prepare, int revents)
{
	struct reader *reader = (struct reader *)prepare;

	(void)revents;
	(void)loop;
	if (reader->seen == NULL)
		reader->seen = credentials_now(reader->world->source);
}

static void on_answer_read(void *arg, const struct credentials *credentials, const struct error *err)
{
	struct reader *reader = arg;

	assert_null(err);
	assert_string_equal(credentials->access_key, "NEW");
	assert_string_equal(reader->seen->access_key, "OLD");
	reader->read = true;
}

static void test_replaced_ones_live_until_the_next_turn(void **state)
{
	struct reader reader = { 0 };
	struct world world;

	(void)state;
	enter_container(&world);
	load_first(&world, "OLD", LIFE_S);
	pass_time(LIFE_S - 10 * 60);
	answer_with("NEW", LIFE_S);
	reader.world = &world;
	ev_prepare_init(&reader.prepare, on_prepare);
	ev_prepare_start(world.loop, &reader.prepare);
	credentials_get(world.source, on_answer_read, &reader);
	while (!reader.read && ev_run(world.loop, EVRUN_ONCE))
		;
	assert_true(reader.read);
	ev_prepare_stop(world.loop, &reader.prepare);
	settle(&world);
	leave(&world);
}

static void test_lives_on_past_the_end_when_the_source_is_away(void **state)
{
	struct asker first = { 0 }, second = { 0 };
	struct world world;

	(void)state;
	enter_container(&world);
	load_first(&world, "OLD", LIFE_S);
	pass_time(LIFE_S + 100);
	answer_no();
	assert_null(credentials_now(world.source));
	ask(&world, &first);
	wait_for(&world, 1);
	assert_string_equal(first.access_key, "OLD");
	assert_int_equal(world.fake.count, 1);
	/* Left alone for at least 300 s. */
	pass_time(299);
	assert_string_equal(credentials_now(world.source)->access_key, "OLD");
	settle(&world);
	assert_int_equal(world.fake.count, 1);
	/* And asked again after 600 s at the latest. */
	pass_time(301);
	assert_null(credentials_now(world.source));
	answer_with("NEW", LIFE_S);
	ask(&world, &second);
	wait_for(&world, 2);
	assert_string_equal(second.access_key, "NEW");
	settle(&world);
	leave(&world);
}

static void test_same_ones_again_are_not_asked_for_all_the_time(void **state)
{
	struct world world;

	(void)state;
	enter_container(&world);
	/* Shorter than their window, so there is always something to refresh ahead. */
	load_first(&world, "AK", 250);
	for (int i = 0; i < 10; i++) {
		answer_with("AK", 250 - 5 * i);
		assert_non_null(credentials_now(world.source));
		settle(&world);
		pass_time(5);
	}
	assert_int_equal(world.fake.count, 0);
	pass_time(15);
	assert_non_null(credentials_now(world.source));
	settle(&world);
	assert_int_equal(world.fake.count, 1);
	leave(&world);
}

static void test_clock_that_is_set_back_hides_no_end(void **state)
{
	struct world world;

	(void)state;
	enter_container(&world);
	load_first(&world, "OLD", LIFE_S);
	clock_shift(LIFE_S - 30, -7200 * 1000);
	assert_null(credentials_now(world.source));
	clock_shift(0, 7200 * 1000);
	leave(&world);
}

/* What AWS's clock says of itself and of the end, told to a host whose clock is two hours ahead. */
static void test_wrong_clock_makes_good_ones_not_look_ended(void **state)
{
	static const struct { const char *name, *date, *end; int64_t want_left_s; } cases[] = {
		{ "two hours ahead", "Date: Fri, 02 Jan 2026 01:04:05 GMT", "2026-01-02T02:04:05Z", 3600 },
		{ "a day behind", "Date: Sat, 03 Jan 2026 03:04:05 GMT", "2026-01-03T04:04:05Z", 3600 },
		{ "a little ahead", "Date: Fri, 02 Jan 2026 03:03:35 GMT", "2026-01-02T04:04:05Z", 3600 },
	};
	const int64_t now_ms = 1767323045000;   /* 2026-01-02T03:04:05Z */

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int64_t shift_ms = now_ms - clock_wall_ms(), left_ms;
		struct asker asker = { 0 };
		struct world world;

		clock_shift(0, shift_ms);
		enter_container(&world);
		snprintf(document, sizeof(document), "{\"AccessKeyId\":\"AK\",\"SecretAccessKey\":\"" SECRET
			"\",\"Expiration\":\"%s\"}", cases[i].end);
		next_answer = (struct fake_answer){ .status = 200, .body = document, .headers = { cases[i].date } };
		ask(&world, &asker);
		wait_for(&world, 1);
		if (strcmp(asker.access_key, "AK") != 0)
			fail_msg("%s: %s", cases[i].name, asker.err.text);
		left_ms = credentials_now(world.source)->expires_ms - now_ms;
		if (left_ms < cases[i].want_left_s * 1000 - 2000 || left_ms > cases[i].want_left_s * 1000 + 2000)
			fail_msg("%s: %lld ms left", cases[i].name, (long long)left_ms);
		settle(&world);
		leave(&world);
		clock_shift(0, -shift_ms);
	}
}

static void test_rejects_only_what_was_meant(void **state)
{
	struct asker asker = { 0 };
	struct world world;

	(void)state;
	enter_container(&world);
	load_first(&world, "OLD", LIFE_S);
	credentials_reject(world.source, "SOMEBODY");
	assert_non_null(credentials_now(world.source));
	credentials_reject(world.source, "OLD");
	assert_null(credentials_now(world.source));
	answer_with("NEW", LIFE_S);
	ask(&world, &asker);
	wait_for(&world, 1);
	assert_string_equal(asker.access_key, "NEW");
	assert_string_equal(credentials_now(world.source)->access_key, "NEW");
	settle(&world);
	leave(&world);
}

static void test_tells_nobody_after_cancel(void **state)
{
	struct asker askers[3] = { 0 };
	struct world world;

	(void)state;
	enter_container(&world);
	answer_with("AK", LIFE_S);
	for (size_t i = 0; i < ARRAY_SIZE(askers); i++)
		ask(&world, &askers[i]);
	credentials_cancel(world.source, &askers[0]);
	askers[1].cancels = &askers[2];
	settle(&world);
	assert_int_equal(askers[0].answers, 0);
	assert_int_equal(askers[1].answers, 1);
	assert_int_equal(askers[2].answers, 0);
	leave(&world);
}

static void test_may_be_destroyed_by_whom_it_answers(void **state)
{
	static const struct { const char *name; bool cached, fails; } cases[] = {
		{ "after a load", false, false }, { "after a failure", false, true }, { "from what is at hand", true, false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct asker askers[3] = { [1] = { .destroys = true } };
		struct world world;

		enter_container(&world);
		if (cases[i].cached)
			load_first(&world, "AK", LIFE_S);
		answer_with("AK", LIFE_S);
		if (cases[i].fails)
			answer_no();
		for (size_t k = 0; k < ARRAY_SIZE(askers); k++)
			ask(&world, &askers[k]);
		settle(&world);
		assert_int_equal(askers[0].answers, 1);
		assert_int_equal(askers[1].answers, 1);
		assert_int_equal(askers[2].answers, 0);
		assert_null(world.source);
		leave(&world);
	}
}

static void test_may_be_asked_again_by_whom_it_answers(void **state)
{
	struct asker asker = { .asks_again = true };
	struct world world;

	(void)state;
	enter_container(&world);
	answer_no();
	ask(&world, &asker);
	settle(&world);
	assert_int_equal(asker.answers, 2);
	assert_int_equal(asker.err.kind, ERROR_REFUSED);
	assert_int_equal(world.fake.count, 2);
	leave(&world);
}

static void test_destroy_ends_a_load(void **state)
{
	struct asker asker = { 0 };
	struct world world;

	(void)state;
	enter_container(&world);
	next_answer = (struct fake_answer){ .silent = true };
	ask(&world, &asker);
	assert_int_equal(world.fake.open, 1);
	leave(&world);
	assert_int_equal(asker.answers, 0);
}

static void test_gives_up_a_source_that_is_silent(void **state)
{
	struct asker asker = { 0 };
	struct world world;
	double begun_s;

	(void)state;
	enter_container(&world);
	next_answer = (struct fake_answer){ .silent = true };
	begun_s = clock_monotonic_s();
	ask(&world, &asker);
	wait_for(&world, 1);
	assert_true(clock_monotonic_s() - begun_s < 60);
	assert_int_equal(asker.err.kind, ERROR_TEMPORARY);
	assert_non_null(strstr(asker.err.text, "no answer in 5s"));
	assert_int_equal(world.fake.open, 0);
	leave(&world);
}

static void test_tells_that_nothing_is_configured(void **state)
{
	struct asker asker = { 0 };
	struct world world;

	(void)state;
	clear_environment();
	setenv("AWS_EC2_METADATA_DISABLED", "true", 1);
	enter(&world, answer);
	assert_non_null(world.source);
	assert_null(credentials_now(world.source));
	ask(&world, &asker);
	settle(&world);
	assert_int_equal(asker.answers, 1);
	assert_int_equal(asker.err.kind, ERROR_REFUSED);
	assert_non_null(strstr(asker.err.text, "AWS_ACCESS_KEY_ID"));
	assert_non_null(strstr(asker.err.text, "AWS_EC2_METADATA_DISABLED"));
	credentials_reject(world.source, "X");
	leave(&world);
}

static void test_half_a_configuration_is_refused_at_once(void **state)
{
	struct world world;

	(void)state;
	clear_environment();
	setenv("AWS_ACCESS_KEY_ID", "AK", 1);
	enter(&world, answer);
	assert_null(world.source);
	assert_int_equal(world.err.kind, ERROR_REFUSED);
	leave(&world);
	clear_environment();
	setenv("AWS_ACCESS_KEY_ID", "AK", 1);
	setenv("AWS_SECRET_ACCESS_KEY", SECRET "\r", 1);
	enter(&world, answer);
	assert_null(world.source);
	assert_non_null(strstr(world.err.text, "secret key has a line end"));
	assert_null(strstr(world.err.text, SECRET));
	leave(&world);
}

/* IMDS's session token */

static unsigned imds_puts;
static const char *imds_token;

static void answer_imds(const struct fake_request *request, struct fake_answer *reply)
{
	const char *token = fake_request_header(request, "x-aws-ec2-metadata-token");

	if (strcmp(request->method, "PUT") == 0) {
		imds_puts++;
		*reply = (struct fake_answer){ .status = 200, .body = imds_token,
			.headers = { "X-Aws-Ec2-Metadata-Token-Ttl-Seconds: 3000" } };
	} else if (token == NULL || strcmp(token, imds_token) != 0) {
		*reply = (struct fake_answer){ .status = 401 };
	} else if (strstr(request->url, "/role") == NULL) {
		*reply = (struct fake_answer){ .status = 200, .body = "role" };
	} else {
		*reply = next_answer;
	}
}

static void test_keeps_the_token_of_imds(void **state)
{
	static const struct { const char *name, *token; double age_s; unsigned want_puts; } steps[] = {
		{ "first", "t1", 0, 1 }, { "young", "t1", 2000, 0 }, { "refused", "t2", 0, 1 }, { "old", "t2", 2900, 1 },
	};
	struct world world;

	(void)state;
	clear_environment();
	enter(&world, answer_imds);
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		struct asker asker = { 0 };

		pass_time(steps[i].age_s);
		imds_token = steps[i].token;
		imds_puts = 0;
		answer_with("AK", LIFE_S);
		credentials_reject(world.source, "AK");
		ask(&world, &asker);
		settle(&world);
		if (strcmp(asker.access_key, "AK") != 0 || imds_puts != steps[i].want_puts)
			fail_msg("%s: %s%s, %u tokens", steps[i].name, asker.access_key, asker.err.text, imds_puts);
	}
	leave(&world);
}

/* Everything that is said, at every level, in good times and bad. */
static void test_never_tells_a_secret(void **state)
{
	static char said[LIMIT_LOG];
	struct asker askers[3] = { 0 };
	struct world world;
	int fd = memfd_create("log", MFD_CLOEXEC);
	ssize_t size;

	(void)state;
	log_open_fd(fd, LOG_FORMAT_LOGFMT, LOG_LEVEL_DEBUG);
	enter_container(&world);
	setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", TOKEN, 1);
	load_first(&world, "AK", LIFE_S);
	pass_time(LIFE_S);
	next_answer = (struct fake_answer){ .status = 200, .body = "{\"SecretAccessKey\":\"" SECRET "\",\"Token\":\"" TOKEN "\"}" };
	ask(&world, &askers[0]);
	wait_for(&world, 1);
	leave(&world);
	enter_container(&world);
	ask(&world, &askers[1]);
	wait_for(&world, 1);
	next_answer = (struct fake_answer){ .status = 200, .body = "{\"SecretAccessKey\": " SECRET };
	ask(&world, &askers[2]);
	wait_for(&world, 2);
	leave(&world);
	log_open_fd(STDERR_FILENO, LOG_FORMAT_LOGFMT, LOG_LEVEL_ERROR);
	size = pread(fd, said, sizeof(said) - 1, 0);
	close(fd);
	assert_true(size > 0);
	assert_non_null(strstr(said, "good until"));
	assert_non_null(strstr(said, "could not be refreshed"));
	assert_null(strstr(said, "s3cr3t"));
	for (size_t i = 1; i < ARRAY_SIZE(askers); i++) {
		assert_int_not_equal(askers[i].err.kind, ERROR_NONE);
		if (strstr(askers[i].err.text, "s3cr3t") != NULL)
			fail_msg("\"%s\"", askers[i].err.text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_written_keys_are_at_hand_without_a_wait),
		cmocka_unit_test(test_one_load_serves_all_who_wait),
		cmocka_unit_test(test_refreshes_ahead_without_a_wait),
		cmocka_unit_test(test_others_go_on_while_a_refresh_ahead_is_slow),
		cmocka_unit_test(test_replaced_ones_live_until_the_next_turn),
		cmocka_unit_test(test_lives_on_past_the_end_when_the_source_is_away),
		cmocka_unit_test(test_same_ones_again_are_not_asked_for_all_the_time),
		cmocka_unit_test(test_clock_that_is_set_back_hides_no_end),
		cmocka_unit_test(test_wrong_clock_makes_good_ones_not_look_ended),
		cmocka_unit_test(test_rejects_only_what_was_meant),
		cmocka_unit_test(test_tells_nobody_after_cancel),
		cmocka_unit_test(test_may_be_destroyed_by_whom_it_answers),
		cmocka_unit_test(test_may_be_asked_again_by_whom_it_answers),
		cmocka_unit_test(test_destroy_ends_a_load),
		cmocka_unit_test(test_gives_up_a_source_that_is_silent),
		cmocka_unit_test(test_tells_that_nothing_is_configured),
		cmocka_unit_test(test_half_a_configuration_is_refused_at_once),
		cmocka_unit_test(test_keeps_the_token_of_imds),
		cmocka_unit_test(test_never_tells_a_secret),
	};

	log_set_level(LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
