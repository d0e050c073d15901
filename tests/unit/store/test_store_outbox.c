/* SPDX-License-Identifier: Apache-2.0 */
/* test_store_outbox.c - what is still to be told, what may be forgotten, and rates that are shared. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../cmocka_all.h"
#include "base/clock.h"
#include "base/mem.h"
#include "store/store_rules.h"
#include "store_fixture.h"

/* -- outbox -------------------------------------------------------------------------------------- */

static struct store_delivery delivery(const char *event, const char *job_id)
{
	return (struct store_delivery){ .sink = "hook", .event = event, .job_id = job_id, .payload = "{}" };
}

static void say(struct store_fixture *fixture, const char *event, const char *job_id, const char *dedup_key)
{
	const struct store_delivery said = delivery(event, job_id);
	struct heard heard = { 0 };

	store_say(fixture->a, NULL, &said, 1, dedup_key, heard_done, &heard);
	hear(fixture, &heard);
	assert_int_equal(heard.err.kind, ERROR_NONE);
}

static void want_claimed(struct store_fixture *fixture, struct store *store, size_t max, const char *want,
	struct heard *heard)
{
	*heard = (struct heard){ 0 };
	store_claim_deliveries(store, max, heard_deliveries, heard);
	hear(fixture, heard);
	assert_int_equal(heard->err.kind, ERROR_NONE);
	assert_string_equal(heard->told, want);
}

static void want_due(struct store_fixture *fixture, size_t max, const char *want, struct heard *heard)
{
	want_claimed(fixture, fixture->b, max, want, heard);
}

/* What became of the delivery id, as store says. */
static void note_by(struct store_fixture *fixture, struct store *store, struct store_delivery outcome, int64_t id)
{
	struct heard heard = { 0 };

	outcome.id = id;
	store_note_deliveries(store, &outcome, 1, heard_done, &heard);
	hear(fixture, &heard);
	assert_int_equal(heard.err.kind, ERROR_NONE);
}

static void note(struct store_fixture *fixture, struct store_delivery outcome, int64_t id)
{
	note_by(fixture, fixture->b, outcome, id);
}

static void want_listed(struct store *store, struct store_delivery_filter filter, const char *want)
{
	char text[512];

	filter.max = filter.max > 0 ? filter.max : 100;
	read_deliveries(store, &filter, text, sizeof(text));
	assert_string_equal(text, want);
}

static void delivery_is_claimed_by_one_and_due_again_a_minute_later(void **state)
{
	struct store_fixture *fixture = *state;
	int64_t now_ms = clock_wall_ms();
	struct heard heard;

	say(fixture, "one", "1", NULL);
	say(fixture, "two", "1", NULL);
	say(fixture, "three", NULL, NULL);
	want_due(fixture, 2, "one:{} two:{}", &heard);
	assert_in_range(heard.next_due_ms, now_ms, now_ms + 30000);
	want_due(fixture, 2, "three:{}", &heard);
	assert_in_range(heard.next_due_ms, now_ms + 60000, now_ms + 90000);
	want_due(fixture, 2, "", &heard);
	clock_shift(0, 90000);
	want_due(fixture, 3, "one:{} two:{} three:{}", &heard);
	clock_shift(0, -90000);
}

static void outcome_of_a_delivery_is_kept(void **state)
{
	struct store_fixture *fixture = *state;
	int64_t later_ms = clock_wall_ms() + 500000;
	struct heard claimed, heard;

	for (int i = 0; i < 4; i++) {
		static const char *const events[] = { "arrives", "fails", "dies", "waits" };

		say(fixture, events[i], i < 3 ? "1" : "2", NULL);
	}
	want_due(fixture, 3, "arrives:{} fails:{} dies:{}", &claimed);
	note(fixture, (struct store_delivery){ .tries = 1 }, claimed.ids[0]);
	note(fixture, (struct store_delivery){ .tries = 1, .next_try_ms = later_ms, .error = "x" }, claimed.ids[1]);
	note(fixture, (struct store_delivery){ .tries = 9, .dead = true, .error = "y" }, claimed.ids[2]);
	note(fixture, (struct store_delivery){ .tries = 9, .dead = true }, 12345);
	want_due(fixture, 3, "waits:{}", &heard);
	want_listed(fixture->a, (struct store_delivery_filter){ 0 }, "arrives:1 fails:1:open:failed dies:9:dead:failed waits:0:open ");
	want_listed(fixture->a, (struct store_delivery_filter){ .open_only = true }, "fails:1:open:failed dies:9:dead:failed"
		" waits:0:open ");
	want_listed(fixture->a, (struct store_delivery_filter){ .job_id = "1" }, "arrives:1 fails:1:open:failed"
		" dies:9:dead:failed ");
	want_listed(fixture->a, (struct store_delivery_filter){ .job_id = "1", .open_only = true, .max = 1 },
		"fails:1:open:failed ");
	want_listed(fixture->a, (struct store_delivery_filter){ .after_id = claimed.ids[1], .max = 1 }, "dies:9:dead:failed ");
	note(fixture, (struct store_delivery){ .tries = 1 }, heard.ids[0]);
	want_due(fixture, 3, "", &heard);
	assert_int_equal(heard.next_due_ms, later_ms);
}

