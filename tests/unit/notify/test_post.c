/* SPDX-License-Identifier: Apache-2.0 */
/* What a receiver's answer means, and what is said in words. */
#include <stdlib.h>
#include <string.h>

#include "../cmocka_all.h"
#include "base/buf.h"
#include "base/json_at.h"
#include "notify/notice_text.h"
#include "notify/post.h"

static const struct {
	const char *name;
	long status;
	const char *headers;            /* one line */
	enum error_kind failure, want;
	double want_retry_after_s;
} answers[] = {
	{ "taken", 200, "", ERROR_NONE, ERROR_NONE, 0 },
	{ "taken without a word", 204, "", ERROR_NONE, ERROR_NONE, 0 },
	{ "taken with too many words", 200, "", ERROR_AMBIGUOUS, ERROR_NONE, 0 },
	{ "nobody there any more", 410, "", ERROR_NONE, ERROR_INVALID, 0 },
	{ "elsewhere", 302, "Location: http://h/", ERROR_NONE, ERROR_REFUSED, 0 },
	{ "not modified", 304, "", ERROR_NONE, ERROR_REFUSED, 0 },
	{ "not allowed, which may change", 403, "", ERROR_NONE, ERROR_AMBIGUOUS, 0 },
	{ "too many", 429, "Retry-After: 7", ERROR_NONE, ERROR_THROTTLED, 7 },
	{ "later", 503, "retry-after:  120", ERROR_NONE, ERROR_AMBIGUOUS, 120 },
	{ "much later", 503, "Retry-After: 99999999", ERROR_NONE, ERROR_AMBIGUOUS, 21600 },
	{ "nonsense", 503, "Retry-After: soon", ERROR_NONE, ERROR_AMBIGUOUS, 0 },
	{ "in the past", 503, "Retry-After: Wed, 21 Oct 2015 07:28:00 GMT", ERROR_NONE, ERROR_AMBIGUOUS, 0 },
	{ "no answer", 0, "", ERROR_TEMPORARY, ERROR_TEMPORARY, 0 },
	{ "an unusable URL, which a reload may mend", 0, "", ERROR_INVALID, ERROR_REFUSED, 0 },
};

static void test_answers(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		struct error failure = { .kind = answers[i].failure }, err;
		struct http_reply reply = { .status = answers[i].status, .body = "" };
		double retry_after_s;
		struct buf headers;

		buf_init(&headers, 1000);
		buf_add(&headers, answers[i].headers, strlen(answers[i].headers) + 1);
		reply.headers = &headers;
		post_judge(&reply, failure.kind != ERROR_NONE ? &failure : NULL, &err, &retry_after_s);
		if (err.kind != answers[i].want || retry_after_s != answers[i].want_retry_after_s)
			fail_msg("%s: %s after %f", answers[i].name, error_kind_name(err.kind), retry_after_s);
		buf_finish(&headers);
	}
}

static const struct { const char *name, *template, *want; } texts[] = {
	{ "plain", "told", "told" },
	{ "values", "{{ project }} {{event}} {{ exit_code }} {{ attempt }}", "shop failed 3 2" },
	{ "what is not there", "[{{ stage }}{{ reason }}]", "[]" },
	{ "a value is no template", "{{ ref }}", "{{ id }}" },
	{ "ours", NULL, "shop: failed" },
};

static void test_texts(void **state)
{
	static const char payload[] = "{\"type\": \"job.failed\", \"host\": \"h\", \"data\": {\"event\": \"failed\","
		" \"project\": \"shop\",\"exit_code\": 3, \"reason\": null, \"ref\": \"{{ id }}\", \"attempt\": {\"number\": 2}}}";
	json_t *doc = json_at_parse(payload, strlen(payload), NULL);

	(void)state;
	assert_non_null(doc);
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		char *got = notice_text_line(doc, texts[i].template);

		if (strcmp(got, texts[i].want) != 0)
			fail_msg("%s: %s", texts[i].name, got);
		free(got);
	}
	json_decref(doc);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_answers), cmocka_unit_test(test_texts) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
