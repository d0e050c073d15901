/* SPDX-License-Identifier: Apache-2.0 */
/* The short ways must never differ from jansson's, and must be taken for what services usually answer. */
#include "../cmocka_all.h"

#include <stdlib.h>
#include <string.h>

#include "base/json_at.h"
#include "base/json_read.h"

/* What services answer, and what stands in their messages. */
static const char *const common[] = {
	"{}",
	" [ ] ",
	"{\"a\":[1,-2,0,-0,true,false,null,\"\",{}]}\r\n",
	"{\"createdAt\":1.767323047402E9,\"n\":0.5,\"m\":-1e-7,\"big\":123456789012345678}",
	"{\"Body\":\"{\\\"id\\\":\\\"j-1\\\",\\\"path\\\":\\\"a\\\\/b\\\",\\\"text\\\":\\\"one\\\\ntwo\\\\t\\\"}\",\"x\\\"y\":\"\\b\\f\\r\\u00e4\\u20AC\"}",
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
	json_t *ours = json_read(text, size), *theirs = json_loadb(text, size, JSON_REJECT_DUPLICATES, NULL);
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

static void what_is_common_is_read_here(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(common); i++) {
		json_t *value = json_read(common[i], strlen(common[i]));

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
		value = json_read(exact, size);
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

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(what_is_common_is_read_here),
		cmocka_unit_test(what_jansson_refuses_is_refused),
		cmocka_unit_test(damaged_texts_are_read_as_jansson_reads_them),
		cmocka_unit_test(what_is_written_is_what_jansson_writes) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
