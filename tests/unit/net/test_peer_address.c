/* SPDX-License-Identifier: Apache-2.0 */
/* Which addresses strangers may have us connect to. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "../cmocka_all.h"
#include "net/peer_address.h"

static const struct { const char *address; bool public; } cases[] = {
	{ "8.8.8.8", true }, { "1.1.1.1", true }, { "11.0.0.1", true }, { "172.15.255.255", true }, { "172.32.0.1", true },
	{ "100.63.255.255", true }, { "100.128.0.1", true }, { "169.253.1.1", true }, { "223.255.255.255", true },
	{ "192.167.1.1", true }, { "198.17.0.1", true }, { "198.20.0.1", true },
	{ "0.0.0.0", false }, { "0.1.2.3", false }, { "10.0.0.1", false }, { "10.255.255.255", false },
	{ "100.64.0.1", false }, { "127.0.0.1", false }, { "127.255.0.1", false }, { "169.254.169.254", false },
	{ "169.254.170.2", false }, { "172.16.0.1", false }, { "172.31.255.255", false }, { "192.0.0.8", false },
	{ "192.0.2.1", false }, { "192.168.1.1", false }, { "198.18.0.1", false }, { "198.51.100.7", false },
	{ "203.0.113.9", false }, { "224.0.0.1", false }, { "239.1.1.1", false }, { "240.0.0.1", false },
	{ "255.255.255.255", false },
	/* The last of each block, and the first behind it. */
	{ "0.255.255.255", false }, { "1.0.0.0", true }, { "11.0.0.0", true }, { "100.127.255.255", false },
	{ "100.128.0.0", true }, { "127.255.255.255", false }, { "128.0.0.0", true }, { "169.254.255.255", false },
	{ "169.255.0.0", true }, { "172.32.0.0", true }, { "192.0.0.255", false }, { "192.0.1.0", true },
	{ "192.0.2.255", false }, { "192.0.3.0", true }, { "192.88.99.255", false }, { "192.88.100.0", true },
	{ "192.168.255.255", false }, { "192.169.0.0", true }, { "198.19.255.255", false }, { "198.20.0.0", true },
	{ "198.51.100.255", false }, { "198.51.101.0", true }, { "203.0.113.255", false }, { "203.0.114.0", true },
	{ "239.255.255.255", false },
	{ "2606:4700::1111", true }, { "2a00:1450::1", true }, { "::ffff:8.8.8.8", true }, { "64:ff9b::8.8.8.8", true },
	{ "2002:808:808::1", true },
	{ "::", false }, { "::1", false }, { "::ffff:127.0.0.1", false }, { "::ffff:169.254.169.254", false },
	{ "64:ff9b::10.0.0.1", false }, { "64:ff9b:1::1", false }, { "2002:7f00:1::1", false }, { "2002:a00:1::1", false },
	{ "fe80::1", false }, { "fec0::1", false }, { "fc00::1", false }, { "fd00:ec2::254", false }, { "ff02::1", false },
	{ "2001::1", false }, { "2001:db8::1", false }, { "3fff:1::1", false }, { "100::1", false }, { "::7f00:1", false },
};

static void test_addresses(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct sockaddr_in6 six = { .sin6_family = AF_INET6 };
		struct sockaddr_in four = { .sin_family = AF_INET };
		bool is_six = strchr(cases[i].address, ':') != NULL;
		const struct sockaddr *address = is_six ? (void *)&six : (void *)&four;
		char text[PEER_ADDRESS_BYTES];

		assert_int_equal(inet_pton(address->sa_family, cases[i].address, is_six ? (void *)&six.sin6_addr :
			(void *)&four.sin_addr), 1);
		if (peer_address_is_public(address) != cases[i].public)
			fail_msg("%s is %spublic", cases[i].address, cases[i].public ? "" : "not ");
		peer_address_text(address, text);
		if (!is_six)
			assert_string_equal(text, cases[i].address);
	}
}

static void test_no_other_family_is_public(void **state)
{
	const struct sockaddr local = { .sa_family = AF_UNIX };

	(void)state;
	assert_false(peer_address_is_public(&local));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_no_other_family_is_public),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
