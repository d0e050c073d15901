/* SPDX-License-Identifier: Apache-2.0 */
/* This program is also the nursery that it tests, and each worker that comes from it. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <float.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../cmocka_all.h"
#include "base/descriptor.h"
#include "base/list.h"
#include "master/nurse.h"

enum { WORKER_CHANNEL_FD = 3, WORKER_FILE_FD = 4, WORKER_FDS, WORKER_STATUS = 7 };
static const char content[] = "what the worker is to find in its descriptor 4";

/* What a worker says of itself. */
struct told {
	pid_t pid, parent, group;
	int mutex_owner;
	bool blocked, caught, shared;
	int arguments;                  /* of main() that are not NULL */
	size_t cmdline_bytes;
	char cmdline[64], name[16], open_fds[64], file[sizeof(content)];
};

/* -- the other side --------------------------------------------------------------------------- */

static void list_open_fds(char *text, size_t size)
{
	for (int fd = 0; fd < 128; fd++) {
		if (fcntl(fd, F_GETFD) >= 0)
			snprintf(text + strlen(text), size - strlen(text), " %d", fd);
	}
}

static bool any_signal_is_blocked(void)
{
	sigset_t mask;

	sigprocmask(SIG_SETMASK, NULL, &mask);
	for (int signo = 1; signo < NSIG; signo++) {
		if (sigismember(&mask, signo) == 1)
			return true;
	}
	return false;
}

/* The C library writes down here which thread it believes this to be. */
static int owner_of_a_mutex(void)
{
	pthread_mutex_t mutex = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
	int owner;

	pthread_mutex_lock(&mutex);
	owner = mutex.__data.__owner;
	pthread_mutex_unlock(&mutex);
	return owner;
}

static void work(char **argv)
{
	struct told told = { .pid = getpid(), .parent = getppid(), .group = getpgrp() };
	char byte;
	FILE *cmdline;

	list_open_fds(told.open_fds, sizeof(told.open_fds));
	told.mutex_owner = owner_of_a_mutex();
	told.blocked = any_signal_is_blocked();
	told.caught = signal(SIGHUP, SIG_DFL) != SIG_DFL;
	while (argv[told.arguments] != NULL)
		told.arguments++;
	prctl(PR_GET_NAME, told.name);
	cmdline = fopen("/proc/self/cmdline", "r");
	told.cmdline_bytes = cmdline != NULL ? fread(told.cmdline, 1, sizeof(told.cmdline), cmdline) : 0;
	if (pread(WORKER_FILE_FD, told.file, sizeof(told.file), 0) < 0)
		_exit(1);
	send(WORKER_CHANNEL_FD, &told, sizeof(told), MSG_NOSIGNAL);
	/* Until it is told to leave. */
	recv(WORKER_CHANNEL_FD, &byte, 1, 0);
	_exit(WORKER_STATUS);
}

static void pause_for_ever(void)
{
	for (;;)
		pause();
}

static void say_ready(void)
{
	struct nursery_word word = { .error = 0 };

	send(NURSERY_CHANNEL_FD, &word, sizeof(word), MSG_NOSIGNAL);
}

/* Makes a worker, and is killed before it can say so. */
static void be_killed_half_way(void)
{
	struct nursery_place *place =
		mmap(NULL, sizeof(*place), PROT_READ | PROT_WRITE, MAP_SHARED, NURSERY_PLACE_FD, 0);
	char byte;

	say_ready();
	recv(NURSERY_CHANNEL_FD, &byte, 1, 0);
	if (syscall(SYS_clone, CLONE_PARENT | CLONE_PARENT_SETTID | SIGCHLD, NULL, &place->pid, NULL, NULL) == 0) {
		/* It shall not keep the channel open, nor us waiting where nobody has heard of it. */
		syscall(SYS_close_range, 0U, ~0U, 0);
		alarm(60);
		pause_for_ever();
	}
	raise(SIGKILL);
}

