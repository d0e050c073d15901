/* SPDX-License-Identifier: Apache-2.0 */
/* scale.c - see scale.h. */
#include "master/scale.h"

size_t scale_decide(struct scale *scale, size_t current, size_t wanted)
{
	if (wanted >= current) {
		scale->calm = 0;
		return wanted <= 2 * current ? wanted : 2 * current;
	}
	if (++scale->calm < SCALE_CALM_LOOKS)
		return current;
	scale->calm = 0;
	return current - 1;
}
