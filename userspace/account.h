/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Finished flows of one turn, by route: a system call for each route, not for
 * each flow. */
#ifndef SNICTL_ACCOUNT_H
#define SNICTL_ACCOUNT_H

#include <stdint.h>
#include "route.h"

/* Routes that one turn can tell apart before it has to write. */
#define ACCOUNTS_MAX 16

/** struct accounts - a thread's; written out when the turn is over. */
struct accounts {
	unsigned count;
	struct account {
		struct abi_route_key key;
		uint64_t flows;
		uint64_t bytes[2];
	} of[ACCOUNTS_MAX];
};

/** accounts_add() - one more flow of a route. @bytes: by abi_direction. */
void accounts_add(struct accounts *accounts, const struct store *store,
		  const struct abi_route_key *key, const uint64_t bytes[2]);

/** accounts_flush() - write them into the route_stats map. */
void accounts_flush(struct accounts *accounts, const struct store *store);

#endif
