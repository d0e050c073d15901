/* SPDX-License-Identifier: Apache-2.0 */
/* queue_sqs_lease.c - keeps held messages hidden.
 *
 * Each is renewed when half of its lease is over, ten a call, from one list in order of time with
 * one timer.  A call that is made anyway takes along what would be due soon, so that messages which
 * came one by one end up in full calls.  Messages of one FIFO group are renewed together: if a later
 * one ran out alone, it would become visible while an earlier one still runs.
 *
 * SQS ends a hold twelve hours after the receive, whatever we do.  A while before that the holder is
 * told; the last extension is cut to that end, and shortly before it the message is lost.  When the
 * receive was another process's, its time is a guess: then the end is where SQS refuses to go on. */
#include "base/clock.h"
#include "queue/queue_sqs.h"

enum { CALL_MS = 15000, LEAST_CALL_MS = 1000, PATIENT_VISIBILITY_S = 60 };
static const double retry_s = 15;               /* at most, while there is time left */
static const double at_once_s = 0.002;          /* a timer may come this much early */

/* What else may come along in a call that is made anyway. */
static double ahead_s(const struct sqs_lease *lease)
{
	return lease->queue->visibility_s / 8.;
}

/* A renewal begins with half of the lease left.  Three tries of an eighth each and the pauses between them fit
 * into that when it is long; otherwise nobody waits below us, where nobody knows how much time is left:
 * retry_at_s() decides after each try. */
static struct sqs_patience patience_of(const struct sqs_lease *lease)
{
	unsigned visibility_s = lease->queue->visibility_s, timeout_ms = visibility_s * 1000 / 8;

	if (timeout_ms > CALL_MS)
		timeout_ms = CALL_MS;
	if (timeout_ms < LEAST_CALL_MS)
		timeout_ms = LEAST_CALL_MS;
	return (struct sqs_patience){ .tries = visibility_s < PATIENT_VISIBILITY_S ? 1 : 0, .timeout_ms = timeout_ms };
}

static double hold_end_s(const struct sqs_message *message)
{
	return message->received_s + SQS_HIDDEN_TOTAL_S;
}

static void rearm(struct sqs_lease *lease)
{
	struct sqs_message *first = list_first(&lease->by_due, struct sqs_message, link);

	if (first == NULL)
		ev_timer_stop(lease->queue->face.env.loop, &lease->timer);
	else if (lease->calls < LIMIT_SQS_CALLS)
		sqs_arm(lease->queue, &lease->timer, first->due_s - clock_monotonic_s());
}

/* Leases begin in order of time, so the place is nearly always at the end. */
static void insert(struct sqs_lease *lease, struct sqs_message *message)
{
	struct list *at;

	list_remove(&message->link);    /* first: it may be its own neighbour */
	at = lease->by_due.prev;
	while (at != &lease->by_due && container_of(at, struct sqs_message, link)->due_s > message->due_s)
		at = at->prev;
	list_insert_between(&message->link, at, at->next);
}

static void insert_at(struct sqs_lease *lease, struct sqs_message *message, double due_s)
{
	message->due_s = due_s;
	insert(lease, message);
	if (lease->by_due.next == &message->link)
		rearm(lease);
}

void sqs_lease_schedule(struct sqs_lease *lease, struct sqs_message *message)
{
	double visibility_s = lease->queue->visibility_s;
	double due_s = message->hidden_until_s - visibility_s / 2;

	message->phase = SQS_HELD;
	if (message->hidden_until_s > hold_end_s(message) - 1) {
		double warning_s = visibility_s / 2 < SQS_LAST_WARNING_S ? visibility_s / 2 : SQS_LAST_WARNING_S;

		message->phase = SQS_LAST;
		due_s = message->hidden_until_s - warning_s;
	}
	if (!message->warned && due_s > hold_end_s(message) - SQS_EXPIRING_S)
		due_s = hold_end_s(message) - SQS_EXPIRING_S;
	insert_at(lease, message, due_s);
}

/* The others of its group are put before everything else, once a round. */
static void hurry_siblings(struct sqs_lease *lease, struct sqs_message *message, double now_s)
{
	struct sqs_message *sibling;
	struct list *at = &lease->by_due;

	if (message->member == NULL || message->member->hurried_s == now_s)
		return;
	message->member->hurried_s = now_s;
	list_each(sibling, &message->member->messages, sibling) {
		if (sibling == message || sibling->phase != SQS_HELD || sibling->batch != NULL)
			continue;
		list_remove(&sibling->link);
		sibling->due_s = now_s;
		list_insert_between(&sibling->link, at, at->next);
		at = &sibling->link;
	}
}

/* Seconds that the message may still be hidden for; 0: its twelve hours are over. */
static unsigned extension_s(const struct sqs_lease *lease, const struct sqs_message *message, double now_s)
{
	double left_s = hold_end_s(message) - now_s;

	if (message->phase == SQS_LAST || left_s < 1)
		return message->guessed ? lease->queue->visibility_s : 0;
	return left_s < lease->queue->visibility_s ? (unsigned)left_s : lease->queue->visibility_s;
}

