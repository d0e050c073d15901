/* SPDX-License-Identifier: Apache-2.0 */
/* retry.c - see retry.h. */
#include "aws/retry.h"

#include <stdlib.h>

#include "aws/skew.h"

static const double base_s = 0.05, base_throttled_s = 1, longest_s = 20;
static const int64_t server_extra_ms = 5000;    /* what the server may add to our own delay */

void retry_bucket_init(struct retry_bucket *bucket)
{
	bucket->tokens = RETRY_BUCKET;
}

bool retry_bucket_pay(struct retry_bucket *bucket, enum retry_cause cause, unsigned *paid)
{
	unsigned cost = cause == RETRY_THROTTLED ? RETRY_COST_THROTTLED : RETRY_COST;

	if (bucket->tokens < cost)
		return false;
	bucket->tokens -= cost;
	*paid = cost;
	return true;
}

void retry_bucket_earn(struct retry_bucket *bucket, unsigned paid)
{
	bucket->tokens += paid > 0 ? paid : 1;
	if (bucket->tokens > RETRY_BUCKET)
		bucket->tokens = RETRY_BUCKET;
}

double retry_delay_s(unsigned retry, enum retry_cause cause, double unit, int64_t retry_after_ms)
{
	double ceiling = cause == RETRY_THROTTLED ? base_throttled_s : base_s;
	double delay, wish;

	for (unsigned i = 0; i < retry && ceiling < longest_s; i++)
		ceiling *= 2;
	if (ceiling > longest_s)
		ceiling = longest_s;
	delay = unit * ceiling;
	if (retry_after_ms < 0)
		return delay;
	wish = (double)retry_after_ms / 1000.0;
	if (wish > delay + (double)server_extra_ms / 1000.0)
		wish = delay + (double)server_extra_ms / 1000.0;
	return wish > delay ? wish : delay;
}

int64_t retry_after_parse(const char *value, double now_s)
{
	double date, wait_s;
	char *end;

	if (value == NULL)
		return -1;
	wait_s = strtod(value, &end);
	if (end == value || *end != '\0') {
		if (!skew_parse_date(value, &date))
			return -1;
		wait_s = date > now_s ? date - now_s : 0;
	}
	if (!(wait_s >= 0))
		return -1;
	return wait_s > 86400 ? 86400000 : (int64_t)(wait_s * 1000);
}