static void replay(struct store_fixture *fixture, int64_t id, enum store_asked verdict)
{
	struct heard heard = { 0 };

	store_replay(fixture->a, id, heard_answer, &heard);
	hear(fixture, &heard);
	assert_int_equal(heard.err.kind, ERROR_NONE);
	assert_int_equal(heard.verdict, verdict);
}

static void dead_deliveries_are_replayed(void **state)
{
	struct store_fixture *fixture = *state;
	struct heard claimed, heard;

	replay(fixture, 0, STORE_ASKED_UNKNOWN);
	for (int i = 0; i < 3; i++)
		say(fixture, "e", "1", NULL);
	want_due(fixture, 3, "e:{} e:{} e:{}", &claimed);
	for (int i = 0; i < 3; i++)
		note(fixture, (struct store_delivery){ .tries = 5, .dead = true, .error = "x" }, claimed.ids[i]);
	want_due(fixture, 3, "", &heard);
	assert_int_equal(heard.next_due_ms, 0);
	replay(fixture, claimed.ids[1], STORE_ASKED_DONE);
	replay(fixture, claimed.ids[1], STORE_ASKED_UNKNOWN);
	want_due(fixture, 3, "e:{}", &heard);
	assert_int_equal(heard.ids[0], claimed.ids[1]);
	replay(fixture, 0, STORE_ASKED_DONE);
	want_due(fixture, 3, "e:{} e:{}", &heard);
	want_listed(fixture->a, (struct store_delivery_filter){ 0 }, "e:0:open:failed e:0:open:failed e:0:open:failed ");
}

/* All of a call stand or fall with its key; what was delivered long ago was said, too. */
static void what_was_said_under_a_key_is_not_said_again(void **state)
{
	struct store_fixture *fixture = *state;
	const struct store_delivery both[] = { delivery("mail", "1"), delivery("hook", "1") };
	struct heard heard = { 0 };

	store_say(fixture->a, NULL, both, 2, "1/1/failed", heard_done, &heard);
	hear(fixture, &heard);
	want_due(fixture, 9, "mail:{} hook:{}", &heard);
	for (int i = 0; i < 2; i++)
		note(fixture, (struct store_delivery){ .tries = 1 }, heard.ids[i]);
	say(fixture, "again", "1", "1/1/failed");
	say(fixture, "other", "1", "1/2/failed");
	want_due(fixture, 9, "other:{}", &heard);
}

/* What a says by the job: NULL for nobody's word. */
static void want_said(struct store_fixture *fixture, struct store *store, const struct job *by, const char *event,
	const char *dedup_key, enum error_kind kind)
{
	const struct store_delivery said = delivery(event, "1");
	struct heard heard = { 0 };

	store_say(store, by, &said, 1, dedup_key, heard_done, &heard);
	hear(fixture, &heard);
	assert_int_equal(heard.err.kind, kind);
}

/* a has lost the job and does not know it yet.  What it says of the job is dropped together with its move, under the
 * key that the next owner says the truth under, too. */
static void worker_that_has_lost_its_job_tells_nothing_of_it(void **state)
{
	struct store_fixture *fixture = *state;
	struct job *job = make_job("1", LOCK_QUEUE);
	const struct store_delivery said = delivery("failed", "1");
	struct heard say = { 0 }, end = { 0 };
	struct heard adopted, heard;
	struct job_result result;

	want_admit(fixture, fixture->a, job);
	want_intend(fixture, fixture->a, job, ERROR_NONE);
	want_disown(fixture, fixture->b, "a");
	want_said(fixture, fixture->a, job, "started", NULL, ERROR_LOST);
	want_adopt(fixture, fixture->b, 1, &adopted);
	job->state = JOB_FAILED;
	job_result_set(&result, JOB_FAILED, "exit_code", 1, "%s", "");
	store_say(fixture->a, job, &said, 1, "1/1/end", heard_done, &say);
	store_finish(fixture->a, job, &result, heard_finished, &end);
	hear(fixture, &end);
	assert_int_equal(say.err.kind, ERROR_LOST);
	assert_int_equal(end.err.kind, ERROR_LOST);
	want_due(fixture, 9, "", &heard);
	adopted.jobs[0]->state = JOB_SUCCEEDED;
	want_said(fixture, fixture->b, adopted.jobs[0], "succeeded", "1/1/end", ERROR_NONE);
	want_finish(fixture, fixture->b, adopted.jobs[0], JOB_SUCCEEDED, "");
	want_said(fixture, fixture->b, adopted.jobs[0], "succeeded", "1/1/end", ERROR_NONE);
	/* Of the same owner, but from before it was given the job anew. */
	adopted.jobs[0]->fence--;
	want_said(fixture, fixture->b, adopted.jobs[0], "failed", NULL, ERROR_LOST);
	/* What is true whoever has the job stays possible. */
	want_said(fixture, fixture->a, NULL, "error", NULL, ERROR_NONE);
	want_due(fixture, 9, "succeeded:{} error:{}", &heard);
	heard_finish(&adopted);
	job_destroy(job);
}

