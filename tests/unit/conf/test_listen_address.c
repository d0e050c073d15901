/* SPDX-License-Identifier: Apache-2.0 */
#include "../cmocka_all.h"

#include <string.h>

#include "conf/listen_address.h"

static const struct { const char *name, *given; int want; } addresses[] = {
	{ "IPv4", "127.0.0.1:7777", AF_INET },
	{ "every IPv4 address", "0.0.0.0:80", AF_INET },
	{ "IPv6", "[::1]:7777", AF_INET6 },
	{ "every IPv6 address", "[::]:80", AF_INET6 },
	{ "IPv6 at its longest", "[ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255]:65535", AF_INET6 },
	{ "a Unix socket", "unix:/run/gantry/api.sock", AF_UNIX },
	{ "any port", "127.0.0.1:0", AF_INET },
	{ "the highest port", "127.0.0.1:65535", AF_INET },
	{ "a port that is none", "127.0.0.1:65536", -1 },
	{ "a port of too many digits", "127.0.0.1:000080", -1 },
	{ "a port in words", "127.0.0.1:http", -1 },
	{ "a sign", "127.0.0.1:+80", -1 },
	{ "no port", "127.0.0.1", -1 },
	{ "an empty port", "127.0.0.1:", -1 },
	{ "a host's name", "localhost:80", -1 },
	{ "a short address", "127.1:80", -1 },
	{ "no address", ":80", -1 },
	{ "IPv6 without brackets", "::1:80", -1 },
	{ "an open bracket", "[::1:80", -1 },
	{ "a bracket and nothing", "[::1]", -1 },
	{ "IPv4 in brackets", "[127.0.0.1]:80", -1 },
	{ "an interface", "[fe80::1%eth0]:80", -1 },
	{ "a host that is too long", "[0000:0000:0000:0000:0000:0000:0000:0000:0000:0000]:80", -1 },
	{ "a relative path", "unix:api.sock", -1 },
	{ "an abstract name", "unix:@gantry", -1 },
	{ "a directory", "unix:/run/gantry/", -1 },
	{ "no path", "unix:", -1 },
	{ "a path that no socket takes",
	  "unix:/2345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567",
	  AF_UNIX },
	{ "one that is longer by one",
	  "unix:/23456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678",
	  -1 },
	{ "a URL", "http://127.0.0.1:80", -1 },
	{ "nothing", "", -1 },
};

static void test_what_is_an_address(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(addresses); i++) {
		struct listen_address address;
		bool ok = listen_address_parse(addresses[i].given, &address);

		if (ok != (addresses[i].want >= 0) || (ok && address.any.sa_family != addresses[i].want))
			fail_msg("%s", addresses[i].name);
	}
}

static const struct { const char *one, *other; bool want; } pairs[] = {
	{ "127.0.0.1:80", "127.0.0.1:080", true },
	{ "127.0.0.1:80", "127.0.0.1:81", false },
	{ "127.0.0.1:80", "127.0.0.2:80", false },
	{ "[::1]:80", "[0:0:0::1]:80", true },
	{ "[::1]:80", "[::2]:80", false },
	{ "[::ffff:127.0.0.1]:80", "127.0.0.1:80", false },
	{ "unix:/a", "unix:/a", true },
	{ "unix:/a", "unix:/b", false },
	{ "unix:/a", "127.0.0.1:80", false },
};

static void test_what_is_the_same_address(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
		struct listen_address one, other;

		assert_true(listen_address_parse(pairs[i].one, &one));
		assert_true(listen_address_parse(pairs[i].other, &other));
		if (listen_address_same(&one, &other) != pairs[i].want || listen_address_same(&other, &one) != pairs[i].want)
			fail_msg("%s and %s", pairs[i].one, pairs[i].other);
	}
}

static void test_path_and_size(void **state)
{
	struct listen_address address;

	(void)state;
	assert_true(listen_address_parse("unix:/run/x", &address));
	assert_string_equal(listen_address_path(&address), "/run/x");
	assert_int_equal(listen_address_size(&address), sizeof(struct sockaddr_un));
	assert_true(listen_address_parse("[::1]:1", &address));
	assert_null(listen_address_path(&address));
	assert_int_equal(listen_address_size(&address), sizeof(struct sockaddr_in6));
	assert_true(listen_address_parse("1.2.3.4:1", &address));
	assert_int_equal(listen_address_size(&address), sizeof(struct sockaddr_in));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_an_address),
		cmocka_unit_test(test_what_is_the_same_address),
		cmocka_unit_test(test_path_and_size),
	};

	return cmocka_run_group_tests_name("listen_address", tests, NULL, NULL);
}
