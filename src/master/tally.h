/* SPDX-License-Identifier: Apache-2.0 */
/* tally.h - what all processes have counted, those that are gone included.
 *
 * The master's own page of figures holds the sum of the departed beside what the master counts itself (reloads,
 * restarts).  A child's page is added to it once, when the child is buried; until then it is read where it
 * is, so no count is there twice or missing.  An upgrade hands the page on by its descriptor.  A program of
 * another layout cannot read it: then all counters begin anew, as after a restart. */
#ifndef MASTER_TALLY_H
#define MASTER_TALLY_H

#include "base/buf.h"
#include "ipc/figures.h"

struct log;
struct roster;

struct tally {
	int fd;                         /* -1: none */
	struct figures *figures;        /* NULL: there was no memory; the departed are forgotten */
};

/* inherited_fd: of the program before us, which is ours now; -1: none. */
void tally_open(struct tally *tally, int inherited_fd, const struct log *log);
void tally_close(struct tally *tally);
/* One leaves; page may be NULL. */
void tally_take(struct tally *tally, const struct figures *page);
/* One more of the master's own. */
void tally_count(struct tally *tally, enum figures_kind kind, const char *name, unsigned value);
/* A line "figures kind=... name=... values=..." for each row of the sum. */
void tally_write(const struct tally *tally, const struct roster *roster, struct buf *out);

#endif
