/* SPDX-License-Identifier: Apache-2.0 */
/* skew.c - see skew.h. */
#include "aws/skew.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

static const char *const months[] = {
	"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
};

/* Codes that services give when they do not believe the time of a signature; some have other reasons too. */
static const char *const codes[] = {
	"InvalidSignatureException", "SignatureDoesNotMatch", "AuthFailure", "RequestTimeTooSkewed",
	"AccessDeniedException", "RequestExpired", "RequestInTheFuture",
};

static int month_of(const char *name)
{
	for (int i = 0; i < 12; i++)
		if (strcasecmp(name, months[i]) == 0)
			return i;
	return -1;
}

/* RFC 9110's preferred form only: AWS sends no other. */
bool skew_parse_date(const char *date, double *seconds)
{
	struct tm tm = { 0 };
	char month[4];
	int end = 0;

	if (sscanf(date, "%*3[A-Za-z], %2d %3[A-Za-z] %4d %2d:%2d:%2d GMT%n", &tm.tm_mday, month, &tm.tm_year,
		&tm.tm_hour, &tm.tm_min, &tm.tm_sec, &end) != 6 || end == 0 || date[end] != '\0')
		return false;
	tm.tm_mon = month_of(month);
	if (tm.tm_mon < 0 || tm.tm_year < 1970 || tm.tm_mday < 1 || tm.tm_mday > 31 || tm.tm_hour < 0
	    || tm.tm_hour > 23 || tm.tm_min < 0 || tm.tm_min > 59 || tm.tm_sec < 0 || tm.tm_sec > 60)
		return false;
	tm.tm_year -= 1900;
	*seconds = (double)timegm(&tm);
	return true;
}

bool skew_sample(struct skew *skew, const char *date, const char *age, double sent_s, double received_s)
{
	double server_s;

	/* An Age means that a cache has answered, with a Date of long ago. */
	if (skew->disabled || date == NULL || age != NULL || received_s - sent_s > SKEW_ROUND_TRIP_S)
		return false;
	if (!skew_parse_date(date, &server_s))
		return false;
	skew->offset_s = server_s - (sent_s + received_s) / 2;
	return true;
}

bool skew_explains(const struct skew *skew, const char *code, const char *text, double signed_s)
{
	bool suspect = strstr(text, "Signature expired") != NULL;

	/* What was wrong with this signature, not how wrong the clock is: a second refusal after the
	 * correction has another reason. */
	if (skew->disabled || fabs(skew->offset_s - signed_s) <= SKEW_SIGNIFICANT_S)
		return false;
	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		suspect = suspect || strcmp(code, codes[i]) == 0;
	return suspect;
}
