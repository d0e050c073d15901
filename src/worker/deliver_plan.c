/* SPDX-License-Identifier: Apache-2.0 */
/* deliver_plan.c - see deliver_plan.h. */
#include "worker/deliver_plan.h"

#include "base/backoff.h"

struct deliver_next deliver_plan(const struct deliver_history *history, double unit)
{
	double left_s = history->give_up_after_s - history->age_s;
	struct deliver_next next = { .wait_s = backoff_s(history->tries, 1, DELIVER_PAUSE_MAX_S, unit) };

	next.dead = history->hopeless || (left_s <= 0 && history->tries >= DELIVER_LEAST_TRIES);
	if (next.wait_s < history->retry_after_s)
		next.wait_s = history->retry_after_s;
	if (left_s > 0 && next.wait_s > left_s)
		next.wait_s = left_s;
	return next;
}

double deliver_put_off_s(const struct deliver_load *load, double unit)
{
	double waiting = (double)load->waiting;
	double need_s = waiting * load->took_s / load->at_once;

	if (load->rate > 0 && need_s < 60 * waiting / (double)load->rate)
		need_s = 60 * waiting / (double)load->rate;
	if (need_s < (load->failing ? 30 : 3))
		need_s = load->failing ? 30 : 3;
	if (need_s > 60)
		need_s = 60;
	return need_s * (0.5 + unit / 2);
}