static void end_that_others_have_made_impossible_is_not_told(void **state)
{
	struct store_fixture *fixture = *state;
	struct job *job = make_job("1", LOCK_QUEUE);
	struct heard heard;

	want_admit(fixture, fixture->a, job);
	want_asked(fixture, fixture->b, store_cancel, "1", STORE_ASKED_DONE, "1@a", "");
	job->state = JOB_WAITING;
	want_said(fixture, fixture->a, job, "accepted", NULL, ERROR_NONE);
	job->state = JOB_FAILED;
	want_said(fixture, fixture->a, job, "failed", NULL, ERROR_LOST);
	job->state = JOB_CANCELLED;
	want_said(fixture, fixture->a, job, "cancelled", NULL, ERROR_NONE);
	want_due(fixture, 9, "accepted:{} cancelled:{}", &heard);
	xreplace(&job->id, "none");
	want_said(fixture, fixture->a, job, "cancelled", NULL, ERROR_LOST);
	job_destroy(job);
}

/* As store_retry(), which is refused, too, once somebody has asked for the end. */
static void attempt_that_others_have_made_impossible_is_not_told(void **state)
{
	struct store_fixture *fixture = *state;
	struct job *job = make_job("1", LOCK_QUEUE);
	struct heard heard;

	want_admit(fixture, fixture->a, job);
	want_intend(fixture, fixture->a, job, ERROR_NONE);
	job->state = JOB_QUEUED;
	want_said(fixture, fixture->a, job, "retrying1", NULL, ERROR_NONE);
	want_started(fixture, fixture->a, job, ERROR_NONE);
	job->state = JOB_QUEUED;
	want_said(fixture, fixture->a, job, "retrying2", NULL, ERROR_NONE);
	want_asked(fixture, fixture->b, store_cancel, "1", STORE_ASKED_BEGUN, "1@a", "");
	want_said(fixture, fixture->a, job, "retrying3", NULL, ERROR_LOST);
	want_retry(fixture, fixture->a, job, ERROR_INVALID);
	want_finish(fixture, fixture->a, job, JOB_FAILED, "");
	job->state = JOB_QUEUED;
	want_said(fixture, fixture->a, job, "retrying4", NULL, ERROR_LOST);
	want_due(fixture, 9, "retrying1:{} retrying2:{}", &heard);
	job_destroy(job);
}

static void too_large_a_payload_is_refused_and_its_move_is_not(void **state)
{
	struct store_fixture *fixture = *state;
	struct job *job = make_job("1", LOCK_QUEUE);
	struct store_delivery said = delivery("e", "1");
	char *payload = xcalloc(LIMIT_DELIVERY_BYTES + 2, 1);
	struct heard heard[2] = { 0 };

	want_admit(fixture, fixture->a, job);
	memset(payload, 'x', LIMIT_DELIVERY_BYTES + 1);
	said.payload = payload;
	job->attempt.number = 1;
	store_say(fixture->a, NULL, &said, 1, NULL, heard_done, &heard[0]);
	store_intend(fixture->a, job, heard_done, &heard[1]);
	hear(fixture, &heard[1]);
	assert_int_equal(heard[0].err.kind, ERROR_INVALID);
	assert_int_equal(heard[1].err.kind, ERROR_NONE);
	payload[LIMIT_DELIVERY_BYTES] = '\0';
	heard[0] = (struct heard){ 0 };
	store_say(fixture->a, NULL, &said, 1, NULL, heard_done, &heard[0]);
	hear(fixture, &heard[0]);
	assert_int_equal(heard[0].err.kind, ERROR_NONE);
	free(payload);
	job_destroy(job);
}

/* -- prune --------------------------------------------------------------------------------------- */

