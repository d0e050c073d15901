/* SPDX-License-Identifier: Apache-2.0 */
/* generation.c - see generation.h.  When a generation is made, committed or rolled back is reload.c's
 * decision. */
#include "master/generation.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/random.h"
#include "master/master.h"
#include "master/restart.h"

static const char *const names[GENERATION_STATES] = {
	[GENERATION_PREPARING] = "preparing",
	[GENERATION_CURRENT] = "current",
	[GENERATION_OLD] = "old",
	[GENERATION_ABORTED] = "aborted",
};

const char *generation_state_name(enum generation_state state)
{
	return state < GENERATION_STATES ? names[state] : "unknown";
}

static void on_probation_over(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct generation *generation = container_of(timer, struct generation, probation);

	(void)loop;
	(void)revents;
	reload_probation_over(&generation->master->reload, generation);
}

struct generation *generation_create(struct master *master, unsigned number, struct edition *edition)
{
	struct generation *generation = xnew(struct generation);

	generation->master = master;
	generation->number = number;
	generation->edition = edition_ref(edition);
	list_init(&generation->children);
	log_init(&generation->log, &master->log, "generation %u", number);
	ev_init(&generation->probation, on_probation_over);
	list_append(&master->roster.generations, &generation->link);
	return generation;
}

/* All slots: those of workers, then the API's. */
static size_t place_count(const struct generation *generation)
{
	return generation->slot_count + (generation->api != NULL);
}

static struct slot *place_at(const struct generation *generation, size_t i)
{
	return i < generation->slot_count ? generation->slots[i] : generation->api;
}

static void destroy_slot(struct slot *slot)
{
	ev_timer_stop(slot->generation->master->loop, &slot->restart);
	free(slot);
}

void generation_destroy(struct generation *generation)
{
	struct child *child, *next;

	list_each_safe(child, next, &generation->children, link)
		child_destroy(child);
	for (size_t i = 0; i < place_count(generation); i++)
		destroy_slot(place_at(generation, i));
	free(generation->slots);
	ev_timer_stop(generation->master->loop, &generation->probation);
	list_remove(&generation->link);
	edition_unref(generation->edition);
	free(generation);
}

/* -- slots ------------------------------------------------------------------------------------ */

static double restart_delay(struct slot *slot, enum restart_cause cause)
{
	const struct conf_supervisor *conf = &slot->generation->edition->conf->supervisor;
	struct restart_policy policy = {
		.delay_s = (double)conf->restart_delay_ms / 1000,
		.delay_max_s = (double)conf->restart_delay_max_ms / 1000,
	};

	return restart_delay_s(&policy, slot->deaths, cause, random_unit());
}

void generation_restart_in(struct slot *slot, double delay_s)
{
	struct ev_loop *loop = slot->generation->master->loop;

	slot->restart_at = clock_monotonic_s() + delay_s;
	ev_now_update(loop);
	ev_timer_set(&slot->restart, delay_s > 0 ? delay_s : 0, 0.);
	ev_timer_start(loop, &slot->restart);
}

/* Only the daemon's very first worker may prepare the store, and only until it has done so. */
static bool is_first(const struct slot *slot)
{
	return !slot->generation->master->ready && slot->role == ROLE_WORKER && slot->number == 0;
}

static bool start_slot(struct slot *slot, struct error *err)
{
	slot->child = child_start(slot->generation, slot->role, slot->number, is_first(slot), err);
	return slot->child != NULL;
}

static void on_restart(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct slot *slot = container_of(timer, struct slot, restart);
	struct error err;
	double delay_s;

	(void)loop;
	(void)revents;
	if (start_slot(slot, &err))
		return;
	slot->deaths++;
	delay_s = restart_delay(slot, RESTART_FORK_FAILED);
	log_error(&slot->generation->log, "%s in slot %u cannot be started: %s; next start in %.2fs",
		role_name(slot->role), slot->number, err.text, delay_s);
	generation_restart_in(slot, delay_s);
}

