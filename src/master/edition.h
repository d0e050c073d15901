/* SPDX-License-Identifier: Apache-2.0 */
/* edition.h - what all processes of a generation have in common: the checked configuration, the
 * programs they run, where they log.
 *
 * Shared and counted: a generation holds one, and so does whoever may go back to it.  A respawn, hours
 * later, finds what the first ones found, whatever has happened to the files. */
#ifndef MASTER_EDITION_H
#define MASTER_EDITION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "conf/conf.h"
#include "master/log_target.h"
#include "master/privileges.h"
#include "master/programs.h"

struct edition {
	unsigned references;
	struct conf *conf;
	int config_fd;                  /* its canonical form, sealed */
	uint64_t config_hash;
	int worker_fd, api_fd, shim_fd; /* the programs, pinned; -1: not there */
	struct log_target log;
	char **environment;             /* for the children; terminated by NULL */
};

struct edition_fds {
	int config, worker, api, shim;
	int log;                        /* -1 where the log is no file */
};

/* From canonical text; the programs' descriptors are duplicated.  Opens the log.  NULL on error, also when
 * a program is missing that the configuration needs.  One reference. */
struct edition *edition_create(const char *text, size_t size, const struct programs *programs,
	const struct identity *identity, struct error *err);
/* From descriptors that came through an exec; takes them, unless it fails. */
struct edition *edition_inherit(const struct edition_fds *fds, struct error *err);
struct edition *edition_ref(struct edition *edition);
void edition_unref(struct edition *edition);
/* The longest receive that a worker may have open. */
double edition_longest_wait_s(const struct edition *edition);

#endif