static size_t prune(struct store_fixture *fixture, int64_t older_than_ms, size_t max)
{
	struct heard heard = { 0 };

	store_prune(fixture->b, older_than_ms, max, heard_count, &heard);
	hear(fixture, &heard);
	assert_int_equal(heard.err.kind, ERROR_NONE);
	return heard.count;
}

static void add_ended(struct store_fixture *fixture, const char *id, bool settled)
{
	struct job *job = make_job(id, LOCK_QUEUE);

	want_admit(fixture, fixture->a, job);
	want_intend(fixture, fixture->a, job, ERROR_NONE);
	want_finish(fixture, fixture->a, job, JOB_FAILED, "");
	job->message.settled = settled;
	want_note(fixture, fixture->a, job, ERROR_NONE);
	job_destroy(job);
}

static void want_jobs(struct store *store, const char *ids)
{
	struct heard heard = { 0 };

	read_jobs(store, &(struct store_filter){ .state = -1, .max = 50 }, &heard.jobs, &heard.count);
	assert_string_equal(heard_ids(&heard), ids);
	heard_finish(&heard);
}

static void only_what_is_over_and_told_is_forgotten(void **state)
{
	struct store_fixture *fixture = *state;
	struct job *unfinished = make_job("1", LOCK_QUEUE);
	int64_t later_ms = clock_wall_ms() + 1000000;
	uint64_t counts[JOB_STATES];
	struct heard heard;

	xreplace(&unfinished->lock_key, "other");
	want_admit(fixture, fixture->a, unfinished);
	add_ended(fixture, "2", false);
	add_ended(fixture, "3", true);
	say(fixture, "untold", "3", "3/1");
	add_ended(fixture, "4", true);
	say(fixture, "told", "4", "4/1");
	want_due(fixture, 9, "untold:{} told:{}", &heard);
	note(fixture, (struct store_delivery){ .tries = 1 }, heard.ids[1]);
	add_ended(fixture, "5", true);
	assert_int_equal(prune(fixture, clock_wall_ms() - 1000000, 10), 0);
	want_jobs(fixture->a, "5 4 3 2 1");
	assert_int_equal(prune(fixture, later_ms, 10), 2);
	want_jobs(fixture->a, "3 2 1");
	read_counts(fixture->a, counts);
	assert_int_equal(counts[JOB_FAILED], 2);
	want_listed(fixture->a, (struct store_delivery_filter){ 0 }, "untold:0:open ");
	note(fixture, (struct store_delivery){ .tries = 1 }, heard.ids[0]);
	assert_int_equal(prune(fixture, later_ms, 10), 1);
	want_jobs(fixture->a, "2 1");
	job_destroy(unfinished);
}

/* The operator has the same time for it as for the job. */
static void dead_delivery_is_forgotten_with_its_job(void **state)
{
	struct store_fixture *fixture = *state;
	int64_t ended_ms;
	struct heard heard;

	add_ended(fixture, "1", true);
	add_ended(fixture, "2", true);
	ended_ms = clock_steady_ms();
	say(fixture, "given_up", "1", "1/1");
	say(fixture, "untold", "2", "2/1");
	want_due(fixture, 9, "given_up:{} untold:{}", &heard);
	clock_shift(0, 600000);
	note(fixture, (struct store_delivery){ .tries = 9, .dead = true, .error = "x" }, heard.ids[0]);
	assert_int_equal(prune(fixture, ended_ms + 300000, 10), 0);
	want_jobs(fixture->a, "2 1");
	assert_int_equal(prune(fixture, ended_ms + 900000, 10), 1);
	want_jobs(fixture->a, "2");
	want_listed(fixture->a, (struct store_delivery_filter){ 0 }, "untold:0:open ");
	replay(fixture, 0, STORE_ASKED_UNKNOWN);
	clock_shift(0, -600000);
}

/* A forgotten job may come again, under a grant that nobody had; what was said of it may be said again. */
static void grants_go_on_after_their_jobs_are_forgotten(void **state)
{
	struct store_fixture *fixture = *state;
	struct job *again = make_job("1", LOCK_QUEUE);
	int64_t seq;
	struct job *found;

	add_ended(fixture, "1", true);
	found = read_job(fixture->a, "1");
	seq = found->seq;
	job_destroy(found);
	assert_int_equal(prune(fixture, clock_wall_ms() + 1000, 10), 1);
	assert_null(read_job(fixture->a, "1"));
	assert_int_equal(want_admit(fixture, fixture->a, again), STORE_ADMITTED_NEW);
	assert_int_equal(again->grant, 2);
	assert_true(again->seq > seq);
	job_destroy(again);
}

