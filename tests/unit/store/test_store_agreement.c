/* SPDX-License-Identifier: Apache-2.0 */
/* test_store_agreement.c - random histories, told to the memory store and to all others alike.
 *
 * After each step all must have answered the same, and every few steps hold the same jobs, and what they hold
 * must keep the promises about keys and groups.  The histories come from fixed seeds. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../cmocka_all.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "store_fixture.h"

enum { STEPS = 300, DESCRIBED = 5, HISTORIES = 5, IDS = 60, JOBS_MAX = 200, ADAPTERS_MAX = 8 };

static uint64_t dice_state;

static unsigned dice(unsigned sides)
{
	dice_state ^= dice_state << 13;
	dice_state ^= dice_state >> 7;
	dice_state ^= dice_state << 17;
	return (unsigned)(dice_state % sides);
}

/* One call, decided before either store sees it. */
struct step {
	unsigned what, id, owner;
	enum lock_policy policy;
	int priority;
	unsigned key, group, deployer;
	int64_t not_before_ms, received_ms;
	enum job_state end;
	bool released;
};

static struct step throw_step(int64_t now_ms)
{
	return (struct step){
		.what = dice(20), .id = dice(IDS), .owner = dice(2), .policy = (enum lock_policy)dice(LOCK_POLICIES),
		.priority = (int)dice(10), .key = dice(3), .group = dice(5), .deployer = dice(2),
		/* Well away from the steps of the clock, as the stores do not ask it in the same moment. */
		.not_before_ms = dice(4) == 0 ? now_ms + 150000 + 100000 * dice(3) : 0,
		.received_ms = now_ms, .end = dice(2) == 0 ? JOB_CANCELLED : JOB_FAILED, .released = dice(8) == 0,
	};
}

static struct job *job_of_step(const struct step *step)
{
	char id[16];
	struct job *job;

	snprintf(id, sizeof(id), "%u", step->id);
	job = make_job(id, step->policy);
	job->priority = step->priority;
	job->not_before_ms = step->not_before_ms;
	job->message.received_ms = step->received_ms;
	free(job->deployer);
	job->deployer = xasprintf("d%u", step->deployer);
	if (step->policy != LOCK_PARALLEL) {
		free(job->lock_key);
		job->lock_key = xasprintf("k%u", step->key);
	}
	if (step->group < 2)
		job->message.group = xasprintf("g%u", step->group);
	return job;
}

static void told(struct buf *out, struct heard *heard)
{
	buf_printf(out, "%s count %zu grants %s:", error_kind_name(heard->err.kind), heard->count, heard->grants);
	for (size_t i = 0; heard->jobs != NULL && i < heard->count; i++)
		buf_printf(out, " %s %s %lld;", heard->jobs[i]->id, job_state_name(heard->jobs[i]->state),
			(long long)heard->jobs[i]->grant);
	heard_finish(heard);
}

static void admit(struct store_fixture *fixture, struct store *store, const struct step *step, struct buf *out)
{
	struct store_admission admission = { .job = job_of_step(step), .released = step->released };
	struct heard heard = { 0 };

	store_admit(store, &admission, 1, heard_done, &heard);
	hear(fixture, &heard);
	buf_printf(out, "verdict %d %s %s fence %lld grant %lld ", (int)admission.verdict,
		admission.owner != NULL ? admission.owner : "-", job_state_name(admission.job->state),
		(long long)admission.job->fence, (long long)admission.job->grant);
	free(admission.owner);
	job_destroy(admission.job);
	told(out, &heard);
}

/* A write about a job as it is stored, by whoever the step says. */
static void write_about(struct store_fixture *fixture, struct store *store, const struct step *step, struct buf *out)
{
	char id[16];
	const struct store_delivery said = { .sink = "s", .event = "e", .job_id = id, .payload = "{}" };
	struct heard heard = { 0 }, word = { 0 };
	struct job_result result;
	struct job *job;

	snprintf(id, sizeof(id), "%u", step->id);
	job = read_job(store, id);
	if (job == NULL)
		return;
	job_result_set(&result, step->end, "", 1, "%s", "");
	job->attempt.number = job->attempt.number > 0 ? job->attempt.number : 1;
	job->attempt.intended_ms = step->received_ms;
	switch (step->what) {
	case 8: store_intend(store, job, heard_done, &heard); break;
	case 9: store_started(store, job, heard_done, &heard); break;
	case 10: store_note_wait(store, job, heard_done, &heard); break;
	case 11: store_retry(store, job, heard_done, &heard); break;
	case 12: {
		const struct job *jobs[] = { job };

		job->message.settled = true;
		store_note_messages(store, jobs, 1, heard_done, &heard);
		break;
	}
	default:
		job->state = step->end;
		store_say(store, job, &said, 1, NULL, heard_done, &word);
		store_finish(store, job, &result, heard_finished, &heard);
		break;
	}
	hear(fixture, &heard);
	buf_printf(out, "said %s ", error_kind_name(word.err.kind));
	told(out, &heard);
	job_destroy(job);
}

