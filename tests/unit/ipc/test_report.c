/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../cmocka_all.h"
#include "ipc/report.h"

struct pair_of_ends { int ends[2]; };

static int set_up(void **state)
{
	static struct pair_of_ends pair;

	*state = &pair;
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair.ends);
}

static int tear_down(void **state)
{
	struct pair_of_ends *pair = *state;

	close(pair->ends[0]);
	close(pair->ends[1]);
	return 0;
}

static void test_report_arrives_as_it_was_sent(void **state)
{
	const struct pair_of_ends *pair = *state;
	struct report sent, got;
	int fd = 5;

	report_init(&sent, REPORT_QUEUE, 9);
	sent.sequence = 3;
	sent.queue.received = 1ull << 40;
	sent.queue.last_receive_age_ms = -1;
	snprintf(sent.name, sizeof(sent.name), "deploys");
	assert_true(report_send(pair->ends[0], &sent, -1));
	assert_int_equal(report_receive(pair->ends[1], &got, &fd), REPORT_READ_ONE);
	assert_memory_equal(&sent, &got, sizeof(sent));
	assert_int_equal(fd, -1);
	assert_int_equal(report_receive(pair->ends[1], &got, NULL), REPORT_READ_NONE);
}

static void test_last_words_are_heard_from_one_that_left_ours_unread(void **state)
{
	struct pair_of_ends *pair = *state;
	struct report ours, last, got;

	report_init(&ours, REPORT_RELEASE, 1);
	report_init(&last, REPORT_RELEASED, 1);
	assert_true(report_send(pair->ends[0], &ours, -1));
	assert_true(report_send(pair->ends[1], &last, -1));
	close(pair->ends[1]);
	pair->ends[1] = -1;
	assert_int_equal(report_receive(pair->ends[0], &got, NULL), REPORT_READ_ONE);
	assert_int_equal(got.kind, REPORT_RELEASED);
	assert_int_equal(report_receive(pair->ends[0], &got, NULL), REPORT_READ_EOF);
}

