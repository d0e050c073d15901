/* SPDX-License-Identifier: Apache-2.0 */
/* test_process_dir.c - what a directory says, however far its shim came. */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../cmocka_all.h"
#include "base/clock.h"
#include "base/descriptor.h"
#include "base/mem.h"
#include "exec/process_dir.h"

static char place[64];
static char id[PROCESS_ID_BYTES];

static int set_up(void **state)
{
	struct error err;

	(void)state;
	snprintf(place, sizeof(place), "/tmp/gantry-test-XXXXXX");
	return mkdtemp(place) != NULL && process_state_open(place, id, &err) ? 0 : -1;
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

static int tear_down(void **state)
{
	(void)state;
	return nftw(place, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static char *make(const char *token)
{
	char *directory = process_dir_path(place, token);

	assert_int_equal(mkdir(directory, 0700), 0);
	return directory;
}

static void put(const char *directory, const char *name, const char *text)
{
	char *path = xasprintf("%s/%s", directory, name);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0 && descriptor_write_all(fd, text, strlen(text)));
	close(fd);
	free(path);
}

/* Locked as a shim does it. */
static int hold(const char *directory)
{
	struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	char *path = xasprintf("%s/" PROCESS_LOCK, directory);
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	assert_int_equal(fcntl(fd, F_OFD_SETLK, &whole), 0);
	free(path);
	return fd;
}

static const char started[] = "version 1\njob j 1\nboot b\nshim 12\nsince 345\nsession 12\ntime 99\nend\n";
static const char exited[] = "version 1\nboot b\nhow exited\ncode 3\nsignal 0\nstep 2\nstopped 1\nstopped_by 8\nkilled 1\n"
	"started_ms 99\nended_ms 199\nuser_us 5\nsystem_us 6\nmax_rss_kb 7\ntext a b c\nend\n";

static void test_state_by_what_is_there(void **state)
{
	static const struct {
		const char *name;
		bool held;
		const char *started, *exit, *exit_new, *lost, *given_up;
		enum process_state want;
	} cases[] = {
		{ "nothing", false, NULL, NULL, NULL, NULL, NULL, PROCESS_NONE },
		{ "a shim at it", true, NULL, NULL, NULL, NULL, NULL, PROCESS_STARTING },
		{ "half a record", true, "version 1\njob j", NULL, NULL, NULL, NULL, PROCESS_STARTING },
		{ "running", true, started, NULL, "    ", NULL, NULL, PROCESS_RUNNING },
		{ "ended", false, started, exited, NULL, NULL, NULL, PROCESS_ENDED },
		{ "ended, shim still there", true, started, exited, NULL, NULL, NULL, PROCESS_ENDED },
		{ "killed", false, started, NULL, "    ", NULL, NULL, PROCESS_DEAD },
		{ "killed in its last word", false, started, NULL, "version 1\nhow exited\ncode", NULL, NULL, PROCESS_DEAD },
		{ "killed after its last word", false, started, NULL, exited, NULL, NULL, PROCESS_ENDED },
		{ "full disk", false, started, NULL, "   ", "exited code 3 signal 0 stopped 0 errno 28", NULL, PROCESS_ENDED },
		{ "given up", false, NULL, NULL, NULL, NULL, "", PROCESS_GIVEN_UP },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char *token = xasprintf("t%zu", i);
		char *directory = make(token);
		char *lost = xasprintf("%s/" PROCESS_EXIT_LOST, directory);
		int fd = cases[i].held ? hold(directory) : -1;
		struct process_status status;
		struct error err;

		if (cases[i].started != NULL)
			put(directory, PROCESS_STARTED, cases[i].started);
		if (cases[i].exit != NULL)
			put(directory, PROCESS_EXIT, cases[i].exit);
		if (cases[i].exit_new != NULL)
			put(directory, PROCESS_EXIT_NEW, cases[i].exit_new);
		if (cases[i].given_up != NULL)
			put(directory, PROCESS_VOID, cases[i].given_up);
		if (cases[i].lost != NULL)
			assert_int_equal(symlink(cases[i].lost, lost), 0);
		assert_true(process_dir_read(directory, &status, &err));
		if (status.state != cases[i].want)
			fail_msg("%s: %d, not %d", cases[i].name, status.state, cases[i].want);
		if (status.state == PROCESS_ENDED)
			assert_int_equal(status.code, 3);
		assert_int_equal(status.lost_errno, cases[i].lost != NULL ? ENOSPC : 0);
		descriptor_close(&fd);
		free(lost);
		free(directory);
		free(token);
	}
}

static void test_records_are_read_whole(void **state)
{
	char *directory = make("t");
	struct process_status status;
	struct error err;

	(void)state;
	put(directory, PROCESS_STARTED, started);
	put(directory, PROCESS_EXIT, exited);
	assert_true(process_dir_read(directory, &status, &err));
	assert_string_equal(status.job, "j 1");
	assert_int_equal(status.shim, 12);
	assert_int_equal(status.since, 345);
	assert_int_equal(status.session, 12);
	assert_int_equal(status.started_ms, 99);
	assert_int_equal(status.ended_ms, 199);
	assert_int_equal(status.step, 2);
	assert_int_equal(status.stopped_by, 8);
	assert_true(status.stopped && status.killed);
	assert_string_equal(status.text, "a b c");
	assert_int_equal(status.user_us + status.system_us + status.max_rss_kb, 18);
	free(directory);
}

static void test_giving_up_is_only_for_what_nobody_is_at(void **state)
{
	char *fresh = process_dir_path(place, "fresh"), *held = make("held"), *ran = make("ran");
	struct process_status status;
	struct error err;
	int fd = hold(held);

	(void)state;
	put(ran, PROCESS_STARTED, started);
	assert_true(process_dir_give_up(fresh, &err));
	assert_true(process_dir_give_up(fresh, &err));
	assert_true(process_dir_read(fresh, &status, &err));
	assert_int_equal(status.state, PROCESS_GIVEN_UP);
	assert_false(process_dir_give_up(held, &err));
	assert_false(process_dir_give_up(ran, &err));
	close(fd);
	assert_true(process_dir_give_up(held, &err));
	free(fresh);
	free(held);
	free(ran);
}

static void test_handle_names_a_directory_of_this_state_alone(void **state)
{
	char *directory = make("t");
	char *handle = process_handle_make(directory, id);
	char *other = process_handle_make(directory, "0123456789abcdef0123456789abcdef");
	char *found = process_handle_directory(handle);
	char again[PROCESS_ID_BYTES];
	struct error err;

	(void)state;
	assert_string_equal(found, directory);
	assert_null(process_handle_directory(other));
	assert_null(process_handle_directory("arn:aws:ecs:us-east-1:1:task/prod/1"));
	assert_null(process_handle_directory("/nowhere/jobs/t#0"));
	assert_null(process_handle_directory(NULL));
	assert_true(process_state_open(place, again, &err));
	assert_string_equal(again, id);
	free(found);
	free(other);
	free(handle);
	free(directory);
}

static void test_first_reason_of_a_stop_stays(void **state)
{
	char *directory = make("t");
	char *reason;

	(void)state;
	assert_null(process_dir_read_stop(directory));
	process_dir_write_stop(directory, "first");
	process_dir_write_stop(directory, "second");
	reason = process_dir_read_stop(directory);
	assert_string_equal(reason, "first");
	free(reason);
	free(directory);
}

static void test_what_a_deployment_put_in_place_of_a_file_is_not_opened(void **state)
{
	char *directory = make("t");
	char *path = xasprintf("%s/" PROCESS_RESULT, directory);
	int fd;

	(void)state;
	assert_int_equal(symlink("/etc/passwd", path), 0);
	assert_int_equal(process_dir_open(directory, PROCESS_RESULT), -1);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(process_dir_open(directory, PROCESS_RESULT), -1);
	assert_int_equal(unlink(path), 0);
	put(directory, PROCESS_RESULT, "x");
	fd = process_dir_open(directory, PROCESS_RESULT);
	assert_true(fd >= 0);
	close(fd);
	free(path);
	free(directory);
}

static void remove_some(void *arg, const char *job, const char *directory)
{
	(*(unsigned *)arg)++;
	if (strcmp(job, "wanted") != 0)
		assert_true(process_dir_remove(directory));
}

static void put_job(const char *token, const char *job, bool end)
{
	char *directory = make(token);
	char *record = xasprintf("version 1\njob %s\nend\n", job);

	put(directory, PROCESS_STARTED, record);
	if (end)
		put(directory, PROCESS_EXIT, exited);
	free(record);
	free(directory);
}

static bool there(const char *token)
{
	char *directory = process_dir_path(place, token);
	bool found = access(directory, F_OK) == 0;

	free(directory);
	return found;
}

static void test_sweep_takes_what_is_old_and_of_no_interest(void **state)
{
	char *running;
	struct process_sweep *sweep;
	struct error err;
	unsigned asked = 0;
	int fd;

	(void)state;
	put_job("wanted", "wanted", true);
	put_job("ended", "x", true);
	put_job("dead", "x", false);
	put_job("running", "x", false);
	free(make("empty"));
	running = process_dir_path(place, "running");
	fd = hold(running);
	sweep = process_sweep_create(place, clock_wall_ms() - 60000, remove_some, &asked, &err);
	while (process_sweep_step(sweep, 2))
		;
	process_sweep_destroy(sweep);
	assert_int_equal(asked, 0);
	sweep = process_sweep_create(place, clock_wall_ms() + 60000, remove_some, &asked, &err);
	while (process_sweep_step(sweep, 2))
		;
	process_sweep_destroy(sweep);
	assert_int_equal(asked, 4);
	assert_true(there("wanted") && there("running"));
	assert_false(there("ended") || there("dead") || there("empty"));
	close(fd);
	free(running);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_state_by_what_is_there, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_records_are_read_whole, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_giving_up_is_only_for_what_nobody_is_at, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_handle_names_a_directory_of_this_state_alone, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_first_reason_of_a_stop_stays, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_what_a_deployment_put_in_place_of_a_file_is_not_opened, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_sweep_takes_what_is_old_and_of_no_interest, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
