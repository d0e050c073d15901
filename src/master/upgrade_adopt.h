/* SPDX-License-Identifier: Apache-2.0 */
/* upgrade_adopt.h - a master as upgrade_state, and back. */
#ifndef MASTER_UPGRADE_ADOPT_H
#define MASTER_UPGRADE_ADOPT_H

#include <stdbool.h>

#include "base/error.h"
#include "master/upgrade_state.h"

struct master;

enum { LIMIT_UPGRADE_EDITIONS = LIMIT_GENERATIONS + 2 };

/* Fills state; the caller finishes it. */
void upgrade_adopt_describe(struct master *master, struct upgrade_state *state);
/* Makes the parts of a fresh master those of state.  On false nothing that crossed was closed, so
 * that another program can still take it. */
bool upgrade_adopt_take(struct master *master, const struct upgrade_state *state, struct error *err);
/* Whether an exec keeps what the master would hand over.  False when that could not be set for all. */
bool upgrade_adopt_keep_open(struct master *master, bool keep);

#endif
