/* SPDX-License-Identifier: Apache-2.0 */
/* roster.h - all generations and their children. */
#ifndef MASTER_ROSTER_H
#define MASTER_ROSTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/list.h"
#include "ipc/report.h"
#include "master/edition.h"
#include "master/generation.h"

enum {
	LIMIT_GENERATIONS = 16,         /* alive at once, those counted whose workers only wait for a receive */
	ROSTER_OWNER_BYTES = 76,        /* an owner id without its serial */
};

struct roster {
	struct list generations;        /* oldest first */
	struct generation *current;     /* NULL before the first commit */
	unsigned last_number;
	uint64_t last_serial;
	char owner_prefix[ROSTER_OWNER_BYTES];
	struct list orphans;            /* nobody could be told yet */
	uint64_t offered_to;            /* serial of the worker that was offered jobs last */
};

void roster_init(struct roster *roster, int64_t started_wall_ms);
void roster_finish(struct roster *roster);

uint64_t roster_next_serial(struct roster *roster);
/* "host/boot/pid of master/start/serial": unique for ever, so that nobody takes a dead one's jobs for
 * its own. */
void roster_name_owner(const struct roster *roster, uint64_t serial, char *owner, size_t size);
struct child *roster_find_pid(struct roster *roster, pid_t pid);
size_t roster_child_count(const struct roster *roster);
/* Superseded generations that still hold jobs. */
size_t roster_old_count(const struct roster *roster);
size_t roster_generation_count(const struct roster *roster);
/* Some generation was rolled back and is not gone yet. */
bool roster_has_aborted(const struct roster *roster);
/* How long jobs may finish in a worker that is retired now. */
double roster_drain_s(const struct roster *roster, const struct edition *fallback);

/* To every active worker of the running generation, except one (or NULL). */
void roster_tell_active(struct roster *roster, enum report_kind kind, const struct child *except);
/* SWEEP for the worker with that owner id, else ADOPT for all. */
void roster_wake(struct roster *roster, const char *owner, const struct child *except);
/* There are a few jobs that nobody owns: ADOPT to one active worker of the running generation, the next one each time. */
void roster_offer(struct roster *roster);
/* The store was changed by somebody else: ADOPT and SWEEP to those that are active, SWEEP to those that
 * still hold jobs. */
void roster_hint(struct roster *roster);
/* A worker died with jobs; crashed_on: see orphans.h. */
void roster_add_orphan(struct roster *roster, struct child *dead, const char *how, const char *crashed_on);
/* Tells an active worker of those that nobody was told of yet. */
void roster_tell_orphans(struct roster *roster);
/* Takes out and destroys generations that have ended. */
void roster_sweep(struct roster *roster);

#endif
