/* SPDX-License-Identifier: Apache-2.0 */
/* The short ways must never differ from jansson's, and must be taken for what services usually answer. */
#include "../cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json_at.h"
#include "base/json_read.h"
#include "base/json_write.h"

/* What services answer, and what stands in their messages. */
static const char *const common[] = {
	"{}",
	" [ ] ",
	"{\"a\":[1,-2,0,-0,true,false,null,\"\",{}]}\r\n",
	"{\"createdAt\":1.767323047402E9,\"n\":0.5,\"m\":-1e-7,\"big\":123456789012345678}",
	"{\"Body\":\"{\\\"id\\\":\\\"j-1\\\",\\\"path\\\":\\\"a\\\\/b\\\",\\\"text\\\":\\\"one\\\\ntwo\\\\t\\\"}\",\"x\\\"y\":\"\\b\\f\\r\\u00e4\\u20AC\"}",
	"{\"m\":\"eight \\n bytes and \\u20ac more\",\"b\":[\"1234567\\\\\",\"12345678\",\"123456789\\t\",1e-9,2.5E+3,true,\"\xc3\xa4 12345678\"]}",
	"{\"name\":\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\",\"\xc3\xa4\":[[[]]]}",
	"{\"failures\":[],\"tasks\":[{\"containers\":[{\"exitCode\":0,\"name\":\"app\",\"networkInterfaces\":[]}],"
		"\"lastStatus\":\"RUNNING\",\"tags\":[{\"key\":\"k\",\"value\":\"v\"}]}]}",
};

/* What jansson refuses, and what only jansson knows. */
static const char *const others[] = {
	"", "1", "\"text\"", "{", "[", "{\"a\"", "{\"a\":", "{\"a\":1", "{\"a\":1,}", "[1,]", "[,1]", "{,}", "{} x", "[1 2]", "{\"a\" 1}",
	"{\"a\":1,\"a\":2}", "{\"\\u0061\":1,\"a\":2}", "{a:1}", "[01]", "[-]", "[+1]", "[.5]", "[1.]", "[1e]", "[1e+]", "[1e400]", "[-1e400]",
	"[1234567890123456789]", "[99999999999999999999]", "[truth]", "[nul]", "[\"\\x\"]", "[\"\\u12\"]", "[\"\\u0000\"]", "{\"\\u0000\":1}",
	"[\"\\ud83d\\ude00\"]", "[\"\\ud83d\"]", "[\"\\ude00\\ud83d\"]", "[\"a\nb\"]", "[\"\x80\"]", "[\"\xc0\xaf\"]", "[\"\xed\xa0\x80\"]",
	"{\"\xff\":1}", "[\"a\\", "[\"a\\\"", "[\"\\\n\"]", "[\"\\u00e4\xff\"]", "\xef\xbb\xbf{}", "[NaN]", "[Infinity]", "/* */ {}", "[1]\v", "{}{}",
};

static void compare(const char *text, size_t size)
{
	json_t *ours = json_read(text, size, NULL), *theirs = json_loadb(text, size, JSON_REJECT_DUPLICATES, NULL);
	char *a, *b, *c;

	if (ours != NULL && theirs == NULL)
		fail_msg("taken, where jansson refuses: %.*s", (int)size, text);
	if (ours != NULL) {
		/* Not json_equal(), for which the order of members is nothing. */
		a = json_dumps(ours, JSON_COMPACT);
		b = json_dumps(theirs, JSON_COMPACT);
		c = json_at_dump(theirs);
		assert_string_equal(a, b);
		assert_string_equal(c, b);
		free(a);
		free(b);
		free(c);
	}
	json_decref(ours);
	json_decref(theirs);
}

/* -- only what is wanted ---------------------------------------------------------------------------- */

static const char *const none[] = { NULL }, *const a_and_m[] = { "a", "m", NULL }, *const texts[] = { "Body", "x\"y", NULL },
	*const of_task[] = { "tasks", "containers", "exitCode", "name", NULL }, *const not_ascii[] = { "\xc3\xa4", NULL };
static const char *const *const wishes[] = { none, a_and_m, texts, of_task, not_ascii };

static bool is_in(const char *name, const char *const *wanted)
{
	while (*wanted != NULL && strcmp(*wanted, name) != 0)
		wanted++;
	return *wanted != NULL;
}

static void prune(json_t *value, const char *const *wanted)
{
	const char *name;
	json_t *member;
	void *next;
	size_t i;

	json_array_foreach(value, i, member)
		prune(member, wanted);
	json_object_foreach_safe(value, next, name, member) {
		if (is_in(name, wanted))
			prune(member, wanted);
		else
			json_object_del(value, name);
	}
}

/* What jansson makes of it, without what is not wanted.  What it refuses may be taken, as what is wrong may be in what is
 * not wanted; two unwanted members of one name are such a case, in which the rest can be compared. */
