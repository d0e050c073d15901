/* SPDX-License-Identifier: Apache-2.0 */
/* child.c - see child.h.  What each entry of the state table says to do, and the child's one timer. */
#include "master/child.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/descriptor.h"
#include "base/mem.h"
#include "master/child_impl.h"
#include "master/generation.h"
#include "master/master.h"

typedef void action_fn(struct child *child, const struct report *report);

struct ev_loop *child_loop(const struct child *child)
{
	return child->generation->master->loop;
}

/* -- its timer -------------------------------------------------------------------------------- */

void child_wait_until(struct child *child, enum child_wait wait, double until)
{
	struct ev_loop *loop = child_loop(child);
	double left_s = until - clock_monotonic_s();

	ev_timer_stop(loop, &child->timer);
	child->wait = wait;
	child->wait_until = until;
	if (wait == CHILD_WAIT_NONE)
		return;
	ev_now_update(loop);
	ev_timer_set(&child->timer, left_s > 0 ? left_s : 0, 0.);
	ev_timer_start(loop, &child->timer);
}

void child_wait_for(struct child *child, enum child_wait wait, double seconds)
{
	child_wait_until(child, wait, clock_monotonic_s() + seconds);
}

/* An open receive may end by itself even when the jobs have been handed over: what it brings would
 * otherwise stay invisible for the time of its visibility. */
static bool may_still_receive(struct child *child, double now)
{
	double until = child->drain_at + edition_longest_wait_s(child->generation->edition) + CHILD_RECEIVE_GRACE_S +
		CHILD_RELEASE_GRACE_S;

	if (!child->empty || child->aborted || stop_is_fast(&child->generation->master->stop) || now >= until)
		return false;
	child_wait_until(child, CHILD_WAIT_GRACE, until);
	return true;
}

static void on_timer(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct child *child = container_of(timer, struct child, timer);
	enum child_wait wait = child->wait;

	(void)loop;
	(void)revents;
	if (wait == CHILD_WAIT_READY)
		child_event(child, CHILD_NOT_READY);
	else if (wait == CHILD_WAIT_DEADLINE)
		child_event(child, CHILD_DEADLINE);
	else if (wait == CHILD_WAIT_GRACE && !may_still_receive(child, clock_monotonic_s()))
		child_event(child, CHILD_OVERDUE);
}

/* -- what the table says to do ---------------------------------------------------------------- */

static void signal_child(struct child *child, int signo)
{
	if (!child->reaped && kill(child->pid, signo) != 0)
		log_warn(&child->log, "cannot be sent signal %d: %s", signo, strerror(errno));
}

static void act_nothing(struct child *child, const struct report *report)
{
	(void)child;
	(void)report;
}

static void act_bug(struct child *child, const struct report *report)
{
	(void)report;
	panic("%s %d: an event that cannot be in state %s", role_name(child->role), (int)child->pid,
		child_state_name(child->state));
}

static const char *why_killed(const struct child *child)
{
	if (child->wait == CHILD_WAIT_READY)
		return "was not ready in time";
	return child->channel_fd < 0 ? "closed its channel and stayed" : "did not leave in time";
}

static void act_kill(struct child *child, const struct report *report)
{
	(void)report;
	if (child->reason[0] == '\0')
		snprintf(child->reason, sizeof(child->reason), "%s", why_killed(child));
	child_wait_until(child, CHILD_WAIT_NONE, 0);
	/* What it may have said before it dies is too late, whatever state the table left it in. */
	if (child->state != CHILD_GONE)
		child->state = CHILD_DRAINING;
	if (child->killed)
		return;
	child->killed = true;
	log_warn(&child->log, "%s; killed", child->reason);
	signal_child(child, SIGKILL);
}

static void act_kill_soon(struct child *child, const struct report *report)
{
	(void)report;
	if (!child->killed)
		child_wait_for(child, CHILD_WAIT_GRACE, CHILD_CLOSE_GRACE_S);
}

