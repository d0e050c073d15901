/* SPDX-License-Identifier: Apache-2.0 */
/* store_speed.c - how fast a store takes jobs from their admission to their end.
 *
 * Each job makes the five transitions that a worker makes: admitted, intended, started, finished, its message
 * noted as settled.  Many are under way at once, as in a worker, and those of one turn of the loop share a commit;
 * with --at-once 1 each transition is a commit of its own.  Each job is of a project, and so of a lock, of its own.
 *
 *      store_speed --store URL --jobs N [--at-once N] [--no-sync]
 *
 * Prints seconds, CPU seconds, transitions, commits and syncs as JSON.  --no-sync keeps all writes and leaves out the
 * waiting for the disk, of this process only: SQLite without its durability, and with nothing else changed. */
#include <ev.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/random.h"
#include "store/store.h"

enum {
	TRANSITIONS = 5,                /* of each job */
	LEASE_MS = 600000,
	REQUEST_BYTES = 700,            /* RunTask's parameters, as frozen */
	LIMIT_AT_ONCE = 10000,
};

struct speed {
	struct ev_loop *loop;
	struct store *store;
	const char *url;
	char owner[RANDOM_ID_BYTES];
	char request[REQUEST_BYTES + 1];
	size_t wanted, at_once;
	size_t begun, ended;
};

/* A place in which one job after the other is taken through its life. */
struct lane {
	struct speed *speed;
	struct job *job;
	struct store_admission admission;
	struct job_result result;
};

/* Instead of libc's, which SQLite would call: the one way to take durability away from a store that gives none up. */
static bool no_sync;
static unsigned long syncs;

static int sync_or_not(long number, int fd)
{
	syncs++;
	return no_sync ? 0 : (int)syscall(number, fd);
}

int fsync(int fd)
{
	return sync_or_not(SYS_fsync, fd);
}

int fdatasync(int fd)
{
	return sync_or_not(SYS_fdatasync, fd);
}

/* A job's life, from the end to the beginning */

static void begin(struct lane *lane);

static void must_not_fail(const char *what, const struct error *err)
{
	if (err != NULL)
		fatal("%s: %s", what, err->text);
}

static void on_settled(void *arg, const struct error *err)
{
	struct lane *lane = arg;
	struct speed *speed = lane->speed;

	must_not_fail("settled", err);
	job_destroy(lane->job);
	lane->job = NULL;
	speed->ended++;
	if (speed->begun < speed->wanted)
		begin(lane);
	else if (speed->ended == speed->wanted)
		ev_break(speed->loop, EVBREAK_ALL);
}

static void on_finished(void *arg, const struct store_grant *grants, size_t count, const struct error *err)
{
	struct lane *lane = arg;
	const struct job *job = lane->job;

	(void)grants;
	(void)count;
	must_not_fail("finished", err);
	lane->job->message.settled = true;
	store_note_messages(lane->speed->store, &job, 1, on_settled, lane);
}

static void on_started(void *arg, const struct error *err)
{
	struct lane *lane = arg;

	must_not_fail("started", err);
	job_result_set(&lane->result, JOB_SUCCEEDED, "", 0, "%s", "");
	store_finish(lane->speed->store, lane->job, &lane->result, on_finished, lane);
}

static void on_intended(void *arg, const struct error *err)
{
	struct lane *lane = arg;
	struct job_attempt *attempt = &lane->job->attempt;

	must_not_fail("intended", err);
	attempt->handle = xasprintf("arn:aws:ecs:us-east-1:000000000000:task/prod/%.32s", attempt->token);
	attempt->started_ms = clock_steady_ms();
	store_started(lane->speed->store, lane->job, on_started, lane);
}

static void on_admitted(void *arg, const struct error *err)
{
	struct lane *lane = arg;
	struct job_attempt *attempt = &lane->job->attempt;

	must_not_fail("admitted", err);
	if (lane->admission.verdict != STORE_ADMITTED_NEW || lane->job->state != JOB_QUEUED)
		fatal("a new job was not admitted as one that is ready");
	attempt->number = 1;
	attempt->token = xasprintf("%s%s", lane->job->id + strlen("deploys:"), lane->job->id + strlen("deploys:"));
	attempt->request = xstrdup(lane->speed->request);
	attempt->intended_ms = clock_steady_ms();
	store_intend(lane->speed->store, lane->job, on_intended, lane);
}

