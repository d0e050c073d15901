/* SPDX-License-Identifier: Apache-2.0 */
/* nearest.h - what somebody may have meant. */
#ifndef CHECK_NEAREST_H
#define CHECK_NEAREST_H

#include <stddef.h>

enum { LIMIT_NEAREST_BYTES = 64 };      /* longer words are not compared */

struct nearest {
	const char *word;               /* lent; what was written */
	const char *best;               /* lent; NULL while nothing is near enough */
	size_t distance;                /* of best */
};

void nearest_init(struct nearest *nearest, const char *word);
void nearest_offer(struct nearest *nearest, const char *candidate);
/* Letters that must be added, left out, changed or swapped with their neighbour, case apart, to
 * turn one word into the other. */
size_t nearest_distance(const char *a, const char *b);

#endif
