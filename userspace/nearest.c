// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "nearest.h"

#include <stddef.h>
#include <string.h>

/* Host names are the longest words that are compared. */
#define WORD_MAX 255

static unsigned least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

unsigned nearest_distance(const char *a, const char *b, unsigned limit)
{
	unsigned row[3][WORD_MAX + 1];
	size_t a_length = strlen(a), b_length = strlen(b);
	size_t gap =
		a_length > b_length ? a_length - b_length : b_length - a_length;

	if (gap > limit || a_length > WORD_MAX || b_length > WORD_MAX)
		return limit + 1;
	for (unsigned j = 0; j <= b_length; j++)
		row[0][j] = j;
	for (unsigned i = 1; i <= a_length; i++) {
		unsigned *now = row[i % 3];
		const unsigned *up = row[(i + 2) % 3];
		const unsigned *up2 = row[(i + 1) % 3];

		now[0] = i;
		for (unsigned j = 1; j <= b_length; j++) {
			unsigned cost = a[i - 1] != b[j - 1];

			now[j] = least(up[j - 1] + cost,
				       least(up[j], now[j - 1]) + 1);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] &&
			    a[i - 2] == b[j - 1])
				now[j] = least(now[j], up2[j - 2] + 1);
		}
	}
	return least(row[a_length % 3][b_length], limit + 1);
}

void nearest_offer(struct nearest *nearest, const char *candidate)
{
	/* A word that must change in most places was not mistyped. */
	size_t half = (strlen(nearest->word) + 1) / 2;
	unsigned limit =
		half < NEAREST_LIMIT_MAX ? (unsigned)half : NEAREST_LIMIT_MAX;
	unsigned distance = nearest_distance(nearest->word, candidate, limit);

	if (distance > limit ||
	    (nearest->found && distance >= nearest->distance))
		return;
	nearest->found = candidate;
	nearest->distance = distance;
}
