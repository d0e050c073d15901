/* SPDX-License-Identifier: Apache-2.0 */
/* local_socket.h - a Unix stream socket and its name in the file system.
 *
 * A name that nobody answers at is left from before and replaced; one that is served, or is no socket,
 * is left alone.  At the end the name is removed only while it is still the one that was made here. */
#ifndef MASTER_LOCAL_SOCKET_H
#define MASTER_LOCAL_SOCKET_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "master/privileges.h"

/* Which file it was; zeroes: none of ours. */
struct local_name {
	uint64_t device, inode;
};

/* A listening socket at path, mode 0660, the identity's; close-on-exec and non-blocking.  what begins the
 * error texts ("control socket").  -1 on error. */
int local_socket_listen(const char *what, const char *path, int backlog, const struct identity *identity,
	struct local_name *name, struct error *err);
void local_socket_remove(const char *path, const struct local_name *name);

#endif
