/* SPDX-License-Identifier: Apache-2.0 */
/* credentials_refresh.h - when credentials are fetched anew.  Only the decision: no clock, call or log.
 * Source: the SDKs' common rules for credential refresh and static stability (2026). */
#ifndef AWS_CREDENTIALS_REFRESH_H
#define AWS_CREDENTIALS_REFRESH_H

#include <stdbool.h>
#include <stdint.h>

enum {
	REFRESH_MANDATORY_MS = 60 * 1000,       /* so near their end they are not handed out while new ones can be had */
	REFRESH_PAUSE_MIN_S = 300,              /* after a failure the source is left alone for so long at least */
	REFRESH_PAUSE_MAX_S = 600,
	REFRESH_AHEAD_PAUSE_S = 60,             /* between refreshes that nobody waits for: a source may give the
						 * same again, or say no */
};

/* What is known about the credentials in hand. */
struct refresh_state {
	bool cached;                    /* there are some */
	bool rejected;                  /* AWS has said that they are no good */
	bool lasting;                   /* they have no end */
	bool paused;                    /* a refresh has failed lately */
	int64_t left_ms;                /* until their end; negative: past it */
	int64_t advisory_ms;            /* from refresh_advisory_ms() */
};

enum refresh_need {
	REFRESH_NOT,            /* use what is in hand */
	REFRESH_AHEAD,          /* use what is in hand, and fetch new ones */
	REFRESH_FIRST,          /* fetch new ones, then use what there is */
};

/* How long before their end credentials with such a life should be replaced. */
int64_t refresh_advisory_ms(int64_t life_ms);
enum refresh_need refresh_need(const struct refresh_state *state);
/* Seconds to leave a source alone after a failure, with unit drawn evenly from [0, 1): all workers of a
 * fleet must not come back at once. */
double refresh_pause_s(double unit);

#endif
