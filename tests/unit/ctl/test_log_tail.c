/* SPDX-License-Identifier: Apache-2.0 */
/* A log that is written, rotated and emptied gives each of its lines once. */
#include "../cmocka_all.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/descriptor.h"
#include "base/mem.h"
#include "ctl/log_tail.h"

struct reader {
	char directory[32];
	char *path, *old_path;
	struct log_tail tail;
	struct buf seen;
};

static void on_line(void *arg, const char *line, size_t size)
{
	struct reader *reader = arg;

	buf_add(&reader->seen, line, size);
	buf_add_char(&reader->seen, '|');
}

static void write_to(const char *path, int flags, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | flags, 0600);

	assert_true(fd >= 0 && descriptor_write_all(fd, text, strlen(text)));
	close(fd);
}

static void saw(struct reader *reader, const char *want)
{
	assert_string_equal(buf_text(&reader->seen), want);
	buf_clear(&reader->seen);
}

static int setup(void **state)
{
	struct reader *reader = xnew(struct reader);

	strncpy(reader->directory, "/tmp/gantry-tail-XXXXXX", sizeof(reader->directory) - 1);
	assert_non_null(mkdtemp(reader->directory));
	reader->path = xasprintf("%s/log", reader->directory);
	reader->old_path = xasprintf("%s/log.1", reader->directory);
	buf_init(&reader->seen, 1 << 20);
	*state = reader;
	return 0;
}

static int teardown(void **state)
{
	struct reader *reader = *state;

	log_tail_close(&reader->tail);
	buf_finish(&reader->seen);
	unlink(reader->path);
	unlink(reader->old_path);
	rmdir(reader->directory);
	free(reader->path);
	free(reader->old_path);
	free(reader);
	return 0;
}

static void begin(struct reader *reader, const char *text, unsigned long lines)
{
	struct error err;

	write_to(reader->path, O_TRUNC, text);
	assert_true(log_tail_open(&reader->tail, reader->path, lines, on_line, reader, &err));
	log_tail_read(&reader->tail);
}

static void test_last_lines(void **state)
{
	static const struct { const char *text; unsigned long lines; const char *want; } starts[] = {
		{ "", 3, "" },
		{ "a\n", 3, "a|" },
		{ "a\nb\nc\nd\n", 2, "c|d|" },
		{ "a\nb\nc\nd\n", 4, "a|b|c|d|" },
		{ "a\n\n\n", 2, "||" },
		{ "a\nb\nc", 1, "" },           /* without its end, it is not a line yet */
		{ "a\nb\nc", 2, "b|" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(starts); i++) {
		struct reader *reader = *state;

		begin(reader, starts[i].text, starts[i].lines);
		saw(reader, starts[i].want);
		log_tail_close(&reader->tail);
		buf_clear(&reader->seen);
	}
}

static void test_last_lines_of_many_blocks(void **state)
{
	struct reader *reader = *state;
	char *text = xcalloc(1, 300001);

	for (size_t i = 0; i < 300000; i++)
		text[i] = i % 100 == 99 ? '\n' : 'x';
	begin(reader, text, 2000);
	assert_int_equal(reader->seen.size, 200000);
	free(text);
}

static void test_rotation_loses_nothing(void **state)
{
	struct reader *reader = *state;

	begin(reader, "a\n", 10);
	saw(reader, "a|");
	write_to(reader->path, O_APPEND, "b\nhal");
	assert_int_equal(rename(reader->path, reader->old_path), 0);
	log_tail_read(&reader->tail);
	saw(reader, "b|");
	/* Its writers go over one by one. */
	write_to(reader->path, 0, "new\n");
	write_to(reader->old_path, O_APPEND, "f\n");
	log_tail_read(&reader->tail);
	saw(reader, "half|new|");
	write_to(reader->old_path, O_APPEND, "late\n");
	write_to(reader->path, O_APPEND, "newer\n");
	log_tail_read(&reader->tail);
	saw(reader, "late|newer|");
}

static void test_emptied_file_is_read_from_its_start(void **state)
{
	struct reader *reader = *state;

	begin(reader, "one line\nanother\n", 10);
	saw(reader, "one line|another|");
	write_to(reader->path, O_TRUNC, "fresh\n");
	log_tail_read(&reader->tail);
	saw(reader, "fresh|");
}

static void test_missing_file_is_an_error(void **state)
{
	struct reader *reader = *state;
	struct error err;

	assert_false(log_tail_open(&reader->tail, "/nonexistent/log", 1, on_line, reader, &err));
	assert_non_null(strstr(err.text, "/nonexistent/log: No such file"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_last_lines, setup, teardown),
		cmocka_unit_test_setup_teardown(test_last_lines_of_many_blocks, setup, teardown),
		cmocka_unit_test_setup_teardown(test_rotation_loses_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(test_emptied_file_is_read_from_its_start, setup, teardown),
		cmocka_unit_test_setup_teardown(test_missing_file_is_an_error, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
