/* SPDX-License-Identifier: Apache-2.0 */
/* process_fixture.c - see process_fixture.h. */
#include "process_fixture.h"

#include <ctype.h>
#include <dirent.h>
#include <ftw.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/descriptor.h"
#include "base/mem.h"

enum { PATIENCE_S = 120 };

/* Of a deployer that takes what a message brings, so that requests come from anywhere. */
static struct exec *create(struct fixture *fixture)
{
	struct exec *exec;
	struct error err;

	fixture->conf.allow.command = true;
	exec = exec_create(&fixture->conf, &fixture->env, &err);
	fixture->conf.allow.command = false;
	if (exec == NULL)
		fail_msg("%s", err.text);
	return exec;
}

void fixture_begin(struct fixture *fixture, const char *shim)
{
	char *path = realpath(shim, NULL);

	if (path == NULL)
		fail_msg("%s is not there: run this in the build directory, with all programs made", shim);
	*fixture = (struct fixture){
		.loop = ev_loop_new(EVFLAG_AUTO),
		.place = "/tmp/gantry-test-XXXXXX",
		.conf = {
			.name = (char *)"shell", .type = CONF_DEPLOYER_PROCESS,
			.process = {
				.umask = (char *)"022", .kill_after_ms = 300, .cgroup = (char *)"none",
				.limits = { .log_bytes = 1 << 20 },
			},
		},
	};
	assert_non_null(mkdtemp(fixture->place));
	snprintf(fixture->state_dir, sizeof(fixture->state_dir), "%s/state", fixture->place);
	fixture->conf.process.directory = fixture->place;
	log_init(&fixture->log, NULL, "test");
	log_set_level(LOG_LEVEL_ERROR + 1);
	fixture->env = (struct exec_env){
		.loop = fixture->loop, .log = &fixture->log, .state_dir = fixture->state_dir, .shim_path = path,
	};
	fixture->exec = create(fixture);
}