/* However many there are that may not be forgotten, the next call goes on behind them. */
static void forgetting_is_bounded_and_comes_to_an_end(void **state)
{
	struct store_fixture *fixture = *state;
	int64_t later_ms = clock_wall_ms() + 1000000;

	for (int i = 0; i < 8; i++) {
		char id[2] = { (char)('1' + i), '\0' };

		add_ended(fixture, id, true);
		if (i < 4)
			say(fixture, "untold", id, NULL);
	}
	assert_int_equal(prune(fixture, later_ms, 2), 0);
	assert_int_equal(prune(fixture, later_ms, 2), 0);
	assert_int_equal(prune(fixture, later_ms, 2), 2);
	assert_int_equal(prune(fixture, later_ms, 2), 2);
	assert_int_equal(prune(fixture, later_ms, 2), 0);
	want_jobs(fixture->a, "4 3 2 1");
}

static void say_at(struct store_fixture *fixture, const char *event, int64_t at_ms, int64_t next_try_ms)
{
	struct store_delivery said = delivery(event, NULL);
	struct heard heard = { 0 };

	said.created_ms = at_ms;
	said.next_try_ms = next_try_ms;
	store_say(fixture->a, NULL, &said, 1, NULL, heard_done, &heard);
	hear(fixture, &heard);
	assert_int_equal(heard.err.kind, ERROR_NONE);
}

/* One that is still to be delivered is kept twice as long. */
static void old_deliveries_of_no_job_go_when_they_are_twice_as_old(void **state)
{
	struct store_fixture *fixture = *state;
	int64_t now_ms = clock_wall_ms();

	say_at(fixture, "recorded", now_ms - 150000, -1);
	say_at(fixture, "older", now_ms - 250000, now_ms + 500000);
	say_at(fixture, "kept", now_ms - 150000, now_ms + 500000);
	say_at(fixture, "new", now_ms - 50000, -1);
	assert_int_equal(prune(fixture, now_ms - 100000, 10), 2);
	want_listed(fixture->a, (struct store_delivery_filter){ 0 }, "kept:0:open new:0 ");
}

static void what_is_only_recorded_is_never_due(void **state)
{
	struct store_fixture *fixture = *state;
	struct heard heard;

	say_at(fixture, "recorded", 0, -1);
	want_due(fixture, 9, "", &heard);
	assert_int_equal(heard.next_due_ms, 0);
	want_listed(fixture->a, (struct store_delivery_filter){ .open_only = true }, "");
	want_listed(fixture->a, (struct store_delivery_filter){ 0 }, "recorded:0 ");
}

/* b has claimed both, and is given up: they are others' at once, but not what it had noted of one. */
static void claims_end_with_their_owner(void **state)
{
	struct store_fixture *fixture = *state;
	int64_t later_ms = clock_wall_ms() + 500000;
	struct heard heard, gone = { 0 };

	say(fixture, "one", NULL, NULL);
	say(fixture, "two", NULL, NULL);
	want_due(fixture, 9, "one:{} two:{}", &heard);
	note(fixture, (struct store_delivery){ .tries = 1, .next_try_ms = later_ms }, heard.ids[1]);
	want_due(fixture, 9, "", &heard);
	store_disown(fixture->a, "b", heard_count, &gone);
	hear(fixture, &gone);
	assert_int_equal(gone.err.kind, ERROR_NONE);
	want_due(fixture, 9, "one:{}", &heard);
	want_due(fixture, 9, "", &heard);
}

/* What is held on to for longer than a claim lasts. */
static void kept_claim_ends_with_its_owner(void **state)
{
	struct store_fixture *fixture = *state;
	int64_t later_ms = clock_wall_ms() + 500000;
	struct heard heard;

	say(fixture, "one", NULL, NULL);
	want_due(fixture, 9, "one:{}", &heard);
	for (int i = 0; i < 2; i++)
		note(fixture, (struct store_delivery){ .next_try_ms = later_ms, .kept = true }, heard.ids[0]);
	want_claimed(fixture, fixture->a, 9, "", &heard);
	assert_int_equal(heard.next_due_ms, later_ms);
	want_disown(fixture, fixture->a, "b");
	want_claimed(fixture, fixture->a, 9, "one:{}", &heard);
	note_by(fixture, fixture->a, (struct store_delivery){ .next_try_ms = later_ms, .kept = true }, heard.ids[0]);
	note_by(fixture, fixture->a, (struct store_delivery){ .tries = 1 }, heard.ids[0]);
	want_listed(fixture->a, (struct store_delivery_filter){ 0 }, "one:1 ");
}