static void ask(struct store_fixture *fixture, struct store *store, const struct step *step, struct buf *out)
{
	struct heard heard = { 0 };
	char id[16], key[16];

	snprintf(id, sizeof(id), "%u", step->id);
	snprintf(key, sizeof(key), "k%u", step->key);
	switch (step->what) {
	case 16: store_cancel(store, id, "me", heard_answer, &heard); break;
	case 17: store_unlock(store, key, "me", heard_answer, &heard); break;
	case 18: store_retry_finished(store, id, "me", heard_answer, &heard); break;
	default: store_tell_owner(store, id, heard_answer, &heard); break;
	}
	hear(fixture, &heard);
	buf_printf(out, "answer %d %s %s ", (int)heard.verdict, heard.about, job_state_name(heard.state));
	told(out, &heard);
}

static void take_step(struct store_fixture *fixture, const struct step *step, struct buf *out)
{
	struct store *store = step->owner == 0 ? fixture->a : fixture->b;
	struct heard heard = { 0 };

	switch (step->what) {
	case 0: case 1: case 2: case 3:
		admit(fixture, store, step, out);
		return;
	case 4: store_adopt(store, 1 + step->id % 5, heard_jobs, &heard); break;
	case 5: store_sweep(store, heard_swept, &heard); break;
	case 6: store_renew(store, heard_done, &heard); break;
	case 7:
		/* Seldom, so that owners live long enough to hold something. */
		if (step->id > 8)
			return;
		store_disown(store, step->id % 2 == 0 ? "a" : "b", heard_count, &heard);
		break;
	case 16: case 17: case 18: case 19:
		ask(fixture, store, step, out);
		return;
	default:
		write_about(fixture, store, step, out);
		return;
	}
	hear(fixture, &heard);
	told(out, &heard);
}

/* -- what is held --------------------------------------------------------------------------------- */

static bool same(const char *a, const char *b)
{
	return a != NULL && b != NULL && strcmp(a, b) == 0;
}

static bool unfinished(const struct job *job)
{
	return !job_state_final(job->state);
}

static bool holds(const struct job *job)
{
	return unfinished(job) && job->state != JOB_WAITING && job->lock_key[0] != '\0';
}

/* jobs are newest first. */
static void want_promises(struct job **jobs, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		bool taken = false, blocked = false;

		for (size_t k = 0; k < count; k++) {
			if (k == i)
				continue;
			if (holds(jobs[k]) && same(jobs[k]->lock_key, jobs[i]->lock_key))
				taken = true;
			if (k > i && unfinished(jobs[k]) && same(jobs[k]->message.group, jobs[i]->message.group))
				blocked = true;
		}
		if (holds(jobs[i]) && taken)
			fail_msg("two jobs hold the key of %s", jobs[i]->id);
		if (unfinished(jobs[i]) && jobs[i]->state != JOB_WAITING && blocked)
			fail_msg("job %s is before an earlier one of its group", jobs[i]->id);
		if (jobs[i]->state == JOB_WAITING && !taken && !blocked && jobs[i]->not_before_ms == 0)
			fail_msg("job %s waits for nothing", jobs[i]->id);
	}
}

static void describe_locks(struct store *store, struct buf *out)
{
	char text[4096];

	read_locks(store, NULL, JOBS_MAX, text, sizeof(text));
	buf_printf(out, "\nlocks %s", text);
}

static void describe_one_why(void *arg, const struct store_why *why)
{
	if (why == NULL)
		return;
	buf_printf(arg, "\nwhy %s: holder %s ahead %zu head %s ahead %zu", why->job->id,
		why->holder != NULL ? why->holder : "-", why->ahead, why->group_head != NULL ? why->group_head : "-",
		why->group_ahead);
	if (why->job->state == JOB_WAITING && why->job->not_before_ms == 0 && why->holder == NULL &&
		why->group_head == NULL)
		fail_msg("nobody knows why job %s waits", why->job->id);
}

static void describe_why(struct store *store, unsigned number, struct buf *out)
{
	char id[16];

	snprintf(id, sizeof(id), "%u", number);
	read_why(store, id, describe_one_why, out);
}

static void describe_attempts(struct store *store, unsigned number, struct buf *out)
{
	char id[16], attempts[1024];

	snprintf(id, sizeof(id), "%u", number);
	read_attempts(store, id, attempts, sizeof(attempts));
	buf_printf(out, "\nattempts: %s", attempts);
}

