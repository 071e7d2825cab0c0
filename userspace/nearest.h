/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What somebody meant who mistyped a word. Pure. */
#ifndef SNICTL_NEAREST_H
#define SNICTL_NEAREST_H

/**
 * nearest_distance() - edits that turn one word into another.
 * @limit: at most NEAREST_LIMIT_MAX; more distant words are not measured.
 *
 * An edit puts in, takes out or replaces a character, or swaps two
 * neighbours (optimal string alignment).
 *
 * Return: 0..@limit, or @limit + 1 for everything more distant.
 */
#define NEAREST_LIMIT_MAX 3
unsigned nearest_distance(const char *a, const char *b, unsigned limit);

/**
 * struct nearest - the best of the candidates offered so far.
 * @word:  what was typed.
 * @found: the nearest candidate, or NULL.
 */
struct nearest {
	const char *word;
	const char *found;
	unsigned distance;
};

/** nearest_offer() - let a candidate compete; it must outlive @nearest. */
void nearest_offer(struct nearest *nearest, const char *candidate);

#endif
