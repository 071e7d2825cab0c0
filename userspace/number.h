/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The one number parser. Pure. */
#ifndef SNICTL_NUMBER_H
#define SNICTL_NUMBER_H

#include <stdint.h>

/**
 * number_parse() - read a decimal number that is the whole text.
 * @ret_value: written only on success.
 *
 * No sign, no blanks, no leading zeros (but "0" itself), no trailing bytes.
 *
 * Return: 0, -EINVAL (not such a number) or -ERANGE (not in min..max).
 */
int number_parse(const char *text, uint64_t min, uint64_t max,
		 uint64_t *ret_value);

/**
 * number_parse_duration() - "250ms", "10s", "5m", "12h", "2d"; a bare
 * number is seconds.
 * @ret_ms: milliseconds; written only on success.
 *
 * Return: 0, -EINVAL or -ERANGE (more than 2^53 ms).
 */
int number_parse_duration(const char *text, uint64_t *ret_ms);

/**
 * number_format_duration() - the shortest exact form that
 * number_parse_duration() reads back, always with a unit.
 * @text: at least NUMBER_DURATION_SIZE bytes.
 */
#define NUMBER_DURATION_SIZE 24
void number_format_duration(uint64_t ms, char *text);

#endif
