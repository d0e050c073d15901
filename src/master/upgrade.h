/* SPDX-License-Identifier: Apache-2.0 */
/* upgrade.h - another program takes over in the same process.
 *
 *      preflight: run it beside us on a copy of our state ─▶ state into sealed memory ─▶ exec
 *      ─▶ it decodes the state, takes everything over, and reloads
 *
 * Until the exec a failure leaves us as we were.  If the new program cannot take over it executes the
 * old one again, whose descriptor came along.  If it hangs, the alarm set before the exec ends it: the
 * workers drain, and the service manager starts anew. */
#ifndef MASTER_UPGRADE_H
#define MASTER_UPGRADE_H

#include <stdbool.h>

#include "base/error.h"
#include "master/errand.h"

struct master;
struct master_options;

enum { UPGRADE_PREFLIGHT_S = 10, UPGRADE_ALARM_S = 10 };

struct upgrade {
	struct master *master;
	char *program;                  /* path we were started from */
	int program_fd;                 /* ourselves, pinned */
	int next_fd;                    /* the one that is tried; -1: none */
	struct errand preflight;
	unsigned count;                 /* that took over, since the daemon began */
};

void upgrade_init(struct upgrade *upgrade, struct master *master);
void upgrade_finish(struct upgrade *upgrade);
bool upgrade_is_under_way(const struct upgrade *upgrade);
/* Starts the preflight.  Does not return at its end when the new program takes over. */
void upgrade_begin(struct upgrade *upgrade);
void upgrade_cancel(struct upgrade *upgrade, const char *why);

/* In the new program: takes over from the state in options->resume_fd, or does not return. */
void upgrade_resume(struct master *master);
/* gantryd --preflight: whether we could.  The exit status. */
int upgrade_preflight(int state_fd);

#endif
