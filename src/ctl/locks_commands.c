/* SPDX-License-Identifier: Apache-2.0 */
/* locks_commands.c - locks and why: who holds what, and who waits for whom. */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "ctl/store_access.h"
#include "job/job_record.h"

enum { LOCKS_PAGE = 1000 };

static json_t *lock_record(const struct store_lock *lock)
{
	json_t *object = json_object();

	json_object_set_new(object, "key", json_at_text(lock->key));
	json_object_set_new(object, "holder", json_at_text(lock->holder));
	json_object_set_new(object, "project", json_at_text(lock->project));
	job_record_stamp(object, "since", lock->since_ms);
	json_object_set_new(object, "fence", json_integer(lock->grant));
	json_object_set_new(object, "waiting", json_integer((json_int_t)lock->waiting));
	return object;
}

static void print_lock(const struct store_lock *lock)
{
	char age[CTL_AGE_BYTES] = "-";

	if (lock->since_ms > 0)
		ctl_print_age(clock_steady_ms() - lock->since_ms, age);
	printf("%-24s %-36s %-20s %10s %8zu\n", lock->key, lock->holder, lock->project != NULL ? lock->project : "-", age,
		lock->waiting);
}

/* Page by page, so that no reading of the store is long. */
static bool walk(struct ctl *ctl, struct store *store, json_t *list, struct error *err)
{
	char *after = NULL;
	bool more = true;

	while (more) {
		struct store_lock *locks;
		size_t count;

		if (!store_locks(store, after, LOCKS_PAGE, &locks, &count, err)) {
			free(after);
			return false;
		}
		for (size_t i = 0; i < count; i++) {
			if (ctl->json)
				json_array_append_new(list, lock_record(&locks[i]));
			else
				print_lock(&locks[i]);
		}
		more = count == LOCKS_PAGE;
		if (more)
			xreplace(&after, locks[count - 1].key);
		store_locks_free(locks, count);
	}
	free(after);
	return true;
}

int run_locks(struct ctl *ctl, int argc, char **argv)
{
	struct store *store;
	struct error err;
	json_t *list;
	bool ok;

	(void)argv;
	if (argc != 1)
		return command_usage("locks");
	store = ctl_store(ctl);
	if (store == NULL)
		return CONTROL_FAILED;
	list = json_array();
	if (ctl->terminal && !ctl->json)
		printf("%-24s %-36s %-20s %10s %8s\n", "key", "held by", "project", "for", "waiting");
	ok = walk(ctl, store, list, &err);
	store_close(store);
	if (!ok)
		fprintf(stderr, "gantryctl: %s\n", err.text);
	else if (ctl->json)
		ctl_print_json(list);
	json_decref(list);
	return ok ? CONTROL_DONE : CONTROL_FAILED;
}

/* -- why -------------------------------------------------------------------------------------- */

static json_t *why_record(const struct store_why *why)
{
	json_t *object = job_record(why->job);

	json_object_set_new(object, "ahead", json_integer((json_int_t)why->ahead));
	json_object_set_new(object, "held_by", json_at_text(why->holder));
	json_object_set_new(object, "held_by_project", json_at_text(why->holder_project));
	job_record_stamp(object, "held_since", why->holder_since_ms);
	json_object_set_new(object, "group_head", json_at_text(why->group_head));
	json_object_set_new(object, "group_ahead", json_integer((json_int_t)why->group_ahead));
	return object;
}

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
		printf("  attempt %u%s%s\n", job->attempt.number, job->attempt.handle != NULL ? " runs as " : "",
			job->attempt.handle != NULL ? job->attempt.handle : "");
	if (!job_state_final(job->state))
		printf("  owned by %s\n", job->owner != NULL ? job->owner : "no worker at the moment");
}

int run_why(struct ctl *ctl, int argc, char **argv)
{
	struct error err = { 0 };
	struct store_why *why;
	struct store *store;

	if (argc != 2)
		return command_usage("why");
	store = ctl_store(ctl);
	if (store == NULL)
		return CONTROL_FAILED;
	why = store_why(store, argv[1], &err);
	store_close(store);
	if (why == NULL) {
		fprintf(stderr, "gantryctl: %s\n", err.kind != ERROR_NONE ? err.text : "no such job");
		return CONTROL_FAILED;
	}
	if (ctl->json) {
		json_t *doc = why_record(why);

		ctl_print_json(doc);
		json_decref(doc);
	} else {
		print_why(why);
	}
	store_why_free(why);
	return CONTROL_DONE;
}
