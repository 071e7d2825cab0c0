/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the agent does for the edge while it runs: interfaces that come and
 * go, bans that end, a clock that is set, drops that the log is to show. */
#ifndef SNICTL_EDGE_WATCH_H
#define SNICTL_EDGE_WATCH_H

#include "agent.h"

/**
 * struct edge_watch - of the main thread.
 * @links:      news of interfaces; -1: none can be had.
 * @routes:     news of routes, for spliced flows; not waited for; or -1.
 * @clock:      readable when the wall clock is set; or -1.
 * @again:      somebody had the writers' lock.
 * @looked_ns:  when our programs on interfaces were last looked for.
 * @routes_ns:  likewise news of routes.
 * @hooks_off:  that the edge's cannot be attached has been said.
 * @splice_off: and the splice's.
 * @said:       the drops that the log knows of, and since when.
 */
struct edge_watch {
	int links;
	int routes;
	int clock;
	bool again;
	uint64_t looked_ns;
	uint64_t routes_ns;
	bool hooks_off;
	bool splice_off;
	bool stepped;
	struct abi_edge_counts said;
	uint64_t said_ns;
};

/** edge_watch_open() - fill @watch; what cannot be had is logged. */
void edge_watch_open(struct edge_watch *watch);

/** edge_watch_timeout_ms() - when to take the next turn; -1: never. */
int edge_watch_timeout_ms(const struct edge_watch *watch,
			  const struct store *store);

/** edge_watch_turn() - do what is due. */
void edge_watch_turn(struct edge_watch *watch, struct agent *agent);

#endif
