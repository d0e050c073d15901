/* SPDX-License-Identifier: Apache-2.0 */
/* test_store_ours.c - what an owner's usual move writes at once is what the rules would write, who look first.
 *
 * Random histories are told to two SQLite stores alike, one of which has lost the usual moves and, for one of its two
 * owners, leaves it to the triggers to count, as older workers do.  After each step all columns of all rows must be the
 * same but for the times of day.  The histories come from fixed seeds. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../cmocka_all.h"
#include "base/clock.h"
#include "base/mem.h"
#include "sqlite_inside.h"

enum { STEPS = 500, HISTORIES = 6, IDS = 30, LIMIT_DUMP_BYTES = 64 << 10 };

static uint64_t dice_state;

static unsigned dice(unsigned sides)
{
	dice_state ^= dice_state << 13;
	dice_state ^= dice_state >> 7;
	dice_state ^= dice_state << 17;
	return (unsigned)(dice_state % sides);
}

/* -- what is stored ------------------------------------------------------------------------------- */

static const char *const rows[] = {
	"SELECT seq, id, lock_key, policy, state, wait, news, open, live, reason, detail, exit_code, finished_ms > 0, receipt,"
	" message_group, hidden_until_ms, received_ms, deliveries, settled, attempt, step, owner, fence, lock_grant, rank,"
	" failures, losses, waits_for, next_try_ms, not_before_ms, cancelled_by, cancel_reason FROM jobs ORDER BY seq",
	"SELECT job, number, step, token, handle, request, intended_ms, started_ms, timeout_ms, ended_ms > 0, end_reason,"
	" exit_code FROM attempts ORDER BY job, number, step",
	"SELECT key, holder, last_grant FROM locks ORDER BY key",
	"SELECT state, jobs FROM counts ORDER BY state",
	"SELECT state, count(*) FROM jobs GROUP BY state ORDER BY state",
};

static size_t dump_one(sqlite3 *db, const char *query, char *text, size_t at)
{
	sqlite3_stmt *statement;

	assert_int_equal(sqlite3_prepare_v2(db, query, -1, &statement, NULL), SQLITE_OK);
	while (sqlite3_step(statement) == SQLITE_ROW) {
		for (int i = 0; i < sqlite3_column_count(statement); i++) {
			const char *value = (const char *)sqlite3_column_text(statement, i);

			at += (size_t)snprintf(text + at, LIMIT_DUMP_BYTES - at, "%s ", value != NULL ? value : "-");
			assert_true(at < LIMIT_DUMP_BYTES);
		}
		text[at - 1] = '\n';
	}
	sqlite3_finalize(statement);
	return at;
}

static char *dump(struct store *store)
{
	char *text = xcalloc(1, LIMIT_DUMP_BYTES);
	size_t at = 0;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		at = dump_one(inside(store)->db, rows[i], text, at);
	return text;
}

/* What counts says must be what there is; a state that is not there may be 0. */
static void want_counts(sqlite3 *db)
{
	assert_int_equal(number(db, "SELECT count(*) FROM counts c WHERE c.jobs <> (SELECT count(*) FROM jobs j"
		" WHERE j.state = c.state)"), 0);
	assert_int_equal(number(db, "SELECT (SELECT sum(jobs) FROM counts) = (SELECT count(*) FROM jobs)"), 1);
}

/* -- a step --------------------------------------------------------------------------------------- */

struct step {
	unsigned what, owner, wrong;
	char id[8];
	enum lock_policy policy;
	bool grouped, settled;
	enum job_state end;
	int64_t now_ms;
};

static struct step throw_step(int64_t now_ms)
{
	static const enum lock_policy policies[] = { LOCK_QUEUE, LOCK_QUEUE, LOCK_LATEST, LOCK_PARALLEL, LOCK_REJECT };
	static const enum job_state ends[] = { JOB_SUCCEEDED, JOB_FAILED, JOB_CANCELLED, JOB_SUPERSEDED };
	struct step step = {
		.what = dice(20), .owner = dice(8) == 0, .wrong = dice(12), .policy = policies[dice(ARRAY_SIZE(policies))],
		.grouped = dice(3) == 0, .settled = dice(4) == 0, .end = ends[dice(4)], .now_ms = now_ms,
	};

