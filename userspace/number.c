// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "number.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

/* 2^53: JSON readers keep integers exact up to here. */
#define DURATION_MAX_MS (UINT64_C(1) << 53)

/* From the largest, so that the first that divides gives the shortest text. */
static const struct duration_unit {
	const char *suffix;
	uint64_t ms;
} duration_units[] = {
	{"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1},
};

#define DURATION_UNITS (sizeof(duration_units) / sizeof(duration_units[0]))

static bool is_digit(char character)
{
	return character >= '0' && character <= '9';
}

/* Moves @text behind the digits, also on -ERANGE (more than 64 bits): what
 * follows them decides whether it was a number at all. */
static int take_digits(const char **text, uint64_t *ret_value)
{
	const char *at = *text;
	uint64_t value = 0;
	bool overflow = false;

	if (!is_digit(at[0]) || (at[0] == '0' && is_digit(at[1])))
		return -EINVAL;
	for (; is_digit(*at); at++) {
		overflow |= __builtin_mul_overflow(value, 10, &value);
		overflow |= __builtin_add_overflow(value, (uint64_t)(*at - '0'),
						   &value);
	}
	*text = at;
	if (overflow)
		return -ERANGE;
	*ret_value = value;
	return 0;
}

int number_parse(const char *text, uint64_t min, uint64_t max,
		 uint64_t *ret_value)
{
	uint64_t value = 0;
	int error = take_digits(&text, &value);

	if (error == -EINVAL || *text)
		return -EINVAL;
	if (error || value < min || value > max)
		return -ERANGE;
	*ret_value = value;
	return 0;
}

static uint64_t unit_ms(const char *suffix)
{
	if (!*suffix)
		return 1000;
	for (size_t i = 0; i < DURATION_UNITS; i++) {
		if (!strcmp(suffix, duration_units[i].suffix))
			return duration_units[i].ms;
	}
	return 0;
}

int number_parse_duration(const char *text, uint64_t *ret_ms)
{
	uint64_t value = 0, unit;
	int error = take_digits(&text, &value);

	unit = unit_ms(text);
	if (error == -EINVAL || !unit)
		return -EINVAL;
	if (error || value > DURATION_MAX_MS / unit)
		return -ERANGE;
	*ret_ms = value * unit;
	return 0;
}

void number_format_duration(uint64_t ms, char *text)
{
	const struct duration_unit *unit = duration_units;

	while (ms % unit->ms)
		unit++;
	/* Zero is a multiple of every unit; "0s" reads best. */
	if (!ms)
		unit = &duration_units[DURATION_UNITS - 2];
	snprintf(text, NUMBER_DURATION_SIZE, "%" PRIu64 "%s", ms / unit->ms,
		 unit->suffix);
}
