/* SPDX-License-Identifier: Apache-2.0 */
/* hint.h - somebody else has changed the store: the workers are to look.
 *
 * A job was submitted, cancelled or retried through gantryctl or the API, which write the store
 * themselves.  The first hint is passed on at once; those that follow within a moment share one word. */
#ifndef MASTER_HINT_H
#define MASTER_HINT_H

#include <ev.h>
#include <stdbool.h>

struct master;

struct hint {
	struct master *master;
	ev_timer pause;                 /* active: the workers have been told just now */
	bool again;                     /* another one came meanwhile */
};

void hint_init(struct hint *hint, struct master *master);
void hint_finish(struct hint *hint);
void hint_give(struct hint *hint);
/* Passes on what waits, before an exec. */
void hint_flush(struct hint *hint);

#endif