/* What the kernel notes is then seen by us alone. */
static void hide_place(void)
{
	int place_fd = memfd_create("hidden", MFD_CLOEXEC);

	if (ftruncate(place_fd, sizeof(struct nursery_place)) != 0 || dup2(place_fd, NURSERY_PLACE_FD) < 0)
		_exit(1);
	close(place_fd);
}

static void be_nursery(char **argv)
{
	const char *fault = getenv("NURSE_FAULT");

	if (fault == NULL || strcmp(fault, "unsaid") == 0) {
		if (fault != NULL)
			hide_place();
		nursery_run(argv);
		work(argv);
	} else if (strcmp(fault, "half") == 0) {
		be_killed_half_way();
	} else if (strcmp(fault, "mute") == 0) {
		pause_for_ever();
	} else if (strcmp(fault, "unable") == 0) {
		struct nursery_word word = { .error = ENOSYS };

		send(NURSERY_CHANNEL_FD, &word, sizeof(word), MSG_NOSIGNAL);
	} else if (strcmp(fault, "refuses") == 0) {
		struct nursery_word word = { .error = EAGAIN };
		char byte;

		say_ready();
		recv(NURSERY_CHANNEL_FD, &byte, 1, 0);
		send(NURSERY_CHANNEL_FD, &word, sizeof(word), MSG_NOSIGNAL);
		pause_for_ever();
	}
	_exit(0);
}

/* -- this side -------------------------------------------------------------------------------- */

struct fixture {
	struct ev_loop *loop;
	struct nurse nurse;
	struct edition edition;
	struct identity nobody;
	unsigned settled;
	pid_t made[8];                  /* those that were not reaped yet */
	size_t made_count;
	int null_fd, file_fd;
};

static void on_done(struct nurse *nurse)
{
	struct fixture *fixture = container_of(nurse, struct fixture, nurse);

	fixture->settled++;
	ev_break(fixture->loop, EVBREAK_ALL);
}

static void start(struct fixture *fixture, const char *program, const char *fault)
{
	struct error err;

	if (fault != NULL)
		setenv("NURSE_FAULT", fault, 1);
	else
		unsetenv("NURSE_FAULT");
	fixture->edition.environment = environ;
	fixture->edition.worker_fd = spawn_pin(program, &err);
	assert_true(fixture->edition.worker_fd >= 0);
	assert_true(nurse_start(&fixture->nurse, &fixture->edition, &fixture->nobody, on_done));
	ev_run(fixture->loop, 0);
	assert_int_equal(fixture->settled, 1);
	close(fixture->edition.worker_fd);
}

static int set_up(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	fixture->loop = ev_loop_new(EVFLAG_AUTO);
	fixture->edition.log.fd = -1;
	fixture->null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	fixture->file_fd = descriptor_sealed_memory("file", content, sizeof(content), NULL);
	nurse_init(&fixture->nurse, fixture->loop, NULL);
	/* The machine may be slow; those that wait for the end of the time set it. */
	fixture->nurse.ready_ms = fixture->nurse.answer_ms = 60000;
	*state = fixture;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;

	nurse_end(&fixture->nurse);
	ev_loop_destroy(fixture->loop);
	close(fixture->null_fd);
	close(fixture->file_fd);
	for (size_t i = 0; i < fixture->made_count; i++)
		kill(fixture->made[i], SIGKILL);
	free(fixture);
	/* Workers and nurseries: none is left. */
	while (waitpid(-1, NULL, 0) > 0)
		;
	return 0;
}

