/* SPDX-License-Identifier: Apache-2.0 */
/* skew.h - how far our clock is from AWS's, learnt from the Date header of its answers.
 *
 * Signatures are only good for five minutes, and a host with a wrong clock should still work.
 * Source: the SDKs' common rules for clock skew correction. */
#ifndef AWS_SKEW_H
#define AWS_SKEW_H

#include <stdbool.h>

enum {
	SKEW_ROUND_TRIP_S = 15 * 60,    /* an answer that took longer says nothing about the clock */
	SKEW_SIGNIFICANT_S = 4 * 60,    /* a signature may have been refused for this much */
	SKEW_WARN_S = 60,
};

struct skew {
	double offset_s;        /* AWS's clock minus ours; 0 until known */
	bool disabled;          /* AWS_DISABLE_CLOCK_SKEW_CORRECTION */
};

/* Reads "Thu, 01 Jan 2026 00:05:01 GMT" into seconds since 1970. */
bool skew_parse_date(const char *date, double *seconds);
/* Takes an answer's Date and Age headers (NULL: absent) and our wall clock at sending and receiving.
 * True when offset_s was set from it. */
bool skew_sample(struct skew *skew, const char *date, const char *age, double sent_s, double received_s);
/* Whether an error with this code and text, answered to a call that was signed with offset signed_s, means that our
 * clock was wrong, and the offset known now puts it right. */
bool skew_explains(const struct skew *skew, const char *code, const char *text, double signed_s);

#endif
