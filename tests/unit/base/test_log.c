/* SPDX-License-Identifier: Apache-2.0 */
#include "../cmocka_all.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
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
	log_gather(false);
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

static void fill_pipe(void)
{
	char fill[65536];

	memset(fill, 'x', sizeof(fill));
	while (write(fds[1], fill, sizeof(fill)) > 0)
		;
}

static void empty_pipe(void)
{
	char bytes[65536];

	while (read(fds[0], bytes, sizeof(bytes)) > 0)
		;
}

static void test_full_sink_drops_and_counts(void **state)
{
	uint64_t before = log_dropped();

	(void)state;
	fill_pipe();
	log_open_fd(fds[1], LOG_FORMAT_LOGFMT, LOG_LEVEL_INFO);
	log_info(NULL, "lost");
	assert_int_equal(log_dropped(), before + 1);
	empty_pipe();
	log_info(NULL, "told");
	assert_non_null(strstr(written(), "1 lines could not be written"));
	assert_non_null(strstr(line, "msg=\"told\""));
}

static void test_gathered_lines_go_out_together_and_before_a_warning(void **state)
{
	(void)state;
	log_open_fd(fds[1], LOG_FORMAT_LOGFMT, LOG_LEVEL_DEBUG);
	log_gather(true);
	log_info(NULL, "first");
	log_debug(NULL, "second");
	assert_string_equal(written(), "");
	log_flush();
	assert_non_null(strstr(strstr(written(), "msg=\"first\"\n"), "msg=\"second\"\n"));
	log_flush();
	assert_string_equal(written(), "");
	log_info(NULL, "third");
	log_warn(NULL, "fourth");
	assert_non_null(strstr(strstr(written(), "msg=\"third\"\n"), "msg=\"fourth\"\n"));
	log_info(NULL, "fifth");
	log_gather(false);
	assert_non_null(strstr(written(), "msg=\"fifth\"\n"));
	log_info(NULL, "sixth");
	assert_non_null(strstr(written(), "msg=\"sixth\"\n"));
}

static void test_gathered_lines_stay_with_the_sink_they_were_for(void **state)
{
	int other[2];

	(void)state;
	assert_int_equal(pipe2(other, O_CLOEXEC | O_NONBLOCK), 0);
	log_open_fd(fds[1], LOG_FORMAT_LOGFMT, LOG_LEVEL_INFO);
	log_gather(true);
	log_info(NULL, "before");
	log_open_fd(other[1], LOG_FORMAT_LOGFMT, LOG_LEVEL_INFO);
	assert_non_null(strstr(written(), "msg=\"before\"\n"));
	log_gather(false);
	assert_int_equal(read(other[0], line, sizeof(line)), -1);
	close(other[0]);
	close(other[1]);
}

/* More than fits at once, of all lengths: whole lines, each once, in order. */
static void test_many_gathered_lines_come_whole_and_in_order(void **state)
{
	char all[65536], want[32];
	const char *at = all;
	size_t size = 0;
	ssize_t n;

	(void)state;
	log_open_fd(fds[1], LOG_FORMAT_LOGFMT, LOG_LEVEL_INFO);
	log_gather(true);
	for (int i = 0; i < 200; i++)
		log_info(NULL, "line %d %.*s.", i, i, "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
	log_gather(false);
	while ((n = read(fds[0], all + size, sizeof(all) - 1 - size)) > 0) {
		assert_true(n > 0 && all[size + (size_t)n - 1] == '\n');
		size += (size_t)n;
	}
	all[size] = '\0';
	for (int i = 0; i < 200; i++) {
		snprintf(want, sizeof(want), "msg=\"line %d ", i);
		assert_int_equal(strncmp(at, "time=", 5), 0);
		assert_true(strstr(at, want) != NULL && strstr(at, want) < strchr(at, '\n'));
		at = strchr(at, '\n') + 1;
	}
	assert_int_equal(*at, '\0');
}

/* How a process may come down. */
static void be_aborted(void)
{
	abort();
}

static void be_sent_a_signal(void)
{
	raise(SIGSEGV);
}

/* A real one: nobody has sent it, so that it must happen again when we have looked. */
static void write_where_nothing_may_be_written(void)
{
	volatile char *page = mmap(NULL, (size_t)sysconf(_SC_PAGESIZE), PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	*page = 'x';
}

static void come_down(int number, void (*how)(void))
{
	const struct rlimit no_core = { 0, 0 };

	setrlimit(RLIMIT_CORE, &no_core);
	signal(number, SIG_DFL);        /* of a sanitizer's handler we know nothing */
	log_gather(true);
	log_info(NULL, "the last words but one");
	log_info(NULL, "the last words");
	how();
	_exit(0);
}

static void test_gathered_lines_are_there_when_the_process_comes_down(void **state)
{
	static const struct { int number; void (*how)(void); } cases[] = {
		{ SIGABRT, be_aborted }, { SIGSEGV, be_sent_a_signal },
		{ SIGSEGV, write_where_nothing_may_be_written },
	};

	(void)state;
	log_open_fd(fds[1], LOG_FORMAT_LOGFMT, LOG_LEVEL_INFO);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		pid_t pid = fork();
		const char *last;
		int status;

		assert_true(pid >= 0);
		if (pid == 0)
			come_down(cases[i].number, cases[i].how);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == cases[i].number);
		assert_non_null(strstr(written(), "msg=\"the last words but one\"\n"));
		last = strstr(line, "msg=\"the last words\"\n");
		assert_non_null(last);
		assert_string_equal(last, "msg=\"the last words\"\n");
	}
}

static void test_gathered_lines_are_counted_when_they_are_lost(void **state)
{
	uint64_t before = log_dropped();

	(void)state;
	fill_pipe();
	log_open_fd(fds[1], LOG_FORMAT_LOGFMT, LOG_LEVEL_INFO);
	log_gather(true);
	for (int i = 0; i < 5; i++)
		log_info(NULL, "lost");
	assert_int_equal(log_dropped(), before);
	log_flush();
	assert_int_equal(log_dropped(), before + 5);
	log_gather(false);
	empty_pipe();
	log_info(NULL, "told");
	assert_non_null(strstr(written(), "5 lines could not be written"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_names_stand_before_the_message, setup, teardown),
		cmocka_unit_test_setup_teardown(test_json_lines_are_json_whatever_is_said, setup, teardown),
		cmocka_unit_test_setup_teardown(test_full_sink_drops_and_counts, setup, teardown),
		cmocka_unit_test_setup_teardown(test_gathered_lines_go_out_together_and_before_a_warning, setup, teardown),
		cmocka_unit_test_setup_teardown(test_gathered_lines_stay_with_the_sink_they_were_for, setup, teardown),
		cmocka_unit_test_setup_teardown(test_many_gathered_lines_come_whole_and_in_order, setup, teardown),
		cmocka_unit_test_setup_teardown(test_gathered_lines_are_there_when_the_process_comes_down, setup, teardown),
		cmocka_unit_test_setup_teardown(test_gathered_lines_are_counted_when_they_are_lost, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
