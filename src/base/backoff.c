/* SPDX-License-Identifier: Apache-2.0 */
/* backoff.c - see backoff.h.  Half of the delay is kept fixed: full jitter would let a crowd of
 * workers hammer a peer that has just come back. */
#include "base/backoff.h"

double backoff_s(unsigned failures, double first_s, double max_s, double unit)
{
	double delay_s = first_s;

	for (unsigned i = 1; i < failures && delay_s < max_s; i++)
		delay_s *= 2;
	if (delay_s > max_s)
		delay_s = max_s;
	return delay_s * (0.5 + unit / 2);
}
