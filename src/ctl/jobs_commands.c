/* SPDX-License-Identifier: Apache-2.0 */
/* jobs_commands.c - jobs and show: the store, read without disturbing those who write it. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "ctl/store_access.h"
#include "job/job_record.h"
#include "store/store_record.h"

enum { JOBS_DEFAULT = 50, JOBS_MAX = 10000, SHOWN_DELIVERIES = 1000 };

/* -- jobs ------------------------------------------------------------------------------------- */

static bool parse_state(const char *name, struct store_filter *filter)
{
	enum job_state state;

	if (!job_state_parse(name, &state)) {
		fprintf(stderr, "gantryctl: no state \"%s\"; states are", name);
		for (int i = 0; i < JOB_STATES; i++)
			fprintf(stderr, " %s", job_state_name((enum job_state)i));
		fprintf(stderr, "\n");
		return false;
	}
	filter->state = (int)state;
	return true;
}

static bool parse_filter(int argc, char **argv, struct store_filter *filter)
{
	unsigned long count = JOBS_DEFAULT;
	int option;

	*filter = (struct store_filter){ .state = -1 };
	while ((option = command_option(argc, argv)) != -1) {
		if (option == 's') {
			if (!parse_state(optarg, filter))
				return false;
		} else if (option == 'p') {
			filter->project = optarg;
		} else if (option == 'd') {
			filter->deployer = optarg;
		} else if (option == 'n') {
			if (!ctl_parse_count(optarg, JOBS_MAX, &count))
				return false;
		} else {
			return false;
		}
	}
	filter->max = count;
	return optind == argc;
}

static void print_jobs(const struct ctl *ctl, const struct job *const *jobs, size_t count)
{
	json_t *list = json_array();

	if (!ctl->json && ctl->terminal)
		printf("%-36s %-10s %-12s %-20s %s\n", "job", "state", "reason", "project", "accepted");
	for (size_t i = 0; i < count; i++) {
		const struct job *job = jobs[i];
		char stamp[CLOCK_STAMP_BYTES];

		clock_stamp(clock_steady_to_wall(job->accepted_ms), stamp);
		if (ctl->json)
			json_array_append_new(list, job_record_brief(job));
		else
			printf("%-36s %-10s %-12s %-20s %s\n", job->id, job_state_name(job->state),
				job->reason != NULL && job->reason[0] != '\0' ? job->reason : "-", job->project, stamp);
	}
	if (ctl->json)
		ctl_print_json(list);
	json_decref(list);
}

static void on_listed(void *arg, const struct job *const *jobs, size_t count, const struct error *err)
{
	struct asking *asking = arg;

	if (err == NULL)
		print_jobs(asking->ctl, jobs, count);
	asking_end(asking, err);
}

int run_jobs(struct ctl *ctl, int argc, char **argv)
{
	struct store_filter filter;
	struct asking asking;

	if (!parse_filter(argc, argv, &filter))
		return command_usage("jobs");
	if (asking_open_to_read(&asking, ctl)) {
		store_list(asking.store, &filter, on_listed, &asking);
		asking_wait(&asking);
	}
	asking_close(&asking);
	return asking.status;
}

/* -- show ------------------------------------------------------------------------------------- */

struct show {
	struct asking asking;
	json_t *doc;                    /* the record, and what belongs to it as far as it was read */
};

/* One of an array on a line: what it is, then its members without those that are null. */
static void print_row(const char *name, const json_t *row)
{
	const char *key;
	json_t *value;

	printf("%s", name);
	json_object_foreach((json_t *)row, key, value) {
		if (json_is_string(value)) {
			printf(" %s=", key);
			ctl_print_text(json_string_value(value));
		} else if (json_is_integer(value))
			printf(" %s=%lld", key, (long long)json_integer_value(value));
		else if (json_is_true(value))
			printf(" %s", key);
	}
	putchar('\n');
}

static void print_show(const struct show *show)
{
	const json_t *attempts = json_object_get(show->doc, "attempts");
	const json_t *deliveries = json_object_get(show->doc, "deliveries");
	const json_t *row;
	size_t i;

	if (show->asking.ctl->json) {
		ctl_print_json(show->doc);
		return;
	}
	ctl_print_members(show->doc, "");
	json_array_foreach(attempts, i, row)
		print_row("attempt", row);
	json_array_foreach(deliveries, i, row)
		print_row("delivery", row);
}

static void on_deliveries(void *arg, const struct store_delivery *deliveries, size_t count, int64_t next_due_ms,
	const struct error *err)
{
	struct show *show = arg;

	(void)next_due_ms;
	json_object_set_new(show->doc, "deliveries", store_delivery_records(deliveries, count));
	if (err == NULL)
		print_show(show);
	asking_end(&show->asking, err);
}

static void on_attempts(void *arg, const struct store_attempt *attempts, size_t count, const struct error *err)
{
	struct show *show = arg;
	const char *id = json_string_value(json_object_get(show->doc, "id"));
	const struct store_delivery_filter filter = { .job_id = id, .max = SHOWN_DELIVERIES };

	if (err != NULL) {
		asking_end(&show->asking, err);
		return;
	}
	json_object_set_new(show->doc, "attempts", store_attempt_records(attempts, count));
	store_deliveries(show->asking.store, &filter, on_deliveries, show);
}

static void on_found(void *arg, const struct job *job, const struct error *err)
{
	struct show *show = arg;

	if (err != NULL) {
		asking_end(&show->asking, err);
	} else if (job == NULL) {
		asking_end_missing(&show->asking);
	} else {
		show->doc = job_record(job);
		store_attempts(show->asking.store, job->id, on_attempts, show);
	}
}

int run_show(struct ctl *ctl, int argc, char **argv)
{
	struct show show = { .doc = NULL };

	if (argc != 2)
		return command_usage("show");
	if (asking_open_to_read(&show.asking, ctl)) {
		store_find(show.asking.store, argv[1], on_found, &show);
		asking_wait(&show.asking);
	}
	asking_close(&show.asking);
	json_decref(show.doc);
	return show.asking.status;
}
