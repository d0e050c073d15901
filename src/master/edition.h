/* SPDX-License-Identifier: Apache-2.0 */
/* edition.h - what all processes of a generation have in common: the checked configuration, the
 * program they run, where they log.
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

struct edition {
	unsigned references;
	struct conf *conf;
	int config_fd;                  /* its canonical form, sealed */
	uint64_t config_hash;
	int worker_fd;                  /* the program, pinned */
	struct log_target log;
	char **environment;             /* for the children; terminated by NULL */
};

/* From canonical text; worker_fd is duplicated.  Opens the log.  NULL on error.  One reference. */
struct edition *edition_create(const char *text, size_t size, int worker_fd, const struct identity *identity,
	struct error *err);
/* From descriptors that came through an exec; takes them, unless it fails.  log_fd is -1 where the log
 * is no file. */
struct edition *edition_inherit(int config_fd, int worker_fd, int log_fd, struct error *err);
struct edition *edition_ref(struct edition *edition);
void edition_unref(struct edition *edition);
/* The longest receive that a worker may have open. */
double edition_longest_wait_s(const struct edition *edition);

#endif
