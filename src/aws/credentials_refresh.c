/* SPDX-License-Identifier: Apache-2.0 */
/* credentials_refresh.c - see credentials_refresh.h. */
#include "aws/credentials_refresh.h"

#include <stddef.h>

#define MINUTE_MS INT64_C(60000)

int64_t refresh_advisory_ms(int64_t life_ms)
{
	static const struct { int64_t life_ms, advisory_ms; } windows[] = {
		{ 20 * MINUTE_MS, 5 * MINUTE_MS },
		{ 90 * MINUTE_MS - 1, 15 * MINUTE_MS },
	};

	for (size_t i = 0; i < sizeof(windows) / sizeof(windows[0]); i++) {
		if (life_ms <= windows[i].life_ms)
			return windows[i].advisory_ms;
	}
	return 60 * MINUTE_MS;
}

enum refresh_need refresh_need(const struct refresh_state *state)
{
	if (!state->cached)
		return REFRESH_FIRST;
	/* Even past their end: AWS may honour them during an outage of what issues them. */
	if (state->paused)
		return REFRESH_NOT;
	if (state->rejected)
		return REFRESH_FIRST;
	if (state->lasting || state->left_ms > state->advisory_ms)
		return REFRESH_NOT;
	return state->left_ms > REFRESH_MANDATORY_MS ? REFRESH_AHEAD : REFRESH_FIRST;
}

double refresh_pause_s(double unit)
{
	return REFRESH_PAUSE_MIN_S + unit * (REFRESH_PAUSE_MAX_S - REFRESH_PAUSE_MIN_S);
}
