/* SPDX-License-Identifier: Apache-2.0 */
/* On a slow disk, beside writers that never pause, whoever has waited long gets a turn. */
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../cmocka_all.h"
#include "base/mem.h"
#include "sqlite_inside.h"

enum {
	SLOW_DISK_US = 50000,
	GREEDY = 2,             /* writers that never pause */
	TURNS = 9,
	FAIR_COMMITS = 20,      /* of the others during a turn of ours: 2 to 5 when nothing disturbs, many times that unfairly */
};

/* Stands for libc's, here and in SQLite: nothing is waited for without the lock, so that it is asked for again at once. */
int fdatasync(int fd)
{
	(void)fd;
	return 0;
}

/* Called before a commit is written, under the lock: as if that took long. */
static int commit_slowly(void *arg)
{
	(void)arg;
	usleep(SLOW_DISK_US);
	return 0;
}

static void commit_once(struct store_fixture *fixture, struct store *store, const char *owner, unsigned number)
{
	char id[32];
	struct job *job;

	snprintf(id, sizeof(id), "%s-%u", owner, number);
	job = make_job(id, LOCK_PARALLEL);
	want_admit(fixture, store, job);
	job_destroy(job);
}

static void commit_for_ever(struct store_fixture *fixture, const char *owner, atomic_uint *commits)
{
	struct store *store = fixture_open(fixture, owner);

	sqlite3_commit_hook(inside(store)->db, commit_slowly, NULL);
	for (unsigned i = 0;; i++) {
		commit_once(fixture, store, owner, i);
		atomic_fetch_add(commits, 1);
	}
}

static int by_size(const void *a, const void *b)
{
	unsigned one = *(const unsigned *)a, other = *(const unsigned *)b;

	return one < other ? -1 : one > other;
}

static void greedy_writers_let_another_in(void **state)
{
	struct store_fixture *fixture = *state;
	static const char *const owners[GREEDY] = { "one", "two" };
	atomic_uint *commits = mmap(NULL, sizeof(*commits), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	unsigned others[TURNS];
	pid_t children[GREEDY];
	struct store *store;

	assert_true(commits != MAP_FAILED);
	for (size_t i = 0; i < GREEDY; i++) {
		children[i] = fixture_fork(fixture);
		if (children[i] == 0)
			commit_for_ever(fixture, owners[i], commits);
	}
	store = fixture_open(fixture, "third");
	for (unsigned i = 0; i < TURNS; i++) {
		unsigned begin = atomic_load(commits) + 2 * GREEDY, before;

		/* Both are at it. */
		while ((before = atomic_load(commits)) < begin)
			usleep(1000);
		commit_once(fixture, store, "third", i);
		others[i] = atomic_load(commits) - before;
	}
	for (size_t i = 0; i < GREEDY; i++) {
		kill(children[i], SIGKILL);
		waitpid(children[i], NULL, 0);
	}
	store_close(store);
	munmap(commits, sizeof(*commits));
	/* The median: this process, too, may be kept from running for a while. */
	qsort(others, TURNS, sizeof(*others), by_size);
	print_message("commits of the others during a turn: %u to %u, half the time %u or fewer\n", others[0],
		others[TURNS - 1], others[TURNS / 2]);
	assert_in_range(others[TURNS / 2], 0, FAIR_COMMITS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_PLACE(greedy_writers_let_another_in),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
