/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../cmocka_all.h"
#include "base/mem.h"
#include "ipc/figures.h"

static struct figures *page_of(int fd)
{
	struct error err;
	struct figures *page = figures_map(fd, &err);

	assert_non_null(page);
	return page;
}

static int new_page(void)
{
	struct error err;
	int fd = figures_create(&err);

	assert_true(fd >= 0);
	return fd;
}

static uint64_t value(struct figures *page, enum figures_kind kind, const char *name, unsigned at)
{
	return figures_row(page, kind, name)->values[at];
}

static void what_a_killed_process_counted_is_still_there(void **state)
{
	int fd = new_page(), status;
	struct figures *ours = page_of(fd), *sum = xnew(struct figures);
	pid_t pid = fork();

	(void)state;
	assert_true(pid >= 0);
	if (pid == 0) {
		struct figures *theirs = figures_map(fd, NULL);

		figures_add(figures_row(theirs, FIGURES_QUEUE, "deploys"), FIGURES_RECEIVED, 7);
		figures_count_aws(theirs, "ecs", "RunTask", FIGURES_AWS_OK, false);
		figures_count_aws(theirs, "ecs", "RunTask", FIGURES_AWS_THROTTLED, true);
		raise(SIGKILL);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	figures_merge(sum, ours);
	assert_int_equal(figures_rows(sum), 2);
	assert_int_equal(value(sum, FIGURES_QUEUE, "deploys", FIGURES_RECEIVED), 7);
	assert_int_equal(value(sum, FIGURES_AWS, "ecs/RunTask", FIGURES_AWS_OK), 1);
	assert_int_equal(value(sum, FIGURES_AWS, "ecs/RunTask", FIGURES_AWS_THROTTLED), 1);
	assert_int_equal(value(sum, FIGURES_AWS, "ecs/RunTask", FIGURES_AWS_RETRIES), 1);
	free(sum);
	figures_unmap(ours);
	close(fd);
}

static void pages_add_up_by_kind_and_name(void **state)
{
	int a_fd = new_page(), b_fd = new_page();
	struct figures *a = page_of(a_fd), *b = page_of(b_fd), *sum = xnew(struct figures);

	(void)state;
	figures_add(figures_row(a, FIGURES_QUEUE, "x"), FIGURES_SETTLED, 1);
	figures_add(figures_row(a, FIGURES_QUEUE, "y"), FIGURES_SETTLED, 2);
	/* In another order, and one that only looks alike. */
	figures_add(figures_row(b, FIGURES_QUEUE, "y"), FIGURES_SETTLED, 3);
	figures_add(figures_row(b, FIGURES_SINK, "x"), FIGURES_DEAD, 5);
	figures_add(figures_row(b, FIGURES_QUEUE, "x"), FIGURES_SETTLED, 4);
	figures_merge(sum, a);
	figures_merge(sum, b);
	assert_int_equal(figures_rows(sum), 3);
	assert_int_equal(value(sum, FIGURES_QUEUE, "x", FIGURES_SETTLED), 5);
	assert_int_equal(value(sum, FIGURES_QUEUE, "y", FIGURES_SETTLED), 5);
	assert_int_equal(value(sum, FIGURES_SINK, "x", FIGURES_DEAD), 5);
	free(sum);
	figures_unmap(a);
	figures_unmap(b);
	close(a_fd);
	close(b_fd);
}

static void observations_fall_into_the_bucket_they_reach(void **state)
{
	static const struct { const char *name; double s; size_t want; } cases[] = {
		{ "nothing", 0, 0 },
		{ "a clock that went back", -3, 0 },
		{ "on a bound", 0.005, 0 },
		{ "above it", 0.006, 1 },
		{ "the last bound", 300, 13 },
		{ "above all", 301, 14 },
	};
	struct figures *page = xnew(struct figures);
	size_t count;

	(void)state;
	assert_non_null(figures_bounds(FIGURES_LAUNCH, &count));
	assert_int_equal(count, 14);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct figures_row *row = figures_row(page, FIGURES_LAUNCH, cases[i].name);

		figures_observe(row, cases[i].s);
		if (row->values[cases[i].want] != 1)
			fail_msg("%s: not in bucket %zu", cases[i].name, cases[i].want);
		assert_int_equal(row->values[count + 1], cases[i].s > 0 ? (uint64_t)(cases[i].s * 1e6) : 0);
	}
	free(page);
}