static void test_descriptor_comes_along(void **state)
{
	const struct pair_of_ends *pair = *state;
	int file = open("/dev/null", O_RDWR | O_CLOEXEC);
	struct stat ours, theirs;
	struct report report;
	int fd;

	report_init(&report, REPORT_REOPEN, 1);
	assert_true(report_send(pair->ends[0], &report, file));
	assert_int_equal(report_receive(pair->ends[1], &report, &fd), REPORT_READ_ONE);
	assert_true(fd >= 0 && fd != file);
	assert_true((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
	assert_int_equal(fstat(file, &ours) + fstat(fd, &theirs), 0);
	assert_int_equal(ours.st_rdev, theirs.st_rdev);
	close(fd);
	close(file);
}

/* Who does not ask for it shall not collect descriptors. */
static void test_unwanted_descriptor_is_closed(void **state)
{
	const struct pair_of_ends *pair = *state;
	struct report report;
	int file = open("/dev/null", O_RDWR | O_CLOEXEC);
	int next = dup(file);

	close(next);
	report_init(&report, REPORT_ALIVE, 1);
	assert_true(report_send(pair->ends[0], &report, file));
	assert_int_equal(report_receive(pair->ends[1], &report, NULL), REPORT_READ_ONE);
	assert_int_equal(dup(file), next);
	close(next);
	close(file);
}

static void test_malformed_reports_are_told_apart(void **state)
{
	const struct pair_of_ends *pair = *state;
	struct report good, got;
	struct { const char *name; size_t size; uint32_t magic; uint16_t version, kind; } cases[] = {
		{ "short", sizeof(good) - 1, REPORT_MAGIC, REPORT_VERSION, REPORT_ALIVE },
		{ "one byte", 1, REPORT_MAGIC, REPORT_VERSION, REPORT_ALIVE },
		{ "another magic", sizeof(good), REPORT_MAGIC + 1, REPORT_VERSION, REPORT_ALIVE },
		{ "another version", sizeof(good), REPORT_MAGIC, REPORT_VERSION + 1, REPORT_ALIVE },
		{ "an unknown kind", sizeof(good), REPORT_MAGIC, REPORT_VERSION, REPORT_KINDS },
		{ "long", sizeof(good) + 8, REPORT_MAGIC, REPORT_VERSION, REPORT_ALIVE },
	};
	char bytes[sizeof(good) + 8] = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		report_init(&good, (enum report_kind)cases[i].kind, 1);
		good.magic = cases[i].magic;
		good.version = cases[i].version;
		memcpy(bytes, &good, sizeof(good));
		assert_int_equal(send(pair->ends[0], bytes, cases[i].size, 0), cases[i].size);
		if (report_receive(pair->ends[1], &got, NULL) != REPORT_READ_BAD)
			fail_msg("%s was taken", cases[i].name);
	}
	report_init(&good, REPORT_READY, 1);
	assert_true(report_send(pair->ends[0], &good, -1));
	assert_int_equal(report_receive(pair->ends[1], &got, NULL), REPORT_READ_ONE);
}

static void test_texts_are_terminated(void **state)
{
	const struct pair_of_ends *pair = *state;
	struct report report;

	report_init(&report, REPORT_REFUSED, 1);
	memset(report.name, 'n', sizeof(report.name));
	memset(report.text, 't', sizeof(report.text));
	assert_true(report_send(pair->ends[0], &report, -1));
	assert_int_equal(report_receive(pair->ends[1], &report, NULL), REPORT_READ_ONE);
	assert_int_equal(strlen(report.name), sizeof(report.name) - 1);
	assert_int_equal(strlen(report.text), sizeof(report.text) - 1);
}

static void test_full_channel_does_not_block(void **state)
{
	const struct pair_of_ends *pair = *state;
	struct report report;
	int sent = 0;

	report_init(&report, REPORT_ADOPT, 1);
	while (report_send(pair->ends[0], &report, -1))
		sent++;
	assert_true(errno == EAGAIN || errno == EWOULDBLOCK);
	assert_true(sent > 10);
	assert_int_equal(report_receive(pair->ends[1], &report, NULL), REPORT_READ_ONE);
}

static void test_closed_channel_is_the_end(void **state)
{
	struct pair_of_ends *pair = *state;
	struct report report;

	report_init(&report, REPORT_READY, 1);
	assert_true(report_send(pair->ends[0], &report, -1));
	close(pair->ends[0]);
	assert_int_equal(report_receive(pair->ends[1], &report, NULL), REPORT_READ_ONE);
	assert_int_equal(report_receive(pair->ends[1], &report, NULL), REPORT_READ_EOF);
	assert_false(report_send(pair->ends[1], &report, -1));
	pair->ends[0] = dup(pair->ends[1]);
}

static void test_every_kind_has_a_name(void **state)
{
	(void)state;
	for (int kind = 0; kind < REPORT_KINDS; kind++)
		assert_non_null(report_kind_name((enum report_kind)kind));
	assert_string_equal(report_kind_name(REPORT_KINDS), "unknown");
}

/* An upgraded master speaks with children of the program before it, which know no other numbers. */
static void test_kinds_keep_their_numbers(void **state)
{
	static const char *const names[] = {
		"hello", "ready", "refused", "alive", "queue", "released", "wake", "empty", "go", "drain", "release",
		"exit", "reopen", "ping", "adopt", "sweep", "orphans",
	};

	(void)state;
	for (size_t kind = 0; kind < sizeof(names) / sizeof(names[0]); kind++)
		assert_string_equal(report_kind_name((enum report_kind)kind), names[kind]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_report_arrives_as_it_was_sent, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_descriptor_comes_along, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_unwanted_descriptor_is_closed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_malformed_reports_are_told_apart, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_texts_are_terminated, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_full_channel_does_not_block, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_last_words_are_heard_from_one_that_left_ours_unread, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_closed_channel_is_the_end, set_up, tear_down),
		cmocka_unit_test(test_every_kind_has_a_name),
		cmocka_unit_test(test_kinds_keep_their_numbers),
	};

	return cmocka_run_group_tests_name("report", tests, NULL, NULL);
}
