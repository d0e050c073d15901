/* SPDX-License-Identifier: Apache-2.0 */
/* conf_paths.h - where gantryd keeps what nobody told it a place for.
 *
 * $STATE holds what must outlive a start, $RUN what must not.  For a service they are the system's
 * (LOCALSTATEDIR/lib/gantry, RUNSTATEDIR/gantry); for an ordinary user his own, unless the system's
 * are there and he may write to them.  gantryctl finds a daemon by the same rule. */
#ifndef CONF_CONF_PATHS_H
#define CONF_CONF_PATHS_H

#include <stdbool.h>

#include "base/error.h"

struct conf_paths {
	char *state;
	char *run;
};

/* service: supervisor.user is set, so that root, who starts it, and that user find the same. */
void conf_paths_init(struct conf_paths *paths, bool service);
void conf_paths_finish(struct conf_paths *paths);
/* A copy of text with $STATE and $RUN replaced, the caller's to free. */
char *conf_paths_expand(const struct conf_paths *paths, const char *text);
/* Makes the directories that a file will be in, as far as they are missing, for ourselves alone.
 * False when that fails, or when one under /tmp is somebody else's. */
bool conf_paths_make(const char *file, struct error *err);

#endif