static struct slot *create_slot(struct generation *generation, enum role role, size_t number)
{
	struct slot *slot = xnew(struct slot);

	slot->generation = generation;
	slot->role = role;
	slot->number = (unsigned)number;
	ev_init(&slot->restart, on_restart);
	return slot;
}

struct slot *generation_add_slot(struct generation *generation)
{
	struct slot *slot = create_slot(generation, ROLE_WORKER, generation->slot_count);

	generation->slots = xreallocarray(generation->slots, generation->slot_count + 1, sizeof(struct slot *));
	generation->slots[generation->slot_count++] = slot;
	return slot;
}

struct slot *generation_add_api(struct generation *generation)
{
	generation->api = create_slot(generation, ROLE_API, 0);
	return generation->api;
}

static struct slot *slot_of(const struct generation *generation, const struct child *child)
{
	for (size_t i = 0; i < place_count(generation); i++) {
		if (place_at(generation, i)->child == child)
			return place_at(generation, i);
	}
	return NULL;
}

/* -- preparing -------------------------------------------------------------------------------- */

static bool start_missing(struct generation *generation, struct error *err)
{
	for (size_t i = 0; i < place_count(generation); i++) {
		if (place_at(generation, i)->child == NULL && !start_slot(place_at(generation, i), err))
			return false;
	}
	return true;
}

bool generation_start(struct generation *generation, bool staged, struct error *err)
{
	for (unsigned i = 0; i < generation->edition->conf->supervisor.workers; i++)
		generation_add_slot(generation);
	if (generation->edition->conf->api != NULL)
		generation_add_api(generation);
	generation->staged = staged;
	return staged ? start_slot(generation->slots[0], err) : start_missing(generation, err);
}

bool generation_is_ready(const struct generation *generation)
{
	for (size_t i = 0; i < place_count(generation); i++) {
		const struct child *child = place_at(generation, i)->child;

		if (child == NULL || child->state != CHILD_READY)
			return false;
	}
	return true;
}

void generation_child_ready(struct generation *generation, struct child *child)
{
	struct error err;

	if (generation->state == GENERATION_CURRENT) {
		child_event(child, CHILD_COMMIT);
		roster_tell_orphans(&generation->master->roster);
		if (child->role == ROLE_WORKER)
			log_info(&child->log, "ready, slot %u", child->slot);
		else
			log_info(&child->log, "ready");
		return;
	}
	if (generation->state != GENERATION_PREPARING)
		return;
	if (generation->staged) {
		generation->staged = false;
		if (!start_missing(generation, &err)) {
			reload_fail(&generation->master->reload, err.text);
			return;
		}
	}
	if (generation_is_ready(generation))
		reload_commit(&generation->master->reload);
}

void generation_child_refused(struct generation *generation, struct child *child)
{
	char why[REPORT_TEXT_BYTES + 64];

	if (generation->state != GENERATION_PREPARING)
		return;
	snprintf(why, sizeof(why), "%s %d: %s", role_name(child->role), (int)child->pid, child->reason);
	reload_fail(&generation->master->reload, why);
}

/* -- running ---------------------------------------------------------------------------------- */

void generation_commit(struct generation *generation)
{
	generation->state = GENERATION_CURRENT;
	generation->committed_at = clock_monotonic_s();
	for (size_t i = 0; i < place_count(generation); i++)
		child_event(place_at(generation, i)->child, CHILD_COMMIT);
}

void generation_begin_probation(struct generation *generation, double seconds)
{
	struct ev_loop *loop = generation->master->loop;

	generation->probation_until = clock_monotonic_s() + seconds;
	ev_now_update(loop);
	ev_timer_set(&generation->probation, seconds > 0 ? seconds : 0, 0.);
	ev_timer_start(loop, &generation->probation);
}

void generation_retire(struct generation *generation, enum generation_state state, enum child_event event)
{
	struct child *child;

	generation->state = state;
	ev_timer_stop(generation->master->loop, &generation->probation);
	for (size_t i = 0; i < place_count(generation); i++)
		ev_timer_stop(generation->master->loop, &place_at(generation, i)->restart);
	list_each(child, &generation->children, link)
		child_event(child, event);
}