/* Its lease ends, and another comes upon one of its jobs before anybody adopts any. */
static void claims_end_with_a_lease(void **state)
{
	struct store_fixture *fixture = *state;
	struct job *job = make_job("1", LOCK_QUEUE);
	struct heard heard;

	want_admit(fixture, fixture->b, job);
	say(fixture, "one", NULL, NULL);
	want_due(fixture, 9, "one:{}", &heard);
	note(fixture, (struct store_delivery){ .next_try_ms = clock_wall_ms() + 500000, .kept = true }, heard.ids[0]);
	clock_shift(2 * FIXTURE_LEASE_MS, 0);
	want_renew(fixture, fixture->a, ERROR_NONE);
	want_claimed(fixture, fixture->a, 9, "", &heard);
	assert_int_equal(want_admit(fixture, fixture->a, job), STORE_ADMITTED_OTHERS);
	want_claimed(fixture, fixture->a, 9, "one:{}", &heard);
	clock_shift(-2 * FIXTURE_LEASE_MS, 0);
	job_destroy(job);
}

/* b was given up while it was sending, and writes down what came of it all the same. */
static void only_who_has_claimed_a_delivery_says_what_came_of_it(void **state)
{
	struct store_fixture *fixture = *state;
	int64_t later_ms = clock_wall_ms() + 500000;
	struct store_delivery outcomes[] = {
		{ .tries = 1 }, { .tries = 7, .next_try_ms = later_ms, .error = "x" }, { .tries = 7, .dead = true, .error = "x" },
		{ .next_try_ms = later_ms, .kept = true },
	};
	struct heard stale, heard;

	say(fixture, "one", NULL, NULL);
	say(fixture, "two", NULL, NULL);
	want_due(fixture, 9, "one:{} two:{}", &stale);
	want_disown(fixture, fixture->a, "b");
	for (size_t i = 0; i < ARRAY_SIZE(outcomes); i++)
		note(fixture, outcomes[i], stale.ids[0]);
	want_claimed(fixture, fixture->a, 9, "one:{} two:{}", &heard);
	for (size_t i = 0; i < ARRAY_SIZE(outcomes); i++)
		note(fixture, outcomes[i], stale.ids[0]);
	want_listed(fixture->a, (struct store_delivery_filter){ 0 }, "one:0:open two:0:open ");
	note_by(fixture, fixture->a, (struct store_delivery){ .tries = 1 }, heard.ids[0]);
	note_by(fixture, fixture->a, (struct store_delivery){ .tries = 2, .dead = true, .error = "y" }, heard.ids[1]);
	/* Over is over, also for who has said so. */
	for (size_t i = 0; i < 2 * ARRAY_SIZE(outcomes); i++) {
		struct store *store = i % 2 == 0 ? fixture->a : fixture->b;

		note_by(fixture, store, outcomes[i / 2], heard.ids[0]);
		note_by(fixture, store, outcomes[i / 2], heard.ids[1]);
	}
	want_listed(fixture->a, (struct store_delivery_filter){ 0 }, "one:1 two:2:dead:failed ");
	replay(fixture, heard.ids[0], STORE_ASKED_UNKNOWN);
	replay(fixture, heard.ids[1], STORE_ASKED_DONE);
	want_due(fixture, 9, "two:{}", &heard);
}

/* -- rates --------------------------------------------------------------------------------------- */

struct rate_step {
	const char *name;
	int64_t after_ms;
	unsigned want, throttles;
	unsigned want_tokens;
	double want_per_s, want_wait_s;
};

static const struct rate_step rate_steps[] = {
	{ "a new bucket is full", 0, 30, 0, 30, 10, 0 },
	{ "more than there is", 0, 30, 0, 10, 10, 0.25 },
	{ "it fills at its rate", 500, 3, 0, 3, 10, 0 },
	{ "not doubled within the second", 400, 9, 0, 6, 10, 0.25 },
	{ "doubled, as somebody waited", 100, 9, 0, 1, 20, 0.25 },
	{ "once a second only", 500, 99, 0, 10, 20, 0.25 },
	{ "doubled again", 500, 99, 0, 10, 40, 0.25 },
	{ "up to the most", 1000, 99, 0, 40, 50, 0.24 },
	{ "throttled: empty and halved", 500, 5, 2, 0, 25, 0.2 },
	{ "not twice in a second", 500, 5, 1, 0, 25, 0.2 },
	{ "halved again", 500, 5, 1, 0, 12.5, 0.25 },
	{ "not below the first", 1000, 0, 1, 0, 10, 0 },
	{ "no more than the burst, and nobody waits", 60000, 20, 0, 20, 10, 0 },
	{ "nobody waited: not doubled", 5000, 1, 0, 1, 10, 0 },
};

