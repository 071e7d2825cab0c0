// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <sys/param.h>
#include "splice.h"

#define MS_NS 1000000
/* tcp(7): tcp_keepalive_intvl, tcp_keepalive_probes. */
#define KEEP_AGAIN_MS 75000
#define KEEP_TIMES 9

/* Return: the side is gone. */
static bool keep_side(struct splice *splice, uint32_t index,
		      enum abi_direction side, uint32_t packets,
		      uint32_t now_ms, uint32_t keepalive_ms)
{
	struct splice_heard *heard = &splice->heard[index];
	uint32_t again_ms = MIN(keepalive_ms, KEEP_AGAIN_MS);

	if (!heard->is_known || heard->packets[side] != packets) {
		heard->packets[side] = packets;
		heard->at_ms[side] = now_ms;
		heard->asked[side] = 0;
		return false;
	}
	if (now_ms - heard->at_ms[side] <
	    keepalive_ms + heard->asked[side] * again_ms)
		return false;
	if (heard->asked[side] == KEEP_TIMES)
		return true;
	heard->asked[side]++;
	splice_ask(splice, index, side);
	return false;
}

unsigned splice_keep(struct splice *splice, uint32_t index,
		     const struct abi_flow_hot *hot, uint64_t now_ns,
		     uint64_t keepalive_ns)
{
	uint32_t now_ms = (uint32_t)(now_ns / MS_NS);
	uint32_t keepalive_ms = (uint32_t)(keepalive_ns / MS_NS);
	unsigned gone = 0;

	for (unsigned i = 0; i < 2; i++) {
		if (keep_side(splice, index, i,
			      (uint32_t)hot->direction[i].packets, now_ms,
			      keepalive_ms))
			gone = i + 1;
	}
	splice->heard[index].is_known = true;
	return gone;
}
