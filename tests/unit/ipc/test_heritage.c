/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../cmocka_all.h"
#include "base/descriptor.h"
#include "ipc/heritage.h"

/* In a child, as descriptor HERITAGE_FD may be anything here.  True when check() was. */
static bool in_child(int fd, bool (*check)(void))
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0)
		_exit(dup2(fd, HERITAGE_FD) == HERITAGE_FD && check() ? 0 : 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static bool reads_it(void)
{
	struct heritage heritage;

	return heritage_read(&heritage, NULL) && heritage.generation == 7 && heritage.config_hash == 0x1234567890abcdef &&
		strcmp(heritage.owner, "host/boot/1/2/3") == 0 && fcntl(HERITAGE_FD, F_GETFD) < 0 &&
		(fcntl(heritage.channel_fd, F_GETFD) & FD_CLOEXEC) != 0;
}

static bool refuses_it(void)
{
	struct heritage heritage;
	struct error err = { .kind = ERROR_NONE };

	return !heritage_read(&heritage, &err) && err.kind == ERROR_INVALID;
}

static struct heritage sample(int channel_fd)
{
	struct heritage heritage = {
		.role = ROLE_WORKER, .generation = 7, .channel_fd = channel_fd, .config_fd = -1, .log_fd = -1,
		.in_hand_fd = -1, .figures_fd = -1, .shim_fd = -1, .config_hash = 0x1234567890abcdef, .owner = "host/boot/1/2/3",
	};

	return heritage;
}

static void test_child_reads_what_was_written(void **state)
{
	int null_fd = open("/dev/null", O_RDWR);
	int channel = fcntl(null_fd, F_DUPFD, HERITAGE_FD + 5);
	struct heritage heritage = sample(channel);
	int fd = heritage_write(&heritage, NULL);

	(void)state;
	assert_true(fd >= 0);
	assert_true((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
	assert_true(in_child(fd, reads_it));
	assert_true(pwrite(fd, "x", 1, 0) < 0);
	close(fd);
	close(channel);
	close(null_fd);
}

static void test_damage_is_refused(void **state)
{
	struct heritage heritage = sample(0);
	struct { const char *name; size_t size; uint32_t magic, version, role; } cases[] = {
		{ "cut", sizeof(heritage) - 1, HERITAGE_MAGIC, HERITAGE_VERSION, ROLE_WORKER },
		{ "empty", 0, HERITAGE_MAGIC, HERITAGE_VERSION, ROLE_WORKER },
		{ "another magic", sizeof(heritage), HERITAGE_MAGIC + 1, HERITAGE_VERSION, ROLE_WORKER },
		{ "another version", sizeof(heritage), HERITAGE_MAGIC, HERITAGE_VERSION + 1, ROLE_WORKER },
		{ "an unknown role", sizeof(heritage), HERITAGE_MAGIC, HERITAGE_VERSION, ROLES },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int fd;

		heritage.magic = cases[i].magic;
		heritage.version = cases[i].version;
		heritage.role = cases[i].role;
		heritage.size = sizeof(heritage);
		fd = descriptor_sealed_memory("heritage", &heritage, cases[i].size, NULL);
		assert_true(fd >= 0);
		if (!in_child(fd, refuses_it))
			fail_msg("%s was taken", cases[i].name);
		close(fd);
	}
}

static void test_missing_descriptor_is_refused(void **state)
{
	struct heritage heritage = sample(1000);
	int fd = heritage_write(&heritage, NULL);

	(void)state;
	assert_true(in_child(fd, refuses_it));
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_child_reads_what_was_written),
		cmocka_unit_test(test_damage_is_refused),
		cmocka_unit_test(test_missing_descriptor_is_refused),
	};

	return cmocka_run_group_tests_name("heritage", tests, NULL, NULL);
}
