/* SPDX-License-Identifier: Apache-2.0 */
/* test_store_place.c - attempts that are bound to a host: they wait for it, and are given up when it does not come back.
 *
 * Stores that are of one host know no other: they give every job to everybody. */
#include <stdlib.h>
#include <string.h>

#include "../cmocka_all.h"
#include "base/clock.h"
#include "base/mem.h"
#include "store_fixture.h"

enum { TIMEOUT_MS = 10 * FIXTURE_LEASE_MS };

static bool is_of_several_hosts(const struct store_fixture *fixture)
{
	return strcmp(fixture->adapter->name, "redis") == 0 || strcmp(fixture->adapter->name, "postgresql") == 0;
}

static struct store *open_at(struct store_fixture *fixture, const char *owner, const char *place)
{
	const struct store_options options = {
		.loop = fixture->loop, .log = &fixture->log, .owner = owner, .place = place, .lease_ms = FIXTURE_LEASE_MS,
		.migrate = true,
	};
	struct error err = { 0 };
	struct store *store = store_open(fixture->url, &options, &err);

	if (store == NULL)
		fail_msg("%s: %s", fixture->url, err.text);
	want_renew(fixture, store, ERROR_NONE);
	return store;
}

/* Admitted and intended at a place, whose owner then gives it up and goes. */
static struct job *leave_bound(struct store_fixture *fixture, const char *id, const char *place, bool started)
{
	struct store *store = open_at(fixture, place, place);
	struct job *job = make_job(id, LOCK_PARALLEL);

	want_admit(fixture, store, job);
	job->attempt.bound = true;
	job->attempt.timeout_ms = TIMEOUT_MS;
	job->attempt.intended_ms = clock_steady_ms();
	want_intend(fixture, store, job, ERROR_NONE);
	if (started) {
		job->attempt.started_ms = job->attempt.intended_ms;
		want_started(fixture, store, job, ERROR_NONE);
	}
	assert_int_equal(want_disown(fixture, store, place), 1);
	store_close(store);
	return job;
}

static void want_adopted(struct store_fixture *fixture, struct store *store, const char *ids)
{
	struct heard heard;

	want_adopt(fixture, store, 10, &heard);
	assert_string_equal(heard_ids(&heard), ids);
	heard_finish(&heard);
}

static void bound_attempt_waits_for_its_host(void **state)
{
	struct store_fixture *fixture = *state;
	struct job *launching = leave_bound(fixture, "1", "host", false), *running = leave_bound(fixture, "2", "host", true);
	struct store *other = open_at(fixture, "elsewhere", "another host");
	struct store *again;

	want_adopted(fixture, other, is_of_several_hosts(fixture) ? "" : "1 2");
	if (is_of_several_hosts(fixture)) {
		/* However long nobody of it is there. */
		clock_shift(FIXTURE_LEASE_MS / 1000. + 1, 0);
		want_adopted(fixture, fixture->a, "");
		again = open_at(fixture, "host, a second time", "host");
		want_adopted(fixture, again, "1 2");
		store_close(again);
	}
	store_close(other);
	job_destroy(launching);
	job_destroy(running);
}

static void what_waits_for_no_host_goes_to_everybody(void **state)
{
	struct store_fixture *fixture = *state;
	struct job *bound = leave_bound(fixture, "1", "host", true);
	struct store *host = open_at(fixture, "host", "host");
	struct job *queued = make_job("2", LOCK_PARALLEL), *free_one = make_job("3", LOCK_PARALLEL);
	struct heard heard;

	want_admit(fixture, host, queued);
	want_admit(fixture, host, free_one);
	want_intend(fixture, host, free_one, ERROR_NONE);
	want_disown(fixture, host, "host");
	/* One at a time: those in front that it may not have are no reason to get none. */
	for (int i = 0; i < (is_of_several_hosts(fixture) ? 2 : 3); i++) {
		want_adopt(fixture, fixture->a, 1, &heard);
		assert_int_equal(heard.count, 1);
		heard_finish(&heard);
	}
	want_adopted(fixture, fixture->a, "");
	store_close(host);
	job_destroy(bound);
	job_destroy(queued);
	job_destroy(free_one);
}

static void attempt_whose_end_was_asked_for_is_given_up_when_its_host_is_gone(void **state)
{
	struct store_fixture *fixture = *state;
	struct job *job = leave_bound(fixture, "1", "host", true);

	want_asked(fixture, fixture->a, store_cancel, "1", STORE_ASKED_BEGUN, "1@-", "");
	if (is_of_several_hosts(fixture)) {
		/* It was there a moment ago, and may be restarting. */
		want_adopted(fixture, fixture->a, "");
		clock_shift(FIXTURE_LEASE_MS / 1000. + 1, 0);
	}
	want_adopted(fixture, fixture->b, "1");
	job_destroy(job);
}

static void attempt_beyond_its_timeout_is_given_up_when_its_host_is_gone(void **state)
{
	struct store_fixture *fixture = *state;
	struct job *job = leave_bound(fixture, "1", "host", true);

	if (is_of_several_hosts(fixture)) {
		clock_shift(0, TIMEOUT_MS + 1);
		want_adopted(fixture, fixture->a, "");
		clock_shift(FIXTURE_LEASE_MS / 1000. + 1, -TIMEOUT_MS - 1);
		want_adopted(fixture, fixture->b, "");
		clock_shift(0, TIMEOUT_MS + 1);
	}
	want_adopted(fixture, fixture->b, "1");
	clock_shift(0, is_of_several_hosts(fixture) ? -TIMEOUT_MS - 1 : 0);
	job_destroy(job);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(bound_attempt_waits_for_its_host),
		cmocka_unit_test(what_waits_for_no_host_goes_to_everybody),
		cmocka_unit_test(attempt_whose_end_was_asked_for_is_given_up_when_its_host_is_gone),
		cmocka_unit_test(attempt_beyond_its_timeout_is_given_up_when_its_host_is_gone),
	};

	return fixture_run(tests, ARRAY_SIZE(tests));
}
