/* SPDX-License-Identifier: Apache-2.0 */
/* locks_commands.c - locks and why: who holds what, and who waits for whom. */
#include <stdio.h>

#include "base/clock.h"
#include "ctl/store_access.h"
#include "store/store_record.h"

enum { LOCKS_PAGE = 1000 };

struct locks {
	struct asking asking;
	json_t *list;                   /* for --json */
};

static void print_lock(const struct store_lock *lock)
{
	char age[CTL_AGE_BYTES] = "-";

	if (lock->since_ms > 0)
		ctl_print_age(clock_steady_ms() - lock->since_ms, age);
	printf("%-24s %-36s %-20s %10s %8zu\n", lock->key, lock->holder, lock->project != NULL ? lock->project : "-", age,
		lock->waiting);
}

/* Page by page, so that no reading of the store is long. */
static void on_locks(void *arg, const struct store_lock *page, size_t count, const struct error *err)
{
	struct locks *locks = arg;

	for (size_t i = 0; i < count; i++) {
		if (locks->asking.ctl->json)
			json_array_append_new(locks->list, store_lock_record(&page[i]));
		else
			print_lock(&page[i]);
	}
	if (count == LOCKS_PAGE)
		store_locks(locks->asking.store, page[count - 1].key, LOCKS_PAGE, on_locks, locks);
	else
		asking_end(&locks->asking, err);
}

int run_locks(struct ctl *ctl, int argc, char **argv)
{
	struct locks locks = { .list = json_array() };

	(void)argv;
	if (argc != 1) {
		json_decref(locks.list);
		return command_usage("locks");
	}
	if (asking_open_to_read(&locks.asking, ctl)) {
		if (ctl->terminal && !ctl->json)
			printf("%-24s %-36s %-20s %10s %8s\n", "key", "held by", "project", "for", "waiting");
		store_locks(locks.asking.store, NULL, LOCKS_PAGE, on_locks, &locks);
		asking_wait(&locks.asking);
	}
	asking_close(&locks.asking);
	if (ctl->json && locks.asking.status == CONTROL_DONE)
		ctl_print_json(locks.list);
	json_decref(locks.list);
	return locks.asking.status;
}

/* -- why -------------------------------------------------------------------------------------- */

static void print_times(const struct job *job)
{
	char stamp[CLOCK_STAMP_BYTES];

	clock_stamp(clock_steady_to_wall(job->next_try_ms), stamp);
	if (job->waits_for != NULL)
		printf("  waits for %s\n", job->waits_for);
	if (job->waits_for != NULL && stamp[0] != '\0')
		printf("  next try at %s\n", stamp);
	clock_stamp(clock_steady_to_wall(job->not_before_ms), stamp);
	if (!job_state_final(job->state) && job->not_before_ms > clock_steady_ms())
		printf("  not before %s\n", stamp);
}

static void print_why(const struct store_why *why)
{
	const struct job *job = why->job;
	char age[CTL_AGE_BYTES];

	printf("%s is %s%s%s\n", job->id, job_state_name(job->state), job->reason != NULL && job->reason[0] != '\0' ? ": " : "",
		job->reason != NULL ? job->reason : "");
	if (job->detail != NULL && job->detail[0] != '\0')
		printf("  %s\n", job->detail);
	if (why->group_head != NULL)
		printf("  waits for %s, which is before it in message group %s, and %zu in all\n", why->group_head,
			job->message.group, why->group_ahead);
	if (why->holder != NULL && why->holder_since_ms > 0) {
		ctl_print_age(clock_steady_ms() - why->holder_since_ms, age);
		printf("  its key \"%s\" is held by %s for %s\n", job->lock_key, why->holder, age);
	} else if (why->holder != NULL) {
		printf("  its key \"%s\" is held by %s\n", job->lock_key, why->holder);
	}
	if (job->state == JOB_WAITING && why->ahead > 0)
		printf("  %zu are before it\n", why->ahead);
	print_times(job);
	if (job->state == JOB_CANCELLING && job->cancelled_by != NULL)
		printf("  its end was asked for by %s\n", job->cancelled_by);
	if (job->attempt.number > 0)
		printf("  attempt %u%s%s\n", job->attempt.number,
			job->attempt.handle == NULL ? "" : job_state_final(job->state) ? " ran as " : " runs as ",
			job->attempt.handle != NULL ? job->attempt.handle : "");
	if (!job_state_final(job->state))
		printf("  owned by %s\n", job->owner != NULL ? job->owner : "no worker at the moment");
}

static void on_why(void *arg, const struct store_why *why, const struct error *err)
{
	struct asking *asking = arg;
	json_t *doc;

	if (err == NULL && why == NULL) {
		asking_end_missing(asking);
		return;
	}
	if (err == NULL && asking->ctl->json) {
		doc = store_why_record(why);
		ctl_print_json(doc);
		json_decref(doc);
	} else if (err == NULL) {
		print_why(why);
	}
	asking_end(asking, err);
}

int run_why(struct ctl *ctl, int argc, char **argv)
{
	struct asking asking;

	if (argc != 2)
		return command_usage("why");
	if (asking_open_to_read(&asking, ctl)) {
		store_why(asking.store, argv[1], on_why, &asking);
		asking_wait(&asking);
	}
	asking_close(&asking);
	return asking.status;
}
