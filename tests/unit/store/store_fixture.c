/* SPDX-License-Identifier: Apache-2.0 */
/* store_fixture.c - see store_fixture.h. */
#include "store_fixture.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/random.h"
#include "config.h"
#include "../cmocka_all.h"

/* -- adapters ------------------------------------------------------------------------------------ */

static char *memory_url(char **private)
{
	char id[RANDOM_ID_BYTES];

	random_id(id);
	*private = NULL;
	return xasprintf("memory:%s", id);
}

static void memory_remove(char *private)
{
	free(private);
}

static char *sqlite_url(char **private)
{
	const char *tmp = getenv("TMPDIR");

	*private = xasprintf("%s/gantry-store-XXXXXX", tmp != NULL ? tmp : "/tmp");
	assert_non_null(mkdtemp(*private));
	return xasprintf("sqlite://%s/state/gantry.db", *private);
}

static void remove_files(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *entry;

	while (dir != NULL && (entry = readdir(dir)) != NULL) {
		char *file = xasprintf("%s/%s", path, entry->d_name);

		unlink(file);
		free(file);
	}
	if (dir != NULL)
		closedir(dir);
	rmdir(path);
}

static void sqlite_remove(char *private)
{
	char *state = xasprintf("%s/state", private);

	remove_files(state);
	remove_files(private);
	free(state);
	free(private);
}

const struct store_adapter store_adapter_memory = { "memory", memory_url, memory_remove, NULL };
const struct store_adapter store_adapter_sqlite = { "sqlite", sqlite_url, sqlite_remove, NULL };

const struct store_adapter *const store_adapters[] = {
	&store_adapter_memory,
	&store_adapter_sqlite,
	&store_adapter_redis,
#ifdef WITH_POSTGRESQL
	&store_adapter_postgresql,
#endif
	NULL,
};

void store_adapters_end(void)
{
	for (size_t a = 0; store_adapters[a] != NULL; a++) {
		if (store_adapters[a]->end != NULL)
			store_adapters[a]->end();
	}
}

/* -- the fixture --------------------------------------------------------------------------------- */

struct store *fixture_open(struct store_fixture *fixture, const char *owner)
{
	const struct store_options options = {
		.loop = fixture->loop, .log = &fixture->log, .owner = owner, .lease_ms = FIXTURE_LEASE_MS, .migrate = true,
	};
	struct error err = { 0 };
	struct store *store = store_open(fixture->url, &options, &err);

	if (store == NULL)
		fail_msg("%s: %s", fixture->url, err.text);
	return store;
}

int fixture_setup(void **state)
{
	struct store_fixture *fixture = xnew(struct store_fixture);

	fixture->adapter = *state;
	fixture->url = fixture->adapter->make_url(&fixture->private);
	fixture->loop = ev_loop_new(EVFLAG_AUTO);
	log_init(&fixture->log, NULL, "test");
	fixture->a = fixture_open(fixture, "a");
	fixture->b = fixture_open(fixture, "b");
	want_renew(fixture, fixture->a, ERROR_NONE);
	want_renew(fixture, fixture->b, ERROR_NONE);
	*state = fixture;
	return 0;
}

int fixture_teardown(void **state)
{
	struct store_fixture *fixture = *state;

	store_close(fixture->a);
	store_close(fixture->b);
	ev_loop_destroy(fixture->loop);
	fixture->adapter->remove(fixture->private);
	free(fixture->url);
	free(fixture);
	return 0;
}

/* A loop that two processes work with at once gives each the other's descriptors to look at. */
pid_t fixture_fork(struct store_fixture *fixture)
{
	pid_t child;

	fflush(NULL);
	child = fork();
	assert_true(child >= 0);
	if (child > 0)
		return child;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setenv("CMOCKA_TEST_ABORT", "1", 1);
	ev_loop_fork(fixture->loop);
	return 0;
}

/* -- hearing ------------------------------------------------------------------------------------- */

static void heard_error(struct heard *heard, const struct error *err)
{
	assert_false(heard->done);
	heard->done = true;
	if (err != NULL)
		heard->err = *err;
}

void heard_done(void *arg, const struct error *err)
{
	heard_error(arg, err);
}

void heard_count(void *arg, size_t count, const struct error *err)
{
	struct heard *heard = arg;

	heard_error(heard, err);
	heard->count = count;
}

void heard_jobs(void *arg, struct job **jobs, size_t count, const struct error *err)
{
	struct heard *heard = arg;

	heard_error(heard, err);
	heard->count = count;
	heard->jobs = xcalloc(count + 1, sizeof(*heard->jobs));
	for (size_t i = 0; i < count; i++)
		heard->jobs[i] = jobs[i];
}

void heard_swept(void *arg, struct job **jobs, size_t count, int64_t next_due_ms, const struct error *err)
{
	heard_jobs(arg, jobs, count, err);
	((struct heard *)arg)->next_due_ms = next_due_ms;
}