static void act_count(struct child *child, const struct report *report)
{
	log_warn(&child->log, "said %s in state %s, which is against the protocol",
		report != NULL ? report_kind_name(report->kind) : "something malformed", child_state_name(child->state));
	if (++child->nonsense < LIMIT_CHILD_NONSENSE)
		return;
	snprintf(child->reason, sizeof(child->reason), "does not keep to the protocol");
	act_kill(child, NULL);
}

static void act_check_hello(struct child *child, const struct report *report)
{
	if (report->config_hash == child->generation->edition->config_hash)
		return;
	snprintf(child->reason, sizeof(child->reason), "read another configuration than it was given");
	act_kill(child, NULL);
}

static void act_park(struct child *child, const struct report *report)
{
	child_wait_until(child, CHILD_WAIT_NONE, 0);
	if (report->text[0] != '\0')
		log_warn(&child->log, "ready, but degraded: %s", report->text);
	else
		log_debug(&child->log, "ready");
	generation_child_ready(child->generation, child);
}

static void act_note_refusal(struct child *child, const struct report *report)
{
	snprintf(child->reason, sizeof(child->reason), "%s", report->text[0] != '\0' ? report->text : "refused");
	log_error(&child->log, "cannot work: %s", child->reason);
	child_wait_for(child, CHILD_WAIT_GRACE, CHILD_EXIT_GRACE_S);
	generation_child_refused(child->generation, child);
}

/* before: what it said last. */
static void note_rates(struct child *child, const struct report *report, const struct report_queue *before)
{
	const struct report_queue *now = &report->queue;

	queue_rates_add(&child->generation->master->queue_rates, report->name,
		now->received > before->received ? now->received - before->received : 0,
		now->settled > before->settled ? now->settled - before->settled : 0, clock_monotonic_s());
}

static void note_queue(struct child *child, const struct report *report)
{
	for (size_t i = 0; i < child->queue_count; i++) {
		if (strcmp(child->queues[i].name, report->name) == 0) {
			note_rates(child, report, &child->queues[i].numbers);
			child->queues[i].numbers = report->queue;
			return;
		}
	}
	note_rates(child, report, child->resumed ? &report->queue : &(struct report_queue){ .received = 0 });
	if (child->queue_count == LIMIT_CHILD_QUEUES)
		return;
	child->queues = xreallocarray(child->queues, child->queue_count + 1, sizeof(*child->queues));
	memcpy(child->queues[child->queue_count].name, report->name, sizeof(report->name));
	child->queues[child->queue_count++].numbers = report->queue;
}

static void act_note_numbers(struct child *child, const struct report *report)
{
	if (report->kind == REPORT_QUEUE) {
		note_queue(child, report);
		return;
	}
	child->numbers = report->worker;
	snprintf(child->trouble, sizeof(child->trouble), "%s", report->text);
}

static void act_pass_released(struct child *child, const struct report *report)
{
	(void)report;
	roster_tell_active(&child->generation->master->roster, REPORT_ADOPT, child);
}

static void act_pass_wake(struct child *child, const struct report *report)
{
	roster_wake(&child->generation->master->roster, report->name, child);
}

static void act_pass_hint(struct child *child, const struct report *report)
{
	struct master *master = child->generation->master;

	if (strcmp(report->name, REPORT_HINT_JOBS) == 0)
		roster_offer(&master->roster);
	else
		hint_give(&master->hint);
}

static void act_pass_scale(struct child *child, const struct report *report)
{
	master_scale_by_backlog(child->generation->master, child->generation, report->scale.wanted, report->scale.depth);
}

static void act_note_empty(struct child *child, const struct report *report)
{
	(void)report;
	child->empty = true;
}

static void act_go(struct child *child, const struct report *report)
{
	(void)report;
	child->active_at = clock_monotonic_s();
	child_tell(child, REPORT_GO);
}

