/* SPDX-License-Identifier: Apache-2.0 */
/* reload.c - see reload.h.  Whether a reload may begin now is master.c's question (signals.h); what
 * the steps are made of is check_run.c's, generation.c's and edition.c's. */
#include "master/reload.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "master/master.h"

static const char *const verdicts[RELOAD_VERDICTS] = {
	[RELOAD_NONE] = "none",
	[RELOAD_COMMITTED] = "committed",
	[RELOAD_REFUSED] = "refused",
	[RELOAD_ROLLED_BACK] = "rolled_back",
	[RELOAD_DEFERRED] = "deferred",
};

const char *reload_verdict_name(enum reload_verdict verdict)
{
	return verdict < RELOAD_VERDICTS ? verdicts[verdict] : "unknown";
}

void reload_init(struct reload *reload, struct master *master)
{
	*reload = (struct reload){ .master = master };
	nurse_init(&reload->nurse, master->loop, &master->log);
}

void reload_finish(struct reload *reload)
{
	check_run_cancel(&reload->check);
	check_run_finish(&reload->check);
	nurse_end(&reload->nurse);
	edition_unref(reload->last_good);
	reload->last_good = NULL;
}

bool reload_has_room(const struct reload *reload)
{
	const struct roster *roster = &reload->master->roster;

	if (roster->current == NULL)
		return true;
	return !roster_has_aborted(roster) && roster_generation_count(roster) < LIMIT_GENERATIONS &&
		roster_old_count(roster) < roster->current->edition->conf->supervisor.old_generations;
}

static void set_verdict(struct reload *reload, enum reload_verdict verdict, const char *reason)
{
	reload->verdict = verdict;
	snprintf(reload->reason, sizeof(reload->reason), "%s", reason);
}

/* The end of every transaction that was begun.  A failed start ends the daemon instead. */
static void end(struct reload *reload, enum reload_verdict verdict, const char *reason)
{
	struct master *master = reload->master;
	enum control_status status = verdict == RELOAD_COMMITTED ? CONTROL_DONE : CONTROL_FAILED;

	set_verdict(reload, verdict, reason);
	nurse_end(&reload->nurse);
	/* A start is none. */
	if (master->ready)
		tally_count(&master->tally, FIGURES_RELOADS, reload_verdict_name(verdict), 0);
	reload->step = RELOAD_IDLE;
	reload->generation = NULL;
	if (master->stop.why[0] != '\0')
		status = CONTROL_STOPPING;
	control_answer_reload(&master->control, status, reload->reason);
}

/* -- fails ------------------------------------------------------------------------------------ */

static void refuse(struct reload *reload, const char *why)
{
	struct master *master = reload->master;
	char text[LIMIT_RELOAD_REASON_BYTES];

	/* why may be the buffer that the verdict is kept in. */
	snprintf(text, sizeof(text), "%s", why);
	if (!master->ready) {
		end(reload, RELOAD_REFUSED, text);
		master_failed_start(master, text);
		return;
	}
	log_error(&master->log, "reload refused: %s", text);
	end(reload, RELOAD_REFUSED, text);
	master_notify_state(master, "reload refused; ");
}

void reload_fail(struct reload *reload, const char *why)
{
	struct master *master = reload->master;
	struct generation *generation = reload->generation;
	char text[LIMIT_RELOAD_REASON_BYTES];

	if (reload->step != RELOAD_STARTING)
		return;
	snprintf(text, sizeof(text), "%s", why);
	/* Before the workers are told: what they do then is no news. */
	reload->step = RELOAD_IDLE;
	generation_retire(generation, GENERATION_ABORTED, CHILD_RETIRE);
	if (master->roster.current != NULL)
		listeners_keep(&master->listeners, master->roster.current->edition->conf);
	if (!master->ready) {
		end(reload, RELOAD_ROLLED_BACK, text);
		master_failed_start(master, text);
		return;
	}
	log_error(&master->log, "reload rolled back: %s", text);
	end(reload, RELOAD_ROLLED_BACK, text);
	master_notify_state(master, "reload rolled back; ");
}

