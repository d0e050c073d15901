/* SPDX-License-Identifier: Apache-2.0 */
/* child_channel.c - a child's channel: what it says becomes events, and what it is told is owed until
 * there is room for it. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/descriptor.h"
#include "master/child_impl.h"
#include "master/generation.h"
#include "master/master.h"

enum { CHILD_READS_A_TURN = 64 };       /* one talkative child must not starve the others */
static const double CHILD_RETRY_S = 0.1;

void child_close_channel(struct child *child)
{
	ev_io_stop(child_loop(child), &child->readable);
	ev_io_stop(child_loop(child), &child->writable);
	ev_timer_stop(child_loop(child), &child->retry);
	descriptor_close(&child->channel_fd);
}

static bool send_word(struct child *child, enum report_kind kind)
{
	struct report report;
	int pass_fd = -1;

	report_init(&report, kind, child->generation->number);
	report.sequence = child->sequence_out + 1;
	if (kind == REPORT_DRAIN) {
		report.deadline_ms = child->drain_ms;
		report.drain.last = stop_is_under_way(&child->generation->master->stop);
	}
	if (kind == REPORT_REOPEN)
		pass_fd = log_target_fd(&child->generation->edition->log);
	if (!report_send(child->channel_fd, &report, pass_fd))
		return false;
	child->sequence_out++;
	return true;
}

enum child_send_fate child_send_fate(int error)
{
	switch (error) {
	case EAGAIN:
		return CHILD_SEND_FULL;
	case EPIPE: case ECONNRESET: case ENOTCONN: case ESHUTDOWN:
		return CHILD_SEND_GONE;
	case ENOBUFS: case ENOMEM: case ETOOMANYREFS:
		return CHILD_SEND_LATER;
	}
	return CHILD_SEND_NEVER;
}

/* What becomes of the words owed after one could not be sent. */
static void put_off(struct child *child, enum report_kind kind, int error)
{
	struct ev_loop *loop = child_loop(child);

	switch (child_send_fate(error)) {
	case CHILD_SEND_FULL:
		ev_io_start(loop, &child->writable);
		break;
	case CHILD_SEND_GONE:           /* its end will be told by the reaper */
		child->owed = 0;
		break;
	case CHILD_SEND_NEVER:          /* a fault of ours; the others are not to suffer for it */
		log_error(&child->log, "cannot be told %s: %s", report_kind_name(kind), strerror(error));
		child->owed &= ~(1u << kind);
		if (child->owed == 0)
			break;
		/* fallthrough */
	case CHILD_SEND_LATER:          /* there is room, so that the channel would be writable all the time */
		ev_now_update(loop);
		ev_timer_set(&child->retry, CHILD_RETRY_S, 0.);
		ev_timer_start(loop, &child->retry);
		break;
	}
}

/* Sends what is owed, in the order of the kinds, until the channel is full. */
void child_send_owed(struct child *child)
{
	ev_io_stop(child_loop(child), &child->writable);
	ev_timer_stop(child_loop(child), &child->retry);
	for (unsigned kind = 0; kind < REPORT_KINDS && child->owed != 0; kind++) {
		if ((child->owed & 1u << kind) == 0)
			continue;
		if (!send_word(child, (enum report_kind)kind)) {
			put_off(child, (enum report_kind)kind, errno);
			return;
		}
		child->owed &= ~(1u << kind);
	}
}

static void on_writable(struct ev_loop *loop, ev_io *io, int revents)
{
	struct child *child = container_of(io, struct child, writable);

	(void)loop;
	(void)revents;
	child_send_owed(child);
}

static void on_retry(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct child *child = container_of(timer, struct child, retry);

	(void)loop;
	(void)revents;
	child_send_owed(child);
}

void child_tell(struct child *child, enum report_kind kind)
{
	if (child->channel_fd < 0)
		return;
	child->owed |= 1u << kind;
	child_send_owed(child);
}

static bool send_of_orphan(struct child *child, enum report_kind kind, const char *owner, const char *text)
{
	struct report report;

	report_init(&report, kind, child->generation->number);
	report.sequence = child->sequence_out + 1;
	snprintf(report.name, sizeof(report.name), "%s", owner);
	snprintf(report.text, sizeof(report.text), "%s", text);
	if (!report_send(child->channel_fd, &report, -1))
		return false;
	child->sequence_out++;
	return true;
}

