/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Settings: one table gives name, default, range, unit and help of each. */
#ifndef SNICTL_SETTING_H
#define SNICTL_SETTING_H

#include <stdint.h>
#include "store.h"

enum setting_unit {
	SETTING_DURATION, /* milliseconds */
	SETTING_BYTES,
	SETTING_COUNT,
	SETTING_WORD /* index into @words */
};

/**
 * struct setting - what a setting is; rows of setting_table.
 * @words: for SETTING_WORD, ended by NULL.
 * @help:  one sentence for help and manual.
 */
struct setting {
	const char *name;
	enum setting_unit unit;
	uint64_t fallback;
	uint64_t min;
	uint64_t max;
	const char *const *words;
	const char *help;
};

/** setting_table - indexed by enum abi_setting. */
extern const struct setting setting_table[ABI_SETTING_COUNT];

/** setting_get() - the value in force; safe beside a writer. */
static inline uint64_t setting_get(const struct store *store,
				   enum abi_setting setting)
{
	return __atomic_load_n(&store->settings->value[setting],
			       __ATOMIC_RELAXED);
}

/**
 * setting_find() - by name.
 * Return: enum abi_setting, or -ENOENT.
 */
int setting_find(const char *name);

/**
 * setting_parse() - read a value of a setting.
 * Return: 0, or -EINVAL/-ERANGE with a sentence that gives the range.
 */
int setting_parse(enum abi_setting setting, const char *text,
		  uint64_t *ret_value, struct error *error);

/**
 * setting_format() - back to the text that setting_parse() reads.
 * @text: at least SETTING_TEXT_SIZE bytes. Return: @text.
 */
#define SETTING_TEXT_SIZE 32
const char *setting_format(enum abi_setting setting, uint64_t value,
			   char *text);

#endif
