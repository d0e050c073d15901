/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../cmocka_all.h"
#include "ipc/report.h"
#include "master/spawn.h"

enum { CHANNEL = 4, BYSTANDERS = 12 };

static char *const argv[] = { "true", NULL };
static char *const environment[] = { NULL };

static int exit_status(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

/* What lies on the numbers that the child's descriptors would get: files that must stay empty. */
static void open_bystanders(int fds[BYSTANDERS])
{
	for (int i = 0; i < BYSTANDERS; i++) {
		fds[i] = memfd_create("bystander", MFD_CLOEXEC);
		assert_true(fds[i] >= 0);
	}
}

static void close_bystanders(int fds[BYSTANDERS])
{
	for (int i = 0; i < BYSTANDERS; i++) {
		assert_int_equal(lseek(fds[i], 0, SEEK_END), 0);
		close(fds[i]);
	}
}

/* As many descriptors as are open may be open, so that the child cannot move any out of the way. */
static void allow_no_more(int highest, struct rlimit *before)
{
	struct rlimit now;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, before), 0);
	now = *before;
	now.rlim_cur = (rlim_t)highest + 1;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &now), 0);
}

static void test_failure_before_the_descriptors_are_in_place_is_told_to_the_right_one(void **state)
{
	int fds[BYSTANDERS], ends[2], program, null_fd;
	struct rlimit before;
	struct report report;
	struct error err;
	pid_t pid;

	(void)state;
	open_bystanders(fds);
	program = spawn_pin("/bin/true", &err);
	null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	allow_no_more(ends[1] > ends[0] ? ends[1] : ends[0], &before);
	pid = spawn(&(struct spawn){
		.program_fd = program, .argv = argv, .environment = environment, .report_fd = CHANNEL,
		.fds = { null_fd, null_fd, null_fd, null_fd, ends[1] }, .fd_count = CHANNEL + 1,
	}, &err);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_true(pid > 0);
	assert_int_equal(exit_status(pid), SPAWN_FAILED_STATUS);
	assert_int_equal(report_receive(ends[0], &report, NULL), REPORT_READ_ONE);
	assert_int_equal(report.kind, REPORT_REFUSED);
	assert_string_equal(report.text, "true: descriptors: Too many open files");
	close_bystanders(fds);
	close(ends[0]);
	close(ends[1]);
	close(program);
	close(null_fd);
}

static void test_program_that_cannot_be_executed_is_told_of(void **state)
{
	int ends[2], null_fd = open("/dev/null", O_RDWR | O_CLOEXEC), program = open("/dev/null", O_PATH | O_CLOEXEC);
	struct report report;
	struct error err;
	pid_t pid;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	pid = spawn(&(struct spawn){
		.program_fd = program, .argv = argv, .environment = environment, .report_fd = CHANNEL,
		.fds = { null_fd, null_fd, null_fd, null_fd, ends[1] }, .fd_count = CHANNEL + 1,
	}, &err);
	assert_true(pid > 0);
	assert_int_equal(exit_status(pid), SPAWN_FAILED_STATUS);
	assert_int_equal(report_receive(ends[0], &report, NULL), REPORT_READ_ONE);
	assert_string_equal(report.text, "true: cannot be executed: Permission denied");
	close(ends[0]);
	close(ends[1]);
	close(program);
	close(null_fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_failure_before_the_descriptors_are_in_place_is_told_to_the_right_one),
		cmocka_unit_test(test_program_that_cannot_be_executed_is_told_of),
	};

	return cmocka_run_group_tests_name("spawn", tests, NULL, NULL);
}