void reload_cancel(struct reload *reload, const char *why)
{
	if (reload->step == RELOAD_CHECKING) {
		check_run_cancel(&reload->check);
		end(reload, RELOAD_REFUSED, why);
	} else if (reload->step == RELOAD_STARTING) {
		generation_retire(reload->generation, GENERATION_ABORTED, CHILD_RETIRE);
		end(reload, RELOAD_ROLLED_BACK, why);
	}
	reload->fall_back = false;
}

/* -- the steps -------------------------------------------------------------------------------- */

static bool same(const char *one, const char *other)
{
	return one == NULL || other == NULL ? one == other : strcmp(one, other) == 0;
}

/* The first key that was changed though only a restart can. */
static const char *changed_for_restart(const struct master *master, const struct conf_supervisor *next)
{
	const struct conf_supervisor *now;

	if (master->roster.current == NULL)
		return NULL;
	now = &master->roster.current->edition->conf->supervisor;
	if (!same(now->user, next->user))
		return "supervisor.user";
	if (!same(now->control_socket, next->control_socket))
		return "supervisor.control_socket";
	if (master->options.pid_file == NULL && !same(now->pid_file, next->pid_file))
		return "supervisor.pid_file";
	return NULL;
}

static void start_workers(struct reload *reload)
{
	struct error err;

	if (!generation_start(reload->generation, !reload->master->ready, &err))
		reload_fail(reload, err.text);
}

static void on_nurse_done(struct nurse *nurse)
{
	start_workers(container_of(nurse, struct reload, nurse));
}

static void start_generation(struct reload *reload, struct edition *edition, bool fallback)
{
	struct master *master = reload->master;

	reload->step = RELOAD_STARTING;
	reload->generation = generation_create(master, ++master->roster.last_number, edition);
	reload->generation->fallback = fallback;
	log_info(&reload->generation->log, "starting %u workers%s", edition->conf->supervisor.workers,
		edition->conf->api != NULL ? " and the API" : "");
	if (!master->ready)
		notify_extend(&master->notify, 2 * (double)edition->conf->supervisor.ready_timeout_ms / 1000 + 5);
	if (edition->conf->supervisor.workers < NURSE_LEAST_WORKERS ||
	    !nurse_start(&reload->nurse, edition, &master->identity, on_nurse_done))
		start_workers(reload);
}

static void on_checked(struct check_run *check)
{
	struct reload *reload = container_of(check, struct reload, check);
	struct master *master = reload->master;
	struct edition *edition = NULL;
	const char *key;
	struct error err;

	if (check->text == NULL) {
		refuse(reload, check->why);
		return;
	}
	edition = edition_create(check->text, check->size, &master->programs, &master->identity, &err);
	check_run_finish(check);
	if (edition == NULL) {
		refuse(reload, err.text);
		return;
	}
	key = changed_for_restart(master, &edition->conf->supervisor);
	if (key != NULL) {
		error_set(&err, ERROR_INVALID, "%s has changed, which takes a restart", key);
		refuse(reload, err.text);
	} else if (!(master->settled ? listeners_open(&master->listeners, edition->conf, &master->identity, &err) :
		   master_settle(master, edition, &err))) {
		refuse(reload, err.text);
	} else {
		start_generation(reload, edition, false);
	}
	edition_unref(edition);
}

static void begin_fallback(struct reload *reload)
{
	struct master *master = reload->master;
	struct error err;

	reload->fall_back = false;
	/* Sockets that the newer configuration did not name were closed with its commit. */
	if (listeners_open(&master->listeners, reload->last_good->conf, &master->identity, &err))
		start_generation(reload, reload->last_good, true);
	else
		refuse(reload, err.text);
}

