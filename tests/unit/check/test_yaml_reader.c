/* SPDX-License-Identifier: Apache-2.0 */
#include "../cmocka_all.h"

#include <stdlib.h>
#include <string.h>

#include "check/yaml_reader.h"

static struct yaml_node *read_text(const char *text, struct complaints *complaints)
{
	return yaml_read(text, strlen(text), complaints);
}

static void test_nodes_know_where_they_stand(void **state)
{
	static const struct {
		const char *path;
		unsigned line, column;
		bool whole;
	} cases[] = {
		{ "a", 1, 4, true }, { "b", 3, 3, true }, { "b.c", 3, 6, true }, { "b.d.0", 4, 7, true },
		{ "b.d.1", 4, 10, true }, { "b.d.1.e", 4, 15, true }, { "b.nothing", 3, 3, false },
		{ "nothing", 1, 1, false }, { "b.d.2", 4, 6, false }, { "b.c.x", 3, 6, false },
	};
	struct complaints complaints = { 0 };
	struct yaml_node *root = read_text("a: 1\nb:\n  c: 'x'\n  d: [1, { e: !file y }]\n", &complaints);

	(void)state;
	assert_non_null(root);
	assert_int_equal(complaints.count, 0);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct place place = yaml_place(root, cases[i].path);

		if (place.line != cases[i].line || place.column != cases[i].column)
			fail_msg("%s: got %u:%u", cases[i].path, place.line, place.column);
		assert_int_equal(yaml_find_path(root, cases[i].path) != NULL, cases[i].whole);
	}
	assert_true(yaml_find_path(root, "b.d.1.e")->node->file);
	assert_false(yaml_find_path(root, "b.c")->node->plain);
	yaml_destroy(root);
}

static void test_null_is_only_what_was_not_written(void **state)
{
	static const struct {
		const char *given;
		bool want;
	} cases[] = {
		{ "a:", true }, { "a: ~", true }, { "a: null", true }, { "a: \"\"", false }, { "a: 'null'", false },
		{ "a: Null", false }, { "a: 0", false }, { "a: []", false }, { "a: !file x", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct complaints complaints = { 0 };
		struct yaml_node *root = read_text(cases[i].given, &complaints);

		assert_non_null(root);
		assert_int_equal(yaml_is_null(root->entries[0].node), cases[i].want);
		yaml_destroy(root);
		complaints_finish(&complaints);
	}
}

static void test_every_cut_of_a_file_is_read_or_refused(void **state)
{
	static const char text[] =
		"%YAML 1.1\n---\na: &x [1, \"\\x41\", 'b']\nb: { c: *x, ? d : !file e, f: !!str g }\n"
		"h: |\n  text\n  more\ni: >-\n  folded\n- j\n...\n";

	(void)state;
	for (size_t len = 0; len < sizeof(text); len++) {
		struct complaints complaints = { 0 };

		yaml_destroy(yaml_read(text, len, &complaints));
		complaints_finish(&complaints);
	}
}

static void test_every_single_byte_may_be_wrong(void **state)
{
	static const char text[] = "a:\n  b: [1, {c: \"d\"}]\n  e: 'f'\ng: ${H}\n";
	char copy[sizeof(text)];

	(void)state;
	for (size_t at = 0; at < sizeof(text) - 1; at++) {
		for (unsigned byte = 0; byte < 256; byte++) {
			struct complaints complaints = { 0 };

			memcpy(copy, text, sizeof(text));
			copy[at] = (char)byte;
			yaml_destroy(yaml_read(copy, sizeof(text) - 1, &complaints));
			complaints_finish(&complaints);
		}
	}
}

static void test_an_empty_file_is_nothing_and_no_complaint(void **state)
{
	static const char *const cases[] = { "", "\n", "# only a comment\n", "---\n", "" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct complaints complaints = { 0 };
		struct yaml_node *root = read_text(cases[i], &complaints);

		assert_int_equal(complaints.count, 0);
		assert_true(root == NULL || yaml_is_null(root));
		yaml_destroy(root);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nodes_know_where_they_stand),
		cmocka_unit_test(test_null_is_only_what_was_not_written),
		cmocka_unit_test(test_every_cut_of_a_file_is_read_or_refused),
		cmocka_unit_test(test_every_single_byte_may_be_wrong),
		cmocka_unit_test(test_an_empty_file_is_nothing_and_no_complaint),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
