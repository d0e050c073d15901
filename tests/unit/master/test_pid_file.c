/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../cmocka_all.h"
#include "base/descriptor.h"
#include "master/pid_file.h"

static char directory[64], path[96];

static int set_up(void **state)
{
	(void)state;
	snprintf(directory, sizeof(directory), "/tmp/test_pid_file.XXXXXX");
	if (mkdtemp(directory) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/gantryd.pid", directory);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(directory);
}

static void assert_content(const char *want)
{
	char *text = descriptor_read_file(path, 100, NULL, NULL);

	assert_non_null(text);
	assert_string_equal(text, want);
	free(text);
}

static void test_taken_and_given_up(void **state)
{
	struct pid_file file;
	struct stat st;

	(void)state;
	assert_true(pid_file_take(&file, path, 4711, NULL));
	assert_content("4711\n");
	assert_true((fcntl(file.fd, F_GETFD) & FD_CLOEXEC) != 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0644);
	pid_file_release(&file);
	assert_content("");
	pid_file_release(&file);
}

static void test_a_longer_old_number_leaves_nothing(void **state)
{
	struct pid_file file;
	FILE *old = fopen(path, "w");

	(void)state;
	fputs("1234567890\n", old);
	fclose(old);
	assert_true(pid_file_take(&file, path, 42, NULL));
	assert_content("42\n");
	pid_file_release(&file);
}

static void test_second_taker_is_told_who_has_it(void **state)
{
	struct pid_file first, second;
	struct error err;

	(void)state;
	assert_true(pid_file_take(&first, path, 4711, NULL));
	assert_false(pid_file_take(&second, path, 4712, &err));
	assert_non_null(strstr(err.text, "locked by process 4711"));
	assert_null(second.path);
	assert_content("4711\n");
	pid_file_release(&second);
	assert_content("4711\n");
	pid_file_release(&first);
	assert_true(pid_file_take(&second, path, 4712, NULL));
	pid_file_release(&second);
}

/* Whoever has opened it just to look, and closes it, must not take the lock away. */
static void test_reader_does_not_break_the_lock(void **state)
{
	struct pid_file file, other;

	(void)state;
	assert_true(pid_file_take(&file, path, 1, NULL));
	assert_content("1\n");
	assert_false(pid_file_take(&other, path, 2, NULL));
	pid_file_release(&file);
}

static void test_removed_file_is_made_again(void **state)
{
	struct pid_file lost, file;

	(void)state;
	assert_true(pid_file_take(&lost, path, 1, NULL));
	unlink(path);
	assert_true(pid_file_take(&file, path, 2, NULL));
	assert_content("2\n");
	/* The one that lost its file does not touch the other's. */
	pid_file_release(&lost);
	assert_content("2\n");
	pid_file_release(&file);
}

static void test_symbolic_link_is_not_followed(void **state)
{
	struct pid_file file;
	struct error err;

	(void)state;
	assert_int_equal(symlink("/dev/null", path), 0);
	assert_false(pid_file_take(&file, path, 1, &err));
	assert_int_equal(err.kind, ERROR_REFUSED);
}

static void test_lock_comes_through_an_exec(void **state)
{
	struct pid_file before, after, other;

	(void)state;
	assert_true(pid_file_take(&before, path, 1, NULL));
	pid_file_inherit(&after, path, before.fd);
	free(before.path);
	assert_false(pid_file_take(&other, path, 2, NULL));
	pid_file_release(&after);
	assert_content("");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_taken_and_given_up, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_longer_old_number_leaves_nothing, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_second_taker_is_told_who_has_it, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_reader_does_not_break_the_lock, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_removed_file_is_made_again, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_symbolic_link_is_not_followed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_lock_comes_through_an_exec, set_up, tear_down),
	};

	return cmocka_run_group_tests_name("pid_file", tests, NULL, NULL);
}