static void append(char *text, size_t room, const char *a, const char *between, const char *b)
{
	size_t used = strlen(text);

	snprintf(text + used, room - used, "%s%s%s%s", used > 0 ? " " : "", a, between, b);
}

void heard_finished(void *arg, const struct store_grant *grants, size_t count, const struct error *err)
{
	struct heard *heard = arg;

	heard_error(heard, err);
	for (size_t i = 0; i < count; i++)
		append(heard->grants, sizeof(heard->grants), grants[i].job_id, "@",
			grants[i].owner != NULL ? grants[i].owner : "-");
}

void heard_answer(void *arg, const struct store_answer *answer, const struct error *err)
{
	struct heard *heard = arg;

	heard_finished(arg, answer->grants, answer->grant_count, err);
	heard->verdict = answer->verdict;
	heard->state = answer->state;
	append(heard->about, sizeof(heard->about), answer->job_id != NULL ? answer->job_id : "-", "@",
		answer->owner != NULL ? answer->owner : "-");
}

void heard_rate(void *arg, const struct store_rate_given *given, const struct error *err)
{
	heard_error(arg, err);
	((struct heard *)arg)->rate = *given;
}

void heard_deliveries(void *arg, const struct store_delivery *deliveries, size_t count, int64_t next_due_ms,
	const struct error *err)
{
	struct heard *heard = arg;

	heard_error(heard, err);
	heard->count = count;
	heard->next_due_ms = next_due_ms;
	for (size_t i = 0; i < count; i++) {
		append(heard->told, sizeof(heard->told), deliveries[i].event, ":", deliveries[i].payload);
		if (i < sizeof(heard->ids) / sizeof(heard->ids[0]))
			heard->ids[i] = deliveries[i].id;
	}
}

void hear(struct store_fixture *fixture, struct heard *heard)
{
	assert_false(heard->done);
	while (!heard->done)
		ev_run(fixture->loop, EVRUN_ONCE);
}

void heard_finish(struct heard *heard)
{
	read_jobs_free(heard->jobs, heard->jobs != NULL ? heard->count : 0);
	*heard = (struct heard){ 0 };
}

const char *heard_ids(const struct heard *heard)
{
	static char ids[512];

	ids[0] = '\0';
	for (size_t i = 0; i < heard->count; i++)
		append(ids, sizeof(ids), heard->jobs[i]->id, "", "");
	return ids;
}

static void hear_kind(struct store_fixture *fixture, struct heard *heard, enum error_kind kind)
{
	hear(fixture, heard);
	if (heard->err.kind != kind)
		fail_msg("wanted %s, found %s: %s", error_kind_name(kind), error_kind_name(heard->err.kind),
			heard->err.text);
}

/* -- calls --------------------------------------------------------------------------------------- */

struct job *make_job(const char *id, enum lock_policy policy)
{
	struct job *job = job_create();

	job->id = xstrdup(id);
	job->project = xstrdup("p");
	job->deployer = xstrdup("d");
	job->queue = xstrdup("q");
	job->lock_key = xstrdup(policy == LOCK_PARALLEL ? "" : "p");
	job->policy = policy;
	job->body = xasprintf("{\"project\":\"p\",\"id\":\"%s\"}", id);
	job->message.id = xasprintf("m-%s", id);
	job->message.receipt = xasprintf("r1-%s", id);
	job->message.received_ms = clock_wall_ms();
	job->message.hidden_until_ms = job->message.received_ms + 30000;
	job->message.deliveries = 1;
	return job;
}

enum store_admitted want_admit(struct store_fixture *fixture, struct store *store, struct job *job)
{
	struct store_admission admission = { .job = job };
	struct heard heard = { 0 };

	store_admit(store, &admission, 1, heard_done, &heard);
	hear_kind(fixture, &heard, ERROR_NONE);
	free(admission.owner);
	return admission.verdict;
}

void want_renew(struct store_fixture *fixture, struct store *store, enum error_kind kind)
{
	struct heard heard = { 0 };

	store_renew(store, heard_done, &heard);
	hear_kind(fixture, &heard, kind);
}

size_t want_disown(struct store_fixture *fixture, struct store *store, const char *owner)
{
	struct heard heard = { 0 };

	store_disown(store, owner, heard_count, &heard);
	hear_kind(fixture, &heard, ERROR_NONE);
	return heard.count;
}

void want_intend(struct store_fixture *fixture, struct store *store, struct job *job, enum error_kind kind)
{
	struct heard heard = { 0 };

	if (job->attempt.number == 0)
		job->attempt.number = 1;
	xreplace(&job->attempt.token, "token");
	xreplace(&job->attempt.request, "{\"frozen\":1}");
	job->attempt.intended_ms = clock_wall_ms();
	store_intend(store, job, heard_done, &heard);
	hear_kind(fixture, &heard, kind);
}

void want_started(struct store_fixture *fixture, struct store *store, struct job *job, enum error_kind kind)
{
	struct heard heard = { 0 };

	free(job->attempt.handle);
	job->attempt.handle = xasprintf("arn:task/%s", job->id);
	job->attempt.started_ms = clock_wall_ms();
	store_started(store, job, heard_done, &heard);
	hear_kind(fixture, &heard, kind);
}

