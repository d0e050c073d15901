/* SPDX-License-Identifier: Apache-2.0 */
/* listen_address.c - see listen_address.h. */
#include "conf/listen_address.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

enum { HIGHEST_PORT = 65535, PORT_DIGITS = 5 };

static bool parse_port(const char *text, in_port_t *port)
{
	size_t length = strspn(text, "0123456789");
	unsigned long value;

	if (length == 0 || length > PORT_DIGITS || text[length] != '\0')
		return false;
	value = strtoul(text, NULL, 10);
	*port = htons((in_port_t)value);
	return value <= HIGHEST_PORT;
}

/* Copies the host, which is an address of either family and so short. */
static bool take_host(const char *begin, const char *end, char host[INET6_ADDRSTRLEN])
{
	size_t length = (size_t)(end - begin);

	if (length >= INET6_ADDRSTRLEN)
		return false;
	memcpy(host, begin, length);
	host[length] = '\0';
	return true;
}

static bool parse_ip6(const char *text, struct sockaddr_in6 *address)
{
	const char *end = strchr(text, ']');
	char host[INET6_ADDRSTRLEN];

	address->sin6_family = AF_INET6;
	return end != NULL && end[1] == ':' && take_host(text + 1, end, host) &&
		inet_pton(AF_INET6, host, &address->sin6_addr) == 1 && parse_port(end + 2, &address->sin6_port);
}

static bool parse_ip4(const char *text, struct sockaddr_in *address)
{
	const char *end = strchr(text, ':');
	char host[INET6_ADDRSTRLEN];

	address->sin_family = AF_INET;
	return end != NULL && take_host(text, end, host) && inet_pton(AF_INET, host, &address->sin_addr) == 1 &&
		parse_port(end + 1, &address->sin_port);
}

static bool parse_local(const char *path, struct sockaddr_un *address)
{
	size_t length = strlen(path);

	address->sun_family = AF_UNIX;
	if (path[0] != '/' || path[length - 1] == '/' || length >= sizeof(address->sun_path))
		return false;
	memcpy(address->sun_path, path, length + 1);
	return true;
}

bool listen_address_parse(const char *text, struct listen_address *address)
{
	memset(address, 0, sizeof(*address));
	if (strncmp(text, "unix:", 5) == 0)
		return parse_local(text + 5, &address->local);
	return text[0] == '[' ? parse_ip6(text, &address->ip6) : parse_ip4(text, &address->ip4);
}

socklen_t listen_address_size(const struct listen_address *address)
{
	switch (address->any.sa_family) {
	case AF_INET: return sizeof(address->ip4);
	case AF_INET6: return sizeof(address->ip6);
	default: return sizeof(address->local);
	}
}

bool listen_address_same(const struct listen_address *one, const struct listen_address *other)
{
	if (one->any.sa_family != other->any.sa_family)
		return false;
	switch (one->any.sa_family) {
	case AF_INET:
		return one->ip4.sin_port == other->ip4.sin_port &&
			one->ip4.sin_addr.s_addr == other->ip4.sin_addr.s_addr;
	case AF_INET6:
		return one->ip6.sin6_port == other->ip6.sin6_port &&
			IN6_ARE_ADDR_EQUAL(&one->ip6.sin6_addr, &other->ip6.sin6_addr);
	default:
		return strcmp(one->local.sun_path, other->local.sun_path) == 0;
	}
}

const char *listen_address_path(const struct listen_address *address)
{
	return address->any.sa_family == AF_UNIX ? address->local.sun_path : NULL;
}