static void bounds_ascend(void **state)
{
	(void)state;
	for (int kind = 0; kind < FIGURES_KINDS; kind++) {
		size_t count;
		const double *bounds = figures_bounds((enum figures_kind)kind, &count);

		for (size_t i = 1; bounds != NULL && i < count; i++)
			assert_true(bounds[i - 1] < bounds[i]);
	}
}

/* Whoever makes up names fills his page, and neither the sum nor the others' rows. */
static void names_without_room_are_counted_together(void **state)
{
	struct figures *page = xnew(struct figures), *sum = xnew(struct figures);
	char name[32];

	(void)state;
	for (unsigned i = 0; i < 3 * LIMIT_FIGURES_ROWS; i++) {
		snprintf(name, sizeof(name), "sink-%u", i);
		figures_add(figures_row(page, FIGURES_SINK, name), FIGURES_DELIVERED, 1);
	}
	figures_add(figures_row(page, FIGURES_QUEUE, "late"), FIGURES_RECEIVED, 9);
	assert_int_equal(value(page, FIGURES_SINK, "sink-0", FIGURES_DELIVERED), 1);
	assert_int_equal(value(page, FIGURES_QUEUE, FIGURES_OTHER, FIGURES_RECEIVED), 9);
	assert_true(value(page, FIGURES_SINK, FIGURES_OTHER, FIGURES_DELIVERED) > LIMIT_FIGURES_ROWS);
	figures_merge(sum, page);
	figures_merge(sum, page);
	assert_true(figures_rows(sum) <= LIMIT_FIGURES_ROWS);
	assert_int_equal(value(sum, FIGURES_QUEUE, FIGURES_OTHER, FIGURES_RECEIVED), 18);
	free(page);
	free(sum);
}

static void a_page_full_of_nonsense_is_survived(void **state)
{
	struct figures *page = xnew(struct figures), *sum = xnew(struct figures);

	(void)state;
	memset(page, 0x5a, sizeof(*page));
	figures_merge(sum, page);
	assert_true(figures_rows(sum) <= LIMIT_FIGURES_ROWS);
	assert_string_equal(figures_kind_name((enum figures_kind)sum->row[0].kind), "unknown");
	free(page);
	free(sum);
}

static void pages_of_another_layout_are_refused(void **state)
{
	int fd = new_page(), other = memfd_create("other", MFD_CLOEXEC);
	struct figures *page = page_of(fd);
	struct error err;

	(void)state;
	assert_true(ftruncate(other, 4096) == 0);
	assert_null(figures_map(other, &err));
	assert_int_equal(err.kind, ERROR_INVALID);
	page->version++;
	assert_null(figures_map(fd, &err));
	figures_unmap(page);
	close(fd);
	close(other);
}

static void without_a_page_nothing_is_counted(void **state)
{
	(void)state;
	figures_add(figures_row(NULL, FIGURES_QUEUE, "x"), 0, 1);
	figures_set(NULL, 0, 1);
	figures_observe(NULL, 1);
	figures_count_aws(NULL, "sqs", "ReceiveMessage", FIGURES_AWS_OK, false);
	figures_unmap(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_a_killed_process_counted_is_still_there),
		cmocka_unit_test(pages_add_up_by_kind_and_name),
		cmocka_unit_test(observations_fall_into_the_bucket_they_reach),
		cmocka_unit_test(bounds_ascend),
		cmocka_unit_test(names_without_room_are_counted_together),
		cmocka_unit_test(a_page_full_of_nonsense_is_survived),
		cmocka_unit_test(pages_of_another_layout_are_refused),
		cmocka_unit_test(without_a_page_nothing_is_counted),
	};

	return cmocka_run_group_tests_name("figures", tests, NULL, NULL);
}