void want_retry(struct store_fixture *fixture, struct store *store, struct job *job, enum error_kind kind)
{
	struct heard heard = { 0 };

	store_retry(store, job, heard_done, &heard);
	hear_kind(fixture, &heard, kind);
}

void want_note_wait(struct store_fixture *fixture, struct store *store, struct job *job, enum error_kind kind)
{
	struct heard heard = { 0 };

	store_note_wait(store, job, heard_done, &heard);
	hear_kind(fixture, &heard, kind);
}

static void want_answer(const struct heard *heard, enum store_asked verdict, const char *about)
{
	static const char *const names[] = {
		[STORE_ASKED_DONE] = "done", [STORE_ASKED_BEGUN] = "begun", [STORE_ASKED_REFUSED] = "refused",
		[STORE_ASKED_UNKNOWN] = "unknown",
	};

	assert_string_equal(names[heard->verdict], names[verdict]);
	assert_string_equal(heard->about, about);
}

void want_asked(struct store_fixture *fixture, struct store *store, ask_fn *ask, const char *name,
	enum store_asked verdict, const char *about, const char *grants)
{
	struct heard heard = { 0 };

	ask(store, name, "me", heard_answer, &heard);
	hear_kind(fixture, &heard, ERROR_NONE);
	want_answer(&heard, verdict, about);
	assert_string_equal(heard.grants, grants);
}

void want_told(struct store_fixture *fixture, struct store *store, const char *id, enum store_asked verdict,
	const char *about)
{
	struct heard heard = { 0 };

	store_tell_owner(store, id, heard_answer, &heard);
	hear_kind(fixture, &heard, ERROR_NONE);
	want_answer(&heard, verdict, about);
}

void want_news(struct store_fixture *fixture, struct store *store, const char *ids)
{
	struct heard heard;

	want_sweep(fixture, store, &heard);
	assert_string_equal(heard_ids(&heard), ids);
	heard_finish(&heard);
}

static void finish(struct store_fixture *fixture, struct store *store, struct job *job, enum job_state state,
	enum error_kind kind, struct heard *heard)
{
	struct job_result result;

	job_result_set(&result, state, state == JOB_FAILED ? "exit_code" : "", 3, "%s", "the end");
	store_finish(store, job, &result, heard_finished, heard);
	hear_kind(fixture, heard, kind);
}

void want_finish(struct store_fixture *fixture, struct store *store, struct job *job, enum job_state state,
	const char *grants)
{
	struct heard heard = { 0 };

	finish(fixture, store, job, state, ERROR_NONE, &heard);
	assert_string_equal(heard.grants, grants);
}

void want_finish_error(struct store_fixture *fixture, struct store *store, struct job *job, enum job_state state,
	enum error_kind kind)
{
	struct heard heard = { 0 };

	finish(fixture, store, job, state, kind, &heard);
}

void want_note(struct store_fixture *fixture, struct store *store, struct job *job, enum error_kind kind)
{
	const struct job *jobs[] = { job };
	struct heard heard = { 0 };

	store_note_messages(store, jobs, 1, heard_done, &heard);
	hear_kind(fixture, &heard, kind);
}

void want_adopt(struct store_fixture *fixture, struct store *store, size_t max, struct heard *heard)
{
	*heard = (struct heard){ 0 };
	store_adopt(store, max, heard_jobs, heard);
	hear_kind(fixture, heard, ERROR_NONE);
}

void want_sweep(struct store_fixture *fixture, struct store *store, struct heard *heard)
{
	*heard = (struct heard){ 0 };
	store_sweep(store, heard_swept, heard);
	hear_kind(fixture, heard, ERROR_NONE);
}

void want_state(struct store *store, const char *id, enum job_state state)
{
	struct job *job = read_job(store, id);

	if (job == NULL)
		fail_msg("no job %s", id);
	assert_string_equal(job_state_name(job->state), job_state_name(state));
	job_destroy(job);
}

int fixture_run(const struct CMUnitTest *tests, size_t count)
{
	const struct store_adapter *const *adapters = store_adapters;
	struct CMUnitTest *all = NULL;
	size_t n = 0;
	int failed;

	for (size_t a = 0; adapters[a] != NULL; a++) {
		all = xreallocarray(all, n + count, sizeof(*all));
		for (size_t t = 0; t < count; t++) {
			all[n] = tests[t];
			all[n].name = xasprintf("%s: %s", adapters[a]->name, tests[t].name);
			all[n].setup_func = fixture_setup;
			all[n].teardown_func = fixture_teardown;
			all[n++].initial_state = (void *)adapters[a];
		}
	}
	failed = _cmocka_run_group_tests("store", all, n, NULL, NULL);
	store_adapters_end();
	for (size_t i = 0; i < n; i++)
		free((char *)all[i].name);
	free(all);
	return failed;
}