static bool is_about(double a, double b)
{
	return a - b < 0.06 && b - a < 0.06;
}

static void rate_follows_throttles_and_demand(void **state)
{
	struct store_rate_ask ask = { .bucket = "b", .initial_per_s = 10, .max_per_s = 50, .burst = 40 };
	struct store_bucket bucket = { 0 };
	int64_t now_ms = 1000000;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rate_steps); i++) {
		const struct rate_step *step = &rate_steps[i];
		struct store_rate_given given;

		now_ms += step->after_ms;
		ask.want = step->want;
		ask.throttles = step->throttles;
		given = rules_take(&bucket, &ask, "this boot", now_ms);
		if (given.tokens != step->want_tokens || !is_about(given.per_s, step->want_per_s) ||
			!is_about(given.wait_s, step->want_wait_s))
			fail_msg("%s: %u tokens, %g a second, wait %g s", step->name, given.tokens, given.per_s, given.wait_s);
	}
}

static const struct rate_step begun_steps[] = {
	{ "it begins where it is said", 0, 300, 0, 200, 200, 0.25 },
	{ "throttled: halved", 100, 0, 1, 0, 100, 0 },
	{ "and again", 1000, 0, 1, 0, 50, 0 },
	{ "and again", 1000, 0, 1, 0, 25, 0 },
	{ "down to what everybody has", 1000, 0, 1, 0, 20, 0 },
	{ "not forgotten for minutes", 590000, 1, 0, 1, 20, 0 },
	{ "it begins again", 10000, 1, 0, 1, 200, 0 },
};

static void rate_begins_where_it_is_said_unless_it_was_throttled(void **state)
{
	struct store_rate_ask ask = { .bucket = "b", .initial_per_s = 20, .begin_per_s = 200, .max_per_s = 1000, .burst = 200 };
	struct store_bucket bucket = { 0 };
	int64_t now_ms = 1000000;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(begun_steps); i++) {
		const struct rate_step *step = &begun_steps[i];
		struct store_rate_given given;

		now_ms += step->after_ms;
		ask.want = step->want;
		ask.throttles = step->throttles;
		given = rules_take(&bucket, &ask, "this boot", now_ms);
		if (given.tokens != step->want_tokens || !is_about(given.per_s, step->want_per_s))
			fail_msg("%s: %u tokens, %g a second", step->name, given.tokens, given.per_s);
	}
}

/* Its times are those of a clock that began anew; the rate was that of the account and still is. */
static void rate_outlives_a_boot_and_those_who_want_less(void **state)
{
	struct store_rate_ask ask = { .bucket = "b", .initial_per_s = 10, .max_per_s = 160, .burst = 40, .want = 99 };
	struct store_rate_ask less = { .bucket = "b", .initial_per_s = 10, .max_per_s = 16, .burst = 40, .want = 99 };
	struct store_bucket bucket = { 0 };
	int64_t now_ms = 1000000;

	(void)state;
	for (int i = 0; i < 10; i++)
		rules_take(&bucket, &ask, "this boot", now_ms += 1000);
	assert_true(bucket.per_s == 160);
	/* Who wants less has it fall, but slowly: another may be about to use it. */
	assert_true(is_about(rules_take(&bucket, &less, "this boot", now_ms += 1000).per_s, 156.8));
	assert_true(rules_take(&bucket, &ask, "this boot", now_ms += 1000).per_s == 160);
	for (int i = 0; i < 200; i++)
		rules_take(&bucket, &less, "this boot", now_ms += 1000);
	assert_true(bucket.per_s == 16);
	/* And raises nothing beyond it. */
	bucket.per_s = 10;
	for (int i = 0; i < 10; i++)
		rules_take(&bucket, &less, "this boot", now_ms += 1000);
	assert_true(bucket.per_s == 16);
	assert_int_equal(rules_take(&bucket, &less, "next boot", 5).tokens, 40);
	assert_true(bucket.per_s == 16 && bucket.filled_ms == 5);
}

static struct store_rate_given take(struct store_fixture *fixture, struct store *store, struct store_rate_ask ask,
	enum error_kind kind)
{
	struct heard heard = { 0 };

	store_take_rate(store, &ask, heard_rate, &heard);
	hear(fixture, &heard);
	assert_int_equal(heard.err.kind, kind);
	return heard.rate;
}