/* When there was room for the first alone, both are sent again. */
bool child_tell_orphan(struct child *child, const struct orphan *orphan)
{
	if (child->channel_fd < 0 || !send_of_orphan(child, REPORT_ORPHANS, orphan->owner, orphan->how))
		return false;
	return orphan->crashed_on[0] == '\0' ||
		send_of_orphan(child, REPORT_CRASHED_ON, orphan->owner, orphan->crashed_on);
}

static const enum child_event events[REPORT_KINDS] = {
	[REPORT_HELLO] = CHILD_SAYS_HELLO,
	[REPORT_READY] = CHILD_SAYS_READY,
	[REPORT_REFUSED] = CHILD_SAYS_REFUSED,
	[REPORT_ALIVE] = CHILD_SAYS_ALIVE,
	[REPORT_QUEUE] = CHILD_SAYS_ALIVE,
	[REPORT_RELEASED] = CHILD_SAYS_RELEASED,
	[REPORT_WAKE] = CHILD_SAYS_WAKE,
	[REPORT_HINT] = CHILD_SAYS_HINT,
	[REPORT_EMPTY] = CHILD_SAYS_EMPTY,
	[REPORT_GO] = CHILD_SAYS_NONSENSE,
	[REPORT_DRAIN] = CHILD_SAYS_NONSENSE,
	[REPORT_RELEASE] = CHILD_SAYS_NONSENSE,
	[REPORT_EXIT] = CHILD_SAYS_NONSENSE,
	[REPORT_REOPEN] = CHILD_SAYS_NONSENSE,
	[REPORT_PING] = CHILD_SAYS_NONSENSE,
	[REPORT_ADOPT] = CHILD_SAYS_NONSENSE,
	[REPORT_SWEEP] = CHILD_SAYS_NONSENSE,
	[REPORT_ORPHANS] = CHILD_SAYS_NONSENSE,
	[REPORT_CRASHED_ON] = CHILD_SAYS_NONSENSE,
	[REPORT_SCALE] = CHILD_SAYS_SCALE,
};

static void hear(struct child *child, const struct report *report)
{
	bool gap = child->sequence_in != 0 && report->sequence != child->sequence_in + 1;

	child->heard_at = clock_monotonic_s();
	child->sequence_in = report->sequence;
	/* Generation 0: it never became the program, and spawn.c speaks for it. */
	if (report->generation != child->generation->number && report->generation != 0)
		child_apply(child, CHILD_SAYS_NONSENSE, report);
	else
		child_apply(child, events[report->kind], report);
	if (gap)
		child_tell(child, REPORT_PING);
}

/* False at the end of the channel, or when there is no more for now. */
bool child_read_one(struct child *child)
{
	struct report report;

	if (child->channel_fd < 0)
		return false;
	switch (report_receive(child->channel_fd, &report, NULL)) {
	case REPORT_READ_ONE:
		hear(child, &report);
		return true;
	case REPORT_READ_BAD:
		child_apply(child, CHILD_SAYS_NONSENSE, NULL);
		return true;
	case REPORT_READ_EOF:
		child_close_channel(child);
		child_apply(child, CHILD_CLOSES, NULL);
		return false;
	case REPORT_READ_NONE:
		break;
	}
	return false;
}

static void on_readable(struct ev_loop *loop, ev_io *io, int revents)
{
	struct child *child = container_of(io, struct child, readable);

	(void)loop;
	(void)revents;
	for (int i = 0; i < CHILD_READS_A_TURN; i++) {
		if (!child_read_one(child))
			return;
	}
}

void child_init_channel(struct child *child)
{
	child->channel_fd = -1;
	ev_init(&child->readable, on_readable);
	ev_init(&child->writable, on_writable);
	ev_init(&child->retry, on_retry);
	/* What it said in time is read before its deadline is judged. */
	ev_set_priority(&child->readable, 1);
}

void child_watch_channel(struct child *child)
{
	struct ev_loop *loop = child_loop(child);

	log_init(&child->log, &child->generation->log, "%s %d", role_name(child->role), (int)child->pid);
	if (child->channel_fd < 0)
		return;
	ev_io_set(&child->readable, child->channel_fd, EV_READ);
	ev_io_set(&child->writable, child->channel_fd, EV_WRITE);
	ev_io_start(loop, &child->readable);
}