static void compare_wanted(const char *text, size_t size, const char *const *wanted)
{
	json_t *whole = json_read(text, size, NULL), *ours = json_read(text, size, wanted), *theirs;
	json_error_t why = { .text = "" };
	char *a, *b;

	if (whole != NULL && ours == NULL)
		fail_msg("taken whole, but not in part: %.*s", (int)size, text);
	theirs = json_loadb(text, size, JSON_REJECT_DUPLICATES, &why);
	if (theirs == NULL && json_error_code(&why) == json_error_duplicate_key)
		theirs = json_loadb(text, size, 0, &why);
	if (ours != NULL && theirs != NULL) {
		prune(theirs, wanted);
		a = json_dumps(ours, JSON_COMPACT);
		b = json_dumps(theirs, JSON_COMPACT);
		assert_string_equal(a, b);
		free(a);
		free(b);
	}
	json_decref(whole);
	json_decref(ours);
	json_decref(theirs);
}

static void compare_all_wishes(const char *text, size_t size)
{
	for (size_t i = 0; i < ARRAY_SIZE(wishes); i++)
		compare_wanted(text, size, wishes[i]);
}

static void only_what_is_wanted_is_kept(void **state)
{
	static const struct { const char *text, *want; } cases[] = {
		{ "{}", "{}" },
		{ "[1,{\"a\":2,\"b\":3}]", "[1,{\"a\":2}]" },
		{ "{\"b\":{\"a\":1},\"m\":{\"b\":[1,\"x\"],\"a\":[{\"c\":0}]}}", "{\"m\":{\"a\":[{}]}}" },
		{ "{\"\\u0061\":1,\"\\u0062\":2,\"aa\":3,\"\":4,\"A\":5}", "{\"a\":1}" },
		{ "{\"b\":1,\"b\":2,\"c\":{\"a\":1,\"a\":2},\"m\":null}", "{\"m\":null}" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		json_t *value = json_at_parse_wanted(cases[i].text, strlen(cases[i].text), a_and_m, NULL);
		char *text = json_at_dump(value);

		assert_string_equal(text, cases[i].want);
		free(text);
		json_decref(value);
	}
	for (size_t i = 0; i < ARRAY_SIZE(common); i++)
		compare_all_wishes(common[i], strlen(common[i]));
}

/* Where jansson refuses the whole, it is asked and nothing is taken. */
static void what_is_not_wanted_has_to_end(void **state)
{
	static const struct { const char *text, *want; } cases[] = {
		{ "{\"b\":{\"c\":\"}]\",\"a\":0,\"d\":[\"{[\",{\"a\":\"\\\\\"}]},\"a\":1}", "{\"a\":1}" },
		{ "{\"b\":\",\\\"a\\\":2,\\\\\\\"\\\\\",\"a\":\"\\\"\"}", "{\"a\":\"\\\"\"}" },
		{ "{\"b\": 1 , \"c\" : null\n,\"a\":1,\"d\":-0.5e+3 }", "{\"a\":1}" },
		{ "[{\"b\":[]},{\"b\":{}},{\"b\":\"\"},{\"b\":0}]", "[{},{},{},{}]" },
		/* not JSON, in what is not wanted */
		{ "{\"b\":[truth,01,\"\\x\x80\"],\"c\":{\"a\":1,\"a\":2},\"a\":1}", "{\"a\":1}" },
		{ "{\"a\":1,\"a\":1}", NULL },
		{ "{\"b\":0,\"a\":{\"m\":1,\"b\":1,\"\\u006d\":2}}", NULL },
		{ "{\"b\":{\"c\":1,\"a\":1}", NULL },
		{ "{\"b\":[1,\"a\":1}", NULL },
		{ "{\"b\":\"x,\"a\":1}", NULL },
		{ "{\"b\":\"x\\\"}", NULL },
		{ "{\"a\":1,\"b\":0", NULL },
		{ "{\"a\":1,\"b\":", NULL },
		{ "{\"a\":1,\"b\" 0}", NULL },
		{ "{\"a\":1,\"b\":0,}", NULL },
		{ "{\"a\":1,\"b\":0}}", NULL },
		{ "{\"a\":01,\"b\":0}", NULL },
		{ "{\"b\":0,\"a\":\"\x80\"}", NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		json_t *value = json_at_parse_wanted(cases[i].text, strlen(cases[i].text), a_and_m, NULL);
		char *text = value != NULL ? json_at_dump(value) : NULL;

		if (value == NULL ? cases[i].want != NULL : cases[i].want == NULL || strcmp(text, cases[i].want) != 0)
			fail_msg("%s was read as %s", cases[i].text, value != NULL ? text : "nothing");
		free(text);
		json_decref(value);
	}
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		compare_all_wishes(others[i], strlen(others[i]));
}

/* -- all -------------------------------------------------------------------------------------------- */

static void what_is_common_is_read_here(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(common); i++) {
		json_t *value = json_read(common[i], strlen(common[i]), NULL);

		if (value == NULL)
			fail_msg("not read: %s", common[i]);
		json_decref(value);
		compare(common[i], strlen(common[i]));
	}
}

static void what_jansson_refuses_is_refused(void **state)
{
	char nested[2 * 70 + 1];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		compare(others[i], strlen(others[i]));
	compare("[\"\0\"]", 5);
	compare("[]\0", 3);
	memset(nested, '[', 70);
	memset(nested + 70, ']', 70);
	compare(nested, 140);
	nested[140] = '\0';
	json_decref(json_at_parse(nested, 140, NULL));
}

/* xorshift: the same texts each time. */
static unsigned next(unsigned *dice)
{
	*dice ^= *dice << 13;
	*dice ^= *dice >> 17;
	*dice ^= *dice << 5;
	return *dice;
}

static void damage(char *text, size_t *size, unsigned *dice)
{
	static const char bytes[] = "{}[]\",:\\ue0.-+19atfn \n\x80\xc3\xa4";
	size_t at = next(dice) % *size;

	switch (next(dice) % 3) {
	case 0:
		text[at] = bytes[next(dice) % (sizeof(bytes) - 1)];
		break;
	case 1:
		memmove(text + at, text + at + 1, *size - at - 1);
		(*size)--;
		break;
	default:
		memmove(text + at + 1, text + at, *size - at);
		text[at] = bytes[next(dice) % (sizeof(bytes) - 1)];
		(*size)++;
	}
}

static void damaged_texts_are_read_as_jansson_reads_them(void **state)
{
	unsigned dice = 2463534242u, taken = 0;

	(void)state;
	for (unsigned i = 0; i < 60000; i++) {
		const char *text = common[2 + i % (ARRAY_SIZE(common) - 2)];
		size_t size = strlen(text);
		/* Of its own size, so that a byte read behind the end is seen. */
		char *copy = malloc(size + 4), *exact;
		json_t *value;

		memcpy(copy, text, size);
		for (unsigned n = 1 + next(&dice) % 3; n > 0; n--)
			damage(copy, &size, &dice);
		exact = malloc(size);
		memcpy(exact, copy, size);
		compare(exact, size);
		compare_wanted(exact, size, wishes[i % ARRAY_SIZE(wishes)]);
		value = json_read(exact, size, NULL);
		taken += value != NULL;
		json_decref(value);
		free(exact);
		free(copy);
	}
	/* Some damage leaves JSON; if none did, nothing was compared. */
	assert_in_range(taken, 3000, 57000);
}

static void what_is_written_is_what_jansson_writes(void **state)
{
	char text[0x80 + 3];
	json_t *value;
	char *ours, *theirs;

	(void)state;
	for (int i = 0; i < 0x80; i++)
		text[i] = (char)i;
	memcpy(text + 0x80, "\xe2\x82\xac", 3);
	value = json_pack("{s:o, s:[f, f, f, I, b, b, n], s:{}, s:[]}", "a\"\n", json_stringn_nocheck(text, sizeof(text)), "r", 1.0, 0.1,
		1.767323047402e9, (json_int_t)INT64_MIN, 1, 0, "o", "e");
	assert_non_null(value);
	ours = json_at_dump(value);
	theirs = json_dumps(value, JSON_COMPACT);
	assert_string_equal(ours, theirs);
	free(ours);
	free(theirs);
	json_decref(value);
}

static void pieces_make_what_a_tree_makes(void **state)
{
	json_t *value = json_pack("{s:s, s:[s, i, {}, [], s], s:{s:b}, s:[i], s:I}", "a\"", "b\\{", "list", "[", -7, "", "o", "t", 1, "command", 4, "n",
		(json_int_t)INT64_MIN);
	json_t *command = json_at(value, "command");
	char *want = json_dumps(value, JSON_COMPACT);
	struct buf out;

	(void)state;
	buf_init(&out, 1000);
	assert_true(json_write_open(&out, '{') && json_write_member(&out, "a\"", "b\\{") && json_write_name(&out, "list"));
	assert_true(json_write_open(&out, '[') && json_write_string(&out, "[") && json_write_integer(&out, -7));
	assert_true(json_write_open(&out, '{') && json_write_close(&out, '}') && json_write_open(&out, '[') && json_write_close(&out, ']'));
	assert_true(json_write_string(&out, "") && json_write_close(&out, ']') && json_write_name(&out, "o"));
	assert_true(json_write_open(&out, '{') && json_write_name(&out, "t") && json_write_true(&out) && json_write_close(&out, '}'));
	assert_true(json_write_name(&out, "command") && json_write(&out, command) && json_write_name(&out, "n"));
	assert_true(json_write_integer(&out, INT64_MIN) && json_write_close(&out, '}'));
	assert_string_equal(buf_text(&out), want);
	assert_false(json_write_string(&out, "12345678\xff"));
	assert_false(json_write_member(&out, "\xed\xa0\x80", "x"));
	buf_finish(&out);
	buf_init(&out, 4);
	assert_true(json_write_string(&out, "12"));
	assert_false(json_write_string(&out, "1"));
	buf_finish(&out);
	free(want);
	json_decref(value);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(what_is_common_is_read_here),
		cmocka_unit_test(what_jansson_refuses_is_refused),
		cmocka_unit_test(only_what_is_wanted_is_kept),
		cmocka_unit_test(what_is_not_wanted_has_to_end),
		cmocka_unit_test(damaged_texts_are_read_as_jansson_reads_them),
		cmocka_unit_test(what_is_written_is_what_jansson_writes),
		cmocka_unit_test(pieces_make_what_a_tree_makes) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
