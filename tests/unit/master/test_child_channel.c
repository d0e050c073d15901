/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "../cmocka_all.h"
#include "master/child_impl.h"

static const struct { const char *name; int error; enum child_send_fate want; } sends[] = {
	{ "no room in the channel", EAGAIN, CHILD_SEND_FULL },
	{ "its end is closed", EPIPE, CHILD_SEND_GONE },
	{ "it died with something unread", ECONNRESET, CHILD_SEND_GONE },
	{ "it was never connected", ENOTCONN, CHILD_SEND_GONE },
	{ "no memory for a buffer", ENOBUFS, CHILD_SEND_LATER },
	{ "no memory at all", ENOMEM, CHILD_SEND_LATER },
	{ "too many descriptors on their way", ETOOMANYREFS, CHILD_SEND_LATER },
	{ "a descriptor that is none", EBADF, CHILD_SEND_NEVER },
	{ "a message that is too long", EMSGSIZE, CHILD_SEND_NEVER },
};

static void test_what_an_error_says_of_the_next_send(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sends); i++) {
		if (child_send_fate(sends[i].error) != sends[i].want)
			fail_msg("%s", sends[i].name);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_what_an_error_says_of_the_next_send) };

	return cmocka_run_group_tests_name("child_channel", tests, NULL, NULL);
}
