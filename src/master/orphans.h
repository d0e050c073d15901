/* SPDX-License-Identifier: Apache-2.0 */
/* orphans.h - owners whose worker died with jobs, until a living worker has been told, also of what a
 * worker that died by its own fault was busy with.
 *
 * Only whose and how; what becomes of the jobs is between the workers and the store.  Should a teller
 * die soon after, the owner is kept for the next one: being told twice does no harm. */
#ifndef MASTER_ORPHANS_H
#define MASTER_ORPHANS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/list.h"
#include "ipc/in_hand.h"
#include "ipc/report.h"

enum { ORPHAN_TOLD_S = 30 };    /* told this long ago: dealt with, or the store's lease will do it */

struct orphan {
	struct list link;
	char owner[REPORT_NAME_BYTES];
	char how[REPORT_TEXT_BYTES];
	char crashed_on[IN_HAND_KEY_BYTES];     /* what it had in hand when it died by its own fault; "": nothing */
	double told_at;                 /* when on a child's list */
};

void orphans_add(struct list *orphans, const char *owner, const char *how, const char *crashed_on);
void orphans_finish(struct list *orphans);
/* Moves all from one list to the end of the other. */
void orphans_hand_on(struct list *to, struct list *from);
/* Frees those that were told before. */
void orphans_forget_before(struct list *orphans, double told_at);

#endif
