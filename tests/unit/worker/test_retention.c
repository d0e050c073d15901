/* SPDX-License-Identifier: Apache-2.0 */
#include "bench.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "exec/process_dir.h"
#include "worker/retention.h"

static char place[] = "/tmp/test_retention.XXXXXX";

static int setup(void **state)
{
	*state = bench_create(false);
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st, (void)type, (void)at;
	return remove(path);
}

static int teardown(void **state)
{
	bench_destroy(*state);
	nftw(place, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	return 0;
}

static bool is_known(struct bench *bench, const char *id)
{
	struct job *job = read_job(bench->worker->store, id);

	job_destroy(job);
	return job != NULL;
}

static bool first_is_gone(struct bench *bench)
{
	retention_tick(bench->worker);
	return !is_known(bench, "first");
}

static void run_one(struct bench *bench, const char *id, bool end)
{
	char *body = xasprintf("{\"id\": \"%s\", \"project\": \"%s\"}", id, id);
	size_t tasks = exec_memory_count(bench->exec);

	queue_memory_put(bench->queue, body, NULL);
	while (exec_memory_count(bench->exec) == tasks)
		ev_run(bench->worker->loop, EVRUN_ONCE);
	if (end) {
		bench_turn(bench);
		exec_memory_exit(bench->exec, exec_memory_task(bench->exec, tasks)->handle, 0);
		bench_run_until(bench, "it ends", bench_idle);
	}
	free(body);
}

static void test_job_is_forgotten_after_its_history_and_not_before(void **state)
{
	struct bench *bench = *state;

	run_one(bench, "first", true);
	run_one(bench, "second", false);
	bench->worker->conf->supervisor.history_ms = 3600 * 1000;
	retention_tick(bench->worker);
	bench_turn(bench);
	assert_true(is_known(bench, "first"));
	bench->worker->conf->supervisor.history_ms = 1;
	bench_run_until(bench, "the finished one is forgotten", first_is_gone);
	assert_true(is_known(bench, "second"));
}

static void test_job_is_kept_for_ever_when_told_so(void **state)
{
	struct bench *bench = *state;

	run_one(bench, "first", true);
	for (int i = 0; i < 5; i++) {
		retention_tick(bench->worker);
		bench_turn(bench);
	}
	assert_true(is_known(bench, "first"));
}

/* As of 1970, so that its log is older than any retention. */
static void leave_directory(struct bench *bench, const char *token, const char *job)
{
	static const struct timespec times[2] = { { .tv_sec = 1 }, { .tv_sec = 1 } };
	char *directory = process_dir_path(bench->worker->conf->supervisor.state_dir, token);
	char *path = xasprintf("%s/" PROCESS_STARTED, directory);
	FILE *file;

	assert_int_equal(mkdir(directory, 0700), 0);
	file = fopen(path, "we");
	assert_non_null(file);
	fprintf(file, "version 1\njob %s\nend\n", job);
	fclose(file);
	assert_int_equal(utimensat(AT_FDCWD, directory, times, 0), 0);
	free(path);
	free(directory);
}

static bool is_there(struct bench *bench, const char *token)
{
	char *directory = process_dir_path(bench->worker->conf->supervisor.state_dir, token);
	bool there = access(directory, F_OK) == 0;

	free(directory);
	return there;
}

static bool old_ones_are_gone(struct bench *bench)
{
	retention_tick(bench->worker);
	return !is_there(bench, "finished") && !is_there(bench, "unknown");
}

static bool unknown_is_gone(struct bench *bench)
{
	retention_tick(bench->worker);
	return !is_there(bench, "unknown");
}

/* Enough for a whole one. */
static void run_a_pass(struct bench *bench)
{
	for (int i = 0; i < 10; i++) {
		retention_tick(bench->worker);
		bench_turn(bench);
	}
}

static void test_directory_goes_when_it_is_old_and_its_job_has_ended(void **state)
{
	struct bench *bench = *state;
	char id[PROCESS_ID_BYTES];
	struct error err;

	assert_non_null(mkdtemp(place));
	bench->worker->conf->supervisor.state_dir = xstrdup(place);
	assert_true(process_state_open(place, id, &err));
	run_one(bench, "first", true);
	run_one(bench, "second", false);
	leave_directory(bench, "finished", "first");
	leave_directory(bench, "unfinished", "second");
	leave_directory(bench, "unknown", "nobody");
	bench->worker->heritage.slot = 1;
	assert_false(old_ones_are_gone(bench));
	bench->worker->heritage.slot = 0;
	/* That its log looks old is not enough: the job has just ended. */
	bench_run_until(bench, "that of no job is removed", unknown_is_gone);
	run_a_pass(bench);
	assert_true(is_there(bench, "finished"));
	clock_shift(0, (int64_t)15 * 24 * 3600 * 1000);
	/* As the next pass would be minutes away. */
	retention_destroy(bench->worker->retention);
	bench->worker->retention = NULL;
	bench_run_until(bench, "the old ones are removed", old_ones_are_gone);
	assert_true(is_there(bench, "unfinished"));
}

static void write_log(struct bench *bench, const char *token, time_t at_s)
{
	const struct timespec times[2] = { { .tv_sec = at_s }, { .tv_sec = at_s } };
	char *directory = process_dir_path(bench->worker->conf->supervisor.state_dir, token);
	char *path = xasprintf("%s/" PROCESS_LOG, directory);
	char bytes[64 << 10];
	FILE *file = fopen(path, "we");

	assert_non_null(file);
	memset(bytes, 'x', sizeof(bytes));
	assert_int_equal(fwrite(bytes, 1, sizeof(bytes), file), sizeof(bytes));
	fclose(file);
	assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
	assert_int_equal(utimensat(AT_FDCWD, directory, times, 0), 0);
	free(path);
	free(directory);
}

static bool oldest_are_gone(struct bench *bench)
{
	retention_tick(bench->worker);
	return !is_there(bench, "old") && !is_there(bench, "older");
}

static void test_oldest_go_when_all_take_too_much(void **state)
{
	static const struct { const char *token, *job; int ago_s; } left[] = {
		{ "old", "first", 300 }, { "young", "first", 100 }, { "unfinished", "second", 500 }, { "older", "first", 400 },
		{ "younger", "first", 50 },
	};
	struct bench *bench = *state;
	char id[PROCESS_ID_BYTES];
	struct error err;

	memcpy(place + strlen(place) - 6, "XXXXXX", 6);
	assert_non_null(mkdtemp(place));
	bench->worker->conf->supervisor.state_dir = xstrdup(place);
	bench->worker->conf->api = xnew(struct conf_api);
	bench->worker->conf->api->log_retention_ms = (int64_t)3600 * 1000;
	bench->worker->conf->api->log_size_bytes = 200 << 10;
	assert_true(process_state_open(place, id, &err));
	run_one(bench, "first", true);
	run_one(bench, "second", false);
	for (size_t i = 0; i < ARRAY_SIZE(left); i++) {
		leave_directory(bench, left[i].token, left[i].job);
		write_log(bench, left[i].token, (time_t)(clock_wall_ms() / 1000) - left[i].ago_s);
	}
	bench_run_until(bench, "the oldest are removed", oldest_are_gone);
	run_a_pass(bench);
	assert_true(is_there(bench, "unfinished") && is_there(bench, "young") && is_there(bench, "younger"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_job_is_forgotten_after_its_history_and_not_before, setup, teardown),
		cmocka_unit_test_setup_teardown(test_job_is_kept_for_ever_when_told_so, setup, teardown),
		cmocka_unit_test_setup_teardown(test_directory_goes_when_it_is_old_and_its_job_has_ended, setup, teardown),
		cmocka_unit_test_setup_teardown(test_oldest_go_when_all_take_too_much, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