static void describe(struct store *store, struct buf *out)
{
	const struct store_filter filter = { .state = -1, .max = JOBS_MAX };
	uint64_t counts[JOB_STATES];
	struct store_totals totals;
	struct job **jobs;
	size_t count;

	read_jobs(store, &filter, &jobs, &count);
	read_counts(store, counts);
	read_totals(store, &totals);
	assert_memory_equal(totals.jobs, counts, sizeof(counts));
	want_promises(jobs, count);
	for (int i = 0; i < JOB_STATES; i++)
		buf_printf(out, "%llu ", (unsigned long long)counts[i]);
	/* Each store has a clock of its own; how many wait for keys is not known to all. */
	buf_printf(out, "held %lld open %lld dead %lld waiting %d", (long long)totals.held_locks,
		(long long)totals.open_deliveries, (long long)totals.dead_deliveries, totals.oldest_waiting_ms > 0);
	for (size_t i = 0; i < count; i++)
		buf_printf(out, "\n%s %lld %s owner %s fence %lld grant %lld attempt %u settled %d receipt %s reason %s detail %s"
			" asked %s of %s not before %lld",
			jobs[i]->id, (long long)jobs[i]->seq, job_state_name(jobs[i]->state),
			jobs[i]->owner != NULL ? jobs[i]->owner : "-", (long long)jobs[i]->fence, (long long)jobs[i]->grant,
			jobs[i]->attempt.number, jobs[i]->message.settled,
			jobs[i]->message.receipt != NULL ? jobs[i]->message.receipt : "-",
			jobs[i]->reason != NULL ? jobs[i]->reason : "-", jobs[i]->detail != NULL ? jobs[i]->detail : "-",
			jobs[i]->cancel_reason != NULL ? jobs[i]->cancel_reason : "-",
			jobs[i]->cancelled_by != NULL ? jobs[i]->cancelled_by : "-",
			(long long)jobs[i]->not_before_ms);
	describe_locks(store, out);
	read_jobs_free(jobs, count);
}

/* What one adapter says of a step, and what it holds then. */
static void say_all(struct store_fixture *fixture, const struct step *step, bool everything, struct buf *out)
{
	buf_clear(out);
	take_step(fixture, step, out);
	buf_add_char(out, '\n');
	if (everything)
		describe(fixture->b, out);
	describe_attempts(fixture->b, step->id, out);
	describe_why(fixture->b, step->id, out);
}

/* The first line that is not the same, as all of it is more than fail_msg() can say. */
static void disagree(uint64_t seed, int n, const struct step *step, const struct store_adapter *first, const char *said,
	const struct store_adapter *other, const char *says)
{
	size_t same = 0;

	for (size_t i = 0; said[i] != '\0' && said[i] == says[i]; i++)
		same = said[i] == '\n' ? i + 1 : same;
	fail_msg("seed %llu, step %d (%u of job %u by %u):\n%s: %.*s\n%s: %.*s", (unsigned long long)seed, n, step->what,
		step->id, step->owner, first->name, (int)strcspn(said + same, "\n"), said + same, other->name,
		(int)strcspn(says + same, "\n"), says + same);
}

static void live_through(struct store_fixture *const *fixtures, size_t count, uint64_t seed)
{
	int64_t shifted_ms = 0;
	struct buf first, other;

	buf_init(&first, 1 << 20);
	buf_init(&other, 1 << 20);
	dice_state = seed * 0x9e3779b97f4a7c15u;
	for (int n = 0; n < STEPS; n++) {
		struct step step = throw_step(clock_wall_ms());

		if (dice(20) == 0) {
			clock_shift(0, 100000);
			shifted_ms += 100000;
		}
		say_all(fixtures[0], &step, n % DESCRIBED == 0, &first);
		for (size_t i = 1; i < count; i++) {
			say_all(fixtures[i], &step, n % DESCRIBED == 0, &other);
			if (strcmp(buf_text(&first), buf_text(&other)) != 0)
				disagree(seed, n, &step, fixtures[0]->adapter, buf_text(&first), fixtures[i]->adapter,
					buf_text(&other));
		}
	}
	clock_shift(0, -shifted_ms);
	buf_finish(&first);
	buf_finish(&other);
}

static void adapters_agree_and_keep_the_promises(void **state)
{
	struct store_fixture *fixtures[ADAPTERS_MAX];
	size_t count;

	(void)state;
	for (uint64_t seed = 1; seed <= HISTORIES; seed++) {
		for (count = 0; store_adapters[count] != NULL; count++) {
			void *fixture = (void *)store_adapters[count];

			assert_true(count < ADAPTERS_MAX);
			fixture_setup(&fixture);
			fixtures[count] = fixture;
		}
		live_through(fixtures, count, seed);
		while (count-- > 0)
			fixture_teardown((void **)&fixtures[count]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(adapters_agree_and_keep_the_promises),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	store_adapters_end();
	return failed;
}
