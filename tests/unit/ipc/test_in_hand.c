/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../cmocka_all.h"
#include "ipc/in_hand.h"

struct page {
	int fd;
	struct in_hand *ours;           /* the master's view */
};

static void set_up(struct page *page)
{
	struct error err;

	page->fd = in_hand_create(&err);
	assert_true(page->fd >= 0);
	page->ours = in_hand_map(page->fd, &err);
	assert_non_null(page->ours);
}

static void tear_down(struct page *page)
{
	in_hand_unmap(page->ours);
	close(page->fd);
}

/* What a worker that ends by SIGKILL in the midst of do_this() leaves behind. */
static bool left_behind(void (*do_this)(struct in_hand *theirs), char key[IN_HAND_KEY_BYTES])
{
	struct page page;
	bool found;
	pid_t pid;
	int status;

	set_up(&page);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct in_hand *theirs = in_hand_map(page.fd, NULL);

		if (theirs == NULL)
			_exit(1);
		do_this(theirs);
		raise(SIGKILL);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	found = in_hand_read(page.ours, key);
	tear_down(&page);
	return found;
}

static char long_key[2 * IN_HAND_KEY_BYTES];

static void do_nothing(struct in_hand *theirs)
{
	(void)theirs;
}

static void take(struct in_hand *theirs)
{
	in_hand_take(theirs, "deploys/0123");
}

static void take_and_drop(struct in_hand *theirs)
{
	in_hand_take(theirs, "deploys/0123");
	in_hand_drop(theirs);
}

static void take_another(struct in_hand *theirs)
{
	in_hand_take(theirs, "a job with a long name");
	in_hand_drop(theirs);
	in_hand_take(theirs, "job-2");
}

static void take_long(struct in_hand *theirs)
{
	in_hand_take(theirs, long_key);
}

static void take_empty(struct in_hand *theirs)
{
	in_hand_take(theirs, "");
}

static void go_mad(struct in_hand *theirs)
{
	memset(theirs, 'x', sizeof(*theirs));
}

static const struct {
	const char *name;
	void (*given)(struct in_hand *);
	const char *want;
	size_t want_bytes;
} deaths[] = {
	{ "before it had anything", do_nothing, NULL, 0 },
	{ "with a message", take, "deploys/0123", 12 },
	{ "between two", take_and_drop, NULL, 0 },
	{ "with the second", take_another, "job-2", 5 },
	{ "with a key that is too long", take_long, "kkkk", IN_HAND_KEY_BYTES - 1 },
	{ "with a key that says nothing", take_empty, NULL, 0 },
	{ "after it wrote all over its page", go_mad, "xxxx", IN_HAND_KEY_BYTES - 1 },
};

static void test_what_a_dead_worker_had_in_hand(void **state)
{
	(void)state;
	memset(long_key, 'k', sizeof(long_key) - 1);
	for (size_t i = 0; i < ARRAY_SIZE(deaths); i++) {
		char key[IN_HAND_KEY_BYTES] = "";

		if (left_behind(deaths[i].given, key) != (deaths[i].want != NULL))
			fail_msg("%s", deaths[i].name);
		if (deaths[i].want == NULL)
			continue;
		assert_memory_equal(key, deaths[i].want, strlen(deaths[i].want));
		assert_int_equal(strlen(key), deaths[i].want_bytes);
	}
}

static void test_nobody_can_take_the_memory_away(void **state)
{
	struct page page;
	char key[IN_HAND_KEY_BYTES];

	(void)state;
	set_up(&page);
	assert_int_equal(ftruncate(page.fd, 0), -1);
	assert_int_equal(errno, EPERM);
	assert_true((fcntl(page.fd, F_GETFD) & FD_CLOEXEC) != 0);
	assert_false(in_hand_read(page.ours, key));
	tear_down(&page);
}

static void test_none_is_allowed(void **state)
{
	char key[IN_HAND_KEY_BYTES];

	(void)state;
	in_hand_take(NULL, "x");
	in_hand_drop(NULL);
	in_hand_unmap(NULL);
	assert_false(in_hand_read(NULL, key));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_a_dead_worker_had_in_hand),
		cmocka_unit_test(test_nobody_can_take_the_memory_away),
		cmocka_unit_test(test_none_is_allowed),
	};

	return cmocka_run_group_tests_name("in_hand", tests, NULL, NULL);
}
