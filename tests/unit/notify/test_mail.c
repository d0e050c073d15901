/* SPDX-License-Identifier: Apache-2.0 */
/* A mail is well formed whatever is put into it. */
#include <stdlib.h>
#include <string.h>

#include "../cmocka_all.h"
#include "notify/mail.h"

static char *compose(const char *subject, const char *text, const char *to)
{
	const struct mail mail = {
		.id = "gantry-1-2", .from = "gantry@example.com", .to = &to, .to_count = 1, .subject = subject, .text = text,
		.url = "https://h/?a=1&b=\"2\"", .at_ms = 1766000000123,
	};

	return mail_compose(&mail);
}

static void want(const char *mail, const char *part)
{
	if (strstr(mail, part) == NULL)
		fail_msg("no \"%s\" in:\n%s", part, mail);
}

static void test_headers_and_parts(void **state)
{
	char *mail = compose("shop: failed", "a = b\n. dot\nFrom me\n\xc3\xa4\n", "ops@example.com");

	(void)state;
	want(mail, "Date: Wed, 17 Dec 2025 19:33:20 +0000\r\n");
	want(mail, "From: <gantry@example.com>\r\nTo: <ops@example.com>\r\nSubject: shop: failed\r\n");
	want(mail, "Message-ID: <gantry-1-2@example.com>\r\n");
	want(mail, "boundary=\"=_gantry-1-2\"\r\n\r\n--=_gantry-1-2\r\nContent-Type: text/plain; charset=utf-8\r\n");
	want(mail, "\r\n\r\na =3D b\r\n=2E dot\r\n=46rom me\r\n=C3=A4\r\n");
	want(mail, "<a href=3D\"https://h/?a=3D1&amp;b=3D&quot;2&quot;\">");
	assert_string_equal(strstr(mail, "\r\n--=_gantry-1-2--"), "\r\n--=_gantry-1-2--\r\n");
	free(mail);
}

/* What a message holds ends up in the subject and in addresses that it names. */
static const struct { const char *name, *subject, *to; } hostile[] = {
	{ "line breaks in the subject", "x\r\nBcc: a@b\r\n\r\nbody", "ops@example.com" },
	{ "a bare newline", "x\nBcc: a@b", "ops@example.com" },
	{ "an encoded word", "=?UTF-8?Q?=0D=0ABcc:_a?=", "ops@example.com" },
	{ "line breaks in an address", "x", "a@b>\r\nBcc: <c@d" },
};

static void test_nothing_adds_a_header(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(hostile) / sizeof(hostile[0]); i++) {
		char *mail = compose(hostile[i].subject, "text", hostile[i].to);
		char *end = strstr(mail, "\r\n\r\n");

		assert_non_null(end);
		*end = '\0';
		if (strstr(mail, "\nBcc") != NULL || strstr(mail, "?Q?=0D") != NULL)
			fail_msg("%s:\n%s", hostile[i].name, mail);
		free(mail);
	}
}

static void test_lines_are_short_and_characters_whole(void **state)
{
	static char text[8000], subject[600];
	char *mail;
	size_t column = 0;

	(void)state;
	for (size_t i = 0; i + 4 < sizeof(text); i += 3)
		memcpy(text + i, "\xe2\x82\xac", 4);
	for (size_t i = 0; i + 4 < sizeof(subject); i += 3)
		memcpy(subject + i, "\xe2\x82\xac", 4);
	mail = compose(subject, text, "ops@example.com");
	for (const char *at = mail; *at != '\0'; at++) {
		column = *at == '\n' ? 0 : column + 1;
		assert_true(column <= 78);
	}
	/* 39 bytes are thirteen whole characters: each word decodes by itself. */
	want(mail, "Subject: =?UTF-8?B?4oKs4oKs4oKs4oKs4oKs4oKs4oKs4oKs4oKs4oKs4oKs4oKs4oKs?=\r\n =?UTF-8?B?4oKs");
	free(mail);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_headers_and_parts),
		cmocka_unit_test(test_nothing_adds_a_header),
		cmocka_unit_test(test_lines_are_short_and_characters_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
