/* SPDX-License-Identifier: Apache-2.0 */
/* listen_address.h - where HTTP is heard: "127.0.0.1:7777", "[::1]:7777", "unix:/run/gantry/api.sock".
 *
 * Addresses only.  To look a name up the master would have to wait for a server, and which of its
 * addresses is meant nobody could say. */
#ifndef CONF_LISTEN_ADDRESS_H
#define CONF_LISTEN_ADDRESS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <sys/un.h>

struct listen_address {
	union {
		struct sockaddr any;
		struct sockaddr_in ip4;
		struct sockaddr_in6 ip6;
		struct sockaddr_un local;
	};
};

/* False when text is none of these.  Port 0 is whatever is free. */
bool listen_address_parse(const char *text, struct listen_address *address);
socklen_t listen_address_size(const struct listen_address *address);
/* However they are written. */
bool listen_address_same(const struct listen_address *one, const struct listen_address *other);
/* The path of a Unix socket, else NULL. */
const char *listen_address_path(const struct listen_address *address);

#endif
