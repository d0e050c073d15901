/* SPDX-License-Identifier: Apache-2.0 */
#include "base/masks.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../cmocka_all.h"
#include "base/mem.h"

static struct masks *masks_of(const char *const *secrets)
{
	struct masks *masks = masks_create();

	for (; *secrets != NULL; secrets++)
		masks_add(masks, *secrets);
	return masks;
}

static void secrets_are_shown_as_asterisks_of_their_length(void **state)
{
	static const struct { const char *name, *secrets[4], *text, *want; } cases[] = {
		{ "none", { NULL }, "password=hunter22", "password=hunter22" },
		{ "one", { "hunter22" }, "a hunter22 b", "a ******** b" },
		{ "at both ends", { "hunter22" }, "hunter22 hunter22", "******** ********" },
		{ "side by side", { "hunter22" }, "hunter22hunter22", "****************" },
		{ "overlapping itself", { "abcabcabc" }, "abcabcabcabc", "************" },
		{ "overlapping another", { "abcdef", "defghi" }, ".abcdefghi.", ".*********." },
		{ "one within another", { "abcdefgh", "cdefgh" }, "abcdefgh cdefgh", "******** ******" },
		{ "one begins as another", { "abcdef", "abcdefgh" }, "abcdefgh abcdefx", "******** ******x" },
		{ "not quite", { "hunter22" }, "hunter2 hunter23", "hunter2 hunter23" },
		{ "too short", { "12345" }, "12345", "12345" },
		{ "the least", { "123456" }, "123456", "******" },
		{ "each line for itself", { "-----BEGIN\r\nabcdefgh\nshort\n" }, "abcdefgh short -----BEGIN",
			"******** short **********" },
		{ "empty", { "" }, "text", "text" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct masks *masks = masks_of(cases[i].secrets);
		size_t size = strlen(cases[i].text);
		char *out = xcalloc(1, size + 1);

		masks_copy(masks, cases[i].text, size, 0, size, out);
		if (strcmp(out, cases[i].want) != 0)
			fail_msg("%s: \"%s\", not \"%s\"", cases[i].name, out, cases[i].want);
		free(out);
		masks_destroy(masks);
	}
}

/* However a text is cut, with windows as wide as they have to be, the pieces make the same. */
static void a_text_in_pieces_is_masked_as_a_whole(void **state)
{
	static const char text[] = "xabcabcabcabcdefghidefghi.abcabcab-defgh hunter22abcabcabc";
	static const char *const secrets[] = { "abcabcabc", "defghi", "abcdef", "hunter22", NULL };
	struct masks *masks = masks_of(secrets);
	size_t size = strlen(text), beyond = masks_longest(masks) - 1;
	char whole[sizeof(text)] = "", pieces[sizeof(text)] = "";

	(void)state;
	masks_copy(masks, text, size, 0, size, whole);
	assert_non_null(strchr(whole, '*'));
	for (size_t step = 1; step < size; step++) {
		for (size_t from = 0; from < size; from += step) {
			size_t to = from + step < size ? from + step : size;
			size_t begin = from > beyond ? from - beyond : 0, end = to + beyond < size ? to + beyond : size;

			masks_copy(masks, text + begin, end - begin, from - begin, to - begin, pieces + from);
		}
		assert_string_equal(pieces, whole);
	}
	masks_destroy(masks);
}

static void what_may_be_a_beginning_is_told(void **state)
{
	static const struct { const char *name, *secrets[4], *text; size_t want; } cases[] = {
		{ "nothing", { "hunter22" }, "", 0 },
		{ "no secret", { NULL }, "hunter", 0 },
		{ "no beginning", { "hunter22" }, "hello", 0 },
		{ "one letter", { "hunter22" }, "hello h", 1 },
		{ "all but one", { "hunter22" }, "hello hunter2", 7 },
		{ "the whole of it", { "hunter22" }, "hello hunter22", 0 },
		{ "the whole of it, which may begin again", { "abcabc" }, "abcabc", 3 },
		{ "the longer of two", { "hunter22", "22hunter22" }, "22hunt", 6 },
		{ "text is shorter", { "hunter22" }, "hu", 2 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct masks *masks = masks_of(cases[i].secrets);
		size_t got = masks_open_end(masks, cases[i].text, strlen(cases[i].text));

		if (got != cases[i].want)
			fail_msg("%s: %zu, not %zu", cases[i].name, got, cases[i].want);
		masks_destroy(masks);
	}
}

static void a_long_secret_is_found_in_pieces(void **state)
{
	char secret[3 * LIMIT_MASK_PIECE_BYTES / 2 + 2], out[sizeof(secret)];
	struct masks *masks = masks_create();

	(void)state;
	for (size_t i = 0; i + 1 < sizeof(secret); i++)
		secret[i] = (char)('a' + (i * i / 7 + i / 26) % 26);
	secret[sizeof(secret) - 1] = '\0';
	masks_add(masks, secret);
	assert_int_equal(masks_longest(masks), LIMIT_MASK_PIECE_BYTES);
	memset(out, 0, sizeof(out));
	masks_copy(masks, secret, sizeof(secret) - 1, 0, sizeof(secret) - 1, out);
	assert_int_equal(strspn(out, "*"), sizeof(secret) - 1);
	masks_destroy(masks);
	masks_destroy(NULL);
	assert_int_equal(masks_longest(NULL), 0);
}

/* A thousand times as many comparisons as bytes would take minutes. */
static void many_secrets_that_are_much_alike_cost_a_text_nothing(void **state)
{
	enum { SECRETS = 1900, TEXT_BYTES = 4 << 20 };
	struct masks *masks = masks_create();
	char secret[32], *text = xcalloc(1, TEXT_BYTES), *out = xcalloc(1, TEXT_BYTES);

	(void)state;
	for (unsigned i = 0; i < SECRETS; i++) {
		snprintf(secret, sizeof(secret), "aaaaaaaaaaaa%05u", i);
		masks_add(masks, secret);
	}
	assert_false(masks_hides_all(masks));
	memset(text, 'a', TEXT_BYTES);
	memcpy(text + TEXT_BYTES - 100, "00000", 5);
	memcpy(text + TEXT_BYTES - 50, "01899", 5);
	memcpy(text + TEXT_BYTES - 20, "01900", 5);
	masks_copy(masks, text, TEXT_BYTES, 0, TEXT_BYTES, out);
	for (size_t i = 0; i < TEXT_BYTES; i++) {
		size_t behind = TEXT_BYTES - i;
		bool secret_here = (behind > 95 && behind <= 112) || (behind > 45 && behind <= 62);

		if (out[i] != (secret_here ? '*' : text[i]))
			fail_msg("%zu bytes before the end: %c", behind, out[i]);
	}
	assert_int_equal(masks_open_end(masks, text, TEXT_BYTES - 100), 12);
	masks_destroy(masks);
	free(text);
	free(out);
}

static void secrets_that_do_not_fit_hide_all_but_line_ends(void **state)
{
	char line[LIMIT_MASK_PIECE_BYTES + 1], out[16] = "";
	struct masks *masks = masks_create();

	(void)state;
	memset(line, 'x', sizeof(line) - 1);
	line[sizeof(line) - 1] = '\0';
	for (size_t i = 0; i < LIMIT_MASKS_BYTES / LIMIT_MASK_PIECE_BYTES; i++)
		masks_add(masks, line);
	assert_false(masks_hides_all(masks));
	masks_add(masks, "hunter22");
	assert_true(masks_hides_all(masks));
	masks_copy(masks, "one\ntwo\r\nthree", 14, 2, 14, out);
	assert_string_equal(out, "*\n****\n*****");
	assert_int_equal(masks_open_end(masks, "one", 3), 0);
	/* Whoever asks whether there is anything to hide is not misled. */
	assert_int_equal(masks_longest(masks), 1);
	masks_destroy(masks);
}

static bool is_covered(const char *const *secrets, const char *text, size_t size, size_t at)
{
	for (; *secrets != NULL; secrets++) {
		size_t n = strlen(*secrets);

		for (size_t begin = at + 1 > n ? at + 1 - n : 0; begin <= at; begin++) {
			if (begin + n <= size && memcmp(text + begin, *secrets, n) == 0)
				return true;
		}
	}
	return false;
}

/* Of two letters, so that nearly everything overlaps; what was added between two looks counts in the second. */
static void each_byte_is_covered_as_a_plain_search_would_say(void **state)
{
	static const char *const secrets[] = { "aaaaaa", "abaaba", "abaababb", "aabaab", "bbbbbbbab", "babbbbaa", NULL };
	struct masks *masks = masks_create();
	uint32_t random = 1;
	char text[4096], out[sizeof(text)];

	(void)state;
	for (size_t i = 0; i < sizeof(text); i++) {
		random = random * 1103515245 + 12345;
		text[i] = (random >> 16 & 3) < 2 ? 'a' : 'b';
	}
	for (size_t count = 0; count < 6; count++) {
		const char *known[ARRAY_SIZE(secrets)] = { NULL };

		memcpy(known, secrets, (count + 1) * sizeof(*secrets));
		masks_add(masks, secrets[count]);
		masks_copy(masks, text, sizeof(text), 0, sizeof(text), out);
		for (size_t i = 0; i < sizeof(text); i++)
			assert_int_equal(out[i], is_covered(known, text, sizeof(text), i) ? '*' : text[i]);
	}
	masks_destroy(masks);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(secrets_are_shown_as_asterisks_of_their_length),
		cmocka_unit_test(a_text_in_pieces_is_masked_as_a_whole),
		cmocka_unit_test(what_may_be_a_beginning_is_told),
		cmocka_unit_test(a_long_secret_is_found_in_pieces),
		cmocka_unit_test(many_secrets_that_are_much_alike_cost_a_text_nothing),
		cmocka_unit_test(secrets_that_do_not_fit_hide_all_but_line_ends),
		cmocka_unit_test(each_byte_is_covered_as_a_plain_search_would_say),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