static void owners_share_a_rate(void **state)
{
	struct store_fixture *fixture = *state;
	struct store_rate_ask ask = { .bucket = "x", .initial_per_s = 0.001, .max_per_s = 1, .burst = 10, .want = 7 };
	struct store_rate_given given;

	assert_int_equal(take(fixture, fixture->a, ask, ERROR_NONE).tokens, 7);
	given = take(fixture, fixture->b, ask, ERROR_NONE);
	assert_int_equal(given.tokens, 3);
	assert_true(given.wait_s > 1);
	ask.bucket = "y";
	assert_int_equal(take(fixture, fixture->b, ask, ERROR_NONE).tokens, 7);
	ask.max_per_s = 0;
	take(fixture, fixture->a, ask, ERROR_INVALID);
	ask.bucket = "x";
	ask.max_per_s = 1;
	clock_shift(20000, 0);
	assert_int_equal(take(fixture, fixture->b, ask, ERROR_NONE).tokens, 7);
	/* What one says it may be is so for all, also for those who ask for less. */
	ask.bucket = "z";
	ask.max_per_s = 1000;
	ask.begin_per_s = 500;
	assert_true(take(fixture, fixture->a, ask, ERROR_NONE).per_s == 500);
	ask.begin_per_s = 0;
	ask.max_per_s = 1;
	assert_true(take(fixture, fixture->b, ask, ERROR_NONE).per_s > 251);
	ask.throttles = 1;
	given = take(fixture, fixture->b, ask, ERROR_NONE);
	assert_true(given.per_s > 1 && given.per_s <= 250);
	ask.throttles = 0;
	ask.max_per_s = 1000;
	ask.begin_per_s = 500;
	assert_true(take(fixture, fixture->a, ask, ERROR_NONE).per_s < 500);
}

/* Whoever asks for less may not know of those who use it. */
static void rate_falls_slowly_while_only_less_is_asked_for(void **state)
{
	struct store_fixture *fixture = *state;
	struct store_rate_ask ask = { .bucket = "f", .initial_per_s = 10, .begin_per_s = 500, .max_per_s = 1000, .burst = 9, .want = 1 };
	struct store_rate_ask less = { .bucket = "f", .initial_per_s = 10, .max_per_s = 20, .burst = 9, .want = 1 };
	double begun_s = clock_monotonic_s(), fallen_per_s;

	assert_true(take(fixture, fixture->a, ask, ERROR_NONE).per_s == 500);
	clock_shift(10, 0);
	fallen_per_s = take(fixture, fixture->b, less, ERROR_NONE).per_s;
	/* A fiftieth a second, and a little more for the real time that goes on. */
	assert_true(fallen_per_s < 400.1);
	assert_true(fallen_per_s > 500 * (1 - 0.02 * (clock_monotonic_s() - begun_s)) - 1);
	clock_shift(10, 0);
	ask.begin_per_s = 0;
	assert_true(take(fixture, fixture->a, ask, ERROR_NONE).per_s == fallen_per_s);
	clock_shift(1000, 0);
	assert_true(take(fixture, fixture->b, less, ERROR_NONE).per_s == 20);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(delivery_is_claimed_by_one_and_due_again_a_minute_later),
		cmocka_unit_test(outcome_of_a_delivery_is_kept),
		cmocka_unit_test(dead_deliveries_are_replayed),
		cmocka_unit_test(what_was_said_under_a_key_is_not_said_again),
		cmocka_unit_test(worker_that_has_lost_its_job_tells_nothing_of_it),
		cmocka_unit_test(end_that_others_have_made_impossible_is_not_told),
		cmocka_unit_test(attempt_that_others_have_made_impossible_is_not_told),
		cmocka_unit_test(too_large_a_payload_is_refused_and_its_move_is_not),
		cmocka_unit_test(only_what_is_over_and_told_is_forgotten),
		cmocka_unit_test(dead_delivery_is_forgotten_with_its_job),
		cmocka_unit_test(grants_go_on_after_their_jobs_are_forgotten),
		cmocka_unit_test(forgetting_is_bounded_and_comes_to_an_end),
		cmocka_unit_test(old_deliveries_of_no_job_go_when_they_are_twice_as_old),
		cmocka_unit_test(what_is_only_recorded_is_never_due),
		cmocka_unit_test(claims_end_with_their_owner),
		cmocka_unit_test(kept_claim_ends_with_its_owner),
		cmocka_unit_test(claims_end_with_a_lease),
		cmocka_unit_test(only_who_has_claimed_a_delivery_says_what_came_of_it),
		cmocka_unit_test(rate_follows_throttles_and_demand),
		cmocka_unit_test(rate_begins_where_it_is_said_unless_it_was_throttled),
		cmocka_unit_test(rate_outlives_a_boot_and_those_who_want_less),
		cmocka_unit_test(owners_share_a_rate),
		cmocka_unit_test(rate_falls_slowly_while_only_less_is_asked_for),
	};

	return fixture_run(tests, ARRAY_SIZE(tests));
}
