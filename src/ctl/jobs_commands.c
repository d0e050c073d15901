/* SPDX-License-Identifier: Apache-2.0 */
/* jobs_commands.c - jobs and show: the store, read without disturbing those who write it. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "ctl/ctl.h"
#include "store/store.h"

enum { JOBS_DEFAULT = 50, JOBS_MAX = 10000 };

static struct store *open_store(struct ctl *ctl)
{
	static struct log log;
	struct store_options options = { .log = &log, .read_only = true };
	const struct conf *conf = ctl_conf(ctl);
	struct store *store;
	struct error err;

	if (conf == NULL)
		return NULL;
	store = store_open(conf->store, &options, &err);
	if (store == NULL)
		fprintf(stderr, "gantryctl: %s\n", err.text);
	return store;
}

static void set_text(json_t *object, const char *key, const char *value)
{
	json_object_set_new(object, key, json_at_text(value));
}

static void set_stamp(json_t *object, const char *key, int64_t wall_ms)
{
	char stamp[CLOCK_STAMP_BYTES];

	clock_stamp(wall_ms, stamp);
	set_text(object, key, stamp[0] != '\0' ? stamp : NULL);
}

static json_t *describe_attempt(const struct job *job)
{
	json_t *attempt = json_object();

	json_object_set_new(attempt, "number", json_integer(job->attempt.number));
	set_text(attempt, "handle", job->attempt.handle);
	set_text(attempt, "token", job->attempt.token);
	set_stamp(attempt, "intended", job->attempt.intended_ms);
	set_stamp(attempt, "started", job->attempt.started_ms);
	return attempt;
}

static json_t *describe_message(const struct job_message_ref *ref)
{
	json_t *message = json_object();

	set_text(message, "id", ref->id);
	set_text(message, "group", ref->group);
	json_object_set_new(message, "deliveries", json_integer(ref->deliveries));
	json_object_set_new(message, "settled", json_boolean(ref->settled));
	return message;
}

static json_t *describe(const struct job *job)
{
	json_t *object = json_object();

	set_text(object, "id", job->id);
	set_text(object, "state", job_state_name(job->state));
	set_text(object, "reason", job->reason);
	set_text(object, "detail", job->detail);
	json_object_set_new(object, "exit_code", job->exit_code >= 0 ? json_integer(job->exit_code) : json_null());
	set_text(object, "project", job->project);
	set_text(object, "deployer", job->deployer);
	set_text(object, "queue", job->queue);
	set_text(object, "commit", job->commit);
	set_text(object, "ref", job->ref);
	set_text(object, "lock", job->lock_key);
	json_object_set_new(object, "priority", json_integer(job->priority));
	json_object_set_new(object, "sequence", json_integer(job->seq));
	set_stamp(object, "accepted", job->accepted_ms);
	set_stamp(object, "finished", job->finished_ms);
	set_text(object, "owner", job->owner);
	if (job->attempt.number > 0)
		json_object_set_new(object, "attempt", describe_attempt(job));
	if (job->message.id != NULL)
		json_object_set_new(object, "message", describe_message(&job->message));
	set_text(object, "body", job->body);
	return object;
}

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

		clock_stamp(job->accepted_ms, stamp);
		if (ctl->json)
			json_array_append_new(list, describe(job));
		else
			printf("%-36s %-10s %-12s %-20s %s\n", job->id, job_state_name(job->state),
				job->reason != NULL && job->reason[0] != '\0' ? job->reason : "-", job->project, stamp);
	}
	if (ctl->json) {
		json_dumpf(list, stdout, JSON_INDENT(2));
		putchar('\n');
	}
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
	store = open_store(ctl);
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

static void print_members(const json_t *object, const char *prefix)
{
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)object, key, value) {
		if (json_is_object(value)) {
			print_members(value, key);
			continue;
		}
		if (json_is_null(value))
			continue;
		printf("%s%s%-*s ", prefix, prefix[0] != '\0' ? " " : "", 20 - (int)strlen(prefix), key);
		if (json_is_string(value))
			puts(json_string_value(value));
		else if (json_is_integer(value))
			printf("%lld\n", (long long)json_integer_value(value));
		else
			puts(json_is_true(value) ? "yes" : "no");
	}
}

int run_show(struct ctl *ctl, int argc, char **argv)
{
	struct error err = { 0 };
	struct store *store;
	struct job *job;
	json_t *doc;

	if (argc != 2)
		return command_usage("show");
	store = open_store(ctl);
	if (store == NULL)
		return CONTROL_FAILED;
	job = store_find(store, argv[1], &err);
	store_close(store);
	if (job == NULL) {
		fprintf(stderr, "gantryctl: %s\n", err.kind != ERROR_NONE ? err.text : "no such job");
		return CONTROL_FAILED;
	}
	doc = describe(job);
	if (ctl->json) {
		json_dumpf(doc, stdout, JSON_INDENT(2));
		putchar('\n');
	} else {
		print_members(doc, "");
	}
	json_decref(doc);
	job_destroy(job);
	return CONTROL_DONE;
}
