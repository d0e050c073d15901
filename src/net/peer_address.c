/* SPDX-License-Identifier: Apache-2.0 */
/* peer_address.c - see peer_address.h. */
#include "net/peer_address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static const struct block4 {
	uint32_t net;
	unsigned bits;
} special4[] = {
	{ 0x00000000, 8 },      /* this network */
	{ 0x0a000000, 8 },      /* private */
	{ 0x64400000, 10 },     /* shared by carriers */
	{ 0x7f000000, 8 },      /* loopback */
	{ 0xa9fe0000, 16 },     /* link-local, cloud metadata */
	{ 0xac100000, 12 },     /* private */
	{ 0xc0000000, 24 },     /* protocol assignments */
	{ 0xc0000200, 24 },     /* documentation */
	{ 0xc0586300, 24 },     /* 6to4 relays */
	{ 0xc0a80000, 16 },     /* private */
	{ 0xc6120000, 15 },     /* benchmarks */
	{ 0xc6336400, 24 },     /* documentation */
	{ 0xcb007100, 24 },     /* documentation */
	{ 0xe0000000, 4 },      /* multicast */
	{ 0xf0000000, 4 },      /* reserved, broadcast */
};

static bool is_public4(uint32_t address)
{
	for (size_t i = 0; i < sizeof(special4) / sizeof(special4[0]); i++) {
		if (((address ^ special4[i].net) >> (32 - special4[i].bits)) == 0)
			return false;
	}
	return true;
}

static uint32_t four_bytes(const uint8_t *bytes)
{
	return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

/* Only 2000::/3 is given out, and some of it for other ends.  What carries an IPv4 address goes there. */
static bool is_public6(const uint8_t *bytes)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	static const uint8_t nat64[12] = { 0x00, 0x64, 0xff, 0x9b };
	uint32_t head = four_bytes(bytes);

	if (memcmp(bytes, mapped, sizeof(mapped)) == 0 || memcmp(bytes, nat64, sizeof(nat64)) == 0)
		return is_public4(four_bytes(bytes + 12));
	if (head >> 16 == 0x2002)
		return is_public4(four_bytes(bytes + 2));
	if (head >> 29 != 1)
		return false;
	/* 2001::/23 protocol assignments with Teredo; 2001:db8::/32 and 3fff::/20 documentation */
	return head >> 9 != 0x20010000 >> 9 && head != 0x20010db8 && head >> 12 != 0x3fff0000 >> 12;
}

bool peer_address_is_public(const struct sockaddr *address)
{
	if (address->sa_family == AF_INET)
		return is_public4(ntohl(((const struct sockaddr_in *)(const void *)address)->sin_addr.s_addr));
	if (address->sa_family == AF_INET6)
		return is_public6(((const struct sockaddr_in6 *)(const void *)address)->sin6_addr.s6_addr);
	return false;
}

void peer_address_text(const struct sockaddr *address, char text[PEER_ADDRESS_BYTES])
{
	const void *bytes = NULL;

	if (address->sa_family == AF_INET)
		bytes = &((const struct sockaddr_in *)(const void *)address)->sin_addr;
	else if (address->sa_family == AF_INET6)
		bytes = &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr;
	if (bytes == NULL || inet_ntop(address->sa_family, bytes, text, PEER_ADDRESS_BYTES) == NULL)
		snprintf(text, PEER_ADDRESS_BYTES, "an unknown address");
}