/* Its pid, and our end of its channel; what nurse_make() says. */
static bool try_to_make(struct fixture *fixture, int *channel_fd, pid_t *pid, struct error *err)
{
	int ends[2];
	struct spawn how = { .argv = NULL };
	bool ok;

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	for (int i = 0; i <= STDERR_FILENO; i++)
		spawn_hand(&how, fixture->null_fd);
	assert_int_equal(spawn_hand(&how, ends[1]), WORKER_CHANNEL_FD);
	assert_int_equal(spawn_hand(&how, fixture->file_fd), WORKER_FILE_FD);
	ok = nurse_make(&fixture->nurse, &how, pid, err);
	close(ends[1]);
	*channel_fd = ends[0];
	if (*pid > 0)
		fixture->made[fixture->made_count++] = *pid;
	return ok;
}

static pid_t make(struct fixture *fixture, int *channel_fd)
{
	struct error err;
	pid_t pid = -1;

	assert_true(try_to_make(fixture, channel_fd, &pid, &err));
	return pid;
}

static struct told hear_worker(int channel_fd)
{
	struct told told;

	assert_int_equal(recv(channel_fd, &told, sizeof(told), 0), sizeof(told));
	return told;
}

static int status_of(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static int end_of_worker(struct fixture *fixture, pid_t pid)
{
	int status = status_of(pid);

	for (size_t i = 0; i < fixture->made_count; i++) {
		if (fixture->made[i] == pid)
			fixture->made[i] = fixture->made[--fixture->made_count];
	}
	return status;
}

static size_t count_descriptors(pid_t pid)
{
	size_t count = 0;
	char path[32];
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	dir = opendir(path);
	assert_non_null(dir);
	while (readdir(dir) != NULL)
		count++;
	closedir(dir);
	return count;
}

static void assert_killed(pid_t pid)
{
	int status = status_of(pid);

	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGKILL);
}

static void test_worker_is_as_if_it_had_been_executed(void **state)
{
	struct fixture *fixture = *state;
	struct told told;
	int channel_fd, status;
	pid_t pid;

	start(fixture, "/proc/self/exe", NULL);
	pid = make(fixture, &channel_fd);
	assert_true(pid > 0);
	told = hear_worker(channel_fd);
	assert_int_equal(told.pid, pid);
	assert_int_equal(told.parent, getpid());
	assert_int_equal(told.group, pid);
	assert_int_equal(told.mutex_owner, pid);
	assert_false(told.blocked);
	assert_false(told.caught);
	assert_int_equal(told.arguments, 1);
	assert_int_equal(told.cmdline_bytes, sizeof("gantry-worker"));
	assert_string_equal(told.cmdline, "gantry-worker");
	assert_string_not_equal(told.name, "gantry-nursery");
	assert_string_equal(told.open_fds, " 0 1 2 3 4");
	assert_string_equal(told.file, content);
	close(channel_fd);
	status = end_of_worker(fixture, pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), WORKER_STATUS);
}

static void test_workers_outlive_their_nursery(void **state)
{
	struct fixture *fixture = *state;
	int channels[3];
	pid_t pids[3];
	size_t count;

	start(fixture, "/proc/self/exe", NULL);
	count = count_descriptors(fixture->nurse.pid);
	for (size_t i = 0; i < ARRAY_SIZE(pids); i++) {
		pids[i] = make(fixture, &channels[i]);
		assert_true(pids[i] > 0 && (i == 0 || pids[i] != pids[i - 1]));
	}
	assert_int_equal(count_descriptors(fixture->nurse.pid), count);
	nurse_end(&fixture->nurse);
	assert_killed(fixture->nurse.pid);
	assert_true(nurse_exited(&fixture->nurse, fixture->nurse.pid));
	assert_false(nurse_exited(&fixture->nurse, pids[0]));
	for (size_t i = 0; i < ARRAY_SIZE(pids); i++) {
		assert_int_equal(hear_worker(channels[i]).pid, pids[i]);
		close(channels[i]);
		assert_int_equal(WEXITSTATUS(end_of_worker(fixture, pids[i])), WORKER_STATUS);
	}
}

/* Killed, and no zombie either. */
static void assert_gone(pid_t pid)
{
	assert_int_equal(kill(pid, 0), -1);
	assert_int_equal(errno, ESRCH);
}

