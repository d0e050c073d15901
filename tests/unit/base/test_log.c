/* SPDX-License-Identifier: Apache-2.0 */
#include "../cmocka_all.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/json_at.h"
#include "base/log.h"

static int fds[2];
static char line[LIMIT_LOG_LINE_BYTES * 2];

static int setup(void **state)
{
	(void)state;
	return pipe2(fds, O_CLOEXEC | O_NONBLOCK);
}

static int teardown(void **state)
{
	(void)state;
	log_open_fd(STDERR_FILENO, LOG_FORMAT_LOGFMT, LOG_LEVEL_INFO);
	close(fds[0]);
	close(fds[1]);
	return 0;
}

static const char *written(void)
{
	ssize_t n = read(fds[0], line, sizeof(line) - 1);

	line[n > 0 ? n : 0] = '\0';
	return line;
}

static void test_names_stand_before_the_message(void **state)
{
	struct log worker, job;

	(void)state;
	log_open_fd(fds[1], LOG_FORMAT_LOGFMT, LOG_LEVEL_INFO);
	log_init(&worker, NULL, "worker %d", 3);
	log_init(&job, &worker, "job \"%s\"", "x\n");
	log_info(&job, "a \"quoted\" word\nand a line");
	assert_non_null(strstr(written(),
		"level=info from=\"worker 3: job \\\"x\\n\\\"\" msg=\"a \\\"quoted\\\" word\\nand a line\"\n"));
	log_debug(&job, "unwanted");
	assert_string_equal(written(), "");
}

static void test_json_lines_are_json_whatever_is_said(void **state)
{
	char long_text[LIMIT_LOG_LINE_BYTES + 100];
	struct error err;
	json_t *doc;

	(void)state;
	memset(long_text, '"', sizeof(long_text) - 1);
	long_text[sizeof(long_text) - 1] = '\0';
	log_open_fd(fds[1], LOG_FORMAT_JSON, LOG_LEVEL_INFO);
	log_info(NULL, "tab\there %s", "\x01");
	written();
	doc = json_at_parse(line, strlen(line), &err);
	assert_non_null(doc);
	assert_string_equal(json_at_string(doc, "msg"), "tab\there \x01");
	json_decref(doc);
	log_info(NULL, "%s", long_text);
	written();
	assert_true(strlen(line) <= LIMIT_LOG_LINE_BYTES);
	assert_string_equal(line + strlen(line) - 3, "\"}\n");
	/* Wherever the line is cut, it is cut between two characters. */
	for (int shift = 0; shift < 8; shift++) {
		log_info(NULL, "%.*s%s", shift, "abcdefgh", long_text);
		written();
		doc = json_at_parse(line, strlen(line), &err);
		assert_non_null(doc);
		json_decref(doc);
	}
}

static void test_full_sink_drops_and_counts(void **state)
{
	char fill[65536];
	uint64_t before = log_dropped();

	(void)state;
	memset(fill, 'x', sizeof(fill));
	while (write(fds[1], fill, sizeof(fill)) > 0)
		;
	log_open_fd(fds[1], LOG_FORMAT_LOGFMT, LOG_LEVEL_INFO);
	log_info(NULL, "lost");
	assert_int_equal(log_dropped(), before + 1);
	while (read(fds[0], fill, sizeof(fill)) > 0)
		;
	log_info(NULL, "told");
	assert_non_null(strstr(written(), "1 lines could not be written"));
	assert_non_null(strstr(line, "msg=\"told\""));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_names_stand_before_the_message, setup, teardown),
		cmocka_unit_test_setup_teardown(test_json_lines_are_json_whatever_is_said, setup, teardown),
		cmocka_unit_test_setup_teardown(test_full_sink_drops_and_counts, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