static void begin(struct lane *lane)
{
	char id[RANDOM_ID_BYTES];
	struct job *job = job_create();

	random_id(id);
	job->id = xasprintf("deploys:%s", id);
	job->project = xasprintf("project-%s", id);
	job->deployer = xstrdup("mystical");
	job->queue = xstrdup("deploys");
	job->lock_key = xstrdup(job->project);
	job->policy = LOCK_QUEUE;
	job->body = xasprintf("{\"project\": \"%s\", \"commit\": \"%s\"}", job->project, id);
	job->message.id = xstrdup(id);
	job->message.receipt = xasprintf("AQEB%s%s", id, id);
	job->message.received_ms = clock_steady_ms();
	job->message.hidden_until_ms = job->message.received_ms + 120000;
	job->message.deliveries = 1;
	lane->job = job;
	lane->admission = (struct store_admission){ .job = job };
	lane->speed->begun++;
	store_admit(lane->speed->store, &lane->admission, 1, on_admitted, lane);
}

/* The program */

static double seconds(clockid_t id)
{
	struct timespec now;

	clock_gettime(id, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void run(struct speed *speed)
{
	struct lane *lanes = xcalloc(speed->at_once, sizeof(*lanes));
	double began_s = seconds(CLOCK_MONOTONIC), cpu_s = seconds(CLOCK_PROCESS_CPUTIME_ID);
	unsigned long synced = syncs;
	struct store_figures before = { 0 }, after = { 0 };

	store_figures(speed->store, &before);
	for (size_t i = 0; i < speed->at_once && speed->begun < speed->wanted; i++) {
		lanes[i].speed = speed;
		begin(&lanes[i]);
	}
	ev_run(speed->loop, 0);
	store_figures(speed->store, &after);
	printf("{\"jobs\": %zu, \"transitions\": %zu, \"seconds\": %.6f, \"cpu_s\": %.6f, \"commits\": %llu, "
		"\"syncs\": %lu, \"longest_commit_s\": %.6f}\n", speed->ended, speed->ended * TRANSITIONS,
		seconds(CLOCK_MONOTONIC) - began_s, seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu_s,
		(unsigned long long)(after.commits - before.commits), syncs - synced, after.longest_commit_s);
	free(lanes);
}

static void on_renewed(void *arg, const struct error *err)
{
	struct speed *speed = arg;

	must_not_fail("renewed", err);
	ev_break(speed->loop, EVBREAK_ALL);
}

static void open_store(struct speed *speed, const struct log *log)
{
	const struct store_options options = {
		.loop = speed->loop, .log = log, .owner = speed->owner, .lease_ms = LEASE_MS, .migrate = true,
	};
	struct error err = { 0 };

	random_id(speed->owner);
	speed->store = store_open(speed->url, &options, &err);
	if (speed->store == NULL)
		fatal("%s", err.text);
	store_renew(speed->store, on_renewed, speed);
	ev_run(speed->loop, 0);
}

static size_t number(const char *text, size_t most)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (*text == '\0' || *end != '\0' || value == 0 || value > most)
		fatal("\"%s\" is not a number from 1 to %zu", text, most);
	return value;
}

static void read_options(struct speed *speed, int argc, char **argv)
{
	static const struct option options[] = {
		{ "store", required_argument, NULL, 's' }, { "jobs", required_argument, NULL, 'n' },
		{ "at-once", required_argument, NULL, 'a' }, { "no-sync", no_argument, NULL, 'x' }, { 0 },
	};
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 's': speed->url = optarg; break;
		case 'n': speed->wanted = number(optarg, 100000000); break;
		case 'a': speed->at_once = number(optarg, LIMIT_AT_ONCE); break;
		case 'x': no_sync = true; break;
		default: exit(2);
		}
	}
	if (optind < argc || speed->url == NULL || speed->wanted == 0)
		fatal("usage: store_speed --store URL --jobs N [--at-once N] [--no-sync]");
}

int main(int argc, char **argv)
{
	struct speed speed = { .at_once = 100 };
	struct log log;

	log_open_fd(2, LOG_FORMAT_LOGFMT, LOG_LEVEL_WARN);
	log_init(&log, NULL, "%s", "store_speed");
	read_options(&speed, argc, argv);
	memset(speed.request, 'x', REQUEST_BYTES);
	speed.loop = ev_loop_new(EVFLAG_AUTO);
	open_store(&speed, &log);
	run(&speed);
	store_close(speed.store);
	ev_loop_destroy(speed.loop);
	return 0;
}
