/* SPDX-License-Identifier: Apache-2.0 */
/* test_job.c - the noun, its copy and its token. */
#include <stdlib.h>
#include <string.h>

#include "../cmocka_all.h"
#include "base/mem.h"
#include "job/job.h"
#include "job/job_token.h"

static void new_job_has_its_defaults(void **state)
{
	struct job *job = job_create();

	(void)state;
	assert_int_equal(job->state, JOB_QUEUED);
	assert_int_equal(job->priority, JOB_PRIORITY_DEFAULT);
	assert_int_equal(job->exit_code, JOB_NO_EXIT_CODE);
	assert_null(job->id);
	job_destroy(job);
	job_destroy(NULL);
}

/* Freed apart, so that the sanitizer sees a text that both would own. */
static void copy_shares_nothing(void **state)
{
	struct job *job = job_create();
	struct job *copy;

	(void)state;
	job->id = xstrdup("1");
	job->body = xstrdup("{}");
	job->message.receipt = xstrdup("r");
	job->attempt.handle = xstrdup("h");
	job->seq = 7;
	copy = job_copy(job);
	job_destroy(job);
	assert_string_equal(copy->id, "1");
	assert_string_equal(copy->body, "{}");
	assert_string_equal(copy->message.receipt, "r");
	assert_string_equal(copy->attempt.handle, "h");
	assert_null(copy->project);
	assert_int_equal(copy->seq, 7);
	job_destroy(copy);
}

static void long_detail_is_cut(void **state)
{
	char *text = xcalloc(LIMIT_JOB_DETAIL_BYTES * 2, 1);
	struct job_result result;

	(void)state;
	memset(text, 'x', LIMIT_JOB_DETAIL_BYTES * 2 - 1);
	job_result_set(&result, JOB_FAILED, "exit_code", 2, "%s", text);
	assert_int_equal(strlen(result.detail), LIMIT_JOB_DETAIL_BYTES - 1);
	assert_string_equal(result.reason, "exit_code");
	job_result_set(&result, JOB_SUCCEEDED, NULL, 0, "%s", "done");
	assert_string_equal(result.reason, "");
	assert_string_equal(result.detail, "done");
	free(text);
}

static void policies_read_back(void **state)
{
	enum lock_policy parsed;

	(void)state;
	for (int i = 0; i < LOCK_POLICIES; i++) {
		assert_true(lock_policy_parse(lock_policy_name((enum lock_policy)i), &parsed));
		assert_int_equal(parsed, i);
	}
	assert_false(lock_policy_parse("first", &parsed));
}

/* The digest that sha256sum gives: a token that changes between versions would launch twice. */
static void token_is_fixed_and_differs_by_attempt_and_step(void **state)
{
	char *token = job_token("q:m1", 1, 0);
	char *attempt = job_token("q:m1", 2, 0);
	char *step = job_token("q:m1", 1, 1);

	(void)state;
	assert_string_equal(token, "dce1587f628a932e251fbb52dd74aa1c352c4b8aa89b82e924d9e2d6f80bcc98");
	assert_string_not_equal(token, attempt);
	assert_string_not_equal(token, step);
	assert_string_not_equal(attempt, step);
	free(token);
	free(attempt);
	free(step);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(new_job_has_its_defaults),
		cmocka_unit_test(copy_shares_nothing),
		cmocka_unit_test(long_detail_is_cut),
		cmocka_unit_test(policies_read_back),
		cmocka_unit_test(token_is_fixed_and_differs_by_attempt_and_step),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