void fixture_renew(struct fixture *fixture)
{
	exec_destroy(fixture->exec);
	fixture->exec = create(fixture);
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

void fixture_end(struct fixture *fixture)
{
	exec_destroy(fixture->exec);
	ev_loop_destroy(fixture->loop);
	nftw(fixture->place, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	free((char *)fixture->env.shim_path);
}

struct job *fixture_job(const char *body)
{
	struct job *job = job_create();

	job->id = xstrdup("j1");
	job->project = xstrdup("shop");
	job->deployer = xstrdup("shell");
	job->queue = xstrdup("q");
	job->body = xstrdup(body);
	job->attempt.number = 1;
	job->grant = 17;
	return job;
}

char *fixture_request(struct fixture *fixture, const char *script)
{
	char *words[] = { (char *)"/bin/sh", (char *)"-c", (char *)script };
	struct job *job = fixture_job("{}");
	struct error err;
	char *request;

	if (fixture->job_id != NULL)
		xreplace(&job->id, fixture->job_id);
	fixture->conf.command = (struct texts){ .at = words, .count = 3 };
	request = exec_prepare(fixture->exec, job, &err);
	fixture->conf.command = (struct texts){ 0 };
	if (request == NULL)
		fail_msg("%s", err.text);
	job_destroy(job);
	return request;
}

static void on_answer(void *arg, const char *handle, const struct error *err)
{
	struct answered *answered = arg;

	answered->times++;
	answered->handle = xstrdup(handle);
	answered->error = err != NULL ? *err : (struct error){ 0 };
}

struct exec_launch *fixture_launch(struct fixture *fixture, const char *request, const char *token,
	struct answered *answered)
{
	*answered = (struct answered){ .fixture = fixture };
	return exec_launch(fixture->exec, request, token, on_answer, answered);
}

void fixture_look(struct fixture *fixture, const char *request, const char *token, struct answered *answered)
{
	*answered = (struct answered){ .fixture = fixture };
	exec_look(fixture->exec, request, token, clock_wall_ms(), on_answer, answered);
}

void answered_finish(struct answered *answered)
{
	free(answered->handle);
	answered->handle = NULL;
}

static void on_started(void *arg, int64_t started_ms)
{
	struct watched *watched = arg;

	assert_true(started_ms > 0);
	watched->started++;
}

static void on_ended(void *arg, const struct exec_end *end)
{
	struct watched *watched = arg;

	watched->ended++;
	watched->end = *end;
}

struct exec_watch *fixture_watch(struct fixture *fixture, const char *handle, struct watched *watched)
{
	struct exec_watch_events events = { .started = on_started, .ended = on_ended, .arg = watched };

	*watched = (struct watched){ 0 };
	return exec_watch(fixture->exec, handle, "{}", clock_wall_ms(), &events);
}

static void on_tick(struct ev_loop *loop, ev_timer *timer, int revents)
{
	(void)loop;
	(void)timer;
	(void)revents;
}

/* One turn of the loop that does not last longer than a moment. */
static void turn(struct fixture *fixture)
{
	ev_timer tick;

	ev_timer_init(&tick, on_tick, 0.02, 0.);
	ev_timer_start(fixture->loop, &tick);
	ev_run(fixture->loop, EVRUN_ONCE);
	ev_timer_stop(fixture->loop, &tick);
}

void fixture_run(struct fixture *fixture, const unsigned *count, unsigned wanted)
{
	double end_s = clock_monotonic_s() + PATIENCE_S;

	while (*count < wanted) {
		if (clock_monotonic_s() > end_s)
			fail_msg("%u of %u events within %d s", *count, wanted, PATIENCE_S);
		turn(fixture);
	}
}

char *fixture_file(const struct fixture *fixture, const char *name)
{
	char *path = xasprintf("%s/%s", fixture->place, name);
	char *text = descriptor_read_file(path, 1 << 20, NULL, NULL);

	free(path);
	return text;
}

char *fixture_wait_file(struct fixture *fixture, const char *name)
{
	double end_s = clock_monotonic_s() + PATIENCE_S;
	char *text;

	while ((text = fixture_file(fixture, name)) == NULL || *text == '\0') {
		free(text);
		if (clock_monotonic_s() > end_s)
			fail_msg("no %s within %d s", name, PATIENCE_S);
		turn(fixture);
	}
	return text;
}

/* The state of a member of the session, as proc(5) has it; 0 for others, and for zombies, which are their
 * parent's to reap. */
static char member_state(const char *pid, long session)
{
	char *path = xasprintf("/proc/%s/stat", pid);
	char *text = descriptor_read_file(path, 4096, NULL, NULL);
	char state = 'X';
	long found = 0;

	if (text != NULL)
		sscanf(strrchr(text, ')') != NULL ? strrchr(text, ')') : "", ") %c %*d %*d %ld", &state, &found);
	free(path);
	free(text);
	return found == session && state != 'Z' && state != 'X' ? state : 0;
}

/* How many there are, the leader aside, and how many of them are stopped. */
static void count_members(long session, unsigned *members, unsigned *stopped)
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;

	*members = *stopped = 0;
	while ((entry = readdir(proc)) != NULL) {
		char state = isdigit((unsigned char)entry->d_name[0]) ? member_state(entry->d_name, session) : 0;

		*members += state != 0 && strtol(entry->d_name, NULL, 10) != session;
		*stopped += state == 'T';
	}
	closedir(proc);
}

static bool has_members(long session)
{
	char leader[24];
	unsigned members, stopped;

	count_members(session, &members, &stopped);
	snprintf(leader, sizeof(leader), "%ld", session);
	return members > 0 || member_state(leader, session) != 0;
}

void fixture_run_until_stopped(struct fixture *fixture, long session)
{
	double end_s = clock_monotonic_s() + PATIENCE_S;
	unsigned members, stopped;

	do {
		if (clock_monotonic_s() > end_s)
			fail_msg("session %ld was not stopped within %d s", session, PATIENCE_S);
		turn(fixture);
		count_members(session, &members, &stopped);
	} while (members < 2 || stopped != members);
}

void fixture_wait_session_gone(long session)
{
	double end_s = clock_monotonic_s() + PATIENCE_S;

	while (has_members(session)) {
		if (clock_monotonic_s() > end_s)
			fail_msg("session %ld still has processes after %d s", session, PATIENCE_S);
		poll(NULL, 0, 5);
	}
}
