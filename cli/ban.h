/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the commands have in common that change bans. */
#ifndef SNICTL_CLI_BAN_H
#define SNICTL_CLI_BAN_H

#include "../userspace/ban.h"
#include "command.h"

/**
 * ban_guard() - refuse bans that would hit the wrong ones: everybody, this
 * router, whoever types it.
 * @remedy: what the sentence ends with: "give --force to do it all the same".
 * Return: 0, or -EPERM with a sentence.
 */
int ban_guard(const struct abi_prefix *prefixes, size_t count,
	      const char *remedy, struct error *error);

/** BAN_REMEDY - for those who may force it. */
#define BAN_REMEDY ": give --force to do it all the same"

/** ban_add() - what `ban add` does. @ban: its reason is checked here. */
int ban_add(const struct invocation *call, const struct ban *ban, bool forced,
	    struct error *error);

/** ban_parse_time() - "10m"; 0 for NULL. @ret_ns: CLOCK_BOOTTIME, or 0. */
int ban_parse_time(const char *text, uint64_t *ret_ns, struct error *error);

/**
 * ban_enforce() - what follows a change: hooks where they have to be, and the
 * end of the flows of whom it bans.
 * @store: locked; unlocked by it.
 */
int ban_enforce(const struct invocation *call, struct store *store,
		struct error *error);

#endif