	snprintf(step.id, sizeof(step.id), "%u", dice(IDS));
	return step;
}

static void admit(struct store_fixture *fixture, struct store *store, const struct step *step)
{
	struct job *job = make_job(step->id, step->policy);

	job->message.received_ms = step->now_ms;
	job->message.hidden_until_ms = step->now_ms + 30000;
	if (step->policy != LOCK_PARALLEL) {
		free(job->lock_key);
		job->lock_key = xasprintf("k%d", atoi(step->id) % 8);
	}
	if (step->grouped)
		job->message.group = xstrdup("g");
	want_admit(fixture, store, job);
	job_destroy(job);
}

/* What an owner may believe of a job that is not so. */
static void mistake(struct job *job, const struct step *step)
{
	switch (step->wrong) {
	case 0: job->fence++; break;
	case 1: job->seq++; break;
	case 2: job->attempt.number++; break;
	case 3: job->attempt.step++; break;
	case 4: job->grant++; break;
	case 5: xreplace(&job->lock_key, "k9"); break;
	case 6: job->message.received_ms -= 1000; break;
	default: break;
	}
}

/* The move that is next for a job as it is, or with seldom any other. */
static unsigned next_move(const struct job *job, const struct step *step)
{
	if (step->what < 7)
		return 10 + step->what;
	switch (job->state) {
	case JOB_QUEUED: return 10;
	case JOB_LAUNCHING: return 11;
	case JOB_RUNNING: return 12;
	default: return 13;
	}
}

static void move(struct store_fixture *fixture, struct store *store, const struct step *step)
{
	struct job *job = read_job(store, step->id);
	const struct job *jobs[] = { job };
	struct heard heard = { 0 };
	struct job_result result;

	if (job == NULL)
		return;
	job_result_set(&result, step->end, step->settled ? "reason" : "", 3, "%s", step->grouped ? "detail" : "");
	if (job->state == JOB_QUEUED) {
		job->attempt.number++;
		job->attempt.intended_ms = 5;
		job->attempt.timeout_ms = 60000;
		xreplace(&job->attempt.token, "token");
		xreplace(&job->attempt.request, "{}");
	}
	if (job->state == JOB_LAUNCHING)
		xreplace(&job->attempt.handle, "task");
	job->attempt.started_ms = job->state == JOB_LAUNCHING ? 7 : job->attempt.started_ms;
	xreplace(&job->waits_for, "capacity");
	job->next_try_ms = 9;
	mistake(job, step);
	switch (next_move(job, step)) {
	case 10: store_intend(store, job, heard_done, &heard); break;
	case 11: store_started(store, job, heard_done, &heard); break;
	case 12: store_finish(store, job, &result, heard_finished, &heard); break;
	case 14: store_retry(store, job, heard_done, &heard); break;
	case 15: store_note_wait(store, job, heard_done, &heard); break;
	default:
		job->message.settled = step->settled;
		xreplace(&job->message.receipt, "r2");
		job->message.hidden_until_ms = step->now_ms + 60000;
		store_note_messages(store, jobs, 1, heard_done, &heard);
		break;
	}
	hear(fixture, &heard);
	heard_finish(&heard);
	job_destroy(job);
}

static void ask(struct store_fixture *fixture, struct store *store, const struct step *step)
{
	struct heard heard = { 0 };

	switch (step->what) {
	case 4: store_cancel(store, step->id, "me", heard_answer, &heard); break;
	case 5: store_retry_finished(store, step->id, "me", heard_answer, &heard); break;
	case 6: store_tell_owner(store, step->id, heard_answer, &heard); break;
	case 7: store_sweep(store, heard_swept, &heard); break;
	/* All that may go: which is the oldest of them depends on the time of day. */
	case 8: store_prune(store, clock_steady_ms() + 1000, IDS, heard_count, &heard); break;
	default: store_adopt(store, 3, heard_jobs, &heard); break;
	}
	hear(fixture, &heard);
	heard_finish(&heard);
}

static void take_step(struct store_fixture *fixture, const struct step *step, unsigned kind)
{
	struct store *store = step->owner == 0 ? fixture->a : fixture->b;

	if (kind < 5)
		admit(fixture, store, step);
	else if (kind < 8)
		ask(fixture, store, step);
	else
		move(fixture, store, step);
}

