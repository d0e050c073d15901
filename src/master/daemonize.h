/* SPDX-License-Identifier: Apache-2.0 */
/* daemonize.h - into the background, with a parent that tells the truth.
 *
 * The process that was started waits until the daemon has said how its start went, and ends with
 * that. */
#ifndef MASTER_DAEMONIZE_H
#define MASTER_DAEMONIZE_H

#include <stdbool.h>

#include "base/error.h"

/* Returns in the daemon, with a descriptor to tell; -1 when that could not be done.  The first process
 * does not return. */
int daemonize(struct error *err);
/* Says once how it went, with what the parent prints when it went wrong, and closes tell_fd. */
void daemonize_tell(int *tell_fd, bool ready, const char *why);
/* From now on nothing of ours reaches the terminal; standard error only where the log still needs it. */
void daemonize_detach(bool keep_stderr);

#endif
