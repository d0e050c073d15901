/* SPDX-License-Identifier: Apache-2.0 */
/* postgresql_dial.h - a connection to a PostgreSQL server, made without waiting.
 *
 * libpq would look up names by itself and wait for the answer, so it is given addresses.  Its watchers do not keep a
 * loop alive that has nothing else to do, but for a name that is being looked up. */
#ifndef NET_POSTGRESQL_DIAL_H
#define NET_POSTGRESQL_DIAL_H

#include <ev.h>

#include "net/postgresql_url.h"

struct postgresql_dial;

/* conn: the caller's from now on, and non-blocking; NULL: none was made, and why says so (lent, perhaps of many lines;
 * see postgresql_message()).  The dial is over and gone before this. */
typedef void postgresql_dialled_fn(void *arg, PGconn *take_conn, const char *why);
/* url must outlive it and the connection.  done comes once, within POSTGRESQL_CONNECT_S, never from inside this call. */
struct postgresql_dial *postgresql_dial_start(struct ev_loop *loop, const struct postgresql_url *url,
	postgresql_dialled_fn *done, void *arg);
/* done does not come any more.  NULL is allowed. */
void postgresql_dial_cancel(struct postgresql_dial *dial);

#endif
