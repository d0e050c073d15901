/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "../cmocka_all.h"
#include "net/redis_url.h"

static const struct {
	const char *text;
	const char *want;       /* "host port path tls user password database", sentinels, master; NULL: refused */
	const char *name;
} cases[] = {
	{ "redis://127.0.0.1:6379/0", "127.0.0.1 6379 - plain - - 0", "redis://127.0.0.1:6379/0" },
	{ "redis://cache", "cache 6379 - plain - - 0", "redis://cache:6379/0" },
	{ "redis://cache/", "cache 6379 - plain - - 0", "redis://cache:6379/0" },
	{ "REDIS://cache/7", "cache 6379 - plain - - 7", "redis://cache:6379/7" },
	{ "rediss://cache:6380/2", "cache 6380 - tls - - 2", "rediss://cache:6380/2" },
	{ "redis://:secret@cache", "cache 6379 - plain - secret 0", "redis://cache:6379/0" },
	{ "redis://me:secret@cache:1/3", "cache 1 - plain me secret 3", "redis://cache:1/3" },
	{ "redis://me:a%40b%3a%2f@cache", "cache 6379 - plain me a@b:/ 0", "redis://cache:6379/0" },
	{ "redis://me:a@b@cache", "cache 6379 - plain me a@b 0", "redis://cache:6379/0" },
	{ "redis://[::1]:7000/1", "::1 7000 - plain - - 1", "redis://::1:7000/1" },
	{ "redis://[fe80::1]", "fe80::1 6379 - plain - - 0", "redis://fe80::1:6379/0" },
	{ "unix:///run/redis.sock", "- 0 /run/redis.sock plain - - 0", "unix:///run/redis.sock?db=0" },
	{ "unix:///run/redis.sock?db=4", "- 0 /run/redis.sock plain - - 4", "unix:///run/redis.sock?db=4" },
	{ "unix://:secret@/run/r", "- 0 /run/r plain - secret 0", "unix:///run/r?db=0" },
	{ "redis+sentinel://a/one", "- 0 - plain - - 0 a:26379 one", "redis+sentinel://a:26379/one/0" },
	{ "redis+sentinel://me:p@a:1,b,[::1]:7/one/3", "- 0 - plain me p 3 a:1 b:26379 ::1:7 one", "redis+sentinel://a:1/one/3" },
	{ "redis+sentinel://a", NULL, NULL },
	{ "redis+sentinel://a/", NULL, NULL },
	{ "redis+sentinel:///one", NULL, NULL },
	{ "redis+sentinel://a,/one", NULL, NULL },
	{ "redis+sentinel://,a/one", NULL, NULL },
	{ "redis+sentinel://a:0/one", NULL, NULL },
	{ "redis+sentinel://a/one/x", NULL, NULL },
	{ "redis+sentinel://a,b,c,d,e,f,g,h,i/one", NULL, NULL },
	{ "", NULL, NULL },
	{ "localhost:6379", NULL, NULL },
	{ "http://localhost", NULL, NULL },
	{ "redis://", NULL, NULL },
	{ "redis:///1", NULL, NULL },
	{ "redis://:6379", NULL, NULL },
	{ "redis://h:", NULL, NULL },
	{ "redis://h:0", NULL, NULL },
	{ "redis://h:65536", NULL, NULL },
	{ "redis://h:63a", NULL, NULL },
	{ "redis://h/x", NULL, NULL },
	{ "redis://h/-1", NULL, NULL },
	{ "redis://h/1048577", NULL, NULL },
	{ "redis://h/0?x=1", NULL, NULL },
	{ "redis://h/0 ", NULL, NULL },
	{ "redis://h\r\n", NULL, NULL },
	{ "redis://[::1", NULL, NULL },
	{ "redis://[]", NULL, NULL },
	{ "redis://hunter2@h", NULL, NULL },
	{ "redis://:@h", NULL, NULL },
	{ "redis://u:hunter2%zz@h", NULL, NULL },
	{ "redis://u:hunter2%0", NULL, NULL },
	{ "redis://u:hunter2@h:x", NULL, NULL },
	{ "redis://u:hunter2%00@h", NULL, NULL },
	{ "unix://run/redis.sock", NULL, NULL },
	{ "unix:///", NULL, NULL },
	{ "unix:///r?db=", NULL, NULL },
	{ "unix:///r?x=1", NULL, NULL },
};

static void test_parse(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct redis_url url;
		struct error err = { 0 };
		char got[256];

		if (!redis_url_parse(&url, cases[i].text, &err)) {
			if (cases[i].want != NULL || err.kind != ERROR_INVALID)
				fail_msg("%s: refused: %s", cases[i].text, err.text);
			assert_null(strstr(err.text, "hunter2"));
			continue;
		}
		snprintf(got, sizeof(got), "%s %u %s %s %s %s %u", url.host != NULL ? url.host : "-", url.port,
			url.path != NULL ? url.path : "-", url.tls ? "tls" : "plain", url.user != NULL ? url.user : "-",
			url.password != NULL ? url.password : "-", url.database);
		for (size_t k = 0; k < url.sentinel_count; k++)
			snprintf(got + strlen(got), sizeof(got) - strlen(got), " %s:%u", url.sentinels[k].host, url.sentinels[k].port);
		if (url.master != NULL)
			snprintf(got + strlen(got), sizeof(got) - strlen(got), " %s", url.master);
		if (cases[i].want == NULL || strcmp(got, cases[i].want) != 0)
			fail_msg("%s: got %s", cases[i].text, got);
		assert_string_equal(url.name, cases[i].name);
		redis_url_finish(&url);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_parse) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