static void act_leave(struct child *child, const struct report *report)
{
	(void)report;
	child->empty = true;
	child_tell(child, REPORT_EXIT);
	child_wait_for(child, CHILD_WAIT_GRACE, CHILD_EXIT_GRACE_S);
}

static void act_drain(struct child *child, const struct report *report)
{
	double drain_s = roster_drain_s(&child->generation->master->roster, child->generation->edition);

	(void)report;
	child->drain_at = clock_monotonic_s();
	child->drain_ms = (int64_t)(drain_s * 1000);
	child_tell(child, REPORT_DRAIN);
	child_wait_for(child, CHILD_WAIT_DEADLINE, drain_s);
}

static void act_hasten(struct child *child, const struct report *report)
{
	double now = clock_monotonic_s();
	double until = now + roster_drain_s(&child->generation->master->roster, child->generation->edition);

	(void)report;
	if (child->wait != CHILD_WAIT_DEADLINE)
		return;
	if (until < child->wait_until)
		child_wait_until(child, CHILD_WAIT_DEADLINE, until);
	/* It is told even so: that nobody comes after it may be new to it. */
	child->drain_ms = child->wait_until > now ? (int64_t)((child->wait_until - now) * 1000) : 0;
	child_tell(child, REPORT_DRAIN);
}

static void act_hand_over(struct child *child, const struct report *report)
{
	(void)report;
	/* Killed, aborted, closed or never active: a shorter grace is running, or none is needed. */
	if (child->killed || child->aborted || child->channel_fd < 0 || child->active_at <= 0)
		return;
	if (child->drain_at <= 0)
		child->drain_at = clock_monotonic_s();
	log_info(&child->log, child->role == ROLE_API ? "is told to leave at once" : "hands over what it holds");
	child_tell(child, REPORT_RELEASE);
	child_wait_for(child, CHILD_WAIT_GRACE, CHILD_RELEASE_GRACE_S);
}

static void act_abort(struct child *child, const struct report *report)
{
	(void)report;
	if (child->aborted || child->killed)
		return;
	child->aborted = true;
	snprintf(child->reason, sizeof(child->reason), "was silent for %.0fs",
		clock_monotonic_s() - child->heard_at);
	log_error(&child->log, "%s; aborted", child->reason);
	signal_child(child, SIGABRT);
	child_wait_for(child, CHILD_WAIT_GRACE, CHILD_ABORT_GRACE_S);
}

static action_fn *const actions[CHILD_ACTIONS] = {
	[CHILD_UNDECIDED] = act_bug,
	[CHILD_IGNORE] = act_nothing,
	[CHILD_COUNT] = act_count,
	[CHILD_CHECK_HELLO] = act_check_hello,
	[CHILD_PARK] = act_park,
	[CHILD_NOTE_REFUSAL] = act_note_refusal,
	[CHILD_NOTE_NUMBERS] = act_note_numbers,
	[CHILD_PASS_RELEASED] = act_pass_released,
	[CHILD_PASS_WAKE] = act_pass_wake,
	[CHILD_PASS_HINT] = act_pass_hint,
	[CHILD_PASS_SCALE] = act_pass_scale,
	[CHILD_NOTE_EMPTY] = act_note_empty,
	[CHILD_GO] = act_go,
	[CHILD_LEAVE] = act_leave,
	[CHILD_DRAIN] = act_drain,
	[CHILD_HASTEN] = act_hasten,
	[CHILD_HAND_OVER] = act_hand_over,
	[CHILD_ABORT] = act_abort,
	[CHILD_KILL_SOON] = act_kill_soon,
	[CHILD_KILL] = act_kill,
	[CHILD_BURY] = act_nothing,     /* child_exited() does it: it has the status */
	[CHILD_BUG] = act_bug,
};

