/* SPDX-License-Identifier: Apache-2.0 */
/* orphans.c - see orphans.h. */
#include "master/orphans.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"

void orphans_add(struct list *orphans, const char *owner, const char *how, const char *crashed_on)
{
	struct orphan *orphan = xnew(struct orphan);

	snprintf(orphan->owner, sizeof(orphan->owner), "%s", owner);
	snprintf(orphan->how, sizeof(orphan->how), "%s", how);
	snprintf(orphan->crashed_on, sizeof(orphan->crashed_on), "%s", crashed_on);
	list_append(orphans, &orphan->link);
}

static void destroy(struct orphan *orphan)
{
	list_remove(&orphan->link);
	free(orphan);
}

void orphans_finish(struct list *orphans)
{
	struct orphan *orphan, *next;

	list_each_safe(orphan, next, orphans, link)
		destroy(orphan);
}

void orphans_hand_on(struct list *to, struct list *from)
{
	list_splice(to, from);
}

void orphans_forget_before(struct list *orphans, double told_at)
{
	struct orphan *orphan, *next;

	list_each_safe(orphan, next, orphans, link) {
		if (orphan->told_at < told_at)
			destroy(orphan);
	}
}