static void assert_makes_none(struct fixture *fixture)
{
	int channel_fd;

	assert_int_equal(make(fixture, &channel_fd), 0);
	close(channel_fd);
	assert_false(fixture->nurse.ready);
	assert_int_equal(fixture->nurse.process_fd, -1);
	assert_int_equal(fixture->nurse.channel_fd, -1);
}

static void test_without_a_nursery_none_is_made(void **state)
{
	assert_makes_none(*state);
	nurse_end(&((struct fixture *)*state)->nurse);
	assert_false(nurse_exited(&((struct fixture *)*state)->nurse, 0));
}

static void test_killed_nursery_makes_none(void **state)
{
	struct fixture *fixture = *state;

	start(fixture, "/proc/self/exe", NULL);
	kill(fixture->nurse.pid, SIGKILL);
	assert_makes_none(fixture);
	assert_gone(fixture->nurse.pid);
	assert_makes_none(fixture);
}

static void test_frozen_nursery_is_killed(void **state)
{
	struct fixture *fixture = *state;
	int status;

	fixture->nurse.answer_ms = 300;
	start(fixture, "/proc/self/exe", NULL);
	kill(fixture->nurse.pid, SIGSTOP);
	assert_int_equal(waitpid(fixture->nurse.pid, &status, WUNTRACED), fixture->nurse.pid);
	assert_true(WIFSTOPPED(status));
	assert_makes_none(fixture);
	assert_gone(fixture->nurse.pid);
}

static void test_worker_of_a_nursery_that_died_in_between_is_known(void **state)
{
	struct fixture *fixture = *state;
	int channel_fd;
	pid_t pid;

	start(fixture, "/proc/self/exe", "half");
	pid = make(fixture, &channel_fd);
	assert_true(pid > 0 && pid != fixture->nurse.pid);
	assert_gone(fixture->nurse.pid);
	assert_false(fixture->nurse.ready);
	assert_int_equal(kill(pid, SIGTERM), 0);
	assert_int_equal(WTERMSIG(end_of_worker(fixture, pid)), SIGTERM);
	close(channel_fd);
}

static void test_nursery_that_cannot_make_one_is_killed(void **state)
{
	struct fixture *fixture = *state;

	start(fixture, "/proc/self/exe", "refuses");
	assert_makes_none(fixture);
	assert_gone(fixture->nurse.pid);
}

/* It was made all the same, by an answer that leaves its pid out: whoever asked must not start another one, and what
 * was made is to find the end of its channel. */
static void test_worker_that_nobody_can_name_is_an_error_and_left_alone(void **state)
{
	struct fixture *fixture = *state;
	struct error err = { .text = "" };
	struct told told;
	pid_t pid = -1;
	int channel_fd;
	bool ok;

	start(fixture, "/proc/self/exe", "unsaid");
	ok = try_to_make(fixture, &channel_fd, &pid, &err);
	told = hear_worker(channel_fd);
	fixture->made[fixture->made_count++] = told.pid;
	assert_int_equal(told.parent, getpid());
	assert_false(ok);
	assert_int_equal(pid, 0);
	assert_non_null(strstr(err.text, "does not say what it has made"));
	assert_gone(fixture->nurse.pid);
	assert_makes_none(fixture);
	close(channel_fd);
	assert_int_equal(WEXITSTATUS(end_of_worker(fixture, told.pid)), WORKER_STATUS);
}

/* Any time at all is too much then. */
static void spend_all_but_nothing(struct nurse *nurse)
{
	nurse->spent_s = (double)nurse->answer_ms / 1000 * (1 - DBL_EPSILON);
}

