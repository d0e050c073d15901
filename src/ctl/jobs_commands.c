/* SPDX-License-Identifier: Apache-2.0 */
/* jobs_commands.c - jobs and show: the store, read without disturbing those who write it. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "ctl/store_access.h"
#include "job/job_record.h"

enum { JOBS_DEFAULT = 50, JOBS_MAX = 10000 };

/* -- jobs ------------------------------------------------------------------------------------- */

static const struct option jobs_options[] = {
	{ "state", required_argument, NULL, 's' },
	{ "project", required_argument, NULL, 'p' },
	{ "deployer", required_argument, NULL, 'd' },
	{ "count", required_argument, NULL, 'n' },
	{ NULL, 0, NULL, 0 },
};

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
	while ((option = getopt_long(argc, argv, "", jobs_options, NULL)) != -1) {
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

static void print_jobs(struct ctl *ctl, struct job *const *jobs, size_t count)
{
	json_t *list = json_array();

	if (!ctl->json && ctl->terminal)
		printf("%-36s %-10s %-12s %-20s %s\n", "job", "state", "reason", "project", "accepted");
	for (size_t i = 0; i < count; i++) {
		const struct job *job = jobs[i];
		char stamp[CLOCK_STAMP_BYTES];

		clock_stamp(clock_steady_to_wall(job->accepted_ms), stamp);
		if (ctl->json)
			json_array_append_new(list, job_record(job));
		else
			printf("%-36s %-10s %-12s %-20s %s\n", job->id, job_state_name(job->state),
				job->reason != NULL && job->reason[0] != '\0' ? job->reason : "-", job->project, stamp);
	}
	if (ctl->json)
		ctl_print_json(list);
	json_decref(list);
}

int run_jobs(struct ctl *ctl, int argc, char **argv)
{
	struct store_filter filter;
	struct store *store;
	struct job **jobs;
	struct error err;
	size_t count;
	bool ok;

	if (!parse_filter(argc, argv, &filter))
		return command_usage("jobs");
	store = ctl_store(ctl);
	if (store == NULL)
		return CONTROL_FAILED;
	ok = store_list(store, &filter, &jobs, &count, &err);
	if (ok) {
		print_jobs(ctl, jobs, count);
		store_jobs_free(jobs, count);
	} else {
		fprintf(stderr, "gantryctl: %s\n", err.text);
	}
	store_close(store);
	return ok ? CONTROL_DONE : CONTROL_FAILED;
}

/* -- show ------------------------------------------------------------------------------------- */

int run_show(struct ctl *ctl, int argc, char **argv)
{
	struct error err = { 0 };
	struct store *store;
	struct job *job;
	json_t *doc;

	if (argc != 2)
		return command_usage("show");
	store = ctl_store(ctl);
	if (store == NULL)
		return CONTROL_FAILED;
	job = store_find(store, argv[1], &err);
	store_close(store);
	if (job == NULL) {
		fprintf(stderr, "gantryctl: %s\n", err.kind != ERROR_NONE ? err.text : "no such job");
		return CONTROL_FAILED;
	}
	doc = job_record(job);
	if (ctl->json)
		ctl_print_json(doc);
	else
		ctl_print_members(doc, "");
	json_decref(doc);
	job_destroy(job);
	return CONTROL_DONE;
}
