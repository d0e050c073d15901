/* SPDX-License-Identifier: Apache-2.0 */
/* nearest.c - see nearest.h. */
#include "check/nearest.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

void nearest_init(struct nearest *nearest, const char *word)
{
	*nearest = (struct nearest){ .word = word };
}

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

static int letter(const char *text, size_t at)
{
	return tolower((unsigned char)text[at]);
}

size_t nearest_distance(const char *a, const char *b)
{
	size_t rows[3][LIMIT_NEAREST_BYTES + 1];
	size_t a_len = strlen(a), b_len = strlen(b);

	if (a_len > LIMIT_NEAREST_BYTES || b_len > LIMIT_NEAREST_BYTES)
		return LIMIT_NEAREST_BYTES;
	for (size_t j = 0; j <= b_len; j++)
		rows[0][j] = j;
	for (size_t i = 1; i <= a_len; i++) {
		size_t *row = rows[i % 3], *above = rows[(i + 2) % 3], *above2 = rows[(i + 1) % 3];

		row[0] = i;
		for (size_t j = 1; j <= b_len; j++) {
			size_t change = above[j - 1] + (letter(a, i - 1) != letter(b, j - 1));

			row[j] = least(change, least(above[j], row[j - 1]) + 1);
			if (i > 1 && j > 1 && letter(a, i - 1) == letter(b, j - 2) &&
			    letter(a, i - 2) == letter(b, j - 1))
				row[j] = least(row[j], above2[j - 2] + 1);
		}
	}
	return rows[a_len % 3][b_len];
}

/* "warning" for "warn", "sub" for "subnets". */
static bool is_beginning(const char *a, const char *b)
{
	size_t len = least(strlen(a), strlen(b));

	return len >= 3 && strncasecmp(a, b, len) == 0;
}

/* A third of a word may be wrong; more, and a hint misleads. */
void nearest_offer(struct nearest *nearest, const char *candidate)
{
	size_t distance = nearest_distance(nearest->word, candidate);
	size_t allowed = strlen(candidate) < 4 ? 1 : (strlen(candidate) + 1) / 3;

	if (distance > allowed && is_beginning(nearest->word, candidate))
		distance = allowed;

	if (distance > allowed || (nearest->best != NULL && distance >= nearest->distance))
		return;
	nearest->best = candidate;
	nearest->distance = distance;
}
