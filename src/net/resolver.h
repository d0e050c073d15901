/* SPDX-License-Identifier: Apache-2.0 */
/* resolver.h - a name's addresses, without waiting: c-ares on the loop.
 *
 * One lookup, which reads /etc/hosts and /etc/resolv.conf as they are at its start.  Nothing is
 * remembered between lookups; who reconnects seldom needs no cache. */
#ifndef NET_RESOLVER_H
#define NET_RESOLVER_H

#include <ev.h>
#include <stddef.h>
#include <sys/socket.h>

#include "base/error.h"

enum { LIMIT_RESOLVER_ADDRESSES = 16 };

struct resolver;

struct resolver_address {
	struct sockaddr_storage storage;
	socklen_t size;
};

/* err NULL: at least one address, in the order to try them (RFC 6724).  ERROR_TEMPORARY: no answer, or no such
 * name.  Lent.  The lookup is over and gone after this. */
typedef void resolver_done_fn(void *arg, const struct resolver_address *addresses, size_t count,
	const struct error *err);
/* host may be a name or an address in digits.  done never comes from inside this call. */
struct resolver *resolver_start(struct ev_loop *loop, const char *host, unsigned port, resolver_done_fn *done,
	void *arg);
/* NULL is allowed. */
void resolver_cancel(struct resolver *resolver);

#endif