void reload_begin(struct reload *reload)
{
	struct master *master = reload->master;
	struct error err;

	reload->began_at = clock_monotonic_s();
	reload->count++;
	reload->deferral_told = false;
	reload->step = RELOAD_CHECKING;
	if (master->ready)
		notify_reloading(&master->notify);
	/* Nobody asked for this one; who waits, waits for the next. */
	if (reload->fall_back) {
		begin_fallback(reload);
		return;
	}
	control_adopt_reload(&master->control);
	if (!programs_open(&master->programs, &err) ||
	    !check_run_start(&reload->check, master->loop, master->programs.check_fd, master->options.conf_path,
		    CHECK_WHOLE, &master->identity, on_checked, &err))
		refuse(reload, err.text);
}

void reload_commit(struct reload *reload)
{
	struct master *master = reload->master;
	struct roster *roster = &master->roster;
	struct generation *old = roster->current, *new = reload->generation;
	const struct conf_supervisor *conf = &new->edition->conf->supervisor;
	char text[128];

	roster->current = new;
	reload->fall_back = false;
	generation_commit(new);
	if (old != NULL) {
		generation_retire(old, GENERATION_OLD, CHILD_RETIRE);
		snprintf(text, sizeof(text), "generation %u replaced %u in %.2fs%s", new->number, old->number,
			clock_monotonic_s() - reload->began_at,
			new->fallback ? ", with the last good configuration" : "");
	} else {
		snprintf(text, sizeof(text), "generation %u, %zu workers", new->number, new->slot_count);
	}
	listeners_keep(&master->listeners, new->edition->conf);
	master_log_to(master, new->edition);
	watchdog_rearm(&master->watchdog);
	if (old != NULL)
		log_info(&master->log, "reload committed: %s", text);
	if (conf->probation_ms > 0)
		generation_begin_probation(new, (double)conf->probation_ms / 1000);
	else
		reload_probation_over(reload, new);
	end(reload, RELOAD_COMMITTED, old != NULL ? text : "");
	roster_tell_orphans(roster);
	if (old == NULL)
		master_is_ready(master);
	else
		master_notify_state(master, "");
}

/* -- around it -------------------------------------------------------------------------------- */

void reload_defer(struct reload *reload)
{
	struct master *master = reload->master;
	const struct roster *roster = &master->roster;
	const struct generation *generation;
	const struct child *child;
	double last = 0, now = clock_monotonic_s();
	char text[160];

	/* Workers of a rolled back one leave in a moment: not worth a word. */
	if (reload->deferral_told || roster_has_aborted(roster))
		return;
	reload->deferral_told = true;
	list_each(generation, &roster->generations, link) {
		list_each(child, &generation->children, link) {
			if (child->state == CHILD_DRAINING && (last == 0 || child->wait_until > last))
				last = child->wait_until;
		}
		if (last > 0)
			break;
	}
	snprintf(text, sizeof(text), "%zu old generations are draining; it will run when one has ended, in %.0fs at most",
		roster_generation_count(roster) - 1, last > now ? last - now + CHILD_RELEASE_GRACE_S : 0);
	log_warn(&master->log, "reload deferred: %s", text);
	set_verdict(reload, RELOAD_DEFERRED, text);
	control_defer_reload(&master->control, text);
}

void reload_fall_back(struct reload *reload, struct generation *generation, size_t crashed)
{
	struct master *master = reload->master;

	ev_timer_stop(master->loop, &generation->probation);
	if (generation->fallback || reload->last_good == NULL || reload->last_good == generation->edition) {
		log_error(&generation->log, "%zu of %zu workers died soon after the commit, and there is no other "
			"good configuration to go back to", crashed, generation->slot_count);
		return;
	}
	log_error(&generation->log, "%zu of %zu workers died soon after the commit; going back to the last good "
		"configuration", crashed, generation->slot_count);
	reload->fall_back = true;
}

void reload_probation_over(struct reload *reload, struct generation *generation)
{
	struct edition *before = reload->last_good;

	log_debug(&generation->log, "is good: nothing happened in its probation");
	reload->last_good = edition_ref(generation->edition);
	edition_unref(before);
}
