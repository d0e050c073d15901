/* SPDX-License-Identifier: Apache-2.0 */
/* programs.h - the other programs of this installation, pinned.
 *
 * Opened once in the life of a master image: a package that is replaced under a running daemon
 * comes into use by an upgrade, not by and by.  They are in LIBEXECDIR; GANTRY_LIBEXECDIR in the
 * environment names another place, for a build tree. */
#ifndef MASTER_PROGRAMS_H
#define MASTER_PROGRAMS_H

#include <stdbool.h>

#include "base/error.h"

struct programs {
	bool opened;
	int check_fd;
	int worker_fd;
	int api_fd;             /* -1: this installation has none */
	int shim_fd;            /* likewise */
};

void programs_init(struct programs *programs);
void programs_finish(struct programs *programs);
bool programs_open(struct programs *programs, struct error *err);
/* Runs gantry-check on a file in place of this process; returns only when that fails. */
void programs_exec_check(const char *conf_path, struct error *err);

#endif