/* -- histories ------------------------------------------------------------------------------------ */

static struct store_rows_ops without;   /* SQLite's, but for the usual moves */

static void take_usual_moves(struct store *store)
{
	without = *inside(store)->rows.ops;
	without.intend_ours = NULL;
	inside(store)->rows.ops = &without;
}

/* The first line that is not the same, as all of it is more than fail_msg() can say. */
static void disagree(uint64_t seed, int n, const struct step *step, const char *first, const char *other)
{
	size_t same = 0;

	for (size_t i = 0; first[i] != '\0' && first[i] == other[i]; i++)
		same = first[i] == '\n' ? i + 1 : same;
	fail_msg("seed %llu, step %d (%u of job %s):\n%.*s\nlooked at:\n%.*s", (unsigned long long)seed, n, step->what,
		step->id, (int)strcspn(first + same, "\n"), first + same, (int)strcspn(other + same, "\n"), other + same);
}

static void live_through(struct store_fixture *usual, struct store_fixture *looked, uint64_t seed)
{
	dice_state = seed * 0x9e3779b97f4a7c15u;
	for (int n = 0; n < STEPS; n++) {
		struct step step = throw_step(1000000 + 100 * n);
		unsigned kind = dice(30);
		char *first, *other;

		take_step(usual, &step, kind);
		take_step(looked, &step, kind);
		first = dump(usual->a);
		other = dump(looked->a);
		if (strcmp(first, other) != 0)
			disagree(seed, n, &step, first, other);
		want_counts(inside(usual->a)->db);
		free(first);
		free(other);
	}
}

/* How often a statement was run. */
static int runs(struct store *store, enum sql which)
{
	sqlite3_stmt *statement = inside(store)->prepared[which];

	return statement != NULL ? sqlite3_stmt_status(statement, SQLITE_STMTSTATUS_RUN, 0) : 0;
}

static void usual_moves_write_what_the_rules_would(void **state)
{
	int finished = 0;

	(void)state;
	for (uint64_t seed = 1; seed <= HISTORIES; seed++) {
		void *usual = (void *)&store_adapter_sqlite, *looked = (void *)&store_adapter_sqlite;
		struct store_fixture *other;

		fixture_setup(&usual);
		fixture_setup(&looked);
		other = looked;
		take_usual_moves(other->a);
		take_usual_moves(other->b);
		obey_triggers(other->a);
		live_through(usual, other, seed);
		finished += runs(((struct store_fixture *)usual)->a, SQL_FINISH_OURS);
		assert_int_equal(runs(other->a, SQL_FINISH_OURS), 0);
		fixture_teardown(&usual);
		fixture_teardown(&looked);
	}
	/* Else the histories were of nothing. */
	assert_true(finished > 10 * HISTORIES);
}

/* From its admission to its end a job that goes its way is asked for once, when it is new, and never looked at. */
static void usual_life_is_not_looked_at(void **state)
{
	struct store_fixture *fixture = *state;
	struct job *job = make_job("1", LOCK_QUEUE);

	want_admit(fixture, fixture->a, job);
	job->attempt.number = 1;
	want_intend(fixture, fixture->a, job, ERROR_NONE);
	want_started(fixture, fixture->a, job, ERROR_NONE);
	want_note(fixture, fixture->a, job, ERROR_NONE);
	want_finish(fixture, fixture->a, job, JOB_SUCCEEDED, "");
	job->message.settled = true;
	want_note(fixture, fixture->a, job, ERROR_NONE);
	assert_int_equal(runs(fixture->a, SQL_ANY_JOB), 1);
	assert_int_equal(runs(fixture->a, SQL_JOB_BY_ID), 0);
	assert_int_equal(runs(fixture->a, SQL_NEXT_WAITER), 0);
	assert_int_equal(number(inside(fixture->a)->db, "SELECT state = 'succeeded' AND settled AND NOT live FROM jobs"), 1);
	job_destroy(job);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(usual_moves_write_what_the_rules_would),
		WITH_STORE(usual_life_is_not_looked_at),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	store_adapters_end();
	return failed;
}
