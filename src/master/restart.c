/* SPDX-License-Identifier: Apache-2.0 */
/* restart.c - see restart.h.  There is no number of deaths after which it gives up: a consumer has to
 * come back when what it needs comes back. */
#include "master/restart.h"

#include "base/backoff.h"

unsigned restart_count(unsigned deaths, const struct restart_life *life)
{
	bool healthy = life->active_s >= RESTART_HEALTHY_S ||
		(life->finished_job && life->active_s >= RESTART_WORKED_S);

	return healthy ? 1 : deaths + 1;
}

double restart_delay_s(const struct restart_policy *policy, unsigned deaths, enum restart_cause cause,
	double unit)
{
	double first_s = cause == RESTART_REFUSED ? policy->delay_max_s : policy->delay_s;

	return backoff_s(deaths, first_s, policy->delay_max_s, unit);
}
