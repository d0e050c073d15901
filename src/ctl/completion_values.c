/* SPDX-License-Identifier: Apache-2.0 */
/* completion_values.c - see completion_values.h. */
#include "ctl/completion_values.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf/conf_canonical.h"
#include "conf/conf_schema.h"
#include "ctl/store_access.h"

/* Nobody reads more than a few hundred; whoever has typed a part of an older one knows the rest. */
enum { VALUES_MAX = 500, WAIT_DEFAULT_S = 2, WAIT_MAX_S = 600 };

struct values {
	struct asking asking;
	enum ctl_word word;
};

/* -- from the configuration ------------------------------------------------------------------- */

/* A key, and each part of it that ends at a dot, once: "store", "supervisor", "supervisor.workers". */
static void print_keys(const struct conf *conf)
{
	char last[LIMIT_CONF_KEY_BYTES] = "";
	struct buf text;
	char *rest;

	buf_init(&text, LIMIT_CONF_BYTES);
	conf_canonical_write(conf, true, &text);
	for (char *line = strtok_r(text.bytes, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest)) {
		line[strcspn(line, "\t")] = '\0';
		for (char *dot = strchr(line, '.'); dot != NULL; dot = strchr(dot + 1, '.')) {
			size_t size = (size_t)(dot - line);

			if (strncmp(last, line, size) != 0 || (last[size] != '.' && last[size] != '\0'))
				printf("%.*s\n", (int)size, line);
		}
		puts(line);
		snprintf(last, sizeof(last), "%s", line);
	}
	buf_finish(&text);
}

static bool print_configured(const struct conf *conf, enum ctl_word word)
{
	switch (word) {
	case WORD_QUEUE:
		for (size_t i = 0; i < conf->queue_count; i++)
			puts(conf->queues[i].name);
		return true;
	case WORD_DEPLOYER:
		for (size_t i = 0; i < conf->deployer_count; i++)
			puts(conf->deployers[i].name);
		return true;
	case WORD_KEY:
		print_keys(conf);
		return true;
	case WORD_STATE:
		for (int i = 0; i < JOB_STATES; i++)
			puts(job_state_name((enum job_state)i));
		return true;
	default:
		return false;
	}
}

/* -- from the store --------------------------------------------------------------------------- */

/* One on a line: a value with a line's end in it would become two that there are not. */
static void print_value(const char *value)
{
	if (value != NULL && value[strcspn(value, "\n\r")] == '\0')
		puts(value);
}

static bool is_wanted(const struct values *values, const struct job *job)
{
	switch (values->word) {
	case WORD_LIVE_JOB:
		return !job_state_final(job->state);
	case WORD_ENDED_JOB:
		return job_state_final(job->state);
	default:
		return true;
	}
}

static bool is_new_project(const struct job *const *jobs, size_t at)
{
	for (size_t i = 0; i < at; i++) {
		if (strcmp(jobs[i]->project, jobs[at]->project) == 0)
			return false;
	}
	return true;
}

static void on_jobs(void *arg, const struct job *const *jobs, size_t count, const struct error *err)
{
	struct values *values = arg;

	for (size_t i = 0; i < count; i++) {
		if (values->word == WORD_PROJECT) {
			if (is_new_project(jobs, i))
				print_value(jobs[i]->project);
		} else if (is_wanted(values, jobs[i])) {
			print_value(jobs[i]->id);
		}
	}
	asking_end(&values->asking, err);
}

static void on_locks(void *arg, const struct store_lock *locks, size_t count, const struct error *err)
{
	struct values *values = arg;

	for (size_t i = 0; i < count; i++)
		print_value(locks[i].key);
	asking_end(&values->asking, err);
}

static void on_deliveries(void *arg, const struct store_delivery *deliveries, size_t count, int64_t next_due_ms,
	const struct error *err)
{
	struct values *values = arg;

	(void)next_due_ms;
	for (size_t i = 0; i < count; i++) {
		if (deliveries[i].dead)
			printf("%" PRId64 "\n", deliveries[i].id);
	}
	asking_end(&values->asking, err);
}

static void ask(struct values *values)
{
	const struct store_filter newest = { .state = -1, .max = VALUES_MAX };
	const struct store_delivery_filter open_ones = { .open_only = true, .max = VALUES_MAX };

	if (values->word == WORD_LOCK)
		store_locks(values->asking.store, NULL, VALUES_MAX, on_locks, values);
	else if (values->word == WORD_DEAD_DELIVERY)
		store_deliveries(values->asking.store, &open_ones, on_deliveries, values);
	else
		store_list(values->asking.store, &newest, on_jobs, values);
	asking_wait(&values->asking);
}

static enum ctl_word find_word(const char *kind)
{
	for (int i = WORD_QUEUE; i < CTL_WORDS; i++) {
		if (strcmp(ctl_word_name((enum ctl_word)i), kind) == 0)
			return (enum ctl_word)i;
	}
	return WORD_NONE;
}

static unsigned wait_s(void)
{
	const char *given = getenv("GANTRY_COMPLETION_WAIT");
	unsigned long seconds;

	return given != NULL && ctl_parse_count(given, WAIT_MAX_S, &seconds) ? (unsigned)seconds : WAIT_DEFAULT_S;
}

int completion_values(struct ctl *ctl, const char *kind)
{
	struct values values = { .word = find_word(kind) };
	const struct conf *conf;

	if (values.word == WORD_NONE)
		return command_usage("completion");
	/* A store that is away ends us, not the person's patience. */
	alarm(wait_s());
	conf = ctl_conf(ctl);
	if (conf == NULL)
		return CONTROL_FAILED;
	if (print_configured(conf, values.word))
		return CONTROL_DONE;
	if (values.word == WORD_DEAD_DELIVERY)
		puts("all");
	if (asking_open_to_read(&values.asking, ctl))
		ask(&values);
	asking_close(&values.asking);
	return values.asking.status;
}
