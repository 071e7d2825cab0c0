/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What help and manual say of a setting. */
#ifndef SNICTL_SET_H
#define SNICTL_SET_H

#include "../userspace/setting.h"

/**
 * setting_range() - "100ms to 1h", or "auto|splice|sockmap|relay".
 * @text: at least SETTING_RANGE_SIZE bytes. Return: @text.
 */
#define SETTING_RANGE_SIZE 80
const char *setting_range(enum abi_setting id, char *text);

#endif
