/* SPDX-License-Identifier: Apache-2.0 */
/* peer_address.h - whether an address is one of the public internet's.
 *
 * Asked about the address that a connection is made to, after the name was looked up: a name that is looked
 * up again for the connection may say something else. */
#ifndef NET_PEER_ADDRESS_H
#define NET_PEER_ADDRESS_H

#include <stdbool.h>
#include <sys/socket.h>

enum { PEER_ADDRESS_BYTES = 64 };

/* False for what is private, shared, loopback, link-local (cloud metadata is there), reserved, for documentation or
 * multicast, also inside an IPv6 address that only carries an IPv4 one, and for every other family.  The
 * blocks are those of IANA's special-purpose registries (RFC 6890). */
bool peer_address_is_public(const struct sockaddr *address);
/* The address in digits, for people. */
void peer_address_text(const struct sockaddr *address, char text[PEER_ADDRESS_BYTES]);

#endif
