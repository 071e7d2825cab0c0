/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The live flows of each route, counted in one walk over all flows. */
#ifndef SNICTL_TALLY_H
#define SNICTL_TALLY_H

#include <stddef.h>
#include <stdint.h>
#include "../userspace/store.h"

/** struct tally_row - one route's live flows and their bytes so far. */
struct tally_row {
	struct abi_route_key key;
	uint64_t live;
	uint64_t bytes[2];
};

/** struct tally - rows sorted by key; owns them. */
struct tally {
	struct tally_row *rows;
	size_t count;
};

/** tally_read() - count. Return: 0 or -ENOMEM. */
int tally_read(const struct store *store, struct tally *ret_tally);

/** tally_done() - free what tally_read() made. */
void tally_done(struct tally *tally);

#define AUTO_TALLY __attribute__((cleanup(tally_done))) struct tally

/** tally_find() - one route's row; all zero where no flow lives. */
struct tally_row tally_find(const struct tally *tally,
			    const struct abi_route_key *key);

#endif