/* The state first: an action may lead to the next event. */
void child_apply(struct child *child, enum child_event event, const struct report *report)
{
	struct child_move move = child_state_move(child->state, event);

	if (move.action == CHILD_BUG)
		panic("%s %d: event %s in state %s", role_name(child->role), (int)child->pid, child_event_name(event),
			child_state_name(child->state));
	if (move.next != child->state)
		log_debug(&child->log, "%s: %s, so %s", child_state_name(child->state), child_event_name(event),
			child_state_name(move.next));
	child->state = move.next;
	actions[move.action](child, report);
}

void child_event(struct child *child, enum child_event event)
{
	child_apply(child, event, NULL);
}

/* -- its life --------------------------------------------------------------------------------- */

struct child *child_alloc(struct generation *generation, enum role role, unsigned slot)
{
	struct child *child = xnew(struct child);

	child->role = role;
	child->generation = generation;
	child->slot = slot;
	child->in_hand_fd = child->figures_fd = -1;
	list_init(&child->orphans);
	list_append(&generation->children, &child->link);
	ev_init(&child->timer, on_timer);
	child_init_channel(child);
	return child;
}

void child_resume(struct child *child)
{
	struct error err;

	child->resumed = true;
	child_watch_channel(child);
	if (child->in_hand_fd >= 0) {
		child->in_hand = in_hand_map(child->in_hand_fd, &err);
		if (child->in_hand == NULL)
			log_warn(&child->log, "%s; what it is busy with will not be known", err.text);
	}
	if (child->figures_fd >= 0) {
		child->figures = figures_map(child->figures_fd, &err);
		if (child->figures == NULL)
			log_warn(&child->log, "%s; what it counts is not in the metrics", err.text);
	}
	if (child->wait != CHILD_WAIT_NONE)
		child_wait_until(child, child->wait, child->wait_until);
	child->heard_at = clock_monotonic_s();
	if (child->owed != 0 && child->channel_fd >= 0)
		child_send_owed(child);
	child_tell(child, REPORT_PING);
}

void child_exited(struct child *child, int status)
{
	child->reaped = true;
	/* Its last words are in the channel still. */
	while (child_read_one(child))
		;
	child_apply(child, CHILD_EXITS, NULL);
	child_wait_until(child, CHILD_WAIT_NONE, 0);
	generation_child_gone(child->generation, child, status);
}

void child_destroy(struct child *child)
{
	if (child == NULL)
		return;
	ev_timer_stop(child_loop(child), &child->timer);
	child_close_channel(child);
	in_hand_unmap(child->in_hand);
	descriptor_close(&child->in_hand_fd);
	tally_take(&child->generation->master->tally, child->figures);
	figures_unmap(child->figures);
	descriptor_close(&child->figures_fd);
	orphans_finish(&child->orphans);
	list_remove(&child->link);
	free(child->queues);
	free(child);
}

bool child_is_silent(const struct child *child, double now, double limit_s)
{
	return child->state != CHILD_STARTING && !child->aborted && !child->killed &&
		now - child->heard_at > limit_s;
}

bool child_has_worked(const struct child *child)
{
	return child->active_at > 0;
}

bool child_crashed_on(const struct child *child, int status, char key[IN_HAND_KEY_BYTES])
{
	static const int faults[] = { SIGSEGV, SIGABRT, SIGBUS, SIGILL, SIGFPE, SIGSYS };
	bool at_fault = child->aborted;

	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
		at_fault = at_fault || (WIFSIGNALED(status) && WTERMSIG(status) == faults[i]);
	return at_fault && in_hand_read(child->in_hand, key);
}

void child_describe_end(const struct child *child, int status, char *text, size_t size)
{
	char end[64];

	if (WIFSIGNALED(status))
		snprintf(end, sizeof(end), "killed by signal %d", WTERMSIG(status));
	else
		snprintf(end, sizeof(end), "left with status %d", WEXITSTATUS(status));
	if (child->reason[0] != '\0')
		snprintf(text, size, "%s (%s)", end, child->reason);
	else
		snprintf(text, size, "%s", end);
}
