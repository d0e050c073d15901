/* SPDX-License-Identifier: Apache-2.0 */
/* listeners.h - the sockets that gantry-api accepts from.
 *
 * The master opens them, which may take root, and never closes one that is still configured: each
 * generation's API inherits the same, so no connection is refused while one replaces another, or while
 * it is being replaced after its death.  Those that the service manager has opened for us (LISTEN_FDS)
 * are used where the configuration names their address. */
#ifndef MASTER_LISTENERS_H
#define MASTER_LISTENERS_H

#include <stdbool.h>

#include "base/error.h"
#include "base/list.h"
#include "base/log.h"
#include "conf/conf.h"
#include "conf/listen_address.h"
#include "master/local_socket.h"
#include "master/privileges.h"

struct listener {
	struct list link;               /* listeners->all */
	char *text;                     /* as configured first; of a lent one, as the kernel says */
	struct listen_address address;
	int fd;
	struct local_name name;         /* of a Unix socket that is ours to remove */
	bool lent;                      /* the service manager's */
};

struct listeners {
	const struct log *log;
	struct list all;
};

void listeners_init(struct listeners *listeners, const struct log *log);
/* Takes over what LISTEN_FDS names, and clears it, so that no child sees it. */
void listeners_borrow(struct listeners *listeners);
/* Opens those of conf that are not open; false when one cannot be, and nothing was opened then.  Unix
 * sockets are the identity's. */
bool listeners_open(struct listeners *listeners, const struct conf *conf, const struct identity *identity,
	struct error *err);
/* Closes those that conf (NULL: none) does not name. */
void listeners_keep(struct listeners *listeners, const struct conf *conf);
/* The descriptor, still the listeners'; -1 when it is not open. */
int listeners_find(const struct listeners *listeners, const char *text);
/* One that came through an exec; takes fd. */
void listeners_inherit(struct listeners *listeners, const char *text, int fd, struct local_name name, bool lent);
void listeners_close(struct listeners *listeners);

#endif