static void end_hold(struct sqs_message *message, double now_s)
{
	struct error why;

	error_set(&why, ERROR_LOST, "SQS hides a message for 12 hours after its receive and no longer; "
		"%s becomes visible again in %.0fs", message->face.id,
		message->hidden_until_s > now_s ? message->hidden_until_s - now_s : 0.);
	sqs_message_lose(message, &why);
}

/* An entry that could not be renewed now is tried again, sooner the less time is left.  wait_s is the
 * same for all of a call, so that they stay together. */
static double retry_at_s(const struct sqs_message *message, double now_s, double wait_s)
{
	double left_s = message->hidden_until_s - now_s;
	double soon_s = left_s / 4 < retry_s ? left_s / 4 : retry_s;

	if (left_s <= 0)
		return now_s + (wait_s > 1 ? wait_s : 1);
	if (wait_s > soon_s)
		wait_s = soon_s;
	return now_s + (wait_s > 0.25 ? wait_s : 0.25);
}

static void take_answer(struct sqs_lease *lease, const struct sqs_batch *batch, size_t i,
	const struct sqs_answer *answer, double now_s, double wait_s)
{
	struct sqs_message *message = batch->messages[i];

	if (message->phase == SQS_SETTLING) {
		sqs_lane_add(sqs_lane_of(message), message);
		return;
	}
	/* A redelivery brought a newer handle meanwhile: this answer says nothing about it. */
	if (!sqs_batch_is_current(batch, i)) {
		sqs_lease_schedule(lease, message);
		return;
	}
	switch (answer->outcome) {
	case SQS_DONE:
		message->alone = false;
		sqs_message_hidden_for(message, batch->sent_s, batch->visibility_s[i]);
		sqs_lease_schedule(lease, message);
		break;
	case SQS_AGAIN:
		insert_at(lease, message, retry_at_s(message, now_s, wait_s));
		break;
	case SQS_LOST:
	case SQS_DENIED:
		/* The guess was wrong, but the lease that it has is good to its end. */
		if (sqs_is_beyond_total(&answer->error) && message->phase == SQS_HELD && message->hidden_until_s > now_s) {
			message->guessed = false;
			message->received_s = message->hidden_until_s - SQS_HIDDEN_TOTAL_S;
			sqs_lease_schedule(lease, message);
		} else
			sqs_message_lose(message, &answer->error);
		break;
	}
}

static void on_renewed(struct sqs_batch *batch, const struct sqs_answer *answers, const struct error *whole)
{
	struct sqs_lease *lease = &batch->queue->lease;
	double now_s = clock_monotonic_s();
	double wait_s = sqs_batch_note(batch, &lease->trouble, answers, whole);

	lease->calls--;
	for (size_t i = 0; i < batch->count; i++) {
		if (batch->messages[i] != NULL)
			take_answer(lease, batch, i, &answers[i], now_s, wait_s);
	}
	rearm(lease);
}

/* Takes up to ten messages that are due (or nearly) off the list. */
static size_t gather(struct sqs_lease *lease, double now_s, struct sqs_message **messages, unsigned *visibility_s)
{
	double until_s = now_s + at_once_s;
	struct sqs_message *message;
	size_t count = 0;

	while (count < SQS_BATCH) {
		message = list_first(&lease->by_due, struct sqs_message, link);
		if (message == NULL || message->due_s > until_s)
			break;
		if (count > 0 && (message->alone || (message->phase == SQS_LAST && message->due_s > now_s)))
			break;
		list_remove(&message->link);
		if (!message->warned && hold_end_s(message) - SQS_EXPIRING_S <= now_s + at_once_s) {
			sqs_message_warn(message);
			sqs_lease_schedule(lease, message);
			continue;
		}
		if (extension_s(lease, message, now_s) == 0) {
			end_hold(message, now_s);
			continue;
		}
		hurry_siblings(lease, message, now_s);
		visibility_s[count] = extension_s(lease, message, now_s);
		messages[count++] = message;
		if (message->alone)
			break;
		until_s = now_s + ahead_s(lease);
	}
	return count;
}

void sqs_lease_run(struct sqs_lease *lease)
{
	double now_s = clock_monotonic_s();

	while (lease->calls < LIMIT_SQS_CALLS) {
		struct sqs_message *messages[SQS_BATCH];
		unsigned visibility_s[SQS_BATCH];
		size_t count = gather(lease, now_s, messages, visibility_s);

		if (count == 0)
			break;
		lease->calls++;
		sqs_batch_send(lease->queue, SQS_RENEW, messages, visibility_s, count, patience_of(lease), on_renewed);
	}
	rearm(lease);
}

static void on_due(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct sqs_lease *lease = container_of(timer, struct sqs_lease, timer);

	(void)loop;
	(void)revents;
	sqs_lease_run(lease);
	sqs_tell(lease->queue, NULL, 0);
}

void sqs_lease_init(struct sqs_lease *lease, struct queue_sqs *queue)
{
	lease->queue = queue;
	lease->trouble.doing = "renewing leases";
	list_init(&lease->by_due);
	ev_timer_init(&lease->timer, on_due, 0., 0.);
}

void sqs_lease_finish(struct sqs_lease *lease)
{
	ev_timer_stop(lease->queue->face.env.loop, &lease->timer);
}
