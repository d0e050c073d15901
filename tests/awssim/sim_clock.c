/* SPDX-License-Identifier: Apache-2.0 */
/* sim_clock.c - alarms in a heap of our own over one timer of the loop.
 * libev's timers can't be used for each alarm: they know nothing of an advanced clock. */
#include "sim_clock.h"

#include "list.h"
#include "xalloc.h"

#include <time.h>

struct sim_clock {
	struct ev_loop *loop;
	ev_timer timer;         /* for the first alarm */
	int64_t advance_ms;
	int64_t skew_s;
	struct alarm **heap;    /* [1 .. count], the earliest at 1 */
	size_t count, room;
};

static int64_t machine_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t sim_clock_now_ms(const struct sim_clock *clock)
{
	return machine_ms() + clock->advance_ms;
}

int64_t sim_clock_wall_s(const struct sim_clock *clock)
{
	return machine_ms() / 1000 + clock->skew_s;
}

static void heap_put(struct sim_clock *clock, size_t slot, struct alarm *alarm)
{
	clock->heap[slot] = alarm;
	alarm->slot = slot;
}

static void heap_raise(struct sim_clock *clock, size_t slot, struct alarm *alarm)
{
	while (slot > 1 && clock->heap[slot / 2]->at_ms > alarm->at_ms) {
		heap_put(clock, slot, clock->heap[slot / 2]);
		slot /= 2;
	}
	heap_put(clock, slot, alarm);
}

static void heap_lower(struct sim_clock *clock, size_t slot, struct alarm *alarm)
{
	for (;;) {
		size_t child = slot * 2;

		if (child > clock->count)
			break;
		if (child < clock->count &&
		    clock->heap[child + 1]->at_ms < clock->heap[child]->at_ms)
			child++;
		if (clock->heap[child]->at_ms >= alarm->at_ms)
			break;
		heap_put(clock, slot, clock->heap[child]);
		slot = child;
	}
	heap_put(clock, slot, alarm);
}

static void heap_remove(struct sim_clock *clock, struct alarm *alarm)
{
	size_t slot = alarm->slot;
	struct alarm *last = clock->heap[clock->count--];

	alarm->slot = 0;
	if (last == alarm)
		return;
	if (slot > 1 && clock->heap[slot / 2]->at_ms > last->at_ms)
		heap_raise(clock, slot, last);
	else
		heap_lower(clock, slot, last);
}

static void clock_arm(struct sim_clock *clock)
{
	double delay_s;

	if (clock->count == 0) {
		ev_timer_stop(clock->loop, &clock->timer);
		return;
	}
	delay_s = (double)(clock->heap[1]->at_ms - sim_clock_now_ms(clock)) / 1000;
	ev_timer_stop(clock->loop, &clock->timer);
	ev_now_update(clock->loop);
	ev_timer_set(&clock->timer, delay_s < 0 ? 0 : delay_s, 0);
	ev_timer_start(clock->loop, &clock->timer);
}

static void on_timer(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct sim_clock *clock = container_of(timer, struct sim_clock, timer);
	int64_t now_ms = sim_clock_now_ms(clock);

	(void)loop, (void)revents;
	while (clock->count > 0 && clock->heap[1]->at_ms <= now_ms) {
		struct alarm *alarm = clock->heap[1];

		heap_remove(clock, alarm);
		alarm->ring(alarm);
	}
	clock_arm(clock);
}

void sim_clock_set(struct sim_clock *clock, struct alarm *alarm, int64_t at_ms)
{
	if (alarm->slot != 0)
		heap_remove(clock, alarm);
	if (clock->count + 2 > clock->room) {
		clock->room = clock->room == 0 ? 64 : clock->room * 2;
		clock->heap = xrealloc(clock->heap, clock->room * sizeof(struct alarm *));
	}
	alarm->at_ms = at_ms;
	heap_raise(clock, ++clock->count, alarm);
	if (alarm->slot == 1)
		clock_arm(clock);
}

/* The timer may stay armed for an alarm that is gone: it then rings nobody and arms itself anew. */
void sim_clock_clear(struct sim_clock *clock, struct alarm *alarm)
{
	if (alarm->slot != 0)
		heap_remove(clock, alarm);
}

void sim_clock_advance(struct sim_clock *clock, int64_t ms)
{
	clock->advance_ms += ms;
	clock_arm(clock);
}

void sim_clock_set_skew(struct sim_clock *clock, int64_t skew_s)
{
	clock->skew_s = skew_s;
}

struct sim_clock *sim_clock_create(struct ev_loop *loop)
{
	struct sim_clock *clock = xcalloc(1, sizeof(*clock));

	clock->loop = loop;
	ev_timer_init(&clock->timer, on_timer, 0, 0);
	return clock;
}

void sim_clock_destroy(struct sim_clock *clock)
{
	if (clock == NULL)
		return;
	ev_timer_stop(clock->loop, &clock->timer);
	free(clock->heap);
	free(clock);
}