void generation_set_slots(struct generation *generation, size_t count)
{
	while (generation->slot_count > count) {
		struct slot *slot = generation->slots[--generation->slot_count];

		if (slot->child != NULL)
			child_event(slot->child, CHILD_RETIRE);
		destroy_slot(slot);
	}
	while (generation->slot_count < count)
		generation_restart_in(generation_add_slot(generation), 0);
}

bool generation_takes_place(const struct generation *generation)
{
	const struct child *child;

	list_each(child, &generation->children, link) {
		if (child_has_worked(child) && !child->empty)
			return true;
	}
	return false;
}

size_t generation_active_count(const struct generation *generation)
{
	const struct child *child;
	size_t count = 0;

	list_each(child, &generation->children, link)
		count += child->role == ROLE_WORKER && child->state == CHILD_ACTIVE;
	return count;
}

static void note_crash(struct slot *slot)
{
	struct generation *generation = slot->generation;
	size_t crashed = 0;

	/* "Most workers": the API alone is no reason to go back to another configuration. */
	if (slot->role != ROLE_WORKER || !ev_is_active(&generation->probation))
		return;
	slot->crashed = true;
	for (size_t i = 0; i < generation->slot_count; i++)
		crashed += generation->slots[i]->crashed;
	if (2 * crashed >= generation->slot_count)
		reload_fall_back(&generation->master->reload, generation, crashed);
}

static void count_restart(const struct slot *slot, const struct child *child, enum restart_cause cause)
{
	enum figures_restart value = child->aborted ? FIGURES_HUNG :
		cause == RESTART_REFUSED ? FIGURES_REFUSED : FIGURES_CRASHED;

	tally_count(&slot->generation->master->tally, FIGURES_RESTARTS, role_name(slot->role), value);
}

static void replace(struct slot *slot, const struct child *child, int status, const char *how)
{
	struct restart_life life = {
		.cause = WIFEXITED(status) && WEXITSTATUS(status) == 2 ? RESTART_REFUSED : RESTART_CRASHED,
		.active_s = child_has_worked(child) ? clock_monotonic_s() - child->active_at : 0,
		.finished_job = child->numbers.jobs_done > 0,
	};
	double delay_s;

	count_restart(slot, child, life.cause);
	slot->child = NULL;
	slot->deaths = restart_count(slot->deaths, &life);
	delay_s = restart_delay(slot, life.cause);
	log_warn(&child->log, "%s; next start in %.2fs", how, delay_s);
	generation_restart_in(slot, delay_s);
	note_crash(slot);
}

void generation_child_gone(struct generation *generation, struct child *child, int status)
{
	struct master *master = generation->master;
	struct slot *slot = slot_of(generation, child);
	bool clean = WIFEXITED(status) && WEXITSTATUS(status) == 0;
	char how[REPORT_TEXT_BYTES + 64], why[sizeof(how) + 32], crashed_on[IN_HAND_KEY_BYTES] = "";

	child_describe_end(child, status, how, sizeof(how));
	snprintf(why, sizeof(why), "%s %d %s", role_name(child->role), (int)child->pid, how);
	if (generation->state == GENERATION_CURRENT && slot != NULL)
		replace(slot, child, status, how);
	else if (clean)
		log_info(&child->log, "%s", how);
	else
		log_warn(&child->log, "%s", how);
	if (slot != NULL)
		slot->child = NULL;
	if (child_crashed_on(child, status, crashed_on))
		log_error(&child->log, "died by its own fault while it was busy with %s", crashed_on);
	/* A worker that leaves with 0 has given its jobs back by itself. */
	if (!clean && child_has_worked(child) && child->role == ROLE_WORKER)
		roster_add_orphan(&master->roster, child, how, crashed_on);
	child_destroy(child);
	if (generation->state == GENERATION_PREPARING)
		reload_fail(&master->reload, why);
}
