/* SPDX-License-Identifier: Apache-2.0 */
/* skew.c - see skew.h. */
#include "aws/skew.h"

#include <math.h>
#include <stddef.h>
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
		if (strncasecmp(name, months[i], 3) == 0)
			return i;
	return -1;
}

/* Whether text begins as form says: A is a letter, 0 a digit, anything else itself. */
static bool has_form(const char *text, const char *form)
{
	for (; *form != '\0'; form++, text++) {
		bool letter = (*text >= 'A' && *text <= 'Z') || (*text >= 'a' && *text <= 'z');
		bool digit = *text >= '0' && *text <= '9';

		if (*form == 'A' ? !letter : *form == '0' ? !digit : *text != *form)
			return false;
	}
	return true;
}

static int number(const char *digits, int count)
{
	int value = 0;

	for (int i = 0; i < count; i++)
		value = 10 * value + (digits[i] - '0');
	return value;
}

/* RFC 9110's preferred form only: AWS sends no other.  The day may have one digit.  Read with each answer, so not with
 * sscanf(3). */
bool skew_parse_date(const char *date, double *seconds)
{
	static const char rest[] = " AAA 0000 00:00:00 GMT";
	struct tm tm = { 0 };
	int digits = has_form(date, "AAA, 00") ? 2 : 1;
	const char *at = date + strlen("AAA, ") + digits;

	if (!has_form(date, "AAA, 0") || !has_form(at, rest) || at[sizeof(rest) - 1] != '\0')
		return false;
	tm.tm_mday = number(at - digits, digits);
	tm.tm_mon = month_of(at + 1);
	tm.tm_year = number(at + 5, 4);
	tm.tm_hour = number(at + 10, 2);
	tm.tm_min = number(at + 13, 2);
	tm.tm_sec = number(at + 16, 2);
	if (tm.tm_mon < 0 || tm.tm_year < 1970 || tm.tm_mday < 1 || tm.tm_mday > 31
	    || tm.tm_hour > 23 || tm.tm_min > 59 || tm.tm_sec > 60)
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
