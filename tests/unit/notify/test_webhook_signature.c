/* SPDX-License-Identifier: Apache-2.0 */
/* Signatures as Standard Webhooks has them; the first is the specification's own example. */
#include <stdlib.h>
#include <string.h>

#include "../cmocka_all.h"
#include "notify/webhook_signature.h"

static const struct {
	const char *name, *secret, *old_secret, *id;
	long long timestamp_s;
	const char *body, *want;
} cases[] = {
	{ "the vector of the specification's libraries", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", NULL,
	  "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, "{\"test\": 2432232314}",
	  "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=" },
	{ "a key as it is", "plain and old", NULL, "id", 1, "{}", "v1,RWtxBZTNyXQgPw6tM+FjmDi/cCVOmNHLiFURkdkY3vI=" },
	{ "two secrets", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "plain and old", "id", 1, "{}",
	  "v1,JfXjMMqge4u+EPvLrwjCdicz+Ic6VEHJpLydsoNwpyE= v1,RWtxBZTNyXQgPw6tM+FjmDi/cCVOmNHLiFURkdkY3vI=" },
	{ "a padded key", "whsec_YQ==", NULL, "id", 1, "{}", "v1,jIAzF9usBLYFfX5OVLQDyVhJPtXWHPJDYJNnwKPrHWA=" },
	{ "no secret", NULL, NULL, "id", 1, "{}", NULL },
};

static void test_signatures(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *got = webhook_signature(cases[i].secret, cases[i].old_secret, cases[i].id, cases[i].timestamp_s,
			cases[i].body);

		if ((got == NULL) != (cases[i].want == NULL) || (got != NULL && strcmp(got, cases[i].want) != 0))
			fail_msg("%s: got %s", cases[i].name, got != NULL ? got : "nothing");
		free(got);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_signatures) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
