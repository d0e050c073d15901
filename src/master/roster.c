/* SPDX-License-Identifier: Apache-2.0 */
/* roster.c - see roster.h. */
#include "master/roster.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

enum { ROSTER_HOST_BYTES = 33, ROSTER_BOOT_BYTES = 8 };

void roster_init(struct roster *roster, int64_t started_wall_ms)
{
	char host[ROSTER_HOST_BYTES];

	*roster = (struct roster){ .current = NULL };
	list_init(&roster->generations);
	list_init(&roster->orphans);
	if (gethostname(host, sizeof(host)) != 0)
		snprintf(host, sizeof(host), "localhost");
	host[sizeof(host) - 1] = '\0';
	for (char *c = host; *c != '\0'; c++) {
		if (*c <= ' ' || *c == '/' || *c == 0x7f)
			*c = '-';
	}
	snprintf(roster->owner_prefix, sizeof(roster->owner_prefix), "%s/%.*s/%d/%llx", host, ROSTER_BOOT_BYTES,
		clock_boot_id(), (int)getpid(), (unsigned long long)started_wall_ms);
}

void roster_finish(struct roster *roster)
{
	struct generation *generation, *next;

	list_each_safe(generation, next, &roster->generations, link)
		generation_destroy(generation);
	orphans_finish(&roster->orphans);
	roster->current = NULL;
}

uint64_t roster_next_serial(struct roster *roster)
{
	return ++roster->last_serial;
}

void roster_name_owner(const struct roster *roster, uint64_t serial, char *owner, size_t size)
{
	snprintf(owner, size, "%s/%llu", roster->owner_prefix, (unsigned long long)serial);
}

struct child *roster_find_pid(struct roster *roster, pid_t pid)
{
	struct generation *generation;
	struct child *child;

	list_each(generation, &roster->generations, link) {
		list_each(child, &generation->children, link) {
			if (child->pid == pid)
				return child;
		}
	}
	return NULL;
}

size_t roster_child_count(const struct roster *roster)
{
	const struct generation *generation;
	const struct child *child;
	size_t count = 0;

	list_each(generation, &roster->generations, link) {
		list_each(child, &generation->children, link)
			count++;
	}
	return count;
}

size_t roster_old_count(const struct roster *roster)
{
	const struct generation *generation;
	size_t count = 0;

	list_each(generation, &roster->generations, link) {
		if (generation->state == GENERATION_OLD && generation_takes_place(generation))
			count++;
	}
	return count;
}

size_t roster_generation_count(const struct roster *roster)
{
	const struct generation *generation;
	size_t count = 0;

	list_each(generation, &roster->generations, link)
		count++;
	return count;
}

bool roster_has_aborted(const struct roster *roster)
{
	const struct generation *generation;

	list_each(generation, &roster->generations, link) {
		if (generation->state == GENERATION_ABORTED)
			return true;
	}
	return false;
}

double roster_drain_s(const struct roster *roster, const struct edition *fallback)
{
	const struct edition *edition = roster->current != NULL ? roster->current->edition : fallback;

	return (double)edition->conf->supervisor.drain_timeout_ms / 1000;
}

void roster_tell_active(struct roster *roster, enum report_kind kind, const struct child *except)
{
	struct child *child;

	if (roster->current == NULL)
		return;
	list_each(child, &roster->current->children, link) {
		if (child != except && child->role == ROLE_WORKER && child->state == CHILD_ACTIVE)
			child_tell(child, kind);
	}
}

void roster_wake(struct roster *roster, const char *owner, const struct child *except)
{
	struct generation *generation;
	struct child *child;

	list_each(generation, &roster->generations, link) {
		list_each(child, &generation->children, link) {
			if (child->role == ROLE_WORKER && strcmp(child->owner, owner) == 0 &&
			    child->channel_fd >= 0 && child_has_worked(child)) {
				child_tell(child, REPORT_SWEEP);
				return;
			}
		}
	}
	roster_tell_active(roster, REPORT_ADOPT, except);
}

/* In the order in which they were started, and from the first on again. */
static struct child *next_active(const struct roster *roster, uint64_t after_serial)
{
	struct child *child, *first = NULL, *next = NULL;

	list_each(child, &roster->current->children, link) {
		if (child->role != ROLE_WORKER || child->state != CHILD_ACTIVE)
			continue;
		if (first == NULL || child->serial < first->serial)
			first = child;
		if (child->serial > after_serial && (next == NULL || child->serial < next->serial))
			next = child;
	}
	return next != NULL ? next : first;
}

void roster_offer(struct roster *roster)
{
	struct child *child = roster->current != NULL ? next_active(roster, roster->offered_to) : NULL;

	if (child == NULL)
		return;
	roster->offered_to = child->serial;
	child_tell(child, REPORT_ADOPT);
}

void roster_hint(struct roster *roster)
{
	struct generation *generation;
	struct child *child;

	list_each(generation, &roster->generations, link) {
		list_each(child, &generation->children, link) {
			if (child->role != ROLE_WORKER || !child_has_worked(child))
				continue;
			if (child->state == CHILD_ACTIVE)
				child_tell(child, REPORT_ADOPT);
			child_tell(child, REPORT_SWEEP);
		}
	}
}

void roster_add_orphan(struct roster *roster, struct child *dead, const char *how, const char *crashed_on)
{
	/* Those it was told of lately may not have been dealt with. */
	orphans_forget_before(&dead->orphans, clock_monotonic_s() - ORPHAN_TOLD_S);
	orphans_hand_on(&roster->orphans, &dead->orphans);
	orphans_add(&roster->orphans, dead->owner, how, crashed_on);
	roster_tell_orphans(roster);
}

static struct child *first_active(struct roster *roster)
{
	struct child *child;

	if (roster->current == NULL)
		return NULL;
	list_each(child, &roster->current->children, link) {
		if (child->role == ROLE_WORKER && child->state == CHILD_ACTIVE && child->channel_fd >= 0)
			return child;
	}
	return NULL;
}

void roster_tell_orphans(struct roster *roster)
{
	struct child *child;
	struct orphan *orphan, *next;

	if (list_empty(&roster->orphans))
		return;
	child = first_active(roster);
	if (child == NULL)
		return;
	orphans_forget_before(&child->orphans, clock_monotonic_s() - ORPHAN_TOLD_S);
	list_each_safe(orphan, next, &roster->orphans, link) {
		if (!child_tell_orphan(child, orphan))
			return;
		orphan->told_at = clock_monotonic_s();
		list_remove(&orphan->link);
		list_append(&child->orphans, &orphan->link);
	}
}

void roster_sweep(struct roster *roster)
{
	struct generation *generation, *next;

	list_each_safe(generation, next, &roster->generations, link) {
		if (!list_empty(&generation->children) || generation->state == GENERATION_PREPARING ||
		    generation->state == GENERATION_CURRENT)
			continue;
		log_info(&generation->log, "ended");
		if (roster->current == generation)
			roster->current = NULL;
		generation_destroy(generation);
	}
}