static void test_time_is_one_budget_for_all_workers(void **state)
{
	struct fixture *fixture = *state;
	int channels[2];
	pid_t pids[2];

	start(fixture, "/proc/self/exe", NULL);
	pids[0] = make(fixture, &channels[0]);
	assert_true(pids[0] > 0 && fixture->nurse.spent_s > 0 && fixture->nurse.ready);
	spend_all_but_nothing(&fixture->nurse);
	pids[1] = make(fixture, &channels[1]);
	/* The one that took too long is there; the next ones are for others to start. */
	assert_true(pids[1] > 0);
	assert_false(fixture->nurse.ready);
	assert_killed(fixture->nurse.pid);
	assert_makes_none(fixture);
	for (size_t i = 0; i < ARRAY_SIZE(pids); i++) {
		assert_int_equal(hear_worker(channels[i]).pid, pids[i]);
		close(channels[i]);
		assert_int_equal(WEXITSTATUS(end_of_worker(fixture, pids[i])), WORKER_STATUS);
	}
}

static void test_each_nursery_has_a_budget_of_its_own(void **state)
{
	struct fixture *fixture = *state;
	int channel_fd;
	pid_t pid;

	start(fixture, "/proc/self/exe", NULL);
	spend_all_but_nothing(&fixture->nurse);
	pid = fixture->nurse.pid;
	fixture->settled = 0;
	start(fixture, "/proc/self/exe", NULL);
	assert_killed(pid);
	pid = make(fixture, &channel_fd);
	assert_true(pid > 0 && fixture->nurse.ready);
	close(channel_fd);
	assert_int_equal(WEXITSTATUS(end_of_worker(fixture, pid)), WORKER_STATUS);
}

static void test_nursery_that_does_not_get_ready_is_none(void **state)
{
	static const char *const faults[] = { "mute", "unable", "leaves" };
	struct fixture *fixture = *state;

	for (size_t i = 0; i < ARRAY_SIZE(faults); i++) {
		fixture->settled = 0;
		fixture->nurse.ready_ms = strcmp(faults[i], "mute") == 0 ? 300 : 60000;
		start(fixture, "/proc/self/exe", faults[i]);
		assert_makes_none(fixture);
		status_of(fixture->nurse.pid);
	}
}

static void test_program_that_is_no_nursery_is_none(void **state)
{
	struct fixture *fixture = *state;

	start(fixture, "/bin/true", NULL);
	assert_makes_none(fixture);
	status_of(fixture->nurse.pid);
}

static void test_one_that_is_ended_in_time_is_told_of_no_more(void **state)
{
	struct fixture *fixture = *state;
	struct error err;

	setenv("NURSE_FAULT", "mute", 1);
	fixture->edition.environment = environ;
	fixture->edition.worker_fd = spawn_pin("/proc/self/exe", &err);
	assert_true(nurse_start(&fixture->nurse, &fixture->edition, &fixture->nobody, on_done));
	close(fixture->edition.worker_fd);
	nurse_end(&fixture->nurse);
	assert_killed(fixture->nurse.pid);
	/* Nothing is watched any more. */
	assert_false(ev_run(fixture->loop, EVRUN_NOWAIT));
	assert_int_equal(fixture->settled, 0);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_worker_is_as_if_it_had_been_executed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_workers_outlive_their_nursery, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_without_a_nursery_none_is_made, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_killed_nursery_makes_none, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_frozen_nursery_is_killed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_worker_of_a_nursery_that_died_in_between_is_known, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_nursery_that_cannot_make_one_is_killed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_worker_that_nobody_can_name_is_an_error_and_left_alone, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_time_is_one_budget_for_all_workers, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_each_nursery_has_a_budget_of_its_own, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_nursery_that_does_not_get_ready_is_none, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_program_that_is_no_nursery_is_none, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_one_that_is_ended_in_time_is_told_of_no_more, set_up, tear_down),
	};

	if (nursery_is_asked_for(argc, argv))
		be_nursery(argv);
	return cmocka_run_group_tests_name("nurse", tests, NULL, NULL);
}
